#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

class Topology : public bus_fixture {
 protected:
  void exchange(const std::string& name, exchange_options options = {}) {
    ok(the_bus().declare_exchange(name, options));
  }
  void fanout(const std::string& name, exchange_options options = {}) {
    options.type = exchange_type::fanout;
    exchange(name, options);
  }
  void queue(const std::string& name) { ok(the_bus().declare_queue(name)); }
  std::size_t publish(const std::string& to, const std::string& key, const record& r = record{"v"}) {
    return ok(the_bus().publish(to, key, r)).routed;
  }
  std::uint64_t messages(const std::string& name) { return ok(the_bus().queue(name)).messages; }
  bool has_exchange(const std::string& name) { return the_bus().exchange(name).has_value(); }
};

// The default exchange

TEST_F(Topology, RoutesByQueueNameThroughTheDefaultExchange) {
  queue("work");
  EXPECT_EQ(publish("", "work"), 1U);
  EXPECT_EQ(publish("", "nothing"), 0U);
  EXPECT_EQ(messages("work"), 1U);
  reopen();
  EXPECT_EQ(publish("", "work", record{"again"}), 1U);
  auto worker = ok(the_bus().consume("work"));
  EXPECT_THAT(receive_all(worker), ElementsAre("v", "again"));
}

TEST_F(Topology, KeepsTheDefaultExchangeAsItIs) {
  queue("work");
  exchange("events");
  EXPECT_THAT(the_bus().bind("", "work", "other"), fails_with(errc::access_refused));
  EXPECT_THAT(the_bus().bind_exchange("events", "", "#"), fails_with(errc::access_refused));
  EXPECT_THAT(the_bus().delete_exchange(""), fails_with(errc::access_refused));
  EXPECT_THAT(the_bus().declare_exchange(""), fails_with(errc::name_invalid));
  EXPECT_EQ(ok(the_bus().exchange("")).options.type, exchange_type::direct);
}

// Types

TEST_F(Topology, RoutesByHeadersOfTheRightTypeAndValue) {
  exchange("events", {.type = exchange_type::headers});
  for (const char* name : {"both", "either", "number"}) queue(name);
  ok(the_bus().bind("events", "both", "", {{"kind", "fire"}, {"level", std::int64_t{3}}}));
  ok(the_bus().bind("events", "either", "",
                    {{"x-match", "any"}, {"kind", "fire"}, {"level", std::int64_t{3}}}));
  ok(the_bus().bind("events", "number", "", {{"level", 3.0}}));
  const auto one = record{"v"}.header("kind", "fire");
  const auto two = record{"v"}.header("level", std::int64_t{3}).header("kind", "fire");
  EXPECT_EQ(publish("events", "", one), 1U);
  EXPECT_EQ(publish("events", "", two), 2U);
  EXPECT_EQ(publish("events", "kind", record{"v"}), 0U);
  reopen();
  EXPECT_EQ(publish("events", "", two), 2U);
  EXPECT_EQ(messages("both"), 2U);
  EXPECT_EQ(messages("either"), 3U);
  EXPECT_EQ(messages("number"), 0U);
}

