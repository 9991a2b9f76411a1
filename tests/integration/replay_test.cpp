#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <thread>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// What is replayed stands in the journal, or in segments, or in both.
enum class place { journal, segments, both };

void PrintTo(place where, std::ostream* out) {
  static constexpr const char* names[] = {"journal", "segments", "both"};
  *out << names[static_cast<std::size_t>(where)];
}

class Replaying : public bus_fixture, public ::testing::WithParamInterface<place> {
 protected:
  Replaying() : bus_fixture{seals_everything} {}
  /// To be called in the middle and at the end of what is published.
  void seal(place where) {
    if (GetParam() == where || GetParam() == place::segments) ok(the_bus().maintain());
  }
  static std::vector<std::string> read_bounded(replay r) {
    auto values = read_all_ref(r);
    EXPECT_TRUE(r.ended());
    return values;
  }
  static std::vector<std::string> read_all_ref(replay& r) {
    std::vector<std::string> values;
    for (auto batch = ok(r.next()); !batch.empty(); batch = ok(r.next())) {
      for (const auto& record : batch) values.emplace_back(record.value());
    }
    return values;
  }
  /// Publishes "0" to "9" a second apart, by turns to the two partitions of "orders"; returns their times.
  std::vector<timestamp> publish_ten() {
    auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
    std::vector<timestamp> times;
    for (unsigned i = 0; i < 10; ++i) {
      times.push_back(ok(orders.publish(partition_id{i % 2}, record{fmt::format("{}", i)})).time);
      the_clock().advance(seconds{1});
      if (i == 4) seal(place::both);
    }
    seal(place::segments);
    return times;
  }
};
INSTANTIATE_TEST_SUITE_P(Places, Replaying, ::testing::Values(place::journal, place::segments, place::both));

TEST_P(Replaying, EndsWhereAsked) {
  const auto times = publish_ten();
  auto& b = the_bus();
  const auto read = [&](const replay_options& o) { return read_bounded(ok(b.replay("orders", o))); };
  EXPECT_THAT(read({.until = times[3]}), ElementsAre("0", "1", "2"));
  EXPECT_THAT(read({.from = times[2], .until = times[5]}), ElementsAre("2", "3", "4"));
  EXPECT_THAT(read({.from = times[5], .until = times[2]}), IsEmpty());
  EXPECT_THAT(read({.until = times[4], .partition = partition_id{0}}), ElementsAre("0", "2"));
  EXPECT_THAT(read({.until = offset{3}, .partition = partition_id{1}}), ElementsAre("1", "3", "5"));
  EXPECT_THAT(read({.from = offset{1}, .until = offset{2}, .partition = partition_id{1}}), ElementsAre("3"));
  EXPECT_EQ(read({.until = until_latest{}, .bytes_max = 1}).size(), 10U);
}

TEST_P(Replaying, DoesNotReadWhatComesAfterItsEnd) {
  publish_ten();
  auto bounded = ok(the_bus().replay("orders", {.until = until_latest{}}));
  auto to_come =
      ok(the_bus().replay("orders", {.from = offset{5}, .until = offset{6}, .partition = partition_id{0}}));
  EXPECT_THAT(read_all_ref(to_come), IsEmpty());
  EXPECT_FALSE(to_come.ended()) << "its last record is still to come";
  auto orders = ok(the_bus().topic("orders"));
  ok(orders.publish(partition_id{0}, record{"later"}));
  ok(orders.publish(partition_id{0}, record{"too late"}));
  EXPECT_EQ(read_bounded(std::move(bounded)).size(), 10U);
  EXPECT_THAT(read_bounded(std::move(to_come)), ElementsAre("later"));
}

