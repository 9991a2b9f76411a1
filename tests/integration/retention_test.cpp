#include <fmt/format.h>

#include <thread>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// A bus that seals everything, and applies retention, whenever it is told to maintain.
class Retention : public bus_fixture {
 protected:
  Retention() : bus_fixture{seals_everything} {}

  [[nodiscard]] std::size_t segments() const { return segment_files().size(); }
  /// Publishes `n` records, numbered on, to partition 0, and seals them.
  void publish_sealed(const std::string& topic, int n) {
    for (int i = 0; i < n; ++i) ok(the_bus().publish(topic, record{std::to_string(published_++)}));
    maintain();
  }
  [[nodiscard]] partition_info partition(const std::string& topic, std::size_t p = 0) {
    for (const auto& t : ok(the_bus().topics())) {
      if (t.name == topic) return t.partitions.at(p);
    }
    throw std::runtime_error{"no topic " + topic};
  }
  std::vector<std::string> values(const std::string& topic) { return read_all(ok(the_bus().replay(topic))); }
  static std::vector<std::string> numbers(int from, int to) {
    std::vector<std::string> all;
    for (int i = from; i < to; ++i) all.push_back(std::to_string(i));
    return all;
  }

 private:
  int published_ = 0;
};

TEST_F(Retention, KeepsEverythingUnlessToldOtherwise) {
  ok(the_bus().declare_topic("orders"));
  for (int i = 0; i < 5; ++i) publish_sealed("orders", 10);
  the_clock().advance(1000h);
  maintain();
  EXPECT_EQ(values("orders"), numbers(0, 50));
  EXPECT_EQ(ok(the_bus().topics())[0].retention, retention_policy{});
}

TEST_F(Retention, ByRecordsGivesUpSegmentsOfWhichNoneIsNeeded) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 25}}));
  for (int i = 0; i < 5; ++i) publish_sealed("orders", 10);
  EXPECT_EQ(values("orders"), numbers(20, 50)) << "at least 25 stay, in whole segments";
  EXPECT_EQ(partition("orders").begin, offset{20});
  EXPECT_EQ(partition("orders").end, offset{50});
  EXPECT_EQ(segments(), 3U);
  reopen();
  EXPECT_EQ(values("orders"), numbers(20, 50));
  EXPECT_EQ(ok(the_bus().topics())[0].retention.records, 25U);
}

