#include <support/bus_fixture.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace levada::test {
namespace {

using namespace std::chrono_literals;

/// With the system's clock: here threads really run against each other.
class Threads : public ::testing::Test {
 protected:
  temporary_directory directory_;
  bus bus_ = ok(bus::open(directory_ / "store"));
};

/// Calls `work` with 0, 1 and so on in `count` threads; to clear or drop them waits for their end.
template <class Work>
[[nodiscard]] std::vector<std::jthread> start(int count, const Work& work) {
  std::vector<std::jthread> threads;
  threads.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
  return threads;
}

TEST_F(Threads, CommitTogetherAndEachGetsItsOwnOffset) {
  auto orders = ok(bus_.declare_topic("orders", {.partitions = 3}));
  constexpr int writers = 8;
  constexpr int each = 50;
  std::mutex mutex;
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::string> acked;
  start(writers, [&](int w) {
    for (int i = 0; i < each; ++i) {
      const std::string value = std::to_string(w) + ":" + std::to_string(i);
      const auto at = ok(orders.publish(record{"writer-" + std::to_string(w), value}));
      const std::lock_guard guard{mutex};
      EXPECT_TRUE(acked.emplace(std::pair{at.partition.value(), at.offset.value()}, value).second);
    }
  }).clear();
  EXPECT_EQ(acked.size(), std::size_t{writers} * each);
  std::map<std::string, int> next;
  auto reader = ok(bus_.replay("orders"));
  std::size_t count = 0;
  for (auto batch = ok(reader.next()); !batch.empty(); batch = ok(reader.next())) {
    for (const auto& r : batch) {
      const auto found = acked.find({r.partition().value(), r.offset().value()});
      ASSERT_NE(found, acked.end());
      EXPECT_EQ(r.value(), found->second);
      const std::string key{r.key()};
      EXPECT_EQ(r.value(), key.substr(7) + ":" + std::to_string(next[key]++))
          << "intents of one thread keep their order";
      ++count;
    }
  }
  EXPECT_EQ(count, acked.size());
}

TEST_F(Threads, ABadIntentDoesNotHarmItsNeighbours) {
  auto orders = ok(bus_.declare_topic("orders"));
  std::atomic<int> stored{0};
  start(4, [&](int w) {
    for (int i = 0; i < 40; ++i) {
      if (w == 0) {
        EXPECT_THAT(bus_.declare_topic("orders", {.partitions = 2}), fails_with(errc::inequivalent));
      } else if (orders.publish(record{"v"})) {
        ++stored;
      }
    }
  }).clear();
  EXPECT_EQ(stored, 120);
  EXPECT_EQ(ok(bus_.topics())[0].partitions[0].end, offset{120});
}

TEST_F(Threads, ConsumersOfAQueueShareItWithoutLossOrDoubling) {
  ok(bus_.declare_exchange("events"));
  ok(bus_.declare_queue("work"));
  ok(bus_.bind("events", "work", "#"));
  constexpr int count = 400;
  std::mutex mutex;
  std::multiset<std::string> seen;
  auto takers = start(3, [&](int) {
    auto taker = ok(bus_.consume("work", {.prefetch = 8}));
    std::vector<delivery_tag> tags;
    const auto settle = [&] {
      if (!tags.empty()) ok(taker.ack(tags));
      tags.clear();
    };
    for (;;) {
      const auto d = ok(taker.receive(tags.empty() ? 10s : 0s));
      if (!d) {
        settle();
        continue;
      }
      {
        const std::lock_guard guard{mutex};
        seen.emplace(d->record().value());
      }
      const bool stop = d->record().value() == "stop";
      tags.push_back(d->tag());
      if (tags.size() == 5 || stop) settle();
      if (stop) return;
    }
  });
  start(2, [&](int w) {
    for (int i = 0; i < count / 2; ++i) {
      ok(bus_.publish("events", "k", record{std::to_string(w) + ":" + std::to_string(i)}));
    }
  }).clear();
  for (int c = 0; c < 3; ++c) ok(bus_.publish("events", "k", record{"stop"}));
  takers.clear();
  EXPECT_EQ(seen.size(), std::size_t{count + 3});
  EXPECT_EQ((std::set<std::string>{seen.begin(), seen.end()}.size()), std::size_t{count + 1});
}

TEST_F(Threads, MembersComeAndGoWhileRecordsFlow) {
  auto orders = ok(bus_.declare_topic("orders", {.partitions = 6}));
  constexpr int count = 600;
  std::atomic<bool> done{false};
  std::mutex mutex;
  std::multiset<std::string> seen;
  consumer_options few;
  few.reset = offset_reset::earliest;
  few.poll_records_max = 5;
  auto members = start(3, [&](int m) {
    for (int life = 0; !done; ++life) {
      auto me = ok(bus_.join("g", {"orders"}, few));
      for (int i = 0; i < 20 + 10 * m && !done; ++i) {
        const auto batch = ok(me.poll(20ms));
        {
          const std::lock_guard guard{mutex};
          for (const auto& r : batch) seen.emplace(r.value());
          if (seen.size() >= count) done = true;
        }
        ok(me.commit());
      }
    }
  });
  for (int i = 0; i < count; ++i) ok(orders.publish(record{std::to_string(i)}));
  members.clear();
  EXPECT_EQ(seen.size(), std::size_t{count}) << "every member commits before it polls: no gap, no duplicate";
  EXPECT_EQ((std::set<std::string>{seen.begin(), seen.end()}.size()), std::size_t{count});
}

// Joining failed with unknown_group when the group was deleted right after it had been found.
TEST_F(Threads, JoinAGroupThatOthersDelete) {
  ok(bus_.declare_topic("orders"));
  std::atomic<bool> done{false};
  auto deleting = start(1, [&](int) {
    while (!done) {
      const auto r = bus_.delete_group("g");
      if (!r) {
        EXPECT_THAT(r.error().code(), ::testing::AnyOf(errc::unknown_group, errc::group_in_use));
      }
    }
  });
  start(2, [&](int) {
    for (int i = 0; i < 300; ++i) EXPECT_THAT(bus_.join("g", {"orders"}), succeeds());
  }).clear();
  done = true;
}

TEST_F(Threads, ClosingWhileOthersPublishLosesNothingThatWasAcknowledged) {
  auto orders = ok(bus_.declare_topic("orders"));
  std::atomic<int> acked{0};
  auto publishers = start(4, [&](int) {
    for (;;) {
      const auto r = orders.publish(record{"v"});
      if (!r) {
        EXPECT_EQ(r.error().code(), errc::closed);
        return;
      }
      ++acked;
    }
  });
  while (acked < 50) std::this_thread::yield();
  ok(bus_.close());
  publishers.clear();
  auto again = ok(bus::open(directory_ / "store"));
  EXPECT_EQ(ok(again.topics())[0].partitions[0].end.value(), static_cast<std::uint64_t>(acked.load()));
}

}  // namespace
}  // namespace levada::test
