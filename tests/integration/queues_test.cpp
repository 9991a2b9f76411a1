#include <support/bus_fixture.hpp>

#include <array>
#include <set>

namespace levada::test {
namespace {

class Queues : public bus_fixture {
 protected:
  Queues() {
    ok(the_bus().declare_exchange("events"));
    ok(the_bus().declare_queue("work"));
    ok(the_bus().bind("events", "work", "job.#"));
  }
  void publish(int from, int to) {
    for (int i = from; i < to; ++i) ok(the_bus().publish("events", "job.x", record{std::to_string(i)}));
  }
  static std::vector<std::string> numbers(int from, int to) {
    std::vector<std::string> all;
    for (int i = from; i < to; ++i) all.push_back(std::to_string(i));
    return all;
  }
  /// What the next `count` receives deliver.
  static std::vector<delivery> receive(queue_consumer& from, std::size_t count) {
    std::vector<delivery> got;
    got.reserve(count);
    while (got.size() < count) got.push_back(*ok(from.receive(at_once)));
    return got;
  }
  queue_info work() {
    for (const auto& q : ok(the_bus().queues())) {
      if (q.name == "work") return q;
    }
    return {};
  }
};

TEST_F(Queues, DeliverInOrderAndForgetWhatIsAcked) {
  publish(0, 5);
  auto taker = ok(the_bus().consume("work"));
  for (int i = 0; i < 5; ++i) {
    const auto d = ok(taker.receive(at_once));
    ASSERT_TRUE(d);
    EXPECT_EQ(d->record().value(), std::to_string(i));
    EXPECT_EQ(d->record().topic(), "events");
    EXPECT_EQ(d->record().routing_key(), "job.x");
    EXPECT_FALSE(d->redelivered());
    EXPECT_EQ(d->tag(), delivery_tag{static_cast<std::uint64_t>(i) + 1});
    ok(taker.ack(*d));
  }
  EXPECT_FALSE(ok(taker.receive(at_once)));
  EXPECT_EQ(work().messages, 0U);
  taker.close();
  reopen();
  auto again = ok(the_bus().consume("work"));
  EXPECT_FALSE(ok(again.receive(at_once)));
}

TEST_F(Queues, BringUnackedMessagesBackAfterReopenFlaggedAsRedelivered) {
  publish(0, 6);
  {
    auto taker = ok(the_bus().consume("work", {.prefetch = 4}));
    const auto got = receive(taker, 4);
    ok(taker.ack(got[0]));
    ok(taker.ack(got[2]));
  }
  reopen();
  auto taker = ok(the_bus().consume("work"));
  std::vector<std::pair<std::string, bool>> seen;
  while (auto d = ok(taker.receive(at_once))) seen.emplace_back(d->record().value(), d->redelivered());
  EXPECT_EQ(seen,
            (std::vector<std::pair<std::string, bool>>{{"1", true}, {"3", true}, {"4", false}, {"5", false}}))
      << "0 and 2 are acked, 4 and 5 were never delivered";
  taker.close();
  reopen();
  auto third = ok(the_bus().consume("work"));
  std::size_t redelivered = 0;
  while (auto d = ok(third.receive(at_once))) redelivered += d->redelivered() ? 1 : 0;
  EXPECT_EQ(redelivered, 4U) << "the flag stays";
}

TEST_F(Queues, ReturnUnsettledMessagesWhenTheirConsumerCloses) {
  publish(0, 3);
  auto taker = ok(the_bus().consume("work"));
  receive_all(taker);
  auto next = ok(the_bus().consume("work"));
  EXPECT_FALSE(ok(next.receive(at_once)));
  taker.close();
  const auto d = ok(next.receive(at_once));
  ASSERT_TRUE(d);
  EXPECT_EQ(d->record().value(), "0");
  EXPECT_TRUE(d->redelivered());
  EXPECT_THAT(taker.receive(at_once), fails_with(errc::closed));
  EXPECT_THAT(taker.ack(delivery_tag{1}), fails_with(errc::closed));
}

TEST_F(Queues, KeepWhatWasOnlyFetchedAheadUnflagged) {
  publish(0, 10);
  auto taker = ok(the_bus().consume("work"));
  ASSERT_TRUE(ok(taker.receive(at_once)));
  taker.close();
  auto next = ok(the_bus().consume("work"));
  EXPECT_TRUE(ok(next.receive(at_once))->redelivered());
  EXPECT_FALSE(ok(next.receive(at_once))->redelivered());
}

TEST_F(Queues, RequeueToTheOriginalPosition) {
  publish(0, 4);
  auto taker = ok(the_bus().consume("work", {.prefetch = 3}));
  const auto got = receive(taker, 3);
  ok(taker.nack(got[1]));
  ok(taker.nack(got[0]));
  std::vector<std::pair<std::string, bool>> seen;
  for (int i = 0; i < 2; ++i) {
    const auto d = ok(taker.receive(at_once));
    seen.emplace_back(d->record().value(), d->redelivered());
  }
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, bool>>{{"0", true}, {"1", true}}));
  EXPECT_FALSE(ok(taker.receive(at_once))) << "the prefetch limit is reached";
  ok(taker.ack(got[2]));
  EXPECT_EQ(ok(taker.receive(at_once))->record().value(), "3");
}

