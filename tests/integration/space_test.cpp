#include <fmt/format.h>

#include <sys/stat.h>

#include <atomic>
#include <map>
#include <thread>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using reason = space_reason;

/// What `du` counts for the files of a directory.
std::uint64_t on_disk(const fs::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& file : fs::recursive_directory_iterator{directory}) {
    struct stat info {};
    if (file.is_regular_file() && ::lstat(file.path().c_str(), &info) == 0)
      bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

std::uint64_t bytes_of(const space_report& report, reason why) {
  std::uint64_t bytes = 0;
  for (const auto& e : report.entries) {
    if (e.reason == why) bytes += e.bytes;
  }
  return bytes;
}

/// The one entry of that reason.
space_entry entry_of(const space_report& report, reason why) {
  const space_entry* found = nullptr;
  for (const auto& e : report.entries) {
    if (e.reason != why) continue;
    if (found != nullptr) ADD_FAILURE() << "there are several";
    found = &e;
  }
  if (found == nullptr) ADD_FAILURE() << "there is none";
  return found != nullptr ? *found : space_entry{};
}

/// That it adds up.
void expect_sum(const space_report& report) {
  std::uint64_t sum = 0;
  for (const auto& e : report.entries) {
    EXPECT_GT(e.bytes, 0U);
    sum += e.bytes;
  }
  EXPECT_EQ(sum, report.bytes);
  EXPECT_TRUE(std::is_sorted(report.entries.begin(), report.entries.end(),
                             [](const auto& a, const auto& b) { return a.bytes > b.bytes; }));
}

/// Records of 10,000 bytes, so that files are much larger than what they hold beside them.
class Space : public bus_fixture {
 protected:
  static constexpr std::uint64_t record_bytes = 10'000;

  Space() : bus_fixture{seals_everything} {}

  void publish(const std::string& topic, int records) {
    for (int i = 0; i < records; ++i) ok(the_bus().publish(topic, record{std::string(record_bytes, 'x')}));
  }
  void publish_sealed(const std::string& topic, int records) {
    publish(topic, records);
    maintain();
  }
  /// What the bus tells, which must add up to what the files take.
  [[nodiscard]] space_report space() {
    auto report = ok(the_bus().space());
    expect_sum(report);
    EXPECT_EQ(report.bytes, on_disk(store()) + bytes_of(report, reason::held_view));
    return report;
  }
  [[nodiscard]] std::uint64_t space_of(reason why) { return bytes_of(space(), why); }
};

TEST_F(Space, OfAnEmptyStoreIsBookkeepingAndFreePages) {
  const auto report = space();
  EXPECT_GT(report.bytes, 0U);
  EXPECT_EQ(bytes_of(report, reason::bookkeeping) + bytes_of(report, reason::free_pages), report.bytes);
}

TEST_F(Space, IsTakenByWhatHasNoLimit) {
  ok(the_bus().declare_topic("orders"));
  ok(the_bus().declare_topic("notes"));
  publish_sealed("orders", 50);
  publish_sealed("notes", 10);
  const auto report = space();
  std::map<std::string, std::uint64_t> kept;
  for (const auto& e : report.entries) {
    if (e.reason == reason::no_limit) kept[e.topic] = e.bytes;
  }
  EXPECT_GE(kept["orders"], 50 * record_bytes);
  EXPECT_LT(kept["orders"], 55 * record_bytes);
  EXPECT_GE(kept["notes"], 10 * record_bytes);
  EXPECT_LT(kept["notes"], 12 * record_bytes);
  EXPECT_EQ(bytes_of(report, reason::within_limits), 0U);
}

TEST_F(Space, IsTakenByWhatLimitsKeep) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 20}}));
  for (int i = 0; i < 5; ++i) publish_sealed("orders", 10);
  const auto kept = entry_of(space(), reason::within_limits);
  EXPECT_EQ(kept.topic, "orders");
  EXPECT_GE(kept.bytes, 20 * record_bytes);
  EXPECT_LT(kept.bytes, 25 * record_bytes);
  EXPECT_EQ(space_of(reason::no_limit), 0U);
  ok(the_bus().set_retention("orders", {}));
  EXPECT_EQ(space_of(reason::within_limits), 0U);
  EXPECT_GE(space_of(reason::no_limit), 20 * record_bytes);
}

