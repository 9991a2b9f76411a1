#include <chrono>
#include <string>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include "queue_world.hpp"

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::hours;

class PrefetchScope : public queue_world {
 protected:
  queue_consumer share(const std::string& name, queue_consumer_options options = {}) {
    options.scope = scope_;
    return consume(name, options);
  }
  prefetch_scope scope_{2};
};

TEST_F(PrefetchScope, LimitsWhatItsConsumersHoldTogether) {
  queue("a");
  queue("b");
  send("a", {"1", "2", "3"});
  send("b", {"4", "5", "6"});
  auto a = share("a");
  auto b = share("b");
  EXPECT_EQ(scope_.prefetch(), 2);
  EXPECT_EQ(next(a), "1");
  EXPECT_EQ(next(b), "4");
  EXPECT_EQ(scope_.unsettled(), 2);
  EXPECT_EQ(next(a), "none");
  EXPECT_EQ(next(b), "none");
  ok(a.ack(delivery_tag{1}));
  EXPECT_EQ(scope_.unsettled(), 1);
  EXPECT_EQ(next(b), "5");
  EXPECT_EQ(next(a), "none");
  ok(b.nack(delivery_tag{1}));
  EXPECT_EQ(next(a), "2");
  a.close();
  EXPECT_EQ(scope_.unsettled(), 1) << "what it held has gone back";
  EXPECT_EQ(next(b), "4");
}

TEST_F(PrefetchScope, StandsBesideTheLimitOfEach) {
  queue("a");
  send("a", {"1", "2"});
  auto a = share("a", {.prefetch = 1});
  EXPECT_EQ(next(a), "1");
  EXPECT_EQ(next(a), "none");
  EXPECT_EQ(scope_.unsettled(), 1);
}

TEST_F(PrefetchScope, LeavesItsPlacesToWhoeverHasMessages) {
  queue("a");
  queue("b");
  auto a = share("a");
  auto b = share("b");
  EXPECT_EQ(next(a), "none");
  EXPECT_EQ(scope_.unsettled(), 0);
  send("b", {"1", "2"});
  EXPECT_EQ(next(b), "1");
  EXPECT_EQ(next(b), "2");
}

TEST_F(PrefetchScope, WakesWhoWaitsForAPlace) {
  queue("a");
  queue("b");
  send("a", {"1", "2"});
  send("b", {"3"});
  auto a = share("a");
  auto b = share("b");
  EXPECT_EQ(next(a), "1");
  EXPECT_EQ(next(a), "2");
  auto waits = b.async_receive(hours{1}, use_future);
  EXPECT_EQ(waits.wait_for(at_once), std::future_status::timeout);
  ok(a.ack(delivery_tag{2}));
  EXPECT_EQ(ok(waits.get())->record().value(), "3");
}

TEST_F(PrefetchScope, PassesMessagesToLowerPrioritiesWhileItIsFull) {
  queue("a");
  queue("b");
  send("b", {"1", "2"});
  auto first = share("a", {.priority = 1});
  auto second = consume("a");
  auto elsewhere = share("b");
  EXPECT_EQ(next(elsewhere), "1");
  send("a", {"3"});
  auto waits = second.async_receive(hours{1}, use_future);
  EXPECT_EQ(waits.wait_for(at_once), std::future_status::timeout) << "it is for the first";
  EXPECT_EQ(next(elsewhere), "2");
  EXPECT_EQ(ok(waits.get())->record().value(), "3") << "which has no place any more";
}

TEST_F(PrefetchScope, CountsWhatIsCountedOnTheDiskFirst) {
  queue("a", {.delivery_limit = 3});
  send("a", {"1", "2", "3"});
  auto a = share("a");
  EXPECT_EQ(next(a), "1");
  EXPECT_EQ(next(a), "2");
  EXPECT_EQ(next(a), "none");
  EXPECT_EQ(scope_.unsettled(), 2);
  ok(a.nack(delivery_tag{1}, requeue::no));
  EXPECT_EQ(next(a), "3");
}

TEST_F(PrefetchScope, KeepsNoPlaceForWhatCouldNotBeTaken) {
  queue("a");
  auto a = share("a");
  ok(the_bus().delete_queue("a"));
  EXPECT_THAT(a.receive(at_once), fails_with(errc::closed));
  EXPECT_EQ(scope_.unsettled(), 0);
}

TEST_F(PrefetchScope, OfNoneIsUnlimited) {
  scope_ = prefetch_scope{0};
  queue("a");
  send("a", {"1", "2", "3"});
  auto a = share("a");
  EXPECT_THAT(receive_all(a), testing::SizeIs(3));
  EXPECT_EQ(scope_.unsettled(), 3);
}

}  // namespace
}  // namespace levada::test