TEST_P(Replaying, AllTopicsFollowTheOrderOfCommits) {
  auto& b = the_bus();
  auto orders = ok(b.declare_topic("orders", {.partitions = 3}));
  auto calls = ok(b.declare_topic("calls"));
  ok(b.declare_exchange("events", {.type = exchange_type::direct}));
  std::vector<std::string> sent;
  const auto send = [&](unsigned i) {
    const auto value = fmt::format("{}", sent.size());
    if (i % 3 == 0) ok(orders.publish(partition_id{i % 2}, record{value}));
    if (i % 3 == 1) ok(calls.publish(record{value}));
    if (i % 3 == 2) static_cast<void>(ok(b.publish("events", "key", record{value})));
    sent.push_back(value);
  };
  for (unsigned i = 0; i < 40; ++i) send(i * 7 + i / 5);
  seal(place::both);
  for (unsigned i = 0; i < 40; ++i) send(i * 5 + i / 7);
  seal(place::segments);
  EXPECT_EQ(read_bounded(ok(b.replay_all({.until = until_latest{}}))), sent);
  EXPECT_EQ(read_bounded(ok(b.replay_all({.until = until_latest{}, .bytes_max = 1}))), sent);

  auto following = ok(b.replay_all());
  EXPECT_EQ(read_all_ref(following), sent);
  auto later = ok(b.declare_topic("later"));
  ok(later.publish(record{"later"}));
  ok(calls.publish(record{"again"}));
  EXPECT_THAT(read_all_ref(following), ElementsAre("later", "again")) << "also of topics that are new";
  ok(b.delete_topic("calls"));
  ok(later.publish(record{"after"}));
  EXPECT_THAT(read_all_ref(following), ElementsAre("after")) << "a deleted topic disturbs no other";
}

TEST_P(Replaying, FromAnAttachedProcessIsTheSame) {
  const auto times = publish_ten();
  ok(ok(the_bus().declare_topic("calls")).publish(record{"call"}));
  close();
  auto look = ok(attachment::open(store()));
  EXPECT_THAT(read_bounded(ok(look.replay("orders", {.from = times[2], .until = times[5]}))),
              ElementsAre("2", "3", "4"));
  const auto all = read_bounded(ok(look.replay_all({.until = until_latest{}})));
  ASSERT_EQ(all.size(), 11U);
  EXPECT_EQ(all.back(), "call");
}

