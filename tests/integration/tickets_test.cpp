#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include "queue_world.hpp"

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

constexpr milliseconds for_ever = milliseconds::max();

class Tickets : public queue_world {
 protected:
  Tickets() { ok(the_bus().declare_exchange("e", {.type = exchange_type::fanout})); }

  /// A queue that gets what comes to the exchange.
  void bound_queue(const std::string& name, const queue_options& options = {}) {
    queue(name, options);
    ok(the_bus().bind("e", name, ""));
  }
  ticket track(const std::string& id, const publish_options& options = {}) {
    return ok(the_bus().publish_tracked("e", "", record{id}.message_id(id), options));
  }
  /// The ticket anew, as another process would get it.
  ticket found(const std::string& id) { return ok(the_bus().find_ticket(id)); }
  ticket_status now(const std::string& id) { return ok(found(id).settled(at_once)); }
  void acknowledge_one(const std::string& name) {
    auto c = consume(name, {.prefetch = 1});
    const auto d = ok(c.receive(at_once));
    ASSERT_TRUE(d.has_value()) << name;
    ok(c.ack(*d));
  }
};

TEST_F(Tickets, TellOfTheCommit) {
  bound_queue("q");
  const ticket t = track("m");
  const auto receipt = ok(t.committed(in_a_while));
  ASSERT_TRUE(receipt.has_value());
  EXPECT_EQ(receipt->topic, "e");
  EXPECT_EQ(receipt->offset, offset{0});
  EXPECT_EQ(receipt->routed, 1U);
  const auto again = ok(found("m").committed(at_once));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->topic, "e");
  EXPECT_EQ(again->offset, offset{0});
  EXPECT_EQ(again->routed, 1U);
  EXPECT_EQ(again->time, receipt->time);
}

TEST_F(Tickets, AreSettledWhenEveryQueueHasAcknowledged) {
  bound_queue("a");
  bound_queue("b");
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  EXPECT_THAT(ok(t.outstanding()), ElementsAre("a", "b"));
  acknowledge_one("b");
  const auto halfway = ok(t.settled(at_once));
  EXPECT_TRUE(halfway.committed);
  EXPECT_FALSE(halfway.is_settled());
  EXPECT_EQ(halfway.routed, 2U);
  EXPECT_EQ(halfway.unsettled, 1U);
  EXPECT_EQ(halfway.acknowledged, 1U);
  EXPECT_THAT(ok(t.outstanding()), ElementsAre("a"));
  the_clock().advance(seconds{5});
  acknowledge_one("a");
  const auto done = ok(t.settled(at_once));
  EXPECT_EQ(done.settled, the_clock().wall());
  EXPECT_EQ(done.unsettled, 0U);
  EXPECT_EQ(done.acknowledged, 2U);
  EXPECT_THAT(ok(t.outstanding()), IsEmpty());
  expect_sound();
}

TEST_F(Tickets, WakeWhoWaitsForSettlement) {
  bound_queue("q");
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  auto later = t.async_settled(for_ever, use_future);
  std::thread settles{[&] { acknowledge_one("q"); }};
  EXPECT_TRUE(ok(t.settled(for_ever)).is_settled());
  settles.join();
  EXPECT_EQ(ok(later.get()).acknowledged, 1U);
}

TEST_F(Tickets, CanBeWaitedForBeforeTheCommit) {
  bound_queue("q");
  auto c = consume("q");
  const ticket t = track("m");
  auto committed = t.async_committed(for_ever, use_future);
  auto settled = t.async_settled(for_ever, use_future);
  const auto d = ok(c.receive(in_a_while));
  ASSERT_TRUE(d.has_value());
  ok(c.ack(*d));
  EXPECT_EQ(ok(committed.get())->routed, 1U);
  EXPECT_EQ(ok(settled.get()).acknowledged, 1U);
}

TEST_F(Tickets, TellHowFarItHasComeWhenTheTimeIsOver) {
  bound_queue("q");
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  auto waits = t.async_settled(seconds{3}, use_future);
  the_clock().advance(seconds{3});
  const auto status = ok(waits.get());
  EXPECT_FALSE(status.is_settled());
  EXPECT_EQ(status.unsettled, 1U);
}

TEST_F(Tickets, CanBeGivenUpWaitingFor) {
  bound_queue("q");
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  boost::asio::io_context context;
  boost::asio::cancellation_signal signal;
  std::optional<result<ticket_status>> outcome;
  t.async_settled(for_ever,
                  boost::asio::bind_cancellation_slot(
                      signal.slot(), boost::asio::bind_executor(
                                         context, [&](result<ticket_status> r) { outcome = std::move(r); })));
  boost::asio::post(context, [&] { signal.emit(boost::asio::cancellation_type::all); });
  context.run();
  ASSERT_TRUE(outcome.has_value());
  EXPECT_THAT(*outcome, fails_with(errc::operation_aborted));
}

