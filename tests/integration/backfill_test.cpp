#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>
#include <support/sanitizers.hpp>

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// Waits for what happens without anybody asking for it.
constexpr milliseconds in_a_while{20'000};
const binding_options from_the_beginning{.from = from_earliest{}};

/// Everything is sealed whenever the bus is told to maintain.
class Backfill : public bus_fixture {
 protected:
  Backfill() : bus_fixture{seals_everything} {}

  void exchange(const std::string& name, exchange_type type = exchange_type::fanout,
                exchange_options options = {}) {
    options.type = type;
    ok(the_bus().declare_exchange(name, options));
  }
  void queue(const std::string& name, const queue_options& options = {}) {
    ok(the_bus().declare_queue(name, options));
  }
  /// A queue that refuses what is more than 10 bytes.
  void narrow_queue(const std::string& name) {
    queue(name, {.max_length_bytes = 10, .overflow = overflow::reject_publish});
  }
  void send(const std::string& to, const std::vector<std::string>& values, const std::string& key = "") {
    for (const auto& v : values) ok(the_bus().publish(to, key, record{v}));
  }
  void bind(const std::string& from, const std::string& name, const std::string& key = "",
            const binding_options& how = from_the_beginning) {
    ok(the_bus().bind(from, name, key, {}, how));
  }
  queue_info info(const std::string& name) { return ok(the_bus().queue(name)); }
  /// Returns whether no more than so many offsets are still to be looked at, in the end.
  bool comes_to(const std::string& name, std::uint64_t left = 0) {
    const auto end = std::chrono::steady_clock::now() + in_a_while;
    while (info(name).backfill != left && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return info(name).backfill == left;
  }
  std::vector<std::string> ready(const std::string& name) {
    std::vector<std::string> values;
    for (const auto& r : ok(the_bus().peek(name, 1'000))) values.emplace_back(r.value());
    return values;
  }
  /// What is in a queue once nothing is on its way any more.
  std::vector<std::string> all_in(const std::string& name) {
    EXPECT_TRUE(comes_to(name));
    return ready(name);
  }
  /// Takes the next message and settles it.
  std::string take(const std::string& name) {
    auto consumer = ok(the_bus().consume(name, {.prefetch = 1}));
    const auto d = ok(consumer.receive(in_a_while));
    if (!d) return "none";
    EXPECT_FALSE(d->redelivered());
    ok(consumer.ack(*d));
    return std::string{d->record().value()};
  }
};

TEST_F(Backfill, BringsWhatWasPublishedBeforeAndThenWhatComes) {
  exchange("e");
  queue("q");
  send("e", {"1", "2", "3"});
  bind("e", "q");
  send("e", {"4", "5"});
  EXPECT_THAT(all_in("q"), ElementsAre("1", "2", "3", "4", "5"));
  EXPECT_EQ(info("q").messages, 5U);
  EXPECT_EQ(info("q").bytes, 5U);
  for (const char* const value : {"1", "2", "3", "4", "5"}) EXPECT_EQ(take("q"), value);
  EXPECT_EQ(info("q").messages, 0U);
  expect_sound();
}

TEST_F(Backfill, LeavesThePastAloneUnlessAsked) {
  exchange("e");
  queue("q");
  send("e", {"1"});
  bind("e", "q", "", {});
  send("e", {"2"});
  EXPECT_THAT(all_in("q"), ElementsAre("2"));
}

TEST_F(Backfill, BeginsAtAnOffsetOrATime) {
  exchange("e");
  queue("by offset");
  queue("by time");
  send("e", {"1", "2"});
  the_clock().advance(seconds{10});
  const timestamp then = the_clock().wall();
  send("e", {"3"});
  bind("e", "by offset", "", {.from = offset{1}});
  bind("e", "by time", "", {.from = then});
  EXPECT_THAT(all_in("by offset"), ElementsAre("2", "3"));
  EXPECT_THAT(all_in("by time"), ElementsAre("3"));
}

TEST_F(Backfill, BringsOnlyWhatTheBindingSelects) {
  exchange("topics", exchange_type::topic);
  exchange("headers", exchange_type::headers);
  queue("q");
  queue("h");
  send("topics", {"1"}, "a.b");
  send("topics", {"2"}, "b.b");
  send("topics", {"3"}, "a.c.d");
  bind("topics", "q", "a.*");
  EXPECT_THAT(all_in("q"), ElementsAre("1"));
  for (const char* const kind : {"red", "blue"}) {
    record r{kind};
    r.header("kind", std::string{kind});
    ok(the_bus().publish("headers", "", r));
  }
  ok(the_bus().bind("headers", "h", "", {{"kind", std::string{"blue"}}}, from_the_beginning));
  EXPECT_THAT(all_in("h"), ElementsAre("blue"));
}

TEST_F(Backfill, GoesThroughSegmentsAndJournalAndAllPartitions) {
  exchange("e", exchange_type::topic, {.partitions = 4});
  queue("q");
  std::vector<std::string> wanted;
  for (int i = 0; i < 60; ++i) {
    wanted.push_back(std::to_string(i));
    send("e", {wanted.back()}, "key " + std::to_string(i % 7));
    if (i == 20 || i == 40) maintain();
  }
  bind("e", "q", "#");
  EXPECT_EQ(all_in("q"), wanted) << "in the order of their commits";
  EXPECT_THAT(the_bus().bind("e", "q", "other", {}, {.from = offset{1}}), fails_with(errc::invalid_argument));
  expect_sound();
}

TEST_F(Backfill, ComesBehindWhatTheQueueHoldsAndBeforeWhatComesMeanwhile) {
  exchange("e");
  narrow_queue("q");
  send("e", {"22", "333333333", "4"});
  send("", {"1"}, "q");
  bind("e", "q");
  EXPECT_TRUE(comes_to("q", 2)) << "there is no room for the next";
  send("", {"5"}, "q");
  send("e", {"6"});
  EXPECT_THAT(ready("q"), ElementsAre("1", "22")) << "the rest is handed out later";
  EXPECT_EQ(info("q").messages, 4U);
  for (const char* const value : {"1", "22", "333333333", "4", "5", "6"}) EXPECT_EQ(take("q"), value);
  EXPECT_EQ(info("q").messages, 0U);
}

TEST_F(Backfill, GoesOnWhenTheStoreIsOpenedAnew) {
  exchange("e");
  narrow_queue("q");
  send("e", {"1", "2", "333333333", "4"});
  bind("e", "q");
  EXPECT_TRUE(comes_to("q", 2));
  send("e", {"5"});
  EXPECT_EQ(take("q"), "1");
  expect_sound();  // reopens
  EXPECT_EQ(info("q").backfill, 2U);
  EXPECT_THAT(ready("q"), ElementsAre("2"));
  send("e", {"6"});
  for (const char* const value : {"2", "333333333", "4", "5", "6"}) EXPECT_EQ(take("q"), value);
  EXPECT_EQ(info("q").backfill, 0U);
  expect_sound();
  EXPECT_EQ(info("q").messages, 0U);
}

TEST_F(Backfill, FlagsAfterACrashOnlyWhatMayHaveBeenDelivered) {
  exchange("e");
  narrow_queue("q");
  send("e", {"1", "22222", "333333", "4"});
  close();
  child_process child{[this](const std::function<void(const std::string&)>& say) {
    open();
    bind("e", "q");
    if (!comes_to("q", 2)) return 1;
    auto consumer = ok(the_bus().consume("q", {.prefetch = 1}));
    say(std::string{ok(consumer.receive(at_once))->record().value()});
    child_process::wait_for_go();
    return 0;
  }};
  EXPECT_EQ(child.read_line(), "1");
  child.kill(SIGKILL);
  child.wait();
  open();
  auto consumer = ok(the_bus().consume("q", {.prefetch = 1}));
  for (const char* const value : {"1", "22222", "333333", "4"}) {
    const auto d = ok(consumer.receive(in_a_while));
    ASSERT_TRUE(d.has_value()) << value;
    EXPECT_EQ(d->record().value(), value);
    // With the second it was allowed to fetch what may have gone out before the crash.
    const bool entered_later = d->record().value() == "333333" || d->record().value() == "4";
    EXPECT_EQ(d->redelivered(), !entered_later) << value;
    ok(consumer.ack(*d));
  }
}

TEST_F(Backfill, BringsNothingThatTheQueueHasHadByAnotherBinding) {
  exchange("e", exchange_type::topic);
  queue("q");
  send("e", {"1"}, "a.b");
  send("e", {"2"}, "a.c");
  bind("e", "q", "a.b", {});
  send("e", {"3"}, "a.b");
  send("e", {"4"}, "a.c");
  bind("e", "q", "a.*");
  EXPECT_THAT(all_in("q"), ElementsAre("3", "1", "2", "4"));
  bind("e", "q", "#");
  EXPECT_THAT(all_in("q"), SizeIs(4)) << "all of it was there";
}

TEST_F(Backfill, BringsTwoBindingsPastOneAfterTheOther) {
  exchange("e", exchange_type::topic);
  queue("q");
  send("e", {"1", "2"}, "a");
  send("e", {"333333333"}, "b");
  send("e", {"4"}, "c");
  bind("e", "q", "b");
  bind("e", "q", "#");
  send("e", {"5"}, "a");
  std::vector<std::string> values;
  for (int i = 0; i < 5; ++i) values.push_back(take("q"));
  EXPECT_THAT(values, ElementsAre("333333333", "1", "2", "4", "5"));
  EXPECT_TRUE(comes_to("q"));
  expect_sound();
}

TEST_F(Backfill, KeepsPrioritiesApart) {
  exchange("e");
  queue("q", {.max_priority = 5});
  const auto send_with = [this](std::uint8_t priority, const std::string& value) {
    properties p;
    p.priority = priority;
    record r{value};
    r.properties(p);
    ok(the_bus().publish("e", "", r));
  };
  send_with(1, "low 1");
  send_with(5, "high 1");
  bind("e", "q");
  EXPECT_TRUE(comes_to("q"));
  send_with(1, "low 2");
  send_with(5, "high 2");
  EXPECT_THAT(ready("q"), ElementsAre("high 1", "high 2", "low 1", "low 2"));
  expect_sound();
}

TEST_F(Backfill, FillsUpToALimitAndDropsWhatIsTooMuchAtTheHead) {
  exchange("e");
  queue("grave");
  queue("q", {.max_length = 2, .dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  send("e", {"1", "2", "3", "4", "5"});
  bind("e", "q");
  EXPECT_TRUE(comes_to("q"));
  const auto end = std::chrono::steady_clock::now() + in_a_while;
  while (info("grave").messages < 3 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_THAT(ready("q"), ElementsAre("4", "5"));
  EXPECT_THAT(ready("grave"), ElementsAre("1", "2", "3"));
  expect_sound();
}

TEST_F(Backfill, CountsTimeToLiveFromNow) {
  exchange("e");
  queue("q", {.message_ttl = milliseconds{1'000}});
  send("e", {"1"});
  the_clock().advance(seconds{5});
  bind("e", "q");
  EXPECT_THAT(all_in("q"), ElementsAre("1"));
  the_clock().advance(milliseconds{1'001});
  EXPECT_THAT(ready("q"), IsEmpty());
}

TEST_F(Backfill, LeavesWhatWaitsForItsTimeToComeThen) {
  exchange("e");
  queue("q");
  send("e", {"1"});
  ok(the_bus().publish("e", "", record{"later"}, {.delay = seconds{10}}));
  send("e", {"2"});
  bind("e", "q");
  EXPECT_THAT(all_in("q"), ElementsAre("1", "2"));
  the_clock().advance(seconds{10});
  EXPECT_EQ(take("q"), "1");
  EXPECT_EQ(take("q"), "2");
  EXPECT_EQ(take("q"), "later");
  EXPECT_EQ(info("q").messages, 0U);
}

TEST_F(Backfill, BringsOnceWhatCameDueOnTheWay) {
  exchange("e");
  queue("seen");
  narrow_queue("q");
  bind("e", "seen", "", {});
  send("e", {"1", "2222222222"});
  ok(the_bus().publish("e", "", record{"later"}, {.delay = seconds{10}}));
  send("e", {"3"});
  bind("e", "q");
  EXPECT_TRUE(comes_to("q", 3));
  the_clock().advance(seconds{10});
  for (const char* const value : {"1", "2222222222", "3", "later"}) EXPECT_EQ(take("seen"), value);
  EXPECT_EQ(info("q").messages, 1U) << "it comes when it is its turn";
  for (const char* const value : {"1", "2222222222", "later", "3"}) EXPECT_EQ(take("q"), value);
  EXPECT_TRUE(comes_to("q"));
  EXPECT_EQ(info("q").messages, 0U);
}

TEST_F(Backfill, EndsWithItsBindingItsQueueOrItsExchange) {
  exchange("e");
  exchange("other");
  narrow_queue("unbound");
  narrow_queue("purged");
  narrow_queue("deleted");
  narrow_queue("left");
  for (const char* const name : {"e", "other"}) send(name, {"1", "2222222222", "333333333"});
  for (const char* const name : {"unbound", "purged", "deleted"}) bind("e", name);
  bind("other", "left");
  for (const char* const name : {"unbound", "purged", "deleted", "left"}) EXPECT_TRUE(comes_to(name, 2));
  send("e", {"4"});

  ok(the_bus().unbind("e", "unbound", ""));
  EXPECT_EQ(take("unbound"), "1");
  EXPECT_EQ(take("unbound"), "4");
  EXPECT_TRUE(comes_to("unbound"));

  EXPECT_EQ(ok(the_bus().purge_queue("purged")), 2U);
  EXPECT_EQ(info("purged").backfill, 0U);
  send("e", {"5"});
  EXPECT_EQ(take("purged"), "5");

  ok(the_bus().delete_queue("deleted"));
  ok(the_bus().delete_exchange("other"));
  EXPECT_EQ(take("left"), "1");
  EXPECT_TRUE(comes_to("left"));
  EXPECT_EQ(info("left").messages, 0U);
  expect_sound();
  narrow_queue("deleted");
  EXPECT_EQ(info("deleted").backfill, 0U);
}

TEST_F(Backfill, OfAQueueThatIsNotDurableGoesWithIt) {
  exchange("e");
  queue("q", {.durable = false, .max_length_bytes = 10, .overflow = overflow::reject_publish});
  send("e", {"1", "2222222222", "333333333"});
  bind("e", "q");
  EXPECT_TRUE(comes_to("q", 2));
  expect_sound();
  EXPECT_THAT(the_bus().queue("q"), fails_with(errc::unknown_queue));
  expect_sound();
}

TEST_F(Backfill, KeepsWhatIsStillToComeFromRetention) {
  exchange("kept", exchange_type::fanout, {.retention = {.records = 1}});
  exchange("forced", exchange_type::fanout, {.retention = {.records = 1, .force = true}});
  for (const char* const name : {"kept", "forced"}) {
    narrow_queue(name);
    send("", {"1"}, name);
    send(name, {"2222222222"});
    bind(name, name);
    EXPECT_TRUE(comes_to(name, 1));
    maintain();
    send(name, {"3"});
    maintain();
    maintain();
  }
  const auto report = ok(the_bus().space());
  EXPECT_TRUE(std::any_of(report.entries.begin(), report.entries.end(), [](const space_entry& e) {
    return e.reason == space_reason::backfill && e.holder == "kept";
  }));
  for (const char* const value : {"1", "2222222222", "3"}) EXPECT_EQ(take("kept"), value);
  for (const char* const value : {"1", "3"}) EXPECT_EQ(take("forced"), value);
}

TEST_F(Backfill, TellsWhatIsTooMuchToAsk) {
  exchange("e");
  exchange("ring", exchange_type::consistent_hash);
  queue("q");
  send("e", {"1"});
  EXPECT_THAT(the_bus().bind("e", "q", "", {}, {.from = offset{2}}), fails_with(errc::offset_out_of_range));
  EXPECT_THAT(the_bus().bind("ring", "q", "1", {}, from_the_beginning),
              fails_telling(errc::invalid_argument, "bind queue 'q' to exchange 'ring'"));
  EXPECT_THAT(the_bus().bind("none", "q", "", {}, from_the_beginning), fails_with(errc::unknown_exchange));
  EXPECT_THAT(ok(the_bus().bindings()), IsEmpty());
  EXPECT_EQ(info("q").backfill, 0U);
}

TEST_F(Backfill, IsNothingWhereThereIsNoPast) {
  exchange("e");
  queue("q");
  bind("e", "q");
  EXPECT_EQ(info("q").backfill, 0U);
  send("e", {"1"});
  EXPECT_THAT(ready("q"), ElementsAre("1"));
  bind("e", "q");
  EXPECT_THAT(all_in("q"), ElementsAre("1")) << "it was bound before";
}

TEST_F(Backfill, LosesAndDoublesNothingWhileOthersPublish) {
  constexpr int before = under_sanitizer ? 9'000 : 30'000;
  constexpr int meanwhile = before / 3;
  exchange("e");
  queue("q");
  const auto publish = [this](int from, int to) {
    std::vector<message> batch;
    for (int i = from; i < to; ++i) {
      batch.push_back({"e", "", record{std::to_string(i)}});
      if (batch.size() < 100 && i + 1 < to) continue;
      ok(the_bus().publish(batch));
      batch.clear();
    }
  };
  publish(0, before);
  maintain();
  std::thread publisher{[&] { publish(before, before + meanwhile); }};
  bind("e", "q");
  auto consumer = ok(the_bus().consume("q", {.prefetch = 1'000}));
  for (int i = 0; i < before + meanwhile; ++i) {
    const auto d = ok(consumer.receive(in_a_while));
    if (!d || d->record().value() != std::to_string(i)) {
      ADD_FAILURE() << i << " was expected, and came " << (d ? d->record().value() : "nothing");
      break;
    }
    if (i % 500 == 499) ok(consumer.ack_up_to(d->tag()));
  }
  publisher.join();
  consumer.close();
  expect_sound();
}

/// Kills a process in the middle of it, and looks whether each message has come once all the same.
class KilledBackfill : public Backfill, public testing::WithParamInterface<int> {};

TEST_P(KilledBackfill, IsTakenUpWhereItWas) {
  constexpr int before = 25'000;
  exchange("e");
  queue("q");
  std::vector<message> batch;
  for (int i = 0; i < before; ++i) {
    batch.push_back({"e", "", record{std::to_string(i)}});
    if (batch.size() < 1'000) continue;
    ok(the_bus().publish(batch));
    batch.clear();
  }
  close();
  const auto left_at_kill = static_cast<std::uint64_t>(before) * static_cast<std::uint64_t>(GetParam()) / 4;
  child_process child{[this, left_at_kill](const std::function<void(const std::string&)>& say) {
    open();
    bind("e", "q");
    while (info("q").backfill > left_at_kill) std::this_thread::yield();
    ok(the_bus().publish("e", "", record{"live"}));
    say("now");
    child_process::wait_for_go();
    return 0;
  }};
  EXPECT_EQ(child.read_line(), "now");
  child.kill(SIGKILL);
  child.wait();
  expect_sound(store());
  open();
  auto consumer = ok(the_bus().consume("q", {.prefetch = 1'000}));
  for (int i = 0; i <= before; ++i) {
    const auto d = ok(consumer.receive(in_a_while));
    ASSERT_TRUE(d.has_value()) << i;
    ASSERT_EQ(d->record().value(), i < before ? std::to_string(i) : "live");
    if (i % 1'000 == 999) ok(consumer.ack_up_to(d->tag()));
  }
  EXPECT_THAT(ok(consumer.receive(at_once)), testing::Eq(std::nullopt));
}
INSTANTIATE_TEST_SUITE_P(Quarters, KilledBackfill, testing::Values(4, 3, 2, 1, 0));

class ReplayInto : public Backfill {
 protected:
  std::vector<std::string> take_all(const std::string& name) {
    std::vector<std::string> values;
    EXPECT_TRUE(comes_to(name));
    while (info(name).ready > 0) values.push_back(take(name));
    return values;
  }
};

TEST_F(ReplayInto, BringsOnceMoreWhatHasBeenRouted) {
  exchange("e", exchange_type::topic);
  send("", {"nobody's"}, "other");
  queue("q");
  send("e", {"too early"}, "a");
  bind("e", "q", "a", {});
  send("e", {"1"}, "a");
  send("", {"2"}, "q");
  send("e", {"not for it"}, "b");
  send("e", {"3"}, "a");
  EXPECT_THAT(take_all("q"), ElementsAre("1", "2", "3"));
  ok(the_bus().replay_into("q", from_earliest{}));
  EXPECT_THAT(take_all("q"), ElementsAre("1", "2", "3")) << "in the order of commits";
  the_clock().advance(seconds{10});
  const timestamp then = the_clock().wall();
  send("e", {"4"}, "a");
  EXPECT_THAT(take_all("q"), ElementsAre("4"));
  ok(the_bus().replay_into("q", then));
  EXPECT_THAT(take_all("q"), ElementsAre("4"));
  expect_sound();
}

TEST_F(ReplayInto, KnowsWhatABindingFromThePastHasBrought) {
  exchange("e");
  queue("q");
  send("e", {"1", "2", "3"});
  bind("e", "q", "", {.from = offset{1}});
  EXPECT_THAT(take_all("q"), ElementsAre("2", "3"));
  ok(the_bus().replay_into("q", from_earliest{}));
  EXPECT_THAT(take_all("q"), ElementsAre("2", "3"));
}

TEST_F(ReplayInto, OfAnEarlierQueueOfThatNameBringsNothing) {
  queue("q");
  send("", {"1"}, "q");
  ok(the_bus().delete_queue("q"));
  the_clock().advance(seconds{1});
  queue("q");
  send("", {"2"}, "q");
  EXPECT_THAT(take_all("q"), ElementsAre("2"));
  ok(the_bus().replay_into("q", from_earliest{}));
  EXPECT_THAT(take_all("q"), ElementsAre("2"));
}

TEST_F(ReplayInto, TellsWhatItCannotDo) {
  queue("q");
  auto own = ok(the_bus().declare_exclusive_queue("own"));
  EXPECT_THAT(the_bus().replay_into("q", offset{0}),
              fails_telling(errc::invalid_argument, "replay into queue 'q'"));
  EXPECT_THAT(the_bus().replay_into("none", from_earliest{}), fails_with(errc::unknown_queue));
  EXPECT_THAT(the_bus().replay_into("own", from_earliest{}), fails_with(errc::resource_locked));
  ok(the_bus().replay_into("q", from_latest{}));
  EXPECT_EQ(info("q").backfill, 0U);
}

TEST_F(ReplayInto, KnowsNotWhatAHashGaveToIt) {
  exchange("h", exchange_type::consistent_hash);
  queue("q");
  bind("h", "q", "1", {});
  EXPECT_THAT(the_bus().replay_into("q", from_earliest{}),
              fails_telling(errc::invalid_argument, "consistent-hash exchange 'h'"));
  EXPECT_EQ(info("q").backfill, 0U);
}

TEST_F(ReplayInto, AndBindingFromThePastHaveAsynchronousTwins) {
  exchange("e");
  queue("q");
  send("e", {"1"});
  const binding_arguments none;
  ok(the_bus().async_bind("e", "q", "", none, from_the_beginning, use_future).get());
  EXPECT_THAT(take_all("q"), ElementsAre("1"));
  ok(the_bus().async_replay_into("q", from_earliest{}, use_future).get());
  EXPECT_THAT(take_all("q"), ElementsAre("1"));
  EXPECT_THAT(the_bus().async_replay_into("none", from_earliest{}, use_future).get(),
              fails_with(errc::unknown_queue));
}

}  // namespace
}  // namespace levada::test
