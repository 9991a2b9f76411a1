#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

class Publishing : public bus_fixture {};

TEST_F(Publishing, TellsWhereARecordWent) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 4}));
  const auto first = ok(orders.publish(partition_id{2}, record{"a"}));
  EXPECT_EQ(first.topic, "orders");
  EXPECT_EQ(first.partition, partition_id{2});
  EXPECT_EQ(first.offset, offset{0});
  EXPECT_EQ(first.routed, 0U);
  EXPECT_EQ(first.time, the_clock().wall());
  EXPECT_EQ(ok(orders.publish(partition_id{2}, record{"b"})).offset, offset{1});
  EXPECT_EQ(ok(orders.publish(partition_id{3}, record{"c"})).offset, offset{0});
}

TEST_F(Publishing, SendsOneKeyToOnePartitionAlways) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 8}));
  for (const std::string key : {"a", "b", "line-7", ""}) {
    const auto where = ok(orders.publish(record{key, "1"})).partition;
    EXPECT_EQ(where, partition_for_key(key, 8));
    EXPECT_EQ(ok(orders.publish(record{key, "2"})).partition, where);
  }
}

TEST_F(Publishing, SpreadsRecordsWithoutKeyOverThePartitionsInTurn) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 3}));
  std::vector<int> counts(3);
  for (int i = 0; i < 9; ++i) ++counts[ok(orders.publish(record{"x"})).partition.value()];
  EXPECT_EQ(counts, (std::vector<int>{3, 3, 3}));
}

TEST_F(Publishing, KeepsEverythingThatARecordCarries) {
  auto orders = ok(the_bus().declare_topic("orders"));
  record sent{"key", std::string{"va\0lue", 6}};
  sent.header("none", {})
      .header("flag", true)
      .header("count", std::int64_t{-5})
      .header("ratio", 0.25)
      .header("text", std::string{"t\xc3\xa4xt"})
      .header("raw", binary{std::byte{0}, std::byte{255}})
      .header("at", timestamp{std::chrono::microseconds{-1}})
      .header("text", std::string{"again"});
  sent.content_type("application/json")
      .message_id("m-1")
      .correlation_id("c-1")
      .reply_to("replies")
      .type("order.created")
      .expiration(std::chrono::milliseconds{1500})
      .priority(9);
  ok(orders.publish(sent));

  auto reader = ok(the_bus().replay("orders"));
  const auto batch = ok(reader.next());
  ASSERT_EQ(batch.size(), 1U);
  const record_view got = *batch.begin();
  EXPECT_EQ(got.topic(), "orders");
  EXPECT_EQ(got.key(), "key");
  EXPECT_EQ(got.value(), (std::string_view{"va\0lue", 6}));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(got.value().data()) % 8, 0U);
  EXPECT_EQ(got.time(), the_clock().wall());
  ASSERT_EQ(got.headers().size(), 8U);
  EXPECT_EQ(std::get<bool>(*got.header("flag")), true);
  EXPECT_EQ(std::get<std::int64_t>(*got.header("count")), -5);
  EXPECT_EQ(std::get<double>(*got.header("ratio")), 0.25);
  EXPECT_EQ(std::get<std::string_view>(*got.header("text")), "t\xc3\xa4xt");
  EXPECT_EQ(std::get<timestamp>(*got.header("at")), timestamp{std::chrono::microseconds{-1}});
  EXPECT_EQ(got.header("absent"), std::nullopt);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(*got.header("none")));
  const auto p = got.properties();
  EXPECT_EQ(p.content_type, "application/json");
  EXPECT_EQ(p.message_id, "m-1");
  EXPECT_EQ(p.correlation_id, "c-1");
  EXPECT_EQ(p.reply_to, "replies");
  EXPECT_EQ(p.type, "order.created");
  EXPECT_EQ(p.expiration, std::chrono::milliseconds{1500});
  EXPECT_EQ(p.priority, 9);

  // A copy that is published again is the same in all of this.
  ok(orders.publish(record{got}));
  const auto again = ok(reader.next());
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again.begin()->key(), "key");
  EXPECT_EQ(again.begin()->value(), got.value());
  ASSERT_EQ(again.begin()->headers().size(), 8U);
  EXPECT_EQ(again.begin()->properties().priority, 9);
}

TEST_F(Publishing, TellsATombstoneFromAnEmptyValueAndNoKeyFromAnEmptyOne) {
  auto orders = ok(the_bus().declare_topic("orders"));
  ok(orders.publish(record::tombstone("k")));
  ok(orders.publish(record{"", ""}));
  ok(orders.publish(record{""}));
  const auto batch = ok(ok(the_bus().replay("orders")).next());
  auto at = batch.begin();
  EXPECT_TRUE(at->is_tombstone());
  EXPECT_TRUE(at->has_key());
  ++at;
  EXPECT_FALSE(at->is_tombstone());
  EXPECT_TRUE(at->has_key());
  ++at;
  EXPECT_FALSE(at->is_tombstone());
  EXPECT_FALSE(at->has_key());
}

TEST_F(Publishing, StoresRecordsOfEverySizeAroundARow) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  std::vector<std::string> sent;
  for (const std::size_t size : std::initializer_list<std::size_t>{0, 1, 7, 8, 1900, 1918, 1919, 1920, 1921,
                                                                   1928, 1936, 2008, 3840, 3872, 100'000}) {
    sent.emplace_back(size, static_cast<char>('a' + sent.size()));
    ok(orders.publish(partition_id{1}, record{sent.back()}));
    ok(orders.publish(partition_id{0}, record{"between"}));
  }
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.partition = partition_id{1}}))), sent);
  reopen();
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.partition = partition_id{1}}))), sent);
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))).size(), 2 * sent.size());
}

