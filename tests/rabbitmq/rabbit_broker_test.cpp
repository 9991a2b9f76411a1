#include <rabbitmq/rabbit_broker.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include <rabbitmq/shared_server.hpp>

namespace levada::rabbit {
namespace {

class RabbitBroker : public with_server {};

TEST_F(RabbitBroker, SettlesByPositionAndForgetsWithTheQueue) {
  rabbit_broker b{shared_server()};
  EXPECT_EQ(b.perform(declare_queue{"q", {}, false}).ready, 0U);
  EXPECT_EQ(b.perform(settle{"q", 0, settlement::ack, false, false}).result, outcome::nothing_to_settle);
  for (const char* body : {"a", "b", "c", "d"}) {
    EXPECT_EQ(b.perform(publish{"", "q", {}, {}, false, false, body}).confirm, verdict::confirmed);
    EXPECT_TRUE(b.perform(get{"q", false}).delivered);
  }
  // Number 5 modulo 4 is the second. Then "c" and, with all before it, "a".
  EXPECT_EQ(b.perform(settle{"q", 5, settlement::ack, false, false}).result, outcome::ok);
  EXPECT_EQ(b.perform(settle{"q", 1, settlement::nack, true, true}).result, outcome::ok);
  EXPECT_EQ(b.depth("q"), 2U);
  EXPECT_EQ(b.perform(get{"q", true}).delivered->message.body, "a");
  EXPECT_EQ(b.perform(delete_queue{"q"}).ready, 1U);
  EXPECT_EQ(b.depth("q"), std::nullopt);
  EXPECT_EQ(b.perform(get{"q", true}).result, outcome::not_found);
  EXPECT_EQ(b.perform(settle{"q", 0, settlement::ack, false, false}).result, outcome::nothing_to_settle);
}

// RabbitMQ 3.10 looks up the queue of an old delivery by name, and a new queue crashes on a tag it never
// gave.
TEST_F(RabbitBroker, LeavesDeliveriesOfADeletedQueueAloneInANewOne) {
  rabbit_broker b{shared_server()};
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(b.perform(declare_queue{"q", {}, false}).result, outcome::ok);
    for (int i = 0; i < 3 - round; ++i) {
      EXPECT_EQ(b.perform(publish{"", "q", {}, {}, false, false, "m"}).confirm, verdict::confirmed);
      EXPECT_TRUE(b.perform(get{"q", false}).delivered);
    }
    if (round == 1) break;
    EXPECT_EQ(b.perform(delete_queue{"q"}).result, outcome::ok);
  }
  EXPECT_EQ(b.perform(settle{"q", 1, settlement::nack, true, true}).result, outcome::ok);
  EXPECT_EQ(b.depth("q"), 2U);
}

TEST_F(RabbitBroker, KeepsDeliveriesOfOneQueueThroughErrorsAndSettlementsOfOthers) {
  rabbit_broker b{shared_server()};
  for (const char* queue : {"p", "q"}) {
    EXPECT_EQ(b.perform(declare_queue{queue, {}, false}).result, outcome::ok);
    EXPECT_EQ(b.perform(publish{"", queue, {}, {}, false, false, queue}).confirm, verdict::confirmed);
    EXPECT_TRUE(b.perform(get{queue, false}).delivered);
  }
  EXPECT_EQ(b.perform(get{"missing", false}).result, outcome::not_found);
  EXPECT_EQ(b.perform(publish{"missing", "", {}, {}, false, false, "m"}).result, outcome::not_found);
  EXPECT_EQ(b.perform(settle{"q", 0, settlement::ack, true, false}).result, outcome::ok);
  EXPECT_EQ(b.depth("p"), 0U);
  EXPECT_EQ(b.perform(settle{"p", 0, settlement::nack, false, true}).result, outcome::ok);
  EXPECT_EQ(b.depth("p"), 1U);
}

// A thousand dead letters set out at once and go through four more queues: enough to see an answer that comes
// before they have all arrived.
TEST_F(RabbitBroker, AnswersWhenAllDeadLettersHaveArrived) {
  constexpr int count = 1'000;
  rabbit_broker b{shared_server()};
  EXPECT_EQ(b.perform(declare_queue{"q5", {}, false}).result, outcome::ok);
  for (int i = 4; i >= 0; --i) {
    queue_arguments a;
    a.dead_letter_exchange = "";
    a.dead_letter_key = fmt::format("q{}", i + 1);
    a.expire_at_once = i != 0;
    EXPECT_EQ(b.perform(declare_queue{fmt::format("q{}", i), a, false}).result, outcome::ok);
  }
  for (int i = 0; i < count; ++i) {
    ASSERT_EQ(b.perform(publish{"", "q0", {}, {}, false, false, fmt::format("{}", i)}).confirm,
              verdict::confirmed);
    ASSERT_TRUE(b.perform(get{"q0", false}).delivered);
  }
  EXPECT_EQ(b.perform(settle{"q0", count - 1, settlement::nack, true, false}).result, outcome::ok);
  EXPECT_EQ(b.depth("q5"), count);
}

class RabbitTwice : public with_server, public ::testing::WithParamInterface<std::tuple<theme, int>> {};

// What differs here depends on the moment in RabbitMQ itself, and nothing can be compared with it.
TEST_P(RabbitTwice, AnswersAHistoryTheSame) {
  const auto [what, seed] = GetParam();
  const history h = make_history(static_cast<std::uint64_t>(seed), what, 1'000);
  std::optional<transcript> first;
  std::map<std::string, int> outcomes;
  const auto began = std::chrono::steady_clock::now();
  const std::uint64_t waits = shared_server().waits();
  std::size_t steps = 0;
  for (int round = 0; round < 2; ++round) {
    rabbit_broker b{shared_server()};
    transcript t = run(b, h);
    steps += t.size();
    if (!first) {
      first = std::move(t);
      continue;
    }
    const auto difference = first_difference(*first, t);
    EXPECT_FALSE(difference) << "seed " << seed << " of " << to_text(what) << '\n' << *difference;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  // A history that hardly delivers, returns, nacks or dead-letters would compare nothing.
  int delivered = 0, redelivered = 0, dead = 0, nacked = 0, returned = 0, failed = 0;
  for (const step& s : *first) {
    const answer& a = s.result;
    if (a.delivered) {
      ++delivered;
      redelivered += a.delivered->redelivered;
      dead += !a.delivered->message.deaths.empty();
    }
    nacked += a.confirm == verdict::nacked;
    returned += a.returned.has_value();
    failed += a.result == outcome::not_found || a.result == outcome::precondition_failed;
  }
  fmt::print(
      "{} seed {}: {:.0f} operations/s, settled {:.2f} times more; delivered {}, redelivered {}, dead {}, "
      "nacked {}, returned {}, failed {}\n",
      to_text(what), seed, static_cast<double>(steps) / took.count(),
      static_cast<double>(shared_server().waits() - waits) / static_cast<double>(steps), delivered,
      redelivered, dead, nacked, returned, failed);
}

INSTANTIATE_TEST_SUITE_P(Themes, RabbitTwice,
                         ::testing::Combine(::testing::Values(theme::routing, theme::dead_letters,
                                                              theme::mixed),
                                            ::testing::Range(1, 6)));

}  // namespace
}  // namespace levada::rabbit
