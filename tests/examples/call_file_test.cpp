#include <emergency_call/call_file.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <ostream>

#include <support/temporary_directory.hpp>

namespace emergency {
namespace {

using levada::test::temporary_directory;
using ::testing::HasSubstr;

constexpr auto all = std::numeric_limits<std::size_t>::max();
constexpr auto good =
    R"(40.0883549,-75.3821004,EMS: FALL VICTIM,2016-01-15 12:01,UPPER MERION,DEKALB PIKE APT 4B)";

std::filesystem::path write(const temporary_directory& directory, const std::string& text) {
  auto file = directory / "calls.csv";
  std::ofstream{file, std::ios::binary} << text;
  return file;
}

TEST(CallFile, ReadsEveryFieldOfACall) {
  const temporary_directory directory;
  const auto calls = read_calls(write(directory, std::string{good} + "\n"), all);
  ASSERT_EQ(calls.size(), 1U);
  const auto& c = calls[0];
  EXPECT_EQ(c.id, 1U);
  EXPECT_DOUBLE_EQ(c.latitude, 40.0883549);
  EXPECT_DOUBLE_EQ(c.longitude, -75.3821004);
  EXPECT_EQ(c.category, category::ems);
  EXPECT_EQ(c.type, "FALL VICTIM");
  EXPECT_EQ(minute_text(c.time), "2016-01-15 12:01");
  EXPECT_EQ(c.area, "UPPER MERION");
  EXPECT_EQ(c.address, "DEKALB PIKE APT 4B");
  EXPECT_EQ(c.line().key(), "upper-merion.dekalb-pike.4b");
  EXPECT_EQ(to_csv(c), good);
}

TEST(CallFile, TakesEitherLineEndAByteOrderMarkAndAMissingLastLineEnd) {
  const temporary_directory directory;
  const std::string line{good};
  const auto file = write(directory, "\xef\xbb\xbf" + line + "\r\n" + line + "\n" + line);
  const auto calls = read_calls(file, all);
  ASSERT_EQ(calls.size(), 3U);
  for (const auto& c : calls) EXPECT_EQ(to_csv(c), good);
}

TEST(CallFile, TakesQuotedFields) {
  const temporary_directory directory;
  const auto calls = read_calls(
      write(directory, R"(40,-75,Fire: FIRE ALARM,2016-01-15 12:01,"LOWER, MERION","THE ""OLD"" MILL")"),
      all);
  EXPECT_EQ(calls.at(0).area, "LOWER, MERION");
  EXPECT_EQ(calls.at(0).address, R"(THE "OLD" MILL)");
}

TEST(CallFile, ReadsNoFurtherThanAskedFor) {
  const temporary_directory directory;
  const auto file = write(directory, std::string{good} + "\n" + good + "\nnot a call\n");
  EXPECT_EQ(read_calls(file, 2).size(), 2U);
  EXPECT_THROW(static_cast<void>(read_calls(file, 3)), malformed_line);
}

struct malformed {
  const char* name;
  std::string line;
  const char* reason;