TEST_F(Retention, ByBytesBoundsTheDisk) {
  ok(the_bus().declare_topic("orders", {.retention = {.bytes = 500'000}}));
  for (int i = 0; i < 20; ++i) {
    for (int j = 0; j < 10; ++j) ok(the_bus().publish("orders", record{std::string(10'000, 'x')}));
    maintain();
    std::uintmax_t size = 0;
    for (const auto& file : fs::directory_iterator{store() / "segments"}) size += file.file_size();
    EXPECT_LE(size, 750'000U);
    EXPECT_GE(values("orders").size(), std::min<std::size_t>(50, 10 * (static_cast<std::size_t>(i) + 1)));
  }
}

TEST_F(Retention, ByAgeIsExactAlsoInTheJournal) {
  ok(the_bus().declare_topic("orders", {.retention = {.age = 60s}}));
  publish_sealed("orders", 3);
  the_clock().advance(40s);
  publish_sealed("orders", 3);
  ok(the_bus().publish("orders", record{"6"}));
  the_clock().advance(15s);
  ok(the_bus().publish("orders", record{"7"}));
  maintain();
  EXPECT_EQ(values("orders"), numbers(0, 8)) << "nothing is 60 s old";
  the_clock().advance(10s);
  maintain();
  EXPECT_EQ(values("orders"), numbers(3, 8));
  the_clock().advance(40s);
  maintain();
  EXPECT_EQ(values("orders"), numbers(7, 8));
  the_clock().advance(1h);
  maintain();
  EXPECT_TRUE(values("orders").empty());
  EXPECT_EQ(partition("orders").begin, offset{8});
  EXPECT_EQ(ok(the_bus().publish("orders", record{"8"})).offset, offset{8}) << "offsets go on";
  EXPECT_EQ(segments(), 0U);
}

TEST_F(Retention, IsAppliedAsTimePassesWithoutBeingAskedFor) {
  ok(the_bus().declare_topic("orders", {.retention = {.age = 1min}}));
  publish_sealed("orders", 5);
  close();
  bus_options o = options();
  o.maintenance = maintenance_mode::background;
  open(o);
  for (int half = 0; half < 2; ++half) {
    the_clock().wait_for_waiters(2);  // upkeep, and the watch over readers
    the_clock().advance(30s + 1ms);
  }
  while (partition("orders").begin < offset{5}) std::this_thread::yield();
  EXPECT_TRUE(values("orders").empty());
}

TEST_F(Retention, GoesOnCountingAfterEverythingIsGone) {
  ok(the_bus().declare_topic("orders", {.retention = {.age = 1s}}));
  publish_sealed("orders", 5);
  const auto newest = ok(the_bus().publish("orders", record{"x"})).time;
  the_clock().advance(1h);
  maintain();
  the_clock().set_wall(newest - 24h);
  reopen();
  const auto next = ok(the_bus().publish("orders", record{"6"}));
  EXPECT_EQ(next.offset, offset{6});
  EXPECT_GE(next.time, newest) << "time does not go back either";
}

TEST_F(Retention, CanBeChangedAtRunTime) {
  ok(the_bus().declare_topic("orders"));
  for (int i = 0; i < 4; ++i) publish_sealed("orders", 10);
  ok(the_bus().set_retention("orders", {.records = 10}));
  maintain();
  EXPECT_EQ(values("orders"), numbers(30, 40));
  EXPECT_THAT(the_bus().set_retention("orders", {.records = 0}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().set_retention("orders", {.bytes = 0}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().set_retention("orders", {.age = 0ms}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().set_retention("nothing", {}), fails_with(errc::unknown_topic));
  ok(the_bus().declare_topic("orders", {.retention = {.records = 1}}));
  EXPECT_EQ(ok(the_bus().topics())[0].retention.records, 10U) << "declaring again changes nothing";
  reopen();
  EXPECT_EQ(ok(the_bus().topics())[0].retention.records, 10U);
}

TEST_F(Retention, TellsAConsumerThatItWasOvertakenAndResetsIt) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 10}}));
  publish_sealed("orders", 10);
  auto earliest = join("audit", {"orders"}, offset_reset::earliest);
  consumer_options o;
  o.reset = offset_reset::latest;
  auto latest = ok(the_bus().join("monitor", {"orders"}, o));
  ok(latest.seek({"orders", partition_id{0}}, offset{2}));
  auto none = join("strict", {"orders"}, offset_reset::earliest);
  for (int i = 0; i < 3; ++i) publish_sealed("orders", 10);
  const auto told = earliest.poll(at_once);
  ASSERT_THAT(told, fails_with(errc::overtaken));
  EXPECT_THAT(told.error().message(), ::testing::HasSubstr("offsets 0 to 29 of topic 'orders' partition 0"));
  EXPECT_EQ(poll_all(earliest), numbers(30, 40));
  EXPECT_THAT(latest.poll(at_once), fails_with(errc::overtaken));
  EXPECT_TRUE(ok(latest.poll(at_once)).empty());
  EXPECT_THAT(earliest.seek({"orders", partition_id{0}}, offset{3}), fails_with(errc::overtaken));
}

TEST_F(Retention, LeavesAConsumerWithoutResetWhereItIs) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 10}}));
  publish_sealed("orders", 10);
  auto strict = join("strict", {"orders"}, offset_reset::none);
  ok(strict.seek({"orders", partition_id{0}}, offset{2}));
  publish_sealed("orders", 10);
  publish_sealed("orders", 10);
  EXPECT_THAT(strict.poll(at_once), fails_with(errc::overtaken));
  EXPECT_THAT(strict.poll(at_once), fails_with(errc::overtaken)) << "until it seeks";
  ok(strict.seek({"orders", partition_id{0}}, from_earliest{}));
  EXPECT_EQ(poll_all(strict), numbers(20, 30));
}

TEST_F(Retention, TellsAReplayThatItWasOvertaken) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 10}}));
  publish_sealed("orders", 10);
  auto pass = ok(the_bus().replay("orders", {.partition = partition_id{0}}));
  publish_sealed("orders", 10);
  publish_sealed("orders", 10);
  EXPECT_THAT(pass.next(), fails_with(errc::overtaken));
  EXPECT_EQ(ok(pass.next()).begin()->value(), "20");
  EXPECT_THAT(the_bus().replay("orders", {.from = offset{3}}), fails_with(errc::overtaken));
}

