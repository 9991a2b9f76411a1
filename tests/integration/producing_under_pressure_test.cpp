// Producers while nothing is committed: how much they take, who waits, and what fails together.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A clock that can keep the threads of a bus from going on: all but the one that made it wait when they ask
/// for the time, as each commit does.
class holding_clock final : public clock {
 public:
  ~holding_clock() override { let_go(); }

  void hold() {
    const std::lock_guard guard{mutex_};
    held_ = true;
  }
  void let_go() {
    const std::lock_guard guard{mutex_};
    held_ = false;
    changed_.notify_all();
  }
  /// The calling thread never waits.
  void pass() {
    const std::lock_guard guard{mutex_};
    passing_.push_back(std::this_thread::get_id());
  }

  [[nodiscard]] timestamp wall() const override { return time_.wall(); }
  [[nodiscard]] steady_time steady() const override {
    std::unique_lock lock{mutex_};
    const bool passes =
        std::find(passing_.begin(), passing_.end(), std::this_thread::get_id()) != passing_.end();
    if (!passes) changed_.wait(lock, [this] { return !held_; });
    return time_.steady();
  }
  void wait_until(const std::shared_ptr<wait_point>& point, std::unique_lock<std::mutex>& lock,
                  steady_time deadline) override {
    time_.wait_until(point, lock, deadline);
  }

 private:
  manual_clock time_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool held_ = false;
  std::vector<std::thread::id> passing_{std::this_thread::get_id()};
};

class ProducingUnderPressure : public ::testing::Test {
 protected:
  static constexpr std::size_t buffer = 1'000;
  static record small() { return record{"a", std::string(280, 'x')}; }  // 297 bytes encoded
  static record too_much() { return record{"a", std::string(std::size_t{2} << 20, 'x')}; }

  static bus open(const std::filesystem::path& store, const std::shared_ptr<clock>& time) {
    bus_options o;
    o.clock = time;
    o.maintenance = maintenance_mode::on_call;
    o.map_bytes_max = std::size_t{1} << 20;
    return ok(bus::open(store, o));
  }
  /// From here on nothing is committed, but what this thread waits for.
  void hold() {
    // So that the thread exists, and has nothing to do.
    ok(orders_.async_publish(partition_id{1}, record{"x"}, use_future).get());
    clock_->hold();
  }
  [[nodiscard]] std::uint64_t stored() { return ok(bus_.topics()).at(0).partitions.at(0).end.value(); }

  const std::shared_ptr<holding_clock> clock_ = std::make_shared<holding_clock>();

 private:
  temporary_directory directory_;

 protected:
  bus bus_ = open(directory_ / "store", clock_);
  topic orders_ = ok(bus_.declare_topic("orders", {.partitions = 2}));
};

/// All go to partition 0.
class to_the_first final : public partitioner {
 public:
  partition_id choose(const record&, std::uint32_t) override { return partition_id{0}; }
};

TEST_F(ProducingUnderPressure, RefusesWhatDoesNotFitAndKeepsNothingOfIt) {
  auto p = ok(bus_.make_producer(
      "orders", {.buffer_bytes_max = buffer, .partitioner = std::make_shared<to_the_first>()}));
  hold();
  for (int i = 0; i < 3; ++i) ok(p.try_send(small()));
  EXPECT_THAT(p.try_send(small()), fails_with(errc::would_block));
  EXPECT_THAT(p.async_send(small(), use_future).get(), fails_with(errc::would_block));
  auto batch = orders_.make_batch();
  ok(batch.add(partition_id{0}, std::string(500, 'x')));
  EXPECT_THAT(p.async_publish(std::move(batch), use_future).get(), fails_with(errc::would_block));
  auto last = p.async_send(record{"a", "fits"}, use_future);
  EXPECT_EQ(stored(), 0U);
  clock_->let_go();
  ok(p.flush());
  ok(last.get());
  EXPECT_EQ(stored(), 4U);
  EXPECT_THAT(p.try_send(small()), succeeds());
}

TEST_F(ProducingUnderPressure, WaitsUntilThereIsRoom) {
  auto p = ok(bus_.make_producer(
      "orders", {.buffer_bytes_max = buffer, .partitioner = std::make_shared<to_the_first>()}));
  hold();
  for (int i = 0; i < 3; ++i) ok(p.send(small()));
  std::atomic<int> sent{0};
  std::vector<std::thread> senders;
  for (int i = 0; i < 4; ++i) {
    senders.emplace_back([&] {
      clock_->pass();
      for (int n = 0; n < 50; ++n) {
        ok(p.send(small()));
        ++sent;
      }
    });
  }
  EXPECT_THAT(p.try_send(small()), fails_with(errc::would_block));
  EXPECT_EQ(sent, 0) << "there is no room for any of them";
  clock_->let_go();
  for (auto& sender : senders) sender.join();
  ok(p.flush());
  EXPECT_EQ(stored(), 203U);
}