TEST_F(Space, OfTheJournalIsToldByTopicUntilItIsSealed) {
  ok(the_bus().declare_topic("orders"));
  publish("orders", 30);
  const auto waiting = entry_of(space(), reason::awaits_sealing);
  EXPECT_EQ(waiting.topic, "orders");
  EXPECT_GE(waiting.bytes, 30 * record_bytes);
  EXPECT_LT(waiting.bytes, 40 * record_bytes);
  maintain();
  const auto sealed = space();
  EXPECT_EQ(bytes_of(sealed, reason::awaits_sealing), 0U);
  EXPECT_GE(bytes_of(sealed, reason::free_pages), 25 * record_bytes);
  EXPECT_GE(bytes_of(sealed, reason::no_limit), 30 * record_bytes);
}

TEST_F(Space, HeldByAQueueIsToldWithItsOldestMessage) {
  ok(the_bus().declare_exchange("alerts", {.retention = {.records = 1}}));
  for (const char* queue : {"brisk", "slow"}) {
    ok(the_bus().declare_queue(queue));
    ok(the_bus().bind("alerts", queue, "#"));
  }
  const auto publish_three = [&] {
    for (int i = 0; i < 3; ++i)
      ok(the_bus().publish("alerts", "north", record{std::string(record_bytes, 'x')}));
    maintain();
  };
  for (int i = 0; i < 3; ++i) publish_three();
  auto brisk = ok(the_bus().consume("brisk"));
  auto slow = ok(the_bus().consume("slow"));
  const auto settle = [&](queue_consumer& c, int messages) {
    for (int i = 0; i < messages; ++i) ok(c.ack(ok(c.receive(at_once))->tag()));
  };
  settle(brisk, 4);
  settle(slow, 1);
  maintain();
  const auto held = entry_of(space(), reason::queue_reference);
  EXPECT_EQ(held.topic, "alerts");
  EXPECT_EQ(held.holder, "slow");
  EXPECT_EQ(held.partition, partition_id{0});
  EXPECT_EQ(held.oldest, offset{1});
  EXPECT_GE(held.bytes, 5 * record_bytes - 4096);
  settle(slow, 5);
  maintain();
  EXPECT_EQ(entry_of(space(), reason::queue_reference).holder, "brisk");
  settle(brisk, 5);
  settle(slow, 3);
  maintain();
  EXPECT_EQ(space_of(reason::queue_reference), 0U);
  EXPECT_GE(space_of(reason::within_limits), 3 * record_bytes);
}

TEST_F(Space, HeldByAGroupIsToldWithWhereItStands) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 10, .wait_for_readers = true}}));
  publish_sealed("orders", 10);
  ok(join("audit", {"orders"}).commit({"orders", partition_id{0}}, offset{7}));
  for (int i = 0; i < 2; ++i) publish_sealed("orders", 10);
  const auto report = space();
  const auto held = entry_of(report, reason::lagging_group);
  EXPECT_EQ(held.topic, "orders");
  EXPECT_EQ(held.holder, "audit");
  EXPECT_EQ(held.partition, partition_id{0});
  EXPECT_EQ(held.oldest, offset{7});
  EXPECT_GE(held.bytes, 13 * record_bytes - 4096);
  EXPECT_LT(held.bytes, 15 * record_bytes);
  const auto dead = entry_of(report, reason::awaits_rewriting);
  EXPECT_EQ(dead.topic, "orders") << "seven records of the first segment are of no use";
  EXPECT_GE(dead.bytes, 7 * record_bytes - 4096);
  ok(join("audit", {"orders"}).commit({"orders", partition_id{0}}, offset{30}));
  EXPECT_EQ(space_of(reason::lagging_group), 0U) << "before maintenance comes by";
  maintain();
  EXPECT_EQ(space_of(reason::awaits_rewriting), 0U);
}

