// Replaying, listing and inspecting without waiting: when handlers are told, cancelling, and the end.

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::use_future;
using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

static_assert(std::is_trivially_destructible_v<replay_options>,
              "may be written inside of a co_await expression");

class AsyncReplays : public bus_fixture {
 protected:
  static constexpr auto never = std::chrono::milliseconds::max();

  /// Begins to wait for records; the answer comes within the context.
  void begin(replay& pass, std::chrono::milliseconds timeout) {
    pass.async_next(timeout, asio::bind_cancellation_slot(
                                 stop_.slot(), asio::bind_executor(context_.get_executor(),
                                                                   [this](result<record_batch> batch) {
                                                                     given_.emplace(std::move(batch));
                                                                   })));
  }
  /// Runs handlers until the answer is there; the context has nothing else to do.
  result<record_batch> answer() {
    context_.restart();
    context_.run();
    auto batch = std::move(*given_);
    given_.reset();
    return batch;
  }
  static std::vector<std::string> values(const record_batch& batch) {
    std::vector<std::string> all;
    for (const auto& r : batch) all.emplace_back(r.value());
    return all;
  }
  [[nodiscard]] replay pass(const replay_options& how = {}) { return ok(the_bus().replay("orders", how)); }

  asio::io_context context_;
  asio::cancellation_signal stop_;
  std::optional<result<record_batch>> given_;
  topic orders_ = ok(the_bus().declare_topic("orders", {.partitions = 2}));
};

TEST_F(AsyncReplays, GetWhatIsThereWithoutRunningWithinTheCall) {
  ok(orders_.publish(record{"one"}));
  auto all = pass();
  begin(all, never);
  EXPECT_FALSE(given_);
  EXPECT_THAT(values(ok(answer())), ElementsAre("one"));
}

TEST_F(AsyncReplays, AreWokenByACommit) {
  auto all = pass();
  begin(all, never);
  context_.poll();
  EXPECT_FALSE(given_);
  ok(orders_.publish(record{"one"}));
  EXPECT_THAT(values(ok(answer())), ElementsAre("one"));
}

TEST_F(AsyncReplays, OfAllTopicsAreWokenByOnesThatAreDeclaredLater) {
  auto all = ok(the_bus().replay_all());
  begin(all, never);
  ok(ok(the_bus().declare_topic("later")).publish(record{"one"}));
  EXPECT_THAT(values(ok(answer())), ElementsAre("one"));
}

TEST_F(AsyncReplays, AnswerWithNothingWhenTheirTimeIsUp) {
  auto all = pass();
  begin(all, hours{1});
  the_clock().wait_for_waiters(1);
  the_clock().advance(hours{1});
  EXPECT_THAT(ok(answer()), IsEmpty());
}

TEST_F(AsyncReplays, AnswerWithNothingOnceTheyHaveEnded) {
  ok(orders_.publish(record{"one"}));
  auto all = pass({.until = until_latest{}});
  begin(all, never);
  EXPECT_THAT(ok(answer()), SizeIs(1));
  begin(all, never);
  EXPECT_THAT(ok(answer()), IsEmpty());
  EXPECT_TRUE(all.ended());
}

TEST_F(AsyncReplays, KeepTheirPace) {
  ok(orders_.publish(partition_id{0}, record{"one"}));
  the_clock().advance(seconds{10});
  ok(orders_.publish(partition_id{0}, record{"two"}));
  auto all = pass({.pace = 2});
  begin(all, never);
  EXPECT_THAT(values(ok(answer())), ElementsAre("one"));
  begin(all, never);
  the_clock().wait_for_waiters(1);
  the_clock().advance(seconds{4});
  context_.restart();
  context_.poll();
  EXPECT_FALSE(given_) << "it is due in half of ten seconds";
  the_clock().advance(seconds{1});
  EXPECT_THAT(values(ok(answer())), ElementsAre("two"));
}

