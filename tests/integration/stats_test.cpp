// What `bus::stats` tells: each counter moves by exactly what was done.

#include <fmt/format.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

#include "full_disk_fixture.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using boost::asio::use_future;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A bus, and what its counters have moved by.
class Stats : public bus_fixture {
 protected:
  Stats() : bus_fixture{seals_everything} {}

  void begin() { before_ = ok(the_bus().stats()); }
  [[nodiscard]] commit_stats commits() {
    auto now = ok(the_bus().stats()).commits;
    const auto& then = before_.commits;
    now.commits -= then.commits;
    now.failures -= then.failures;
    now.requests -= then.requests;
    now.records -= then.records;
    now.bytes -= then.bytes;
    now.duration = now.duration.since(then.duration);
    now.publish_wait = now.publish_wait.since(then.publish_wait);
    return now;
  }
  [[nodiscard]] consumer_stats consumers() {
    auto now = ok(the_bus().stats()).consumers;
    const auto& then = before_.consumers;
    now.polls -= then.polls;
    now.records -= then.records;
    now.bytes -= then.bytes;
    now.offsets_committed -= then.offsets_committed;
    now.rebalances -= then.rebalances;
    return now;
  }
  [[nodiscard]] queue_stats queues() { return ok(the_bus().stats()).queues; }
  [[nodiscard]] transaction_stats transactions() { return ok(the_bus().stats()).transactions; }
  [[nodiscard]] upkeep_stats upkeep() { return ok(the_bus().stats()).upkeep; }

 private:
  bus_stats before_;
};

// Commits

