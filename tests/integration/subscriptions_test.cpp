#include <support/bus_fixture.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <support/seen_values.hpp>

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class Subscriptions : public bus_fixture {
 protected:
  Subscriptions() { ok(the_bus().declare_topic("orders")); }

  static subscription_options from_earliest() {
    subscription_options o;
    o.consumer.reset = offset_reset::earliest;
    o.commit_interval = milliseconds{0};
    return o;
  }
  void publish(const std::string& key, const std::string& value) {
    ok(the_bus().publish("orders", record{value}.key(key)));
  }
  static topic_partition orders(unsigned p = 0) { return {"orders", partition_id{p}}; }
  /// What the group has committed.
  std::optional<std::uint64_t> committed(const std::string& group = "g", unsigned p = 0) {
    const auto reader = ok(the_bus().assign(group, {orders(p)}));
    const auto stored = ok(reader.committed(orders(p)));
    return stored ? std::optional{stored->next.value()} : std::nullopt;
  }
  record_handler collect() {
    return [this](const record_view& r) -> result<void> {
      seen_.add(std::string{r.value()});
      return {};
    };
  }

  seen_values seen_;
};

TEST_F(Subscriptions, HandleEachRecordAndCommitWhatIsDone) {
  for (int i = 0; i < 3; ++i) publish("k", std::to_string(i));
  {
    auto s = ok(the_bus().subscribe("g", {"orders"}, collect(), from_earliest()));
    EXPECT_THAT(seen_.wait_for(3), ElementsAre("0", "1", "2"));
    publish("k", "3");
    EXPECT_THAT(seen_.wait_for(4), ElementsAre("0", "1", "2", "3"));
    EXPECT_TRUE(s.active());
    EXPECT_EQ(s.group(), "g");
    EXPECT_THAT(s.assignment(), ElementsAre(orders()));
    s.close();
    EXPECT_FALSE(s.active());
    EXPECT_EQ(s.pending(), 0U);
    ok(s.wait());
  }
  EXPECT_EQ(committed(), 4U);
}

TEST_F(Subscriptions, EndAfterATransactionThatDestroysThem) {
  publish("k", "0");
  auto o = from_earliest();
  o.commit_interval = std::chrono::hours{1};
  std::optional s{ok(the_bus().subscribe("g", {"orders"}, collect(), o))};
  seen_.wait_for(1);
  // What it has done is yet to be committed, which has to wait for this very commit.
  ok(the_bus().transact([&](transaction&) -> result<void> {
    EXPECT_THAT(s->wait(), fails_with(errc::would_deadlock));
    s.reset();
    return {};
  }));
  while (committed() != 1U) std::this_thread::yield();
}

TEST_F(Subscriptions, CommitAtTheirInterval) {
  auto o = from_earliest();
  o.commit_interval = milliseconds{500};
  auto s = ok(the_bus().subscribe("g", {"orders"}, collect(), o));
  publish("k", "0");
  seen_.wait_for(1);
  EXPECT_EQ(committed(), std::nullopt);
  the_clock().wait_for_waiters(1);
  while (committed() != 1U) the_clock().advance(milliseconds{500});
  s.close();
}

TEST_F(Subscriptions, HandleDifferentKeysAtTheSameTimeAndOneKeyInOrder) {
  for (const char* key : {"a", "b", "a", "b", "a", "b"}) publish(key, key);
  std::latch both{2};
  std::map<std::string, std::vector<std::uint64_t>> order;
  std::mutex mutex;
  std::map<std::string, int> at_a_time;
  auto o = from_earliest();
  o.workers = 2;
  auto s = ok(the_bus().subscribe(
      "g", {"orders"},
      [&](const record_view& r) -> result<void> {
        const std::string key{r.key()};
        {
          const std::lock_guard guard{mutex};
          EXPECT_EQ(++at_a_time[key], 1) << "of one key";
          order[key].push_back(r.offset().value());
        }
        if (r.offset() < offset{2}) both.arrive_and_wait();
        seen_.add(key);
        const std::lock_guard guard{mutex};
        --at_a_time[key];
        return {};
      },
      o));
  seen_.wait_for(6);
  s.close();
  EXPECT_THAT(order["a"], ElementsAre(0, 2, 4));
  EXPECT_THAT(order["b"], ElementsAre(1, 3, 5));
}

