/// @file
/// What RabbitMQ does where one may doubt it. levada's own tests hold the same tables.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <rabbitmq/rabbit_broker.hpp>
#include <rabbitmq/shared_server.hpp>

namespace levada::rabbit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RabbitFacts : public with_server {
 protected:
  void SetUp() override {
    with_server::SetUp();
    if (!IsSkipped()) broker_.emplace(shared_server());
  }

  answer perform(const operation& op) {
    const answer a = broker_->perform(op);
    EXPECT_EQ(a.result, outcome::ok) << to_text(op);
    return a;
  }
  void exchange(const std::string& name, exchange_kind kind, std::optional<std::string> alternate = {}) {
    perform(declare_exchange{name, kind, std::move(alternate)});
  }
  void queue(const std::string& name, const queue_arguments& arguments = {}) {
    perform(declare_queue{name, arguments, false});
  }
  answer send(const std::string& to, const std::string& key, const std::string& body = "m") {
    return perform(publish{to, key, {}, {}, false, true, body});
  }
  message take(const std::string& from) {
    const answer a = perform(get{from, true});
    return a.delivered ? a.delivered->message : message{};
  }
  std::vector<std::string> bodies(const std::string& from) {
    std::vector<std::string> all;
    for (answer a = broker_->perform(get{from, true}); a.delivered; a = broker_->perform(get{from, true})) {
      all.push_back(a.delivered->message.body);
    }
    return all;
  }

  std::optional<rabbit_broker> broker_;
};

TEST_F(RabbitFacts, WordsOfTopics) {
  struct row {
    const char* pattern;
    const char* key;
    bool matches;
  };
  const std::vector<row> table{
      {"*", "a", true},          {"*", "", false},         {"*", ".", false},      {"a.*", "a.", true},
      {"a.*", "a", false},       {"a.#", "a", true},       {"a.#", "a.b.c", true}, {"a.#", "b.a", false},
      {"#.b", "b", true},        {"#.b", ".b", true},      {"#.b", "b.", false},   {"a.#.b", "a.b", true},
      {"a.#.b", "a..x.b", true}, {"a.#.b", "a.b.", false}, {"#.*", "a", true},     {"#.*", "", false},
      {"a#b", "a#b", true},      {"a#b", "ab", false},     {"#", "", true},        {"*.*", ".", true},
      {"#.#", "a", true},        {"a", "*", false}};
  queue("q");
  int number = 0;
  for (const row& r : table) {
    const std::string name = fmt::format("t{}", number++);
    exchange(name, exchange_kind::topic);
    perform(bind{name, "q", false, r.pattern, {}});
    EXPECT_EQ(!send(name, r.key).returned, r.matches) << r.pattern << " and " << r.key;
  }
}

TEST_F(RabbitFacts, MatchesOfHeaders) {
  const field_value one = std::int64_t{1};
  const auto with = [&](const char* text, field_table rest) {
    rest.insert(rest.begin(), {"x-match", std::string{text}});
    return rest;
  };
  struct row {
    field_table binding;
    field_table headers;
    bool matches;
  };
  const std::vector<row> table{
      {{}, {}, true},
      {with("all", {}), {{"h", one}}, true},
      {with("any", {}), {{"h", one}}, false},
      {{{"h", one}}, {{"h", one}}, true},
      {{{"h", one}, {"k", one}}, {{"h", one}}, false},
      {with("any", {{"h", one}, {"k", one}}), {{"h", one}}, true},
      {with("all", {{"h", {}}}), {{"h", std::string{"whatever"}}}, true},
      {with("all", {{"h", {}}}), {}, false},
      {with("all", {{"x-h", one}}), {}, true},
      {with("any", {{"x-h", one}}), {{"x-h", one}}, false},
      {with("all-with-x", {{"x-h", one}}), {}, false},
      {with("all-with-x", {{"x-h", one}}), {{"x-h", one}}, true},
      {with("any-with-x", {{"x-h", one}}), {{"x-h", one}}, true},
      // Numbers compare by value; later versions compare types too.
      {with("all", {{"h", one}}), {{"h", 1.0}}, true},
      {with("all", {{"h", one}}), {{"h", std::string{"1"}}}, false},
      {with("all", {{"h", one}}), {{"h", true}}, false},
  };
  queue("q");
  int number = 0;
  for (const row& r : table) {
    const std::string name = fmt::format("h{}", number++);
    exchange(name, exchange_kind::headers);
    perform(bind{name, "q", false, "", r.binding});
    const answer a = perform(publish{name, "", r.headers, {}, false, true, "m"});
    EXPECT_EQ(!a.returned, r.matches) << to_text(r.binding) << " and " << to_text(r.headers);
  }
  const answer nonsense = broker_->perform(bind{"h0", "q", false, "", with("some", {})});
  EXPECT_EQ(nonsense.result, outcome::precondition_failed);
}