TEST_F(AsyncReplays, LoseNothingToACancelledCall) {
  auto all = pass();
  begin(all, never);
  stop_.emit(asio::cancellation_type::terminal);
  EXPECT_THAT(answer(), fails_with(errc::operation_aborted));
  stop_.emit(asio::cancellation_type::terminal);  // too late for anything
  ok(orders_.publish(record{"one"}));
  begin(all, never);
  EXPECT_THAT(values(ok(answer())), ElementsAre("one"));
}

TEST_F(AsyncReplays, EndWithTheirHandle) {
  {
    auto all = pass();
    begin(all, never);
  }
  EXPECT_THAT(answer(), fails_with(errc::closed));
  auto all = pass();
  begin(all, never);
  all = pass();
  EXPECT_THAT(answer(), fails_with(errc::closed)) << "it has been assigned to";
  ok(orders_.publish(record{"one"}));
  begin(all, never);
  EXPECT_THAT(values(ok(answer())), ElementsAre("one")) << "the new one goes on";
}

TEST_F(AsyncReplays, EndWithTheirBus) {
  auto all = pass();
  begin(all, never);
  ok(the_bus().close());
  EXPECT_THAT(answer(), fails_with(errc::closed));
  begin(all, never);
  EXPECT_THAT(answer(), fails_with(errc::closed));
}

TEST_F(AsyncReplays, EndWithTheirTopic) {
  auto all = pass();
  begin(all, never);
  ok(the_bus().delete_topic("orders"));
  EXPECT_THAT(answer(), fails_with(errc::unknown_topic));
}

TEST_F(AsyncReplays, OfTheBussOwnThreadEndWithTheBus) {
  auto all = pass();
  auto waits = all.async_next(never, use_future);
  ok(the_bus().close());
  EXPECT_THAT(waits.get(), fails_with(errc::closed));
}

TEST_F(AsyncReplays, AreNotForAttachments) {
  close();
  const auto outside = ok(attachment::open(store()));
  auto all = ok(outside.replay("orders"));
  begin(all, never);
  EXPECT_THAT(answer(), fails_with(errc::invalid_argument));
  EXPECT_THAT(all.async_next(never, use_future).get(), fails_with(errc::invalid_argument));
}

TEST_F(AsyncReplays, AreBegunWithoutWaiting) {
  ok(orders_.publish(partition_id{0}, record{"one"}));
  ok(orders_.publish(partition_id{0}, record{"two"}));
  replay_options second;
  second.from = offset{1};
  second.partition = partition_id{0};
  EXPECT_THAT(read_all(ok(the_bus().async_replay("orders", second, use_future).get())), ElementsAre("two"));
  EXPECT_THAT(read_all(ok(the_bus().async_replay_all({.until = until_latest{}}, use_future).get())),
              ElementsAre("one", "two"));
  EXPECT_THAT(the_bus().async_replay("none", {}, use_future).get(), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().async_replay_all({.pace = -1}, use_future).get(), fails_with(errc::invalid_argument));
}

asio::awaitable<std::vector<std::string>> read_two(bus& of) {
  std::vector<std::string> read;
  auto pass = ok(co_await of.async_replay("orders", {.partition = partition_id{0}}, use_awaitable));
  while (read.size() < 2) {
    const auto batch = ok(co_await pass.async_next(hours{1}, use_awaitable));
    for (const auto& r : batch) read.emplace_back(r.value());
  }
  co_return read;
}

TEST_F(AsyncReplays, AreAwaitedRoundAndRound) {
  ok(orders_.publish(partition_id{0}, record{"one"}));
  auto read = asio::co_spawn(context_, read_two(the_bus()), use_future);
  // Begins the replay, and reads until it has to wait; the clock is that of its time-out.
  std::thread runs{[this] { context_.run(); }};
  the_clock().wait_for_waiters(1);
  ok(orders_.publish(partition_id{0}, record{"two"}));
  EXPECT_THAT(read.get(), ElementsAre("one", "two"));
  runs.join();
}

class AsyncListings : public AsyncReplays {};

