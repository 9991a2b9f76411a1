// Polling, receiving and settling without waiting: when handlers are told, cancelling, and the end.

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
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
using ::testing::ElementsAre;

const auto never = std::chrono::milliseconds::max();

/// Remembers the one answer of a call, which it gets within the context.
template <class T>
class answer {
 public:
  explicit answer(asio::io_context& context) : context_{context} {}
  auto handler() {
    return asio::bind_executor(context_.get_executor(),
                               [this](result<T> r) { given_.emplace(std::move(r)); });
  }
  [[nodiscard]] bool given() const { return given_.has_value(); }
  result<T> take() {
    auto r = std::move(*given_);
    given_.reset();
    return r;
  }

 private:
  asio::io_context& context_;
  std::optional<result<T>> given_;
};

class AsyncReading : public bus_fixture {
 protected:
  /// Runs handlers until the answer is there; the context has nothing else to do.
  template <class T>
  result<T> wait_for(answer<T>& a) {
    context_.restart();
    context_.run();
    return a.take();
  }
  [[nodiscard]] consumer join(const std::string& member = "") {
    return ok(the_bus().join("billing", {"orders"}, {.reset = offset_reset::earliest, .member_id = member}));
  }
  static std::vector<std::string> values(const record_batch& batch) {
    std::vector<std::string> all;
    for (const auto& r : batch) all.emplace_back(r.value());
    return all;
  }

  asio::io_context context_;
  topic orders_ = ok(the_bus().declare_topic("orders", {.partitions = 2}));
};

TEST_F(AsyncReading, GetsWhatIsThereWithoutRunningWithinTheCall) {
  ok(orders_.publish(record{"one"}));
  auto billing = join();
  answer<record_batch> polled{context_};
  billing.async_poll(never, polled.handler());
  EXPECT_FALSE(polled.given());
  EXPECT_THAT(values(ok(wait_for(polled))), ElementsAre("one"));
}

TEST_F(AsyncReading, IsWokenByACommit) {
  auto billing = join();
  answer<record_batch> polled{context_};
  billing.async_poll(never, polled.handler());
  context_.poll();
  EXPECT_FALSE(polled.given());
  ok(orders_.publish(record{"one"}));
  EXPECT_THAT(values(ok(wait_for(polled))), ElementsAre("one"));
}

TEST_F(AsyncReading, AnswersWithNothingWhenItsTimeIsUp) {
  auto billing = join();
  answer<record_batch> polled{context_};
  billing.async_poll(hours{1}, polled.handler());
  the_clock().wait_for_waiters(1);
  the_clock().advance(hours{1});
  EXPECT_TRUE(ok(wait_for(polled)).empty());
}

TEST_F(AsyncReading, LosesNothingToACancelledCall) {
  auto billing = join();
  answer<record_batch> polled{context_};
  asio::cancellation_signal signal;
  billing.async_poll(never, asio::bind_cancellation_slot(signal.slot(), polled.handler()));
  signal.emit(asio::cancellation_type::terminal);
  EXPECT_THAT(wait_for(polled), fails_with(errc::operation_aborted));
  signal.emit(asio::cancellation_type::terminal);  // too late for anything
  ok(orders_.publish(record{"one"}));
  billing.async_poll(never, polled.handler());
  EXPECT_THAT(values(ok(wait_for(polled))), ElementsAre("one"));
}

TEST_F(AsyncReading, EndsWithItsMemberAndWithItsBus) {
  answer<record_batch> polled{context_};
  {
    auto billing = join();
    billing.async_poll(never, polled.handler());
  }
  EXPECT_THAT(wait_for(polled), fails_with(errc::closed));
  auto billing = join();
  billing.async_poll(never, polled.handler());
  ok(the_bus().close());
  EXPECT_THAT(wait_for(polled), fails_with(errc::closed));
}

