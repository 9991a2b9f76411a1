#include <crash/payload.hpp>

#include <gtest/gtest.h>

namespace levada::crash {
namespace {

TEST(CrashPayload, NamesItsRecord) {
  const serial s = make_serial(3, 2, 17);
  EXPECT_EQ(producer_of(s), 2U);
  for (const std::size_t bytes : {0U, 5U, 40U, 3'000U}) EXPECT_EQ(serial_of(make_payload(s, bytes)), s);
}

TEST(CrashPayload, OneChangedByteIsNoticed) {
  const std::string whole = make_payload(make_serial(1, 0, 1), 100);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(serial_of(damaged), std::nullopt) << "byte " << at;
  }
}

TEST(CrashPayload, MissingAndForeignBytesAreNoticed) {
  const std::string whole = make_payload(make_serial(1, 0, 1), 100);
  EXPECT_EQ(serial_of(whole.substr(0, 99)), std::nullopt);
  EXPECT_EQ(serial_of(whole + "x"), std::nullopt);
  EXPECT_EQ(serial_of(""), std::nullopt);
  EXPECT_EQ(serial_of(std::string(100, '\0')), std::nullopt);
}

TEST(CrashPayload, FingerprintTellsFieldsApart) {
  EXPECT_NE(fingerprint("ab", "c", "d"), fingerprint("a", "bc", "d"));
  EXPECT_NE(fingerprint("a", "", "d"), fingerprint("", "a", "d"));
}

}  // namespace
}  // namespace levada::crash
