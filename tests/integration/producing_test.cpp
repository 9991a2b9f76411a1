// Producers: when what they collect is committed, what becomes of it, and what they refuse.

#include <fmt/format.h>

#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using boost::asio::use_future;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Producing : public bus_fixture {
 protected:
  topic orders_ = ok(the_bus().declare_topic("orders", {.partitions = 2}));

  [[nodiscard]] producer make(const producer_options& o = {}) {
    return ok(the_bus().make_producer("orders", o));
  }
  [[nodiscard]] std::vector<std::string> values() {
    return read_all(ok(the_bus().replay("orders", {.until = until_latest{}})));
  }
};

TEST_F(Producing, CommitsWhatIsCollectedWhenTheFirstRecordHasWaitedLongEnough) {
  auto p = make({.linger = milliseconds{5}});
  ok(p.send(record{"a", "1"}));
  the_clock().advance(milliseconds{4});
  auto second = p.async_send(record{"a", "2"}, use_future);
  EXPECT_THAT(values(), IsEmpty()) << "it waits for company";
  the_clock().advance(milliseconds{1});
  const auto receipt = ok(second.get());
  EXPECT_EQ(receipt.topic, "orders");
  EXPECT_EQ(receipt.partition, partition_for_key("a", 2));
  EXPECT_EQ(receipt.offset, offset{1});
  EXPECT_EQ(receipt.time, the_clock().wall());
  EXPECT_EQ(receipt.routed, 0U);
  EXPECT_THAT(values(), ElementsAre("1", "2"));
}

TEST_F(Producing, LetsEachBatchWaitItsOwnTime) {
  auto p = make({.linger = milliseconds{5}});
  ok(p.send(record{"a", "1"}));
  the_clock().advance(milliseconds{3});
  ok(p.flush());
  auto second = p.async_send(record{"a", "2"}, use_future);
  the_clock().advance(milliseconds{3});  // the bell of the first batch rings for nothing
  ok(orders_.publish(record{"b", "between"}));
  EXPECT_THAT(values(), ElementsAre("1", "between"));
  the_clock().advance(milliseconds{2});
  ok(second.get());
  EXPECT_THAT(values(), ElementsAre("1", "between", "2"));
}