TEST_F(Subscriptions, CommitOnlyUpToTheFirstRecordThatIsNotDone) {
  std::binary_semaphore first{0};
  for (const char* key : {"a", "b", "c"}) publish(key, key);
  auto o = from_earliest();
  o.workers = 3;
  {
    auto s = ok(the_bus().subscribe(
        "g", {"orders"},
        [&](const record_view& r) -> result<void> {
          if (r.key() == "a") first.acquire();
          seen_.add(std::string{r.key()});
          return {};
        },
        o));
    EXPECT_THAT(seen_.wait_for(2), UnorderedElementsAre("b", "c"));
    EXPECT_EQ(committed(), std::nullopt) << "the first one is not done";
    EXPECT_GE(s.pending(), 1U);
    first.release();
  }
  EXPECT_EQ(committed(), 3U);
}

TEST_F(Subscriptions, EndWithTheFailureOfAHandlerAndBeginThereAgain) {
  for (int i = 0; i < 3; ++i) publish("k", std::to_string(i));
  std::atomic<bool> fails{true};
  const record_handler handler = [&](const record_view& r) -> result<void> {
    if (r.value() == "1" && fails) return error{errc::invalid_argument, "no such customer"};
    seen_.add(std::string{r.value()});
    return {};
  };
  std::promise<error> told;
  auto o = from_earliest();
  o.on_failure = [&](const error& e) { told.set_value(e); };
  {
    auto s = ok(the_bus().subscribe("g", {"orders"}, handler, o));
    const auto ended = s.wait();
    ASSERT_THAT(ended, fails_with(errc::invalid_argument));
    EXPECT_THAT(ended.error().message(),
                HasSubstr("record 1 of topic 'orders', partition 0: no such customer"));
    EXPECT_EQ(told.get_future().get().message(), ended.error().message());
    EXPECT_FALSE(s.active());
  }
  EXPECT_EQ(committed(), 1U);
  fails = false;
  o.on_failure = nullptr;
  auto s = ok(the_bus().subscribe("g", {"orders"}, handler, o));
  EXPECT_THAT(seen_.wait_for(3), ElementsAre("0", "1", "2"));
  s.close();
}

TEST_F(Subscriptions, TakeWhatAHandlerThrowsForItsFailure) {
  publish("k", "0");
  auto s = ok(the_bus().subscribe(
      "g", {"orders"}, [](const record_view&) -> result<void> { throw std::runtime_error{"boom"}; },
      from_earliest()));
  const auto ended = s.wait();
  ASSERT_THAT(ended, fails_with(errc::handler_failed));
  EXPECT_THAT(ended.error().message(), HasSubstr("boom"));
}

TEST_F(Subscriptions, SkipARecordIfTheyAreTold) {
  for (int i = 0; i < 3; ++i) publish("k", std::to_string(i));
  auto o = from_earliest();
  o.on_failed_handling = [](const record_view&, const error&, std::uint32_t) {
    return failed_handling::skip;
  };
  auto s = ok(the_bus().subscribe(
      "g", {"orders"},
      [&](const record_view& r) -> result<void> {
        seen_.add(std::string{r.value()});
        if (r.value() == "1") return error{errc::invalid_argument, "no"};
        return {};
      },
      o));
  seen_.wait_for(3);
  s.close();
  EXPECT_EQ(committed(), 3U);
}

