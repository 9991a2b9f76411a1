// Publishing without waiting: what handlers are told, where they run, and what becomes of it at the end.

#include <fmt/format.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

// g++ 12 takes the operators of Asio's coroutine frames for ones that do not belong together, where it
// inlines only one of them.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace levada::test {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using asio::use_future;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AsyncPublishing : public bus_fixture {
 protected:
  topic orders_ = ok(the_bus().declare_topic("orders", {.partitions = 2}));

  [[nodiscard]] std::vector<std::string> values() {
    std::vector<std::string> all;
    auto pass = ok(the_bus().replay("orders", {.until = until_latest{}}));
    while (!pass.ended()) {
      for (const auto& r : ok(pass.next())) all.emplace_back(r.value());
    }
    return all;
  }
};

TEST_F(AsyncPublishing, GivesAFutureTheReceiptOfWhatIsDurable) {
  auto first = orders_.async_publish(record{"a", "one"}, use_future);
  auto second = orders_.async_publish(partition_id{1}, record{"two"}, use_future);
  const auto receipt = ok(first.get());
  EXPECT_EQ(receipt.topic, "orders");
  EXPECT_EQ(receipt.partition, partition_for_key("a", 2));
  EXPECT_EQ(ok(second.get()).partition, partition_id{1});
  EXPECT_THAT(values(), ElementsAre("one", "two"));
}

TEST_F(AsyncPublishing, PublishesABatchWhole) {
  auto batch = orders_.make_batch();
  for (int i = 0; i < 100; ++i) ok(batch.add(fmt::format("{}", i)));
  const auto receipt = ok(orders_.async_publish(std::move(batch), use_future).get());
  EXPECT_EQ(receipt.ranges.size(), 2U);
  EXPECT_EQ(receipt.ranges[0].count + receipt.ranges[1].count, 100U);
  EXPECT_EQ(values().size(), 100U);
}

TEST_F(AsyncPublishing, TellsAHandlerWhatWasWrong) {
  const auto refused = orders_.async_publish(partition_id{2}, record{"x"}, use_future).get();
  ASSERT_THAT(refused, fails_with(errc::unknown_partition));
  EXPECT_THAT(refused.error().message(), HasSubstr("the topic has 2 partitions"));
  const auto other = ok(the_bus().declare_topic("others"));
  EXPECT_THAT(orders_.async_publish(other.make_batch(), use_future).get(),
              fails_with(errc::invalid_argument));
  ok(the_bus().delete_topic("orders"));
  const auto gone = orders_.async_publish(record{"x"}, use_future).get();
  ASSERT_THAT(gone, fails_with(errc::unknown_topic));
  EXPECT_THAT(gone.error().message(), HasSubstr("publish to topic 'orders'"));
  ok(the_bus().close());
  EXPECT_THAT(orders_.async_publish(record{"x"}, use_future).get(), fails_with(errc::closed));
}

TEST_F(AsyncPublishing, KeepsTheOrderOfOneThread) {
  std::vector<std::future<result<publish_receipt>>> sent;
  std::vector<std::string> expected;
  for (int i = 0; i < 200; ++i) {
    expected.push_back(fmt::format("{}", i));
    if (i % 7 == 0) {
      ok(orders_.publish(partition_id{0}, record{expected.back()}));
    } else {
      sent.push_back(orders_.async_publish(partition_id{0}, record{expected.back()}, use_future));
    }
  }
  for (auto& f : sent) ok(f.get());
  EXPECT_EQ(values(), expected);
}

TEST_F(AsyncPublishing, RunsAHandlerInTheExecutorThatItIsBoundTo) {
  asio::io_context context;
  const auto strand = asio::make_strand(context.get_executor());
  int done = 0;
  for (int i = 0; i < 3; ++i) {
    orders_.async_publish(record{"x"},
                          asio::bind_executor(strand, [&](const result<publish_receipt>& outcome) {
                            EXPECT_THAT(outcome, succeeds());
                            EXPECT_TRUE(strand.running_in_this_thread());
                            ++done;
                          }));
  }
  EXPECT_EQ(done, 0) << "nothing runs within the call";
  context.run();  // does not return as long as an answer is outstanding
  EXPECT_EQ(done, 3);
}

