#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "damaged_store.hpp"
#include "queue/block_codec.hpp"
#include "queue/shared_index.hpp"
#include "queue_world.hpp"
#include "storage/catalog.hpp"

namespace levada::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

constexpr std::size_t block = levada::queue::block_entries;

/// Queues that get the same messages, and what is stored of that.
class SharedIndexes : public queue_world {
 protected:
  SharedIndexes() { ok(the_bus().declare_exchange("all", {.type = exchange_type::fanout})); }

  void alike(const std::vector<std::string>& names) {
    for (const auto& name : names) {
      queue(name);
      ok(the_bus().bind("all", name, ""));
    }
  }
  void send_all(int from, int to) {
    for (int i = from; i < to; ++i) ok(the_bus().publish("all", "", record{std::to_string(i)}));
  }
  /// In one commit.
  void send_together(int from, int to) {
    std::vector<message> all;
    for (int i = from; i < to; ++i) all.emplace_back("all", "", record{std::to_string(i)});
    ok(the_bus().publish(all));
  }
  static std::vector<std::string> numbers(int from, int to) {
    std::vector<std::string> all;
    for (int i = from; i < to; ++i) all.push_back(std::to_string(i));
    return all;
  }
  /// What a queue hands out, which it gets back then.
  std::vector<std::string> content(const std::string& name) {
    auto c = consume(name, {.prefetch = 0});
    return receive_all(c);
  }
  void take_all(const std::string& name) {
    auto c = consume(name, {.prefetch = 0});
    std::vector<delivery> all;
    while (auto d = ok(c.receive(at_once))) all.push_back(std::move(*d));
    if (!all.empty()) ok(c.ack_up_to(all.back().tag()));
  }

  struct stored_rows {
    std::map<std::string, std::size_t> own;         // blocks, by queue
    std::map<std::uint32_t, std::size_t> of_index;  // by index
  };
  /// Of the store, which is opened anew after it.
  stored_rows rows() {
    close();
    stored_rows all;
    {
      const auto main =
          ok(storage::main_environment::open(store() / "main", {.map_bytes = std::size_t{64} << 20}));
      const auto txn = ok(storage::read_transaction::begin(main.env()));
      std::map<std::uint32_t, std::string> names;
      for (const auto& q : ok(storage::read_catalog(txn, main.tables())).queues) names[q.id] = q.name;
      for (const std::uint32_t id : ok(levada::queue::stored_queues(txn, main.tables()))) {
        std::size_t count = 0;
        for (std::uint64_t from = 0;; ++count) {
          const auto next = ok(levada::queue::first_own_block(txn, main.tables(), id, from));
          if (!next) break;
          from = *next + 1;
        }
        if (levada::queue::is_shared_index(id)) {
          all.of_index[id] = count;
        } else {
          all.own[names.at(id)] = count;
        }
      }
    }
    open();
    return all;
  }
};

TEST_F(SharedIndexes, StoreOnceWhatComesToSeveralQueues) {
  alike({"a", "b", "c", "d"});
  send_all(0, 2 * block);
  send_together(2 * block, 4 * block);
  const auto found = rows();
  EXPECT_THAT(found.own,
              testing::Each(testing::Field(&std::pair<const std::string, std::size_t>::second, 0U)));
  ASSERT_THAT(found.of_index, SizeIs(1));
  EXPECT_EQ(found.of_index.begin()->second, 4U);
  for (const char* const name : {"a", "b", "c", "d"}) EXPECT_EQ(content(name), numbers(0, 4 * block));
}

TEST_F(SharedIndexes, AreNotWorthItForTwo) {
  alike({"a", "b"});
  send_all(0, 10);
  EXPECT_THAT(rows().of_index, IsEmpty());
}

TEST_F(SharedIndexes, AreLeftByAQueueToWhichSomethingElseComes) {
  alike({"a", "b", "c", "d"});
  send_all(0, 10);
  send("b", {"for b"});
  send_all(10, 13);
  auto expected = numbers(0, 10);
  expected.emplace_back("for b");
  for (const auto& n : numbers(10, 13)) expected.push_back(n);
  const auto found = rows();
  EXPECT_EQ(found.own.at("b"), 1U);
  EXPECT_EQ(found.own.at("c"), 0U);
  EXPECT_EQ(content("b"), expected);
  EXPECT_EQ(content("c"), numbers(0, 13));
}

TEST_F(SharedIndexes, AreLeftByAQueueToWhichNothingComes) {
  alike({"a", "b", "c", "d"});
  send_all(0, 10);
  ok(the_bus().unbind("all", "d", ""));
  send_all(10, 20);
  EXPECT_EQ(rows().own.at("d"), 1U);
  EXPECT_EQ(content("d"), numbers(0, 10));
  EXPECT_EQ(content("a"), numbers(0, 20));
}