TEST_F(Space, HeldByAJobIsTold) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 10, .wait_for_readers = true}}));
  publish_sealed("orders", 10);
  close();
  ok(ok(ok(attachment::open(store())).open_job("report", "orders")).checkpoint());
  open();
  for (int i = 0; i < 2; ++i) publish_sealed("orders", 10);
  const auto held = entry_of(space(), reason::lagging_job);
  EXPECT_EQ(held.holder, "report");
  EXPECT_EQ(held.oldest, offset{0});
  EXPECT_GE(held.bytes, 20 * record_bytes);
  ok(the_bus().remove_job("report"));
  maintain();
  EXPECT_EQ(space_of(reason::lagging_job), 0U);
}

TEST_F(Space, OfWhatLiesInSegmentsThatAreStillNeededAwaitsRewriting) {
  ok(the_bus().declare_topic("orders"));
  publish_sealed("orders", 40);
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{10}));
  maintain();
  const auto dead = entry_of(space(), reason::awaits_rewriting);
  EXPECT_EQ(dead.topic, "orders");
  EXPECT_GE(dead.bytes, 10 * record_bytes - 4096);
  EXPECT_LT(dead.bytes, 12 * record_bytes);
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{40}));
  maintain();
  EXPECT_EQ(space_of(reason::awaits_rewriting), 0U);
}

TEST_F(Space, OfADeletedTopicIsNobodysUntilMaintenanceComesBy) {
  ok(the_bus().declare_topic("orders"));
  publish_sealed("orders", 40);
  ok(the_bus().delete_topic("orders"));
  const auto dead = entry_of(space(), reason::awaits_rewriting);
  EXPECT_EQ(dead.topic, "");
  EXPECT_GE(dead.bytes, 40 * record_bytes);
  maintain();
  EXPECT_EQ(space_of(reason::awaits_rewriting), 0U);
}

TEST_F(Space, OfDroppedSegmentsAwaitsACheckpoint) {
  close();
  bus_options o = options();
  o.durability = checkpointed{1h};
  open(o);
  ok(the_bus().declare_topic("orders"));
  publish_sealed("orders", 20);
  ok(the_bus().sync());
  EXPECT_EQ(space_of(reason::awaits_checkpoint), 0U);
  ok(the_bus().delete_topic("orders"));
  maintain();
  EXPECT_GE(space_of(reason::awaits_checkpoint), 20 * record_bytes);
  ok(the_bus().sync());
  EXPECT_EQ(space_of(reason::awaits_checkpoint), 0U);
}

TEST_F(Space, OfDroppedSegmentsIsHeldByBatchesAndPasses) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 1}}));
  publish_sealed("orders", 20);
  {
    auto pass = ok(the_bus().replay("orders"));
    const auto batch = ok(pass.next());
    ASSERT_FALSE(batch.empty());
    publish_sealed("orders", 1);
    const auto held = entry_of(space(), reason::held_view);
    EXPECT_EQ(held.topic, "orders");
    EXPECT_GE(held.bytes, 20 * record_bytes);
  }
  EXPECT_EQ(space_of(reason::held_view), 0U) << "nothing but who reads it keeps a file open";
}

TEST_F(Space, OfSegmentsThatHaveBeenReadIsGivenBackWhenTheyAreDropped) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 1}}));
  publish_sealed("orders", 20);
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.until = until_latest{}}))).size(), 20U);
  publish_sealed("orders", 1);
  EXPECT_EQ(space_of(reason::held_view), 0U);
}