TEST_F(RabbitFacts, OneCopyForAQueueHoweverManyBindings) {
  exchange("t", exchange_kind::topic);
  exchange("f", exchange_kind::fanout);
  queue("q");
  for (const char* key : {"a", "*", "#"}) perform(bind{"t", "q", false, key, {}});
  perform(bind{"t", "f", true, "a", {}});
  perform(bind{"f", "q", false, "", {}});
  perform(bind{"f", "t", true, "", {}});
  send("t", "a", "once");
  EXPECT_THAT(bodies("q"), ElementsAre("once"));
}

TEST_F(RabbitFacts, AnAlternateExchangeCountsAsRouted) {
  exchange("other", exchange_kind::fanout);
  exchange("e", exchange_kind::direct, "other");
  queue("q");
  EXPECT_TRUE(send("e", "k").returned);
  perform(bind{"other", "q", false, "", {}});
  EXPECT_FALSE(send("e", "k").returned);
  EXPECT_EQ(take("q").exchange, "e");
}

TEST_F(RabbitFacts, ABindingToADeadEndSuppressesTheAlternateExchange) {
  exchange("other", exchange_kind::fanout);
  exchange("dead_end", exchange_kind::fanout);
  exchange("e", exchange_kind::direct, "other");
  queue("q");
  perform(bind{"other", "q", false, "", {}});
  perform(bind{"e", "dead_end", true, "k", {}});
  EXPECT_TRUE(send("e", "k").returned);
  EXPECT_FALSE(send("e", "another").returned);
}

TEST_F(RabbitFacts, DropHeadDeadLettersTheOldest) {
  queue("dead");
  queue_arguments a;
  a.length_max = 1;
  a.dead_letter_exchange = "";
  a.dead_letter_key = "dead";
  queue("q", a);
  EXPECT_EQ(send("", "q", "old").confirm, verdict::confirmed);
  EXPECT_EQ(send("", "q", "new").confirm, verdict::confirmed);
  const message m = take("dead");
  EXPECT_EQ(m.body, "old");
  EXPECT_EQ(m.key, "dead");
  EXPECT_THAT(m.deaths, ElementsAre(death{"q", "maxlen", 1, "", {"q"}, {}}));
  EXPECT_EQ(m.first, (first_death{"q", "maxlen", ""}));
  EXPECT_THAT(bodies("q"), ElementsAre("new"));
}

TEST_F(RabbitFacts, LimitsCountReadyMessagesOnlyAndAreKeptWhenAMessageReturns) {
  queue_arguments a;
  a.length_max = 1;
  queue("q", a);
  send("", "q", "a");
  perform(get{"q", false});
  send("", "q", "b");
  EXPECT_EQ(broker_->depth("q"), 1U);
  perform(settle{"q", 0, settlement::nack, false, true});
  EXPECT_THAT(bodies("q"), ElementsAre("b"));
}

