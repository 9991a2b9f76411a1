#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Priorities : public bus_fixture {
 protected:
  void queue(const std::string& name, queue_options o = {}) {
    if (!o.max_priority) o.max_priority = std::uint8_t{5};
    ok(the_bus().declare_queue(name, o));
  }
  result<publish_receipt> send(const std::string& to, const std::string& value, int priority) {
    return the_bus().publish("", to, record{value}.priority(static_cast<std::uint8_t>(priority)));
  }
  std::vector<std::string> ready(const std::string& name) {
    std::vector<std::string> values;
    for (const auto& r : ok(the_bus().peek(name, 1'000))) values.emplace_back(r.value());
    return values;
  }
  /// Everything, acknowledged.
  std::vector<std::string> drain(const std::string& name) {
    auto consumer = ok(the_bus().consume(name, {.prefetch = 1}));
    std::vector<std::string> values;
    while (auto d = ok(consumer.receive(at_once))) {
      values.emplace_back(d->record().value());
      ok(consumer.ack(*d));
    }
    return values;
  }
};

TEST_F(Priorities, HandOutHigherOnesFirstAndAlikeOnesInTheirOrder) {
  queue("q");
  ok(send("q", "low", 1));
  ok(send("q", "high", 5));
  ok(send("q", "mid", 3));
  ok(send("q", "high too", 5));
  ok(send("q", "low too", 1));
  EXPECT_THAT(ready("q"), ElementsAre("high", "high too", "mid", "low", "low too"));
  EXPECT_THAT(drain("q"), ElementsAre("high", "high too", "mid", "low", "low too"));
  EXPECT_EQ(ok(the_bus().queue("q")).messages, 0U);
  expect_sound();
}

TEST_F(Priorities, TakeNoneForTheLowestAndTooHighOnesForTheHighest) {
  queue("q");
  ok(the_bus().publish("", "q", record{"none"}));
  ok(send("q", "zero", 0));
  ok(send("q", "five", 5));
  ok(send("q", "two hundred", 200));
  EXPECT_THAT(drain("q"), ElementsAre("five", "two hundred", "none", "zero"));
}

TEST_F(Priorities, MeanNothingToOtherQueues) {
  ok(the_bus().declare_queue("plain"));
  ok(send("plain", "low", 1));
  ok(send("plain", "high", 9));
  EXPECT_THAT(drain("plain"), ElementsAre("low", "high"));
}

TEST_F(Priorities, OvertakeWhatHasNotBeenHandedOut) {
  queue("q");
  for (const char* v : {"1", "2", "3"}) ok(send("q", v, 1));
  auto consumer = ok(the_bus().consume("q", {.prefetch = 1}));
  const auto first = ok(consumer.receive(at_once));
  EXPECT_EQ(first->record().value(), "1");
  ok(send("q", "urgent", 4));
  ok(consumer.ack(*first));
  EXPECT_EQ(ok(consumer.receive(at_once))->record().value(), "urgent");
}

TEST_F(Priorities, KeepTheirPlaceWhenTheyAreReturned) {
  queue("q");
  for (const char* v : {"1", "2", "3"}) ok(send("q", v, 2));
  auto consumer = ok(the_bus().consume("q"));
  const auto one = ok(consumer.receive(at_once));
  const auto two = ok(consumer.receive(at_once));
  ok(send("q", "high", 3));
  ok(send("q", "low", 1));
  ok(consumer.nack(*two));
  ok(consumer.nack(*one));
  consumer.close();
  EXPECT_THAT(drain("q"), ElementsAre("high", "1", "2", "3", "low"));
}

TEST_F(Priorities, SurviveReopeningWithTheirFlags) {
  queue("q");
  for (int i = 0; i < 200; ++i) ok(send("q", std::to_string(i), i % 6));
  {
    auto consumer = ok(the_bus().consume("q", {.prefetch = 1}));
    EXPECT_EQ(ok(consumer.receive(at_once))->record().value(), "5");
  }
  reopen();
  auto consumer = ok(the_bus().consume("q", {.prefetch = 1}));
  auto first = ok(consumer.receive(at_once));
  EXPECT_EQ(first->record().value(), "5");
  EXPECT_TRUE(first->redelivered());
  ok(consumer.ack(*first));
  auto second = ok(consumer.receive(at_once));
  EXPECT_EQ(second->record().value(), "11");
  EXPECT_FALSE(second->redelivered()) << "nobody has seen it";
  consumer.close();
  EXPECT_EQ(drain("q").size(), 199U);
  expect_sound();
}

TEST_F(Priorities, SortTheMessagesOfOneCommit) {
  queue("q");
  std::vector<message> all;
  for (int i = 0; i < 300; ++i)
    all.emplace_back("", "q", record{std::to_string(i)}.priority(static_cast<std::uint8_t>(i % 3)));
  ok(the_bus().publish(all));
  std::vector<std::string> expected;
  for (int p = 2; p >= 0; --p) {
    for (int i = p; i < 300; i += 3) expected.push_back(std::to_string(i));
  }
  EXPECT_EQ(drain("q"), expected);
}

TEST_F(Priorities, DropTheHeadWhereTheQueueIsFull) {
  ok(the_bus().declare_queue("dead"));
  queue("q", {.max_length = 2, .dead_letter_exchange = "", .dead_letter_routing_key = "dead"});
  ok(send("q", "low", 1));
  ok(send("q", "high", 4));
  ok(send("q", "mid", 2));
  EXPECT_THAT(ready("q"), ElementsAre("mid", "low")) << "the head is what goes, whatever its priority";
  EXPECT_THAT(ready("dead"), ElementsAre("high"));
  ok(send("q", "highest", 5));
  EXPECT_THAT(ready("q"), ElementsAre("mid", "low")) << "what would be the head itself goes at once";
  EXPECT_THAT(ready("dead"), ElementsAre("high", "highest"));
  std::vector<message> both;
  for (const int p : {5, 3})
    both.emplace_back("", "q", record{std::to_string(p)}.priority(static_cast<std::uint8_t>(p)));
  ok(the_bus().publish(both));
  EXPECT_THAT(ready("q"), ElementsAre("mid", "low"));
  EXPECT_THAT(ready("dead"), ElementsAre("high", "highest", "5", "3"));
  expect_sound();
}

TEST_F(Priorities, AreKeptByDeadLetters) {
  queue("dead");
  queue("q", {.dead_letter_exchange = "", .dead_letter_routing_key = "dead"});
  ok(send("q", "high", 5));
  ok(send("q", "low", 1));
  auto consumer = ok(the_bus().consume("q"));
  const auto high = ok(consumer.receive(at_once));
  const auto low = ok(consumer.receive(at_once));
  ok(consumer.nack(*low, requeue::no));
  ok(consumer.nack(*high, requeue::no));
  EXPECT_THAT(drain("dead"), ElementsAre("high", "low"));
}

TEST_F(Priorities, ExpireAtTheHeadAlone) {
  queue("q");
  ok(the_bus().publish("", "q", record{"short-lived"}.priority(1).expiration(milliseconds{10})));
  ok(send("q", "high", 5));
  the_clock().advance(milliseconds{20});
  EXPECT_EQ(ok(the_bus().queue("q")).messages, 2U) << "one that has not expired stands before it";
  auto consumer = ok(the_bus().consume("q"));
  const auto high = ok(consumer.receive(at_once));
  EXPECT_EQ(high->record().value(), "high");
  ok(consumer.ack(*high));
  EXPECT_FALSE(ok(consumer.receive(at_once)));
}

TEST_F(Priorities, ArePurgedTogether) {
  queue("q");
  for (int i = 0; i < 100; ++i) ok(send("q", std::to_string(i), i % 6));
  EXPECT_EQ(ok(the_bus().purge_queue("q")), 100U);
  EXPECT_THAT(ready("q"), IsEmpty());
  ok(send("q", "after", 3));
  EXPECT_THAT(drain("q"), ElementsAre("after"));
}

TEST_F(Priorities, AreUpTo255AndFixed) {
  EXPECT_THAT(the_bus().declare_queue("q", {.max_priority = std::uint8_t{0}}),
              fails_telling(errc::invalid_argument, "1 to 255"));
  queue("q", {.max_priority = std::uint8_t{255}});
  queue("q", {.max_priority = std::uint8_t{255}});
  const auto other = the_bus().declare_queue("q", {.max_priority = std::uint8_t{10}});
  EXPECT_THAT(other, fails_telling(errc::inequivalent, "max_priority"));
  EXPECT_THAT(the_bus().declare_queue("q"), fails_with(errc::inequivalent));
  for (int i = 0; i <= 255; ++i) ok(send("q", std::to_string(i), i));
  expect_sound();
  const auto all = drain("q");
  ASSERT_EQ(all.size(), 256U);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], std::to_string(255 - i));
}

