#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/child_process.hpp>
#include <support/seen_values.hpp>

#include "queue_world.hpp"

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::milliseconds;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PushConsumer : public queue_world {
 protected:
  delivery_handler collect() {
    return [this](const delivery& d) -> result<void> {
      seen_.add(std::string{d.record().value()});
      return {};
    };
  }
  /// Fails so often with "no", then succeeds.
  delivery_handler fail(int times) {
    return [this, left = std::make_shared<std::atomic<int>>(times)](const delivery& d) -> result<void> {
      seen_.add(std::string{d.record().value()} + (d.redelivered() ? " again" : ""));
      if (left->fetch_sub(1) > 0) return error{errc::invalid_argument, "no"};
      return {};
    };
  }
  std::uint64_t left(const std::string& name = "q") { return ok(the_bus().queue(name)).messages; }

  seen_values seen_;
};

TEST_F(PushConsumer, HandlesEachMessageInOrderAndAcknowledgesIt) {
  queue("q");
  send("q", {"1", "2", "3"});
  {
    auto c = ok(the_bus().consume("q", collect()));
    EXPECT_THAT(seen_.wait_for(3), ElementsAre("1", "2", "3"));
    send("q", {"4"});
    EXPECT_THAT(seen_.wait_for(4), ElementsAre("1", "2", "3", "4"));
    EXPECT_TRUE(c.active());
    EXPECT_EQ(c.queue(), "q");
    EXPECT_EQ(ok(the_bus().queue("q")).consumers, 1);
  }
  EXPECT_EQ(left(), 0) << "what has been answered is settled when it is closed";
  EXPECT_EQ(ok(the_bus().queue("q")).consumers, 0);
  reopen();
  EXPECT_EQ(left(), 0);
}

TEST_F(PushConsumer, GoesOnOverManyMessages) {
  queue("q");
  std::vector<std::string> values;
  for (int i = 0; i < 500; ++i) values.push_back(std::to_string(i));
  send("q", values);
  auto c = ok(the_bus().consume("q", collect()));
  EXPECT_EQ(seen_.wait_for(500), values);
}

TEST_F(PushConsumer, HandlesAsManyAtATimeAsItHasWorkers) {
  queue("q");
  send("q", {"1", "2", "3", "4"});
  std::latch all_there{3};
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  auto c = ok(the_bus().consume("q",
                                [&](const delivery& d) -> result<void> {
                                  const int now = ++running;
                                  for (int m = most; m < now && !most.compare_exchange_weak(m, now);) {
                                  }
                                  if (d.tag().value() <= 3) all_there.arrive_and_wait();
                                  --running;
                                  seen_.add(std::string{d.record().value()});
                                  return {};
                                },
                                {.workers = 3}));
  seen_.wait_for(4);
  EXPECT_EQ(most, 3);
}

TEST_F(PushConsumer, RequeuesWhatItsHandlerFailsWith) {
  queue("q");
  send("q", {"1", "2"});
  auto c = ok(the_bus().consume("q", fail(2)));
  EXPECT_THAT(seen_.wait_for(4), testing::Contains("1 again"));
  c.close();
  EXPECT_EQ(left(), 0);
}

TEST_F(PushConsumer, TakesWhatIsThrownForAFailure) {
  queue("dead");
  queue("q", {.dead_letter_exchange = "", .dead_letter_routing_key = "dead"});
  send("q", {"exception", "something", "good"});
  std::vector<std::string> told;
  push_consumer_options options;
  options.on_failed_delivery = [&](const delivery& d, const error& why) {
    EXPECT_EQ(why.code(), errc::handler_failed);
    told.push_back(std::string{d.record().value()} + ": " + why.message());
    return failed_delivery::reject;
  };
  auto c = ok(the_bus().consume(
      "q",
      [&](const delivery& d) -> result<void> {
        seen_.add(std::string{d.record().value()});
        if (d.record().value() == "exception") throw std::runtime_error{"broken"};
        if (d.record().value() == "something") throw 1;
        return {};
      },
      options));
  seen_.wait_for(3);
  c.close();
  EXPECT_THAT(told, ElementsAre("exception: the handler has thrown: broken",
                                "something: the handler has thrown something"));
  EXPECT_EQ(left(), 0);
  auto dead = consume("dead");
  EXPECT_THAT(receive_all(dead), ElementsAre("exception", "something"));
}

