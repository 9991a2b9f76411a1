#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include "queue_world.hpp"

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class Policies : public queue_world {
 protected:
  void policy(const std::string& name, const std::string& pattern, const policy_definition& what,
              std::int32_t priority = 0, policy_target on = policy_target::all) {
    ok(the_bus().set_policy(name, {pattern, on, priority, what}));
  }
  queue_options effective(const std::string& name) { return ok(the_bus().queue(name)).effective; }
  std::string policy_of(const std::string& name) { return ok(the_bus().queue(name)).policy; }
  std::vector<std::string> ready(const std::string& name) {
    std::vector<std::string> values;
    for (const auto& r : ok(the_bus().peek(name, 100))) values.emplace_back(r.value());
    return values;
  }
  /// Asks until it is so, without doing anything about it.
  static bool comes_true(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + in_a_while;
    while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return condition();
  }
  std::uint64_t messages(const std::string& name) { return ok(the_bus().queue(name)).messages; }
};

TEST_F(Policies, HoldForQueuesThatAreThereAndThatCome) {
  queue("orders.new");
  policy("short", "^orders", {.max_length = 2});
  queue("orders.old");
  queue("returns of orders");
  send("orders.new", {"1", "2", "3"});
  send("orders.old", {"1", "2", "3"});
  send("returns of orders", {"1", "2", "3"});
  EXPECT_THAT(ready("orders.new"), ElementsAre("2", "3"));
  EXPECT_THAT(ready("orders.old"), ElementsAre("2", "3"));
  EXPECT_THAT(ready("returns of orders"), ElementsAre("1", "2", "3"));
  EXPECT_EQ(policy_of("orders.old"), "short");
  EXPECT_EQ(policy_of("returns of orders"), "");
  EXPECT_EQ(ok(the_bus().queue("orders.new")).options.max_length, std::nullopt) << "as it was declared";
  EXPECT_EQ(effective("orders.new").max_length, 2U);
}

TEST_F(Policies, AreFoundAnywhereInAName) {
  policy("short", "order", {.max_length = 1});
  queue("my orders");
  EXPECT_EQ(policy_of("my orders"), "short");
}

TEST_F(Policies, HoldAgainWhenTheStoreIsOpened) {
  queue("q");
  policy("p", "q", {.max_length = 1, .overflow = overflow::reject_publish});
  ok(the_bus().set_operator_policy("o", {"q", 7, {.delivery_limit = 4}}));
  reopen();
  EXPECT_EQ(effective("q").max_length, 1U);
  EXPECT_EQ(effective("q").overflow, overflow::reject_publish);
  EXPECT_EQ(effective("q").delivery_limit, 4U);
  send("q", {"1"});
  EXPECT_THAT(the_bus().publish("", "q", record{"2"}), fails_with(errc::queue_full));
  expect_sound();
}

TEST_F(Policies, GoWithoutATrace) {
  queue("q");
  policy("p", "q", {.max_length = 1});
  ok(the_bus().delete_policy("p"));
  send("q", {"1", "2"});
  EXPECT_EQ(messages("q"), 2);
  EXPECT_THAT(the_bus().delete_policy("p"),
              fails_telling(errc::unknown_policy, "delete policy 'p': there is none"));
  EXPECT_THAT(the_bus().delete_operator_policy("p"), fails_with(errc::unknown_policy));
  EXPECT_THAT(ok(the_bus().policies()), IsEmpty());
  reopen();
  EXPECT_EQ(policy_of("q"), "");
}

TEST_F(Policies, OfTheHighestPriorityHoldsAlone) {
  queue("q");
  policy("b", "q", {.max_length = 1});
  policy("a", "q", {.max_length_bytes = 1});
  EXPECT_EQ(policy_of("q"), "a") << "the first by name";
  EXPECT_EQ(effective("q").max_length, std::nullopt);
  policy("c", "q", {.delivery_limit = 1}, 1);
  EXPECT_EQ(policy_of("q"), "c");
  policy("c", "q", {.delivery_limit = 1}, -1);
  EXPECT_EQ(policy_of("q"), "a");
  policy("d", "q", {.alternate_exchange = "x"}, 2, policy_target::exchanges);
  EXPECT_EQ(policy_of("q"), "a") << "d is for exchanges";
}