/// Beside a list that is sorted by priority and time.
TEST_F(Priorities, AreAsInASortedListWhateverHappens) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const std::string name = "q" + std::to_string(seed);
    queue(name);
    std::map<std::pair<int, int>, std::string> model;  // by priority downwards, and number
    int number = 0;
    for (int step = 0; step < 150; ++step) {
      const auto what = random() % 10;
      if (what < 5) {
        const int priority = static_cast<int>(random() % 6);
        ok(send(name, std::to_string(number), priority));
        model[{-priority, number}] = std::to_string(number);
        ++number;
      } else if (what < 9) {
        auto consumer =
            ok(the_bus().consume(name, {.prefetch = static_cast<std::uint32_t>(1 + random() % 4)}));
        std::vector<delivery> held;
        auto expected = model.begin();
        for (std::size_t n = random() % 4; n > 0; --n) {
          auto d = ok(consumer.receive(at_once));
          if (!d) break;
          ASSERT_NE(expected, model.end());
          ASSERT_EQ(d->record().value(), expected->second);
          if (random() % 2 == 0) {
            ok(consumer.ack(*d));
            expected = model.erase(expected);
          } else {
            held.push_back(*d);
            ++expected;
          }
        }
        for (const auto& d : held) {
          if (random() % 2 == 0) ok(consumer.nack(d));
        }
      } else {
        reopen();
      }
      ASSERT_EQ(ok(the_bus().queue(name)).messages, model.size());
    }
    std::vector<std::string> left;
    for (const auto& [key, value] : model) left.push_back(value);
    EXPECT_EQ(drain(name), left);
  }
  expect_sound();
}

}  // namespace
}  // namespace levada::test