TEST_F(AsyncListings, TellWhatTheirTwinsTell) {
  close();
  ok(ok(ok(attachment::open(store())).open_job("night", "orders")).checkpoint());
  open();
  auto& b = the_bus();
  ok(b.declare_exchange("events"));
  ok(b.declare_queue("work"));
  ok(b.bind("events", "work", "#"));
  ok(b.publish("events", "key", record{"x"}));
  ok(b.publish("orders", record{"one"}));
  auto billing = join("billing", {"orders"});
  ok(billing.poll(at_once));
  ok(billing.commit());
  const auto topics = ok(b.async_topics(use_future).get());
  ASSERT_THAT(topics, SizeIs(2));
  EXPECT_EQ(topics[1].name, "orders");
  EXPECT_EQ(topics[1].partitions[0].end.value() + topics[1].partitions[1].end.value(), 1U);
  const auto groups = ok(b.async_groups(use_future).get());
  ASSERT_THAT(groups, SizeIs(1));
  EXPECT_EQ(groups[0].name, "billing");
  const auto exchanges = ok(b.async_exchanges(use_future).get());
  ASSERT_THAT(exchanges, SizeIs(2));
  EXPECT_EQ(exchanges[0].name, "");  // the default exchange
  EXPECT_EQ(exchanges[1].name, "events");
  const auto queues = ok(b.async_queues(use_future).get());
  ASSERT_THAT(queues, SizeIs(1));
  EXPECT_EQ(queues[0].messages, 1U);
  const auto bindings = ok(b.async_bindings(use_future).get());
  ASSERT_THAT(bindings, SizeIs(1));
  EXPECT_EQ(bindings[0].destination, "work");
  const auto jobs = ok(b.async_jobs(use_future).get());
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_EQ(jobs[0].name, "night");
  EXPECT_THAT(b.async_readers(use_future).get(), succeeds());
  EXPECT_GT(ok(b.async_space(use_future).get()).bytes, 0U);
  EXPECT_EQ(ok(b.async_stats(use_future).get()).commits.commits, ok(b.stats()).commits.commits);
  ok(b.async_remove_job("night", use_future).get());
  EXPECT_THAT(ok(b.jobs()), IsEmpty());
  EXPECT_THAT(b.async_remove_job("night", use_future).get(), fails_with(errc::unknown_job));
}

TEST_F(AsyncListings, AnswerInTheHandlersExecutor) {
  std::optional<std::size_t> topics;
  the_bus().async_topics(
      asio::bind_executor(context_.get_executor(), [&](result<std::vector<topic_info>> all) {
        topics = ok(std::move(all)).size();
        EXPECT_TRUE(context_.get_executor().running_in_this_thread());
      }));
  EXPECT_FALSE(topics);
  context_.run();
  EXPECT_EQ(topics, 1U);
}

/// While something else is at work in the bus's thread for calls that wait.
TEST_F(AsyncListings, ThatWaitTheirTurnAreAnsweredWhenTheBusCloses) {
  std::promise<void> begun;
  std::promise<void> goes_on;
  auto occupied = the_bus().async_transact(
      [&](transaction&) -> result<void> {
        begun.set_value();
        goes_on.get_future().wait();
        return {};
      },
      {.time_max = hours{1}}, use_future);
  begun.get_future().wait();
  auto listed = the_bus().async_topics(use_future);
  auto replayed = the_bus().async_replay_all({}, use_future);
  auto closed = the_bus().async_close(use_future);
  auto late = the_bus().async_stats(use_future);
  goes_on.set_value();
  EXPECT_THAT(occupied.get(), succeeds());
  EXPECT_THAT(ok(listed.get()), SizeIs(1));
  EXPECT_THAT(replayed.get(), succeeds());
  EXPECT_THAT(closed.get(), succeeds());
  EXPECT_THAT(late.get(), fails_with(errc::closed));
  EXPECT_THAT(the_bus().async_topics(use_future).get(), fails_with(errc::closed));
}

}  // namespace
}  // namespace levada::test
