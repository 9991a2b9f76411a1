#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>
#include <support/file_bytes.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;

/// A bus that seals everything whenever it is told to maintain.
class Sealing : public bus_fixture {
 protected:
  static void has_small_segments(bus_options& o) {
    seals_everything(o);
    o.segment_bytes_min = 64 << 10;
  }
  Sealing() : bus_fixture{has_small_segments} {}

  /// A topic that is made when it is first asked for.
  [[nodiscard]] std::string topic_of(const std::string& name) {
    ok(the_bus().declare_topic(name));
    return name;
  }
  static std::string value_of(unsigned i) { return fmt::format("{}{}", i, std::string(i % 300, 'v')); }
  [[nodiscard]] check_report check() {
    close();
    auto report = ok(check_store(store()));
    open();
    return report;
  }
};

TEST_F(Sealing, KeepsEveryRecordWhereItWas) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 3}));
  std::vector<std::string> sent;
  for (unsigned i = 0; i < 400; ++i) {
    sent.push_back(value_of(i));
    ok(orders.publish(partition_id{(i * i) % 3}, record{"key", sent.back()}));
    if (i % 90 == 89) maintain();
  }
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), sent);
  maintain();
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), sent);
  reopen();
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), sent);
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.bytes_max = 1}))), sent);
  for (std::uint32_t p = 0; p < 3; ++p) {
    std::vector<std::string> of_partition;
    for (unsigned i = 0; i < 400; ++i) {
      if ((i * i) % 3 == p) of_partition.push_back(sent[i]);
    }
    EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.partition = partition_id{p}}))), of_partition);
  }
  EXPECT_TRUE(check().problems.empty());
}

TEST_F(Sealing, EmptiesTheJournal) {
  for (int i = 0; i < 50; ++i) ok(the_bus().publish(topic_of("orders"), record{std::string(5000, 'x')}));
  maintain();
  const auto report = check();
  EXPECT_EQ(report.rows, 0U);
  EXPECT_EQ(report.segments, 1U);
  EXPECT_EQ(report.records, 50U);
}

TEST_F(Sealing, GivesLargeTopicsSegmentsOfTheirOwn) {
  ok(the_bus().declare_topic("large"));
  ok(the_bus().declare_topic("small"));
  ok(the_bus().declare_topic("tiny"));
  for (int i = 0; i < 40; ++i) ok(the_bus().publish("large", record{std::string(5000, 'x')}));
  ok(the_bus().publish("small", record{"a"}));
  ok(the_bus().publish("tiny", record{"b"}));
  maintain();
  EXPECT_EQ(segment_files().size(), 2U);
  EXPECT_EQ(read_all(ok(the_bus().replay("tiny"))), std::vector<std::string>{"b"});
}

TEST_F(Sealing, GoesOnAtTheCommittedOffset) {
  ok(the_bus().declare_topic("orders", {.partitions = 1}));
  for (int i = 0; i < 10; ++i) ok(the_bus().publish("orders", record{std::to_string(i)}));
  {
    consumer_options o;
    o.reset = offset_reset::earliest;
    o.poll_records_max = 4;
    auto reader = ok(the_bus().join("audit", {"orders"}, o));
    EXPECT_EQ(ok(reader.poll(at_once)).size(), 4U);
    ok(reader.commit());
  }
  maintain();
  ok(the_bus().publish("orders", record{"10"}));
  auto reader = join("audit", {"orders"});
  EXPECT_EQ(poll_all(reader), (std::vector<std::string>{"4", "5", "6", "7", "8", "9", "10"}));
}

TEST_F(Sealing, KeepsReadingWhileItMovesRecordsFromUnderTheReader) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  std::vector<std::string> sent;
  const auto send = [&](int n) {
    for (int i = 0; i < n; ++i) {
      sent.push_back(value_of(static_cast<unsigned>(sent.size())));
      ok(orders.publish(record{sent.back()}));
    }
  };
  send(20);
  auto pass = ok(the_bus().replay("orders", {.bytes_max = 200}));
  std::vector<std::string> seen;
  for (int round = 0; round < 30; ++round) {
    for (const auto& r : ok(pass.next())) seen.emplace_back(r.value());
    if (round % 3 == 0) maintain();
    send(3);
  }
  for (auto batch = ok(pass.next()); !batch.empty(); batch = ok(pass.next())) {
    for (const auto& r : batch) seen.emplace_back(r.value());
  }
  EXPECT_EQ(seen, sent);
}