TEST_F(PushConsumer, EndsWhereAFailureIsToStopIt) {
  queue("q");
  send("q", {"1", "2"});
  std::promise<std::string> told;
  push_consumer_options options;
  options.on_failed_delivery = [](const delivery&, const error&) { return failed_delivery::stop; };
  options.on_failure = [&](const error& why) { told.set_value(why.message()); };
  auto c = ok(the_bus().consume("q", fail(1), options));
  EXPECT_THAT(c.wait(), fails_telling(errc::invalid_argument, "handle a message of queue 'q': no"));
  EXPECT_EQ(told.get_future().get(), "handle a message of queue 'q': no");
  EXPECT_FALSE(c.active());
  EXPECT_THAT(seen_.now(), ElementsAre("1"));
  auto again = consume("q");
  EXPECT_THAT(receive_all(again), ElementsAre("1", "2")) << "nothing is lost";
}

TEST_F(PushConsumer, HasWhatFailedWaitWhereItsQueueSaysSo) {
  queue("q", {.redelivery_delay = redelivery_delay{}});
  send("q", {"1"});
  auto c = ok(the_bus().consume("q", fail(1)));
  seen_.wait_for(1);
  while (ok(the_bus().queue("q")).waiting == 0) std::this_thread::yield();
  EXPECT_THAT(seen_.now(), ElementsAre("1"));
  the_clock().advance(std::chrono::seconds{1});
  EXPECT_THAT(seen_.wait_for(2), ElementsAre("1", "1 again"));
}

TEST_F(PushConsumer, LetsAHandlerAnswerLater) {
  queue("q");
  send("q", {"1", "2", "3"});
  std::promise<delivery_handling> first;
  auto c = ok(the_bus().consume("q", [&](delivery_handling h) {
    seen_.add(std::string{h.delivery().record().value()});
    if (h.delivery().record().value() == "1") return first.set_value(std::move(h));
    if (h.delivery().record().value() == "2") h.answer();  // and once more, when it is destroyed
    // else dropped, which is a failure, until it is redelivered
    if (h.delivery().redelivered()) h.answer();
  }));
  auto held = first.get_future().get();
  EXPECT_THAT(seen_.now(), ElementsAre("1")) << "it keeps the only place";
  EXPECT_EQ(c.unsettled(), 2) << "and one waits for it";
  held.answer();
  EXPECT_THAT(seen_.wait_for(4), ElementsAre("1", "2", "3", "3"));
  c.close();
  EXPECT_EQ(left(), 0);
}

TEST_F(PushConsumer, WaitsForItsHandlersWhenItIsClosed) {
  queue("q");
  send("q", {"1", "2", "3"});
  std::promise<void> begun;
  std::promise<void> goes_on;
  auto c = ok(the_bus().consume("q", [&](const delivery& d) -> result<void> {
    begun.set_value();
    goes_on.get_future().wait();
    seen_.add(std::string{d.record().value()});
    return {};
  }));
  begun.get_future().wait();
  std::thread closes{[&] { c.close(); }};
  while (c.active()) std::this_thread::yield();
  goes_on.set_value();
  closes.join();
  EXPECT_THAT(seen_.now(), ElementsAre("1"));
  EXPECT_EQ(left(), 2) << "the first was done, the others not begun with";
  auto rest = consume("q");
  EXPECT_THAT(receive_all(rest), ElementsAre("2", "3"));
}

