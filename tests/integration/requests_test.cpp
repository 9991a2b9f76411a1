#include <support/bus_fixture.hpp>

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr milliseconds no_limit = milliseconds::max();

/// A direct exchange "calls", and a queue "desk" for what is sent to "desk".
class Requests : public bus_fixture {
 protected:
  Requests() {
    ok(the_bus().declare_exchange("calls", {.type = exchange_type::direct}));
    add_desk("desk");
  }
  void add_desk(const std::string& name) {
    ok(the_bus().declare_queue(name));
    ok(the_bus().bind("calls", name, "desk"));
  }
  /// Takes the next request.
  static delivery next(queue_consumer& desk) { return *ok(desk.receive(no_limit)); }
  static std::string value(const delivery& d) { return std::string{d.record().value()}; }
  /// Takes one request and answers with its value and "!".
  void answer_one(queue_consumer& desk) {
    const delivery d = next(desk);
    EXPECT_EQ(ok(the_bus().reply(d.record(), record{value(d) + "!"})).routed, 1U);
    ok(desk.ack(d));
  }
};

TEST_F(Requests, GetTheirReplies) {
  auto asks = ok(the_bus().make_requester());
  auto desk = ok(the_bus().consume("desk"));
  std::thread answers{[&] {
    answer_one(desk);
    answer_one(desk);
  }};
  const auto one = ok(asks.request("calls", "desk", record{"one"}, no_limit));
  EXPECT_EQ(value(one), "one!");
  EXPECT_EQ(one.record().routing_key(), asks.queue());
  EXPECT_EQ(value(ok(asks.request("calls", "desk", record{"two"}, no_limit))), "two!");
  answers.join();
  EXPECT_EQ(asks.late_replies(), 0U);
}

TEST_F(Requests, GetEachTheirOwnReplyInWhateverOrderTheyCome) {
  auto asks = ok(the_bus().make_requester());
  auto other = ok(the_bus().make_requester());
  auto first = asks.async_request("calls", "desk", record{"first"}, no_limit, use_future);
  auto second = asks.async_request("calls", "desk", record{"second"}, no_limit, use_future);
  auto third = other.async_request("calls", "desk", record{"third"}, no_limit, use_future);
  auto desk = ok(the_bus().consume("desk"));
  std::vector<delivery> all{next(desk), next(desk), next(desk)};
  for (std::size_t i = all.size(); i-- > 0;)
    ok(the_bus().reply(all[i].record(), record{value(all[i]) + "!"}));
  EXPECT_EQ(value(ok(first.get())), "first!");
  EXPECT_EQ(value(ok(second.get())), "second!");
  EXPECT_EQ(value(ok(third.get())), "third!");
}

TEST_F(Requests, FailWhenNoReplyComesInTime) {
  auto asks = ok(the_bus().make_requester());
  auto waiting = asks.async_request("calls", "desk", record{"one"}, milliseconds{500}, use_future);
  auto desk = ok(the_bus().consume("desk"));
  const delivery d = next(desk);
  the_clock().advance(milliseconds{500});
  const auto failed = waiting.get();
  ASSERT_THAT(failed, fails_with(errc::timed_out));
  EXPECT_THAT(failed.error().message(), HasSubstr("'calls'"));
  ok(the_bus().reply(d.record(), record{"too late"}));
  auto again = asks.async_request("calls", "desk", record{"two"}, no_limit, use_future);
  ok(desk.ack(d));
  answer_one(desk);
  EXPECT_EQ(value(ok(again.get())), "two!") << "not the reply to the first one";
  EXPECT_EQ(asks.late_replies(), 1U);
}

TEST_F(Requests, FailAtOnceWhereNoQueueTakesThem) {
  auto asks = ok(the_bus().make_requester());
  EXPECT_THAT(asks.request("calls", "nobody", record{"one"}, no_limit), fails_with(errc::unroutable));
  EXPECT_THAT(asks.request("nowhere", "desk", record{"one"}, no_limit), fails_with(errc::unknown_exchange));
  EXPECT_THAT(asks.request("calls", std::string(256, 'k'), record{"one"}, no_limit),
              fails_with(errc::field_too_long));
}

