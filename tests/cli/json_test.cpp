#include <boost/json.hpp>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

using namespace std::string_literals;
namespace json = boost::json;

/// A record published as the only one of a topic, and what `tail --json` prints of it.
class Json : public command_fixture {
 protected:
  [[nodiscard]] std::string printed(const record& r) const {
    bus_options options;
    options.clock =
        std::make_shared<manual_clock>(timestamp{std::chrono::microseconds{1'769'860'800'000'001}});
    {
      auto owner = ok(bus::open(store(), options));
      ok(ok(owner.declare_topic("t")).publish(r));
    }
    return print({"tail", "t", "--json"});
  }
  [[nodiscard]] json::object parsed(const record& r) const { return json::parse(printed(r)).as_object(); }
};

TEST_F(Json, IsOneObjectALineWithAllFields) {
  EXPECT_EQ(printed(record{"k", "v"}),
            R"({"topic":"t","partition":0,"offset":0,"timestamp":"2026-01-31T12:00:00.000001Z",)"
            R"("routing_key":"","key":"k","value":"v","headers":[],"properties":{}})"
            "\n");
}

TEST_F(Json, KeepsALineALine) {
  produce("t", "a \"quoted\" \\ line\twith\x01\x7f bytes \xc3\xb6\0\n\n"s);
  const auto shown = print({"tail", "t", "--json"});
  const auto end = shown.find('\n');
  ASSERT_NE(end, std::string::npos);
  EXPECT_EQ(json::parse(shown.substr(0, end)).at("value").as_string(),
            "a \"quoted\" \\ line\twith\x01\x7f bytes \xc3\xb6\0"s);
  EXPECT_EQ(json::parse(shown.substr(end + 1)).at("value").as_string(), "");
  EXPECT_EQ(json::parse(shown.substr(end + 1)).at("offset").to_number<int>(), 1);
}

TEST_F(Json, TellsAMissingKeyFromAnEmptyOne) {
  EXPECT_TRUE(parsed(record{"v"}).at("key").is_null());
  produce("e", ":v\n", {"--key-separator", ":"});
  EXPECT_EQ(json::parse(print({"tail", "e", "--json"})).at("key").as_string(), "");
}

TEST_F(Json, TellsATombstoneFromAnEmptyValue) {
  EXPECT_TRUE(parsed(record::tombstone("k")).at("value").is_null());
  produce("e", "\n");
  EXPECT_EQ(json::parse(print({"tail", "e", "--json"})).at("value").as_string(), "");
}

TEST_F(Json, ShowsBytesThatAreNoTextAsBase64) {
  const auto shown = parsed(record{"\xff", "a\x80"}.header("h", "\xfe"s));
  EXPECT_FALSE(shown.contains("key") || shown.contains("value"));
  EXPECT_EQ(shown.at("key_base64").as_string(), "/w==");
  EXPECT_EQ(shown.at("value_base64").as_string(), "YYA=");
  EXPECT_EQ(json::serialize(shown.at("headers")), R"([{"name":"h","value_base64":"/g=="}])");
}

TEST_F(Json, ShowsHeadersInOrderWithTheirTypes) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  const auto infinity = std::numeric_limits<double>::infinity();
  record r{"v"};
  r.header("a", std::monostate{}).header("a", true).header("i", std::numeric_limits<std::int64_t>::min());
  r.header("d", 0.5).header("nan", nan).header("up", infinity).header("down", -infinity).header("s", "text"s);
  r.header("b", binary{std::byte{0}, std::byte{255}}).header("t", timestamp{});
  EXPECT_EQ(
      json::serialize(parsed(r).at("headers")),
      R"([{"name":"a","value":null},{"name":"a","value":true},{"name":"i","value":-9223372036854775808},)"
      R"({"name":"d","value":5E-1},{"name":"nan","value":"NaN"},{"name":"up","value":"Infinity"},)"
      R"({"name":"down","value":"-Infinity"},{"name":"s","value":"text"},)"
      R"({"name":"b","value_base64":"AP8="},{"name":"t","time":"1970-01-01T00:00:00.000000Z"}])");
}

TEST_F(Json, ShowsThePropertiesThatAreSet) {
  properties p;
  p.content_type = "text/plain";
  p.message_id = "1";
  p.correlation_id = "2";
  p.reply_to = "desk";
  p.type = "order";
  p.expiration = std::chrono::milliseconds{1500};
  p.priority = std::uint8_t{9};
  EXPECT_EQ(json::serialize(parsed(record{"v"}.properties(p)).at("properties")),
            R"({"content_type":"text/plain","message_id":"1","correlation_id":"2","reply_to":"desk",)"
            R"("type":"order","expiration_ms":1500,"priority":9})");
}

TEST_F(Json, ShowsTheRoutingKeyOfAMessage) {
  {
    auto owner = ok(bus::open(store()));
    ok(owner.declare_exchange("events"));
    ok(owner.publish("events", "a.b", record{"m"}));
  }
  const auto shown = json::parse(print({"tail", "events", "--json"}));
  EXPECT_EQ(shown.at("topic").as_string(), "events");
  EXPECT_EQ(shown.at("routing_key").as_string(), "a.b");
}

TEST_F(Json, ShowsValuesOfAnySize) {
  const std::string value = "\n" + std::string(1'000'000, '\\');
  EXPECT_TRUE(parsed(record{value}).at("value").as_string() == value);
}

TEST_F(Json, NamesPartitionAndOffsetOfEachRecord) {
  produce("t", "a\nb\n", {"--partitions", "3", "--partition", "2"});
  EXPECT_THAT(print({"tail", "t", "--json", "--from", "1", "--partition", "2"}),
              ::testing::StartsWith(R"({"topic":"t","partition":2,"offset":1,)"));
}

}  // namespace
}  // namespace levada::test