TEST_F(SharedIndexes, TakeQueuesUpAgainAndNewOnes) {
  alike({"a", "b", "c", "d"});
  send_all(0, 10);
  send("b", {"for b"});
  alike({"new"});
  send_all(10, 300);
  const auto found = rows();
  EXPECT_THAT(found.of_index, SizeIs(1));
  EXPECT_THAT(found.own.at("new"), Le(1U));
  EXPECT_THAT(found.own.at("b"), Le(2U));
  EXPECT_EQ(content("new"), numbers(10, 300));
  auto expected = numbers(0, 10);
  expected.emplace_back("for b");
  for (const auto& n : numbers(10, 300)) expected.push_back(n);
  EXPECT_EQ(content("b"), expected);
}

TEST_F(SharedIndexes, SplitWhereQueuesGoDifferentWays) {
  alike({"a", "b", "c", "x", "y", "z"});
  ok(the_bus().declare_exchange("some", {.type = exchange_type::fanout}));
  for (const char* const name : {"x", "y", "z"}) ok(the_bus().bind("some", name, ""));
  for (int i = 0; i < 200; ++i) {
    send_all(i, i + 1);
    ok(the_bus().publish("some", "", record{"some"}));
  }
  const auto found = rows();
  EXPECT_THAT(found.of_index, SizeIs(2));
  EXPECT_EQ(content("a"), numbers(0, 200));
  EXPECT_THAT(content("y"), SizeIs(400));
}

TEST_F(SharedIndexes, KeepNoMoreThanTheSlowestQueueNeeds) {
  alike({"a", "b", "c"});
  constexpr int messages = 60 * static_cast<int>(block);
  send_together(0, messages);
  take_all("a");
  take_all("b");
  EXPECT_EQ(rows().of_index.begin()->second, 60U);
  EXPECT_EQ(content("c"), numbers(0, messages));
  take_all("c");
  send_all(messages, messages + 1);
  EXPECT_THAT(rows().of_index.begin()->second, Le(1U));
  for (const char* const name : {"a", "b", "c"}) EXPECT_EQ(content(name), numbers(messages, messages + 1));
}

TEST_F(SharedIndexes, AreNotKeptByOneMessageThatStays) {
  alike({"a", "b", "c"});
  constexpr int messages = 200 * static_cast<int>(block);
  auto a = consume("a", {.prefetch = 0});
  send_all(0, 1);
  const auto held = ok(a.receive(at_once));
  send_together(1, messages);
  std::vector<delivery_tag> rest;
  while (const auto d = ok(a.receive(at_once))) rest.push_back(d->tag());
  ok(a.ack(rest));
  take_all("b");
  take_all("c");
  send_all(messages, messages + 1);
  const auto found = rows();
  EXPECT_THAT(found.own.at("a"), Le(2U));
  EXPECT_THAT(found.of_index.begin()->second, Le(20U));
  EXPECT_THAT(content("a"), ElementsAre("0", std::to_string(messages)));
}

TEST_F(SharedIndexes, GoWhenTheLastQueueHasNothingOfThemAnyMore) {
  alike({"a", "b", "c"});
  for (int round = 0; round < 5; ++round) {
    send_all(0, 100);
    for (const char* const name : {"a", "b", "c"}) send(name, {"alone"});
    for (const char* const name : {"a", "b", "c"}) take_all(name);
  }
  queue("other");
  EXPECT_THAT(rows().of_index, IsEmpty());
}

TEST_F(SharedIndexes, AreFewHoweverOftenQueuesPart) {
  alike({"a", "b", "c"});
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 40; ++i) send_together(0, 70);
    for (const char* const name : {"a", "b", "c"}) send(name, {"alone"});
  }
  for (int i = 0; i < 100; ++i) send_all(0, 1);
  EXPECT_THAT(rows().of_index, SizeIs(Le(levada::queue::shared_spans::most)));
}

TEST_F(SharedIndexes, AreJoinedOneAtATime) {
  for (const char* const name : {"x", "y", "z"})
    ok(the_bus().declare_exchange(name, {.type = exchange_type::fanout}));
  for (const char* const name : {"a1", "a2", "a3", "b1", "b2", "b3", "c"}) {
    queue(name);
    ok(the_bus().bind("z", name, ""));
    if (name[0] == 'a') ok(the_bus().bind("x", name, ""));
    if (name[0] == 'b') ok(the_bus().bind("y", name, ""));
  }
  const auto together = [&](const char* exchange, std::size_t count) {
    std::vector<message> all;
    for (std::size_t i = 0; i < count; ++i) all.emplace_back(exchange, "", record{std::to_string(i)});
    ok(the_bus().publish(all));
  };
  together("x", 10);
  together("y", 10);
  together("z", 100);
  EXPECT_EQ(content("c"), numbers(0, 100));
  EXPECT_THAT(content("a1"), SizeIs(110));
  EXPECT_THAT(content("b1"), SizeIs(110));
  expect_sound();
}

