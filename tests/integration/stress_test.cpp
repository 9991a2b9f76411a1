#include <gtest/gtest.h>

#include <support/sanitizers.hpp>

#include "stress.hpp"

namespace levada::test {
namespace {

// `levada_model_campaign stress` goes on for as long as wanted.
TEST(Stress, OfEverythingAtOnceKeepsAllPromises) {
  const auto s = run_stress({.time = std::chrono::seconds{under_thread_sanitizer ? 10 : 2}});
  EXPECT_TRUE(s.violations.empty()) << to_text(s);
  EXPECT_GT(s.published, 0U);
  EXPECT_GT(s.polled, 0U);
  EXPECT_GT(s.lives_of_members, 2U);
  EXPECT_GT(s.handled, 0U);
  EXPECT_GT(s.moved, 0U);
  EXPECT_GT(s.transactions, 0U);
  EXPECT_GT(s.topics_deleted, 0U);
  EXPECT_GT(s.maintenance, 0U);
}

}  // namespace
}  // namespace levada::test
