#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <support/seen_values.hpp>

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
using testing::SizeIs;

void keeps_a_ledger(bus_options& o) {
  o.ledger.emplace();
}

class Ledger : public bus_fixture {
 protected:
  static constexpr milliseconds in_a_while{20'000};

  Ledger() : bus_fixture{keeps_a_ledger} {
    ok(the_bus().declare_exchange("e", {.type = exchange_type::fanout}));
  }
  void queue(const std::string& name, const queue_options& options = {}) {
    ok(the_bus().declare_queue(name, options));
    ok(the_bus().bind("e", name, ""));
  }
  publish_receipt publish(const std::string& id, const publish_options& options = {}) {
    return ok(the_bus().publish("e", "key", record{"value"}.message_id(id), options));
  }
  delivery next(queue_consumer& c) {
    auto d = ok(c.receive(in_a_while));
    EXPECT_TRUE(d.has_value());
    return d.value_or(delivery{});
  }
  std::vector<traced_message> trace(const std::string& id) { return ok(the_bus().trace(id)).messages; }
  /// "what queue" of each step.
  static std::vector<std::string> steps_of(const traced_message& m) {
    static constexpr const char* names[] = {"acknowledged", "rejected",  "returned", "expired",
                                            "dropped",      "exhausted", "purged"};
    std::vector<std::string> all;
    for (const auto& s : m.steps) {
      all.push_back(std::string{names[static_cast<std::size_t>(s.what)]} + " " + s.queue);
    }
    return all;
  }
  /// Waits until the one message of that id has had so many steps.
  traced_message after_steps(const std::string& id, std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + in_a_while;
    for (;;) {
      const auto all = trace(id);
      if (all.size() == 1 && all[0].steps.size() >= count) return all[0];
      if (std::chrono::steady_clock::now() > end) {
        ADD_FAILURE() << id << " has too few steps";
        return all.empty() ? traced_message{} : all[0];
      }
    }
  }
};

TEST_F(Ledger, TellsWhatHasBecomeOfAMessage) {
  queue("a");
  queue("b");
  const timestamp begin = the_clock().wall();
  const auto receipt = publish("m");
  the_clock().advance(seconds{1});
  auto c = ok(the_bus().consume("a"));
  const auto d = next(c);
  the_clock().advance(seconds{1});
  ok(c.ack(d));
  const auto all = trace("m");
  ASSERT_THAT(all, SizeIs(1));
  const traced_message& m = all[0];
  EXPECT_EQ(m.exchange, "e");
  EXPECT_EQ(m.offset, receipt.offset);
  EXPECT_EQ(m.routing_key, "key");
  EXPECT_EQ(m.message_id, "m");
  EXPECT_EQ(m.published, begin);
  EXPECT_THAT(m.queues, testing::UnorderedElementsAre("a", "b"));
  EXPECT_THAT(steps_of(m), ElementsAre("acknowledged a"));
  EXPECT_EQ(m.steps[0].delivered, begin + seconds{1});
  EXPECT_EQ(m.steps[0].time, begin + seconds{2});
  EXPECT_EQ(m.cause, std::nullopt);
}

TEST_F(Ledger, FindsByCorrelationIdAsWell) {
  queue("q");
  ok(the_bus().publish("e", "", record{"1"}.message_id("1").correlation_id("together")));
  ok(the_bus().publish("e", "", record{"2"}.message_id("2")));
  ok(the_bus().publish("e", "", record{"3"}.message_id("3").correlation_id("together")));
  const auto all = trace("together");
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].message_id, "1");
  EXPECT_EQ(all[1].message_id, "3");
  EXPECT_EQ(all[1].correlation_id, "together");
  EXPECT_THAT(trace("none"), IsEmpty());
  EXPECT_THAT(the_bus().trace(""), fails_telling(errc::invalid_argument, "empty"));
}

TEST_F(Ledger, TellsOfReturns) {
  queue("q");
  publish("m");
  auto c = ok(the_bus().consume("q"));
  ok(c.nack(next(c)));
  next(c);
  c.close();
  const auto m = after_steps("m", 2);
  EXPECT_THAT(steps_of(m), ElementsAre("returned q", "returned q"));
  EXPECT_TRUE(m.steps[0].delivered.has_value());
  EXPECT_TRUE(m.steps[1].delivered.has_value());
}

TEST_F(Ledger, TellsOfReturnsThatWait) {
  queue("q", {.redelivery_delay = redelivery_delay{.first = seconds{5}}});
  publish("m");
  auto c = ok(the_bus().consume("q"));
  ok(c.nack(next(c)));
  the_clock().advance(seconds{6});
  ok(c.ack(next(c)));
  EXPECT_THAT(steps_of(after_steps("m", 2)), ElementsAre("returned q", "acknowledged q"));
}

