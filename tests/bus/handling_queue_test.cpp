#include "bus/handling_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <levada/levada.hpp>
#include <support/result_testing.hpp>

namespace levada::test {
namespace {

using testing::ElementsAre;
using testing::Pair;

/// Batches come from a bus in memory.
class HandlingQueue : public testing::Test {
 protected:
  void publish(unsigned partition, std::optional<std::string> key, std::string value = {}) {
    record r{std::move(value)};
    if (key) r.key(*key);
    ok(topic_.publish(partition_id{partition}, r));
  }
  record_batch read() { return ok(reader_.poll(std::chrono::milliseconds{0})); }
  static topic_partition orders(unsigned p) { return {"orders", partition_id{p}}; }
  static handling_queue::entry take(handling_queue& queue) {
    auto e = queue.next();
    EXPECT_TRUE(e);
    return std::move(*e);
  }
  static std::uint64_t offset_of(const handling_queue::entry& e) { return e.record().offset().value(); }
  static std::vector<std::uint64_t> take_all(handling_queue& queue) {
    std::vector<std::uint64_t> offsets;
    while (auto e = queue.next()) offsets.push_back(offset_of(*e));
    return offsets;
  }

  bus bus_ = ok(bus::open_in_memory());
  topic topic_ = ok(bus_.declare_topic("orders", {.partitions = 2}));
  consumer reader_ = ok(bus_.join("g", {"orders"}, {.reset = offset_reset::earliest}));
};

TEST_F(HandlingQueue, HandsOutRecordsOfOneKeyOneAfterTheOther) {
  for (const char* key : {"a", "b", "a", "c", "b"}) publish(0, key);
  handling_queue queue{handling_order::key};
  queue.add(read());
  auto a = take(queue);
  auto b = take(queue);
  EXPECT_EQ(offset_of(take(queue)), 3U) << "c";
  EXPECT_FALSE(queue.next());
  queue.done(b);
  EXPECT_EQ(offset_of(take(queue)), 4U);
  queue.done(a);
  EXPECT_EQ(offset_of(take(queue)), 2U);
  EXPECT_FALSE(queue.next());
}

TEST_F(HandlingQueue, KeepsNoOrderAmongRecordsWithoutAKey) {
  for (int i = 0; i < 3; ++i) publish(0, std::nullopt);
  handling_queue queue{handling_order::key};
  queue.add(read());
  EXPECT_THAT(take_all(queue), ElementsAre(0, 1, 2));
}

TEST_F(HandlingQueue, KeepsTheOrderOfAPartitionOrNoneIfThatIsAskedFor) {
  for (const char* key : {"a", "b", "a"}) publish(0, key);
  publish(1, "a");
  const auto batch = read();
  handling_queue by_partition{handling_order::partition};
  by_partition.add(batch);
  EXPECT_EQ(by_partition.ready(), 2U) << "one of each partition";
  handling_queue without{handling_order::none};
  without.add(batch);
  EXPECT_EQ(without.ready(), 4U);
}

TEST_F(HandlingQueue, SettlesUpToTheFirstRecordThatIsNotDone) {
  for (int i = 0; i < 4; ++i) publish(0, std::nullopt);
  handling_queue queue{handling_order::key};
  queue.add(read());
  auto e0 = take(queue);
  auto e1 = take(queue);
  auto e2 = take(queue);
  EXPECT_FALSE(queue.done(e1));
  EXPECT_FALSE(queue.done(e2));
  EXPECT_EQ(queue.settled(orders(0)), std::nullopt);
  EXPECT_TRUE(queue.done(e0));
  EXPECT_EQ(queue.settled(orders(0)), offset{3});
  EXPECT_EQ(queue.size(), 1U);
  queue.note_committed(orders(0), offset{3});
  EXPECT_EQ(queue.settled(orders(0)), std::nullopt) << "nothing since";
  queue.done(take(queue));
  EXPECT_THAT(queue.settled(), ElementsAre(Pair(orders(0), offset{4})));
}

TEST_F(HandlingQueue, HandsOutAgainWhatIsPutBackBeforeWhatWaitsBehindIt) {
  publish(0, "a");
  publish(0, "a");
  handling_queue queue{handling_order::key};
  queue.add(read());
  auto first = take(queue);
  EXPECT_EQ(first.attempt(), 1U);
  queue.set_aside(first);
  EXPECT_FALSE(queue.next());
  EXPECT_FALSE(queue.handles_any(std::vector{orders(0)}));
  queue.put_back(first);
  first = take(queue);
  EXPECT_EQ(offset_of(first), 0U);
  EXPECT_EQ(first.attempt(), 2U);
  queue.done(first);
  EXPECT_EQ(offset_of(take(queue)), 1U);
}

TEST_F(HandlingQueue, HoldsAndReleasesPartitions) {
  publish(0, "a");
  publish(0, "a");
  publish(0, "b");
  publish(1, "a");
  handling_queue queue{handling_order::key};
  queue.add(read());
  auto first = take(queue);
  queue.hold(std::vector{orders(0)});
  EXPECT_TRUE(queue.handles_any(std::vector{orders(0)}));
  EXPECT_FALSE(queue.handles_any(std::vector{orders(1)}));
  const auto other = take(queue);
  EXPECT_EQ(other.record().partition(), partition_id{1});
  queue.done(first);
  EXPECT_FALSE(queue.next()) << "neither what was ready nor what has become so";
  EXPECT_EQ(queue.settled(orders(0)), offset{1});
  queue.release(std::vector{orders(0), orders(1)});
  EXPECT_THAT(take_all(queue), testing::UnorderedElementsAre(1, 2));
}

TEST_F(HandlingQueue, FillsTheGapsOfWhatItHolds) {
  for (const char* key : {"a", "a", "b", "c"}) publish(0, key);
  handling_queue queue{handling_order::key};
  queue.add(read());
  const auto a = take(queue);
  const auto b = take(queue);
  EXPECT_EQ(offset_of(b), 2U);
  queue.done(b);
  queue.hold(std::vector{orders(0)});
  EXPECT_FALSE(queue.next()) << "neither the one behind the last that was begun with";
  queue.done(a);
  EXPECT_TRUE(queue.has_work(std::vector{orders(0)}));
  const auto gap = take(queue);
  EXPECT_EQ(offset_of(gap), 1U);
  queue.done(gap);
  EXPECT_FALSE(queue.has_work(std::vector{orders(0)}));
  EXPECT_EQ(queue.settled(orders(0)), offset{3});
}

TEST_F(HandlingQueue, HandsOutWhatMayBeHandledInTheOrderOfReading) {
  for (const char* key : {"a", "a", "b"}) publish(0, key);
  handling_queue queue{handling_order::key};
  queue.add(read());
  queue.done(take(queue));
  EXPECT_EQ(offset_of(take(queue)), 1U);
  EXPECT_EQ(offset_of(take(queue)), 2U);
}

TEST_F(HandlingQueue, DropsHeldPartitionsThatAreOwnedNoMore) {
  publish(0, "a");
  publish(0, "a");
  publish(1, "a");
  handling_queue queue{handling_order::key};
  queue.add(read());
  const auto late = take(queue);
  queue.hold(std::vector{late.record().partition() == partition_id{0} ? orders(0) : orders(1)});
  ASSERT_EQ(late.record().partition(), partition_id{0});
  queue.release(std::vector{orders(1)});
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(take(queue).record().partition(), partition_id{1});
  EXPECT_FALSE(queue.done(late)) << "too late to count";
  EXPECT_FALSE(queue.next());
  EXPECT_EQ(queue.settled(orders(0)), std::nullopt);
  queue.put_back(late);
  EXPECT_FALSE(queue.next());
}

/// At random: of each key one record at a time, in order, and never a settled offset beyond one not done.
TEST_F(HandlingQueue, KeepsItsPromisesWhateverComesFirst) {
  std::mt19937_64 random{7};
  for (int i = 0; i < 300; ++i) publish(static_cast<unsigned>(random() % 2), std::to_string(random() % 9));
  handling_queue queue{handling_order::key};
  queue.add(read());
  std::vector<handling_queue::entry> handled;
  std::map<std::pair<partition_id, std::string>, std::uint64_t> last;
  std::size_t done = 0;
  while (done < 300) {
    if (random() % 2 == 0) {
      auto e = queue.next();
      if (!e) continue;
      const std::pair key{e->record().partition(), std::string{e->record().key()}};
      for (const auto& other : handled) {
        EXPECT_FALSE(other.record().partition() == key.first && other.record().key() == key.second);
      }
      const auto before = last.find(key);
      if (before != last.end()) {
        EXPECT_LT(before->second, offset_of(*e));
      }
      last[key] = offset_of(*e);
      handled.push_back(std::move(*e));
    } else if (!handled.empty()) {
      const auto i = static_cast<std::ptrdiff_t>(random() % handled.size());
      const auto e = handled[static_cast<std::size_t>(i)];
      handled.erase(handled.begin() + i);
      queue.done(e);
      ++done;
      for (const auto& other : handled) {
        const auto settled = queue.settled({"orders", other.record().partition()});
        EXPECT_LE(settled.value_or(offset{0}), other.record().offset());
      }
    }
  }
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_EQ(queue.settled(orders(0))->value() + queue.settled(orders(1))->value(), 300U);
}

}  // namespace
}  // namespace levada::test
