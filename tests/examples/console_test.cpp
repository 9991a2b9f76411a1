#include <emergency_call/console.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace emergency {
namespace {

std::ptrdiff_t columns(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

constexpr local_time noon = std::chrono::local_days{std::chrono::year{2024} / 3 / 7} + std::chrono::hours{12};

TEST(Progress, TellsHowFarARunIs) {
  EXPECT_EQ(to_text(progress{3'000, 1'234, 31, noon, std::chrono::seconds{2}}),
            "████░░░░░░  41 %  2024-03-07 12:00  1,234 of 3,000 calls  617/s  31 queues");
}

TEST(Progress, FitsIntoATerminal) {
  EXPECT_LE(columns(to_text(progress{100'000, 100'000, 50, noon, std::chrono::seconds{50}})), 80);
  EXPECT_LE(columns(to_text(progress{0, 0, 0, local_time{}, std::chrono::seconds{0}})), 80);
}

}  // namespace
}  // namespace emergency