  friend void PrintTo(const malformed& m, std::ostream* out) { *out << m.name; }
};

class MalformedLine : public ::testing::TestWithParam<malformed> {};

TEST_P(MalformedLine, IsNamedByFileNumberAndReason) {
  const temporary_directory directory;
  const auto file = write(directory, std::string{good} + "\n" + GetParam().line + "\n" + good + "\n");
  try {
    static_cast<void>(read_calls(file, all));
    FAIL() << "the line was accepted";
  } catch (const malformed_line& e) {
    EXPECT_EQ(e.file(), file);
    EXPECT_EQ(e.number(), 2U);
    EXPECT_EQ(e.reason(), GetParam().reason);
    EXPECT_EQ(e.what(), file.native() + ", line 2: " + GetParam().reason);
  }
}

INSTANTIATE_TEST_SUITE_P(
    CallFile, MalformedLine,
    ::testing::Values(
        malformed{"Empty", "", "6 fields expected, 1 found"},
        malformed{"TooFewFields", "40,-75,EMS: X,2016-01-15 12:01,AREA", "6 fields expected, 5 found"},
        malformed{"TooManyFields", "40,-75,EMS: X,2016-01-15 12:01,AREA,ROAD,1",
                  "6 fields expected, 7 found"},
        malformed{"Header", "lat,lng,title,timeStamp,twp,addr",
                  "the latitude 'lat' is not a number from -90 to 90"},
        malformed{"LatitudeTooLarge", "91,-75,EMS: X,2016-01-15 12:01,AREA,ROAD",
                  "the latitude '91' is not a number from -90 to 90"},
        malformed{"LatitudeNotANumber", "nan,-75,EMS: X,2016-01-15 12:01,AREA,ROAD",
                  "the latitude 'nan' is not a number from -90 to 90"},
        malformed{"LongitudeWithRest", "40,-75W,EMS: X,2016-01-15 12:01,AREA,ROAD",
                  "the longitude '-75W' is not a number from -180 to 180"},
        malformed{"UnknownCategory", "40,-75,Police: X,2016-01-15 12:01,AREA,ROAD",
                  "'Police: X' is not of the form 'CATEGORY: TYPE' with EMS, Fire or Traffic"},
        malformed{"NoType", "40,-75,EMS,2016-01-15 12:01,AREA,ROAD",
                  "'EMS' is not of the form 'CATEGORY: TYPE' with EMS, Fire or Traffic"},
        malformed{"EmptyType", "40,-75,EMS: ,2016-01-15 12:01,AREA,ROAD", "the type is empty"},
        malformed{"NoSuchDay", "40,-75,EMS: X,2015-02-29 12:01,AREA,ROAD",
                  "'2015-02-29 12:01' is not a time of the form YYYY-MM-DD HH:MM"},
        malformed{"NoSuchHour", "40,-75,EMS: X,2016-01-15 24:00,AREA,ROAD",
                  "'2016-01-15 24:00' is not a time of the form YYYY-MM-DD HH:MM"},
        malformed{"OtherDateForm", "40,-75,EMS: X,15.01.2016 12:01,AREA,ROAD",
                  "'15.01.2016 12:01' is not a time of the form YYYY-MM-DD HH:MM"},
        malformed{"EmptyArea", "40,-75,EMS: X,2016-01-15 12:01,,ROAD", "the township is empty"},
        malformed{"EmptyAddress", "40,-75,EMS: X,2016-01-15 12:01,AREA,", "the address is empty"},
        malformed{"LongAddress", "40,-75,EMS: X,2016-01-15 12:01,AREA," + std::string(81, 'A'),
                  "the address is longer than 80 bytes"},
        malformed{"ControlCharacter", "40,-75,EMS: X,2016-01-15 12:01,AREA,RO\tAD",
                  "the address holds a control character"},
        malformed{"OpenQuotes", R"(40,-75,EMS: X,2016-01-15 12:01,AREA,"ROAD)",
                  "the quotes around field 6 are not closed"},
        malformed{"TextBehindQuotes", R"(40,-75,EMS: X,2016-01-15 12:01,"AREA"B,ROAD)",
                  "field 5 goes on behind its closing quote"},
        malformed{"QuoteInside", R"(40,-75,EMS: X,2016-01-15 12:01,AR"EA,ROAD)",
                  "field 5 has a quote in its middle"}),
    [](const auto& case_info) { return std::string{case_info.param.name}; });

/// What the user is told about a file that cannot be used at all.
std::string refusal(const std::filesystem::path& file) {
  try {
    static_cast<void>(read_calls(file, all));
  } catch (const example::failure& e) {
    return e.what();
  }
  return "none";
}

TEST(CallFile, SaysWhyAFileCannotBeRead) {
  const temporary_directory directory;
  EXPECT_THAT(refusal(directory / "missing.csv"), HasSubstr("missing.csv': No such file or directory"));
  EXPECT_THAT(refusal(directory.path()), HasSubstr("it is a directory"));
  EXPECT_THAT(refusal(write(directory, "")), HasSubstr("calls.csv' holds no calls"));
}

TEST(CallFile, ReadsTheRealCalls) {
  if (!std::filesystem::exists(REAL_CALLS_FILE)) GTEST_SKIP() << "there is no " << REAL_CALLS_FILE;
  EXPECT_EQ(read_calls(REAL_CALLS_FILE, all).size(), 3'051U);
}

}  // namespace
}  // namespace emergency