TEST_P(Replaying, RefusesBoundsThatMeanNothing) {
  publish_ten();
  auto& b = the_bus();
  EXPECT_THAT(b.replay("orders", {.until = offset{3}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(b.replay("orders", {.pace = -1}), fails_with(errc::invalid_argument));
  EXPECT_THAT(b.replay("orders", {.pace = std::numeric_limits<double>::quiet_NaN()}),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(b.replay_all({.from = offset{0}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(b.replay_all({.until = offset{0}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(b.replay_all({.partition = partition_id{0}}), fails_with(errc::invalid_argument));
}

TEST_P(Replaying, AtAPaceReturnsRecordsWhenTheyAreDue) {
  publish_ten();
  auto paced = ok(the_bus().replay("orders", {.until = until_latest{}, .pace = 2}));
  EXPECT_THAT(read_all_ref(paced), ElementsAre("0")) << "the first one at once";
  the_clock().advance(milliseconds{499});
  EXPECT_THAT(read_all_ref(paced), IsEmpty());
  the_clock().advance(milliseconds{1});
  EXPECT_THAT(read_all_ref(paced), ElementsAre("1"));
  the_clock().advance(milliseconds{1700});
  EXPECT_THAT(read_all_ref(paced), ElementsAre("2", "3", "4"));
  EXPECT_FALSE(paced.ended());

  std::vector<std::string> waited;
  std::thread reader{[&] {
    const auto batch = ok(paced.next(seconds{10}));
    for (const auto& r : batch) waited.emplace_back(r.value());
  }};
  the_clock().wait_for_waiters(1);
  the_clock().advance(milliseconds{300});
  reader.join();
  EXPECT_THAT(waited, ElementsAre("5")) << "woken when it is due, long before the time-out";

  the_clock().advance(seconds{60});
  EXPECT_THAT(read_bounded(std::move(paced)), ElementsAre("6", "7", "8", "9"));
}

TEST_P(Replaying, AtAPaceEndsItsWaitWithTheTimeout) {
  publish_ten();
  auto paced = ok(the_bus().replay("orders", {.pace = 0.001}));
  EXPECT_EQ(ok(paced.next()).size(), 1U);
  std::thread reader{[&] { EXPECT_TRUE(ok(paced.next(milliseconds{50})).empty()); }};
  the_clock().wait_for_waiters(1);
  the_clock().advance(milliseconds{50});
  reader.join();
}

TEST_P(Replaying, GoesOnBehindWhatHasBeenRemovedAndSaysSoOnce) {
  publish_ten();
  auto all = ok(the_bus().replay("orders"));
  auto one = ok(the_bus().replay("orders", {.partition = partition_id{0}}));
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{3}));
  const auto told = all.next();
  ASSERT_THAT(told, fails_with(errc::overtaken));
  EXPECT_THAT(told.error().message(), HasSubstr("'orders' partition 0: offsets 0 to 2"));
  EXPECT_THAT(read_all_ref(all), ElementsAre("1", "3", "5", "6", "7", "8", "9"));
  EXPECT_THAT(one.next(), fails_with(errc::overtaken));
  EXPECT_THAT(read_all_ref(one), ElementsAre("6", "8"));
}

/// A topic whose publishers give the time.
class CreateTime : public Replaying {
 protected:
  static timestamp at(int second) { return timestamp{seconds{1'000'000 + second}}; }
  void publish(int second) {
    auto orders = ok(the_bus().topic("orders"));
    const auto receipt = ok(orders.publish(record{fmt::format("{}", second)}.time(at(second))));
    EXPECT_EQ(receipt.time, at(second));
  }
  CreateTime() {
    ok(the_bus().declare_topic("orders", {.timestamps = timestamp_type::create_time}));
    for (const int second : {10, 30, 20, 25}) publish(second);
    seal(place::both);
    for (const int second : {15, 40, 35}) publish(second);
    seal(place::segments);
  }
};
INSTANTIATE_TEST_SUITE_P(Places, CreateTime, ::testing::Values(place::journal, place::segments, place::both));

TEST_P(CreateTime, IsKeptAndMayFall) {
  std::vector<timestamp> times;
  for (const auto& r : ok(ok(the_bus().replay("orders")).next())) times.push_back(r.time());
  EXPECT_THAT(times, ElementsAre(at(10), at(30), at(20), at(25), at(15), at(40), at(35)));
  EXPECT_EQ(ok(the_bus().topics()).front().timestamps, timestamp_type::create_time);
}

TEST_P(CreateTime, LeadsToTheFirstRecordThatIsAsLate) {
  const auto first_from = [&](int second) {
    const auto values = read_all(ok(the_bus().replay("orders", {.from = at(second)})));
    return values.empty() ? std::string{"none"} : values.front();
  };
  EXPECT_EQ(first_from(0), "10");
  EXPECT_EQ(first_from(11), "30");
  EXPECT_EQ(first_from(30), "30");
  EXPECT_EQ(first_from(31), "40");
  EXPECT_EQ(first_from(41), "none");
  EXPECT_THAT(read_bounded(ok(the_bus().replay("orders", {.until = at(31)}))),
              ElementsAre("10", "30", "20", "25", "15"));
}

TEST_P(CreateTime, IsTheTimeOfPublishingWhereNoneIsGiven) {
  auto orders = ok(the_bus().topic("orders"));
  the_clock().advance(seconds{5});
  EXPECT_EQ(ok(orders.publish(record{"none"})).time, the_clock().wall());
  auto batch = orders.make_batch();
  ok(batch.add("none either"));
  ok(batch.add(record{"given"}.time(at(7))));
  ok(orders.publish(batch));
  const auto read = ok(ok(the_bus().replay("orders", {.from = the_clock().wall()})).next());
  std::vector<timestamp> times;
  for (const auto& r : read) times.push_back(r.time());
  EXPECT_THAT(times, ElementsAre(the_clock().wall(), the_clock().wall(), at(7)));
}

TEST_P(CreateTime, DoesNotMoveTheTimeOfTheBus) {
  publish(2'000'000'000);
  reopen();
  auto plain = ok(the_bus().declare_topic("plain"));
  EXPECT_EQ(ok(plain.publish(record{"now"}.time(at(9)))).time, the_clock().wall())
      << "and no other topic keeps what publishers say";
}

TEST_P(CreateTime, MayBeFarApartWithinABatch) {
  auto orders = ok(the_bus().declare_topic("far", {.timestamps = timestamp_type::create_time}));
  auto batch = orders.make_batch();
  const timestamp times[] = {at(0), at(100'000), timestamp{seconds{-5}}, at(0) - seconds{2148}, at(0)};
  for (const auto time : times) ok(batch.add(record{"x"}.time(time)));
  ok(batch.add(record{std::string(10'000, 'l')}.time(at(1))));
  ok(orders.publish(batch));
  seal(place::segments);
  std::vector<timestamp> read;
  for (const auto& r : ok(ok(the_bus().replay("far")).next())) read.push_back(r.time());
  EXPECT_THAT(read, ElementsAre(times[0], times[1], times[2], times[3], times[4], at(1)));
  EXPECT_THAT(orders.publish(record{"x"}.time(timestamp::max())), fails_with(errc::invalid_argument));
  EXPECT_THAT(orders.publish(record{"x"}.time(timestamp::min())), fails_with(errc::invalid_argument));
}

TEST_P(CreateTime, IsFixedOnceTheTopicExists) {
  EXPECT_THAT(the_bus().declare_topic("orders"), fails_with(errc::inequivalent));
  EXPECT_THAT(the_bus().declare_topic("orders", {.timestamps = timestamp_type::create_time}), succeeds());
}

/// Topics whose sealed records are stored compressed.
class Compressing : public bus_fixture, public ::testing::WithParamInterface<compression> {
 protected:
  Compressing() : bus_fixture{seals_everything} {}
  std::uintmax_t segment_bytes() {
    std::uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator{store() / "segments"})
      bytes += file.file_size();
    return bytes;
  }
  static std::string value_of(unsigned i) {
    return fmt::format("{} is said again and again: {}", i,
                       std::string(i % 2000, static_cast<char>('a' + i % 3)));
  }
};
INSTANTIATE_TEST_SUITE_P(Codecs, Compressing, ::testing::Values(compression::lz4, compression::zstd));

TEST_P(Compressing, TakesLessRoomAndIsReadTheSame) {
  std::vector<std::string> sent;
  const auto publish = [&](const std::string& name, compression how) {
    auto topic = ok(the_bus().declare_topic(name, {.partitions = 2, .compression = how}));
    auto batch = topic.make_batch();
    sent.clear();
    for (unsigned i = 0; i < 1000; ++i) {
      sent.push_back(i == 500 ? std::string(300'000, 'l') : value_of(i));
      ok(batch.add(partition_id{0}, sent.back()));
    }
    ok(topic.publish(batch));
    ok(the_bus().maintain());
  };
  publish("plain", compression::none);
  const auto plain = segment_bytes();
  publish("compressed", GetParam());
  const auto compressed = segment_bytes() - plain;
  EXPECT_LT(compressed, plain / 3);
  reopen();
  EXPECT_EQ(read_all(ok(the_bus().replay("compressed"))), sent);
  EXPECT_EQ(read_all(ok(the_bus().replay("compressed", {.from = offset{777}, .partition = partition_id{0}}))),
            (std::vector<std::string>{sent.begin() + 777, sent.end()}));
  auto reader = join("group", {"compressed"});
  EXPECT_EQ(poll_all(reader), sent);
  for (const auto& topic : ok(the_bus().topics())) {
    EXPECT_EQ(topic.compression, topic.name == "plain" ? compression::none : GetParam());
  }
  close();
  EXPECT_THAT(ok(check_store(store())).problems, ::testing::SizeIs(0));
  open();
}

TEST_P(Compressing, LeavesWhatDoesNotShrinkAsItIs) {
  auto topic = ok(the_bus().declare_topic("noise", {.compression = GetParam()}));
  std::string noise(20'000, 0);
  std::uint32_t x = 1;
  for (char& c : noise) c = static_cast<char>((x = x * 1'664'525 + 1'013'904'223) >> 24);
  ok(topic.publish(record{noise}));
  ok(the_bus().maintain());
  EXPECT_EQ(read_all(ok(the_bus().replay("noise"))), std::vector{noise});
}

TEST_P(Compressing, BatchesOutliveTheBus) {
  auto topic = ok(the_bus().declare_topic("orders", {.compression = GetParam()}));
  ok(topic.publish(record{value_of(99)}));
  ok(the_bus().maintain());
  const auto batch = ok(ok(the_bus().replay("orders")).next());
  close();
  std::filesystem::remove_all(store());
  EXPECT_EQ(batch.begin()->value(), value_of(99));
  open();
}

TEST_P(Compressing, CanBeChangedAtRunTime) {
  auto topic = ok(the_bus().declare_topic("orders"));
  std::vector<std::string> sent;
  for (const auto how : {compression::none, GetParam(), compression::none, GetParam()}) {
    ok(the_bus().set_compression("orders", how));
    sent.push_back(value_of(static_cast<unsigned>(1000 + sent.size())));
    ok(topic.publish(record{sent.back()}));
    ok(the_bus().maintain());
  }
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), sent);
  EXPECT_THAT(the_bus().set_compression("orders", static_cast<compression>(9)),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().set_compression("absent", GetParam()), fails_with(errc::unknown_topic));
}

}  // namespace
}  // namespace levada::test
