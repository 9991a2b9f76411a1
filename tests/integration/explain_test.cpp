#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class Explaining : public bus_fixture {
 protected:
  void exchange(const std::string& name, exchange_type type, exchange_options options = {}) {
    options.type = type;
    ok(the_bus().declare_exchange(name, options));
  }
  void fanout(const std::string& name, const exchange_options& options = {}) {
    exchange(name, exchange_type::fanout, options);
  }
  void queues(const std::vector<std::string>& names) {
    for (const auto& name : names) ok(the_bus().declare_queue(name));
  }
  void bind(const std::string& from, const std::string& to, const std::string& key = {},
            const binding_arguments& arguments = {}) {
    ok(the_bus().bind(from, to, key, arguments));
  }
  explanation explain(const std::string& to, const std::string& key = {}, const record& r = record{"v"},
                      const publish_options& options = {}) {
    return ok(the_bus().explain(to, key, r, options));
  }
  /// "exchange > queue", or "exchange >> exchange", and the binding's key where it has one.
  static std::vector<std::string> ways(const explanation& told) {
    std::vector<std::string> all;
    for (const auto& s : told.steps) {
      EXPECT_THAT(s.why, Not(IsEmpty()));
      all.push_back(s.exchange + (s.to_exchange ? " >> " : " > ") + s.destination +
                    (s.key.empty() ? "" : " by " + s.key));
    }
    return all;
  }
  static std::vector<std::string> reached(const explanation& told) {
    std::vector<std::string> all;
    for (const auto& q : told.queues) all.push_back(q.queue);
    return all;
  }
  /// A queue bound to the fanout exchange "e" that holds one message, and no more.
  void full_queue(const std::string& name, queue_options options) {
    options.max_length = 1;
    ok(the_bus().declare_queue(name, options));
    ok(the_bus().publish("", name, record{"old"}));
    bind("e", name);
  }
  static errc code_of(const explanation& told) { return told.refused.value().code(); }
};

// Ways

TEST_F(Explaining, TellsTheBindingsOfADirectExchangeThatMatch) {
  exchange("e", exchange_type::direct);
  queues({"a", "b", "c"});
  bind("e", "c", "k");
  bind("e", "a", "k");
  bind("e", "b", "other");
  const auto told = explain("e", "k");
  EXPECT_THAT(ways(told), UnorderedElementsAre("e > a by k", "e > c by k"));
  EXPECT_THAT(told.steps[0].why, HasSubstr("'k'"));
  EXPECT_THAT(reached(told), ElementsAre("a", "c")) << "by name";
  EXPECT_FALSE(told.refused.has_value());
  EXPECT_THAT(ways(explain("e", "none")), IsEmpty());
  EXPECT_THAT(explain("e", "none").queues, IsEmpty());
}

TEST_F(Explaining, TellsThePatternsOfATopicExchangeThatMatch) {
  exchange("e", exchange_type::topic);
  queues({"q"});
  for (const char* key : {"user.*", "order.*", "#", "user"}) bind("e", "q", key);
  const auto told = explain("e", "user.changed");
  EXPECT_THAT(ways(told), UnorderedElementsAre("e > q by user.*", "e > q by #"))
      << "of several that lead to one queue, those that match";
  EXPECT_THAT(reached(told), ElementsAre("q")) << "once";
  for (const auto& s : told.steps) {
    if (s.key == "user.*") {
      EXPECT_EQ(s.why, "the routing key 'user.changed' matches the pattern 'user.*'");
    }
  }
}

TEST_F(Explaining, TellsTheOneBindingOfSeveralToAQueueThatMatches) {
  exchange("d", exchange_type::direct);
  queues({"q"});
  for (const char* key : {"a", "b", "c"}) bind("d", "q", key);
  EXPECT_THAT(ways(explain("d", "b")), ElementsAre("d > q by b"));
  exchange("h", exchange_type::headers);
  bind("h", "q", "one", {{"kind", "fire"}});
  bind("h", "q", "two", {{"kind", "flood"}});
  EXPECT_THAT(ways(explain("h", "", record{"v"}.header("kind", "flood"))), ElementsAre("h > q by two"));
}