TEST_F(Publishing, TakesRecordsUpToTheLimitAndNotOneByteMore) {
  auto orders = ok(the_bus().declare_topic("orders"));
  constexpr std::size_t header = 16;
  const std::string largest((std::size_t{16} << 20) - header, 'x');
  ok(orders.publish(record{largest}));
  const auto refused = orders.publish(record{largest + "x"});
  ASSERT_THAT(refused, fails_with(errc::record_too_large));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("orders"));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("16777216"));
  const auto got = read_all(ok(the_bus().replay("orders")));
  ASSERT_EQ(got.size(), 1U);
  EXPECT_TRUE(got[0] == largest);
}

TEST_F(Publishing, RefusesFieldsBeyondTheirLimits) {
  auto orders = ok(the_bus().declare_topic("orders"));
  EXPECT_THAT(orders.publish(record{std::string(65'535, 'k'), "v"}), succeeds());
  EXPECT_THAT(orders.publish(record{std::string(65'536, 'k'), "v"}), fails_with(errc::field_too_long));
  EXPECT_THAT(orders.publish(record{"v"}.header(std::string(256, 'n'), true)),
              fails_with(errc::field_too_long));
  EXPECT_THAT(orders.publish(record{"v"}.header("", true)), fails_with(errc::name_invalid));
  record with_long_property{"v"};
  with_long_property.message_id(std::string(256, 'm'));
  const auto refused = orders.publish(with_long_property);
  ASSERT_THAT(refused, fails_with(errc::field_too_long));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("message_id"));
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))).size(), 1U);
}

TEST_F(Publishing, NamesTopicAndPartitionThatDoNotExist) {
  const auto no_topic = the_bus().publish("absent", record{"v"});
  ASSERT_THAT(no_topic, fails_with(errc::unknown_topic));
  EXPECT_THAT(no_topic.error().message(), ::testing::HasSubstr("absent"));
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  const auto no_partition = orders.publish(partition_id{2}, record{"v"});
  ASSERT_THAT(no_partition, fails_with(errc::unknown_partition));
  EXPECT_THAT(no_partition.error().message(), ::testing::HasSubstr("partition 2"));
}

TEST_F(Publishing, PublishesABatchAsOneRunPerPartition) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 3}));
  ok(orders.publish(partition_id{0}, record{"before"}));
  auto batch = orders.make_batch();
  std::vector<publish_batch::slot> slots;
  slots.reserve(101);
  for (int i = 0; i < 100; ++i)
    slots.push_back(ok(batch.add(partition_id{static_cast<unsigned>(i % 2)}, std::to_string(i))));
  slots.push_back(ok(batch.add("key", "keyed")));
  EXPECT_EQ(batch.size(), 101U);
  const auto receipt = ok(orders.publish(batch));
  EXPECT_TRUE(batch.empty());
  ASSERT_GE(receipt.ranges.size(), 2U);
  EXPECT_EQ(receipt.ranges[0].partition, partition_id{0});
  EXPECT_EQ(receipt.ranges[0].base_offset, offset{1});
  EXPECT_EQ(receipt.ranges[1].base_offset, offset{0});

  auto reader = ok(the_bus().replay("orders", {.from = offset{1}, .partition = partition_id{0}}));
  const auto got = ok(reader.next());
  EXPECT_EQ(got.begin()->value(), "0");
  EXPECT_EQ(slots[0].index, 0U);
  EXPECT_EQ(slots[2].index, 1U);
  EXPECT_EQ(slots[2].partition, partition_id{0});
}

TEST_F(Publishing, RefusesABatchOfAnotherTopicAndKeepsIt) {
  auto orders = ok(the_bus().declare_topic("orders"));
  auto other = ok(the_bus().declare_topic("other"));
  auto batch = other.make_batch();
  ok(batch.add("v"));
  EXPECT_THAT(orders.publish(batch), fails_with(errc::invalid_argument));
  EXPECT_EQ(batch.size(), 1U);
  EXPECT_THAT(other.publish(batch), succeeds());
  EXPECT_THAT(other.publish(batch), succeeds()) << "an empty batch";
  EXPECT_TRUE(read_all(ok(the_bus().replay("orders"))).empty());
}

TEST_F(Publishing, RefusesMoreThanABatchMayHold) {
  auto orders = ok(the_bus().declare_topic("orders"));
  auto batch = orders.make_batch();
  const std::string large(std::size_t{10} << 20, 'x');
  for (int i = 0; i < 6; ++i) ok(batch.add(large));
  EXPECT_THAT(batch.add(large), fails_with(errc::batch_too_large));
  EXPECT_EQ(batch.size(), 6U);
}

TEST_F(Publishing, SurvivesReopeningWithOffsetsGoingOn) {
  ok(ok(the_bus().declare_topic("orders")).publish(record{"first"}));
  reopen();
  EXPECT_EQ(ok(the_bus().publish("orders", record{"second"})).offset, offset{1});
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), (std::vector<std::string>{"first", "second"}));
}

TEST_F(Publishing, NeverLetsTimeFallWhenTheWallClockJumpsBack) {
  auto orders = ok(the_bus().declare_topic("orders"));
  const auto before = ok(orders.publish(record{"a"})).time;
  the_clock().set_wall(before - std::chrono::hours{1});
  EXPECT_GE(ok(orders.publish(record{"b"})).time, before);
  reopen();
  EXPECT_GE(ok(the_bus().publish("orders", record{"c"})).time, before);
}

}  // namespace
}  // namespace levada::test