TEST_F(RabbitFacts, RejectPublishNacksAndOtherQueuesKeepTheirCopy) {
  exchange("f", exchange_kind::fanout);
  queue_arguments a;
  a.length_max = 1;
  a.when_full = overflow::reject_publish;
  queue("full", a);
  queue("free");
  perform(bind{"f", "full", false, "", {}});
  perform(bind{"f", "free", false, "", {}});
  EXPECT_EQ(send("f", "", "a").confirm, verdict::confirmed);
  EXPECT_EQ(send("f", "", "b").confirm, verdict::nacked);
  EXPECT_THAT(bodies("full"), ElementsAre("a"));
  EXPECT_THAT(bodies("free"), ElementsAre("a", "b"));
}

TEST_F(RabbitFacts, RejectPublishDlxDeadLettersWhatItNacks) {
  queue("dead");
  queue_arguments a;
  a.length_max = 0;
  a.when_full = overflow::reject_publish_dlx;
  a.dead_letter_exchange = "";
  a.dead_letter_key = "dead";
  queue("q", a);
  EXPECT_EQ(send("", "q", "m").confirm, verdict::nacked);
  const message m = take("dead");
  EXPECT_EQ(m.body, "m");
  EXPECT_THAT(m.deaths, ElementsAre(death{"q", "maxlen", 1, "", {"q"}, {}}));
}

TEST_F(RabbitFacts, TtlZeroExpiresAndIsRemovedFromTheMessage) {
  queue("dead");
  queue_arguments a;
  a.dead_letter_exchange = "";
  a.dead_letter_key = "dead";
  queue("q", a);
  perform(publish{"", "q", {}, {}, true, true, "m"});
  EXPECT_EQ(broker_->depth("q"), 0U);
  const message m = take("dead");
  EXPECT_EQ(m.expiration, std::nullopt);
  EXPECT_THAT(m.deaths, ElementsAre(death{"q", "expired", 1, "", {"q"}, "0"}));
}

TEST_F(RabbitFacts, ExpiryActsAtTheHeadOnly) {
  queue("q");
  send("", "q", "live");
  perform(publish{"", "q", {}, {}, true, false, "expired"});
  EXPECT_EQ(broker_->depth("q"), 2U);
  perform(get{"q", false});
  EXPECT_EQ(broker_->depth("q"), 0U);
  perform(settle{"q", 0, settlement::nack, false, true});
  EXPECT_THAT(bodies("q"), ElementsAre("live"));
}

TEST_F(RabbitFacts, PriorityLevelsExpireApart) {
  queue_arguments a;
  a.priority_max = std::uint8_t{2};
  queue("q", a);
  perform(publish{"", "q", {}, std::uint8_t{2}, false, false, "high"});
  perform(publish{"", "q", {}, std::uint8_t{1}, true, false, "expired"});
  perform(publish{"", "q", {}, std::uint8_t{9}, false, false, "highest there is"});
  perform(publish{"", "q", {}, {}, false, false, "low"});
  EXPECT_EQ(broker_->depth("q"), 4U);
  EXPECT_THAT(bodies("q"), ElementsAre("high", "highest there is", "low"));
}

TEST_F(RabbitFacts, DeathsAreCountedByQueueAndReasonTheNewestFirst) {
  queue_arguments a;
  a.dead_letter_exchange = "";
  a.dead_letter_key = "b";
  queue("a", a);
  a.dead_letter_key = "a";
  a.expire_at_once = true;
  queue("b", a);
  send("", "a");
  for (int i = 0; i < 2; ++i) {
    perform(get{"a", false});
    perform(settle{"a", 0, settlement::reject, false, false});
  }
  const message m = take("a");
  EXPECT_THAT(m.deaths,
              ElementsAre(death{"b", "expired", 2, "", {"b"}, {}}, death{"a", "rejected", 2, "", {"a"}, {}}));
  EXPECT_EQ(m.first, (first_death{"a", "rejected", ""}));
}