TEST_F(Stats, CountWhatIsPublished) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 3}));
  begin();
  const std::uint64_t journal_before = ok(the_bus().stats()).journal_bytes;
  for (int i = 0; i < 3; ++i) ok(orders.publish(record{std::string(5'000, 'x')}));
  auto batch = orders.make_batch();
  for (int i = 0; i < 40; ++i) ok(batch.add(record{"y"}));
  ok(orders.publish(batch));
  const auto done = commits();
  EXPECT_EQ(done.commits, 4U);
  EXPECT_EQ(done.requests, 4U);
  EXPECT_EQ(done.failures, 0U);
  EXPECT_EQ(done.records, 43U);
  EXPECT_EQ(done.bytes, ok(the_bus().stats()).journal_bytes - journal_before);
  EXPECT_EQ(done.pending_bytes, 0U);
  EXPECT_EQ(done.duration.count(), 4U);
  EXPECT_EQ(done.publish_wait.count(), 4U);
}

TEST_F(Stats, CountNothingThatIsRefusedOrChangesNothing) {
  ok(the_bus().declare_topic("orders"));
  auto gone = ok(the_bus().declare_topic("gone"));
  ok(the_bus().delete_topic("gone"));
  begin();
  ok(the_bus().declare_topic("orders"));
  EXPECT_THAT(the_bus().declare_topic("orders", {.partitions = 2}), fails_with(errc::inequivalent));
  EXPECT_THAT(gone.publish(record{"x"}), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().publish("gone", record{"x"}), fails_with(errc::unknown_topic));
  const auto done = commits();
  EXPECT_EQ(done.commits, 0U);
  EXPECT_EQ(done.failures, 0U);
  EXPECT_EQ(done.requests, 0U);
  EXPECT_EQ(done.records, 0U);
  EXPECT_EQ(done.duration.count(), 0U);
  EXPECT_EQ(done.publish_wait.count(), 0U);
}

TEST_F(Stats, CountThatNobodyWaitsForWhatIsPublishedSo) {
  auto orders = ok(the_bus().declare_topic("orders"));
  begin();
  ok(orders.async_publish(record{"x"}, use_future).get());
  EXPECT_EQ(commits().records, 1U);
  EXPECT_EQ(commits().requests, 1U);
  EXPECT_EQ(commits().duration.count(), 1U);
  EXPECT_EQ(commits().publish_wait.count(), 0U);
}

TEST_F(Stats, MeasureByTheClockOfTheBus) {
  auto orders = ok(the_bus().declare_topic("orders"));
  begin();
  ok(the_bus().transact([&](transaction& t) -> result<void> {
    the_clock().advance(milliseconds{40});
    return t.publish(orders, record{"x"});
  }));
  const auto done = commits();
  EXPECT_EQ(done.duration.count(), 1U);
  EXPECT_EQ(done.duration[latency_histogram::bucket_of(milliseconds{40})], 1U);
  EXPECT_EQ(done.publish_wait[latency_histogram::bucket_of(milliseconds{40})], 1U);
}

TEST_F(Stats, TellWhatWaitsToBeCommitted) {
  auto orders = ok(the_bus().declare_topic("orders"));
  begin();
  std::future<result<publish_receipt>> other;
  std::uint64_t waits = 0;
  ok(the_bus().transact([&](transaction&) -> result<void> {
    other = std::async(std::launch::async, [&] { return orders.publish(record{std::string(1'000, 'x')}); });
    std::async(std::launch::async, [&] {
      while (waits < 1'000) waits = ok(the_bus().stats()).commits.pending_bytes;
    }).get();
    the_clock().advance(milliseconds{40});
    return {};
  }));
  ok(other.get());
  const auto done = commits();
  EXPECT_EQ(done.pending_bytes, 0U);
  // The other had waited for its turn.
  EXPECT_EQ(done.publish_wait[latency_histogram::bucket_of(milliseconds{40})], 1U);
  EXPECT_EQ(done.duration[0], 1U);
}

TEST_F(Stats, CountExactlyWhateverManyDoAtOnce) {
  constexpr int threads = 4;
  constexpr int each = 200;
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 4}));
  auto one = join("g", {"orders"});
  begin();
  std::atomic<int> still{threads};
  std::vector<std::thread> publishers;
  for (int i = 0; i < threads; ++i) {
    publishers.emplace_back([&] {
      for (int n = 0; n < each; ++n) ok(orders.publish(record{"x"}));
      --still;
    });
  }
  std::uint64_t polled = 0;
  while (polled < threads * each) {
    polled += poll_all(one).size();
    EXPECT_GE(consumers().records, polled);
    // Nothing is read that is not counted yet.
    EXPECT_GE(commits().records, polled);
  }
  for (auto& t : publishers) t.join();
  const auto done = commits();
  EXPECT_EQ(done.records, std::uint64_t{threads * each});
  EXPECT_EQ(done.requests, std::uint64_t{threads * each});
  EXPECT_LE(done.commits, done.requests);
  EXPECT_EQ(done.duration.count(), done.commits);
  EXPECT_EQ(done.publish_wait.count(), done.requests);
  EXPECT_EQ(consumers().records, std::uint64_t{threads * each});
}

TEST_F(Stats, CountCommitsThatFindTheStoreFull) {
  close();
  bus_options o = options();
  o.map_bytes_max = std::size_t{1} << 20;
  o.journal_bytes_seal = o.journal_bytes_max;
  open(o);
  auto orders = ok(the_bus().declare_topic("orders"));
  begin();
  std::uint64_t stored = 0;
  result<publish_receipt> last = orders.publish(record{std::string(50'000, 'x')});
  for (; last; last = orders.publish(record{std::string(50'000, 'x')})) ++stored;
  ASSERT_THAT(last, fails_with(errc::store_full));
  const auto done = commits();
  EXPECT_EQ(done.failures, 1U);
  EXPECT_EQ(done.commits, stored);
  EXPECT_EQ(done.requests, stored);
  EXPECT_EQ(done.records, stored);
  EXPECT_EQ(done.publish_wait.count(), stored);
}

class StatsOnADisk : public full_disk_fixture {};

TEST_F(StatsOnADisk, CountCommitsThatFindNoRoom) {
  under_a_limit([](scarce_disk& disk) {
    auto b = ok(bus::open(disk.path() / "store", {.maintenance = maintenance_mode::on_call}));
    auto orders = ok(b.declare_topic("orders"));
    ok(orders.publish(record{"x"}));
    const auto before = ok(b.stats()).commits;
    disk.leave(4 * kib);
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(orders.publish(record{std::string(50'000, 'x')}), fails_with(errc::disk_full));
    }
    disk.give_back();
    auto after = ok(b.stats()).commits;
    EXPECT_EQ(after.failures, before.failures + 3);
    EXPECT_EQ(after.commits, before.commits);
    EXPECT_EQ(after.records, before.records);
    ok(orders.publish(record{"y"}));
    after = ok(b.stats()).commits;
    EXPECT_EQ(after.failures, before.failures + 3);
    EXPECT_EQ(after.commits, before.commits + 1);
    EXPECT_EQ(after.records, before.records + 1);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

// Reading

TEST_F(Stats, CountWhatConsumersReadAndCommit) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  for (std::uint32_t p = 0; p < 2; ++p) {
    for (int i = 0; i < 5; ++i) ok(orders.publish(partition_id{p}, record{std::string(100, 'x')}));
  }
  auto reader = join("g", {"orders"});
  begin();
  const auto batch = ok(reader.poll(at_once));
  ASSERT_EQ(batch.size(), 10U);
  std::uint64_t bytes = 0;
  for (const auto& slice : batch.slices()) bytes += slice.size;
  EXPECT_TRUE(ok(reader.poll(at_once)).empty());
  EXPECT_EQ(consumers().polls, 1U);
  EXPECT_EQ(consumers().records, 10U);
  EXPECT_EQ(consumers().bytes, bytes);
  EXPECT_GT(bytes, 1'000U);
  EXPECT_EQ(consumers().offsets_committed, 0U);
  ok(reader.commit());
  EXPECT_EQ(consumers().offsets_committed, 2U);
  ok(reader.commit());
  EXPECT_EQ(consumers().offsets_committed, 2U) << "nothing was left to be committed";
  reader.close();
  ok(the_bus().reset_offsets("g", "orders", {.dry_run = true}));
  EXPECT_EQ(consumers().offsets_committed, 2U);
  ok(the_bus().reset_offsets("g", "orders", {.dry_run = false}));
  EXPECT_EQ(consumers().offsets_committed, 4U);
}

TEST_F(Stats, CountMembersAndWhatBecomesOfThem) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  for (int i = 0; i < 6; ++i) ok(orders.publish(record{"x"}));
  auto hanging = join("g", {"orders"});
  EXPECT_EQ(poll_all(hanging).size(), 6U);
  EXPECT_EQ(consumers().members, 1U);
  EXPECT_EQ(consumers().rebalances, 1U);
  auto waiting = join("g", {"orders"});
  auto elsewhere = join("h", {"orders"});
  EXPECT_EQ(consumers().members, 3U);
  EXPECT_EQ(consumers().rebalances, 3U);
  EXPECT_EQ(consumers().fenced, 0U);
  the_clock().advance(seconds{60});
  ok(waiting.poll(at_once));
  EXPECT_EQ(consumers().members, 2U);
  EXPECT_EQ(consumers().rebalances, 4U);
  EXPECT_EQ(consumers().fenced, 1U);
  EXPECT_EQ(consumers().possible_duplicates, 6U);
  hanging.close();
  EXPECT_EQ(consumers().rebalances, 4U) << "it had been removed";
  waiting.close();
  EXPECT_EQ(consumers().rebalances, 5U);
  ok(the_bus().delete_group("g"));
  EXPECT_EQ(consumers().members, 1U);
  EXPECT_EQ(consumers().rebalances, 5U) << "what a deleted group has done is done";
  EXPECT_EQ(consumers().fenced, 1U);
  EXPECT_EQ(consumers().possible_duplicates, 6U);
  elsewhere.close();
  reopen();
  EXPECT_EQ(consumers().rebalances, 0U);
  static_cast<void>(join("h", {"orders"}));
  EXPECT_EQ(consumers().rebalances, 2U);
}

// Queues

TEST_F(Stats, CountWhatBecomesOfMessages) {
  ok(the_bus().declare_exchange("events"));
  for (const char* queue : {"a", "b"}) {
    ok(the_bus().declare_queue(queue));
    ok(the_bus().bind("events", queue, "job.#"));
  }
  begin();
  for (int i = 0; i < 3; ++i) ok(the_bus().publish("events", "job.1", record{"x"}));
  ok(the_bus().publish("events", "nobody", record{"x"}));
  EXPECT_EQ(queues().routed, 6U);
  EXPECT_EQ(queues().unroutable, 1U);
  EXPECT_EQ(commits().records, 4U);
  EXPECT_EQ(queues().delivered, 0U);
  {
    auto worker = ok(the_bus().consume("a"));
    const auto first = ok(worker.receive(at_once));
    const auto second = ok(worker.receive(at_once));
    EXPECT_EQ(queues().delivered, 2U) << "what was fetched ahead is not delivered";
    ok(worker.ack(first->tag()));
    EXPECT_EQ(queues().settled, 1U);
    EXPECT_THAT(worker.ack(first->tag()), fails_with(errc::unknown_delivery));
    ok(worker.nack(second->tag()));
    EXPECT_EQ(queues().requeued, 1U);
    const auto again = ok(worker.receive(at_once));
    EXPECT_TRUE(again->redelivered());
    EXPECT_EQ(queues().delivered, 3U);
  }
  EXPECT_EQ(queues().requeued, 2U) << "the consumer went";
  auto other = ok(the_bus().consume("a"));
  const auto third = ok(other.receive(at_once));
  ok(other.nack(third->tag(), requeue::no));
  EXPECT_EQ(queues().delivered, 4U);
  EXPECT_EQ(queues().settled, 2U);
  EXPECT_EQ(queues().requeued, 2U);
}

// Transactions

TEST_F(Stats, CountTransactionsAndNothingOfThoseThatAreUndone) {
  auto orders = ok(the_bus().declare_topic("orders"));
  auto accounts = ok(the_bus().declare_table("accounts"));
  ok(the_bus().declare_exchange("events"));
  const auto does_all = [&](transaction& t) -> result<void> {
    ok(t.publish(orders, record{"x"}));
    ok(t.publish("events", "nobody", record{"x"}));
    return {};
  };
  begin();
  EXPECT_THAT(the_bus().transact([&](transaction& t) -> result<void> {
    ok(does_all(t));
    return error{errc::invalid_argument, "no"};
  }),
              fails_with(errc::invalid_argument));
  EXPECT_EQ(transactions().undone, 1U);
  EXPECT_THAT(the_bus().transact([&](transaction& t) -> result<void> {
    ok(does_all(t));
    the_clock().advance(seconds{2});
    return {};
  }),
              fails_with(errc::transaction_expired));
  EXPECT_EQ(transactions().undone, 2U);
  EXPECT_THROW(static_cast<void>(the_bus().transact([&](transaction& t) -> result<void> {
                 ok(does_all(t));
                 throw std::runtime_error{"no"};
               })),
               std::runtime_error);
  EXPECT_EQ(transactions().undone, 3U);
  EXPECT_EQ(transactions().committed, 0U);
  EXPECT_EQ(commits().commits, 0U);
  EXPECT_EQ(commits().records, 0U);
  EXPECT_EQ(commits().failures, 0U) << "nothing has failed to be written";
  EXPECT_EQ(commits().publish_wait.count(), 0U);
  EXPECT_EQ(queues().unroutable, 0U);
  ok(the_bus().transact(does_all));
  {
    auto t = ok(the_bus().begin());
    ok(does_all(t));
    ok(t.commit());
  }
  {
    auto t = ok(the_bus().begin());
    ok(does_all(t));
    ok(t.async_commit(use_future).get());
  }
  { ok(does_all(*std::make_unique<transaction>(ok(the_bus().begin())))); }
  EXPECT_EQ(transactions().committed, 3U);
  EXPECT_EQ(transactions().undone, 3U) << "aborting one that collects undoes nothing";
  EXPECT_EQ(transactions().conflicts, 0U);
  EXPECT_EQ(commits().commits, 3U);
  EXPECT_EQ(commits().requests, 3U);
  EXPECT_EQ(commits().records, 6U);
  EXPECT_EQ(commits().publish_wait.count(), 2U) << "one was not waited for";
  EXPECT_EQ(queues().unroutable, 3U);
}

TEST_F(Stats, CountConflicts) {
  auto accounts = ok(the_bus().declare_table("accounts"));
  const auto reads = [&] {
    auto t = ok(the_bus().begin());
    ok(t.get(accounts, "ada"));
    ok(t.put(accounts, "eve", "1"));
    return t;
  };
  auto at_the_end = reads();
  auto not_waited_for = reads();
  auto on_the_way = reads();
  ok(accounts.put("ada", "2"));
  begin();
  EXPECT_THAT(at_the_end.commit(), fails_with(errc::conflict));
  EXPECT_EQ(transactions().conflicts, 1U);
  EXPECT_THAT(not_waited_for.async_commit(use_future).get(), fails_with(errc::conflict));
  EXPECT_EQ(transactions().conflicts, 2U);
  EXPECT_THAT(on_the_way.get(accounts, "bob"), fails_with(errc::conflict));
  EXPECT_THAT(on_the_way.commit(), fails_with(errc::conflict));
  EXPECT_EQ(transactions().conflicts, 3U);
  EXPECT_EQ(transactions().committed, 0U);
  EXPECT_EQ(transactions().undone, 0U);
  EXPECT_EQ(commits().commits, 0U);
  EXPECT_EQ(commits().failures, 0U);
}

TEST_F(Stats, CountNothingOfAPartThatFailsBehindOthers) {
  ok(the_bus().declare_exchange("events"));
  auto kept = ok(the_bus().declare_topic("kept"));
  auto gone = ok(the_bus().declare_topic("gone"));
  auto t = ok(the_bus().begin());
  ok(t.publish(kept, record{"x"}));
  ok(t.publish(gone, record{"x"}));
  ok(the_bus().delete_topic("gone"));
  begin();
  EXPECT_THAT(t.commit(), fails_with(errc::unknown_topic));
  EXPECT_EQ(commits().records, 0U);
  EXPECT_EQ(commits().commits, 0U);
  EXPECT_EQ(commits().failures, 0U);
  EXPECT_EQ(transactions().committed, 0U);
}

// Upkeep

/// Goes on by a millisecond each time that it is asked.
class ticking_clock final : public clock {
 public:
  [[nodiscard]] timestamp wall() const override { return timestamp{seconds{1'600'000'000}}; }
  [[nodiscard]] steady_time steady() const override { return milliseconds{++ticks_}; }
  void wait_until(const std::shared_ptr<wait_point>& point, std::unique_lock<std::mutex>& lock,
                  steady_time) override {
    point->wakeup.wait(lock);
  }

 private:
  mutable std::atomic<int> ticks_{0};
};

TEST_F(Stats, CountSealingMergingAndRemoval) {
  auto orders = ok(the_bus().declare_topic("orders"));
  maintain();
  EXPECT_EQ(upkeep().runs, 0U);
  for (int i = 0; i < 7; ++i) {
    ok(orders.publish(record{"x"}));
    ok(orders.publish(record{"y"}));
    maintain();
  }
  EXPECT_EQ(upkeep().runs, 7U);
  EXPECT_EQ(upkeep().records_sealed, 14U);
  EXPECT_EQ(upkeep().segments_written, 7U);
  EXPECT_EQ(upkeep().segments_removed, 0U);
  ok(orders.publish(record{"z"}));
  maintain();
  EXPECT_EQ(upkeep().runs, 9U) << "eight were merged into one";
  EXPECT_EQ(upkeep().records_sealed, 15U);
  EXPECT_EQ(upkeep().segments_written, 9U);
  EXPECT_EQ(upkeep().segments_removed, 8U);
  EXPECT_EQ(upkeep().duration.count(), 9U);
  ok(the_bus().delete_topic("orders"));
  maintain();
  EXPECT_EQ(upkeep().segments_removed, 9U);
  EXPECT_EQ(upkeep().runs, 9U);
  EXPECT_EQ(upkeep().failures, 0U);
  EXPECT_EQ(upkeep().checkpoints, 0U);
  const auto all = ok(the_bus().stats());
  EXPECT_EQ(all.segments, 0U);
}

TEST_F(Stats, CountUpkeepThatFails) {
  auto orders = ok(the_bus().declare_topic("orders"));
  ok(orders.publish(record{"x"}));
  const auto aside = store().parent_path() / "aside";
  fs::rename(store() / "segments", aside);
  begin();
  for (std::uint64_t i = 1; i < 3; ++i) {
    EXPECT_FALSE(the_bus().maintain());
    EXPECT_EQ(upkeep().failures, i);
  }
  fs::rename(aside, store() / "segments");
  maintain();
  EXPECT_EQ(upkeep().failures, 2U);
  EXPECT_EQ(upkeep().runs, 1U);
  EXPECT_EQ(upkeep().records_sealed, 1U);
}

TEST_F(Stats, CountCheckpoints) {
  close();
  bus_options o = options();
  o.durability = checkpointed{std::chrono::hours{1}};
  open(o);
  auto orders = ok(the_bus().declare_topic("orders"));
  const auto before = upkeep().checkpoints;
  ok(orders.publish(record{"x"}));
  ok(the_bus().sync());
  EXPECT_EQ(upkeep().checkpoints, before + 1);
  EXPECT_EQ(upkeep().checkpoint_duration.count(), before + 1);
}

TEST_F(Stats, TellHowLongUpkeepTook) {
  close();
  bus_options o = options();
  o.clock = std::make_shared<ticking_clock>();
  o.durability = checkpointed{std::chrono::hours{1}};
  open(o);
  auto orders = ok(the_bus().declare_topic("orders"));
  ok(orders.publish(record{"x"}));
  maintain();
  ok(the_bus().sync());
  const auto done = upkeep();
  EXPECT_EQ(done.duration.count(), 1U);
  EXPECT_GE(done.duration.quantile(1), milliseconds{1});
  EXPECT_EQ(done.checkpoint_duration.count(), 1U);
  EXPECT_GE(done.checkpoint_duration.quantile(1), milliseconds{1});
}

}  // namespace
}  // namespace levada::test