TEST_F(Producing, CommitsAtOnceWhatFillsABatch) {
  auto p = make({.batch_bytes = 1'000});
  const std::string text(280, 'x');  // 296 bytes encoded
  std::vector<std::future<result<publish_receipt>>> sent;
  for (int i = 0; i < 4; ++i) sent.push_back(p.async_send(record{text}, use_future));
  for (int i = 0; i < 3; ++i) ok(sent[static_cast<std::size_t>(i)].get());
  EXPECT_THAT(values(), SizeIs(3)) << "the fourth would have made it too large, and waits";
  auto large = p.async_send(record{std::string(5'000, 'x')}, use_future);
  ok(sent[3].get());
  EXPECT_EQ(ok(large.get()).offset, offset{3}) << "larger than a batch, it goes alone";
}

TEST_F(Producing, WithoutLingerWaitsForNothing) {
  auto p = make({.linger = microseconds{0}});
  ok(p.async_send(record{"a", "1"}, use_future).get());
  EXPECT_THAT(values(), ElementsAre("1"));
}

TEST_F(Producing, ReturnsFromFlushWhenEverythingIsStored) {
  auto p = make();
  EXPECT_THAT(p.flush(), succeeds()) << "of nothing";
  for (int i = 0; i < 100; ++i) ok(p.send(record{"a", fmt::format("{}", i)}));
  EXPECT_THAT(values(), IsEmpty());
  ok(p.flush());
  EXPECT_THAT(values(), SizeIs(100));
  for (int i = 0; i < 10; ++i) ok(p.try_send(record{"a", "x"}));
  ok(p.async_flush(use_future).get());
  EXPECT_THAT(values(), SizeIs(110));
  ok(p.async_flush(use_future).get());
}

TEST_F(Producing, PublishesBehindWhatWasSentBefore) {
  auto p = make();
  ok(p.send(record{"a", "1"}));
  const auto receipt = ok(p.publish(record{"a", "2"}));
  EXPECT_EQ(receipt.offset, offset{1});
  EXPECT_EQ(receipt.partition, partition_for_key("a", 2));
  auto batch = orders_.make_batch();
  ok(p.send(record{"a", "3"}));
  ok(batch.add("a", "4"));
  ok(batch.add("a", "5"));
  const auto all = ok(p.publish(batch));
  EXPECT_TRUE(batch.empty());
  ASSERT_THAT(all.ranges, SizeIs(1));
  EXPECT_EQ(all.ranges[0].base_offset, offset{3});
  EXPECT_EQ(all.ranges[0].count, 2U);
  ok(p.send(record{"a", "6"}));
  ok(batch.add("a", "7"));
  EXPECT_EQ(ok(p.async_publish(std::move(batch), use_future).get()).ranges[0].base_offset, offset{6});
  EXPECT_THAT(values(), ElementsAre("1", "2", "3", "4", "5", "6", "7"));
  auto nothing = orders_.make_batch();
  EXPECT_THAT(ok(p.publish(nothing)).ranges, IsEmpty());
}

TEST_F(Producing, KeepsTheOrderOfEachKey) {
  ok(the_bus().declare_topic("wide", {.partitions = 8}));
  {
    auto p = ok(the_bus().make_producer("wide", {.batch_bytes = 500, .buffer_bytes_max = 2'000}));
    for (int i = 0; i < 2'000; ++i) ok(p.send(record{fmt::format("{}", i % 37), fmt::format("{}", i)}));
    ok(p.close());
  }
  std::map<std::string, int, std::less<>> last;
  std::size_t read = 0;
  auto pass = ok(the_bus().replay("wide", {.until = until_latest{}}));
  while (!pass.ended()) {
    for (const auto& r : ok(pass.next())) {
      const int number = std::stoi(std::string{r.value()});
      EXPECT_EQ(r.partition(), partition_for_key(r.key(), 8));
      const auto [at, first] = last.try_emplace(std::string{r.key()}, number);
      EXPECT_EQ(number, first ? number % 37 : at->second + 37);
      at->second = number;
      ++read;
    }
  }
  EXPECT_EQ(read, 2'000U);
}

TEST_F(Producing, IsCommittedAfterItsProducerHasBeenDestroyed) {
  {
    auto p = make();
    ok(p.send(record{"a", "1"}));
    auto other = make();
    ok(other.send(record{"a", "2"}));
    p = std::move(other);  // hands over what it had
  }
  ok(orders_.publish(record{"a", "3"}));
  EXPECT_THAT(values(), ElementsAre("1", "2", "3"));
}

// What it had collected was dropped without an answer.
TEST_F(Producing, IsCommittedAfterATransactionThatDestroysItsProducer) {
  for (const bool commits : {true, false}) {
    std::optional<producer> p{make({.linger = std::chrono::hours{1}})};
    auto asked = p->async_send(record{"a", "1"}, use_future);
    ok(p->send(record{"a", "2"}));
    const auto done = the_bus().transact([&](transaction& t) -> result<void> {
      p.reset();
      ok(t.publish(orders_, record{"a", "0"}));
      return commits ? result<void>{} : error{errc::invalid_argument, "the host says no"};
    });
    EXPECT_EQ(done.has_value(), commits);
    EXPECT_THAT(asked.get(), succeeds());
  }
  EXPECT_THAT(values(), ElementsAre("0", "1", "2", "1", "2"));
}

// A flush waited for the very commit that it was called in, and what was collected was refused.
TEST_F(Producing, KeepsWhatItHasWhereATransactionCallsIt) {
  auto p = make({.linger = std::chrono::hours{1}});
  ok(p.send(record{"a", "1"}));
  auto under_way = make({.linger = microseconds{0}});
  ok(the_bus().transact([&](transaction&) -> result<void> {
    std::thread{[&] { ok(under_way.send(record{"a", "0"})); }}.join();
    for (auto* const each : {&p, &under_way}) {
      auto batch = orders_.make_batch();
      ok(batch.add(partition_id{0}, record{"x"}));
      EXPECT_THAT(each->send(record{"x"}), fails_with(errc::would_deadlock));
      EXPECT_THAT(each->publish(record{"x"}), fails_with(errc::would_deadlock));
      EXPECT_THAT(each->publish(batch), fails_with(errc::would_deadlock));
      EXPECT_THAT(each->flush(), fails_with(errc::would_deadlock));
      EXPECT_THAT(each->close(), fails_with(errc::would_deadlock));
      EXPECT_THAT(each->async_send(record{"x"}, use_future).get(), fails_with(errc::would_deadlock));
      EXPECT_THAT(each->async_publish(std::move(batch), use_future).get(), fails_with(errc::would_deadlock));
      EXPECT_THAT(each->async_flush(use_future).get(), fails_with(errc::would_deadlock));
    }
    return {};
  }));
  EXPECT_THAT(under_way.flush(), succeeds());
  EXPECT_THAT(p.flush(), succeeds());
  EXPECT_THAT(values(), ElementsAre("0", "1"));
}

TEST_F(Producing, TakesNothingOnceItIsClosed) {
  auto p = make();
  ok(p.send(record{"a", "1"}));
  EXPECT_THAT(p.close(), succeeds());
  EXPECT_THAT(values(), ElementsAre("1"));
  EXPECT_THAT(p.send(record{"x"}), fails_with(errc::closed));
  EXPECT_THAT(p.publish(record{"x"}), fails_with(errc::closed));
  EXPECT_THAT(p.async_send(record{"x"}, use_future).get(), fails_with(errc::closed));
  EXPECT_THAT(p.flush(), fails_with(errc::closed));
  EXPECT_THAT(p.close(), succeeds());
}

TEST_F(Producing, IsCommittedByClosingTheBus) {
  auto p = make();
  ok(p.send(record{"a", "1"}));
  auto second = p.async_send(record{"a", "2"}, use_future);
  ok(the_bus().close());
  EXPECT_EQ(ok(second.get()).offset, offset{1});
  EXPECT_THAT(p.send(record{"x"}), fails_with(errc::closed));
  EXPECT_THAT(p.flush(), fails_with(errc::closed));
  reopen();
  EXPECT_THAT(values(), ElementsAre("1", "2"));
}

TEST_F(Producing, IsAbortedByDestroyingTheBus) {
  auto p = make();
  ok(p.send(record{"a", "1"}));
  auto second = p.async_send(record{"a", "2"}, use_future);
  auto flushed = p.async_flush(use_future);  // has the two submitted: they are committed, or not
  const auto third = p.async_send(record{"a", "3"}, use_future).share();
  close();
  const auto outcome = second.get();
  EXPECT_THAT(third.get(), fails_with(errc::operation_aborted)) << "it was only collected";
  const auto told = flushed.get();
  if (outcome) {
    EXPECT_THAT(told, ::testing::AnyOf(succeeds(), fails_with(errc::closed)));
  } else {
    EXPECT_THAT(outcome, fails_with(errc::operation_aborted));
    EXPECT_THAT(told, fails_with(errc::operation_aborted));
  }
  EXPECT_THAT(p.send(record{"x"}), fails_with(errc::closed));
  open();
  EXPECT_THAT(values(), SizeIs(outcome ? 2 : 0));
}

TEST_F(Producing, TellsOfRecordsThatNobodyWaitsFor) {
  std::promise<std::pair<errc, std::uint64_t>> told;
  auto p = make({.on_failure = [&](const error& why, std::uint64_t records) {
    told.set_value({why.code(), records});
  }});
  for (int i = 0; i < 3; ++i) ok(p.send(record{"x"}));
  auto asked = p.async_send(record{"x"}, use_future);
  ok(the_bus().delete_topic("orders"));
  EXPECT_THAT(p.flush(), fails_with(errc::unknown_topic));
  EXPECT_EQ(told.get_future().get(), (std::pair{errc::unknown_topic, std::uint64_t{3}}));
  EXPECT_THAT(asked.get(), fails_with(errc::unknown_topic));
  EXPECT_THAT(p.send(record{"x"}), fails_with(errc::unknown_topic));
  EXPECT_THAT(p.close(), succeeds()) << "a failure is told once";
}

TEST_F(Producing, RefusesToWaitInTheBusesOwnThread) {
  auto p = make({.buffer_bytes_max = 100});
  std::promise<std::vector<result<void>>> answers;
  orders_.async_publish(record{"x"}, [&](const result<publish_receipt>&) {
    std::vector<result<void>> all;
    all.push_back(p.try_send(record{"a", "1"}));
    const auto published = p.publish(record{"x"});
    all.push_back(published ? result<void>{} : published.error());
    auto batch = orders_.make_batch();
    const auto whole = p.publish(batch);
    all.push_back(whole ? result<void>{} : whole.error());
    all.push_back(p.flush());
    all.push_back(p.close());
    answers.set_value(std::move(all));
  });
  const auto all = answers.get_future().get();
  EXPECT_THAT(all[0], succeeds());
  for (std::size_t i = 1; i < all.size(); ++i) {
    ASSERT_THAT(all[i], fails_with(errc::would_deadlock));
    EXPECT_THAT(all[i].error().message(), HasSubstr("publish to topic 'orders'"));
  }
  ok(p.flush());
}

TEST_F(Producing, RunsInterceptorsInOrderBeforeThePartitionIsChosen) {
  auto p = make({.interceptors = {[](record& r) { r.header("trace", std::string{"1"}).key("k"); },
                                  [](record& r) { r.value(*r.value() + "!"); }}});
  const record mine{"value"};
  EXPECT_EQ(ok(p.publish(mine)).partition, partition_for_key("k", 2));
  EXPECT_EQ(mine.value(), "value") << "the caller's record stays as it is";
  auto pass = ok(the_bus().replay("orders"));
  const auto batch = ok(pass.next());
  ASSERT_THAT(batch, SizeIs(1));
  const record_view got = *batch.begin();
  EXPECT_EQ(got.value(), "value!");
  EXPECT_EQ(std::get<std::string_view>(*got.header("trace")), "1");
}

TEST_F(Producing, FailsASendingWhoseInterceptorThrows) {
  bool throws = true;
  auto p = make({.interceptors = {[&](record&) {
                   if (throws) throw std::runtime_error{"no context"};
                 }}});
  const auto refused = p.send(record{"x"});
  ASSERT_THAT(refused, fails_with(errc::invalid_argument));
  EXPECT_THAT(refused.error().message(), HasSubstr("no context"));
  EXPECT_THAT(p.async_send(record{"x"}, use_future).get(), fails_with(errc::invalid_argument));
  throws = false;
  ok(p.publish(record{"y"}));
  EXPECT_THAT(values(), ElementsAre("y"));
}

/// Chooses what it is told to.
class told_partitioner final : public partitioner {
 public:
  partition_id choose(const record& r, std::uint32_t partitions) override {
    EXPECT_EQ(partitions, 2U);
    if (*r.value() == "throw") throw std::runtime_error{"no idea"};
    ++chosen;
    return partition_id{static_cast<std::uint32_t>(std::stoul(*r.value()))};
  }
  void batch_ended() noexcept override { ++ended; }

  int chosen = 0;
  int ended = 0;
};

TEST_F(Producing, AsksAPartitionerOfTheHost) {
  const auto chooses = std::make_shared<told_partitioner>();
  auto p = make({.partitioner = chooses});
  ok(p.send(record{"1"}));
  ok(p.send(record{"0"}));
  EXPECT_EQ(chooses->ended, 0);
  EXPECT_EQ(ok(p.publish(record{"1"})).offset, offset{1});
  EXPECT_EQ(chooses->chosen, 3);
  EXPECT_EQ(chooses->ended, 1);
  const auto beyond = p.send(record{"2"});
  ASSERT_THAT(beyond, fails_with(errc::unknown_partition));
  EXPECT_THAT(beyond.error().message(), HasSubstr("the topic has 2 partitions"));
  const auto thrown = p.publish(record{"throw"});
  ASSERT_THAT(thrown, fails_with(errc::invalid_argument));
  EXPECT_THAT(thrown.error().message(), HasSubstr("no idea"));
  ok(p.flush());
  EXPECT_THAT(values(), SizeIs(3));
}

TEST_F(Producing, SendsRecordsWithoutKeyOfOneCommitToOnePartition) {
  auto p = make();
  for (const std::uint32_t expected : {0U, 1U, 0U}) {
    auto first = p.async_send(record{"x"}, use_future);
    auto second = p.async_send(record{"x"}, use_future);
    ok(p.flush());
    EXPECT_EQ(ok(first.get()).partition, partition_id{expected});
    EXPECT_EQ(ok(second.get()).partition, partition_id{expected});
  }
  auto turns = make({.partitioner = round_robin_partitioner()});
  EXPECT_NE(ok(turns.publish(record{"a", "x"})).partition, ok(turns.publish(record{"a", "x"})).partition);
}

TEST_F(Producing, KeepsTimesOfTheirOwn) {
  ok(the_bus().declare_topic("timed", {.timestamps = timestamp_type::create_time}));
  auto p = ok(the_bus().make_producer("timed"));
  const timestamp then{microseconds{12'345}};
  record r{"x"};
  r.time(then);
  EXPECT_EQ(ok(p.publish(r)).time, then);
  EXPECT_EQ(ok(p.publish(record{"y"})).time, the_clock().wall());
}

TEST_F(Producing, TakesARecordThatIsLargerThanItsBufferWhenNothingElseIsThere) {
  auto p = make({.buffer_bytes_max = 1});
  EXPECT_THAT(p.publish(record{std::string(5'000, 'x')}), succeeds());
  for (int i = 0; i < 20; ++i) ok(p.send(record{"a", fmt::format("{}", i)}));  // waits for each
  ok(p.flush());
  EXPECT_THAT(values(), SizeIs(21));
}

TEST_F(Producing, RefusesWhatCannotBeStored) {
  close();
  auto o = options();
  o.record_bytes_max = 1'000;
  open(o);
  auto p = make();
  EXPECT_THAT(p.send(record{std::string(1'000, 'x')}), fails_with(errc::record_too_large));
  EXPECT_THAT(p.send(record{std::string(key_bytes_max + 1, 'k'), ""}), fails_with(errc::field_too_long));
  EXPECT_THAT(p.send(producer_sequence{1}, record{"x"}), fails_with(errc::invalid_argument));
  ok(the_bus().declare_topic("others"));
  auto other = ok(the_bus().topic("others")).make_batch();
  EXPECT_THAT(p.publish(other), fails_with(errc::invalid_argument));
  EXPECT_THAT(p.async_publish(std::move(other), use_future).get(), fails_with(errc::invalid_argument));
  EXPECT_THAT(p.flush(), succeeds());
}

TEST_F(Producing, RefusesBadOptions) {
  const auto made = [&](const producer_options& o) { return the_bus().make_producer("orders", o); };
  EXPECT_THAT(the_bus().make_producer("missing"), fails_with(errc::unknown_topic));
  ok(the_bus().declare_exchange("events"));
  EXPECT_THAT(the_bus().make_producer("events"), fails_with(errc::unknown_topic));
  EXPECT_THAT(made({.linger = microseconds{-1}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(made({.linger = std::chrono::hours{25}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(made({.batch_bytes = 0}), fails_with(errc::invalid_argument));
  EXPECT_THAT(made({.batch_bytes = batch_bytes_max + 1}), fails_with(errc::invalid_argument));
  EXPECT_THAT(made({.buffer_bytes_max = 0}), fails_with(errc::invalid_argument));
  EXPECT_THAT(made({.interceptors = {nullptr}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(made({.id = "\n"}), fails_with(errc::name_invalid));
  EXPECT_THAT(made({.id = std::string(256, 'x')}), fails_with(errc::name_invalid));
  const auto p = ok(made({.id = std::string(255, 'x')}));
  EXPECT_EQ(p.id(), std::string(255, 'x'));
  EXPECT_EQ(p.topic(), "orders");
  EXPECT_EQ(p.last_sequence(), producer_sequence{0});
}

/// Of one id and topic, in a store that may be closed and opened.
class IdempotentProducing : public Producing {
 protected:
  [[nodiscard]] producer make_known(const std::string& id = "importer") { return make({.id = id}); }
  static record numbered(std::uint64_t n) { return record{"a", fmt::format("{}", n)}; }
  static constexpr producer_sequence number(std::uint64_t n) { return producer_sequence{n}; }
};

TEST_F(IdempotentProducing, NumbersRecordsFromOne) {
  auto p = make_known();
  EXPECT_EQ(p.last_sequence(), number(0));
  ok(p.send(numbered(1)));
  EXPECT_EQ(p.last_sequence(), number(0)) << "it is not stored yet";
  ok(p.publish(numbered(2)));
  EXPECT_EQ(p.last_sequence(), number(2));
  auto batch = orders_.make_batch();
  for (int i = 0; i < 10; ++i) ok(batch.add("x"));
  ok(p.publish(batch));
  EXPECT_EQ(p.last_sequence(), number(12));
}

TEST_F(IdempotentProducing, KnowsAfterARestartWhatIsStored) {
  {
    auto p = make_known();
    for (std::uint64_t i = 1; i <= 3; ++i) ok(p.send(number(i), numbered(i)));
    ok(p.flush());
    ok(p.send(number(4), numbered(4)));
    close();  // nobody has asked for it
  }
  open();
  auto p = make_known();
  ASSERT_EQ(p.last_sequence(), number(3));
  for (std::uint64_t i = 1; i <= 6; ++i) {
    const auto sent = p.send(number(i), numbered(i));
    if (i <= 3) {
      ASSERT_THAT(sent, fails_with(errc::duplicate_sequence));
      EXPECT_THAT(sent.error().message(), HasSubstr("producer 'importer'"));
    } else {
      ok(sent);
    }
  }
  EXPECT_THAT(p.publish(number(3), numbered(3)), fails_with(errc::duplicate_sequence));
  EXPECT_THAT(p.try_send(number(1), numbered(1)), fails_with(errc::duplicate_sequence));
  EXPECT_THAT(p.async_send(number(2), numbered(2), use_future).get(), fails_with(errc::duplicate_sequence));
  ok(p.flush());
  EXPECT_THAT(values(), ElementsAre("1", "2", "3", "4", "5", "6"));
  expect_sound();
}

TEST_F(IdempotentProducing, TakesSequencesThatSkip) {
  auto p = make_known();
  ok(p.send(number(10), numbered(10)));
  ok(p.try_send(number(20), numbered(20)));
  ok(p.publish(number(1'000), numbered(1'000)));
  EXPECT_EQ(p.last_sequence(), number(1'000));
  EXPECT_THAT(p.send(number(500), numbered(500)), fails_with(errc::duplicate_sequence));
  ok(p.publish(numbered(1'001)));
  EXPECT_EQ(p.last_sequence(), number(1'001));
  EXPECT_THAT(p.send(number(0), numbered(0)), fails_with(errc::invalid_argument));
  ok(p.publish(number(UINT64_MAX), numbered(1)));
  EXPECT_THAT(p.send(numbered(2)), fails_with(errc::out_of_order_sequence)) << "no number is left";
}

TEST_F(IdempotentProducing, RefusesASequenceThatIsUnderWay) {
  auto p = make_known();
  ok(p.send(number(5), numbered(5)));
  EXPECT_THAT(p.send(number(5), numbered(5)), fails_with(errc::out_of_order_sequence));
  EXPECT_THAT(p.send(number(4), numbered(4)), fails_with(errc::out_of_order_sequence));
  ok(p.flush());
  EXPECT_THAT(p.send(number(5), numbered(5)), fails_with(errc::duplicate_sequence));
  EXPECT_THAT(values(), ElementsAre("5"));
}

TEST_F(IdempotentProducing, IsFencedByANewProducerOfItsId) {
  auto first = make_known();
  ok(first.publish(numbered(1)));
  ok(first.send(numbered(2)));
  auto second = make_known();
  EXPECT_EQ(second.last_sequence(), number(1));
  const auto flushed = first.flush();
  ASSERT_THAT(flushed, fails_with(errc::fenced));
  EXPECT_THAT(flushed.error().message(), HasSubstr("importer"));
  EXPECT_THAT(first.send(numbered(3)), fails_with(errc::fenced));
  EXPECT_THAT(first.publish(numbered(3)), fails_with(errc::fenced));
  ok(second.publish(numbered(2)));
  EXPECT_THAT(values(), ElementsAre("1", "2"));
}

TEST_F(IdempotentProducing, IsKnownByIdAndTopic) {
  ok(the_bus().declare_topic("others"));
  auto a = make_known("a");
  auto b = make_known("b");
  auto elsewhere = ok(the_bus().make_producer("others", {.id = "a"}));
  ok(a.publish(number(7), numbered(7)));
  ok(b.publish(number(5), numbered(5)));
  ok(elsewhere.publish(number(3), numbered(3)));
  EXPECT_EQ(make_known("a").last_sequence(), number(7));
  EXPECT_EQ(make_known("b").last_sequence(), number(5));
  EXPECT_EQ(ok(the_bus().make_producer("others", {.id = "a"})).last_sequence(), number(3));
}

TEST_F(IdempotentProducing, IsForgottenWithItsTopic) {
  ok(the_bus().declare_topic("others"));
  auto kept = ok(the_bus().make_producer("others", {.id = "importer"}));
  ok(kept.publish(numbered(1)));
  auto p = make_known();
  ok(p.publish(numbered(1)));
  ok(the_bus().delete_topic("orders"));
  EXPECT_THAT(p.publish(numbered(2)), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().make_producer("orders", {.id = "importer"}), fails_with(errc::unknown_topic));
  ok(the_bus().declare_topic("orders"));
  EXPECT_EQ(make_known().last_sequence(), number(0));
  EXPECT_EQ(ok(the_bus().make_producer("others", {.id = "importer"})).last_sequence(), number(1));
  expect_sound();
}

TEST_F(IdempotentProducing, PassesNothingOverThatCouldNotBeStored) {
  close();
  auto o = options();
  o.map_bytes_max = std::size_t{1} << 20;
  open(o);
  const record too_much{"a", std::string(std::size_t{2} << 20, 'x')};
  auto p = make({.id = "importer", .batch_bytes = 1});
  ok(p.send(number(1), numbered(1)));
  auto failing = p.async_send(number(2), too_much, use_future);
  for (std::uint64_t i = 3; i < 6; ++i) {
    EXPECT_THAT(p.async_send(number(i), numbered(i), use_future).get(),
                fails_with(errc::out_of_order_sequence))
        << "whether the second has failed by now, or is under way";
  }
  EXPECT_THAT(failing.get(), fails_with(errc::store_full));
  EXPECT_EQ(p.last_sequence(), number(1));
  ok(p.send(number(2), numbered(2)));
  ok(p.send(number(3), numbered(3)));
  ok(p.flush());
  EXPECT_THAT(values(), ElementsAre("1", "2", "3"));

  // One that nobody waits for is told by the flush, and who goes on then has been told.
  ok(p.send(number(4), too_much));
  EXPECT_THAT(p.flush(), fails_with(errc::store_full));
  ok(p.publish(number(5), numbered(5)));
  EXPECT_THAT(values(), ElementsAre("1", "2", "3", "5"));
}

}  // namespace
}  // namespace levada::test
