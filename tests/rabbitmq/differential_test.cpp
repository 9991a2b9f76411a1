#include <rabbitmq/differential.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include <rabbitmq/history.hpp>
#include <rabbitmq/levada_broker.hpp>
#include <rabbitmq/shared_server.hpp>

namespace levada::rabbit {
namespace {

/// Of each theme, and with the operations that empty the queues: 10,000 in all, and a few more.
constexpr int seeds = 4;
constexpr std::size_t length = 850;

/// What all histories of this program add up to; printed when the last is done.
class sum final : public ::testing::Environment {
 public:
  void add(const comparison& c, std::chrono::duration<double> took) {
    operations_ += c.operations;
    took_ += took;
    rules_ += c.rules;
  }
  void TearDown() override {
    if (operations_ == 0) return;
    fmt::print("{} operations compared, {:.0f} a second; deliberate differences:\n{}", operations_,
               static_cast<double>(operations_) / took_.count(), to_text(rules_));
  }

 private:
  std::uint64_t operations_ = 0;
  std::chrono::duration<double> took_{};
  deliberate_differences rules_;
};

// GoogleTest's own state is ready before main. It owns the sum.
sum* const all = [] {
  auto* made = new sum;
  ::testing::AddGlobalTestEnvironment(made);
  return made;
}();

class Differential : public with_server, public ::testing::WithParamInterface<std::tuple<theme, int>> {};

TEST_P(Differential, BothAnswerAHistoryTheSame) {
  const auto [what, seed] = GetParam();
  const history h = make_history(static_cast<std::uint64_t>(seed), what, length);
  const auto began = std::chrono::steady_clock::now();
  const comparison c = compare(shared_server(), h);
  all->add(c, std::chrono::steady_clock::now() - began);
  EXPECT_FALSE(c.difference) << "seed " << seed << " of '" << to_text(what)
                             << "': left is RabbitMQ, right is levada\n"
                             << *c.difference;
  // A history that hardly delivers anything would compare nothing.
  EXPECT_GT(c.delivered, length / 20);
  EXPECT_GT(c.redelivered, 0U);
  EXPECT_EQ(c.dead_letters == 0, what == theme::routing);
  EXPECT_GT(c.nacked + c.returned, 0U);
}

INSTANTIATE_TEST_SUITE_P(Histories, Differential,
                         ::testing::Combine(::testing::Values(theme::routing, theme::dead_letters,
                                                              theme::mixed),
                                            ::testing::Range(1, seeds + 1)),
                         [](const auto& of) {
                           std::string name = to_text(std::get<0>(of.param));
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return fmt::format("{}_{}", name, std::get<1>(of.param));
                         });

/// What random histories rarely come to, or what they came to once.
class DifferentialCase : public with_server {
 protected:
  static void expect_equal(const history& h) {
    const comparison c = compare(shared_server(), h);
    EXPECT_FALSE(c.difference) << "left is RabbitMQ, right is levada\n" << *c.difference;
  }
  static operation queue(const std::string& name, const queue_arguments& arguments = {}) {
    return declare_queue{name, arguments, false};
  }
  static operation send(const std::string& key, const std::string& body, bool expire_at_once = false) {
    return publish{"", key, {}, {}, expire_at_once, false, body};
  }
  static queue_arguments dead_letters_to(const std::string& other) {
    queue_arguments a;
    a.dead_letter_exchange = "";
    a.dead_letter_key = other;
    return a;
  }
};

// levada once made dead letters of what had expired behind the head, and did not count it as purged.
TEST_F(DifferentialCase, PurgingTakesWhatHasExpiredBehindTheHead) {
  expect_equal({queue("q1"), queue("q0", dead_letters_to("q1")), send("q0", "live"),
                send("q0", "expired", true), purge{"q0"}});
}

// levada once kept what came back, however full the queue was.
TEST_F(DifferentialCase, AReturnedMessageCountsAgainstTheLimits) {
  queue_arguments a = dead_letters_to("q1");
  a.length_max = 1;
  expect_equal({queue("q1"), queue("q0", a), send("q0", "a"), get{"q0", false}, send("q0", "b"),
                settle{"q0", 0, settlement::nack, false, true}});
}

TEST_F(DifferentialCase, SeveralReturnedMessagesCountAgainstTheLimits) {
  queue_arguments a = dead_letters_to("q1");
  a.length_max = 2;
  history h{queue("q1"), queue("q0", a)};
  for (const char* body : {"a", "b", "c"}) {
    h.push_back(send("q0", body));
    h.emplace_back(get{"q0", false});
  }
  h.push_back(send("q0", "d"));
  h.emplace_back(settle{"q0", 2, settlement::nack, true, true});
  expect_equal(h);
}

TEST_F(DifferentialCase, WhatExpiredBehindTheHeadIsDroppedForItsRoom) {
  queue_arguments a = dead_letters_to("q1");
  a.bytes_max = 10;
  expect_equal(
      {queue("q1"), queue("q0", a), send("q0", "live"), send("q0", "dead", true), send("q0", "ten bytes.")});
}

TEST_F(DifferentialCase, WhatExpiredBehindTheHeadLeavesWithAMessageThatStays) {
  queue_arguments a = dead_letters_to("q1");
  a.bytes_max = 10;
  expect_equal({queue("q1"), queue("q0", a), send("q0", "live"), send("q0", "dead", true),
                send("q0", "six..."), send("q0", "too", true), send("q0", "large enough")});
}

TEST_F(DifferentialCase, AMessageThatIsTooLargeDropsEverything) {
  queue_arguments a = dead_letters_to("q1");
  a.bytes_max = 4;
  expect_equal({queue("q1"), queue("q0", a), send("q0", "a"), send("q0", "b"), send("q0", "too large")});
}

TEST_F(DifferentialCase, WhatExpiredReturnsBehindALiveHead) {
  queue_arguments a = dead_letters_to("q1");
  a.length_max = 3;
  expect_equal({queue("q1"), queue("q0", a), send("q0", "a"), send("q0", "b"), get{"q0", false},
                get{"q0", false}, send("q0", "c"), send("q0", "expired", true), send("q0", "d"),
                settle{"q0", 1, settlement::nack, false, true}, get{"q0", false}, get{"q0", false}});
}

TEST_F(DifferentialCase, AQueueThatDeadLettersToItself) {
  queue_arguments a = dead_letters_to("q0");
  a.length_max = 1;
  expect_equal({queue("q0", a), send("q0", "a"), send("q0", "b"), get{"q0", false},
                settle{"q0", 0, settlement::reject, false, false}, send("q0", "c"), send("q0", "d", true)});
}

TEST_F(DifferentialCase, DeadLettersOfDeadLettersToAFullQueue) {
  queue_arguments full = dead_letters_to("q2");
  full.length_max = 1;
  full.when_full = overflow::reject_publish_dlx;
  history h{queue("q2"), queue("q1", full), queue("q0", dead_letters_to("q1"))};
  for (const char* body : {"a", "b", "c"}) {
    h.push_back(send("q0", body));
    h.emplace_back(get{"q0", false});
  }
  h.emplace_back(settle{"q0", 2, settlement::nack, true, false});
  expect_equal(h);
}

TEST_F(DifferentialCase, AQueueDeletedWithUnsettledDeliveries) {
  expect_equal({queue("q0"), send("q0", "a"), send("q0", "b"), get{"q0", false}, delete_queue{"q0"},
                settle{"q0", 0, settlement::ack, false, false}, queue("q0"), send("q0", "c")});
}

TEST_F(DifferentialCase, ThreeDeathsOneAfterTheOther) {
  history h{queue("q3")};
  for (const auto& [name, next] : {std::pair{"q2", "q3"}, std::pair{"q1", "q2"}, std::pair{"q0", "q1"}}) {
    queue_arguments a = dead_letters_to(next);
    a.expire_at_once = true;
    h.push_back(queue(name, a));
  }
  h.push_back(send("q0", "m"));
  expect_equal(h);
}

TEST_F(DifferentialCase, DeadLettersAreRoutedByWhatTheyDiedOf) {
  queue_arguments a;
  a.dead_letter_exchange = "e3";
  a.length_max = 1;
  const auto of = [](const char* reason) {
    return field_table{{"x-match", std::string{"any-with-x"}}, {"x-first-death-reason", std::string{reason}}};
  };
  expect_equal({declare_exchange{"e3", exchange_kind::headers, {}}, queue("q0", a), queue("q1"), queue("q2"),
                bind{"e3", "q1", false, "", of("rejected")}, bind{"e3", "q2", false, "", of("maxlen")},
                send("q0", "a"), send("q0", "b"), get{"q0", false},
                settle{"q0", 0, settlement::reject, false, false}});
}

TEST_F(DifferentialCase, DeadLettersGoThroughInternalAndAlternateExchangesToSeveralQueues) {
  queue_arguments a;
  a.dead_letter_exchange = "e0";
  queue_arguments full;
  full.length_max = 1;
  full.when_full = overflow::reject_publish;
  history h{declare_exchange{"e1", exchange_kind::fanout, {}, false, true},
            declare_exchange{"e0", exchange_kind::direct, "e1", false, true},
            queue("q0", a),
            queue("q1", full),
            queue("q2"),
            bind{"e1", "q1", false, "", {}},
            bind{"e1", "q2", false, "", {}},
            bind{"e1", "e1", true, "", {}}};
  for (const char* body : {"a", "b"}) {
    h.push_back(send("q0", body));
    h.emplace_back(get{"q0", false});
    h.emplace_back(settle{"q0", 0, settlement::nack, false, false});
  }
  h.emplace_back(publish{"e1", "k", {}, {}, false, true, "refused"});
  h.emplace_back(delete_exchange{"e1"});
  h.push_back(send("q0", "dropped"));
  h.emplace_back(get{"q0", false});
  h.emplace_back(settle{"q0", 0, settlement::nack, false, false});
  expect_equal(h);
}

TEST_F(DifferentialCase, AMessageOfADeletedExchangeDiesAfterANewOneHasItsName) {
  expect_equal({queue("q1"), queue("q0", dead_letters_to("q1")),
                declare_exchange{"e0", exchange_kind::fanout, {}}, bind{"e0", "q0", false, "", {}},
                publish{"e0", "k", {}, {}, false, true, "a"}, delete_exchange{"e0", true},
                delete_exchange{"e0"}, declare_exchange{"e0", exchange_kind::direct, {}},
                publish{"e0", "k", {}, {}, false, true, "b"}, get{"q0", false},
                settle{"q0", 0, settlement::reject, false, false}});
}

TEST_F(DifferentialCase, AutoDeleteExchangesGoOneAfterTheOther) {
  history h{queue("q0")};
  for (const char* name : {"e0", "e1", "e2"}) {
    h.emplace_back(declare_exchange{name, exchange_kind::fanout, {}, true});
  }
  h.emplace_back(bind{"e0", "e1", true, "", {}});
  h.emplace_back(bind{"e1", "e2", true, "", {}});
  h.emplace_back(bind{"e2", "q0", false, "", {}});
  h.emplace_back(delete_exchange{"e2", true});
  h.emplace_back(delete_queue{"q0"});
  for (const char* name : {"e0", "e1", "e2"}) {
    h.emplace_back(declare_exchange{name, exchange_kind::fanout, {}, false, false, true});
  }
  expect_equal(h);
}

TEST_F(DifferentialCase, AFullQueueIsARouteForAMandatoryMessage) {
  queue_arguments a;
  a.length_max = 0;
  a.when_full = overflow::reject_publish;
  expect_equal({declare_exchange{"e0", exchange_kind::fanout, {}}, queue("q0", a),
                bind{"e0", "q0", false, "", {}}, publish{"e0", "", {}, {}, false, true, "m"},
                publish{"e0", "", {}, {}, true, false, "n"}});
}

// levada once took exception to arguments of a binding that could not exist.
TEST_F(DifferentialCase, UnbindingWhatCouldNotBeBoundIsNoError) {
  expect_equal({declare_exchange{"e3", exchange_kind::headers, {}}, queue("q0"),
                unbind{"e3", "q0", false, "", {{"x-match", std::string{"some"}}}},
                bind{"e3", "q0", false, "", {{"x-match", std::string{"some"}}}}});
}

// RabbitMQ counts what is left before dead letters of what expired have come back: the answers must not.
TEST_F(DifferentialCase, AGetSetsFreeWhatComesBackToItsQueue) {
  queue_arguments back = dead_letters_to("q0");
  back.bytes_max = 14;
  expect_equal({queue("q0", dead_letters_to("q1")), queue("q1", back), send("q0", "live"),
                send("q0", "expired and long", true), send("q1", "short"), get{"q0", true}});
}

// The rules themselves must not hide a difference that is none of theirs.
TEST(DeliberateDifferences, AreNamedInTheirOrder) {
  for (std::size_t i = 0; i < deliberate_differences::count; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(deliberate_differences::all().at(i).which), i);
  }
}

TEST(DeliberateDifferences, LeaveOtherAnswersAlone) {
  deliberate_differences rules;
  answer fine;
  answer missing;
  missing.result = outcome::not_found;
  answer left = fine;
  answer right = missing;
  rules.reconcile(purge{"q0"}, left, right);
  EXPECT_NE(left, right);
  left.ready = 1;
  rules.reconcile(delete_queue{"q0"}, left, right);
  EXPECT_NE(left, right);
  left = missing;
  right = fine;
  rules.reconcile(delete_queue{"q0"}, left, right);
  EXPECT_NE(left, right);
}

TEST(DeliberateDifferences, DoNotHideAMessageThatOnlyOneReturns) {
  deliberate_differences rules;
  answer left;
  left.confirm = verdict::confirmed;
  answer right;
  right.returned = returned{312, "e0", "k", "m"};
  rules.reconcile(publish{}, left, right);
  EXPECT_NE(left, right);
  left.returned = right.returned;
  left.confirm = verdict::nacked;
  rules.reconcile(publish{}, left, right);
  EXPECT_NE(left, right);
  left.confirm = verdict::confirmed;
  rules.reconcile(publish{}, left, right);
  EXPECT_EQ(left, right);
  EXPECT_EQ(rules.applied(difference::mandatory_is_refused), 1U);
}

}  // namespace
}  // namespace levada::rabbit