TEST_F(Tickets, AreSettledAtOnceWhereNobodyIsBound) {
  const auto status = ok(track("m").settled(in_a_while));
  EXPECT_TRUE(status.is_settled());
  EXPECT_EQ(status.routed, 0U);
}

TEST_F(Tickets, AreFoundAgainAfterARestart) {
  bound_queue("a");
  bound_queue("b");
  ok(track("m").committed(in_a_while));
  acknowledge_one("a");
  reopen();
  EXPECT_EQ(now("m").unsettled, 1U);
  EXPECT_THAT(ok(found("m").outstanding()), ElementsAre("b"));
  auto waits = found("m").async_settled(for_ever, use_future);
  acknowledge_one("b");
  EXPECT_EQ(ok(waits.get()).acknowledged, 2U);
  reopen();
  EXPECT_EQ(now("m").acknowledged, 2U);
}

TEST_F(Tickets, TellApartHowMessagesLeave) {
  ok(the_bus().declare_exchange("dlx", {.type = exchange_type::fanout}));
  bound_queue("acknowledged");
  bound_queue("rejected");
  bound_queue("rejected and dead", {.dead_letter_exchange = "dlx"});
  bound_queue("expired", {.message_ttl = seconds{1}});
  bound_queue("expired and dead", {.message_ttl = seconds{1}, .dead_letter_exchange = "dlx"});
  bound_queue("purged");
  bound_queue("deleted");
  bound_queue("too long", {.max_length = 1});
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  EXPECT_EQ(ok(t.settled(at_once)).unsettled, 8U);
  for (const char* const name : {"rejected", "rejected and dead"}) {
    auto c = consume(name);
    ok(c.nack(*ok(c.receive(at_once)), requeue::no));
  }
  acknowledge_one("acknowledged");
  EXPECT_EQ(ok(the_bus().purge_queue("purged")), 1U);
  ok(the_bus().delete_queue("deleted"));
  EXPECT_EQ(ok(t.settled(at_once)).unsettled, 3U);
  ok(the_bus().publish("", "too long", record{"another"}));
  the_clock().advance(seconds{2});
  const auto status = ok(t.settled(in_a_while));
  EXPECT_TRUE(status.is_settled());
  EXPECT_EQ(status.routed, 8U);
  EXPECT_EQ(status.acknowledged, 1U);
  EXPECT_EQ(status.expired, 1U);
  EXPECT_EQ(status.dead_lettered, 2U);
  EXPECT_EQ(status.discarded, 4U);
  expect_sound();
}

TEST_F(Tickets, AreNotSettledByWhatReturnsToItsQueue) {
  bound_queue("q", {.delivery_limit = 1});
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  auto c = consume("q");
  ok(c.nack(*ok(c.receive(at_once))));
  EXPECT_EQ(ok(t.settled(at_once)).unsettled, 1U);
  ok(c.nack(*ok(c.receive(at_once))));
  EXPECT_EQ(ok(t.settled(in_a_while)).discarded, 1U) << "returned too often";
}

TEST_F(Tickets, KnowADroppedMessageThatPublishingItHasDropped) {
  bound_queue("q", {.max_length = 0});
  const auto status = ok(track("m").settled(in_a_while));
  EXPECT_TRUE(status.is_settled());
  EXPECT_EQ(status.routed, 1U);
  EXPECT_EQ(status.discarded, 1U);
}

TEST_F(Tickets, OfDelayedMessagesWaitUntilTheyAreRoutedAndSettled) {
  bound_queue("q");
  const ticket t = track("m", {.delay = seconds{10}});
  const auto receipt = ok(t.committed(in_a_while));
  ASSERT_TRUE(receipt && receipt->due);
  auto waiting = ok(t.settled(at_once));
  EXPECT_EQ(waiting.due, receipt->due);
  EXPECT_EQ(waiting.routed, 0U);
  EXPECT_FALSE(waiting.is_settled());
  expect_sound();
  the_clock().advance(seconds{10});
  auto c = consume("q");
  const auto d = ok(c.receive(in_a_while));
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(now("m").routed, 1U);
  EXPECT_EQ(now("m").due, std::nullopt);
  ok(c.ack(*d));
  EXPECT_TRUE(now("m").is_settled());
}

TEST_F(Tickets, OfCancelledMessagesAreSettled) {
  bound_queue("q");
  const ticket t = track("m", {.delay = seconds{10}});
  const auto receipt = ok(t.committed(in_a_while));
  EXPECT_TRUE(ok(the_bus().cancel(*receipt)));
  const auto status = ok(t.settled(at_once));
  EXPECT_TRUE(status.is_settled());
  EXPECT_EQ(status.routed, 0U);
  EXPECT_EQ(status.due, std::nullopt);
  expect_sound();
}