TEST_F(Retention, KeepsBatchesThatAreHeld) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 1}}));
  publish_sealed("orders", 1);
  auto pass = ok(the_bus().replay("orders"));
  const auto batch = ok(pass.next());
  publish_sealed("orders", 1);
  ASSERT_EQ(segments(), 1U);
  EXPECT_EQ(batch.begin()->value(), "0");
}

TEST_F(Retention, SparesWhatAQueueStillRefersTo) {
  ok(the_bus().declare_exchange("alerts", {.retention = {.records = 1}}));
  ok(the_bus().declare_queue("desk"));
  ok(the_bus().bind("alerts", "desk", "#"));
  for (int i = 0; i < 4; ++i) {
    ok(the_bus().publish("alerts", "north", record{std::to_string(i)}));
    maintain();
  }
  EXPECT_EQ(values("alerts"), numbers(0, 4));
  {
    auto desk = ok(the_bus().consume("desk"));
    for (int i = 0; i < 2; ++i) ok(desk.ack(ok(desk.receive(at_once))->tag()));
    maintain();
    EXPECT_EQ(values("alerts"), numbers(2, 4));
  }
  auto desk = ok(the_bus().consume("desk"));
  EXPECT_EQ(receive_all(desk), numbers(2, 4));
}

TEST_F(Retention, TakesReferencedMessagesWhenForced) {
  ok(the_bus().declare_exchange("alerts", {.retention = {.records = 1, .force = true}}));
  ok(the_bus().declare_queue("desk"));
  ok(the_bus().bind("alerts", "desk", "#"));
  for (int i = 0; i < 4; ++i) {
    ok(the_bus().publish("alerts", "north", record{std::to_string(i)}));
    maintain();
  }
  EXPECT_EQ(values("alerts"), numbers(3, 4));
  auto desk = ok(the_bus().consume("desk"));
  EXPECT_THAT(desk.receive(at_once), fails_with(errc::overtaken));
}

/// Topics that keep the newest ten records, and what their readers have yet to read.
class WaitingRetention : public Retention {
 protected:
  static constexpr retention_policy waits{.records = 10, .wait_for_readers = true};

  WaitingRetention() { ok(the_bus().declare_topic("orders", {.retention = waits})); }
  void commit(const std::string& group, std::uint64_t next, const std::string& topic = "orders") {
    ok(join(group, {topic}).commit({topic, partition_id{0}}, offset{next}));
  }
  /// Opens a job, reads so many records of the first batch, and notes it, while nobody owns the store.
  void read_as_job(const std::string& name, const char* topic, std::size_t records) {
    close();
    {
      const auto look = ok(attachment::open(store()));
      const job_options one_by_one{.bytes_max = 1};
      auto reading =
          ok(topic != nullptr ? look.open_job(name, topic, one_by_one) : look.open_job_all(name, one_by_one));
      for (std::size_t i = 0; i < records; ++i) ASSERT_EQ(ok(reading.next()).size(), 1U);
      ok(reading.checkpoint());
    }
    open();
  }
};

TEST_F(WaitingRetention, KeepsWhatAGroupHasYetToReadAndNothingElse) {
  publish_sealed("orders", 10);
  commit("audit", 5);
  commit("billing", 8);
  for (int i = 0; i < 4; ++i) publish_sealed("orders", 10);
  EXPECT_EQ(values("orders"), numbers(5, 50)) << "the slowest group decides";
  commit("audit", 20);
  maintain();
  EXPECT_EQ(values("orders"), numbers(8, 50));
  commit("billing", 50);
  maintain();
  EXPECT_EQ(values("orders"), numbers(20, 50));
  reopen();
  EXPECT_EQ(ok(the_bus().topics())[0].retention, waits);
  maintain();
  EXPECT_EQ(values("orders"), numbers(20, 50)) << "also after a restart, with no member about";
  commit("audit", 50);
  maintain();
  EXPECT_EQ(values("orders"), numbers(40, 50));
}

