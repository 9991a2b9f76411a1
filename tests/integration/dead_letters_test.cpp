#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

/// Waits for what happens without anybody asking for it.
constexpr milliseconds in_a_while{20'000};

class QueueLimits : public bus_fixture {
 protected:
  void queue(const std::string& name, const queue_options& options = {}) {
    ok(the_bus().declare_queue(name, options));
  }
  result<publish_receipt> send(const std::string& to, const std::string& value) {
    return the_bus().publish("", to, record{value});
  }
  std::vector<std::string> ready(const std::string& name) {
    std::vector<std::string> values;
    for (const auto& r : ok(the_bus().peek(name, 100))) values.emplace_back(r.value());
    return values;
  }
  std::uint64_t messages(const std::string& name) { return ok(the_bus().queue(name)).messages; }
  /// The next delivery, with its bytes; settled.
  delivery take(const std::string& name) {
    auto consumer = ok(the_bus().consume(name));
    auto d = ok(consumer.receive(in_a_while));
    EXPECT_TRUE(d.has_value());
    if (!d) return {};
    ok(consumer.ack(*d));
    return *d;
  }
  /// Gets one and rejects it.
  void reject_one(const std::string& name) {
    auto consumer = ok(the_bus().consume(name, {.prefetch = 1}));
    ok(consumer.nack(*ok(consumer.receive(at_once)), requeue::no));
  }
};
using DeadLetters = QueueLimits;
using DeliveryLimit = QueueLimits;
using Expiry = QueueLimits;

// Looking, and purging

TEST_F(QueueLimits, LooksAtMessagesWithoutTakingThem) {
  queue("q");
  for (const char* v : {"1", "2", "3"}) ok(send("q", v));
  EXPECT_THAT(ready("q"), ElementsAre("1", "2", "3"));
  EXPECT_EQ(ok(the_bus().peek("q", 2)).size(), 2U);
  auto consumer = ok(the_bus().consume("q", {.prefetch = 1}));
  EXPECT_EQ(ok(consumer.receive(at_once))->record().value(), "1");
  EXPECT_THAT(ready("q"), ElementsAre("2", "3"));
  consumer.close();
  EXPECT_THAT(ready("q"), ElementsAre("1", "2", "3")) << "back where it was";
  EXPECT_FALSE(ok(the_bus().consume("q").value().receive(at_once))->record().value().empty());
  EXPECT_THAT(the_bus().peek("none", 1), fails_with(errc::unknown_queue));
}

TEST_F(QueueLimits, PurgesWhatIsReadyAndNothingElse) {
  queue("q");
  for (int i = 0; i < 1'200; ++i) ok(send("q", std::to_string(i)));
  auto consumer = ok(the_bus().consume("q", {.prefetch = 1}));
  const auto held = ok(consumer.receive(at_once));
  EXPECT_EQ(ok(the_bus().purge_queue("q")), 1'199U);
  EXPECT_EQ(messages("q"), 1U);
  ok(consumer.nack(*held));
  EXPECT_THAT(ready("q"), ElementsAre("0"));
  reopen();
  EXPECT_THAT(ready("q"), ElementsAre("0"));
  EXPECT_EQ(ok(the_bus().purge_queue("q")), 1U);
  EXPECT_EQ(ok(the_bus().purge_queue("q")), 0U);
  expect_sound();
}

// Limits

TEST_F(QueueLimits, DropsTheOldestBeyondItsLength) {
  queue("q", {.max_length = 2});
  for (const char* v : {"1", "2", "3", "4"}) ok(send("q", v));
  EXPECT_THAT(ready("q"), ElementsAre("3", "4"));
  reopen();
  EXPECT_THAT(ready("q"), ElementsAre("3", "4"));
  expect_sound();
}

TEST_F(QueueLimits, DropsTheOldestBeyondItsBytes) {
  queue("q", {.max_length_bytes = 10});
  ok(send("q", "12345"));
  ok(send("q", "12345"));
  EXPECT_EQ(ok(the_bus().queue("q")).bytes, 10U);
  ok(send("q", "678"));
  EXPECT_THAT(ready("q"), ElementsAre("12345", "678"));
  ok(send("q", "more than ten bytes"));
  EXPECT_THAT(ready("q"), IsEmpty()) << "not even itself fits";
  EXPECT_EQ(ok(the_bus().queue("q")).bytes, 0U);
  expect_sound();
}

TEST_F(QueueLimits, CountsReadyMessagesOnly) {
  queue("q", {.max_length = 1});
  ok(send("q", "1"));
  auto consumer = ok(the_bus().consume("q", {.prefetch = 1}));
  const auto held = ok(consumer.receive(at_once));
  ok(send("q", "2"));
  EXPECT_EQ(messages("q"), 2U);
  ok(send("q", "3"));
  EXPECT_THAT(ready("q"), ElementsAre("3"));
  ok(consumer.ack(*held));
  EXPECT_EQ(messages("q"), 1U);
}

TEST_F(QueueLimits, DropsWithinOneCommitToo) {
  queue("q", {.max_length = 2});
  std::vector<message> all;
  for (int i = 0; i < 150; ++i) all.emplace_back("", "q", record{std::to_string(i)});
  ok(the_bus().publish(all));
  EXPECT_THAT(ready("q"), ElementsAre("148", "149"));
  queue("none", {.max_length = 0});
  EXPECT_EQ(ok(send("none", "v")).routed, 1U);
  EXPECT_THAT(ready("none"), IsEmpty());
  reopen();
  EXPECT_THAT(ready("q"), ElementsAre("148", "149"));
  expect_sound();
}

TEST_F(QueueLimits, RefusesForAllQueuesOrNone) {
  ok(the_bus().declare_exchange("e", {.type = exchange_type::fanout}));
  queue("full", {.max_length = 1, .overflow = overflow::reject_publish});
  queue("other");
  ok(the_bus().bind("e", "full", ""));
  ok(the_bus().bind("e", "other", ""));
  ok(the_bus().publish("e", "", record{"1"}));
  EXPECT_THAT(the_bus().publish("e", "", record{"2"}), fails_telling(errc::queue_full, "'full'"));
  EXPECT_THAT(ready("other"), ElementsAre("1"));
  EXPECT_EQ(read_all(ok(the_bus().replay("e"))).size(), 1U) << "it is stored nowhere";
  take("full");
  ok(the_bus().publish("e", "", record{"3"}));
  EXPECT_THAT(ready("other"), ElementsAre("1", "3"));
}

TEST_F(QueueLimits, RefusesForItselfWhereTheExchangeSaysSo) {
  ok(the_bus().declare_exchange("e", {.type = exchange_type::fanout, .overflow = overflow_scope::queue}));
  queue("full", {.max_length = 1, .overflow = overflow::reject_publish});
  queue("other");
  ok(the_bus().bind("e", "full", ""));
  ok(the_bus().bind("e", "other", ""));
  EXPECT_EQ(ok(the_bus().publish("e", "", record{"1"})).refused, 0U);
  const auto second = ok(the_bus().publish("e", "", record{"2"}));
  EXPECT_EQ(second.routed, 1U);
  EXPECT_EQ(second.refused, 1U);
  EXPECT_THAT(ready("other"), ElementsAre("1", "2"));
  EXPECT_THAT(ready("full"), ElementsAre("1"));
}

TEST_F(QueueLimits, TakesSeveralMessagesOrNoneWhereAQueueGetsFullMeanwhile) {
  queue("q", {.max_length = 2, .overflow = overflow::reject_publish});
  std::vector<message> three;
  for (const char* v : {"1", "2", "3"}) three.emplace_back("", "q", record{v});
  EXPECT_THAT(the_bus().publish(three), fails_telling(errc::queue_full, "number 2"));
  EXPECT_THAT(ready("q"), IsEmpty());
  three.pop_back();
  ok(the_bus().publish(three));
  EXPECT_THAT(the_bus().transact([](transaction& t) { return t.publish("", "q", record{"3"}); }),
              fails_with(errc::queue_full));
  EXPECT_THAT(ready("q"), ElementsAre("1", "2"));
}

TEST_F(QueueLimits, RefusesOptionsThatMeanNothing) {
  EXPECT_THAT(the_bus().declare_queue("q", {.message_ttl = milliseconds{-1}}),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().declare_queue("q", {.dead_letter_routing_key = "k"}),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().declare_queue("q", {.dead_letter_exchange = std::string(256, 'e')}),
              fails_with(errc::name_invalid));
  EXPECT_THAT(the_bus().queue("q"), fails_with(errc::unknown_queue));
}

TEST_F(QueueLimits, RefusesADeclarationThatDiffersAndSaysWhere) {
  const queue_options some{.message_ttl = seconds{5}, .max_length = 7, .dead_letter_exchange = "dlx"};
  queue("q", some);
  reopen();
  queue("q", some);
  EXPECT_THAT(the_bus().declare_queue("q"), fails_telling(errc::inequivalent, "message_ttl 5000, not none"));
  auto other = some;
  other.max_length = 8;
  EXPECT_THAT(the_bus().declare_queue("q", other), fails_telling(errc::inequivalent, "max_length 7, not 8"));
  other = some;
  other.max_length_bytes = 1;
  EXPECT_THAT(the_bus().declare_queue("q", other), fails_telling(errc::inequivalent, "max_length_bytes"));
  other = some;
  other.overflow = overflow::reject_publish;
  EXPECT_THAT(the_bus().declare_queue("q", other), fails_telling(errc::inequivalent, "overflow"));
  other = some;
  other.dead_letter_exchange = "";
  EXPECT_THAT(the_bus().declare_queue("q", other),
              fails_telling(errc::inequivalent, "dead_letter_exchange 'dlx', not ''"));
  other = some;
  other.dead_letter_routing_key = "k";
  EXPECT_THAT(the_bus().declare_queue("q", other),
              fails_telling(errc::inequivalent, "routing_key none, not 'k'"));
  other = some;
  other.delivery_limit = 3;
  EXPECT_THAT(the_bus().declare_queue("q", other),
              fails_telling(errc::inequivalent, "delivery_limit none, not 3"));
  other = some;
  other.durable = false;
  EXPECT_THAT(the_bus().declare_queue("q", other), fails_telling(errc::inequivalent, "durability"));
}

TEST_F(QueueLimits, ForgetsQueuesThatAreNotDurableWhenTheStoreIsOpened) {
  queue("passing", {.durable = false});
  ok(send("passing", "1"));
  reopen();
  EXPECT_THAT(the_bus().queue("passing"), fails_with(errc::unknown_queue));
  expect_sound();
}

// Dead letters

TEST_F(DeadLetters, KeepWhatTheyWereAndRememberWhatHappened) {
  ok(the_bus().declare_exchange("events", {.type = exchange_type::direct}));
  ok(the_bus().declare_exchange("graves", {.type = exchange_type::fanout}));
  queue("work", {.dead_letter_exchange = "graves"});
  queue("grave");
  ok(the_bus().bind("events", "work", "job"));
  ok(the_bus().bind("graves", "grave", ""));
  the_clock().advance(seconds{3});
  ok(the_bus().publish("events", "job",
                       record{"key", "value"}.header("a", "b").message_id("7").expiration(seconds{60})));
  reject_one("work");
  EXPECT_EQ(messages("work"), 0U);
  const auto d = take("grave");
  const record_view& r = d.record();
  EXPECT_EQ(r.topic(), "graves");
  EXPECT_EQ(r.routing_key(), "job");
  EXPECT_EQ(r.key(), "key");
  EXPECT_EQ(r.value(), "value");
  EXPECT_EQ(r.properties().message_id, "7");
  EXPECT_FALSE(r.properties().expiration.has_value());
  EXPECT_EQ(std::get<std::string_view>(*r.header("a")), "b");
  EXPECT_EQ(std::get<std::string_view>(*r.header("x-first-death-reason")), "rejected");
  const auto deaths = deaths_of(r);
  ASSERT_EQ(deaths.size(), 1U);
  EXPECT_EQ(deaths[0].queue, "work");
  EXPECT_EQ(deaths[0].reason, dead_letter_reason::rejected);
  EXPECT_EQ(deaths[0].exchange, "events");
  EXPECT_EQ(deaths[0].routing_key, "job");
  EXPECT_EQ(deaths[0].original_expiration, seconds{60});
  EXPECT_EQ(deaths[0].time, r.time());
}

TEST_F(DeadLetters, TakeTheRoutingKeyOfTheQueueWhereItHasOne) {
  queue("work", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(send("work", "v"));
  reject_one("work");
  EXPECT_THAT(ready("grave"), ElementsAre("v"));
  reopen();
  EXPECT_EQ(take("grave").record().routing_key(), "grave");
}

TEST_F(DeadLetters, AreDroppedWhereThereIsNoSuchExchange) {
  queue("work", {.dead_letter_exchange = "none"});
  ok(send("work", "v"));
  reject_one("work");
  EXPECT_EQ(messages("work"), 0U);
  expect_sound();
}

TEST_F(DeadLetters, AreMadeOfWhatIsDroppedForWantOfRoom) {
  queue("work", {.max_length = 1, .dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  for (const char* v : {"1", "2", "3"}) ok(send("work", v));
  EXPECT_THAT(ready("work"), ElementsAre("3"));
  EXPECT_THAT(ready("grave"), ElementsAre("1", "2"));
  std::vector<message> all;
  for (int i = 4; i < 80; ++i) all.emplace_back("", "work", record{std::to_string(i)});
  ok(the_bus().publish(all));
  EXPECT_THAT(ready("work"), ElementsAre("79"));
  EXPECT_EQ(messages("grave"), 78U) << "also those that came in the same commit";
  const auto d = take("grave");
  EXPECT_EQ(deaths_of(d.record())[0].reason, dead_letter_reason::maxlen);
  EXPECT_EQ(ready("grave").back(), "78");
  expect_sound();
}

TEST_F(DeadLetters, AreMadeOfWhatIsRefusedWhereTheQueueSaysSo) {
  ok(the_bus().declare_exchange("e", {.type = exchange_type::fanout, .overflow = overflow_scope::queue}));
  queue("full", {.max_length = 1,
                 .overflow = overflow::reject_publish_dlx,
                 .dead_letter_exchange = "",
                 .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(the_bus().bind("e", "full", ""));
  ok(the_bus().publish("e", "", record{"1"}));
  EXPECT_EQ(ok(the_bus().publish("e", "", record{"2"})).refused, 1U);
  EXPECT_THAT(ready("full"), ElementsAre("1"));
  EXPECT_THAT(ready("grave"), ElementsAre("2"));
  EXPECT_EQ(deaths_of(take("grave").record())[0].reason, dead_letter_reason::maxlen);
}

TEST_F(DeadLetters, CascadeFromQueueToQueue) {
  queue("a", {.max_length = 1, .dead_letter_exchange = "", .dead_letter_routing_key = "b"});
  queue("b", {.max_length = 1, .dead_letter_exchange = "", .dead_letter_routing_key = "c"});
  queue("c");
  for (const char* v : {"1", "2", "3", "4"}) ok(send("a", v));
  EXPECT_THAT(ready("a"), ElementsAre("4"));
  EXPECT_THAT(ready("b"), ElementsAre("3"));
  EXPECT_THAT(ready("c"), ElementsAre("1", "2"));
  const auto d = take("c");
  const auto deaths = deaths_of(d.record());
  ASSERT_EQ(deaths.size(), 2U);
  EXPECT_EQ(deaths[0].queue, "b") << "the newest first";
  EXPECT_EQ(deaths[1].queue, "a");
  EXPECT_EQ(std::get<std::string_view>(*d.record().header("x-first-death-queue")), "a");
}

TEST_F(DeadLetters, GoRoundOnlyWhereSomebodyRejectsThem) {
  queue("a", {.max_length = 1, .dead_letter_exchange = "", .dead_letter_routing_key = "b"});
  queue("b", {.max_length = 1, .dead_letter_exchange = "", .dead_letter_routing_key = "a"});
  for (const char* v : {"1", "2", "3"}) ok(send("a", v));
  EXPECT_EQ(messages("a"), 1U);
  EXPECT_EQ(messages("b"), 1U) << "what has come round by itself is dropped";
  queue("again", {.dead_letter_exchange = "", .dead_letter_routing_key = "again"});
  ok(send("again", "v"));
  for (std::uint64_t n = 1; n <= 3; ++n) {
    reject_one("again");
    auto consumer = ok(the_bus().consume("again"));
    const auto d = ok(consumer.receive(at_once));
    ASSERT_TRUE(d.has_value());
    ASSERT_EQ(deaths_of(d->record()).size(), 1U);
    EXPECT_EQ(deaths_of(d->record())[0].count, n);
  }
}

TEST_F(DeadLetters, AreOneWithTheTransactionThatRejects) {
  queue("work", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(send("work", "v"));
  auto consumer = ok(the_bus().consume("work"));
  const auto d = ok(consumer.receive(at_once));
  EXPECT_THAT(the_bus().transact([&](transaction& t) -> result<void> {
    if (auto rejected = t.reject(consumer, d->tag()); !rejected) return rejected;
    return error{errc::invalid_argument, "changed my mind"};
  }),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(ready("grave"), IsEmpty());
  ok(the_bus().transact([&](transaction& t) { return t.reject(consumer, d->tag()); }));
  EXPECT_THAT(ready("grave"), ElementsAre("v"));
  EXPECT_EQ(messages("work"), 0U);
}

// Delivery limits

TEST_F(DeliveryLimit, HandsAMessageOutOnceMoreThanItMayComeBack) {
  queue("work", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave", .delivery_limit = 2});
  queue("grave");
  ok(send("work", "v"));
  auto consumer = ok(the_bus().consume("work"));
  for (std::uint32_t n = 1; n <= 3; ++n) {
    const auto d = ok(consumer.receive(at_once));
    ASSERT_TRUE(d.has_value()) << n;
    EXPECT_EQ(d->delivery_count(), n);
    EXPECT_EQ(d->redelivered(), n > 1);
    ok(consumer.nack(*d));
  }
  const auto d = take("grave");
  EXPECT_EQ(d.record().value(), "v");
  EXPECT_EQ(deaths_of(d.record())[0].reason, dead_letter_reason::delivery_limit);
  EXPECT_FALSE(ok(consumer.receive(at_once)).has_value());
  EXPECT_EQ(messages("work"), 0U);
  expect_sound();
}

TEST_F(DeliveryLimit, CountsOverConsumersAndOpenings) {
  queue("work", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave", .delivery_limit = 2});
  queue("grave");
  ok(send("work", "v"));
  for (std::uint32_t n = 1; n <= 3; ++n) {
    auto consumer = ok(the_bus().consume("work"));
    const auto d = ok(consumer.receive(at_once));
    ASSERT_TRUE(d.has_value()) << n;
    EXPECT_EQ(d->delivery_count(), n);
    if (n == 2) reopen();
  }
  EXPECT_EQ(take("grave").record().value(), "v");
}

TEST_F(DeliveryLimit, CountsWhatIsHandedOutAndNotWhatWaitsForIt) {
  queue("work", {.delivery_limit = 3});
  for (int i = 0; i < 100; ++i) ok(send("work", std::to_string(i)));
  auto consumer = ok(the_bus().consume("work", {.prefetch = 0}));
  for (int n = 0; n < 3; ++n) {
    const auto d = ok(consumer.receive(at_once));
    EXPECT_EQ(d->record().value(), "0");
    ok(consumer.nack(*d));
  }
  EXPECT_EQ(ok(consumer.receive(at_once))->delivery_count(), 4U);
  for (int i = 1; i < 100; ++i) {
    const auto d = ok(consumer.receive(at_once));
    ASSERT_TRUE(d.has_value()) << i;
    EXPECT_EQ(d->delivery_count(), 1U) << "those behind were fetched several times, and not handed out";
    EXPECT_FALSE(d->redelivered());
  }
}

TEST_F(DeliveryLimit, OfZeroAllowsOneDelivery) {
  queue("work", {.delivery_limit = 0});
  ok(send("work", "1"));
  ok(send("work", "2"));
  auto consumer = ok(the_bus().consume("work"));
  const auto first = ok(consumer.receive(at_once));
  ok(consumer.nack(*first));
  const auto second = ok(consumer.receive(at_once));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->record().value(), "2");
}

TEST_F(DeliveryLimit, IsKeptByAsynchronousReceivesToo) {
  queue("work", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave", .delivery_limit = 1});
  queue("grave");
  ok(send("work", "v"));
  auto consumer = ok(the_bus().consume("work"));
  for (std::uint32_t n = 1; n <= 2; ++n) {
    const auto d = ok(consumer.async_receive(at_once, boost::asio::use_future).get());
    ASSERT_TRUE(d.has_value());
    EXPECT_EQ(d->delivery_count(), n);
    ok(consumer.async_nack(d->tag(), requeue::yes, boost::asio::use_future).get());
  }
  EXPECT_EQ(take("grave").record().value(), "v");
}

TEST_F(QueueLimits, DropsTheHeadWhereAReturnMakesItTooMuch) {
  queue("work", {.max_length = 1, .dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(send("work", "1"));
  auto consumer = ok(the_bus().consume("work", {.prefetch = 1}));
  const auto d = ok(consumer.receive(at_once));
  ok(send("work", "2"));
  ok(consumer.nack(*d));
  EXPECT_THAT(ready("work"), ElementsAre("2"));
  EXPECT_THAT(ready("grave"), ElementsAre("1"));
  EXPECT_EQ(deaths_of(take("grave").record())[0].reason, dead_letter_reason::maxlen);
  expect_sound();
}

// Expiry

TEST_F(Expiry, TakesMessagesOutOfTheirQueueWhenTheirTimeIsOver) {
  queue("work", {.message_ttl = seconds{5}, .dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(send("work", "v"));
  the_clock().advance(milliseconds{4'999});
  EXPECT_THAT(ready("work"), ElementsAre("v"));
  EXPECT_EQ(messages("grave"), 0U);
  auto mourner = ok(the_bus().consume("grave"));
  the_clock().advance(milliseconds{1});
  const auto d = ok(mourner.receive(in_a_while));
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(deaths_of(d->record())[0].reason, dead_letter_reason::expired);
  EXPECT_EQ(messages("work"), 0U);
  expect_sound();
}

TEST_F(Expiry, CountsTheSmallerOfQueueAndMessage) {
  queue("work", {.message_ttl = seconds{5}});
  ok(the_bus().publish("", "work", record{"short"}.expiration(seconds{1})));
  ok(the_bus().publish("", "work", record{"long"}.expiration(seconds{60})));
  ok(send("work", "own"));
  the_clock().advance(seconds{1});
  EXPECT_THAT(ready("work"), ElementsAre("long", "own"));
  the_clock().advance(seconds{4});
  EXPECT_THAT(ready("work"), IsEmpty());
  auto consumer = ok(the_bus().consume("work"));
  EXPECT_FALSE(ok(consumer.receive(at_once)).has_value());
}

TEST_F(Expiry, NeverHandsOutWhatIsOverThoughNobodyHasLooked) {
  queue("work");
  ok(send("work", "first"));
  ok(the_bus().publish("", "work", record{"over"}.expiration(seconds{1})));
  ok(send("work", "last"));
  the_clock().advance(seconds{2});
  auto consumer = ok(the_bus().consume("work"));
  EXPECT_THAT(receive_all(consumer), ElementsAre("first", "last"));
}

TEST_F(Expiry, WaitsBehindWhatIsStillOfUse) {
  queue("work", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(send("work", "live"));
  ok(the_bus().publish("", "work", record{"over"}.expiration(seconds{1})));
  the_clock().advance(seconds{2});
  EXPECT_EQ(messages("work"), 2U) << "it occupies, and counts";
  EXPECT_EQ(messages("grave"), 0U);
  take("work");
  EXPECT_EQ(take("grave").record().value(), "over");
}

TEST_F(Expiry, KeepsTheDeadlineOverRequeuesAndRestarts) {
  queue("work", {.message_ttl = seconds{5}});
  ok(send("work", "v"));
  {
    auto consumer = ok(the_bus().consume("work"));
    const auto d = ok(consumer.receive(at_once));
    the_clock().advance(seconds{3});
    ok(consumer.nack(*d));
  }
  reopen();
  EXPECT_THAT(ready("work"), ElementsAre("v"));
  the_clock().advance(seconds{2});
  EXPECT_THAT(ready("work"), IsEmpty());
}

TEST_F(Expiry, IsSeenToAfterAnOpening) {
  queue("work", {.message_ttl = seconds{5}, .dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(send("work", "v"));
  close();
  the_clock().advance(seconds{6});
  open();
  EXPECT_EQ(take("grave").record().value(), "v");
}

TEST_F(Expiry, AtOnceNeverReachesAnybody) {
  queue("work",
        {.message_ttl = milliseconds{0}, .dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  ok(send("work", "v"));
  EXPECT_EQ(take("grave").record().value(), "v");
  EXPECT_EQ(messages("work"), 0U);
}

TEST_F(Expiry, OfManyGoesOnInSlices) {
  queue("work", {.message_ttl = seconds{1}, .dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queue("grave");
  std::vector<message> all;
  for (int i = 0; i < 1'000; ++i) all.emplace_back("", "work", record{std::to_string(i)});
  ok(the_bus().publish(all));
  auto mourner = ok(the_bus().consume("grave", {.prefetch = 0}));
  the_clock().advance(seconds{1});
  for (int i = 0; i < 1'000; ++i) {
    const auto d = ok(mourner.receive(in_a_while));
    ASSERT_TRUE(d.has_value()) << i;
    EXPECT_EQ(d->record().value(), std::to_string(i)) << "in their order";
  }
  EXPECT_EQ(messages("work"), 0U);
  expect_sound();
}

}  // namespace
}  // namespace levada::test