TEST_F(Tickets, CountRefusalsApart) {
  ok(the_bus().declare_exchange("f", {.type = exchange_type::fanout, .overflow = overflow_scope::queue}));
  queue("full", {.max_length = 0, .overflow = overflow::reject_publish});
  queue("open");
  ok(the_bus().bind("f", "full", ""));
  ok(the_bus().bind("f", "open", ""));
  const ticket t = ok(the_bus().publish_tracked("f", "", record{"m"}.message_id("m")));
  EXPECT_EQ(ok(t.committed(in_a_while))->refused, 1U);
  EXPECT_EQ(ok(found("m").committed(at_once))->refused, 1U);
  EXPECT_EQ(now("m").routed, 1U);
}

TEST_F(Tickets, ComeFromAnyKindOfPublishing) {
  bound_queue("q");
  ok(the_bus().publish("e", "", record{"1"}.message_id("one"), {.track = true}));
  std::vector<message> several;
  several.emplace_back("e", "", record{"2"}.message_id("two"));
  several.emplace_back("e", "", record{"3"}.message_id("three"));
  ok(the_bus().publish(several, {.track = true}));
  ok(the_bus().transact([](transaction& t) -> result<void> {
    auto done = t.publish("e", "", record{"4"}.message_id("four"), {.track = true});
    return done ? result<void>{} : done.error();
  }));
  auto c = consume("q");
  EXPECT_THAT(receive_all(c), ElementsAre("1", "2", "3", "4"));
  for (const char* const id : {"one", "two", "three", "four"}) EXPECT_EQ(now(id).unsettled, 1U) << id;
}

TEST_F(Tickets, AreKnownByAnIdOfTheirOwnWhereTheRecordHasNone) {
  const ticket a = ok(the_bus().publish_tracked("e", "", record{"1"}));
  const ticket b = ok(the_bus().publish_tracked("e", "", record{"2"}));
  EXPECT_EQ(a.message_id().size(), 36U);
  EXPECT_NE(a.message_id(), b.message_id());
  ok(a.committed(in_a_while));
  EXPECT_TRUE(now(a.message_id()).committed);
  EXPECT_THAT(the_bus().publish("e", "", record{"3"}, {.track = true}),
              fails_telling(errc::invalid_argument, "needs a message id"));
}

TEST_F(Tickets, HaveAnIdThatNoOtherHas) {
  bound_queue("q");
  ok(track("m").committed(in_a_while));
  EXPECT_THAT(the_bus().publish("e", "", record{"again"}.message_id("m"), {.track = true}),
              fails_telling(errc::message_id_in_use, "message id 'm'"));
  const auto second = the_bus().publish_tracked("e", "", record{"again"}.message_id("m"));
  // It may be known before the call returns.
  if (second) {
    EXPECT_THAT(second->settled(in_a_while), fails_with(errc::message_id_in_use));
  } else {
    EXPECT_EQ(second.error(), errc::message_id_in_use);
  }
  std::vector<message> twice;
  for (int i = 0; i < 2; ++i) twice.emplace_back("e", "", record{"x"}.message_id("n"));
  EXPECT_THAT(the_bus().publish(twice, {.track = true}), fails_with(errc::message_id_in_use));
  EXPECT_THAT(the_bus().find_ticket("n"), fails_with(errc::unknown_ticket)) << "nothing of it has come";
  EXPECT_EQ(ok(the_bus().queue("q")).messages, 1U);
  ok(the_bus().publish("e", "", record{"untracked"}.message_id("m")));
}

TEST_F(Tickets, TellWhatPublishingHasFailedWith) {
  EXPECT_THAT(the_bus().publish_tracked("none", "", record{"m"}), fails_with(errc::unknown_exchange));
  EXPECT_THAT(the_bus().publish_tracked("e", std::string(256, 'x'), record{"m"}),
              fails_with(errc::field_too_long));
  const auto refused = the_bus().publish_tracked("e", "", record{"m"}.message_id("m"), {.mandatory = true});
  if (refused) {
    EXPECT_THAT(refused->committed(in_a_while), fails_with(errc::unroutable));
    EXPECT_THAT(refused->settled(in_a_while), fails_with(errc::unroutable));
  } else {
    EXPECT_EQ(refused.error(), errc::unroutable);
  }
  EXPECT_THAT(the_bus().find_ticket("m"), fails_telling(errc::unknown_ticket, "ticket 'm'"));
}

