#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <support/temporary_directory.hpp>

#include "program.hpp"

namespace levada::test {
namespace {

using ::testing::HasSubstr;

TEST(FirstSteps, PublishesReadsRoutesAndReceives) {
  const temporary_directory directory;
  const auto first = run({FIRST_STEPS_PROGRAM, directory / "store"});
  EXPECT_EQ(first.status, 0);
  EXPECT_THAT(first.said, HasSubstr("published to partition 1, offset 0\n"));
  EXPECT_THAT(first.said, HasSubstr("read kitchen: 21.5 degrees\n"));
  EXPECT_THAT(first.said, HasSubstr("handed to 1 queue\n"));
  EXPECT_THAT(first.said, HasSubstr("received house.3.smoke: smoke on the stairs\n"));
}

TEST(FirstSteps, ReadsOnlyWhatIsNewWhenRunAgain) {
  const temporary_directory directory;
  const auto first = run({FIRST_STEPS_PROGRAM, directory / "store"});
  const auto second = run({FIRST_STEPS_PROGRAM, directory / "store"});
  EXPECT_EQ(second.status, 0);
  EXPECT_THAT(second.said, HasSubstr("published to partition 1, offset 1\n"));
  const auto reading = second.said.find("read kitchen");
  ASSERT_NE(reading, std::string::npos);
  EXPECT_EQ(second.said.find("read kitchen", reading + 1), std::string::npos) << second.said;
}

TEST(FirstSteps, SaysWhyItCannotOpen) {
  const auto e = run({FIRST_STEPS_PROGRAM, "/dev/null"});
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, HasSubstr("first_steps: open store '/dev/null': "));
}

}  // namespace
}  // namespace levada::test