TEST_F(Queues, DiscardWhatIsNackedWithoutRequeue) {
  publish(0, 2);
  auto taker = ok(the_bus().consume("work"));
  ok(taker.nack(*ok(taker.receive(at_once)), requeue::no));
  taker.close();
  reopen();
  auto next = ok(the_bus().consume("work"));
  EXPECT_EQ(receive_all(next), numbers(1, 2));
}

TEST_F(Queues, DeliverNoMoreThanThePrefetchCount) {
  publish(0, 5);
  auto taker = ok(the_bus().consume("work", {.prefetch = 2}));
  const auto first = *ok(taker.receive(at_once));
  const auto second = *ok(taker.receive(at_once));
  EXPECT_FALSE(ok(taker.receive(at_once)));
  EXPECT_EQ(work().unacked, 2U);
  ok(taker.ack(second));
  EXPECT_EQ(ok(taker.receive(at_once))->record().value(), "2");
  EXPECT_FALSE(ok(taker.receive(at_once)));
  ok(taker.ack(first));
  EXPECT_TRUE(ok(taker.receive(at_once)));
}

TEST_F(Queues, AckSeveralAtOnce) {
  publish(0, 10);
  auto taker = ok(the_bus().consume("work", {.prefetch = 0}));
  const auto got = receive(taker, 10);
  ok(taker.ack(std::array{got[8].tag(), got[9].tag()}));
  EXPECT_THAT(taker.ack(std::array{got[0].tag(), got[9].tag()}), fails_with(errc::unknown_delivery))
      << "all or none";
  ok(taker.ack_up_to(got[5].tag()));
  EXPECT_THAT(taker.ack(got[0]), fails_with(errc::unknown_delivery));
  EXPECT_THAT(taker.ack_up_to(got[5].tag()), fails_with(errc::unknown_delivery));
  EXPECT_THAT(taker.ack(delivery_tag{99}), fails_with(errc::unknown_delivery));
  EXPECT_EQ(work().messages, 2U);
  taker.close();
  auto next = ok(the_bus().consume("work"));
  EXPECT_EQ(receive_all(next), numbers(6, 8));
}

TEST_F(Queues, LetConsumersCompete) {
  publish(0, 100);
  auto a = ok(the_bus().consume("work", {.prefetch = 1}));
  auto b = ok(the_bus().consume("work", {.prefetch = 1}));
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    for (auto* const c : {&a, &b}) {
      const auto d = ok(c->receive(at_once));
      ASSERT_TRUE(d);
      EXPECT_TRUE(seen.emplace(d->record().value()).second);
      ok(c->ack(*d));
    }
  }
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_EQ(work().consumers, 2U);
}