TEST_F(Explaining, TellsEveryBindingOfAFanoutExchange) {
  fanout("e");
  queues({"a", "b"});
  bind("e", "a");
  bind("e", "b", "whatever");
  EXPECT_THAT(ways(explain("e", "k")), UnorderedElementsAre("e > a", "e > b by whatever"));
}

TEST_F(Explaining, TellsTheArgumentsOfAHeadersExchangeThatMatch) {
  exchange("e", exchange_type::headers);
  queues({"all", "any", "other"});
  const binding_arguments all{{"kind", "fire"}, {"level", std::int64_t{3}}};
  bind("e", "all", "", all);
  bind("e", "any", "", {{"x-match", "any"}, {"kind", "fire"}, {"level", std::int64_t{4}}});
  bind("e", "other", "", {{"level", 3.0}});
  const auto told = explain("e", "", record{"v"}.header("kind", "fire").header("level", std::int64_t{3}));
  EXPECT_THAT(ways(told), UnorderedElementsAre("e > all", "e > any"));
  for (const auto& s : told.steps) {
    if (s.destination == "all") {
      EXPECT_THAT(s.arguments, testing::UnorderedElementsAreArray(all));
    }
  }
}

TEST_F(Explaining, TellsTheOneWayFromAConsistentHashExchange) {
  exchange("e", exchange_type::consistent_hash);
  queues({"a", "b", "c"});
  for (const char* name : {"a", "b", "c"}) bind("e", name, "2");
  for (int i = 0; i < 30; ++i) {
    const std::string key = std::to_string(i);
    const auto told = explain("e", key);
    ASSERT_EQ(told.steps.size(), 1U);
    EXPECT_EQ(told.steps[0].key, "2");
    ASSERT_THAT(reached(told), ElementsAre(told.steps[0].destination));
    const auto before = ok(the_bus().queue(told.queues[0].queue)).messages;
    ok(the_bus().publish("e", key, record{"v"}));
    EXPECT_EQ(ok(the_bus().queue(told.queues[0].queue)).messages, before + 1);
  }
}

TEST_F(Explaining, TellsThatTheDefaultExchangeGoesByTheQueuesName) {
  queues({"q"});
  const auto told = explain("", "q");
  EXPECT_THAT(ways(told), ElementsAre(" > q"));
  EXPECT_THAT(reached(told), ElementsAre("q"));
  EXPECT_THAT(ways(explain("", "none")), IsEmpty());
}

TEST_F(Explaining, TellsOfTheAlternateExchangeWhereNothingElseMatches) {
  exchange("e", exchange_type::direct, {.alternate_exchange = "f"});
  queues({"q", "rest"});
  bind("e", "q", "k");
  EXPECT_THAT(ways(explain("e", "none")), IsEmpty()) << "it is not there yet";
  fanout("f");
  bind("f", "rest");
  const auto told = explain("e", "none");
  EXPECT_THAT(ways(told), ElementsAre("e >> f", "f > rest"));
  EXPECT_THAT(reached(told), ElementsAre("rest"));
  EXPECT_THAT(ways(explain("e", "k")), ElementsAre("e > q by k"));
}

TEST_F(Explaining, TellsOfNoAlternateExchangeWhereAnExchangeIsBound) {
  fanout("e", {.alternate_exchange = "f"});
  fanout("f");
  fanout("nowhere");
  queues({"rest"});
  bind("f", "rest");
  ok(the_bus().bind_exchange("e", "nowhere", ""));
  EXPECT_THAT(ways(explain("e")), ElementsAre("e >> nowhere"));
  EXPECT_THAT(explain("e").queues, IsEmpty());
}

TEST_F(Explaining, FollowsExchangesFromOneToTheNext) {
  exchange("first", exchange_type::topic);
  fanout("second");
  exchange("third", exchange_type::direct);
  queues({"a", "b", "c"});
  ok(the_bus().bind_exchange("first", "second", "user.#"));
  ok(the_bus().bind_exchange("second", "third", ""));
  bind("second", "b");
  bind("third", "a", "user.new");
  bind("third", "c", "user.old");
  const auto told = explain("first", "user.new");
  ASSERT_EQ(told.steps.size(), 4U);
  const auto all = ways(told);
  EXPECT_EQ(all[0], "first >> second by user.#");
  EXPECT_THAT((std::vector<std::string>{all[1], all[2]}),
              UnorderedElementsAre("second >> third", "second > b"));
  EXPECT_EQ(all[3], "third > a by user.new");
  EXPECT_THAT(reached(told), ElementsAre("a", "b"));
  EXPECT_THAT(ways(explain("first", "order")), IsEmpty());
}