TEST_F(PushConsumer, ReturnsWhatIsNotAnsweredWhenItIsClosed) {
  queue("q");
  send("q", {"1"});
  std::promise<delivery_handling> held;
  std::atomic<int> asked{0};
  push_consumer_options options;
  options.on_failed_delivery = [&](const delivery&, const error&) {
    ++asked;
    return failed_delivery::reject;
  };
  auto c = ok(the_bus().consume(
      "q", [&](delivery_handling h) { held.set_value(std::move(h)); }, options));
  auto handling = held.get_future().get();
  c.close();
  handling.answer(error{errc::invalid_argument, "too late"});
  EXPECT_EQ(asked, 0);
  auto again = consume("q");
  const auto d = ok(again.receive(at_once));
  ASSERT_TRUE(d.has_value());
  EXPECT_TRUE(d->redelivered());
}

TEST_F(PushConsumer, CanBeClosedByItsHandler) {
  queue("q");
  send("q", {"1", "2"});
  std::optional<push_consumer> c;
  std::latch there{1};
  c = ok(the_bus().consume("q", [&](const delivery& d) -> result<void> {
    there.wait();
    c->close();
    EXPECT_THAT(c->wait(), fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().close(), fails_with(errc::would_deadlock));
    seen_.add(std::string{d.record().value()});
    return {};
  }));
  there.count_down();
  ok(c->wait());
  EXPECT_THAT(seen_.now(), ElementsAre("1"));
  c->close();
  EXPECT_EQ(left(), 1);
}

TEST_F(PushConsumer, IsClosedBeforeItsBus) {
  queue("q");
  send("q", {"1"});
  auto c = ok(the_bus().consume("q", collect()));
  seen_.wait_for(1);
  ok(the_bus().close());
  EXPECT_FALSE(c.active());
  ok(c.wait());
  reopen();
  EXPECT_EQ(left(), 0) << "what it has answered is settled";
}

TEST_F(PushConsumer, EndsWithABusThatGoesWithoutBeingClosed) {
  queue("q");
  auto c = ok(the_bus().consume("q", collect()));
  close();
  EXPECT_THAT(c.wait(), fails_with(errc::closed));
}

TEST_F(PushConsumer, EndsWithItsQueue) {
  queue("q");
  auto c = ok(the_bus().consume("q", collect()));
  ok(the_bus().delete_queue("q"));
  EXPECT_THAT(c.wait(), fails_telling(errc::closed, "the queue is closed"));
}

TEST_F(PushConsumer, EndsWhenAMessageIsNotSettledInTime) {
  queue("q");
  send("q", {"1"});
  std::promise<delivery_handling> held;
  auto c = ok(the_bus().consume("q", [&](delivery_handling h) { held.set_value(std::move(h)); },
                                {.consumer = {.timeout = milliseconds{5}}}));
  const auto keeps = held.get_future().get();
  the_clock().advance(milliseconds{5});
  EXPECT_THAT(c.wait(), fails_with(errc::consumer_timed_out));
  auto again = consume("q");
  EXPECT_EQ(next(again, in_a_while), "1");
}

TEST_F(PushConsumer, LeavesItsThreadsToTheParentOfAFork) {
  queue("q");
  queue("other");
  std::optional c = ok(the_bus().consume("q", collect()));
  std::optional closed = ok(the_bus().consume("other", collect()));
  closed->close();
  child_process child{[&](const auto&) {
    const bool refused = c->wait().error() == errc::forked;
    c.reset();
    closed.reset();
    return refused ? 0 : 1;
  }};
  EXPECT_EQ(child.wait(), 0);
  send("q", {"1"});
  EXPECT_THAT(seen_.wait_for(1), ElementsAre("1"));
}

TEST_F(PushConsumer, RunsInTheExecutorOfItsHost) {
  queue("q");
  send("q", {"1", "2"});
  boost::asio::io_context context;
  std::vector<std::thread::id> where;
  auto c = ok(the_bus().consume("q",
                                [&](const delivery& d) -> result<void> {
                                  where.push_back(std::this_thread::get_id());
                                  seen_.add(std::string{d.record().value()});
                                  return {};
                                },
                                {.executor = context.get_executor()}));
  EXPECT_THAT(seen_.now(), IsEmpty());
  while (seen_.now().size() < 2) context.run_one();
  EXPECT_THAT(where, Each(std::this_thread::get_id()));
  boost::asio::post(context, [&] { c.close(); });
  context.run_for(in_a_while);
  EXPECT_FALSE(c.active()) << "to close it nobody need run the executor";
  EXPECT_EQ(left(), 0);
}