TEST_F(Sealing, FindsTheFirstRecordAtATime) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  std::vector<timestamp> times;
  for (unsigned i = 0; i < 300; ++i) {
    the_clock().advance(std::chrono::milliseconds{10});
    times.push_back(ok(orders.publish(partition_id{i % 2}, record{std::to_string(i)})).time);
    if (i == 120 || i == 200) maintain();
  }
  for (const unsigned i : {0U, 1U, 57U, 119U, 120U, 121U, 199U, 200U, 201U, 298U}) {
    const auto from = read_all(ok(the_bus().replay("orders", {.from = times[i]})));
    ASSERT_EQ(from.size(), 300 - i);
    EXPECT_EQ(from.front(), std::to_string(i));
    const auto of_partition =
        read_all(ok(the_bus().replay("orders", {.from = times[i], .partition = partition_id{0}})));
    EXPECT_EQ(of_partition.front(), std::to_string(i + i % 2));
  }
}

TEST_F(Sealing, KeepsRecordsLargerThanABatch) {
  std::vector<std::string> sent;
  for (const std::size_t size : {10UL, 70'000UL, 65'400UL, 1'000'000UL, 3UL}) {
    sent.emplace_back(size, static_cast<char>('a' + sent.size()));
    ok(the_bus().publish(topic_of("orders"), record{sent.back()}));
  }
  maintain();
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), sent);
  EXPECT_TRUE(check().problems.empty());
}

TEST_F(Sealing, LeavesReferencesOfQueuesWhole) {
  ok(the_bus().declare_exchange("alerts"));
  ok(the_bus().declare_queue("desk"));
  ok(the_bus().bind("alerts", "desk", "#"));
  for (int i = 0; i < 5; ++i) ok(the_bus().publish("alerts", "north", record{std::to_string(i)}));
  maintain();
  ok(the_bus().publish("alerts", "north", record{"5"}));
  reopen();
  auto desk = ok(the_bus().consume("desk"));
  EXPECT_EQ(receive_all(desk), (std::vector<std::string>{"0", "1", "2", "3", "4", "5"}));
}

TEST_F(Sealing, ShowsItsRecordsToAttachedReaders) {
  auto orders = ok(the_bus().declare_topic("orders"));
  ok(orders.publish(record{"a"}));
  maintain();
  ok(orders.publish(record{"b"}));
  close();
  auto attached = ok(attachment::open(store()));
  EXPECT_EQ(read_all(ok(attached.replay("orders"))), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ok(attached.topics())[0].partitions[0].end, offset{2});
}

TEST_F(Sealing, KeepsViewsWhenTheBusIsClosed) {
  ok(the_bus().publish(topic_of("orders"), record{"a"}));
  maintain();
  auto pass = std::make_optional(ok(the_bus().replay("orders")));
  const auto batch = ok(pass->next());
  pass.reset();
  close();
  for (const auto& file : segment_files()) fs::remove(file);
  EXPECT_EQ(batch.begin()->value(), "a");
}

TEST_F(Sealing, RemovesFilesThatTheCatalogueDoesNotName) {
  ok(the_bus().publish(topic_of("orders"), record{"a"}));
  maintain();
  const auto before = segment_files();
  ASSERT_EQ(before.size(), 1U);
  close();
  fs::copy_file(before[0], store() / "segments" / "00000009.seg");
  fs::copy_file(before[0], store() / "segments" / "0000000a.new");
  reopen();
  EXPECT_EQ(segment_files(), before);
  ok(the_bus().publish("orders", record{"b"}));
  maintain();
  EXPECT_EQ(segment_files().back().filename(), "0000000b.seg") << "a name is never used twice";
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Sealing, ReportsADamagedSegmentAndReadsTheRest) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  for (int i = 0; i < 3; ++i) ok(orders.publish(partition_id{0}, record{"here is the spoilt text"}));
  for (int i = 0; i < 3; ++i) ok(orders.publish(partition_id{1}, record{"good"}));
  maintain();
  close();
  spoil_text(segment_files().at(0), "spoilt");
  reopen();
  auto pass = ok(the_bus().replay("orders", {.partition = partition_id{0}}));
  const auto refused = pass.next();
  ASSERT_THAT(refused, fails_with(errc::damaged));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("topic 'orders' partition 0 offsets 0 to 2"));
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.partition = partition_id{1}}))).size(), 3U);
  const auto report = check();
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_EQ(report.problems[0].where, "topic 'orders' partition 0 offsets 0 to 2");
}

TEST_F(Sealing, ReportsAMissingSegment) {
  ok(the_bus().publish(topic_of("orders"), record{"a"}));
  maintain();
  close();
  fs::remove(segment_files().at(0));
  reopen();
  auto pass = ok(the_bus().replay("orders"));
  EXPECT_THAT(pass.next(), fails_with(errc::damaged));
  EXPECT_EQ(check().problems.size(), 1U);
}