TEST_F(WaitingRetention, KeepsWhatIsTooOldAsWell) {
  ok(the_bus().set_retention("orders", {.age = 1min, .wait_for_readers = true}));
  publish_sealed("orders", 6);
  commit("audit", 2);
  the_clock().advance(1h);
  maintain();
  EXPECT_EQ(values("orders"), numbers(2, 6));
  commit("audit", 6);
  maintain();
  EXPECT_TRUE(values("orders").empty());
}

TEST_F(WaitingRetention, WaitsInEachPartitionForThoseWhoHaveCommittedThere) {
  const auto split = ok(the_bus().declare_topic(
      "split", {.partitions = 2, .retention = {.records = 1, .wait_for_readers = true}}));
  for (int i = 0; i < 10; ++i) {
    for (std::uint32_t p = 0; p < 2; ++p) ok(split.publish(partition_id{p}, record{"v"}));
    if (i == 0) ok(join("audit", {"split"}).commit({"split", partition_id{1}}, offset{1}));
    maintain();
  }
  EXPECT_GE(partition("split", 0).begin, offset{9}) << "nobody has committed anything there";
  EXPECT_EQ(partition("split", 1).begin, offset{1});
}

TEST_F(WaitingRetention, KeepsWhatAJobHasYetToReadUntilItIsRemoved) {
  publish_sealed("orders", 10);
  read_as_job("report", "orders", 3);
  for (int i = 0; i < 3; ++i) publish_sealed("orders", 10);
  EXPECT_EQ(values("orders"), numbers(3, 40));
  read_as_job("report", "orders", 4);
  maintain();
  EXPECT_EQ(values("orders"), numbers(7, 40));
  ok(the_bus().remove_job("report"));
  maintain();
  EXPECT_EQ(values("orders"), numbers(30, 40));
}

TEST_F(WaitingRetention, WaitsForAJobOverAllTopicsAlsoInThoseThatItHasNotSeen) {
  publish_sealed("orders", 10);
  read_as_job("audit", nullptr, 2);
  ok(the_bus().declare_topic("later", {.retention = waits}));
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 10; ++j) ok(the_bus().publish("later", record{"v"}));
    publish_sealed("orders", 10);
  }
  EXPECT_EQ(values("orders"), numbers(2, 40));
  EXPECT_EQ(partition("later").begin, offset{0});
  ok(the_bus().remove_job("audit"));
  maintain();
  EXPECT_EQ(partition("later").begin, offset{20});
}

TEST_F(WaitingRetention, DoesNotWaitForJobsOverOtherTopics) {
  ok(the_bus().declare_topic("notes"));
  read_as_job("report", "notes", 0);
  for (int i = 0; i < 3; ++i) publish_sealed("orders", 10);
  EXPECT_EQ(values("orders"), numbers(20, 30));
}

TEST_F(WaitingRetention, IsNotWhatHappensUnlessToldSo) {
  ok(the_bus().set_retention("orders", {.records = 10}));
  publish_sealed("orders", 10);
  commit("audit", 5);
  read_as_job("report", "orders", 3);
  for (int i = 0; i < 3; ++i) publish_sealed("orders", 10);
  EXPECT_EQ(values("orders"), numbers(30, 40));
}

TEST_F(WaitingRetention, BeginsAndEndsAtRunTime) {
  ok(the_bus().set_retention("orders", {.records = 10}));
  publish_sealed("orders", 10);
  commit("audit", 5);
  ok(the_bus().set_retention("orders", waits));
  for (int i = 0; i < 3; ++i) publish_sealed("orders", 10);
  EXPECT_EQ(values("orders"), numbers(5, 40));
  ok(the_bus().set_retention("orders", {.records = 10}));
  maintain();
  EXPECT_EQ(values("orders"), numbers(30, 40));
}

TEST_F(WaitingRetention, HasNoSayInWhatIsDeletedByName) {
  publish_sealed("orders", 10);
  commit("audit", 5);
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{8}));
  maintain();
  EXPECT_EQ(values("orders"), numbers(8, 10));
  ok(the_bus().delete_topic("orders"));
  maintain();
  EXPECT_EQ(segments(), 0U);
}

