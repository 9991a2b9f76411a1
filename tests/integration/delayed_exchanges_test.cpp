#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "delayed_fixture.hpp"

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

/// "q" is also bound to an exchange "d", which heeds the header.
class DelayedExchanges : public delayed_fixture {
 protected:
  DelayedExchanges() {
    exchange("d", {.delayed = true});
    ok(the_bus().bind("d", "q", ""));
  }
  static record asking_for(header_value delay, const std::string& value = "v") {
    return record{value}.header("other", std::int64_t{1}).header("x-delay", std::move(delay));
  }
  /// How long a message waits; nothing: not at all.
  std::optional<milliseconds> wait_of(const record& r, const publish_options& options = {},
                                      const std::string& to = "d") {
    const auto receipt = ok(the_bus().publish(to, "", r, options));
    if (!receipt.due) {
      EXPECT_EQ(receipt.routed, 1U);
      return std::nullopt;
    }
    EXPECT_EQ(receipt.routed, 0U);
    return std::chrono::duration_cast<milliseconds>(*receipt.due - receipt.time);
  }
};

TEST_F(DelayedExchanges, HaveMessagesWaitAsLongAsTheirHeaderSays) {
  EXPECT_EQ(wait_of(asking_for(std::int64_t{1'500})), milliseconds{1'500});
  EXPECT_THAT(log_of("d"), ElementsAre("v"));
  EXPECT_THAT(ready("q"), IsEmpty());
  the_clock().advance(milliseconds{1'500});
  auto consumer = ok(the_bus().consume("q"));
  const auto d = ok(consumer.receive(in_a_while));
  ASSERT_TRUE(d.has_value());
  EXPECT_EQ(std::get<std::int64_t>(*d->record().header("x-delay")), 1'500) << "it came as it was";
  EXPECT_EQ(wait_of(asking_for(std::int64_t{1})), milliseconds{1});
  EXPECT_EQ(wait_of(asking_for(std::int64_t{queue_time_max.count()})), queue_time_max);
}

TEST_F(DelayedExchanges, RouteAtOnceWhatHasNoPositiveIntegerThere) {
  EXPECT_EQ(wait_of(record{"v"}), std::nullopt);
  for (const header_value& other :
       std::vector<header_value>{std::int64_t{0}, std::int64_t{-5}, std::string{"5000"}, 5000.0, true,
                                 std::monostate{}, timestamp{seconds{5'000}}, binary{std::byte{5}}}) {
    EXPECT_EQ(wait_of(asking_for(other)), std::nullopt) << other.index();
  }
  EXPECT_EQ(counts().delayed, 0U);
}

TEST_F(DelayedExchanges, LetTheOptionGoBeforeTheHeader) {
  EXPECT_EQ(wait_of(asking_for(std::int64_t{5'000}), {.delay = seconds{1}}), seconds{1});
  EXPECT_EQ(wait_of(record{"v"}, {.delay = seconds{1}}), seconds{1});
}

TEST_F(DelayedExchanges, RefuseAHeaderThatAsksForTooMuch) {
  const auto too_much = asking_for(std::int64_t{queue_time_max.count() + 1});
  EXPECT_THAT(the_bus().publish("d", "", too_much), fails_telling(errc::invalid_argument, "x-delay"));
  EXPECT_THAT(the_bus().publish("d", "", asking_for(INT64_MAX)), fails_with(errc::invalid_argument));
  const std::vector<message> some{{"d", "", asking_for(std::int64_t{1})}, {"d", "", too_much}};
  EXPECT_THAT(the_bus().publish(some), fails_telling(errc::invalid_argument, "number 1"));
  EXPECT_THAT(log_of("d"), IsEmpty());
  EXPECT_EQ(counts().delayed, 0U) << "all or none";
  expect_sound();
}

TEST_F(DelayedExchanges, RefuseMandatoryMessagesThatWouldWait) {
  EXPECT_THAT(the_bus().publish("d", "", asking_for(std::int64_t{1}), {.mandatory = true}),
              fails_telling(errc::invalid_argument, "mandatory"));
  EXPECT_EQ(wait_of(asking_for(std::int64_t{0}), {.mandatory = true}), std::nullopt);
}

TEST_F(DelayedExchanges, AloneHeedTheHeader) {
  EXPECT_EQ(wait_of(asking_for(std::int64_t{5'000}), {}, "e"), std::nullopt);
  EXPECT_EQ(wait_of(asking_for(INT64_MAX), {}, "e"), std::nullopt);
}

TEST_F(DelayedExchanges, SayThatTheyAreAndStaySo) {
  for (int again = 0; again < 2; ++again) {
    EXPECT_TRUE(ok(the_bus().exchange("d")).options.delayed);
    EXPECT_FALSE(ok(the_bus().exchange("e")).options.delayed);
    for (const auto& x : ok(the_bus().exchanges())) EXPECT_EQ(x.options.delayed, x.name == "d") << x.name;
    exchange("d", {.delayed = true});
    EXPECT_THAT(the_bus().declare_exchange("d", {.type = exchange_type::fanout}),
                fails_telling(errc::inequivalent, "delayed"));
    EXPECT_THAT(the_bus().declare_exchange("e", {.type = exchange_type::fanout, .delayed = true}),
                fails_telling(errc::inequivalent, "delayed"));
    reopen();
  }
  EXPECT_EQ(wait_of(asking_for(std::int64_t{5})), milliseconds{5});
}

TEST_F(DelayedExchanges, CanBeOfAnyType) {
  using types = exchange_type;
  queue("other");
  for (const auto type : {types::direct, types::topic, types::headers, types::consistent_hash}) {
    const std::string name = "type " + std::to_string(static_cast<int>(type));
    ok(the_bus().declare_exchange(name, {.type = type, .delayed = true}));
    const std::string key = type == types::consistent_hash ? "1" : "k";
    ok(the_bus().bind(name, "other", key));
    EXPECT_TRUE(ok(the_bus().publish(name, "k", asking_for(std::int64_t{5}, name))).due.has_value());
    the_clock().advance(milliseconds{5});
    EXPECT_THAT(take("other", 1), ElementsAre(name));
  }
}

TEST_F(DelayedExchanges, HaveTheirOwnWaitForEachMessageInATransaction) {
  const auto done = ok(the_bus().transact([&](transaction& t) -> result<void> {
    ok(t.publish("d", "", asking_for(std::int64_t{20}, "2")));
    ok(t.publish("d", "", record{"0"}));
    return t.publish("d", "", asking_for(std::int64_t{10}, "1"));
  }));
  EXPECT_EQ(done.published.at(0).due, done.published[0].time + milliseconds{20});
  EXPECT_FALSE(done.published.at(1).due.has_value());
  EXPECT_EQ(done.published[1].routed, 1U);
  the_clock().advance(milliseconds{20});
  EXPECT_THAT(take("q", 3), ElementsAre("0", "1", "2"));
}

// Dead letters

TEST_F(DelayedExchanges, HaveDeadLettersWaitToo) {
  queue("work", {.dead_letter_exchange = "d"});
  ok(the_bus().publish("", "work", asking_for(std::int64_t{5'000})));
  auto worker = ok(the_bus().consume("work"));
  ok(worker.nack(*ok(worker.receive(at_once)), requeue::no));
  EXPECT_EQ(ok(the_bus().queue("work")).messages, 0U);
  EXPECT_THAT(ready("q"), IsEmpty());
  ASSERT_EQ(waiting().size(), 1U);
  EXPECT_EQ(waiting()[0].exchange, "d");
  worker.close();
  expect_sound();
  the_clock().advance(milliseconds{4'998});
  route_what_is_due();
  EXPECT_THAT(ready("q"), IsEmpty());
  the_clock().advance(milliseconds{1});
  auto consumer = ok(the_bus().consume("q"));
  const auto d = ok(consumer.receive(in_a_while));
  ASSERT_TRUE(d.has_value());
  const auto deaths = deaths_of(d->record());
  ASSERT_EQ(deaths.size(), 1U);
  EXPECT_EQ(deaths[0].queue, "work");
  EXPECT_EQ(deaths[0].reason, dead_letter_reason::rejected);
}

TEST_F(DelayedExchanges, RouteDeadLettersWithoutAHeaderAtOnce) {
  queue("work", {.dead_letter_exchange = "d"});
  ok(the_bus().publish("", "work", record{"v"}));
  auto worker = ok(the_bus().consume("work"));
  ok(worker.nack(*ok(worker.receive(at_once)), requeue::no));
  EXPECT_THAT(ready("q"), ElementsAre("v"));
}

TEST_F(DelayedExchanges, ServeForTryingAgainLater) {
  exchange("retries", {.delayed = true});
  queue("work", {.dead_letter_exchange = "retries"});
  ok(the_bus().bind("retries", "work", ""));
  ok(the_bus().publish("", "work", asking_for(std::int64_t{1'000})));
  for (std::uint64_t n = 0; n < 3; ++n) {
    auto worker = ok(the_bus().consume("work"));
    const auto d = ok(worker.receive(in_a_while));
    ASSERT_TRUE(d.has_value());
    const auto deaths = deaths_of(d->record());
    EXPECT_EQ(deaths.empty() ? 0U : deaths[0].count, n);
    ok(worker.nack(*d, requeue::no));
    EXPECT_FALSE(ok(worker.receive(at_once)).has_value());
    the_clock().advance(seconds{1});
  }
}

}  // namespace
}  // namespace levada::test