TEST_F(PushConsumer, NeedsAHandlerAndWorkers) {
  queue("q");
  EXPECT_THAT(the_bus().consume("q", delivery_handler{}),
              fails_telling(errc::invalid_argument, "consume from queue 'q': there is no handler"));
  EXPECT_THAT(the_bus().consume("q", collect(), {.workers = 0}),
              fails_telling(errc::invalid_argument, "workers is 0, not from 1 to 1024"));
  EXPECT_THAT(the_bus().consume("p", collect()), fails_with(errc::unknown_queue));
  const std::uint32_t one = 1;
  ok(the_bus().consume("q", {.prefetch = one}));  // which is no handler, also where it is no constant
}

TEST_F(PushConsumer, ServesExclusiveQueues) {
  const auto own = ok(the_bus().declare_anonymous_queue());
  auto c = ok(own.consume(collect()));
  send(own.name(), {"1"});
  EXPECT_THAT(seen_.wait_for(1), ElementsAre("1"));
}

TEST_F(PushConsumer, IsStartedAndClosedWithoutWaiting) {
  queue("q");
  send("q", {"1"});
  const push_consumer_options options;
  auto c = ok(the_bus().async_consume("q", collect(), options, use_future).get());
  EXPECT_THAT(seen_.wait_for(1), ElementsAre("1"));
  ok(c.async_close(use_future).get());
  EXPECT_EQ(left(), 0);
}

using CancelledConsumer = queue_world;

TEST_F(CancelledConsumer, SettlesWhatItHoldsAndTakesNothingMore) {
  queue("q");
  send("q", {"1", "2", "3"});
  auto c = consume("q", {.prefetch = 2});
  EXPECT_EQ(next(c), "1");
  EXPECT_EQ(next(c), "2");
  c.cancel();
  EXPECT_EQ(ok(the_bus().queue("q")).consumers, 0);
  EXPECT_THAT(c.receive(at_once), fails_telling(errc::closed, "has been cancelled"));
  ok(c.ack(delivery_tag{1}));
  ok(c.nack(delivery_tag{2}));
  auto other = consume("q");
  EXPECT_THAT(receive_all(other), ElementsAre("2", "3"));
  c.cancel();
  c.close();
}

TEST_F(CancelledConsumer, EndsAReceiveThatWaits) {
  queue("q");
  auto c = consume("q");
  auto waits = c.async_receive(std::chrono::hours{1}, use_future);
  c.cancel();
  EXPECT_THAT(waits.get(), fails_with(errc::closed));
}

TEST_F(CancelledConsumer, GivesBackWhatItHasNotSettledWhenItIsClosed) {
  queue("q");
  send("q", {"1", "2"});
  auto c = consume("q");
  EXPECT_EQ(next(c), "1");
  c.cancel();
  auto other = consume("q");
  EXPECT_THAT(receive_all(other), ElementsAre("2"));
  c.close();
  EXPECT_THAT(receive_all(other), ElementsAre("1"));
}

TEST_F(CancelledConsumer, LetsTheNextBeTheActiveOne) {
  queue("q", {.single_active_consumer = true});
  send("q", {"1", "2"});
  auto first = consume("q", {.prefetch = 1});
  EXPECT_EQ(next(first), "1");
  auto second = consume("q");
  EXPECT_EQ(next(second), "none");
  first.cancel();
  EXPECT_EQ(next(second), "2");
}

TEST_F(CancelledConsumer, TakesItsAutoDeleteQueueWithIt) {
  queue("q", {.auto_delete = true});
  auto c = consume("q");
  c.cancel();
  EXPECT_THAT(the_bus().queue("q"), fails_with(errc::unknown_queue));
}

}  // namespace
}  // namespace levada::test