TEST_F(Policies, StandBesideWhatWasDeclared) {
  queue("q", {.message_ttl = seconds{10},
              .max_length = 5,
              .overflow = overflow::reject_publish,
              .dead_letter_exchange = "mine",
              .delivery_limit = 3});
  policy("p", "q",
         {.message_ttl = seconds{5},
          .expires = seconds{100},
          .max_length = 7,
          .overflow = overflow::drop_head,
          .dead_letter_exchange = "theirs",
          .dead_letter_routing_key = "key",
          .delivery_limit = 4,
          .redelivery_delay = redelivery_delay{}});
  const auto now = effective("q");
  EXPECT_EQ(now.message_ttl, seconds{5});
  EXPECT_EQ(now.expires, seconds{100});
  EXPECT_EQ(now.max_length, 5U);
  EXPECT_EQ(now.overflow, overflow::reject_publish);
  EXPECT_EQ(now.dead_letter_exchange, "mine");
  EXPECT_EQ(now.dead_letter_routing_key, "key");
  EXPECT_EQ(now.delivery_limit, 3U);
  EXPECT_EQ(now.redelivery_delay, redelivery_delay{});
}

TEST_F(Policies, AreLimitedByOperators) {
  queue("q", {.max_length = 50});
  policy("p", "q", {.message_ttl = seconds{5}, .max_length = 20});
  ok(the_bus().set_operator_policy(
      "o", {"q", 0, {.message_ttl = seconds{9}, .max_length = 10, .max_length_bytes = 1'000}}));
  const auto info = ok(the_bus().queue("q"));
  EXPECT_EQ(info.operator_policy, "o");
  EXPECT_EQ(info.policy, "p");
  EXPECT_EQ(info.effective.message_ttl, seconds{5});
  EXPECT_EQ(info.effective.max_length, 10U);
  EXPECT_EQ(info.effective.max_length_bytes, 1'000U);
  ok(the_bus().delete_operator_policy("o"));
  EXPECT_EQ(effective("q").max_length, 20U);
}

TEST_F(Policies, TrimWhatIsTooMuchNow) {
  queue("dead");
  queue("q");
  send("q", {"1", "2", "3"});
  policy("p", "^q", {.max_length = 1, .dead_letter_exchange = "", .dead_letter_routing_key = "dead"});
  EXPECT_TRUE(comes_true([&] { return messages("dead") == 2; }));
  EXPECT_THAT(ready("q"), ElementsAre("3"));
  EXPECT_THAT(ready("dead"), ElementsAre("1", "2"));
  expect_sound();
}

TEST_F(Policies, GiveATimeToLiveToWhatComesFromThenOn) {
  queue("q");
  send("q", {"1"});
  policy("p", "q", {.message_ttl = seconds{1}});
  send("q", {"2"});
  the_clock().advance(seconds{2});
  auto c = consume("q");
  EXPECT_THAT(receive_all(c), ElementsAre("1"));
}

TEST_F(Policies, LimitDeliveriesFromThenOn) {
  queue("dead");
  queue("q");
  send("q", {"1"});
  auto c = consume("q", {.prefetch = 1});
  EXPECT_EQ(next(c), "1");
  ok(c.nack(delivery_tag{1}));
  policy("p", "^q", {.dead_letter_exchange = "", .dead_letter_routing_key = "dead", .delivery_limit = 1});
  for (std::uint64_t tag = 2; tag <= 3; ++tag) {
    EXPECT_EQ(next(c), "1");
    ok(c.nack(delivery_tag{tag}));
  }
  EXPECT_TRUE(comes_true([&] { return messages("dead") == 1; }));
  EXPECT_EQ(next(c), "none");
  ok(the_bus().delete_policy("p"));
  send("q", {"2"});
  for (std::uint64_t tag = 4; tag <= 7; ++tag) {
    EXPECT_EQ(next(c), "2");
    ok(c.nack(delivery_tag{tag}));
  }
}

TEST_F(Policies, HaveReturnedMessagesWait) {
  queue("q");
  send("q", {"1"});
  auto c = consume("q", {.prefetch = 1});
  policy("p", "q", {.redelivery_delay = redelivery_delay{}});
  EXPECT_EQ(next(c), "1");
  ok(c.nack(delivery_tag{1}));
  EXPECT_EQ(next(c), "none");
  ok(the_bus().delete_policy("p"));
  EXPECT_EQ(next(c), "none") << "it has begun to wait";
  the_clock().advance(seconds{1});
  EXPECT_EQ(next(c, in_a_while), "1");
  ok(c.nack(delivery_tag{2}));
  EXPECT_EQ(next(c), "1") << "no wait any more";
}

TEST_F(Policies, LetQueuesExpire) {
  queue("q");
  the_clock().advance(seconds{10});
  policy("p", "q", {.expires = seconds{5}});
  the_clock().advance(seconds{4});
  EXPECT_TRUE(the_bus().queue("q")) << "its time has begun with the policy";
  the_clock().advance(seconds{1});
  EXPECT_TRUE(comes_true([&] { return !the_bus().queue("q"); }));
}

TEST_F(Policies, GiveExchangesAnAlternate) {
  ok(the_bus().declare_exchange("e", {.type = exchange_type::direct}));
  ok(the_bus().declare_exchange("has one", {.type = exchange_type::direct, .alternate_exchange = "other"}));
  ok(the_bus().declare_exchange("rest", {.type = exchange_type::fanout}));
  queue("q");
  ok(the_bus().bind("rest", "q", ""));
  policy("p", "^e$|one", {.alternate_exchange = "rest"});
  ok(the_bus().publish("e", "nowhere", record{"1"}));
  ok(the_bus().publish("has one", "nowhere", record{"2"}));
  EXPECT_THAT(ready("q"), ElementsAre("1")) << "what was declared goes before";
  const auto e = ok(the_bus().exchange("e"));
  EXPECT_EQ(e.policy, "p");
  EXPECT_EQ(e.options.alternate_exchange, "");
  EXPECT_EQ(e.effective.alternate_exchange, "rest");
  ok(the_bus().delete_policy("p"));
  ok(the_bus().publish("e", "nowhere", record{"3"}));
  EXPECT_EQ(messages("q"), 1);
}

TEST_F(Policies, LeaveTheDefaultExchangeAsItIs) {
  policy("p", ".*", {.alternate_exchange = "rest"}, 0, policy_target::exchanges);
  EXPECT_EQ(ok(the_bus().exchange("")).policy, "");
}

TEST_F(Policies, AreForExclusiveQueuesToo) {
  policy("p", "^amq\\.gen", {.max_length = 1});
  const auto own = ok(the_bus().declare_anonymous_queue());
  send(own.name(), {"1", "2"});
  EXPECT_EQ(messages(own.name()), 1);
}

TEST_F(Policies, DoNotMakeDeclarationsDiffer) {
  queue("q", {.max_length = 5});
  policy("p", "q", {.max_length = 2});
  queue("q", {.max_length = 5});
  EXPECT_THAT(the_bus().declare_queue("q", {.max_length = 2}), fails_with(errc::inequivalent));
}

TEST_F(Policies, AreListedAsTheyWereSet) {
  const policy_options all{"^a",
                           policy_target::queues,
                           -3,
                           {.message_ttl = milliseconds{1},
                            .expires = milliseconds{2},
                            .max_length = 3,
                            .max_length_bytes = 4,
                            .overflow = overflow::drop_head,
                            .dead_letter_exchange = "x",
                            .dead_letter_routing_key = "k",
                            .delivery_limit = 5,
                            .redelivery_delay = redelivery_delay{.first = seconds{2}}}};
  const policy_options one{"b", policy_target::exchanges, 0, {.alternate_exchange = "x"}};
  const operator_policy_options limits{
      "c", 1, {milliseconds{1}, milliseconds{2}, std::uint64_t{3}, std::uint64_t{4}, 5U}};
  ok(the_bus().set_policy("second", one));
  ok(the_bus().set_policy("first", all));
  ok(the_bus().set_operator_policy("first", limits));
  for (int again = 0; again < 2; ++again) {
    const auto listed = ok(the_bus().async_policies(use_future).get());
    ASSERT_EQ(listed.size(), 2U);
    EXPECT_EQ(listed[0].name, "first");
    EXPECT_EQ(listed[0].options, all);
    EXPECT_EQ(listed[1].options, one);
    const auto operators = ok(the_bus().async_operator_policies(use_future).get());
    ASSERT_EQ(operators.size(), 1U);
    EXPECT_EQ(operators[0].options, limits);
    close();
    {
      const auto look = ok(attachment::open(store()));
      EXPECT_EQ(ok(look.policies()).size(), 2U);
      EXPECT_EQ(ok(look.operator_policies()).size(), 1U);
    }
    open();
  }
}

TEST_F(Policies, RefuseWhatCannotHold) {
  const auto refused = [&](const std::string& pattern, const policy_definition& what,
                           const std::string& why) {
    EXPECT_THAT(the_bus().set_policy("p", {pattern, policy_target::all, 0, what}),
                fails_telling(errc::invalid_argument, why));
  };
  refused("(", {.max_length = 1}, "set policy 'p': pattern '(': ");
  refused("", {.max_length = 1}, "the pattern has 0 bytes, and may have 1 to 1024");
  refused(std::string(1025, 'x'), {.max_length = 1}, "the pattern has 1025 bytes");
  refused("q", {}, "set policy 'p': it sets nothing");
  refused("q", {.message_ttl = milliseconds{-1}}, "message_ttl is not negative");
  refused("q", {.delivery_limit = 65'535}, "delivery_limit is at most 65,534");
  EXPECT_THAT(the_bus().set_policy("", {"q", policy_target::all, 0, {.max_length = 1}}),
              fails_with(errc::name_invalid));
  EXPECT_THAT(the_bus().set_operator_policy("o", {"q", 0, {}}),
              fails_telling(errc::invalid_argument, "set operator policy 'o': it sets nothing"));
  EXPECT_THAT(ok(the_bus().policies()), IsEmpty());
}

TEST_F(Policies, ThatGoBackAndForthWithoutEndDoNotMatch) {
  policy("p", "(a+)+b", {.max_length = 1});
  queue(std::string(200, 'a'));
  EXPECT_EQ(policy_of(std::string(200, 'a')), "");
}

TEST_F(Policies, AreSetWithoutWaiting) {
  queue("q");
  const policy_options p{"q", policy_target::all, 0, {.max_length = 1}};
  const operator_policy_options o{"q", 0, {.max_length = 2}};
  ok(the_bus().async_set_policy("p", p, use_future).get());
  ok(the_bus().async_set_operator_policy("o", o, use_future).get());
  EXPECT_EQ(effective("q").max_length, 1U);
  ok(the_bus().async_delete_policy("p", use_future).get());
  EXPECT_EQ(effective("q").max_length, 2U);
  ok(the_bus().async_delete_operator_policy("o", use_future).get());
  EXPECT_EQ(effective("q").max_length, std::nullopt);
}

TEST_F(Policies, AreExplained) {
  queue("q", {.max_length = 1});
  send("q", {"1"});
  policy("p", "q", {.overflow = overflow::reject_publish});
  const auto told = ok(the_bus().explain("", "q", record{"2"}));
  ASSERT_EQ(told.queues.size(), 1U);
  EXPECT_EQ(told.queues[0].verdict, queue_verdict::refuses);
}

}  // namespace
}  // namespace levada::test