TEST_F(Topology, RefusesBindingsThatMeanNothingToTheirExchange) {
  exchange("headers", {.type = exchange_type::headers});
  exchange("hash", {.type = exchange_type::consistent_hash});
  queue("q");
  EXPECT_THAT(the_bus().bind("headers", "q", "", {{"x-match", "some"}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().bind("headers", "q", "", {{"a", "1"}, {"a", "2"}}),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().bind("headers", "q", "", {{"", "1"}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().bind("headers", "q", "", {{"a", std::string(70'000, 'x')}}),
              fails_with(errc::field_too_long));
  EXPECT_THAT(the_bus().bind("hash", "q", "much"), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().bind("hash", "q", "0"), fails_with(errc::invalid_argument));
  EXPECT_THAT(ok(the_bus().bindings()), IsEmpty());
}

TEST_F(Topology, SpreadsMessagesByHashAndWeight) {
  exchange("hash", {.type = exchange_type::consistent_hash});
  queue("one");
  queue("three");
  ok(the_bus().bind("hash", "one", "1"));
  ok(the_bus().bind("hash", "three", "3"));
  for (int i = 0; i < 2'000; ++i) EXPECT_EQ(publish("hash", std::to_string(i)), 1U);
  EXPECT_NEAR(static_cast<double>(messages("three")), 1'500, 100);
  // Of one key, all go one way.
  const auto before = messages("one");
  for (int i = 0; i < 20; ++i) publish("hash", "the same");
  const auto to_one = messages("one") - before;
  EXPECT_TRUE(to_one == 0 || to_one == 20) << to_one;
}

TEST_F(Topology, HashesWhatItWasToldTo) {
  exchange("by header",
           {.type = exchange_type::consistent_hash, .hash = hash_source::header, .hash_header = "customer"});
  exchange("by id", {.type = exchange_type::consistent_hash, .hash = hash_source::message_id});
  for (const char* name : {"a", "b", "c", "d"}) {
    queue(name);
    ok(the_bus().bind("by header", name, "1"));
    ok(the_bus().bind("by id", name, "1"));
  }
  const auto reached = [&](const std::string& by, const std::function<record(int)>& make) {
    std::set<std::string> names;
    for (int i = 0; i < 40; ++i) {
      std::map<std::string, std::uint64_t> before;
      for (const char* name : {"a", "b", "c", "d"}) before[name] = messages(name);
      publish(by, std::to_string(i), make(i));
      for (const auto& [name, count] : before) {
        if (messages(name) > count) names.insert(name);
      }
    }
    return names.size();
  };
  EXPECT_EQ(reached("by header", [](int) { return record{"v"}.header("customer", std::int64_t{7}); }), 1U);
  EXPECT_EQ(reached("by header", [](int) { return record{"v"}; }), 1U) << "without the header";
  EXPECT_EQ(reached("by header", [](int i) { return record{"v"}.header("customer", std::int64_t{i}); }), 4U);
  EXPECT_EQ(reached("by id", [](int) { return record{"v"}.message_id("7"); }), 1U);
  EXPECT_EQ(reached("by id", [](int i) { return record{"v"}.message_id(std::to_string(i)); }), 4U);
  EXPECT_THAT(
      the_bus().declare_exchange("x", {.type = exchange_type::consistent_hash, .hash = hash_source::header}),
      fails_with(errc::invalid_argument));
}

// Alternate exchanges

TEST_F(Topology, GivesWhatNothingMatchesToTheAlternateExchange) {
  exchange("events", {.type = exchange_type::direct, .alternate_exchange = "rest"});
  queue("known");
  queue("unknown");
  ok(the_bus().bind("events", "known", "a"));
  EXPECT_EQ(publish("events", "b"), 0U) << "there is no such exchange yet";
  fanout("rest");
  ok(the_bus().bind("rest", "unknown", ""));
  EXPECT_EQ(publish("events", "a"), 1U);
  EXPECT_EQ(publish("events", "b"), 1U);
  EXPECT_EQ(messages("known"), 1U);
  EXPECT_EQ(messages("unknown"), 1U);
  EXPECT_EQ(ok(the_bus().publish("events", "b", record{"v"}, {.mandatory = true})).routed, 1U);
  reopen();
  EXPECT_EQ(publish("events", "b"), 1U);
  EXPECT_EQ(ok(the_bus().exchange("events")).options.alternate_exchange, "rest");
}

TEST_F(Topology, FollowsAlternatesUntilOneHasBeenTried) {
  exchange("a", {.type = exchange_type::direct, .alternate_exchange = "b"});
  exchange("b", {.type = exchange_type::direct, .alternate_exchange = "c"});
  exchange("c", {.type = exchange_type::direct, .alternate_exchange = "a"});
  queue("q");
  EXPECT_EQ(publish("a", "x"), 0U);
  ok(the_bus().bind("c", "q", "x"));
  EXPECT_EQ(publish("a", "x"), 1U);
  EXPECT_EQ(publish("a", "y"), 0U);
}

TEST_F(Topology, TakesABindingToADeadEndForOne) {
  exchange("events", {.type = exchange_type::fanout, .alternate_exchange = "rest"});
  fanout("rest");
  fanout("dead end");
  queue("q");
  ok(the_bus().bind("rest", "q", ""));
  EXPECT_EQ(publish("events", "x"), 1U);
  ok(the_bus().bind_exchange("events", "dead end", ""));
  EXPECT_EQ(publish("events", "x"), 0U);
}

// From exchange to exchange

TEST_F(Topology, RoutesFromExchangeToExchangeOneCopyAQueue) {
  exchange("events");
  fanout("left");
  fanout("right");
  queue("q");
  ok(the_bus().bind_exchange("events", "left", "a.#"));
  ok(the_bus().bind_exchange("events", "right", "#.b"));
  ok(the_bus().bind("left", "q", ""));
  ok(the_bus().bind("right", "q", ""));
  ok(the_bus().bind("events", "q", "a.b"));
  EXPECT_EQ(publish("events", "a.b"), 1U);
  EXPECT_EQ(publish("events", "a.c"), 1U);
  EXPECT_EQ(publish("events", "c"), 0U);
  EXPECT_EQ(messages("q"), 2U);
  reopen();
  EXPECT_EQ(publish("events", "x.b"), 1U);
  ok(the_bus().unbind_exchange("events", "right", "#.b"));
  EXPECT_EQ(publish("events", "x.b"), 0U);
}

TEST_F(Topology, GoesRoundInNoCircle) {
  for (const char* name : {"a", "b", "c"}) fanout(name);
  ok(the_bus().bind_exchange("a", "b", ""));
  ok(the_bus().bind_exchange("b", "c", ""));
  ok(the_bus().bind_exchange("c", "a", ""));
  ok(the_bus().bind_exchange("a", "a", ""));
  queue("q");
  ok(the_bus().bind("c", "q", ""));
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(publish(name, "x"), 1U);
}

TEST_F(Topology, TellsBindingsToExchangesFromThoseToQueues) {
  fanout("both");
  queue("both");
  fanout("source");
  ok(the_bus().bind("source", "both", "k"));
  ok(the_bus().bind_exchange("source", "both", "k"));
  const auto all = ok(the_bus().bindings());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_THAT(all[0],
              AllOf(Field(&binding_info::to_exchange, false), Field(&binding_info::destination, "both")));
  EXPECT_THAT(all[1], Field(&binding_info::to_exchange, true));
  ok(the_bus().unbind("source", "both", "k"));
  EXPECT_THAT(ok(the_bus().bindings()), ElementsAre(Field(&binding_info::to_exchange, true)));
}

// Bindings

TEST_F(Topology, TellsBindingsApartByTheirArguments) {
  exchange("events", {.type = exchange_type::direct});
  queue("q");
  ok(the_bus().bind("events", "q", "k", {{"a", "1"}, {"b", "2"}}));
  ok(the_bus().bind("events", "q", "k", {{"b", "2"}, {"a", "1"}}));  // the same
  ok(the_bus().bind("events", "q", "k"));
  EXPECT_EQ(ok(the_bus().bindings()).size(), 2U);
  ok(the_bus().unbind("events", "q", "k"));
  EXPECT_EQ(publish("events", "k"), 1U) << "the other one is still there";
  ok(the_bus().unbind("events", "q", "k", {{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(publish("events", "k"), 0U);
}

// Coming and going

TEST_F(Topology, DeletesAutoDeleteExchangesWithTheirLastBinding) {
  fanout("far", {.auto_delete = true});
  fanout("near", {.auto_delete = true});
  queue("q");
  queue("r");
  EXPECT_TRUE(has_exchange("far")) << "it has had none yet";
  ok(the_bus().bind_exchange("far", "near", ""));
  ok(the_bus().bind("near", "q", ""));
  ok(the_bus().bind("near", "r", ""));
  ok(the_bus().unbind("near", "q", ""));
  EXPECT_TRUE(has_exchange("near"));
  reopen();
  ok(the_bus().delete_queue("r"));
  EXPECT_FALSE(has_exchange("near"));
  EXPECT_FALSE(has_exchange("far")) << "what it was bound to has gone";
  EXPECT_THAT(ok(the_bus().bindings()), IsEmpty());
}

TEST_F(Topology, ForgetsWhatIsNotDurableWhenTheStoreIsOpened) {
  fanout("passing", {.durable = false});
  fanout("lasting");
  queue("q");
  ok(the_bus().bind_exchange("lasting", "passing", ""));
  ok(the_bus().bind("passing", "q", ""));
  EXPECT_EQ(publish("lasting", "x"), 1U);
  reopen();
  EXPECT_FALSE(has_exchange("passing"));
  EXPECT_TRUE(has_exchange("lasting"));
  EXPECT_THAT(ok(the_bus().bindings()), IsEmpty());
  EXPECT_EQ(publish("lasting", "x"), 0U);
  EXPECT_EQ(messages("q"), 1U) << "what a queue holds, it holds";
}

TEST_F(Topology, KeepsPublishersFromInternalExchanges) {
  fanout("inside", {.internal = true});
  fanout("outside");
  queue("q");
  ok(the_bus().bind_exchange("outside", "inside", ""));
  ok(the_bus().bind("inside", "q", ""));
  EXPECT_THAT(the_bus().publish("inside", "", record{"v"}), fails_with(errc::access_refused));
  EXPECT_THAT(the_bus().transact([](transaction& t) { return t.publish("inside", "", record{"v"}); }),
              fails_with(errc::access_refused));
  EXPECT_EQ(publish("outside", ""), 1U);
}

TEST_F(Topology, ForgetsDeletedExchangesButNotTheirMessagesInQueues) {
  fanout("events");
  fanout("after");
  queue("q");
  ok(the_bus().bind("events", "q", ""));
  ok(the_bus().bind_exchange("events", "after", ""));
  ok(the_bus().bind_exchange("after", "events", ""));
  publish("events", "", record{"kept"});
  EXPECT_THAT(the_bus().delete_exchange("events", {.if_unused = true}),
              fails_telling(errc::in_use, "2 bindings"));
  ok(the_bus().delete_exchange("events"));
  EXPECT_THAT(ok(the_bus().bindings()), IsEmpty());
  EXPECT_THAT(the_bus().publish("events", "", record{"v"}), fails_with(errc::unknown_exchange));
  EXPECT_THAT(the_bus().replay("events"), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().delete_exchange("events"), fails_with(errc::unknown_exchange));
  // Its name is free.
  exchange("events", {.type = exchange_type::direct});
  ok(the_bus().bind("events", "q", "k"));
  publish("events", "k", record{"new"});
  maintain();
  reopen();
  maintain();
  auto taker = ok(the_bus().consume("q"));
  const auto kept = ok(taker.receive(at_once));
  EXPECT_EQ(kept->record().value(), "kept");
  EXPECT_EQ(kept->record().topic(), "events");
  EXPECT_EQ(ok(taker.receive(at_once))->record().value(), "new");
  EXPECT_THAT(read_all(ok(the_bus().replay_all())), ElementsAre("kept", "new"));
  ok(taker.ack(*kept));
  maintain();
  EXPECT_THAT(read_all(ok(the_bus().replay_all())), ElementsAre("new")) << "no queue refers to it any more";
  ok(the_bus().delete_exchange("after", {.if_unused = true}));
}

TEST_F(Topology, DeletesQueuesOnlyIfUnusedOrEmptyWhereAsked) {
  queue("q");
  publish("", "q");
  {
    auto taker = ok(the_bus().consume("q"));
    EXPECT_THAT(the_bus().delete_queue("q", {.if_unused = true}), fails_telling(errc::in_use, "1 consumers"));
    EXPECT_THAT(the_bus().delete_queue("q", {.if_empty = true}),
                fails_telling(errc::not_empty, "1 messages"));
    ok(taker.ack(*ok(taker.receive(at_once))));
  }
  ok(the_bus().delete_queue("q", {.if_unused = true, .if_empty = true}));
  EXPECT_THAT(the_bus().queue("q"), fails_with(errc::unknown_queue));
}

TEST_F(Topology, TellsWhatIsThereAsPassiveDeclarationsDo) {
  exchange("events", {.type = exchange_type::headers, .partitions = 2, .auto_delete = true});
  queue("q");
  ok(the_bus().bind("events", "q", ""));
  publish("events", "");
  auto taker = ok(the_bus().consume("q"));
  const auto e = ok(the_bus().exchange("events"));
  EXPECT_EQ(e.options.type, exchange_type::headers);
  EXPECT_EQ(e.options.partitions, 2U);
  EXPECT_EQ(e.bindings, 1U);
  EXPECT_TRUE(e.options.auto_delete);
  EXPECT_FALSE(e.options.internal);
  EXPECT_TRUE(e.options.durable);
  const auto q = ok(the_bus().queue("q"));
  EXPECT_EQ(q.messages, 1U);
  EXPECT_EQ(q.consumers, 1U);
  EXPECT_THAT(the_bus().exchange("none"), fails_with(errc::unknown_exchange));
  EXPECT_THAT(the_bus().queue("none"), fails_with(errc::unknown_queue));
}

TEST_F(Topology, ReservesNamesForItself) {
  EXPECT_THAT(the_bus().declare_exchange("amq.mine"), fails_with(errc::name_invalid));
}

// Equivalence

struct other_options {
  const char* name;
  std::function<void(exchange_options&)> change;
  const char* says;
};

class TopologyEquivalence : public Topology, public testing::WithParamInterface<other_options> {};

TEST_P(TopologyEquivalence, RefusesADeclarationThatDiffersAndSaysWhere) {
  exchange("events");
  exchange("events");
  exchange_options other;
  GetParam().change(other);
  EXPECT_THAT(the_bus().declare_exchange("events", other),
              fails_telling(errc::inequivalent, GetParam().says));
  ok(the_bus().declare_exchange("other", other));
  reopen();
  ok(the_bus().declare_exchange("other", other));
  EXPECT_THAT(the_bus().declare_exchange("other"), fails_with(errc::inequivalent));
}

INSTANTIATE_TEST_SUITE_P(
    Options, TopologyEquivalence,
    testing::Values(other_options{"type", [](auto& o) { o.type = exchange_type::fanout; },
                                  "a topic exchange, not a fanout"},
                    other_options{"partitions", [](auto& o) { o.partitions = 2; }, "1 partitions, not 2"},
                    other_options{"auto_delete", [](auto& o) { o.auto_delete = true; }, "auto_delete"},
                    other_options{"internal", [](auto& o) { o.internal = true; }, "internal"},
                    other_options{"alternate", [](auto& o) { o.alternate_exchange = "rest"; },
                                  "alternate exchange '', not 'rest'"},
                    other_options{"hash", [](auto& o) { o.hash = hash_source::message_id; }, "hashes"}),
    [](const auto& one) { return std::string{one.param.name}; });

TEST_F(Topology, RefusesToMakeADurableExchangePass) {
  exchange("events");
  EXPECT_THAT(the_bus().declare_exchange("events", {.durable = false}),
              fails_telling(errc::inequivalent, "durability"));
}

// Publishing

TEST_F(Topology, LeavesMandatoryMessagesThatNoQueueGetsToTheirPublisher) {
  exchange("events");
  EXPECT_THAT(the_bus().publish("events", "k", record{"v"}, {.mandatory = true}),
              fails_telling(errc::unroutable, "'k'"));
  EXPECT_THAT(the_bus().transact([](transaction& t) -> result<void> {
    if (auto first = t.publish("events", "k", record{"first"}); !first) return first;
    return t.publish("events", "k", record{"v"}, {.mandatory = true});
  }),
              fails_with(errc::unroutable));
  EXPECT_THAT(read_all(ok(the_bus().replay("events"))), IsEmpty()) << "nothing is stored";
  queue("q");
  ok(the_bus().bind("events", "q", "k"));
  EXPECT_EQ(ok(the_bus().publish("events", "k", record{"v"}, {.mandatory = true})).routed, 1U);
}

TEST_F(Topology, PublishesSeveralMessagesOrNone) {
  exchange("events");
  fanout("others");
  queue("q");
  ok(the_bus().bind("events", "q", "a"));
  std::vector<message> all;
  all.emplace_back("events", "a", record{"1"});
  all.emplace_back("others", "a", record{"2"});
  all.emplace_back("", "q", record{"3"});
  const auto receipts = ok(the_bus().publish(all));
  ASSERT_EQ(receipts.size(), 3U);
  EXPECT_EQ(receipts[0].topic, "events");
  EXPECT_EQ(receipts[0].routed, 1U);
  EXPECT_EQ(receipts[1].topic, "others");
  EXPECT_EQ(receipts[1].routed, 0U);
  EXPECT_EQ(receipts[2].routed, 1U);
  EXPECT_THAT(the_bus().publish(all, {.mandatory = true}), fails_with(errc::unroutable));
  all[1].exchange = "none";
  EXPECT_THAT(the_bus().publish(all), fails_telling(errc::unknown_exchange, "number 1"));
  all[1].exchange = "events";
  all[1].routing_key = std::string(256, 'k');
  EXPECT_THAT(the_bus().publish(all), fails_telling(errc::field_too_long, "number 1"));
  auto taker = ok(the_bus().consume("q"));
  EXPECT_THAT(receive_all(taker), ElementsAre("1", "3"));
  EXPECT_THAT(ok(the_bus().publish(std::vector<message>{})), IsEmpty());
}

// All of it, beside a naive one

/// Follows bindings as the documentation says, set by set.
class naive_router {
 public:
  struct binding {
    std::string from;
    std::string to;
    bool to_exchange;
    std::string key;
  };
  std::map<std::string, std::string> alternates;
  std::vector<binding> bindings;

  std::set<std::string> route(const std::string& exchange, const std::string& key) const {
    std::set<std::string> queues;
    std::set<std::string> seen;
    visit(exchange, key, queues, seen);
    return queues;
  }

 private:
  void visit(const std::string& exchange, const std::string& key, std::set<std::string>& queues,
             std::set<std::string>& seen) const {
    const auto alternate = alternates.find(exchange);
    if (alternate == alternates.end() || !seen.insert(exchange).second) return;
    bool found = false;
    for (const auto& b : bindings) {
      if (b.from != exchange || !topic_matches(b.key, key)) continue;
      found = true;
      if (b.to_exchange) {
        visit(b.to, key, queues, seen);
      } else {
        queues.insert(b.to);
      }
    }
    if (!found) visit(alternate->second, key, queues, seen);
  }
};

class TopologyWalk : public Topology, public testing::WithParamInterface<unsigned> {};

TEST_P(TopologyWalk, RoutesAsANaiveRouterDoes) {
  std::mt19937 random{GetParam()};
  const auto pick = [&](const auto& from) { return from[random() % from.size()]; };
  const std::array<std::string, 5> exchanges{"e0", "e1", "e2", "e3", "e4"};
  const std::array<std::string, 4> queues{"q0", "q1", "q2", "q3"};
  const std::array<std::string, 7> patterns{"#", "*", "a", "b", "a.*", "a.#", "*.b"};
  const std::array<std::string, 6> keys{"a", "b", "c", "a.b", "a.c", ""};
  naive_router naive;
  for (const auto& name : queues) queue(name);
  const auto routed = [&](const std::string& exchange, const std::string& key) {
    std::map<std::string, std::uint64_t> before;
    for (const auto& name : queues) before[name] = messages(name);
    const auto count = publish(exchange, key);
    std::set<std::string> reached;
    for (const auto& name : queues) {
      EXPECT_LE(messages(name), before[name] + 1);
      if (messages(name) > before[name]) reached.insert(name);
    }
    EXPECT_EQ(count, reached.size());
    return reached;
  };
  for (int step = 0; step < 300; ++step) {
    const std::string name = pick(exchanges);
    if (!has_exchange(name)) {
      const std::string alternate = random() % 2 == 0 ? pick(exchanges) : std::string{};
      exchange(name, {.alternate_exchange = alternate});
      naive.alternates[name] = alternate;
      continue;
    }
    switch (random() % 12) {
      case 0:
        ok(the_bus().delete_exchange(name));
        naive.alternates.erase(name);
        std::erase_if(naive.bindings,
                      [&](const auto& b) { return b.from == name || (b.to_exchange && b.to == name); });
        break;
      case 1: {
        const std::string to = pick(exchanges);
        if (!has_exchange(to)) break;
        const std::string key = pick(patterns);
        ok(the_bus().bind_exchange(name, to, key));
        naive.bindings.push_back({name, to, true, key});
        break;
      }
      case 2:
      case 3: {
        const std::string to = pick(queues);
        const std::string key = pick(patterns);
        ok(the_bus().bind(name, to, key));
        naive.bindings.push_back({name, to, false, key});
        break;
      }
      case 4: {
        if (naive.bindings.empty()) break;
        const auto b = pick(naive.bindings);
        ok(b.to_exchange ? the_bus().unbind_exchange(b.from, b.to, b.key)
                         : the_bus().unbind(b.from, b.to, b.key));
        std::erase_if(naive.bindings, [&](const auto& other) {
          return other.from == b.from && other.to == b.to && other.to_exchange == b.to_exchange &&
                 other.key == b.key;
        });
        break;
      }
      case 5:
        if (random() % 5 == 0) reopen();
        break;
      default: {
        const std::string key = pick(keys);
        ASSERT_EQ(routed(name, key), naive.route(name, key)) << "step " << step << ", " << name << " " << key;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, TopologyWalk, testing::Range(1U, 7U));

}  // namespace
}  // namespace levada::test