TEST_F(Subscriptions, TryARecordAgainWhileOtherKeysGoOn) {
  for (const char* key : {"a", "b", "a"}) publish(key, key);
  auto o = from_earliest();
  o.retry_delay = milliseconds{100};
  o.on_failed_handling = [&](const record_view&, const error&, std::uint32_t attempt) {
    seen_.add("failed " + std::to_string(attempt));
    return failed_handling::retry;
  };
  std::atomic<int> failures{2};
  auto s = ok(the_bus().subscribe(
      "g", {"orders"},
      [&](const record_view& r) -> result<void> {
        if (r.key() == "a" && failures-- > 0) return error{errc::io_error, "not now"};
        seen_.add(std::string{r.key()} + std::to_string(r.offset().value()));
        return {};
      },
      o));
  EXPECT_THAT(seen_.wait_for(2), ElementsAre("failed 1", "b1")) << "what follows the failed one waits";
  // The bell is set after that.
  while (seen_.now().size() < 5) {
    the_clock().advance(milliseconds{100});
    std::this_thread::yield();
  }
  EXPECT_THAT(seen_.wait_for(5), ElementsAre("failed 1", "b1", "failed 2", "a0", "a2"));
  s.close();
  EXPECT_EQ(committed(), 3U);
}

TEST_F(Subscriptions, LetAHandlerAnswerLaterFromAnyThread) {
  publish("a", "0");
  publish("b", "1");
  std::promise<record_handling> first;
  auto o = from_earliest();
  o.workers = 2;
  auto s = ok(the_bus().subscribe(
      "g", {"orders"},
      [&](record_handling h) {
        seen_.add(std::string{h.record().value()});
        if (h.record().value() == "0") {
          first.set_value(std::move(h));
        } else {
          h.answer();
        }
      },
      o));
  seen_.wait_for(2);
  auto later = first.get_future().get();
  EXPECT_EQ(later.record().key(), "a");
  std::thread{[&] { later.answer(); }}.join();
  later.answer(error{errc::invalid_argument, "too late to say so"});
  s.close();
  EXPECT_EQ(committed(), 2U);
}

TEST_F(Subscriptions, TakeADroppedHandlingForAFailure) {
  publish("a", "0");
  auto s = ok(the_bus().subscribe(
      "g", {"orders"}, [](record_handling) {}, from_earliest()));
  EXPECT_THAT(s.wait(), fails_with(errc::handler_failed));
}

TEST_F(Subscriptions, CallHandlersInTheHostsExecutor) {
  boost::asio::io_context context;
  auto o = from_earliest();
  o.executor = context.get_executor();
  std::vector<std::string> values;  // of this thread alone
  {
    auto s = ok(the_bus().subscribe(
        "g", {"orders"},
        [&](const record_view& r) -> result<void> {
          values.emplace_back(r.value());
          return {};
        },
        o));
    const auto busy = boost::asio::make_work_guard(context);
    for (int i = 0; i < 5; ++i) publish("k", std::to_string(i));
    while (values.size() < 5) context.run_one();
    s.close();
    EXPECT_EQ(committed(), 5U);
  }
  context.restart();
  context.run();
  EXPECT_THAT(values, ElementsAre("0", "1", "2", "3", "4"));
}

TEST_F(Subscriptions, CloseThoughTheHostsExecutorIsTheCallersOwnThread) {
  boost::asio::io_context context;
  auto o = from_earliest();
  o.executor = context.get_executor();
  publish("k", "0");
  {
    auto s = ok(the_bus().subscribe("g", {"orders"}, collect(), o));
    while (s.pending() == 0) std::this_thread::yield();
    s.close();  // nobody runs the context: what has not begun, does not begin
  }
  context.run();
  EXPECT_TRUE(seen_.now().empty());
  EXPECT_EQ(committed(), std::nullopt);
}

TEST_F(Subscriptions, StopReadingWhileEnoughIsToBeDone) {
  for (int i = 0; i < 100; ++i) publish("k" + std::to_string(i), "v");
  std::counting_semaphore<> may{0};
  auto o = from_earliest();
  o.records_max = 10;
  auto s = ok(the_bus().subscribe(
      "g", {"orders"},
      [&](const record_view&) -> result<void> {
        may.acquire();
        seen_.add("");
        return {};
      },
      o));
  for (std::size_t done = 0; done < 100; ++done) {
    EXPECT_LE(s.pending(), 10U);
    may.release();
    seen_.wait_for(done + 1);
  }
  s.close();
  EXPECT_EQ(committed(), 100U);
}