TEST_F(Explaining, GoesRoundACircleOnce) {
  for (const char* name : {"a", "b", "c"}) fanout(name);
  ok(the_bus().bind_exchange("a", "b", ""));
  ok(the_bus().bind_exchange("b", "c", ""));
  ok(the_bus().bind_exchange("c", "a", ""));
  queues({"q"});
  bind("a", "q");
  bind("c", "q");
  const auto told = explain("a");
  EXPECT_THAT(ways(told), UnorderedElementsAre("a >> b", "a > q", "b >> c", "c >> a", "c > q"));
  EXPECT_THAT(reached(told), ElementsAre("q"));
  EXPECT_EQ(ok(the_bus().publish("a", "", record{"v"})).routed, 1U);
}

// What queues do

TEST_F(Explaining, TellsWhatEachQueueWouldDo) {
  fanout("e", {.overflow = overflow_scope::queue});
  full_queue("drops", {});
  full_queue("refuses", {.overflow = overflow::reject_publish, .dead_letter_exchange = "graves"});
  full_queue("buries", {.overflow = overflow::reject_publish_dlx, .dead_letter_exchange = ""});
  full_queue("cannot bury", {.overflow = overflow::reject_publish_dlx});
  ok(the_bus().declare_queue("never", {.max_length = 0}));
  ok(the_bus().declare_queue("small", {.max_length_bytes = 3, .overflow = overflow::reject_publish}));
  queues({"takes"});
  for (const char* name : {"never", "small", "takes"}) bind("e", name);
  std::vector<std::pair<std::string, queue_verdict>> verdicts;
  const auto told = explain("e", "", record{"four"});
  for (const auto& q : told.queues) verdicts.emplace_back(q.queue, q.verdict);
  using v = queue_verdict;
  EXPECT_THAT(verdicts, ElementsAre(std::pair{"buries", v::dead_letters},
                                    std::pair{"cannot bury", v::refuses}, std::pair{"drops", v::drops_head},
                                    std::pair{"never", v::drops_head}, std::pair{"refuses", v::refuses},
                                    std::pair{"small", v::refuses}, std::pair{"takes", v::enters}));
  EXPECT_EQ(told.queues[0].dead_letter_exchange, "");
  EXPECT_EQ(told.queues[2].dead_letter_exchange, std::nullopt);
  EXPECT_EQ(told.queues[4].dead_letter_exchange, "graves");
  EXPECT_FALSE(told.refused.has_value());
  const auto receipt = ok(the_bus().publish("e", "", record{"four"}));
  EXPECT_EQ(receipt.routed, 3U);
  EXPECT_EQ(receipt.refused, 4U);
}