TEST_F(Sealing, BoundsTheJournalByMakingThePublisherSeal) {
  close();
  bus_options o = options();
  o.journal_bytes_seal = 100'000;
  o.journal_bytes_max = 200'000;
  open(o);
  for (int i = 0; i < 100; ++i) ok(the_bus().publish(topic_of("orders"), record{std::string(10'000, 'x')}));
  EXPECT_GE(segment_files().size(), 4U);
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))).size(), 100U);
}

TEST_F(Sealing, HappensInTheBackground) {
  close();
  bus_options o = options();
  o.maintenance = maintenance_mode::background;
  o.journal_bytes_seal = 100'000;
  o.journal_bytes_max = 200'000;
  open(o);
  for (int i = 0; i < 200; ++i) ok(the_bus().publish(topic_of("orders"), record{std::string(10'000, 'x')}));
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))).size(), 200U);
  close();
  EXPECT_GE(segment_files().size(), 5U) << "publishers waited for room";
  EXPECT_TRUE(check().problems.empty());
}

TEST_F(Sealing, FailsCleanlyOnAFullDiskWhereverThatStrikesAndGoesOnWhenThereIsRoom) {
  close();
  child_process host{[&](const auto& say) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto owner = ok(bus::open(store(), options()));
    auto orders = ok(owner.declare_topic("orders", {.partitions = 2}));
    std::size_t stored = 0;
    std::size_t failures = 0;
    for (rlim_t most = 4'096; most < 400'000; most += 13'000) {
      for (int i = 0; i < 10; ++i, ++stored) ok(orders.publish(record{std::string(3'000, 'x')}));
      const struct rlimit limit { most, RLIM_INFINITY };
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
      const auto sealed = owner.maintain();
      if (!sealed) {
        ++failures;
        if (sealed.error() != errc::disk_full) {
          say(sealed.error().message());
          return 4;
        }
      }
      auto reader = ok(owner.replay("orders"));
      std::size_t read = 0;
      for (auto batch = ok(reader.next()); !batch.empty(); batch = ok(reader.next())) read += batch.size();
      if (read != stored) return 5;
      const struct rlimit enough { RLIM_INFINITY, RLIM_INFINITY };
      if (::setrlimit(RLIMIT_FSIZE, &enough) != 0) return 3;
    }
    if (failures == 0) return 6;
    ok(owner.maintain());
    ok(owner.close());
    say(std::to_string(stored));
    return 0;
  }};
  const std::string stored = host.read_line();
  ASSERT_EQ(host.wait(), 0) << stored;
  for (const auto& file : segment_files()) EXPECT_EQ(file.extension(), ".seg");
  const auto report = ok(check_store(store()));
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(std::to_string(report.records), stored);
  EXPECT_EQ(report.rows, 0U);
  EXPECT_EQ(report.segments, segment_files().size());
}

TEST_F(Sealing, LeavesItsThreadToTheParentOfAFork) {
  close();
  bus_options o = options();
  o.maintenance = maintenance_mode::background;
  o.journal_bytes_seal = 10'000;
  open(o);
  for (int i = 0; i < 20; ++i) ok(the_bus().publish(topic_of("orders"), record{std::string(1'000, 'x')}));
  child_process child{[&](const auto&) {
    const bool refused = the_bus().publish("orders", record{"x"}).error() == errc::forked;
    close();
    return refused ? 0 : 1;
  }};
  EXPECT_EQ(child.wait(), 0);
  ok(the_bus().publish("orders", record{"y"}));
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))).size(), 21U);
}

TEST_F(Sealing, RefusesABoundBelowTheThreshold) {
  bus_options o = options();
  o.journal_bytes_seal = 2;
  o.journal_bytes_max = 1;
  EXPECT_THAT(bus::open(store(), o), fails_with(errc::invalid_argument));
}

TEST(SealingInMemory, LeavesNoFiles) {
  temporary_directory directory;
  bus_options o;
  o.memory_directory = directory.path();
  o.maintenance = maintenance_mode::on_call;
  o.journal_bytes_seal = 0;
  auto memory = ok(bus::open_in_memory(o));
  auto orders = ok(memory.declare_topic("orders"));
  for (int i = 0; i < 3; ++i) {
    ok(orders.publish(record{std::to_string(i)}));
    ok(memory.maintain());
  }
  EXPECT_TRUE(fs::is_empty(directory.path()));
  auto pass = ok(memory.replay("orders"));
  std::size_t seen = 0;
  for (auto batch = ok(pass.next()); !batch.empty(); batch = ok(pass.next())) seen += batch.size();
  EXPECT_EQ(seen, 3U);
}

}  // namespace
}  // namespace levada::test