TEST_F(WaitingRetention, KeepsSettledMessagesOfAnExchangeForGroups) {
  ok(the_bus().declare_exchange("alerts", {.retention = {.records = 1, .wait_for_readers = true}}));
  ok(the_bus().declare_queue("desk"));
  ok(the_bus().bind("alerts", "desk", "#"));
  auto desk = ok(the_bus().consume("desk"));
  for (int i = 0; i < 20; ++i) {
    ok(the_bus().publish("alerts", "north", record{std::to_string(i)}));
    const auto d = ok(desk.receive(at_once));
    ASSERT_TRUE(d.has_value());
    if (i > 0) ok(desk.ack(d->tag()));
    if (i == 9) commit("audit", 5, "alerts");
    if (i % 10 == 9) maintain();
  }
  EXPECT_EQ(values("alerts"), numbers(0, 20)) << "the queue needs the first, the group those from 5 on";
  commit("audit", 10, "alerts");
  maintain();
  auto left = numbers(9, 20);
  left.front() = "0";
  EXPECT_EQ(values("alerts"), left) << "what was read and settled is gone";
  EXPECT_EQ(partition("alerts").begin, offset{0});
}

TEST_F(Retention, ShowsAttachedReadersWhatIsLeft) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 10}}));
  for (int i = 0; i < 3; ++i) publish_sealed("orders", 10);
  close();
  auto look = ok(attachment::open(store()));
  EXPECT_EQ(read_all(ok(look.replay("orders"))), numbers(20, 30));
  EXPECT_EQ(ok(look.topics())[0].partitions[0].begin, offset{20});
}

TEST_F(Retention, OpensAgainWhereverInTheJournalAPartitionBegins) {
  auto orders = ok(the_bus().declare_topic("orders"));
  publish_sealed("orders", 2);
  for (const char* value : {"2", "3", "4"}) ok(orders.publish(record{value}));
  auto row_of_two = orders.make_batch();
  for (const char* value : {"5", "6"}) ok(row_of_two.add(record{value}));
  ok(orders.publish(row_of_two));
  for (int begin = 0; begin <= 7; ++begin) {
    const offset before{static_cast<std::uint64_t>(begin)};
    ok(the_bus().delete_records({"orders", partition_id{0}}, before));
    close();
    EXPECT_THAT(ok(check_store(store())).problems, ::testing::SizeIs(0)) << begin;
    EXPECT_EQ(read_all(ok(ok(attachment::open(store())).replay("orders"))), numbers(begin, 7));
    open();
    EXPECT_EQ(values("orders"), numbers(begin, 7));
    EXPECT_EQ(partition("orders").begin, before);
    EXPECT_EQ(partition("orders").end, offset{7});
  }
  EXPECT_EQ(ok(the_bus().publish("orders", record{"7"})).offset, offset{7});
  maintain();
  EXPECT_EQ(values("orders"), numbers(7, 8));
}

TEST_F(Retention, DeletesRecordsUpToAnOffset) {
  ok(the_bus().declare_topic("orders", {.partitions = 1}));
  publish_sealed("orders", 10);
  publish_sealed("orders", 10);
  for (int i = 20; i < 25; ++i) ok(the_bus().publish("orders", record{std::to_string(i)}));
  const topic_partition where{"orders", partition_id{0}};
  ok(the_bus().delete_records(where, offset{13}));
  EXPECT_EQ(values("orders"), numbers(13, 25));
  ok(the_bus().delete_records(where, offset{5}));
  EXPECT_EQ(values("orders"), numbers(13, 25)) << "never back";
  maintain();
  EXPECT_EQ(segments(), 2U) << "the second, and what was in the journal";
  ok(the_bus().delete_records(where, offset{22}));
  reopen();
  EXPECT_EQ(values("orders"), numbers(22, 25));
  ok(the_bus().delete_records(where, offset{25}));
  EXPECT_TRUE(values("orders").empty());
  maintain();
  EXPECT_EQ(segments(), 0U);
  EXPECT_EQ(ok(the_bus().publish("orders", record{"25"})).offset, offset{25});
  EXPECT_THAT(the_bus().delete_records(where, offset{27}), fails_with(errc::offset_out_of_range));
  EXPECT_THAT(the_bus().delete_records({"orders", partition_id{1}}, offset{0}),
              fails_with(errc::unknown_partition));
  EXPECT_THAT(the_bus().delete_records({"other", partition_id{0}}, offset{0}),
              fails_with(errc::unknown_topic));
  close();
  EXPECT_TRUE(ok(check_store(store())).problems.empty());
}