TEST_F(Explaining, TellsHowLongItWouldBeOfUse) {
  fanout("e");
  queues({"ever"});
  ok(the_bus().declare_queue("short", {.message_ttl = seconds{5}}));
  for (const char* name : {"ever", "short"}) bind("e", name);
  const auto plain = explain("e").queues;
  EXPECT_EQ(plain.at(0).expires_in, std::nullopt);
  EXPECT_EQ(plain.at(1).expires_in, 5'000);
  const auto own = explain("e", "", record{"v"}.expiration(seconds{1})).queues;
  EXPECT_EQ(own.at(0).expires_in, 1'000);
  EXPECT_EQ(own.at(1).expires_in, 1'000);
  EXPECT_EQ(explain("e", "", record{"v"}.expiration(seconds{9})).queues.at(1).expires_in, 5'000);
}

// Refusals

TEST_F(Explaining, TellsWhyPublishingWouldFail) {
  fanout("e");
  const auto nowhere = explain("e", "k", record{"v"}, {.mandatory = true});
  EXPECT_EQ(code_of(nowhere), errc::unroutable);
  EXPECT_THAT(nowhere.queues, IsEmpty());
  EXPECT_FALSE(explain("e", "k").refused.has_value()) << "it would be stored";
  full_queue("full", {.overflow = overflow::reject_publish});
  queues({"q"});
  bind("e", "q");
  const auto full = explain("e");
  EXPECT_EQ(code_of(full), errc::queue_full);
  EXPECT_THAT(full.refused->message(), HasSubstr("'full'"));
  EXPECT_THAT(reached(full), ElementsAre("full", "q")) << "all the same";
  EXPECT_EQ(full.queues[0].verdict, queue_verdict::refuses);
}

TEST_F(Explaining, TellsThatAnInternalExchangeRefusesPublishers) {
  fanout("e", {.internal = true});
  EXPECT_THAT(the_bus().publish("e", "", record{"v"}), fails_with(errc::access_refused));
  EXPECT_EQ(code_of(explain("e")), errc::access_refused);
}

TEST_F(Explaining, FailsWhereThereIsNothingToExplain) {
  fanout("e");
  EXPECT_THAT(the_bus().explain("none", "", record{"v"}), fails_with(errc::unknown_exchange));
  EXPECT_THAT(the_bus().explain("e", std::string(256, 'k'), record{"v"}), fails_with(errc::field_too_long));
  EXPECT_THAT(the_bus().explain("e", "", record{std::string(std::size_t{17} << 20, 'v')}),
              fails_with(errc::record_too_large));
  EXPECT_THAT(the_bus().explain("e", "", record{"v"}, {.delay = milliseconds{-1}}),
              fails_with(errc::invalid_argument));
}

// Delays

TEST_F(Explaining, TellsOfADelayedMessageWhatWouldBecomeOfItNow) {
  fanout("e", {.delayed = true});
  full_queue("full", {.overflow = overflow::reject_publish});
  queues({"q"});
  bind("e", "q");
  const auto asking = record{"v"}.header("x-delay", std::int64_t{5});
  for (const auto& told : {explain("e", "", record{"v"}, {.delay = seconds{5}}), explain("e", "", asking)}) {
    EXPECT_THAT(ways(told), UnorderedElementsAre("e > full", "e > q"));
    EXPECT_EQ(told.queues.at(0).verdict, queue_verdict::refuses);
    EXPECT_EQ(told.queues.at(1).verdict, queue_verdict::enters);
    EXPECT_FALSE(told.refused.has_value()) << "publishing it would not fail";
  }
  EXPECT_THAT(ok(the_bus().delayed(10)), IsEmpty());
  EXPECT_EQ(code_of(explain("e", "", record{"v"}.header("x-delay", INT64_MAX))), errc::invalid_argument);
  EXPECT_EQ(code_of(explain("e", "", asking, {.mandatory = true})), errc::invalid_argument);
}

// Nothing happens

TEST_F(Explaining, PublishesNothing) {
  fanout("e");
  full_queue("full", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave"});
  queues({"grave", "q"});
  bind("e", "q");
  ok(the_bus().publish("e", "", record{"v"}));
  const auto before = ok(the_bus().stats()).queues;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(explain("e").queues.size(), 2U);
  EXPECT_THAT(explain("", "none").queues, IsEmpty());
  const auto after = ok(the_bus().stats()).queues;
  EXPECT_EQ(after.routed, before.routed);
  EXPECT_EQ(after.unroutable, before.unroutable);
  EXPECT_EQ(after.delayed, before.delayed);
  for (const char* name : {"full", "grave", "q"}) EXPECT_EQ(ok(the_bus().queue(name)).messages, 1U) << name;
  EXPECT_THAT(read_all(ok(the_bus().replay("e"))), ElementsAre("v"));
  EXPECT_EQ(ok(the_bus().publish("e", "", record{"w"})).offset, offset{1}) << "no offset was given away";
  expect_sound();
}

TEST_F(Explaining, CanBeAskedForAsynchronously) {
  fanout("e");
  queues({"q"});
  bind("e", "q");
  const auto told =
      ok(the_bus().async_explain("e", "k", record{"v"}, publish_options{}, boost::asio::use_future).get());
  EXPECT_THAT(ways(told), ElementsAre("e > q"));
  EXPECT_THAT(the_bus().async_explain("none", "k", record{"v"}, {}, boost::asio::use_future).get(),
              fails_with(errc::unknown_exchange));
}

}  // namespace
}  // namespace levada::test