TEST_F(Subscriptions, HandOverWhatIsDoneAndNothingTwice) {
  ok(the_bus().delete_topic("orders"));
  ok(the_bus().declare_topic("orders", {.partitions = 4}));
  std::mutex mutex;
  std::map<std::string, int> times;
  const record_handler handler = [&](const record_view& r) -> result<void> {
    {
      const std::lock_guard guard{mutex};
      ++times[std::string{r.value()}];
    }
    seen_.add("");
    return {};
  };
  auto o = from_earliest();
  o.workers = 3;
  o.commit_interval = std::chrono::hours{1};
  auto a = ok(the_bus().subscribe("g", {"orders"}, handler, o));
  constexpr int records = 600;
  std::optional<subscription> b;
  std::optional<subscription> c;
  for (int i = 0; i < records; ++i) {
    publish(std::to_string(i % 17), std::to_string(i));
    if (i == 200) b = ok(the_bus().subscribe("g", {"orders"}, handler, o));
    if (i == 400) c = ok(the_bus().subscribe("g", {"orders"}, handler, o));
    if (i == 500) a.close();
  }
  seen_.wait_for(records);
  b->close();
  c->close();
  EXPECT_EQ(times.size(), static_cast<std::size_t>(records));
  for (const auto& [value, count] : times) EXPECT_EQ(count, 1) << value;
}