TEST_F(Requests, GatherTheRepliesOfMany) {
  add_desk("second desk");
  add_desk("third desk");
  auto asks = ok(the_bus().make_requester());
  const auto three = [](std::span<const delivery> replies) { return replies.size() == 3; };
  auto gathering = asks.async_gather("calls", "desk", record{"offer"}, three, no_limit, use_future);
  for (const char* name : {"desk", "second desk", "third desk"}) {
    auto desk = ok(the_bus().consume(name));
    const delivery d = next(desk);
    ok(the_bus().reply(d.record(), record{name}));
    ok(desk.ack(d));
  }
  const auto all = ok(gathering.get());
  EXPECT_TRUE(all.complete);
  std::vector<std::string> values;
  for (const auto& r : all.replies) values.push_back(value(r));
  EXPECT_THAT(values, ElementsAre("desk", "second desk", "third desk"));
}

TEST_F(Requests, GatherWhatHasComeWhenTheTimeIsOver) {
  add_desk("second desk");
  auto asks = ok(the_bus().make_requester());
  std::promise<void> one_came;
  const auto both = [&](std::span<const delivery> replies) {
    if (replies.size() == 1) one_came.set_value();
    return replies.size() == 2;
  };
  auto gathering = asks.async_gather("calls", "desk", record{"offer"}, both, milliseconds{500}, use_future);
  auto desk = ok(the_bus().consume("desk"));
  ok(the_bus().reply(next(desk).record(), record{"mine"}));
  one_came.get_future().get();
  the_clock().advance(milliseconds{500});
  const auto some = ok(gathering.get());
  EXPECT_FALSE(some.complete);
  ASSERT_EQ(some.replies.size(), 1U);
  EXPECT_EQ(value(some.replies.front()), "mine");
  EXPECT_THAT(asks.gather("calls", "desk", record{"offer"}, nullptr, no_limit),
              fails_with(errc::invalid_argument));
}

TEST_F(Requests, FailWhenTheRequesterIsClosed) {
  std::optional<requester> asks = ok(the_bus().make_requester());
  const std::string queue = asks->queue();
  auto waiting = asks->async_request("calls", "desk", record{"one"}, no_limit, use_future);
  auto desk = ok(the_bus().consume("desk"));
  const delivery d = next(desk);
  asks->close();
  EXPECT_THAT(waiting.get(), fails_with(errc::closed));
  EXPECT_THAT(asks->request("calls", "desk", record{"two"}, no_limit), fails_with(errc::closed));
  asks.reset();
  EXPECT_EQ(ok(the_bus().reply(d.record(), record{"to nobody"})).routed, 0U);
  for (const auto& q : ok(the_bus().queues())) EXPECT_NE(q.name, queue);
}

TEST_F(Requests, FailWhenTheBusIsClosed) {
  auto asks = ok(the_bus().make_requester());
  auto waiting = asks.async_request("calls", "desk", record{"one"}, no_limit, use_future);
  auto desk = ok(the_bus().consume("desk"));
  next(desk);
  ok(the_bus().close());
  EXPECT_THAT(waiting.get(), fails_with(errc::closed));
  EXPECT_THAT(asks.request("calls", "desk", record{"two"}, no_limit), fails_with(errc::closed));
}

TEST_F(Requests, AreAnsweredOnlyWhereTheyAskForIt) {
  ok(the_bus().publish("calls", "desk", record{"no request"}));
  auto desk = ok(the_bus().consume("desk"));
  const delivery d = next(desk);
  EXPECT_THAT(the_bus().reply(d.record(), record{"?"}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().async_reply(d.record(), record{"?"}, use_future).get(),
              fails_with(errc::invalid_argument));
}

TEST_F(Requests, AreAnsweredWithoutWaitingToo) {
  auto asks = ok(the_bus().make_requester());
  auto waiting = asks.async_request("calls", "desk", record{"one"}, no_limit, use_future);
  auto desk = ok(the_bus().consume("desk"));
  EXPECT_EQ(ok(the_bus().async_reply(next(desk).record(), record{"done"}, use_future).get()).routed, 1U);
  EXPECT_EQ(value(ok(waiting.get())), "done");
}

/// More than are settled in one commit.
TEST_F(Requests, MayBeMany) {
  auto asks = ok(the_bus().make_requester());
  std::vector<std::future<result<delivery>>> waiting;
  for (int i = 0; i < 600; ++i)
    waiting.push_back(asks.async_request("calls", "desk", record{std::to_string(i)}, no_limit, use_future));
  auto desk = ok(the_bus().consume("desk", {.prefetch = 0}));
  for (int i = 0; i < 600; ++i) {
    const delivery d = next(desk);
    static_cast<void>(the_bus().async_reply(d.record(), record{value(d) + "!"}, use_future));
  }
  for (int i = 0; i < 600; ++i)
    EXPECT_EQ(value(ok(waiting[static_cast<std::size_t>(i)].get())), std::to_string(i) + "!");
}

}  // namespace
}  // namespace levada::test