TEST_F(Tickets, OfIdsThatNoMessageCanHaveAreUnknown) {
  const std::string too_long(256, 'x');
  EXPECT_THAT(the_bus().find_ticket(too_long), fails_with(errc::unknown_ticket));
  EXPECT_FALSE(ok(the_bus().forget_ticket(std::string(10'000, 'x'))));
  EXPECT_THAT(the_bus().publish_tracked("e", "", record{"m"}.message_id(too_long)),
              fails_with(errc::field_too_long));
}

TEST_F(Tickets, AreForgottenWhenTheirHistoryIsOver) {
  bound_queue("q");
  ok(track("settled").committed(in_a_while));
  acknowledge_one("q");
  ok(track("open").committed(in_a_while));
  the_clock().advance(hours{24});
  EXPECT_TRUE(now("settled").is_settled());
  the_clock().advance(seconds{1});
  const auto is_known = [&] { return the_bus().find_ticket("settled").has_value(); };
  for (const auto end = std::chrono::steady_clock::now() + in_a_while;
       is_known() && std::chrono::steady_clock::now() < end;)
    std::this_thread::yield();
  EXPECT_FALSE(is_known());
  EXPECT_EQ(now("open").unsettled, 1U);
  expect_sound();
}

TEST_F(Tickets, AreForgottenAfterARestartToo) {
  ok(track("m").settled(in_a_while));
  close();
  the_clock().advance(hours{25});
  open();
  for (const auto end = std::chrono::steady_clock::now() + in_a_while;
       the_bus().find_ticket("m").has_value() && std::chrono::steady_clock::now() < end;)
    std::this_thread::yield();
  EXPECT_THAT(the_bus().find_ticket("m"), fails_with(errc::unknown_ticket));
}

TEST_F(Tickets, CanBeForgottenAtAnyTime) {
  bound_queue("q");
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  auto waits = t.async_settled(for_ever, use_future);
  EXPECT_TRUE(ok(the_bus().forget_ticket("m")));
  EXPECT_FALSE(ok(the_bus().forget_ticket("m")));
  EXPECT_THAT(waits.get(), fails_with(errc::unknown_ticket));
  acknowledge_one("q");
  ok(track("m").committed(in_a_while));
  EXPECT_EQ(now("m").unsettled, 1U);
  EXPECT_THAT(the_bus().async_find_ticket("none", use_future).get(), fails_with(errc::unknown_ticket));
  EXPECT_TRUE(ok(the_bus().async_forget_ticket("m", use_future).get()));
  expect_sound();
}

TEST_F(Tickets, EndWithTheBus) {
  bound_queue("q");
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  auto waits = t.async_settled(for_ever, use_future);
  ok(the_bus().close());
  EXPECT_THAT(waits.get(), fails_with(errc::closed));
  EXPECT_THAT(t.settled(for_ever), fails_with(errc::closed));
  EXPECT_THAT(t.outstanding(), fails_with(errc::closed));
}

TEST_F(Tickets, AreNotWaitedForWithinATransactionsFunction) {
  bound_queue("q");
  const ticket t = track("m");
  EXPECT_THAT(the_bus().transact([&](transaction&) -> result<void> {
    EXPECT_THAT(t.committed(for_ever), fails_with(errc::would_deadlock));
    EXPECT_THAT(t.settled(for_ever), fails_with(errc::would_deadlock));
    return {};
  }),
              testing::Truly([](const auto& r) { return r.has_value(); }));
}

TEST_F(Tickets, OfAnExclusiveQueueAreSettledWhenItGoes) {
  auto own = ok(the_bus().declare_exclusive_queue("own"));
  ok(the_bus().bind("e", "own", ""));
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  ok(own.close());
  EXPECT_EQ(ok(t.settled(at_once)).discarded, 1U);
}

TEST_F(Tickets, CountARepeatedMessageOnce) {
  bound_queue("q");
  const ticket t = track("m");
  ok(t.committed(in_a_while));
  ok(the_bus().replay_into("q", from_earliest{}));
  auto c = consume("q");
  for (int i = 0; i < 2; ++i) {
    const auto d = ok(c.receive(in_a_while));
    ASSERT_TRUE(d.has_value());
    ok(c.ack(*d));
  }
  EXPECT_EQ(ok(t.settled(at_once)).acknowledged, 1U);
}

TEST_F(Tickets, AreCountedWhileTheyAreOpen) {
  bound_queue("a");
  bound_queue("b");
  ok(track("m").committed(in_a_while));
  EXPECT_EQ(ok(the_bus().stats()).queues.tracked, 2U);
  acknowledge_one("a");
  EXPECT_EQ(ok(the_bus().stats()).queues.tracked, 1U);
}

TEST(TicketHistory, IsNotNegative) {
  EXPECT_THAT(bus::open_in_memory({.ticket_history = milliseconds{-1}}),
              fails_telling(errc::invalid_argument, "ticket_history"));
}

}  // namespace
}  // namespace levada::test