TEST_F(Ledger, FollowsDeadLetters) {
  ok(the_bus().declare_exchange("dlx", {.type = exchange_type::fanout}));
  ok(the_bus().declare_queue("dead"));
  ok(the_bus().bind("dlx", "dead", ""));
  queue("q", {.dead_letter_exchange = "dlx"});
  publish("m");
  auto c = ok(the_bus().consume("q"));
  ok(c.nack(next(c), requeue::no));
  const auto all = trace("m");
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_THAT(steps_of(all[0]), ElementsAre("rejected q"));
  EXPECT_EQ(all[1].exchange, "dlx");
  EXPECT_EQ(all[1].cause, 0U);
  EXPECT_EQ(all[1].cause_queue, "q");
  EXPECT_EQ(all[1].death, dead_letter_reason::rejected);
  EXPECT_THAT(all[1].queues, ElementsAre("dead"));
}

TEST_F(Ledger, TellsHowMessagesLeaveThatNobodyTook) {
  queue("expiring", {.message_ttl = seconds{1}});
  queue("short", {.max_length = 1});
  queue("purged");
  queue("impatient", {.delivery_limit = 0});
  publish("m");
  ok(the_bus().purge_queue("purged"));
  publish("next");
  auto c = ok(the_bus().consume("impatient"));
  ok(c.nack(next(c)));
  the_clock().advance(seconds{2});
  const auto m = after_steps("m", 5);
  EXPECT_THAT(steps_of(m),
              testing::UnorderedElementsAre("purged purged", "dropped short", "returned impatient",
                                            "exhausted impatient", "expired expiring"));
  for (const auto& s : m.steps) EXPECT_EQ(s.delivered.has_value(), s.what == flow_step::returned);
}

TEST_F(Ledger, KnowsWhatAHandlerPublishes) {
  queue("work");
  ok(the_bus().declare_queue("results"));
  seen_values seen;
  {
    auto worker = ok(the_bus().consume("work", [&](const delivery& d) -> result<void> {
      auto done = the_bus().publish("", "results", record{"r"}.message_id("result"));
      seen.add(std::string{d.record().value()});
      return done ? result<void>{} : done.error();
    }));
    publish("job");
    seen.wait_for(1);
  }
  publish("another");
  const auto all = trace("job");
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[1].message_id, "result");
  EXPECT_EQ(all[1].cause, 0U);
  EXPECT_EQ(all[1].cause_queue, "work");
  EXPECT_EQ(all[1].death, std::nullopt);
  EXPECT_THAT(all[1].queues, ElementsAre("results"));
  EXPECT_EQ(trace("another")[0].cause, std::nullopt) << "nothing is handled in this thread";
}

TEST_F(Ledger, KnowsWhatIsSaidToBePublishedOnAnothersAccount) {
  queue("q");
  publish("first");
  auto c = ok(the_bus().consume("q"));
  const auto d = next(c);
  record answer{"answer"};
  answer.message_id("second").caused_by(d.record());
  ok(the_bus().publish("e", "", answer));
  std::vector<message> several;
  several.emplace_back("e", "", record{"x"}.message_id("third").caused_by(d.record()));
  ok(the_bus().publish(several));
  ok(the_bus().transact([&](transaction& t) -> result<void> {
    record r{"x"};
    r.message_id("fourth").caused_by(d.record());
    auto done = t.publish("e", "", r);
    return done ? result<void>{} : done.error();
  }));
  const auto all = trace("first");
  ASSERT_THAT(all, SizeIs(4));
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(all[i].cause, 0U);
    EXPECT_EQ(all[i].cause_queue, "");
  }
  EXPECT_EQ(all[3].message_id, "fourth");
}

TEST_F(Ledger, FollowsLongChains) {
  queue("q");
  constexpr int length = 2'000;
  publish("root");
  auto c = ok(the_bus().consume("q"));
  for (int i = 0; i < length; ++i) {
    const auto d = next(c);
    ok(the_bus().publish("e", "", record{"x"}.caused_by(d.record())));
    ok(c.ack(d));
  }
  const auto all = trace("root");
  ASSERT_THAT(all, SizeIs(length + 1));
  for (std::size_t i = 1; i < all.size(); ++i) ASSERT_EQ(all[i].cause, i - 1);
}

