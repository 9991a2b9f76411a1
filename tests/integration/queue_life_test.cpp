#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/child_process.hpp>

#include "queue_world.hpp"

namespace levada::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class QueueLife : public queue_world {
 protected:
  queue_info info(const std::string& name) { return ok(the_bus().queue(name)); }
  bool exists(const std::string& name) { return the_bus().queue(name).has_value(); }
  /// Whether a queue goes without anybody asking for it.
  bool goes(const std::string& name) {
    const auto end = std::chrono::steady_clock::now() + in_a_while;
    while (exists(name) && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return !exists(name);
  }
  /// What can be had at once, all settled.
  static std::vector<std::string> drain(queue_consumer& from) {
    std::vector<std::string> values;
    while (const auto d = ok(from.receive(at_once))) {
      values.emplace_back(d->record().value());
      ok(from.ack(*d));
    }
    return values;
  }
};
using AutoDeleteQueue = QueueLife;
using QueueExpiry = QueueLife;
using ExclusiveQueue = QueueLife;
using QueueInfo = QueueLife;

// Queues that go with their last consumer

TEST_F(AutoDeleteQueue, GoesWithItsLastConsumerAndAllThatBelongsToIt) {
  ok(the_bus().declare_exchange("events"));
  queue("q", {.auto_delete = true});
  ok(the_bus().bind("events", "q", "#"));
  send("q", {"1", "2"});
  auto first = consume("q");
  auto second = consume("q");
  EXPECT_EQ(next(first), "1");
  first.close();
  EXPECT_TRUE(exists("q")) << "there is another consumer";
  second.close();
  EXPECT_FALSE(exists("q"));
  EXPECT_THAT(ok(the_bus().bindings()), IsEmpty());
  EXPECT_EQ(ok(the_bus().publish("events", "k", record{"3"})).routed, 0U);
  queue("q");
  EXPECT_EQ(info("q").messages, 0U) << "its name is free, for what is empty and stays";
  consume("q").close();
  EXPECT_TRUE(exists("q"));
  expect_sound();
}

TEST_F(AutoDeleteQueue, StaysUntilItHasHadAConsumer) {
  queue("q", {.auto_delete = true});
  queue("q", {.auto_delete = true});
  send("q", {"1"});
  reopen();
  EXPECT_EQ(info("q").messages, 1U);
  EXPECT_THAT(the_bus().consume("q", {.timeout = milliseconds{0}}), fails_with(errc::invalid_argument));
  EXPECT_TRUE(exists("q")) << "that was no consumer";
  { const auto moved = consume("q"); }
  EXPECT_FALSE(exists("q")) << "destroying the handle closes it";
}

TEST_F(AutoDeleteQueue, StaysWhenTheBusIsClosedThoughItsConsumerGoesToo) {
  queue("q", {.auto_delete = true});
  send("q", {"1"});
  auto taker = consume("q");
  EXPECT_EQ(next(taker), "1");
  reopen();
  taker.close();
  ASSERT_TRUE(exists("q"));
  EXPECT_EQ(info("q").consumers, 0U);
  auto again = consume("q");
  EXPECT_THAT(drain(again), ElementsAre("1"));
  again.close();
  EXPECT_FALSE(exists("q"));
  expect_sound();
  EXPECT_FALSE(exists("q"));
}

/// A manual clock that does something once when the thread that set it asks for the time.
class interrupting_clock final : public clock {
 public:
  void interrupt_this_thread(std::function<void()> with) {
    interruption_ = std::move(with);
    interrupted_ = std::this_thread::get_id();
  }
  [[nodiscard]] timestamp wall() const override { return time_.wall(); }
  [[nodiscard]] steady_time steady() const override {
    if (interrupted_ == std::this_thread::get_id()) {
      interrupted_ = std::thread::id{};
      interruption_();
    }
    return time_.steady();
  }
  void wait_until(const std::shared_ptr<wait_point>& point, std::unique_lock<std::mutex>& lock,
                  steady_time deadline) override {
    time_.wait_until(point, lock, deadline);
  }