TEST_F(AsyncPublishing, RunsOtherHandlersInTheExecutorOfTheHost) {
  asio::io_context context;
  close();
  auto o = options();
  o.executor = context.get_executor();
  open(o);
  EXPECT_EQ(the_bus().get_executor(), asio::any_io_executor{context.get_executor()});
  auto orders = ok(the_bus().topic("orders"));
  std::thread::id where;
  orders.async_publish(record{"x"}, [&](const result<publish_receipt>& outcome) {
    EXPECT_THAT(outcome, succeeds());
    where = std::this_thread::get_id();
  });
  context.run();
  EXPECT_EQ(where, std::this_thread::get_id());
}

asio::awaitable<std::uint64_t> publish_twice(topic to) {
  auto first = co_await to.async_publish(partition_id{0}, record{"first"}, use_awaitable);
  const auto later = to.async_publish(partition_id{0}, record{"second"}, asio::deferred);
  auto second = co_await later(use_awaitable);
  co_return ok(std::move(second)).offset - ok(std::move(first)).offset;
}

TEST_F(AsyncPublishing, IsAwaited) {
  asio::io_context context;
  auto distance = asio::co_spawn(context, publish_twice(orders_), use_future);
  context.run();
  EXPECT_EQ(distance.get(), 1U);
}

TEST_F(AsyncPublishing, LetsAHandlerPublish) {
  std::promise<void> finished;
  orders_.async_publish(partition_id{0}, record{"a"}, [&](const result<publish_receipt>&) {
    ok(orders_.publish(partition_id{0}, record{"b"}));
    orders_.async_publish(partition_id{0}, record{"c"},
                          [&](const result<publish_receipt>&) { finished.set_value(); });
  });
  finished.get_future().get();
  EXPECT_THAT(values(), ElementsAre("a", "b", "c"));
}

TEST_F(AsyncPublishing, RefusesToCloseTheBusInItsOwnThread) {
  std::promise<result<void>> answer;
  orders_.async_publish(record{"a"},
                        [&](const result<publish_receipt>&) { answer.set_value(the_bus().close()); });
  const auto refused = answer.get_future().get();
  ASSERT_THAT(refused, fails_with(errc::would_deadlock));
  EXPECT_THAT(refused.error().message(), HasSubstr("the bus's own thread"));
  EXPECT_THAT(orders_.publish(record{"still open"}), succeeds());
}

TEST_F(AsyncPublishing, IsFinishedByClosing) {
  std::atomic<int> answered{0};
  for (int i = 0; i < 50; ++i)
    orders_.async_publish(record{"x"}, [&](const result<publish_receipt>& r) { answered += r ? 1 : 0; });
  ok(the_bus().close());
  EXPECT_EQ(answered, 50) << "handlers have run when close returns";
  reopen();
  EXPECT_EQ(values().size(), 50U);
}

TEST_F(AsyncPublishing, IsDoneOrAbortedWhenTheBusIsDestroyed) {
  std::atomic<std::size_t> stored{0};
  std::atomic<std::size_t> aborted{0};
  for (int i = 0; i < 50; ++i) {
    orders_.async_publish(record{"x"}, [&](const result<publish_receipt>& r) {
      if (r) {
        ++stored;
      } else {
        EXPECT_TRUE(r.error() == errc::operation_aborted || r.error() == errc::closed) << r.error().message();
        ++aborted;
      }
    });
  }
  reopen();
  EXPECT_EQ(stored + aborted, 50U);
  EXPECT_EQ(values().size(), stored);
}

TEST_F(AsyncPublishing, WaitsForRoomInTheJournal) {
  close();
  auto o = options();
  o.journal_bytes_seal = o.journal_bytes_max = 64 << 10;
  open(o);
  auto orders = ok(the_bus().topic("orders"));
  for (int round = 0; round < 40; ++round) {
    std::vector<std::future<result<publish_receipt>>> sent;
    for (int i = 0; i < 10; ++i)
      sent.push_back(orders.async_publish(record{std::string(1'000, 'x')}, use_future));
    for (auto& f : sent) ok(f.get());
  }
  EXPECT_EQ(values().size(), 400U);
  EXPECT_LE(ok(the_bus().stats()).journal_bytes, std::uint64_t{96} << 10) << "a round beyond at most";
  EXPECT_FALSE(segment_files().empty());
}

}  // namespace
}  // namespace levada::test