TEST_F(Ledger, TellsOfDelaysAndCancellations) {
  queue("q");
  const timestamp begin = the_clock().wall();
  publish("later", {.delay = seconds{10}});
  const auto receipt = publish("never", {.delay = seconds{20}});
  EXPECT_TRUE(ok(the_bus().cancel(receipt)));
  EXPECT_THAT(trace("later")[0].queues, IsEmpty());
  the_clock().advance(seconds{10});
  auto c = ok(the_bus().consume("q"));
  next(c);
  const auto later = trace("later").at(0);
  EXPECT_EQ(later.due, begin + seconds{10});
  EXPECT_EQ(later.cancelled, std::nullopt);
  EXPECT_THAT(later.queues, ElementsAre("q"));
  const auto never = trace("never").at(0);
  EXPECT_EQ(never.cancelled, begin);
  EXPECT_THAT(never.queues, IsEmpty());
}

TEST_F(Ledger, TellsOfNothingThatWasNotCommitted) {
  queue("q", {.max_length = 1, .overflow = overflow::reject_publish});
  publish("kept");
  EXPECT_THAT(the_bus().publish("e", "", record{"x"}.message_id("refused")), fails_with(errc::queue_full));
  EXPECT_THAT(the_bus().transact([&](transaction& t) -> result<void> {
    static_cast<void>(t.publish("", "q", record{"x"}.message_id("undone")));
    return error{errc::invalid_argument, "no"};
  }),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(trace("refused"), IsEmpty());
  EXPECT_THAT(trace("undone"), IsEmpty());
  EXPECT_THAT(trace("kept"), SizeIs(1));
  EXPECT_EQ(ok(the_bus().topic(ledger_topic)).name(), ledger_topic);
}

TEST_F(Ledger, TellsOfNoMoreThanIsAskedFor) {
  queue("q");
  for (int i = 0; i < 5; ++i) ok(the_bus().publish("e", "", record{"x"}.correlation_id("c")));
  const auto some = ok(the_bus().trace("c", {.messages_max = 3}));
  EXPECT_THAT(some.messages, SizeIs(3));
  EXPECT_TRUE(some.truncated);
  EXPECT_FALSE(ok(the_bus().trace("c", {.messages_max = 5})).truncated);
  EXPECT_THAT(ok(the_bus().async_trace("c", trace_options{}, use_future).get()).messages, SizeIs(5));
}

TEST_F(Ledger, IsStillThereWhenTheBusKeepsNoneAnyMore) {
  queue("q");
  publish("before");
  close();
  auto without = options();
  without.ledger.reset();
  open(without);
  publish("unnoted");
  EXPECT_THAT(trace("before"), SizeIs(1));
  EXPECT_THAT(trace("unnoted"), IsEmpty());
  reopen();
  publish("after");
  EXPECT_THAT(trace("after"), SizeIs(1));
  expect_sound();
}

TEST_F(Ledger, KeepsWhatItsLimitsSay) {
  queue("q");
  close();
  auto shorter = options();
  shorter.ledger->retention = {.age = seconds{10}};
  shorter.journal_bytes_seal = 0;
  open(shorter);
  publish("old");
  maintain();
  the_clock().advance(seconds{60});
  publish("new");
  maintain();
  maintain();
  EXPECT_THAT(trace("old"), IsEmpty());
  EXPECT_THAT(trace("new"), SizeIs(1));
}

TEST_F(Ledger, IsNotToBeDeletedWhileItIsKept) {
  EXPECT_THAT(the_bus().delete_topic(ledger_topic), fails_with(errc::access_refused));
  close();
  auto without = options();
  without.ledger.reset();
  open(without);
  ok(the_bus().delete_topic(ledger_topic));
  EXPECT_THAT(the_bus().trace("m"), fails_with(errc::unknown_topic));
}

TEST_F(Ledger, TellsOfRecordsThatAreNoEvents) {
  ok(the_bus().publish(ledger_topic, record{"nonsense"}));
  EXPECT_THAT(the_bus().trace("m"), fails_telling(errc::damaged, "offset 0 of topic 'levada.ledger'"));
}

TEST_F(Ledger, IsReadByOthersToo) {
  queue("q");
  publish("m");
  close();
  const auto looking = ok(attachment::open(store()));
  EXPECT_THAT(ok(looking.trace("m")).messages, SizeIs(1));
}

TEST(NoLedger, TellsNothing) {
  auto without = ok(bus::open_in_memory());
  EXPECT_THAT(without.trace("m"), fails_with(errc::unknown_topic));
  EXPECT_THAT(ok(without.topics()), IsEmpty());
}

}  // namespace
}  // namespace levada::test
