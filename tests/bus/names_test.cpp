#include "bus/names.hpp"

#include <string>
#include <string_view>

#include <support/result_testing.hpp>

namespace levada::test {
namespace {

using namespace std::string_view_literals;
using ::testing::HasSubstr;

TEST(Names, KnowUtf8) {
  for (const auto text : {""sv, "plain"sv, "\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv,
                          "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv,
                          "\xf4\x8f\xbf\xbf"sv, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\x8az"sv, "\0"sv}) {
    EXPECT_TRUE(is_utf8(text)) << ::testing::PrintToString(text);
  }
}

TEST(Names, TellUtf8FromWhatOnlyLooksLikeIt) {
  for (const auto text : {"\x80"sv,              // a continuation without a beginning
                          "a\xbfz"sv,            // likewise
                          "\xc3"sv,              // cut short
                          "\xe2\x82"sv,          // cut short
                          "\xf0\x9f\x8c"sv,      // cut short
                          "\xc3z"sv,             // no continuation where one is due
                          "\xe2\x82z"sv,         // likewise
                          "\xc0\x80"sv,          // zero in two bytes
                          "\xc1\xbf"sv,          // ASCII in two
                          "\xe0\x9f\xbf"sv,      // two bytes' worth in three
                          "\xf0\x8f\xbf\xbf"sv,  // three bytes' worth in four
                          "\xed\xa0\x80"sv,      // the first surrogate
                          "\xed\xbf\xbf"sv,      // the last
                          "\xf4\x90\x80\x80"sv,  // beyond Unicode
                          "\xf5\x80\x80\x80"sv,  // likewise
                          "\xf8\x88\x80\x80\x80"sv, "\xff"sv}) {
    EXPECT_FALSE(is_utf8(text)) << ::testing::PrintToString(text);
  }
}

TEST(Names, AreOneTo255BytesWithoutControlCharacters) {
  const auto check = [](std::string_view name) { return check_name("declare topic", "topic", name); };
  for (const auto name : {"a"sv, " "sv, "a/b"sv, ".."sv, "\xc3\xa4"sv, "~"sv})
    EXPECT_THAT(check(name), succeeds());
  EXPECT_THAT(check(std::string(255, 'n')), succeeds());
  for (const auto name : {""sv, "\n"sv, "a\0b"sv, "\x1f"sv, "\x7f"sv, "\xff"sv}) {
    EXPECT_THAT(check(name), fails_with(errc::name_invalid)) << ::testing::PrintToString(name);
  }
  const auto too_long = check(std::string(256, 'n'));
  ASSERT_THAT(too_long, fails_with(errc::name_invalid));
  EXPECT_THAT(too_long.error().message(), HasSubstr("declare topic: the topic's name has 256 bytes"));
  EXPECT_THAT(too_long.error().message(), HasSubstr("255"));
}

}  // namespace
}  // namespace levada::test
