#include "log/record_codec.hpp"

#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "log_testing.hpp"
#include "record_testing.hpp"

#include <levada/publishing.hpp>

namespace levada::log::test {
namespace {

using namespace std::chrono_literals;

/// Encodes into memory that is not zero, so that padding shows.
std::vector<std::byte> encoded(const record_source& source) {
  std::vector<std::byte> out(detail::padded(source.size()), std::byte{0xee});
  encode_record(source, 0, out.data());
  return out;
}

std::string extras_of(const record& r, std::string_view routing_key = {}) {
  return ok(encode_extras(routing_key, r));
}

/// A record that consists of these extras, and what is read of it.
class viewed_extras {
 public:
  explicit viewed_extras(std::string_view extras) : batch_{batch_of(encoded({.extras = extras}))} {}
  const record_view* operator->() const { return &*at_; }
  [[nodiscard]] const record_view& view() const { return *at_; }

 private:
  record_batch batch_;
  record_batch::iterator at_ = batch_.begin();
};

// The bytes below are what stores on disk hold: they never change.

TEST(RecordCodec, WritesTheBytesOfTheFormat) {
  EXPECT_EQ(hex(encoded(value_of("hello"))),
            "15000000"    // size: 16 + 5
            "0000"        // size of the key
            "0000"        // flags
            "00000000"    // time
            "00000000"    // size of the extras
            "68656c6c6f"  // value
            "000000");    // padding
  EXPECT_EQ(hex(encoded({.key = "k1", .value = "hello", .extras = "\x07\x09", .has_key = true})),
            "19000000020001000000000002000000"
            "68656c6c6f"        // value
            "6b31"              // key
            "0709"              // extras
            "00000000000000");  // padding
  EXPECT_EQ(hex(encoded({.key = "k", .has_key = true, .is_tombstone = true})),
            "11000000010003000000000000000000"
            "6b"
            "00000000000000");
  EXPECT_EQ(hex(encoded({.value = "12345678"})), "180000000000000000000000000000003132333435363738")
      << "no padding where none is needed";
  EXPECT_EQ(hex(encoded({})), "10000000000000000000000000000000");
}

TEST(RecordCodec, WritesTheBytesOfEveryExtra) {
  record r{"value"};
  r.header("n", {})
      .header("b", true)
      .header("i", std::int64_t{-2})
      .header("d", 1.0)
      .header("s", std::string{"hi"})
      .header("r", binary{std::byte{0}, std::byte{255}})
      .header("t", timestamp{1us});
  r.content_type("ct")
      .message_id("mi")
      .correlation_id("ci")
      .reply_to("rt")
      .type("ty")
      .expiration(258ms)
      .priority(9);
  EXPECT_EQ(hex(as_bytes(extras_of(r, "a.b"))),
            "0803612e62"
            "01026374"
            "02026d69"
            "03026369"
            "04027274"
            "05027479"
            "060201000000000000"
            "0709"
            "09016e00"
            "09016201"
            "01"
            "09016902"
            "feffffffffffffff"
            "09016403"
            "000000000000f03f"
            "09017304"
            "020000006869"
            "09017205"
            "0200000000ff"
            "09017406"
            "0100000000000000");
  EXPECT_EQ(extras_of(record{"value"}), "") << "a plain record has none";
}

TEST(RecordCodec, ReadsBackWhatItWrote) {
  for (const std::size_t key_size : {0U, 1U, 7U, 8U, 300U, 65'535U}) {
    for (const std::size_t value_size : {0U, 1U, 7U, 8U, 9U, 5000U}) {
      for (const std::size_t extras_size : {0U, 1U, 300U}) {
        const std::string key(key_size, 'k');
        const std::string value(value_size, 'v');
        const std::string extras(extras_size, 'e');
        const record_source source{key, value, extras, true, false};
        const auto bytes = encoded(source);
        ASSERT_EQ(detail::size_of_record(bytes.data(), bytes.size()), bytes.size());
        const detail::encoded_record read{bytes.data()};
        ASSERT_EQ(read.key(), key);
        ASSERT_EQ(read.value(), value);
        ASSERT_EQ(read.extras(), extras);
        ASSERT_TRUE(read.has_key());
        ASSERT_FALSE(read.is_tombstone());
        ASSERT_EQ(read.time_delta(), 0);
      }
    }
  }
}

TEST(RecordCodec, DecodesTheTimeOfARecordThatIsNotItsRowsFirst) {
  auto bytes = encoded(value_of("x"));
  bytes[8] = std::byte{0xfe};
  bytes[9] = bytes[10] = bytes[11] = std::byte{0xff};
  EXPECT_EQ(detail::size_of_record(bytes.data(), bytes.size()), bytes.size());
  EXPECT_EQ(detail::encoded_record{bytes.data()}.time_delta(), -2);
}

TEST(RecordCodec, TakesNoBytesForARecordThatAreNone) {
  const auto bytes = encoded({.key = "key", .value = "value", .extras = "extras", .has_key = true});
  for (std::size_t available = 0; available < 16 + 3 + 5 + 6; ++available) {
    EXPECT_EQ(detail::size_of_record(bytes.data(), available), 0U) << available << " bytes";
  }
  EXPECT_EQ(detail::size_of_record(bytes.data(), 16 + 3 + 5 + 6), bytes.size());
  const auto with_size = [&](std::uint32_t size) {
    auto changed = bytes;
    std::memcpy(changed.data(), &size, sizeof size);
    return detail::size_of_record(changed.data(), changed.size());
  };
  EXPECT_EQ(with_size(0), 0U);
  EXPECT_EQ(with_size(16 + 3 + 6 - 1), 0U) << "key and extras do not fit";
  EXPECT_EQ(with_size(16 + 3 + 6), 32U) << "an empty value";
  EXPECT_EQ(with_size(std::numeric_limits<std::uint32_t>::max()), 0U);
  auto huge_extras = bytes;
  const std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  std::memcpy(huge_extras.data() + 12, &most, sizeof most);
  EXPECT_EQ(detail::size_of_record(huge_extras.data(), huge_extras.size()), 0U)
      << "sizes are added without overflow";
}

TEST(RecordCodec, TellsWhatARecordIsMadeOf) {
  const record value_alone{"v"};
  const auto plain = ok(source_of(value_alone, "ex"));
  EXPECT_FALSE(plain.has_key);
  EXPECT_FALSE(plain.is_tombstone);
  EXPECT_EQ(plain.value, "v");
  EXPECT_EQ(plain.extras, "ex");
  EXPECT_EQ(plain.size(), 16U + 1 + 2);
  const record keyed{"", "v"};
  EXPECT_TRUE(ok(source_of(keyed, {})).has_key) << "an empty key is a key";
  const record gone = record::tombstone("key");
  const auto tombstone = ok(source_of(gone, {}));
  EXPECT_TRUE(tombstone.is_tombstone);
  EXPECT_TRUE(tombstone.has_key);
  EXPECT_EQ(tombstone.key, "key");
  EXPECT_EQ(tombstone.value, "");
  const record largest{std::string(key_bytes_max, 'k'), ""};
  EXPECT_EQ(ok(source_of(largest, {})).key.size(), key_bytes_max);
  const record too_large{std::string(key_bytes_max + 1, 'k'), ""};
  const auto refused = source_of(too_large, {});
  ASSERT_THAT(refused, fails_with(errc::field_too_long));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("65535"));
}

TEST(RecordCodec, TakesTextsOfTheirFullLengthAndNoLonger) {
  using member = std::string properties::*;
  const std::array<std::pair<const char*, member>, 5> fields{{{"content_type", &properties::content_type},
                                                              {"message_id", &properties::message_id},
                                                              {"correlation_id", &properties::correlation_id},
                                                              {"reply_to", &properties::reply_to},
                                                              {"type", &properties::type}}};
  const std::string longest(255, 'x');
  for (const auto& field : fields) {
    properties p;
    p.*field.second = longest;
    record r{"v"};
    r.properties(p);
    EXPECT_EQ(extras_of(r).size(), 2U + 255) << field.first;
    p.*field.second = longest + "x";
    r.properties(p);
    const auto refused = encode_extras({}, r);
    ASSERT_THAT(refused, fails_with(errc::field_too_long));
    EXPECT_THAT(refused.error().message(), ::testing::HasSubstr(field.first));
  }
  EXPECT_EQ(extras_of(record{"v"}, longest).size(), 2U + 255);
  EXPECT_THAT(encode_extras(longest + "x", record{"v"}), fails_with(errc::field_too_long));
  EXPECT_EQ(extras_of(record{"v"}.header(longest, {})).size(), 2U + 255 + 1);
  EXPECT_THAT(encode_extras({}, record{"v"}.header(longest + "x", {})), fails_with(errc::field_too_long));
  EXPECT_THAT(encode_extras({}, record{"v"}.header("", {})), fails_with(errc::name_invalid));
}

TEST(RecordCodec, FindsEachFieldAmongAllOthers) {
  record r{"value"};
  r.header("twice", std::string{"first"})
      .header("raw", binary(300, std::byte{9}))
      .header("twice", std::int64_t{2});
  r.content_type("ct")
      .message_id("mi")
      .correlation_id("ci")
      .reply_to("rt")
      .type("ty")
      .expiration(5ms)
      .priority(0);
  const std::string extras = extras_of(r, "key");
  const viewed_extras viewed{extras};
  const record_view& view = viewed.view();
  EXPECT_EQ(view.routing_key(), "key");
  const auto p = view.properties();
  EXPECT_EQ(p.content_type, "ct");
  EXPECT_EQ(p.message_id, "mi");
  EXPECT_EQ(p.correlation_id, "ci");
  EXPECT_EQ(p.reply_to, "rt");
  EXPECT_EQ(p.type, "ty");
  EXPECT_EQ(p.expiration, 5ms);
  EXPECT_EQ(p.priority, std::uint8_t{0});
  const auto headers = view.headers();
  ASSERT_EQ(headers.size(), 3U);
  EXPECT_EQ(headers[0].name, "twice");
  EXPECT_EQ(headers[1].name, "raw");
  EXPECT_EQ(std::get<std::span<const std::byte>>(headers[1].value).size(), 300U);
  EXPECT_EQ(std::get<std::int64_t>(headers[2].value), 2);
  EXPECT_EQ(std::get<std::string_view>(*view.header("twice")), "first");
  EXPECT_EQ(view.header("twic"), std::nullopt);
}

TEST(RecordCodec, TellsAnAbsentFieldFromAZero) {
  const auto none = viewed_extras {
    ""
    } -> properties();
  EXPECT_EQ(none.expiration, std::nullopt);
  EXPECT_EQ(none.priority, std::nullopt);
  EXPECT_EQ(none.content_type, "");
  EXPECT_EQ(
      viewed_extras { "" } -> routing_key(), "");
  EXPECT_TRUE(viewed_extras { "" } -> headers().empty());
  record r{"v"};
  r.expiration(0ms);
  const std::string extras = extras_of(r);
  EXPECT_EQ(
      viewed_extras { extras } -> properties().expiration, 0ms);
  EXPECT_EQ(
      viewed_extras { extras } -> properties().priority, std::nullopt);
}

TEST(RecordCodec, ReadsNothingBeyondExtrasThatAreCutShort) {
  record r{"value"};
  r.header("name", std::string{"text"}).header("raw", binary(5)).header("at", timestamp{1us});
  r.content_type("ct")
      .message_id("mi")
      .correlation_id("ci")
      .reply_to("rt")
      .type("ty")
      .expiration(5ms)
      .priority(7);
  const std::string extras = extras_of(r, "key");
  for (std::size_t size = 0; size < extras.size(); ++size) {
    // In memory of its own, so that a sanitizer sees a read beyond it.
    const std::vector<char> cut(extras.begin(), extras.begin() + static_cast<std::ptrdiff_t>(size));
    const viewed_extras viewed{{cut.data(), cut.size()}};
    const record_view& view = viewed.view();
    EXPECT_LE(view.headers().size(), 3U);
    EXPECT_LE(view.routing_key().size(), 3U);
    EXPECT_LE(view.properties().type.size(), 2U);
    static_cast<void>(view.header("at"));
  }
}

TEST(RecordCodec, StopsAtAFieldThatItDoesNotKnow) {
  record r{"v"};
  r.type("ty");
  const std::string known = extras_of(r);
  const std::string later = known + std::string{"\x7f\x08\x01x", 4};
  EXPECT_EQ(
      viewed_extras { later } -> properties().type, "ty")
      << "what stands before it is read";
  EXPECT_EQ(
      viewed_extras { later } -> routing_key(), "")
      << "what follows it is not";
}

TEST(RecordCodec, CopiesAViewIntoARecordOfItsOwn) {
  record r{"key", "value"};
  r.header("none", {}).header("raw", binary{std::byte{1}}).header("text", std::string{"t"});
  r.content_type("ct").priority(3);
  const std::string extras = extras_of(r);
  const auto bytes = encoded(ok(source_of(r, extras)));
  const auto batch = batch_of(bytes);
  const record copy{*batch.begin()};
  EXPECT_EQ(copy.key(), "key");
  EXPECT_EQ(copy.value(), "value");
  EXPECT_EQ(extras_of(copy), extras);
  const auto gone = batch_of(encoded({.key = "k", .has_key = true, .is_tombstone = true}));
  EXPECT_EQ(record{*gone.begin()}.value(), std::nullopt);
  EXPECT_EQ(record{*gone.begin()}.key(), "k");
}

}  // namespace
}  // namespace levada::log::test