TEST_F(AsyncReading, HandsPartitionsOverWhileNobodyElseCalls) {
  auto first = join("a");
  answer<record_batch> polled{context_};
  first.async_poll(never, polled.handler());
  context_.poll();
  ASSERT_EQ(first.assignment().size(), 2U);
  auto second = join("b");
  context_.restart();
  while (first.assignment().size() > 1) context_.run_one();  // the first looks, and gives one up
  EXPECT_EQ(first.assignment().size(), 1U);
  EXPECT_TRUE(ok(second.poll(at_once)).empty());
  EXPECT_EQ(second.assignment().size(), 1U);
  first.close();
  EXPECT_THAT(wait_for(polled), fails_with(errc::closed));
}

TEST_F(AsyncReading, CommitsOffsets) {
  for (int i = 0; i < 4; ++i) ok(orders_.publish(partition_id{0}, record{fmt::format("{}", i)}));
  auto billing = join();
  ok(billing.poll(at_once));
  const topic_partition where{"orders", partition_id{0}};
  answer<void> committed{context_};
  billing.async_commit(where, offset{2}, committed.handler());
  EXPECT_THAT(wait_for(committed), succeeds());
  EXPECT_EQ(ok(billing.committed(where))->next, offset{2});
  billing.async_commit(committed.handler());
  EXPECT_THAT(wait_for(committed), succeeds());
  EXPECT_EQ(ok(billing.committed(where))->next, offset{4});
  billing.async_commit(committed.handler());
  EXPECT_THAT(wait_for(committed), succeeds()) << "there is nothing to commit";
  billing.async_commit(where, offset{5}, committed.handler());
  EXPECT_THAT(wait_for(committed), fails_with(errc::offset_out_of_range));
  billing.async_commit({"orders", partition_id{9}}, offset{0}, committed.handler());
  EXPECT_THAT(wait_for(committed), fails_with(errc::not_assigned));
}

asio::awaitable<std::vector<std::string>> read_records(consumer& from, std::size_t records) {
  std::vector<std::string> all;
  while (all.size() < records) {
    auto batch = co_await from.async_poll(never, use_awaitable);
    for (const auto& r : ok(std::move(batch))) all.emplace_back(r.value());
    ok(co_await from.async_commit(use_awaitable));
  }
  co_return all;
}

TEST_F(AsyncReading, IsAwaitedRoundAndRound) {
  auto billing = join();
  auto all = asio::co_spawn(context_, read_records(billing, 3), use_future);
  context_.poll();
  for (const char* const value : {"a", "b", "c"}) {
    ok(orders_.publish(partition_id{0}, record{value}));
    context_.restart();
    context_.poll();
  }
  context_.restart();
  context_.run();
  EXPECT_THAT(all.get(), ElementsAre("a", "b", "c"));
}

asio::awaitable<std::size_t> first_of(consumer& a, consumer& b) {
  using namespace asio::experimental::awaitable_operators;
  const auto which = co_await (a.async_poll(never, use_awaitable) || b.async_poll(never, use_awaitable));
  co_return which.index();
}

TEST_F(AsyncReading, RacesAndCancelsTheLoser) {
  const auto other = ok(the_bus().declare_topic("others"));
  auto orders = join();
  auto others = ok(the_bus().join("billing too", {"others"}, {.reset = offset_reset::earliest}));
  auto first = asio::co_spawn(context_, first_of(orders, others), use_future);
  context_.poll();
  ok(other.publish(record{"x"}));
  context_.restart();
  context_.run();
  EXPECT_EQ(first.get(), 1U);
  ok(orders_.publish(record{"y"}));
  EXPECT_EQ(ok(orders.poll(at_once)).size(), 1U) << "the loser has lost nothing";
}

class AsyncDeliveries : public AsyncReading {
 protected:
  AsyncDeliveries() {
    ok(the_bus().declare_exchange("events", {.type = exchange_type::fanout}));
    ok(the_bus().declare_queue("mail"));
    ok(the_bus().bind("events", "mail", ""));
  }
  void send(const std::string& text) { ok(the_bus().publish("events", "", record{text})); }
  /// Sends so many messages, receives them, and begins to settle them.
  std::vector<std::future<result<void>>> settle_twenty(queue_consumer& with) {
    for (int i = 0; i < 20; ++i) send("x");
    std::vector<std::future<result<void>>> settled;
    for (int i = 0; i < 20; ++i)
      settled.push_back(with.async_ack(ok(with.receive(at_once))->tag(), use_future));
    return settled;
  }
  [[nodiscard]] std::uint64_t left() { return ok(the_bus().queues()).at(0).messages; }
};