TEST_F(ProducingUnderPressure, LetsNobodyWaitInTheBusesOwnThread) {
  auto p = ok(bus_.make_producer("orders", {.buffer_bytes_max = buffer}));
  hold();
  for (int i = 0; i < 3; ++i) ok(p.send(small()));
  std::promise<result<void>> answer;
  boost::asio::post(bus_.get_executor(), [&] { answer.set_value(p.send(small())); });
  EXPECT_THAT(answer.get_future().get(), fails_with(errc::would_deadlock));
  clock_->let_go();
  ok(p.flush());
}

TEST_F(ProducingUnderPressure, LeadsACommitThatItWaitsFor) {
  auto p = ok(bus_.make_producer("orders", {.partitioner = std::make_shared<to_the_first>()}));
  hold();
  EXPECT_EQ(ok(p.publish(record{"a", "1"})).offset, offset{0}) << "without help of the bus's threads";
  ok(p.send(record{"a", "2"}));
  ok(p.flush());
  EXPECT_EQ(stored(), 2U);
  clock_->let_go();
}

TEST_F(ProducingUnderPressure, FailsWhatWasSentBehindARecordThatFails) {
  // Each with a batch of its own, collected behind it, or both.
  for (const std::size_t batch_bytes : {std::size_t{1}, std::size_t{1} << 20}) {
    SCOPED_TRACE(batch_bytes);
    auto p = ok(bus_.make_producer("orders", {.id = fmt::format("{}", batch_bytes),
                                              .batch_bytes = batch_bytes,
                                              .partitioner = std::make_shared<to_the_first>()}));
    const std::uint64_t before = stored();
    hold();
    auto first = p.async_send(small(), use_future);
    auto failing = p.async_send(too_much(), use_future);
    std::vector<std::future<result<publish_receipt>>> behind;
    for (int i = 0; i < 3; ++i) behind.push_back(p.async_send(small(), use_future));
    auto batch = orders_.make_batch();
    ok(batch.add(partition_id{0}, "x"));
    auto whole = p.async_publish(std::move(batch), use_future);
    auto collected = p.async_send(small(), use_future);
    clock_->let_go();
    EXPECT_THAT(first.get(), succeeds());
    EXPECT_THAT(failing.get(), fails_with(errc::store_full));
    for (auto& each : behind) EXPECT_THAT(each.get(), fails_with(errc::out_of_order_sequence));
    EXPECT_THAT(whole.get(), fails_with(errc::out_of_order_sequence));
    EXPECT_THAT(collected.get(), fails_with(errc::out_of_order_sequence));
    EXPECT_THAT(p.flush(), succeeds()) << "all have had an answer of their own";
    EXPECT_EQ(stored(), before + 1);
    EXPECT_EQ(p.last_sequence(), producer_sequence{1});
    ok(p.publish(small()));
    EXPECT_EQ(p.last_sequence(), producer_sequence{2}) << "it goes on behind what is stored";
  }
}

TEST_F(ProducingUnderPressure, WithoutAnIdFailsARecordAlone) {
  auto p =
      ok(bus_.make_producer("orders", {.batch_bytes = 1, .partitioner = std::make_shared<to_the_first>()}));
  hold();
  ok(p.send(too_much()));
  auto behind = p.async_send(small(), use_future);
  clock_->let_go();
  EXPECT_THAT(behind.get(), succeeds());
  EXPECT_THAT(p.flush(), fails_with(errc::store_full));
  EXPECT_THAT(p.flush(), succeeds());
  EXPECT_EQ(stored(), 1U);
}

TEST_F(ProducingUnderPressure, CommitsEachRecordOnceAmongThreads) {
  // Small bounds, so that batches are complete, room is short, and flushes come in between all the time.
  auto p = ok(bus_.make_producer("orders", {.id = "all",
                                            .linger = milliseconds{0},
                                            .batch_bytes = 300,
                                            .buffer_bytes_max = buffer,
                                            .partitioner = std::make_shared<to_the_first>()}));
  constexpr int threads = 4;
  constexpr int each = 200;
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t) {
    senders.emplace_back([&, t] {
      for (int n = 0; n < each; ++n) {
        const record r{fmt::format("{}", t), fmt::format("{}", n)};
        if (n % 50 == 7) {
          ok(p.publish(r));
        } else if (n % 50 == 23) {
          ok(p.send(r));
          ok(p.flush());
        } else {
          ok(p.send(r));
        }
      }
    });
  }
  for (auto& sender : senders) sender.join();
  ok(p.close());
  EXPECT_EQ(p.last_sequence(), producer_sequence{threads * each});
  std::vector<int> next(threads, 0);
  auto pass = ok(bus_.replay("orders", {.until = until_latest{}}));
  while (!pass.ended()) {
    for (const auto& r : ok(pass.next())) {
      EXPECT_EQ(std::stoi(std::string{r.value()}), next[std::stoul(std::string{r.key()})]++);
    }
  }
  EXPECT_THAT(next, ::testing::Each(each));
}

}  // namespace
}  // namespace levada::test
