#include "cli/time_text.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <variant>

namespace levada::cli {
namespace {

using namespace std::chrono_literals;
using std::chrono::sys_days;
namespace chr = std::chrono;

constexpr timestamp noon = sys_days{chr::year{2026} / 1 / 31} + 12h;

TEST(TimeText, WritesMicrosecondsInUtc) {
  EXPECT_EQ(to_rfc3339(noon), "2026-01-31T12:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(noon + 3h + 4min + 5s + 6us), "2026-01-31T15:04:05.000006Z");
  EXPECT_EQ(to_rfc3339(timestamp{-1us}), "1969-12-31T23:59:59.999999Z");
}

TEST(TimeText, ReadsWhatItWrites) {
  for (const auto time : {noon, noon + 123'456us, timestamp{}, timestamp{-1us}}) {
    EXPECT_EQ(parse_rfc3339(to_rfc3339(time)), time);
  }
}

TEST(TimeText, ReadsEveryFormOfRfc3339) {
  EXPECT_EQ(parse_rfc3339("2026-01-31T12:00:00Z"), noon);
  EXPECT_EQ(parse_rfc3339("2026-01-31t12:00:00z"), noon);
  EXPECT_EQ(parse_rfc3339("2026-01-31 12:00:00Z"), noon);
  EXPECT_EQ(parse_rfc3339("2026-01-31T13:30:00+01:30"), noon);
  EXPECT_EQ(parse_rfc3339("2026-01-31T04:00:00-08:00"), noon);
  EXPECT_EQ(parse_rfc3339("2026-01-31T12:00:00.5Z"), noon + 500ms);
  EXPECT_EQ(parse_rfc3339("2026-01-31T12:00:00.1234569Z"), noon + 123'456us) << "digits it has no place for";
  EXPECT_EQ(parse_rfc3339("2016-12-31T23:59:60Z"), timestamp{sys_days{chr::year{2017} / 1 / 1}})
      << "a leap second";
  EXPECT_EQ(parse_rfc3339("2024-02-29T00:00:00Z"), timestamp{sys_days{chr::year{2024} / 2 / 29}});
}

TEST(TimeText, RefusesWhatIsNoTime) {
  for (const char* const text :
       {"", "2026", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z", "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+0100", "2026-01-31T12:00:00Zx", " 2026-01-31T12:00:00Z", "26-01-31T12:00:00Z",
        "2026/01/31T12:00:00Z", "2026-01-31T-2:00:00Z"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

/// The position as a time; fails the test where it is none.
timestamp time_of(std::string_view text) {
  const auto start = parse_start(text, noon);
  if (!start || !std::holds_alternative<timestamp>(*start)) {
    ADD_FAILURE() << text << " is no time";
    return {};
  }
  return std::get<timestamp>(*start);
}

TEST(Start, HasNamesForBothEnds) {
  EXPECT_TRUE(std::holds_alternative<from_earliest>(parse_start("earliest", noon).value()));
  EXPECT_TRUE(std::holds_alternative<from_latest>(parse_start("latest", noon).value()));
}

TEST(Start, TakesDigitsForAnOffset) {
  EXPECT_EQ(std::get<offset>(parse_start("0", noon).value()), offset{0});
  EXPECT_EQ(std::get<offset>(parse_start("1769860800", noon).value()), offset{1'769'860'800});
  EXPECT_EQ(std::get<offset>(parse_start("18446744073709551615", noon).value()),
            offset{18'446'744'073'709'551'615U});
  EXPECT_EQ(std::get<offset>(parse_start("010", noon).value()), offset{10}) << "not octal";
}

TEST(Start, TakesTimes) {
  EXPECT_EQ(time_of("2026-01-31T12:00:00Z"), noon);
  EXPECT_EQ(time_of("@1769860800"), noon);
  EXPECT_EQ(time_of("@1769860800.25"), noon + 250ms);
  EXPECT_EQ(time_of("@0"), timestamp{});
}

TEST(Start, TakesAgesThatCountBackFromNow) {
  EXPECT_EQ(time_of("-90s"), noon - 90s);
  EXPECT_EQ(time_of("-10m"), noon - 10min);
  EXPECT_EQ(time_of("-2h"), noon - 2h);
  EXPECT_EQ(time_of("-7d"), noon - chr::days{7});
}

TEST(Start, RefusesEverythingElse) {
  for (const char* const text : {"",
                                 "Earliest",
                                 "newest",
                                 "x",
                                 "1x",
                                 "+1",
                                 " 1",
                                 "1 ",
                                 "0x10",
                                 "18446744073709551616",
                                 "-",
                                 "-1",
                                 "-m",
                                 "-1w",
                                 "-1.5h",
                                 "--1m",
                                 "-99999999999999999999d",
                                 "-9223372036854775807d",
                                 "@",
                                 "@x",
                                 "@-1",
                                 "@1.",
                                 "@1.x",
                                 "@99999999999999999999",
                                 "@9223372036855"}) {
    EXPECT_FALSE(parse_start(text, noon)) << text;
  }
}

TEST(End, TakesWhatAStartTakesButTheOldestRecord) {
  EXPECT_TRUE(std::holds_alternative<until_latest>(parse_end("latest", noon).value()));
  EXPECT_EQ(std::get<offset>(parse_end("42", noon).value()), offset{42});
  EXPECT_EQ(std::get<timestamp>(parse_end("-10m", noon).value()), noon - 10min);
  EXPECT_EQ(std::get<timestamp>(parse_end("@1769860800", noon).value()), noon);
  for (const char* const text : {"", "earliest", "closed", "-1", "1x"}) {
    EXPECT_FALSE(parse_end(text, noon)) << text;
  }
}

TEST(Age, IsWrittenInTheLargestUnitThatDividesIt) {
  EXPECT_EQ(to_age(48h), "2d");
  EXPECT_EQ(to_age(25h), "25h");
  EXPECT_EQ(to_age(90min), "90m");
  EXPECT_EQ(to_age(61s), "61s");
  EXPECT_EQ(to_age(1500ms), "1500ms");
}

}  // namespace
}  // namespace levada::cli