 private:
  manual_clock time_;
  std::function<void()> interruption_;
  mutable std::atomic<std::thread::id> interrupted_{std::thread::id{}};
};

TEST_F(AutoDeleteQueue, GoesWhenItsConsumersLeaveAtTheSameTime) {
  const auto time = std::make_shared<interrupting_clock>();
  auto o = options();
  o.clock = time;
  close();
  open(o);
  for (int round = 0; round < 100; ++round) {
    queue("q", {.auto_delete = true});
    auto a = consume("q");
    auto b = consume("q");
    std::future<void> other;
    const auto closes_b = [&] { other = std::async(std::launch::async, [&] { b.close(); }); };
    if (round % 2 == 0) {
      closes_b();
    } else {
      time->interrupt_this_thread([&] {
        closes_b();
        other.wait_for(in_a_while);
      });
    }
    a.close();
    if (other.valid()) other.get();
    b.close();
    ASSERT_TRUE(goes("q")) << round;
  }
}

TEST_F(AutoDeleteQueue, GoesWhenItsConsumerIsClosedWithinATransaction) {
  queue("q", {.auto_delete = true});
  ok(the_bus().declare_topic("t"));
  auto taker = consume("q");
  ok(the_bus().transact([&](transaction& t) -> result<void> {
    taker.close();
    return t.publish("t", record{"v"});
  }));
  EXPECT_TRUE(goes("q"));
}

// Queues that expire

TEST_F(QueueExpiry, DeletesAQueueThatNobodyHasUsedForSoLong) {
  ok(the_bus().declare_exchange("events"));
  queue("grave");
  queue("q", {.dead_letter_exchange = "", .dead_letter_routing_key = "grave", .expires = seconds{5}});
  queue("shorter", {.expires = milliseconds{4'999}});
  ok(the_bus().bind("events", "q", "#"));
  the_clock().advance(milliseconds{4'999});
  send("q", {"publishing is no use of it"});
  EXPECT_TRUE(goes("shorter"));
  EXPECT_TRUE(exists("q"));
  the_clock().advance(milliseconds{1});
  EXPECT_TRUE(goes("q"));
  EXPECT_THAT(ok(the_bus().bindings()), IsEmpty());
  EXPECT_EQ(info("grave").messages, 0U);
  queue("q");
  EXPECT_EQ(info("q").messages, 0U);
  expect_sound();
}

TEST_F(QueueExpiry, DoesNotCountWhileThereIsAConsumer) {
  queue("q", {.expires = seconds{5}});
  queue("witness", {.expires = seconds{60}});
  auto taker = consume("q");
  the_clock().advance(seconds{60});
  EXPECT_TRUE(goes("witness"));
  ASSERT_TRUE(exists("q"));
  queue("witness", {.expires = milliseconds{4'999}});
  taker.close();
  the_clock().advance(milliseconds{4'999});
  EXPECT_TRUE(goes("witness"));
  ASSERT_TRUE(exists("q")) << "it counts from when the consumer has gone";
  the_clock().advance(milliseconds{1});
  EXPECT_TRUE(goes("q"));
}

TEST_F(QueueExpiry, BeginsAnewWhenTheQueueIsDeclaredAgain) {
  queue("q", {.expires = seconds{5}});
  the_clock().advance(seconds{4});
  queue("q", {.expires = seconds{5}});
  queue("witness", {.expires = milliseconds{4'999}});
  the_clock().advance(milliseconds{4'999});
  EXPECT_TRUE(goes("witness"));
  ASSERT_TRUE(exists("q"));
  the_clock().advance(milliseconds{1});
  EXPECT_TRUE(goes("q"));
}

TEST_F(QueueExpiry, BeginsAnewWhenTheStoreIsOpened) {
  queue("q", {.expires = seconds{5}});
  the_clock().advance(seconds{4});
  close();
  the_clock().advance(hours{1});
  open();
  queue("witness", {.expires = milliseconds{4'999}});
  the_clock().advance(milliseconds{4'999});
  EXPECT_TRUE(goes("witness"));
  ASSERT_TRUE(exists("q"));
  the_clock().advance(milliseconds{1});
  EXPECT_TRUE(goes("q")) << "though nobody has touched it since";
}

TEST_F(QueueExpiry, TakesTheShortestAndTheLongestTime) {
  queue("q", {.expires = queue_time_max});
  queue("brief", {.expires = milliseconds{1}});
  EXPECT_TRUE(exists("brief"));
  the_clock().advance(milliseconds{1});
  EXPECT_TRUE(goes("brief"));
  EXPECT_TRUE(exists("q"));
}

TEST_F(QueueExpiry, SparesAQueueThatIsDeclaredAgainJustAsItIsDue) {
  for (int round = 0; round < 500; ++round) {
    queue("q", {.expires = milliseconds{1}});
    the_clock().advance(milliseconds{1});
    for (int i = 0; i < round % 50; ++i) std::this_thread::yield();
    ASSERT_THAT(the_bus().declare_queue("q", {.expires = milliseconds{1}}), succeeds()) << round;
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(exists("q")) << round;
      std::this_thread::yield();
    }
  }
}

// Exclusive queues with a name

TEST_F(ExclusiveQueue, IsForItsOwnerAlone) {
  ok(the_bus().declare_exchange("events"));
  auto mine = ok(the_bus().declare_exclusive_queue("mine"));
  EXPECT_EQ(mine.name(), "mine");
  EXPECT_TRUE(info("mine").exclusive);
  ok(the_bus().bind("events", "mine", "k"));
  ok(the_bus().publish("events", "k", record{"1"}));
  EXPECT_THAT(the_bus().consume("mine"), fails_with(errc::resource_locked));
  EXPECT_THAT(the_bus().purge_queue("mine"), fails_with(errc::resource_locked));
  EXPECT_THAT(the_bus().delete_queue("mine"), fails_with(errc::resource_locked));
  EXPECT_THAT(the_bus().declare_queue("mine"), fails_with(errc::resource_locked));
  EXPECT_THAT(the_bus().declare_exclusive_queue("mine"), fails_with(errc::resource_locked));
  auto taker = ok(mine.consume());
  EXPECT_THAT(drain(taker), ElementsAre("1"));
}

TEST_F(ExclusiveQueue, IsRefusedWhereThereIsAQueueOfThatNameOrTheNameIsNone) {
  queue("shared");
  EXPECT_THAT(the_bus().declare_exclusive_queue("shared"), fails_with(errc::resource_locked));
  EXPECT_THAT(the_bus().declare_exclusive_queue("amq.mine"), fails_with(errc::name_invalid));
  EXPECT_THAT(the_bus().declare_exclusive_queue(""), fails_with(errc::name_invalid));
  EXPECT_EQ(ok(the_bus().queues()).size(), 1U);
}

TEST_F(ExclusiveQueue, GoesWithItsHandleAndWithItsBus) {
  ok(the_bus().declare_exchange("events"));
  {
    auto mine = ok(the_bus().declare_exclusive_queue("mine"));
    ok(the_bus().bind("events", "mine", "k"));
    auto taker = ok(mine.consume());
    send("mine", {"1"});
    ok(mine.close());
    EXPECT_FALSE(exists("mine"));
    EXPECT_THAT(taker.receive(at_once), fails_with(errc::closed));
    EXPECT_THAT(mine.close(), succeeds());
  }
  EXPECT_THAT(ok(the_bus().bindings()), IsEmpty());
  { const auto mine = ok(the_bus().declare_exclusive_queue("mine")); }
  queue("mine");
  ok(the_bus().delete_queue("mine"));
  const auto kept = ok(the_bus().declare_exclusive_queue("mine"));
  reopen();
  EXPECT_FALSE(exists("mine"));
  expect_sound();
}

TEST_F(ExclusiveQueue, LeavesNothingWhenItIsConsumedAfterItHasGone) {
  auto mine = ok(the_bus().declare_exclusive_queue("mine"));
  send("mine", {"1"});
  ok(mine.close());
  if (auto taker = mine.consume()) {
    EXPECT_THAT(taker->receive(at_once), fails_with(errc::closed));
  }
  EXPECT_FALSE(exists("mine"));
  expect_sound();
}

TEST_F(ExclusiveQueue, IsGoneAfterItsHostHasDied) {
  close();
  {
    child_process host{[&](const auto& say) {
      open();
      const auto mine = ok(the_bus().declare_exclusive_queue("mine"));
      send("mine", {"1"});
      say("sent");
      child_process::wait_for_go();
      return 0;
    }};
    ASSERT_EQ(host.read_line(), "sent");
    host.kill(SIGKILL);
    host.wait();
  }
  open();
  EXPECT_FALSE(exists("mine"));
  queue("mine");
  EXPECT_EQ(info("mine").messages, 0U);
  expect_sound();
}

// What is told of it

TEST_F(QueueInfo, TellsWhatIsReadyAndWhatConsumersHave) {
  queue("q");
  send("q", {"1", "2", "3", "4"});
  const auto expect = [&](std::uint64_t messages, std::uint64_t ready, std::uint64_t unacked) {
    const auto q = info("q");
    EXPECT_EQ(q.messages, messages);
    EXPECT_EQ(q.ready, ready);
    EXPECT_EQ(q.unacked, unacked);
    EXPECT_EQ(q.waiting, 0U);
    const auto listed = ok(the_bus().queues());
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_EQ(listed[0].ready, ready);
    EXPECT_EQ(listed[0].unacked, unacked);
  };
  expect(4, 4, 0);
  auto taker = consume("q", {.prefetch = 2});
  EXPECT_EQ(next(taker), "1");
  expect(4, 2, 2);  // one is fetched ahead
  ok(taker.ack(delivery_tag{1}));
  expect(3, 2, 1);
  taker.close();
  expect(3, 3, 0);
  EXPECT_EQ(ok(the_bus().purge_queue("q")), 3U);
  expect(0, 0, 0);
}

}  // namespace
}  // namespace levada::test