TEST_F(Retention, DeletesRecordsInsideARow) {
  auto orders = ok(the_bus().declare_topic("orders"));
  auto batch = orders.make_batch();
  for (int i = 0; i < 12; ++i) ok(batch.add(std::to_string(i)));
  ok(orders.publish(batch));
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{5}));
  EXPECT_EQ(values("orders"), numbers(5, 12));
  maintain();
  EXPECT_EQ(values("orders"), numbers(5, 12));
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{8}));
  EXPECT_EQ(values("orders"), numbers(8, 12));
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.partition = partition_id{0}}))), numbers(8, 12));
}

class DeletingATopic : public Retention {};

TEST_F(DeletingATopic, FreesItsNameAndItsSpace) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 3}));
  ok(the_bus().declare_topic("other"));
  publish_sealed("orders", 10);
  publish_sealed("other", 1);
  ok(orders.publish(record{"in the journal"}));
  auto reader = join("audit", {"orders"});
  auto pass = ok(the_bus().replay("orders"));
  ok(the_bus().delete_topic("orders"));
  EXPECT_THAT(orders.publish(record{"x"}), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().topic("orders"), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().delete_topic("orders"), fails_with(errc::unknown_topic));
  EXPECT_THAT(reader.poll(at_once), fails_with(errc::unknown_topic));
  EXPECT_THAT(pass.next(), fails_with(errc::unknown_topic));
  EXPECT_EQ(segments(), 2U);
  maintain();
  EXPECT_EQ(segments(), 1U);
  EXPECT_EQ(values("other").size(), 1U);

  ok(the_bus().declare_topic("orders", {.partitions = 1}));
  EXPECT_TRUE(values("orders").empty()) << "a new topic of the same name begins anew";
  ok(the_bus().publish("orders", record{"first"}));
  auto anew = join("audit", {"orders"});
  EXPECT_EQ(poll_all(anew), std::vector<std::string>{"first"}) << "offsets of the old one do not count";
  close();
  EXPECT_TRUE(ok(check_store(store())).problems.empty());
}

TEST_F(DeletingATopic, TellsAConsumerOnceAndLetsItReadItsOtherTopics) {
  ok(the_bus().declare_topic("orders"));
  ok(the_bus().declare_topic("other"));
  auto reader = join("audit", {"orders", "other"});
  ok(the_bus().publish("other", record{"a"}));
  ok(the_bus().delete_topic("orders"));
  const auto told = reader.poll(at_once);
  ASSERT_THAT(told, fails_with(errc::unknown_topic));
  EXPECT_THAT(told.error().message(), ::testing::HasSubstr("'orders'"));
  EXPECT_EQ(poll_all(reader), std::vector<std::string>{"a"});
  EXPECT_THAT(reader.commit({"orders", partition_id{0}}, offset{0}), fails_with(errc::not_assigned));
  ok(reader.commit());
}

TEST_F(DeletingATopic, LeavesRowsInTheJournalThatAnOpeningPassesOver) {
  ok(the_bus().declare_topic("orders"));
  ok(the_bus().declare_topic("other"));
  for (int i = 0; i < 5; ++i) {
    ok(the_bus().publish("orders", record{"gone"}));
    ok(the_bus().publish("other", record{std::to_string(i)}));
  }
  ok(the_bus().delete_topic("orders"));
  reopen();
  EXPECT_EQ(values("other"), numbers(0, 5));
  maintain();
  EXPECT_EQ(values("other"), numbers(0, 5));
  close();
  EXPECT_TRUE(ok(check_store(store())).problems.empty());
}

TEST_F(DeletingATopic, IsSeenByAttachedReaders) {
  ok(the_bus().declare_topic("orders"));
  ok(the_bus().publish("orders", record{"gone"}));
  ok(the_bus().delete_topic("orders"));
  close();
  auto look = ok(attachment::open(store()));
  EXPECT_TRUE(ok(look.topics()).empty());
  EXPECT_THAT(look.replay("orders"), fails_with(errc::unknown_topic));
}

TEST_F(DeletingATopic, RefusesAnExchange) {
  ok(the_bus().declare_exchange("alerts"));
  EXPECT_THAT(the_bus().delete_topic("alerts"), fails_with(errc::unknown_topic));
}

}  // namespace
}  // namespace levada::test