TEST_F(SharedIndexes, GoWithTheirQueues) {
  alike({"a", "b", "c"});
  send_together(0, 300);
  for (const char* const name : {"a", "b", "c"}) ok(the_bus().delete_queue(name));
  queue("other");
  send("other", {"m"});
  EXPECT_THAT(rows().of_index, IsEmpty());
}

TEST_F(SharedIndexes, LeaveTheFlagsOfDeliveriesToEachQueue) {
  alike({"a", "b", "c"});
  send_all(0, 3);
  {
    auto a = consume("a");
    EXPECT_EQ(next(a), "0");
    send_all(3, 6);
  }
  reopen();
  const auto flags = [&](const char* name) {
    std::vector<bool> all;
    auto c = consume(name, {.prefetch = 0});
    while (const auto d = ok(c.receive(at_once))) all.push_back(d->redelivered());
    return all;
  };
  EXPECT_EQ(flags("b"), std::vector<bool>(6, false));
  EXPECT_TRUE(flags("a").front());
  EXPECT_FALSE(flags("c").back());
}

TEST_F(SharedIndexes, LetBindingsFromThePastKeepPositionsFree) {
  exchange_options history{.type = exchange_type::fanout};
  history.retention.records = 1'000;
  ok(the_bus().declare_exchange("past", history));
  for (int i = 0; i < 70; ++i) ok(the_bus().publish("past", "", record{"past"}));
  alike({"a", "b", "c", "d"});
  send_all(0, 10);
  ok(the_bus().bind("past", "b", "", {}, {.from = from_earliest{}}));
  send_all(10, 20);
  for (auto left = ok(the_bus().queue("b")).backfill; left > 0; left = ok(the_bus().queue("b")).backfill) {
  }
  EXPECT_THAT(content("b"), SizeIs(90));
  EXPECT_EQ(content("c"), numbers(0, 20));
  expect_sound();
}

TEST_F(SharedIndexes, ThatAreDamagedAreRepairedForEachQueue) {
  alike({"a", "b", "c"});
  send_together(0, 3 * static_cast<int>(block));
  take_all("b");
  close();
  // The last rows of the table: three blocks and the state of the index.
  change_values(
      store(), table::queues, [](std::size_t count) { return std::vector{count - 3}; },
      [](std::string& value) { value[30] = static_cast<char>(value[30] ^ 1); });
  EXPECT_THAT(ok(check_store(store())).problems, SizeIs(2)) << "b has none of it any more";
  ok(repair_store(store()));
  open();
  auto left = numbers(0, static_cast<int>(block));
  for (const auto& n : numbers(2 * static_cast<int>(block), 3 * static_cast<int>(block))) left.push_back(n);
  EXPECT_EQ(content("a"), left);
  EXPECT_EQ(content("c"), left);
  EXPECT_THAT(content("b"), IsEmpty());
  expect_sound();
  send_all(1'000, 1'010);
  EXPECT_EQ(content("b"), numbers(1'000, 1'010));
  expect_sound();
}

/// Random lives of queues that get much in common, beside lists of what each holds.
class SharedIndexesWalk : public SharedIndexes, public testing::WithParamInterface<std::uint32_t> {
 protected:
  struct expected_message {
    std::string value;
    bool seen = false;          // a consumer has got it
    bool had_consumer = false;  // there has been one since it came
  };

  std::size_t below(std::size_t n) { return random_() % n; }
  const std::string& any_queue() { return names_[below(names_.size())]; }

  void declare(const std::string& name) {
    alike({name});
    if (name < "d") ok(the_bus().bind("half", name, ""));
    held_[name].clear();
  }
  void expect_at(const std::string& name, const std::string& value) {
    held_[name].push_back({value, false, watchers_.contains(name)});
  }
  message next_message() {
    const std::string value = std::to_string(next_++);
    switch (below(8)) {
      case 0: {
        const std::string& name = any_queue();
        expect_at(name, value);
        return {"", name, record{value}};
      }
      case 1:
        for (const auto& name : names_) {
          if (name < "d") expect_at(name, value);
        }
        return {"half", "", record{value}};
      default:
        for (const auto& name : names_) expect_at(name, value);
        return {"all", "", record{value}};
    }
  }
  void publish() {
    std::vector<message> all;
    for (std::size_t n = below(3) == 0 ? 1 + below(100) : 1; n > 0; --n) all.push_back(next_message());
    ok(the_bus().publish(all));
  }

