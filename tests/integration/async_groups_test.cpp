// The asynchronous twins of what is rarer: groups' tools, subscriptions, transactions, closing.

#include <functional>
#include <future>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::milliseconds;
using ::testing::ElementsAre;

class AsyncGroups : public bus_fixture {
 protected:
  AsyncGroups() {
    ok(the_bus().declare_topic("orders"));
    from_earliest_.reset = offset_reset::earliest;
  }
  void publish(int from, int to) {
    for (int i = from; i < to; ++i) ok(the_bus().publish("orders", record{std::to_string(i)}));
  }
  static topic_partition orders() { return {"orders", partition_id{0}}; }

  consumer_options from_earliest_;
};

TEST_F(AsyncGroups, JoinByPatternAndReadByHand) {
  publish(0, 2);
  auto pattern = ok(topic_pattern::make("ord.*"));
  auto member = ok(the_bus().async_join("g", pattern, from_earliest_, use_future).get());
  EXPECT_THAT(poll_all(member), ElementsAre("0", "1"));
  auto reader = ok(the_bus().async_assign("other", {orders()}, from_earliest_, use_future).get());
  EXPECT_THAT(poll_all(reader), ElementsAre("0", "1"));
  ok(member.async_close(use_future).get());
  EXPECT_THAT(member.poll(at_once), fails_with(errc::closed));
  EXPECT_THAT(ok(the_bus().groups()).front().members, testing::IsEmpty());
}

TEST_F(AsyncGroups, AreResetAndDeleted) {
  publish(0, 5);
  {
    auto member = join("g", {"orders"});
    poll_all(member);
    ok(member.commit());
  }
  offset_reset_options to_beginning;
  to_beginning.dry_run = false;
  const auto changes = ok(the_bus().async_reset_offsets("g", "orders", to_beginning, use_future).get());
  ASSERT_EQ(changes.size(), 1U);
  {
    auto member = join("g", {"orders"});
    EXPECT_EQ(poll_all(member).size(), 5U);
  }
  ok(the_bus().async_delete_group("g", use_future).get());
  EXPECT_THAT(the_bus().async_delete_group("g", use_future).get(), fails_with(errc::unknown_group));
}

TEST_F(AsyncGroups, SubscribeAndEndWithWhatTheyEndWith) {
  publish(0, 1);
  subscription_options how;
  how.consumer = from_earliest_;
  std::promise<std::string> seen;
  record_handler handler = [&](const record_view& r) -> result<void> {
    seen.set_value(std::string{r.value()});
    return {};
  };
  auto s =
      ok(the_bus().async_subscribe("g", std::vector<std::string>{"orders"}, handler, how, use_future).get());
  EXPECT_EQ(seen.get_future().get(), "0");
  ok(s.async_close(use_future).get());
  EXPECT_FALSE(s.active());
  record_handler fails = [](const record_view&) -> result<void> { return error{errc::io_error, "no"}; };
  auto failing =
      ok(the_bus().async_subscribe("h", ok(topic_pattern::make("orders")), fails, how, use_future).get());
  EXPECT_THAT(failing.wait(), fails_with(errc::io_error));
  EXPECT_THAT(failing.async_close(use_future).get(), fails_with(errc::io_error));
}

TEST_F(AsyncGroups, MakeAndCloseProducersAndRequesters) {
  producer_options how;
  how.id = "importer";
  auto sender = ok(the_bus().async_make_producer("orders", how, use_future).get());
  ok(sender.send(record{"0"}));
  ok(sender.async_close(use_future).get());
  EXPECT_THAT(sender.send(record{"1"}), fails_with(errc::closed));
  EXPECT_EQ(sender.last_sequence(), producer_sequence{1});
  auto asks = ok(the_bus().async_make_requester(use_future).get());
  ok(asks.async_close(use_future).get());
  EXPECT_THAT(asks.request("calls", "desk", record{"?"}, milliseconds::max()), fails_with(errc::closed));
}

TEST_F(AsyncGroups, Transact) {
  auto done = the_bus().async_transact(
      [](transaction& t) -> result<void> {
        if (auto published = t.publish("orders", record{"0"}); !published) return published.error();
        return {};
      },
      {}, use_future);
  ok(done.get());
  auto reader = join("g", {"orders"});
  EXPECT_THAT(poll_all(reader), ElementsAre("0"));
}

TEST_F(AsyncGroups, ProcessUntilNothingComes) {
  ok(the_bus().declare_topic("results"));
  publish(0, 10);
  auto from = join("g", {"orders"});
  std::function<result<void>(transaction&, const record_batch&)> handler =
      [](transaction& t, const record_batch& batch) -> result<void> {
    for (const auto& r : batch) {
      if (auto done = t.publish("results", record{std::string{r.value()} + "!"}); !done) return done.error();
    }
    return {};
  };
  process_options how;
  how.idle_max = at_once;
  const auto report = ok(the_bus().async_process(from, handler, how, use_future).get());
  EXPECT_EQ(report.records, 10U);
  EXPECT_EQ(ok(from.committed(orders()))->next, offset{10});
  auto results = join("check", {"results"});
  EXPECT_EQ(poll_all(results).size(), 10U);
}

TEST_F(AsyncGroups, ProcessUntilTheyAreStopped) {
  publish(0, 3);
  auto from = join("g", {"orders"});
  std::stop_source stop;
  std::promise<void> begun;
  std::function<result<void>(transaction&, const record_batch&)> handler =
      [&](transaction&, const record_batch&) -> result<void> {
    begun.set_value();
    return {};
  };
  process_options how;
  how.stop = stop.get_token();
  auto done = the_bus().async_process(from, handler, how, use_future);
  begun.get_future().get();
  // Other calls have their turn while it waits.
  ok(the_bus().async_declare_topic("other", {}, use_future).get());
  stop.request_stop();
  EXPECT_EQ(ok(done.get()).records, 3U);
}

TEST_F(AsyncGroups, GiveABatchBackWhoseProcessingFails) {
  publish(0, 3);
  auto from = join("g", {"orders"});
  std::function<result<void>(transaction&, const record_batch&)> fails =
      [](transaction&, const record_batch&) -> result<void> {
    return error{errc::io_error, "not now"};
  };
  const process_options how;
  EXPECT_THAT(the_bus().async_process(from, fails, how, use_future).get(), fails_with(errc::io_error));
  EXPECT_THAT(poll_all(from), ElementsAre("0", "1", "2"));
}

}  // namespace
}  // namespace levada::test