TEST_F(Queues, HoldMoreThanManyBlocksAcrossReopenWithHolesAcked) {
  constexpr int count = 1000;
  publish(0, count);
  std::vector<std::string> left;
  {
    auto taker = ok(the_bus().consume("work", {.prefetch = 0}));
    std::vector<delivery_tag> done;
    for (int i = 0; i < count; ++i) {
      const auto d = *ok(taker.receive(at_once));
      if (i % 7 != 3 && (i < 300 || i > 700)) {
        done.push_back(d.tag());
      } else {
        left.emplace_back(d.record().value());
      }
    }
    ok(taker.ack(done));
  }
  reopen();
  publish(count, count + 10);
  for (int i = count; i < count + 10; ++i) left.push_back(std::to_string(i));
  EXPECT_EQ(work().messages, left.size());
  auto taker = ok(the_bus().consume("work", {.prefetch = 0}));
  EXPECT_EQ(receive_all(taker), left);
}

TEST_F(Queues, DeliverLargeMessages) {
  const std::string large(3'000'000, 'x');
  ok(the_bus().publish("events", "job.a", record{large}));
  ok(the_bus().publish("events", "job.b", record{"small"}));
  auto taker = ok(the_bus().consume("work"));
  const auto first = *ok(taker.receive(at_once));
  EXPECT_TRUE(first.record().value() == large);
  EXPECT_EQ(ok(taker.receive(at_once))->record().value(), "small");
}

TEST_F(Queues, KeepADeliveryUsableBeyondConsumerAndBus) {
  publish(0, 1);
  auto taker = ok(the_bus().consume("work"));
  const auto d = *ok(taker.receive(at_once));
  taker.close();
  close();
  EXPECT_EQ(d.record().value(), "0");
}

TEST_F(Queues, GoWithTheirEntriesWhenDeleted) {
  publish(0, 700);
  auto taker = ok(the_bus().consume("work"));
  const auto d = *ok(taker.receive(at_once));
  ok(the_bus().delete_queue("work"));
  EXPECT_THAT(taker.receive(at_once), fails_with(errc::closed));
  EXPECT_THAT(taker.ack(d), fails_with(errc::closed));
  EXPECT_TRUE(ok(the_bus().bindings()).empty());
  EXPECT_EQ(ok(the_bus().publish("events", "job.x", record{"v"})).routed, 0U);
  ok(the_bus().declare_queue("work"));
  EXPECT_EQ(work().messages, 0U) << "a new queue of that name is empty";
  reopen();
  EXPECT_EQ(work().messages, 0U);
  EXPECT_EQ(read_all(ok(the_bus().replay("events"))).size(), 701U)
      << "the messages stay in the exchange's log";
}

TEST_F(Queues, AnonymousOnesLiveAsLongAsTheirHandle) {
  std::string name;
  {
    auto mine = ok(the_bus().declare_anonymous_queue());
    name = mine.name();
    EXPECT_TRUE(name.starts_with("amq.gen-"));
    ok(the_bus().bind("events", name, "job.*"));
    publish(0, 2);
    EXPECT_THAT(the_bus().consume(name), fails_with(errc::resource_locked));
    EXPECT_THAT(the_bus().delete_queue(name), fails_with(errc::resource_locked));
    auto taker = ok(mine.consume());
    EXPECT_EQ(receive_all(taker), numbers(0, 2));
    EXPECT_EQ(ok(the_bus().queues()).size(), 2U);
  }
  EXPECT_EQ(ok(the_bus().queues()).size(), 1U);
  EXPECT_EQ(ok(the_bus().bindings()).size(), 1U);
  EXPECT_THAT(the_bus().bind("events", name, "x"), fails_with(errc::unknown_queue));
  EXPECT_NE(ok(the_bus().declare_anonymous_queue()).name(), name) << "made-up names are not used twice";
}

TEST_F(Queues, AnonymousOnesGoWhenTheBusCloses) {
  auto mine = ok(the_bus().declare_anonymous_queue());
  ok(the_bus().bind("events", mine.name(), "#"));
  publish(0, 500);
  auto taker = ok(mine.consume());
  reopen();
  EXPECT_EQ(ok(the_bus().queues()).size(), 1U);
  EXPECT_EQ(ok(the_bus().bindings()).size(), 1U);
  EXPECT_THAT(taker.receive(at_once), fails_with(errc::closed));
  EXPECT_THAT(mine.close(), succeeds());
}

}  // namespace
}  // namespace levada::test