TEST_F(AsyncDeliveries, AreReceivedAndSettled) {
  auto mail = ok(the_bus().consume("mail"));
  answer<std::optional<delivery>> received{context_};
  mail.async_receive(never, received.handler());
  context_.poll();
  EXPECT_FALSE(received.given());
  send("one");
  const auto first = ok(wait_for(received));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->record().value(), "one");
  answer<void> settled{context_};
  mail.async_ack(first->tag(), settled.handler());
  EXPECT_THAT(wait_for(settled), succeeds());
  mail.async_ack(first->tag(), settled.handler());
  EXPECT_THAT(wait_for(settled), fails_with(errc::unknown_delivery));
  mail.async_receive(at_once, received.handler());
  EXPECT_FALSE(ok(wait_for(received)));
}

TEST_F(AsyncDeliveries, AreSettledTogetherOrPutBack) {
  auto mail = ok(the_bus().consume("mail"));
  std::vector<delivery_tag> tags;
  for (int i = 0; i < 5; ++i) {
    send(fmt::format("{}", i));
    tags.push_back(ok(mail.receive(at_once))->tag());
  }
  answer<void> settled{context_};
  mail.async_ack({tags[0], tags[1]}, settled.handler());
  EXPECT_THAT(wait_for(settled), succeeds());
  mail.async_nack(tags[4], requeue::yes, settled.handler());
  EXPECT_THAT(wait_for(settled), succeeds());
  mail.async_nack(tags[2], requeue::no, settled.handler());
  EXPECT_THAT(wait_for(settled), succeeds());
  mail.async_ack_up_to(tags[3], settled.handler());
  EXPECT_THAT(wait_for(settled), succeeds());
  const auto again = ok(mail.receive(at_once));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->record().value(), "4");
  EXPECT_TRUE(again->redelivered());
  ok(mail.ack(*again));
  mail.close();
  reopen();
  EXPECT_EQ(left(), 0U);
}

TEST_F(AsyncDeliveries, AreSettledByClosingTheBus) {
  auto mail = ok(the_bus().consume("mail"));
  for (int i = 0; i < 20; ++i) send("x");
  std::vector<std::future<result<void>>> settled;
  for (int i = 0; i < 20; ++i)
    settled.push_back(mail.async_ack(ok(mail.receive(at_once))->tag(), use_future));
  ok(the_bus().close());
  for (auto& s : settled) EXPECT_THAT(s.get(), succeeds());
  reopen();
  EXPECT_EQ(left(), 0U);
}

TEST_F(AsyncDeliveries, ReturnToTheQueueWhenTheirSettlementIsAborted) {
  auto mail = ok(the_bus().consume("mail"));
  for (int i = 0; i < 20; ++i) send("x");
  std::vector<std::future<result<void>>> settled;
  for (int i = 0; i < 20; ++i)
    settled.push_back(mail.async_ack(ok(mail.receive(at_once))->tag(), use_future));
  reopen();  // destroys the bus
  std::size_t done = 0;
  for (auto& s : settled) done += s.get() ? 1 : 0;
  EXPECT_EQ(left(), 20 - done);
  auto next = ok(the_bus().consume("mail"));
  while (const auto d = ok(next.receive(at_once))) EXPECT_TRUE(d->redelivered());
}

TEST_F(AsyncDeliveries, EndWithTheirConsumer) {
  answer<std::optional<delivery>> received{context_};
  {
    auto mail = ok(the_bus().consume("mail"));
    mail.async_receive(never, received.handler());
  }
  EXPECT_THAT(wait_for(received), fails_with(errc::closed));
}

}  // namespace
}  // namespace levada::test
