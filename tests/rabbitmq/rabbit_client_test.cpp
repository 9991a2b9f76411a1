#include <rabbitmq/rabbit_client.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include <rabbitmq/shared_server.hpp>

namespace levada::rabbit {
namespace {

constexpr channel topology = 1;
constexpr channel publishing = 2;
constexpr channel consuming = 3;

/// A client in a virtual host of its own, with queue "q".
class RabbitClient : public with_server {
 protected:
  void SetUp() override {
    with_server::SetUp();
    if (IsSkipped()) return;
    host.emplace(shared_server());
    client.emplace(shared_server().port(), host->name());
    ASSERT_EQ(client->declare_queue(topology, "q").code, 0);
  }

  void send(const std::string& body) {
    outgoing what;
    what.body = body;
    ASSERT_EQ(client->publish(publishing, "", "q", what).confirm, verdict::confirmed);
  }
  [[nodiscard]] std::uint64_t take(const std::string& body) {
    const get_reply r = client->get(consuming, "q", false);
    EXPECT_TRUE(r.delivered && r.delivered->message.body == body) << body;
    return r.tag;
  }
  [[nodiscard]] std::uint32_t depth() {
    host->settle();
    return client->declare_queue(topology, "q", {.passive = true}).count;
  }

  std::optional<virtual_host> host;
  std::optional<rabbit_client> client;
};

TEST_F(RabbitClient, HandsOnWhatWasPublished) {
  ASSERT_EQ(client->declare_exchange(topology, "e", "direct").code, 0);
  ASSERT_EQ(client->bind_queue(topology, "q", "e", "k").code, 0);
  outgoing what;
  what.headers = {{"b", false}, {"a", std::string{"text"}}, {"c", std::int64_t{-7}}, {"d", 0.5}, {"e", {}}};
  what.priority = std::uint8_t{3};
  what.expiration = "60000";
  what.body = std::string{"zero \0 inside", 13};
  EXPECT_EQ(client->publish(publishing, "e", "k", what).confirm, verdict::confirmed);
  send("second");

  const get_reply r = client->get(consuming, "q", true);
  ASSERT_TRUE(r.delivered);
  EXPECT_EQ(r.delivered->queue, "q");
  EXPECT_FALSE(r.delivered->redelivered);
  EXPECT_EQ(r.delivered->remaining, 1U);
  const message& m = r.delivered->message;
  EXPECT_EQ(m.exchange, "e");
  EXPECT_EQ(m.key, "k");
  EXPECT_EQ(m.headers,
            (field_table{
                {"a", std::string{"text"}}, {"b", false}, {"c", std::int64_t{-7}}, {"d", 0.5}, {"e", {}}}));
  EXPECT_EQ(m.priority, 3);
  EXPECT_EQ(m.expiration, "60000");
  EXPECT_EQ(m.body, what.body);
  EXPECT_TRUE(m.deaths.empty());
  EXPECT_FALSE(m.first);
}

TEST_F(RabbitClient, GetsNothingFromAnEmptyQueue) {
  const get_reply r = client->get(consuming, "q", false);
  EXPECT_EQ(r.result.code, 0);
  EXPECT_FALSE(r.delivered);
}

TEST_F(RabbitClient, ReportsWhatIsMissingAndGoesOn) {
  EXPECT_EQ(client->declare_queue(topology, "none", {.passive = true}).code, 404);
  EXPECT_EQ(client->declare_exchange(topology, "none", "direct", {.passive = true}).code, 404);
  EXPECT_EQ(client->bind_queue(topology, "q", "none", "k").code, 404);
  EXPECT_EQ(client->get(consuming, "none", false).result.code, 404);
  const publish_reply r = client->publish(publishing, "none", "k", {});
  EXPECT_EQ(r.result.code, 404);
  EXPECT_THAT(r.result.text, ::testing::HasSubstr("no exchange 'none'"));
  EXPECT_EQ(r.confirm, verdict::none);
  send("after all that");
  EXPECT_EQ(depth(), 1U);
}

TEST_F(RabbitClient, ReportsOtherArgumentsThanBefore) {
  EXPECT_EQ(client->declare_queue(topology, "q").code, 0);
  EXPECT_EQ(client->declare_queue(topology, "q", {}, {{"x-max-length", std::int64_t{1}}}).code, 406);
  EXPECT_EQ(client->declare_exchange(topology, "e", "direct").code, 0);
  EXPECT_EQ(client->declare_exchange(topology, "e", "topic").code, 406);
}

TEST_F(RabbitClient, ReportsAQueueThatIsExclusiveToAnother) {
  rabbit_client other{shared_server().port(), host->name()};
  EXPECT_EQ(other.declare_queue(topology, "own", {.exclusive = true}).code, 0);
  EXPECT_EQ(client->declare_queue(topology, "own", {.passive = true}).code, 405);
}

TEST_F(RabbitClient, PublishesToNoInternalExchange) {
  EXPECT_EQ(client->declare_exchange(topology, "e", "fanout", {.internal = true}).code, 0);
  EXPECT_EQ(client->publish(publishing, "e", "", {}).result.code, 403);
}

TEST_F(RabbitClient, DeletesOnlyWhatMayBeDeleted) {
  ASSERT_EQ(client->declare_exchange(topology, "e", "fanout").code, 0);
  ASSERT_EQ(client->bind_queue(topology, "q", "e", "").code, 0);
  EXPECT_EQ(client->delete_exchange(topology, "e", true).code, 406);
  send("m");
  EXPECT_EQ(client->delete_queue(topology, "q", false, true).code, 406);
  const reply deleted = client->delete_queue(topology, "q");
  EXPECT_EQ(deleted.code, 0);
  EXPECT_EQ(deleted.count, 1U);
  EXPECT_EQ(client->delete_exchange(topology, "e", true).code, 0);
}

TEST_F(RabbitClient, SettlesOneAndAllBefore) {
  for (const char* body : {"a", "b", "c"}) send(body);
  const std::uint64_t a = take("a");
  const std::uint64_t b = take("b");
  const std::uint64_t c = take("c");
  EXPECT_EQ(client->ack(consuming, b, true).code, 0);
  EXPECT_EQ(client->reject(consuming, c, true).code, 0);
  EXPECT_EQ(depth(), 1U);
  EXPECT_EQ(client->ack(consuming, a).code, 406);
}

TEST_F(RabbitClient, RequeuesToTheOriginalPosition) {
  for (const char* body : {"a", "b", "c"}) send(body);
  const std::uint64_t a = take("a");
  const std::uint64_t b = take("b");
  EXPECT_EQ(client->nack(consuming, a, false, true).code, 0);
  EXPECT_EQ(client->nack(consuming, b, false, true).code, 0);
  for (const char* body : {"a", "b", "c"}) {
    const get_reply r = client->get(consuming, "q", true);
    ASSERT_TRUE(r.delivered);
    EXPECT_EQ(r.delivered->message.body, body);
    EXPECT_EQ(r.delivered->redelivered, body[0] != 'c');
  }
}

TEST_F(RabbitClient, LosesItsDeliveriesWithItsChannel) {
  send("a");
  EXPECT_NE(take("a"), 0U);
  EXPECT_EQ(client->get(consuming, "none", false).result.code, 404);
  EXPECT_EQ(depth(), 1U);
}

TEST_F(RabbitClient, SeesAReturnBeforeTheConfirm) {
  outgoing what;
  what.body = "m";
  const publish_reply r = client->publish(publishing, "", "nowhere", what, true);
  EXPECT_EQ(r.confirm, verdict::confirmed);
  ASSERT_EQ(r.returned.size(), 1U);
  EXPECT_EQ(r.returned[0], (returned{312, "", "nowhere", "m"}));
  EXPECT_TRUE(client->publish(publishing, "", "nowhere", what, false).returned.empty());
}

TEST_F(RabbitClient, BindsExchangesAndUnbindsBoth) {
  ASSERT_EQ(client->declare_exchange(topology, "a", "fanout").code, 0);
  ASSERT_EQ(client->declare_exchange(topology, "b", "topic").code, 0);
  ASSERT_EQ(client->bind_exchange(topology, "b", "a", "").code, 0);
  ASSERT_EQ(client->bind_queue(topology, "q", "b", "#", {{"x", std::int64_t{1}}}).code, 0);
  EXPECT_TRUE(client->publish(publishing, "a", "k", {}, true).returned.empty());
  // The arguments belong to a binding's identity.
  EXPECT_EQ(client->unbind_queue(topology, "q", "b", "#").code, 0);
  EXPECT_TRUE(client->publish(publishing, "a", "k", {}, true).returned.empty());
  EXPECT_EQ(client->unbind_queue(topology, "q", "b", "#", {{"x", std::int64_t{1}}}).code, 0);
  EXPECT_EQ(client->publish(publishing, "a", "k", {}, true).returned.size(), 1U);
  EXPECT_EQ(client->unbind_exchange(topology, "b", "a", "").code, 0);
}

TEST_F(RabbitClient, PurgesWhatIsReady) {
  send("a");
  send("b");
  const std::uint64_t a = take("a");
  EXPECT_EQ(client->purge_queue(topology, "q").count, 1U);
  EXPECT_EQ(client->reject(consuming, a, true).code, 0);
  EXPECT_EQ(depth(), 1U);
}

TEST(RabbitClientAlone, SaysWhereNobodyListens) {
  EXPECT_THROW(rabbit_client(1, "/"), std::runtime_error);
}

}  // namespace
}  // namespace levada::rabbit