TEST_F(Space, IsToldAlikeByAttachments) {
  ok(the_bus().declare_topic("orders", {.retention = {.records = 10, .wait_for_readers = true}}));
  ok(the_bus().declare_topic("notes"));
  publish_sealed("orders", 10);
  ok(join("audit", {"orders"}).commit({"orders", partition_id{0}}, offset{7}));
  for (int i = 0; i < 2; ++i) publish_sealed("orders", 10);
  publish("notes", 5);
  const auto mine = space();
  child_process child{[this](const auto& say) {
    for (const auto& e : ok(ok(attachment::open(store())).space()).entries) {
      if (e.reason != reason::bookkeeping && e.reason != reason::free_pages)
        say(fmt::format("{} {} {} {}", static_cast<int>(e.reason), e.topic, e.holder, e.bytes));
    }
    return 0;
  }};
  for (const auto& e : mine.entries) {
    if (e.reason == reason::bookkeeping || e.reason == reason::free_pages) continue;
    EXPECT_EQ(child.read_line(),
              fmt::format("{} {} {} {}", static_cast<int>(e.reason), e.topic, e.holder, e.bytes));
  }
  EXPECT_EQ(child.read_line(), "");
  close();
  const auto theirs = ok(ok(attachment::open(store())).space());
  expect_sum(theirs);
  EXPECT_EQ(theirs.bytes, on_disk(store()));
  EXPECT_EQ(entry_of(theirs, reason::lagging_group).holder, "audit");
}

TEST_F(Space, AddsUpWhateverHappens) {
  for (const char* topic : {"a", "b", "c"}) ok(the_bus().declare_topic(topic, {.partitions = 3}));
  ok(the_bus().set_retention("b", {.bytes = 100'000}));
  ok(the_bus().set_compression("c", compression::zstd));
  for (int round = 0; round < 12; ++round) {
    for (const char* topic : {"a", "b", "c"}) publish(topic, 3);
    if (round % 2 == 0) maintain();
    if (round == 7) ok(the_bus().delete_topic("a"));
    if (round == 7) ok(the_bus().declare_topic("a", {.partitions = 2}));
    if (round == 9) reopen();
    EXPECT_GT(space().entries.size(), 2U);
  }
}

TEST_F(Space, AddsUpWhileTheBusIsAtWork) {
  close();
  bus_options o = options();
  o.clock = nullptr;
  o.maintenance = maintenance_mode::background;
  o.journal_bytes_seal = 200'000;
  open(o);
  ok(the_bus().declare_topic("orders", {.retention = {.records = 100}}));
  std::atomic<bool> stop{false};
  std::thread publishing{[&] {
    while (!stop) publish("orders", 5);
  }};
  for (int i = 0; i < 50; ++i) expect_sum(ok(the_bus().space()));
  stop = true;
  publishing.join();
}

TEST(SpaceInMemory, IsToldOfFilesWithoutNames) {
  bus_options o;
  o.maintenance = maintenance_mode::on_call;
  seals_everything(o);
  auto memory = ok(bus::open_in_memory(o));
  ok(memory.declare_topic("orders", {.retention = {.records = 1}}));
  const auto publish = [&](int records) {
    for (int i = 0; i < records; ++i) ok(memory.publish("orders", record{std::string(10'000, 'x')}));
    ok(memory.maintain());
  };
  publish(20);
  auto report = ok(memory.space());
  expect_sum(report);
  EXPECT_GE(bytes_of(report, reason::within_limits), 200'000U);
  {
    const auto batch = ok(ok(memory.replay("orders")).next());
    publish(1);
    report = ok(memory.space());
    expect_sum(report);
    EXPECT_GE(bytes_of(report, reason::held_view), 200'000U);
    EXPECT_LT(bytes_of(report, reason::within_limits), 20'000U);
  }
  report = ok(memory.space());
  expect_sum(report);
  EXPECT_EQ(bytes_of(report, reason::held_view), 0U);
  ok(memory.close());
  EXPECT_THAT(memory.space(), fails_with(errc::closed));
}

}  // namespace
}  // namespace levada::test
