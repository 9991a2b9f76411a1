#include <fmt/format.h>

#include <random>

#include <support/bus_fixture.hpp>
#include <support/file_bytes.hpp>

namespace levada::test {
namespace {

/// A store whose bytes are changed behind its back.
class Damage : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }
  [[nodiscard]] std::filesystem::path data_file() const { return store() / "main" / "data.mdb"; }

  temporary_directory directory_;
};

TEST_F(Damage, OfARecordIsFoundByReadingAndByChecking) {
  {
    auto owner = ok(bus::open(store()));
    ok(owner.declare_topic("orders"));
    for (const char* value : {"before the damage", "needle in the journal", "after the damage"}) {
      ok(owner.publish("orders", record{value}));
    }
  }
  spoil_text(data_file(), "needle");

  const auto report = ok(check_store(store()));
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_THAT(report.problems[0].where, ::testing::HasSubstr("topic 'orders' partition 0 offset 1"));
  EXPECT_THAT(report.problems[0].what, ::testing::HasSubstr("checksum"));

  auto owner = ok(bus::open(store()));
  consumer_options from_start;
  from_start.reset = offset_reset::earliest;
  auto reader = ok(owner.join("g", {"orders"}, from_start));
  const auto first = ok(reader.poll(std::chrono::milliseconds{0}));
  ASSERT_EQ(first.size(), 1U) << "what stands before the damage is still delivered";
  const auto second = reader.poll(std::chrono::milliseconds{0});
  ASSERT_THAT(second, fails_with(errc::damaged));
  EXPECT_THAT(second.error().message(), ::testing::HasSubstr("offset 1"));
  ok(reader.seek({"orders", partition_id{0}}, offset{2}));
  EXPECT_EQ(ok(reader.poll(std::chrono::milliseconds{0})).begin()->value(), "after the damage");
}

/// Three segments with some records of each of three partitions, one of which is gone.
class LostSegments : public Damage {
 protected:
  [[nodiscard]] static bus_options sealing() {
    bus_options o;
    o.maintenance = maintenance_mode::on_call;
    o.journal_bytes_seal = 0;
    return o;
  }
  void fill_and_lose(const char* segment) {
    {
      auto owner = ok(bus::open(store(), sealing()));
      auto orders = ok(owner.declare_topic("orders", {.partitions = 2}));
      auto other = ok(owner.declare_topic("other"));
      for (int i = 0; i < 12; ++i) {
        ok(orders.publish(partition_id{i % 3 == 0 ? 1U : 0U}, record{fmt::format("order {}", i)}));
        if (i % 2 == 0) ok(other.publish(record{fmt::format("other {}", i)}));
        if (i % 4 == 3) ok(owner.maintain());
      }
    }
    ASSERT_TRUE(std::filesystem::remove(store() / "segments" / segment));
  }
  /// What is read, failures in brackets.
  static std::vector<std::string> read(replay pass) {
    std::vector<std::string> all;
    while (!pass.ended() && all.size() < 100) {
      const auto batch = pass.next();
      if (!batch) {
        EXPECT_THAT(batch, fails_with(errc::damaged));
        all.push_back(fmt::format("[{}]", batch.error().message()));
        continue;
      }
      for (const auto& r : *batch) all.emplace_back(r.value());
    }
    return all;
  }
};

TEST_F(LostSegments, AreReportedOnceByAPassThatGoesOnBehindThem) {
  fill_and_lose("00000001.seg");
  auto owner = ok(bus::open(store(), sealing()));
  const std::string missing = "their segment's file is missing";
  EXPECT_THAT(read(ok(owner.replay("orders", {.until = until_latest{}}))),
              ::testing::ElementsAre(::testing::HasSubstr("'orders' partition 0 offsets 0 to 1: " + missing),
                                     ::testing::HasSubstr("'orders' partition 1 offsets 0 to 1: " + missing),
                                     "order 4", "order 5", "order 6", "order 7", "order 8", "order 9",
                                     "order 10", "order 11"));
  EXPECT_THAT(read(ok(owner.replay("orders", {.until = until_latest{}, .partition = partition_id{1}}))),
              ::testing::ElementsAre(::testing::HasSubstr("'orders' partition 1 offsets 0 to 1: " + missing),
                                     "order 6", "order 9"));
  const auto all = read(ok(owner.replay_all({.until = until_latest{}})));
  ASSERT_EQ(all.size(), 3U + 8U + 4U);
  EXPECT_THAT(all[2], ::testing::HasSubstr("'other' partition 0 offsets 0 to 1: " + missing));
  EXPECT_EQ(all[3], "order 4");
}

TEST_F(LostSegments, InTheMiddleOfAPassAreReportedBehindWhatComesBefore) {
  fill_and_lose("00000002.seg");
  auto owner = ok(bus::open(store(), sealing()));
  const auto read_all = read(ok(owner.replay("orders", {.until = until_latest{}})));
  std::vector<std::string> records;
  std::size_t failures = 0;
  for (const auto& line : read_all) {
    if (line.starts_with("[")) {
      ++failures;
    } else {
      records.push_back(line);
    }
  }
  EXPECT_EQ(failures, 2U);
  EXPECT_THAT(records, ::testing::ElementsAre("order 0", "order 1", "order 2", "order 3", "order 8",
                                              "order 9", "order 10", "order 11"));
  attachment outside = [&] {
    ok(owner.close());
    return ok(attachment::open(store()));
  }();
  EXPECT_EQ(read(ok(outside.replay("orders", {.until = until_latest{}}))), read_all);
}

TEST_F(Damage, AtRandomNeverCrashesACheckAndNeverPassesForData) {
  constexpr int count = 300;
  {
    auto owner = ok(bus::open(store()));
    auto orders = ok(owner.declare_topic("orders"));
    auto batch = orders.make_batch();
    for (int i = 0; i < count; ++i) ok(batch.add("value-" + std::to_string(i)));
    ok(orders.publish(batch));
  }
  const std::string whole = read_file(data_file());
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random{seed};
  int found = 0;
  for (int round = 0; round < 60; ++round) {
    std::string bytes = whole;
    const auto at = std::uniform_int_distribution<std::size_t>{0, bytes.size() - 1}(random);
    if (round % 3 == 0) {
      const std::size_t page = at / 4096 * 4096;
      bytes.replace(page, 4096, std::string(4096, static_cast<char>(round)));
    } else {
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (round % 8)));
    }
    write_file(data_file(), bytes);
    const auto report = check_store(store());
    if (!report || !report->problems.empty()) {
      ++found;
      continue;
    }
    // Not found: then it hit what nobody reads.
    auto owner = ok(bus::open(store()));
    int next = 0;
    auto reader = ok(owner.replay("orders"));
    for (auto got = ok(reader.next()); !got.empty(); got = ok(reader.next())) {
      for (const auto& r : got) EXPECT_EQ(r.value(), "value-" + std::to_string(next++));
    }
    EXPECT_TRUE(next == count || next == 0) << next;
  }
  EXPECT_GT(found, 10);
}

}  // namespace
}  // namespace levada::test
