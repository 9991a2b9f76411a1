#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

class Declaring : public bus_fixture {};

TEST_F(Declaring, IsRepeatableWithTheSameOptionsAndRefusedWithOthers) {
  ok(the_bus().declare_topic("orders", {.partitions = 3}));
  EXPECT_EQ(ok(the_bus().declare_topic("orders", {.partitions = 3})).partitions(), 3U);
  const auto other = the_bus().declare_topic("orders", {.partitions = 4});
  ASSERT_THAT(other, fails_with(errc::inequivalent));
  EXPECT_THAT(other.error().message(), ::testing::HasSubstr("3 partitions"));
  EXPECT_THAT(the_bus().declare_exchange("orders"), fails_with(errc::inequivalent));
  ok(the_bus().declare_exchange("events", {.type = exchange_type::fanout}));
  EXPECT_THAT(the_bus().declare_exchange("events", {.type = exchange_type::fanout}), succeeds());
  EXPECT_THAT(the_bus().declare_exchange("events", {.type = exchange_type::topic}),
              fails_with(errc::inequivalent));
  EXPECT_THAT(the_bus().declare_topic("events"), fails_with(errc::inequivalent));
}

TEST_F(Declaring, RefusesNamesThatAreNone) {
  const std::string long_name(256, 'n');
  for (const std::string& name :
       {std::string{}, long_name, std::string{"a\nb"}, std::string{"a\0b", 3}, std::string{"\xff"},
        std::string{"\xc0\x80"}, std::string{"\xed\xa0\x80"}, std::string{"\x7f"}}) {
    EXPECT_THAT(the_bus().declare_topic(name), fails_with(errc::name_invalid));
    EXPECT_THAT(the_bus().declare_exchange(name), fails_with(errc::name_invalid));
    EXPECT_THAT(the_bus().declare_queue(name), fails_with(errc::name_invalid));
  }
  const auto refused = the_bus().declare_topic(long_name);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("256"));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("255"));
  EXPECT_THAT(the_bus().declare_topic(std::string(255, 'n')), succeeds());
  EXPECT_THAT(the_bus().declare_topic("stra\xc3\x9f"
                                      "e/../.. \xf0\x9f\x90\x9f"),
              succeeds());
  EXPECT_THAT(the_bus().declare_queue("amq.mine"), fails_with(errc::name_invalid));
}

TEST_F(Declaring, BoundsPartitions) {
  EXPECT_THAT(the_bus().declare_topic("none", {.partitions = 0}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().declare_topic("many", {.partitions = 4097}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().declare_topic("most", {.partitions = 4096}), succeeds());
}

TEST_F(Declaring, OutlivesTheProcess) {
  ok(the_bus().declare_topic("orders", {.partitions = 3}));
  ok(the_bus().declare_exchange("events", {.type = exchange_type::direct, .partitions = 2}));
  ok(the_bus().declare_queue("work"));
  ok(the_bus().bind("events", "work", "a"));
  ok(the_bus().bind("events", "work", "b"));
  ok(the_bus().unbind("events", "work", "b"));
  reopen();
  const auto topics = ok(the_bus().topics());
  ASSERT_EQ(topics.size(), 2U);
  EXPECT_EQ(topics[0].name, "events");
  EXPECT_TRUE(topics[0].is_exchange);
  EXPECT_EQ(topics[1].name, "orders");
  EXPECT_EQ(topics[1].partitions.size(), 3U);
  const auto exchanges = ok(the_bus().exchanges());
  ASSERT_EQ(exchanges.size(), 2U);
  EXPECT_EQ(exchanges[0].name, "");  // the default exchange
  EXPECT_EQ(exchanges[1].options.type, exchange_type::direct);
  EXPECT_EQ(exchanges[1].options.partitions, 2U);
  EXPECT_EQ(exchanges[1].bindings, 1U);
  const auto bindings = ok(the_bus().bindings());
  ASSERT_EQ(bindings.size(), 1U);
  EXPECT_EQ(bindings[0].key, "a");
  EXPECT_EQ(ok(the_bus().queues()).size(), 1U);
}

TEST_F(Declaring, ListsNamesThatNeedManyPages) {
  for (int i = 0; i < 300; ++i)
    ok(the_bus().declare_topic("topic-" + std::to_string(1000 + i) + std::string(200, 'x')));
  reopen();
  const auto topics = ok(the_bus().topics());
  ASSERT_EQ(topics.size(), 300U);
  EXPECT_TRUE(topics[0].name.starts_with("topic-1000"));
}

TEST_F(Declaring, RefusesWhatIsMissing) {
  ok(the_bus().declare_topic("plain"));
  ok(the_bus().declare_exchange("events"));
  ok(the_bus().declare_queue("work"));
  EXPECT_THAT(the_bus().bind("absent", "work", "k"), fails_with(errc::unknown_exchange));
  EXPECT_THAT(the_bus().bind("plain", "work", "k"), fails_with(errc::unknown_exchange));
  EXPECT_THAT(the_bus().bind("events", "absent", "k"), fails_with(errc::unknown_queue));
  EXPECT_THAT(the_bus().bind("events", "work", std::string(256, 'k')), fails_with(errc::field_too_long));
  EXPECT_THAT(the_bus().unbind("events", "work", "never"), succeeds());
  EXPECT_THAT(the_bus().consume("absent"), fails_with(errc::unknown_queue));
  EXPECT_THAT(the_bus().delete_queue("absent"), fails_with(errc::unknown_queue));
  EXPECT_THAT(the_bus().topic("events"), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().join("g", {"absent"}), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().join("g", {}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().join("", {"plain"}), fails_with(errc::name_invalid));
  EXPECT_TRUE(ok(the_bus().groups()).empty()) << "a refused join leaves no group behind";
}

}  // namespace
}  // namespace levada::test