// Later versions keep the newest first. `broker::perform` therefore forgets the order of the older ones, and
// so this asks the client.
TEST_F(RabbitFacts, OlderDeathsAreTurnedRoundByEachDeath) {
  virtual_host host{shared_server()};
  rabbit_client client{shared_server().port(), host.name()};
  EXPECT_EQ(client.declare_queue(1, "d").code, 0);
  for (const auto& [name, next] : std::map<std::string, std::string>{{"a", "b"}, {"b", "c"}, {"c", "d"}}) {
    const field_table arguments{{"x-message-ttl", std::int64_t{0}},
                                {"x-dead-letter-exchange", std::string{}},
                                {"x-dead-letter-routing-key", next}};
    EXPECT_EQ(client.declare_queue(1, name, {}, arguments).code, 0);
  }
  EXPECT_EQ(client.publish(2, "", "a", {}).confirm, verdict::confirmed);
  host.settle();
  const get_reply r = client.get(3, "d", true);
  ASSERT_TRUE(r.delivered);
  std::vector<std::string> queues;
  for (const death& d : r.delivered->message.deaths) queues.push_back(d.queue);
  EXPECT_THAT(queues, ElementsAre("c", "a", "b"));
}

TEST_F(RabbitFacts, ACycleWithoutARejectionIsCut) {
  queue_arguments a;
  a.expire_at_once = true;
  a.dead_letter_exchange = "";
  a.dead_letter_key = "b";
  queue("a", a);
  a.dead_letter_key = "a";
  queue("b", a);
  EXPECT_EQ(send("", "a").confirm, verdict::confirmed);
  EXPECT_EQ(broker_->depth("a"), 0U);
  EXPECT_EQ(broker_->depth("b"), 0U);
}

TEST_F(RabbitFacts, AMissingDeadLetterExchangeDropsSilently) {
  queue_arguments a;
  a.dead_letter_exchange = "missing";
  queue("q", a);
  send("", "q");
  perform(get{"q", false});
  perform(settle{"q", 0, settlement::reject, false, false});
  EXPECT_EQ(broker_->depth("q"), 0U);
}

TEST_F(RabbitFacts, WhatMayNotBeDoneToTheDefaultExchange) {
  queue("q");
  EXPECT_EQ(broker_->perform(bind{"", "q", false, "k", {}}).result, outcome::refused);
  EXPECT_EQ(broker_->perform(declare_exchange{"", exchange_kind::direct, {}}).result, outcome::refused);
  EXPECT_EQ(broker_->perform(delete_exchange{"amq.direct"}).result, outcome::refused);
}

TEST_F(RabbitFacts, WhatIsDeletedOrUnboundTwice) {
  exchange("e", exchange_kind::direct);
  queue("q");
  EXPECT_EQ(broker_->perform(unbind{"e", "q", false, "never bound", {}}).result, outcome::ok);
  EXPECT_EQ(broker_->perform(unbind{"e", "missing", false, "k", {}}).result, outcome::ok);
  EXPECT_EQ(broker_->perform(unbind{"missing", "q", false, "k", {}}).result, outcome::ok);
  EXPECT_EQ(broker_->perform(delete_queue{"missing"}).result, outcome::ok);
  EXPECT_EQ(broker_->perform(delete_exchange{"missing"}).result, outcome::ok);
  EXPECT_EQ(broker_->perform(purge{"missing"}).result, outcome::not_found);
}

TEST_F(RabbitFacts, AnAutoDeleteExchangeGoesWithItsLastBinding) {
  perform(declare_exchange{"e", exchange_kind::fanout, {}, true});
  queue("q");
  perform(bind{"e", "q", false, "", {}});
  perform(delete_queue{"q"});
  EXPECT_EQ(broker_->perform(declare_exchange{"e", exchange_kind::fanout, {}, false, false, true}).result,
            outcome::not_found);
}

}  // namespace
}  // namespace levada::rabbit