/// The member "b" handles a record of the only partition until it is told; then by range that is to go to
/// "a".
class SubscriptionsHandingOver : public Subscriptions {
 protected:
  SubscriptionsHandingOver() {
    publish("k", "0");
    publish("k", "1");
    auto o = from_earliest();
    o.consumer.member_id = "b";
    o.consumer.assignor = range_assignor();
    o.consumer.rebalance_timeout = milliseconds{1'000};
    o.on_failure = [this](const error& e) { told_.set_value(e); };
    handling_.emplace(ok(the_bus().subscribe(
        "g", {"orders"},
        [this](const record_view& r) -> result<void> {
          seen_.add(std::string{r.value()});
          if (r.value() == "0") may_.acquire();
          return {};
        },
        o)));
    seen_.wait_for(1);
    other_.emplace(ok(the_bus().join(
        "g", {"orders"}, {.reset = offset_reset::earliest, .member_id = "a", .assignor = range_assignor()})));
  }
  ~SubscriptionsHandingOver() override { may_.release(); }

  std::counting_semaphore<> may_{0};
  std::promise<error> told_;
  std::optional<subscription> handling_;
  std::optional<consumer> other_;
};

TEST_F(SubscriptionsHandingOver, WaitForTheirHandlersAndLeaveTheRest) {
  ok(other_->poll(at_once));
  EXPECT_TRUE(other_->assignment().empty());
  may_.release();
  std::vector<std::string> left;
  while (other_->assignment().empty()) {
    for (const auto& r : ok(other_->poll(at_once))) left.emplace_back(r.value());
    std::this_thread::yield();
  }
  // It may have begun with the second one before it was told; then it has done that too.
  auto values = seen_.now();
  EXPECT_EQ(committed(), values.size()) << "in the same commit";
  for (auto& value : poll_all(*other_)) left.push_back(std::move(value));
  values.insert(values.end(), left.begin(), left.end());
  EXPECT_THAT(values, ElementsAre("0", "1"));
  handling_->close();
  EXPECT_EQ(ok(the_bus().groups()).front().possible_duplicates, 0U);
}

TEST_F(SubscriptionsHandingOver, AreFencedWhenAHandlerTakesLongerThanARebalanceMay) {
  the_clock().wait_for_waiters(1);
  the_clock().advance(milliseconds{1'000});
  while (other_->assignment().empty()) ok(other_->poll(at_once));
  may_.release();
  EXPECT_THAT(handling_->wait(), fails_with(errc::fenced));
  EXPECT_EQ(told_.get_future().get(), errc::fenced);
  EXPECT_EQ(committed(), std::nullopt);
  EXPECT_EQ(ok(the_bus().groups()).front().possible_duplicates, 2U) << "what it had read";
}

TEST_F(Subscriptions, RefuseWhatMakesNoSense) {
  const auto refused = [&](const subscription_options& o) {
    EXPECT_THAT(the_bus().subscribe("g", {"orders"}, collect(), o), fails_with(errc::invalid_argument));
  };
  refused({.consumer = {.auto_commit = milliseconds{1}}});
  refused({.workers = 0});
  refused({.workers = 1025});
  refused({.records_max = 0});
  refused({.commit_interval = milliseconds{-1}});
  refused({.retry_delay = milliseconds{-1}});
  EXPECT_THAT(the_bus().subscribe("g", {"orders"}, record_handler{}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().subscribe("g", {"orders"}, async_record_handler{}),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().subscribe("g", {"nothing"}, collect()), fails_with(errc::unknown_topic));
}

TEST_F(Subscriptions, FollowAPattern) {
  auto s = ok(the_bus().subscribe("g", ok(topic_pattern::make("or.*")), collect(), from_earliest()));
  publish("k", "0");
  seen_.wait_for(1);
  ok(the_bus().declare_topic("oranges"));
  ok(the_bus().publish("oranges", record{"1"}));
  EXPECT_THAT(seen_.wait_for(2), ElementsAre("0", "1"));
  s.close();
}

TEST_F(Subscriptions, GoOnWhenATopicIsDeletedAndTellOfIt) {
  ok(the_bus().declare_topic("other"));
  std::promise<error> told;
  auto o = from_earliest();
  o.on_failure = [&](const error& e) { told.set_value(e); };
  auto s = ok(the_bus().subscribe("g", {"orders", "other"}, collect(), o));
  ok(the_bus().delete_topic("other"));
  EXPECT_EQ(told.get_future().get(), errc::unknown_topic);
  publish("k", "0");
  seen_.wait_for(1);
  EXPECT_TRUE(s.active());
  EXPECT_THAT(s.assignment(), ElementsAre(orders()));
}

TEST_F(Subscriptions, AreClosedBeforeTheirBus) {
  publish("k", "0");
  auto o = from_earliest();
  o.commit_interval = std::chrono::hours{1};
  auto s = ok(the_bus().subscribe("g", {"orders"}, collect(), o));
  seen_.wait_for(1);
  ok(the_bus().close());
  EXPECT_FALSE(s.active());
  ok(s.wait());
  reopen();
  EXPECT_EQ(committed(), 1U) << "what was done is committed";
}

TEST_F(Subscriptions, EndWhenTheirBusIsDestroyed) {
  auto s = ok(the_bus().subscribe("g", {"orders"}, collect(), from_earliest()));
  close();
  EXPECT_THAT(s.wait(), fails_with(errc::closed));
  open();
}

TEST_F(Subscriptions, MayBeClosedAndDestroyedByTheirHandlers) {
  publish("k", "0");
  publish("k", "1");
  std::optional<subscription> s;
  std::promise<void> there;
  std::promise<void> gone;
  s = ok(the_bus().subscribe(
      "g", {"orders"},
      [&, ready = there.get_future().share()](const record_view&) -> result<void> {
        ready.wait();
        EXPECT_THAT(s->wait(), fails_with(errc::would_deadlock));
        EXPECT_THAT(the_bus().close(), fails_with(errc::would_deadlock));
        s->close();
        s.reset();
        gone.set_value();
        return {};
      },
      from_earliest()));
  there.set_value();
  gone.get_future().get();
  // It commits and leaves after that.
  while (!ok(the_bus().groups()).front().members.empty()) std::this_thread::yield();
  EXPECT_EQ(committed(), 1U);
}

TEST_F(Subscriptions, MayPublishInTheirHandlers) {
  ok(the_bus().declare_topic("results"));
  for (int i = 0; i < 10; ++i) publish(std::to_string(i), std::to_string(i));
  auto o = from_earliest();
  o.workers = 4;
  {
    auto s = ok(the_bus().subscribe(
        "g", {"orders"},
        [&](const record_view& r) -> result<void> {
          if (auto done = the_bus().publish("results", record{std::string{r.value()}}); !done)
            return done.error();
          seen_.add("");
          return {};
        },
        o));
    seen_.wait_for(10);
  }
  auto reader = join("check", {"results"});
  EXPECT_EQ(poll_all(reader).size(), 10U);
}

}  // namespace
}  // namespace levada::test