  void expect_next(const std::string& name, const delivery& d, expected_message& message) {
    EXPECT_EQ(std::string{d.record().value()}, message.value) << name;
    EXPECT_TRUE(d.redelivered() || !message.seen) << name << " " << message.value;
    EXPECT_FALSE(d.redelivered() && !message.had_consumer) << name << " " << message.value;
    message.seen = true;
  }
  /// Takes some and settles them somehow; what is left comes back.
  void visit() {
    const std::string& name = any_queue();
    if (watchers_.contains(name)) return;
    auto& held = held_[name];
    auto c = consume(name, {.prefetch = 200});
    std::vector<std::pair<delivery, std::size_t>> got;
    for (std::size_t i = 0; i < std::min(held.size(), below(150)); ++i) {
      auto d = ok(c.receive(at_once));
      ASSERT_TRUE(d) << name << " has " << held.size();
      expect_next(name, *d, held[i]);
      got.emplace_back(std::move(*d), i);
    }
    for (auto& message : held) message.had_consumer = true;
    std::vector<bool> done(held.size());
    if (below(2) == 0 && !got.empty()) {
      const std::size_t up_to = below(got.size());
      ok(c.ack_up_to(got[up_to].first.tag()));
      for (std::size_t i = 0; i <= up_to; ++i) done[i] = true;
    } else {
      for (const auto& [d, i] : got) {
        if (below(3) == 0) continue;
        if (below(4) == 0) {
          ok(c.nack(d));
          continue;
        }
        ok(c.ack(d));
        done[i] = true;
      }
    }
    std::deque<expected_message> left;
    for (std::size_t i = 0; i < held.size(); ++i) {
      if (!done[i]) left.push_back(held[i]);
    }
    held = std::move(left);
  }
  /// A consumer that stays.
  void watch() {
    const std::string& name = any_queue();
    auto& held = held_[name];
    auto found = watchers_.find(name);
    if (found == watchers_.end()) {
      for (auto& message : held) message.had_consumer = true;
      found = watchers_.emplace(name, consume(name, {.prefetch = 5})).first;
    }
    for (std::size_t n = below(30); n > 0 && !held.empty(); --n) {
      const auto d = ok(found->second.receive(in_a_while));
      ASSERT_TRUE(d) << name;
      expect_next(name, *d, held.front());
      ok(found->second.ack(*d));
      held.pop_front();
    }
    if (below(3) == 0) watchers_.erase(found);
  }

  void walk(int steps) {
    for (int i = 0; i < steps && !HasFailure(); ++i) {
      const std::string& name = any_queue();
      switch (below(30)) {
        case 0:
          if (watchers_.contains(name)) break;
          ok(the_bus().purge_queue(name));
          held_[name].clear();
          break;
        case 1:
          watchers_.erase(name);
          ok(the_bus().delete_queue(name));
          declare(name);
          break;
        case 2:
          watchers_.clear();
          expect_sound();
          break;
        case 3:
          watchers_.clear();
          compare();
          break;
        case 4:
        case 5:
        case 6:
        case 7:
          watch();
          break;
        case 8:
        case 9:
        case 10:
        case 11:
        case 12:
        case 13:
          visit();
          break;
        default:
          publish();
      }
    }
  }
  void compare() {
    for (const auto& name : names_) {
      EXPECT_EQ(ok(the_bus().queue(name)).messages, held_[name].size()) << name;
      std::vector<std::string> values;
      for (auto& message : held_[name]) {
        values.push_back(message.value);
        message.seen = message.had_consumer = true;
      }
      EXPECT_EQ(content(name), values) << name;
    }
  }

  std::mt19937 random_{GetParam()};
  int next_ = 0;
  const std::vector<std::string> names_{"a", "b", "c", "d", "e", "f"};
  std::map<std::string, std::deque<expected_message>> held_;
  std::map<std::string, queue_consumer> watchers_;
};

TEST_P(SharedIndexesWalk, LeaveEachQueueWhatItHas) {
  ok(the_bus().declare_exchange("half", {.type = exchange_type::fanout}));
  for (const auto& name : names_) declare(name);
  walk(250);
  watchers_.clear();
  expect_sound();
  compare();
}
INSTANTIATE_TEST_SUITE_P(Seeds, SharedIndexesWalk, testing::Range(1U, 17U));

}  // namespace
}  // namespace levada::test
