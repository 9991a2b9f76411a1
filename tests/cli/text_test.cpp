#include "cli/text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace levada::cli {
namespace {

using namespace std::string_literals;

TEST(Utf8, TakesEveryLengthOfCharacter) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("plain text longer than a word of the machine"));
  EXPECT_TRUE(is_utf8("a\0b"s));
  EXPECT_TRUE(is_utf8("\x7f \xc2\x80 \xdf\xbf \xe0\xa0\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
}

TEST(Utf8, RefusesWhatRfc3629Forbids) {
  EXPECT_FALSE(is_utf8("\x80")) << "a continuation without a beginning";
  EXPECT_FALSE(is_utf8("\xc3")) << "a beginning without continuation";
  EXPECT_FALSE(is_utf8("\xe2\x82")) << "cut off";
  EXPECT_FALSE(is_utf8("\xc3(")) << "something else where it should continue";
  EXPECT_FALSE(is_utf8("\xc0\xaf")) << "two bytes where one does";
  EXPECT_FALSE(is_utf8("\xe0\x9f\xbf")) << "three bytes where two do";
  EXPECT_FALSE(is_utf8("\xf0\x8f\xbf\xbf")) << "four bytes where three do";
  EXPECT_FALSE(is_utf8("\xed\xa0\x80")) << "a surrogate";
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80")) << "beyond U+10FFFF";
  EXPECT_FALSE(is_utf8("\xf5\x80\x80\x80"));
  EXPECT_FALSE(is_utf8("\xff"));
}

TEST(Utf8, LooksAtEveryPlaceOfALongText) {
  for (std::size_t i = 0; i < 40; ++i) {
    std::string text(40, 'x');
    text[i] = '\xff';
    EXPECT_FALSE(is_utf8(text)) << "at " << i;
  }
}

// The vectors of RFC 4648, section 10.
TEST(Base64, PadsToWholeGroups) {
  EXPECT_EQ(to_base64(""), "");
  EXPECT_EQ(to_base64("f"), "Zg==");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  EXPECT_EQ(to_base64("foo"), "Zm9v");
  EXPECT_EQ(to_base64("foob"), "Zm9vYg==");
  EXPECT_EQ(to_base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(to_base64("foobar"), "Zm9vYmFy");
}

TEST(Base64, TakesBytesAsUnsigned) {
  EXPECT_EQ(to_base64("\xff\xfe\xfd"), "//79");
  EXPECT_EQ(to_base64("\xfb\xef\xbe\0"s), "++++AA==");
}

TEST(Printable, LeavesTextAsItIs) {
  EXPECT_EQ(printable("plain, na\xc3\xafve \xe2\x82\xac \xf0\x9f\x8e\xbb"),
            "plain, na\xc3\xafve \xe2\x82\xac \xf0\x9f\x8e\xbb");
}

TEST(Printable, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\nb\x1b[2J\x7f\0"s), "a\\x0ab\\x1b[2J\\x7f\\x00");
  EXPECT_EQ(printable("\xc2\x9b!"), "\\xc2\\x9b!") << "a control character beyond ASCII";
}

TEST(Printable, ShowsBytesThatAreNoText) {
  EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
}

TEST(Size, IsWrittenInTheLargestUnitThatDividesIt) {
  EXPECT_EQ(to_size(std::uint64_t{3} << 30), "3GiB");
  EXPECT_EQ(to_size(1536 << 20), "1536MiB");
  EXPECT_EQ(to_size(4096), "4KiB");
  EXPECT_EQ(to_size(5000), "5000B");
}

TEST(CharacterCount, CountsCharactersAndNotBytes) {
  EXPECT_EQ(character_count(""), 0U);
  EXPECT_EQ(character_count("na\xc3\xafve \xe2\x82\xac"), 7U);
}

}  // namespace
}  // namespace levada::cli
