// Acquiring and acknowledging without waiting.

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
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
using ::testing::IsEmpty;
using ::testing::SizeIs;

using deliveries = std::vector<delivery>;

class AsyncShares : public bus_fixture {
 protected:
  [[nodiscard]] share_consumer member() {
    share_consumer_options o;
    o.reset = offset_reset::earliest;
    return ok(the_bus().async_share_consume("workers", {"jobs"}, o, use_future).get());
  }
  void publish(const char* value) { ok(the_bus().publish("jobs", record{value})); }

  topic jobs_ = ok(the_bus().declare_topic("jobs"));
};

TEST_F(AsyncShares, AcquireAndAcknowledge) {
  publish("one");
  publish("two");
  auto a = member();
  const auto got = ok(a.async_poll(at_once, use_future).get());
  ASSERT_THAT(got, SizeIs(2));
  ok(a.async_acknowledge({got[0].tag()}, acknowledge_type::accept, use_future).get());
  ok(a.async_acknowledge({got[1].tag()}, acknowledge_type::release, use_future).get());
  EXPECT_THAT(a.async_acknowledge({got[0].tag()}, acknowledge_type::accept, use_future).get(),
              fails_with(errc::unknown_delivery));
  const auto again = ok(a.async_poll(at_once, use_future).get());
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].record().value(), "two");
  ok(a.async_acknowledge({again[0].tag()}, acknowledge_type::renew, use_future).get());
  EXPECT_THAT(ok(a.async_poll(at_once, use_future).get()), IsEmpty());
}

TEST_F(AsyncShares, WaitForARecordAndForOneThatComesBack) {
  auto a = member();
  auto b = member();
  auto waits = a.async_poll(hours{1}, use_future);
  publish("one");
  EXPECT_THAT(ok(waits.get()), SizeIs(1));
  auto waits_for_time = b.async_poll(hours{1}, use_future);
  while (waits_for_time.wait_for(seconds{0}) != std::future_status::ready) {
    the_clock().advance(seconds{30});
    std::this_thread::yield();
  }
  EXPECT_THAT(ok(waits_for_time.get()), SizeIs(1));
}

TEST_F(AsyncShares, WorkInACoroutine) {
  publish("one");
  asio::io_context context;
  auto a = member();
  bool done = false;
  const auto work = [&]() -> asio::awaitable<void> {
    auto got = co_await a.async_poll(hours{1}, use_awaitable);
    std::vector<delivery_tag> tags;
    for (const auto& d : ok(std::move(got))) tags.push_back(d.tag());
    auto settled = co_await a.async_acknowledge(std::move(tags), acknowledge_type::accept, use_awaitable);
    ok(std::move(settled));
    done = true;
  };
  asio::co_spawn(context, work, asio::detached);
  context.run();
  EXPECT_TRUE(done);
  EXPECT_EQ(ok(the_bus().groups()).at(0).in_flight, 0U);
}

TEST_F(AsyncShares, LoseNothingWhenAPollIsCancelled) {
  asio::io_context context;
  asio::cancellation_signal signal;
  auto a = member();
  std::optional<result<deliveries>> answer;
  a.async_poll(
      hours{1},
      asio::bind_cancellation_slot(
          signal.slot(), asio::bind_executor(context, [&](result<deliveries> r) { answer = std::move(r); })));
  publish("one");
  asio::post(context, [&] { signal.emit(asio::cancellation_type::all); });
  context.run();
  ASSERT_TRUE(answer);
  // Either it was there first, or the next poll has it.
  const auto got = *answer ? std::move(**answer) : ok(a.poll(at_once));
  EXPECT_THAT(got, SizeIs(1));
}

/// Four threads, of which two poll and acknowledge without waiting, and members that come and go.
TEST_F(AsyncShares, HandEachRecordToOneMemberAtATime) {
  constexpr std::size_t records = 2'000;
  std::vector<std::atomic<int>> holders(records);
  std::vector<std::atomic<int>> accepted(records);
  std::atomic<std::size_t> left{records};
  const auto work = [&](unsigned seed) {
    std::mt19937 random{seed};
    const bool waits = seed % 2 == 0;
    share_consumer_options o;
    o.reset = offset_reset::earliest;
    o.poll_records_max = 16;
    o.delivery_limit = 60'000;
    auto a = ok(the_bus().share_consume("workers", {"jobs"}, o));
    while (left > 0) {
      const auto got = ok(waits ? a.poll(at_once) : a.async_poll(at_once, use_future).get());
      for (const auto& d : got) {
        const auto n = std::stoul(std::string{d.record().value()});
        EXPECT_EQ(holders[n].fetch_add(1), 0) << "record " << n << " is with two members";
      }
      for (const auto& d : got) {
        const auto n = std::stoul(std::string{d.record().value()});
        const auto how = random() % 8 == 0 ? acknowledge_type::release : acknowledge_type::accept;
        if (how == acknowledge_type::accept) ++accepted[n];
        --holders[n];
        ok(waits ? a.acknowledge(d, how) : a.async_acknowledge({d.tag()}, how, use_future).get());
        if (how == acknowledge_type::accept) --left;
      }
      if (random() % 32 == 0) a = ok(the_bus().share_consume("workers", {"jobs"}, o));
    }
  };
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
  for (std::size_t i = 0; i < records; ++i) publish(std::to_string(i).c_str());
  for (auto& t : threads) t.join();
  for (std::size_t i = 0; i < records; ++i) EXPECT_EQ(accepted[i], 1) << "record " << i;
  EXPECT_EQ(ok(the_bus().groups()).at(0).in_flight, 0U);
}

TEST_F(AsyncShares, EndWhenTheBusOrTheMemberIsClosed) {
  auto a = member();
  auto b = member();
  auto of_member = a.async_poll(hours{1}, use_future);
  a.close();
  EXPECT_THAT(of_member.get(), fails_with(errc::closed));
  auto of_bus = b.async_poll(hours{1}, use_future);
  ok(the_bus().close());
  EXPECT_THAT(of_bus.get(), fails_with(errc::closed));
  EXPECT_THAT(b.async_acknowledge({delivery_tag{1}}, acknowledge_type::accept, use_future).get(),
              fails_with(errc::closed));
}

}  // namespace
}  // namespace levada::test
