#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <ostream>
#include <random>
#include <set>

#include <support/child_process.hpp>
#include <support/file_bytes.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include "damaged_store.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string text_of(const repair_report& report) {
  std::string text;
  for (const auto& r : report.records) {
    text += fmt::format("{} {} [{}, {}): {}\n", r.where.topic, r.where.partition.value(), r.first.value(),
                        r.end.value(), r.why);
  }
  for (const auto& v : report.values)
    text += fmt::format("{} {}: {}\n", v.table, v.key ? v.key->text() : "?", v.why);
  for (const auto& m : report.messages) text += fmt::format("{}: {} messages\n", m.queue, m.count);
  return text + fmt::format("{} segments, {} rows\n", report.segments, report.rows);
}

void expect_sound(const fs::path& store) {
  for (const auto& p : ok(check_store(store)).problems) ADD_FAILURE() << p.where << ": " << p.what;
}

/// How damage is done to a store.
using damage_function = std::function<void(const fs::path& store, std::mt19937& random)>;

std::size_t any(std::mt19937& random, std::size_t count) {
  return std::uniform_int_distribution<std::size_t>{0, count - 1}(random);
}
char other_than(char c, std::mt19937& random) {
  return static_cast<char>(c ^ static_cast<char>(1 + any(random, 255)));
}
fs::path any_segment(const fs::path& store, std::mt19937& random) {
  const auto files = segments_of(store);
  return files[any(random, files.size())];
}
auto some_of(std::mt19937& random, std::size_t most) {
  return [&random, most](std::size_t count) {
    std::set<std::size_t> chosen;
    const std::size_t wanted = 1 + any(random, most);
    while (chosen.size() < wanted) chosen.insert(any(random, count));
    return std::vector<std::size_t>{chosen.begin(), chosen.end()};
  };
}
auto spoil_a_byte(std::mt19937& random) {
  return [&random](std::string& value) {
    char& c = value[any(random, value.size())];
    c = other_than(c, random);
  };
}

void spoil_segment(const fs::path& store, std::mt19937& random) {
  const auto file = any_segment(store, random);
  std::string bytes = read_file(file);
  spoil_a_byte(random)(bytes);
  write_file(file, bytes);
}
void spoil_page_of_segment(const fs::path& store, std::mt19937& random) {
  const auto file = any_segment(store, random);
  std::string bytes = read_file(file);
  const std::size_t page = any(random, bytes.size() / 4096) * 4096;
  for (std::size_t i = 0; i < 4096; ++i) bytes[page + i] = static_cast<char>(random());
  write_file(file, bytes);
}
void cut_segment(const fs::path& store, std::mt19937& random) {
  const auto file = any_segment(store, random);
  fs::resize_file(file, any(random, fs::file_size(file)));
}
void remove_segment(const fs::path& store, std::mt19937& random) {
  fs::remove(any_segment(store, random));
}
void spoil_row(const fs::path& store, std::mt19937& random) {
  change_values(store, table::journal, some_of(random, 1), spoil_a_byte(random));
}
void spoil_rows(const fs::path& store, std::mt19937& random) {
  change_values(store, table::journal, some_of(random, 12), spoil_a_byte(random));
}
void spoil_queue(const fs::path& store, std::size_t rows, std::mt19937& random) {
  change_values(store, table::queues, some_of(random, rows), spoil_a_byte(random));
}
void spoil_everything(const fs::path& store, std::mt19937& random) {
  spoil_segment(store, random);
  cut_segment(store, random);
  spoil_rows(store, random);
}

class Repairing : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path original() const { return directory_ / "original"; }
  [[nodiscard]] fs::path store() const { return directory_ / "store"; }
  [[nodiscard]] const store_picture& whole() const { return whole_; }
  [[nodiscard]] std::mt19937& random() { return random_; }

  void fill(compression how = compression::none) {
    fill_store(original(), how);
    whole_ = look_at(original());
    expect_sound(original());
  }
  void copy_original() const {
    fs::remove_all(store());
    fs::copy(original(), store(), fs::copy_options::recursive);
  }

  /// Repairs the damaged store, and looks at everything that is promised of it. Without `exact`, records at
  /// the ends of partitions may be lost that nothing in the store tells of.
  repair_report repair_and_look(bool exact = true) {
    const auto before = bytes_of(store());
    const auto foreseen = ok(repair_store(store(), {.dry_run = true}));
    EXPECT_EQ(bytes_of(store()), before) << "a dry run changes nothing";
    auto report = ok(repair_store(store()));
    EXPECT_EQ(text_of(report), text_of(foreseen));
    SCOPED_TRACE(text_of(report));
    expect_sound(store());
    EXPECT_TRUE(ok(repair_store(store())).sound()) << "what has been repaired is sound";

    const auto after = look_at(store());
    auto expected = without(whole_, report);
    std::uint64_t lost_messages = 0;
    for (const auto& m : report.messages) lost_messages += m.count;
    std::size_t messages_before = 0;
    std::size_t messages_after = 0;
    for (const auto& [queue, messages] : whole_.messages) messages_before += messages.size();
    for (const auto& [queue, messages] : after.messages) messages_after += messages.size();
    if (counts_are_exact_) {
      EXPECT_EQ(messages_after + lost_messages, messages_before);
    } else {
      EXPECT_GE(messages_after + lost_messages, messages_before);
    }
    EXPECT_EQ(after.committed, expected.committed);
    EXPECT_EQ(after.values, expected.values);
    if (exact) {
      EXPECT_EQ(after.ends, whole_.ends);
    } else {
      for (auto& [where, records] : expected.records)
        records.erase(records.lower_bound(after.ends.at(where)), records.end());
    }
    for (const auto& [where, records] : expected.records) {
      EXPECT_TRUE(after.records.at(where) == records)
          << where.first << " " << where.second << ": " << after.records.at(where).size() << " records, not "
          << records.size();
    }
    if (blocks_are_sound_) {
      EXPECT_TRUE(after.messages == expected.messages);
    }
    go_on(after);
    return report;
  }
  void blocks_may_be_lost(bool counts_are_exact) {
    blocks_are_sound_ = false;
    counts_are_exact_ = counts_are_exact;
  }

  /// What comes after a repair works as ever.
  void go_on(store_picture expected) const {
    {
      auto owner = ok(bus::open(store(), sealing_options()));
      for (const auto& [where, end] : expected.ends) {
        const std::string value = fmt::format("new in {} {}", where.first, where.second);
        if (where.first == "events") {
          EXPECT_EQ(ok(owner.publish("events", "job.x", record{value})).offset.value(), end);
          for (const char* queue : {"work", "audit"}) expected.messages[queue].push_back(value);
        } else {
          auto topic = ok(owner.topic(where.first));
          EXPECT_EQ(ok(topic.publish(partition_id{where.second}, record{value})).offset.value(), end);
        }
        expected.records[where].emplace(end, value);
      }
      for (auto& [where, end] : expected.ends) ++end;
      ok(owner.maintain());
      ok(owner.maintain());
      ok(owner.close());
    }
    expect_sound(store());
    auto after = look_at(store());
    // Maintenance compacts on.
    after.records.erase({"state", 0});
    expected.records.erase({"state", 0});
    EXPECT_TRUE(after.records == expected.records);
    EXPECT_EQ(after.ends, expected.ends);
    EXPECT_TRUE(after.messages == expected.messages);
    auto owner = ok(bus::open(store(), sealing_options()));
    auto reader = ok(owner.join("readers", {"orders", "few"}));
    std::size_t polled = 0;
    for (auto batch = ok(reader.poll(milliseconds{0})); !batch.empty();
         batch = ok(reader.poll(milliseconds{0})))
      polled += batch.size();
    EXPECT_EQ(polled, 4U) << "groups go on where they were";
    ok(owner.set_retention("orders", {.records = 1}));
    ok(owner.maintain());
  }

 private:
  temporary_directory directory_;
  store_picture whole_;
  bool blocks_are_sound_ = true;
  bool counts_are_exact_ = true;
  const std::uint32_t seed_ = std::random_device{}();
  std::mt19937 random_{seed_};
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
};

struct damage_kind {
  const char* name;
  damage_function damage;
  compression how;
  /// Whether each time something must be found.
  bool always_found;
};

void PrintTo(const damage_kind& k, std::ostream* out) {
  *out << k.name;
}

class RepairingRandomDamage : public Repairing, public ::testing::WithParamInterface<damage_kind> {};

TEST_P(RepairingRandomDamage, LosesWhatItSaysAndNothingElse) {
  constexpr int rounds = 6;
  fill(GetParam().how);
  int found = 0;
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    copy_original();
    GetParam().damage(store(), random());
    if (!repair_and_look().sound()) ++found;
  }
  if (GetParam().always_found) {
    EXPECT_EQ(found, rounds);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Of, RepairingRandomDamage,
    ::testing::Values(damage_kind{"AByteOfASegment", spoil_segment, compression::none, false},
                      damage_kind{"AByteOfAnLz4Segment", spoil_segment, compression::lz4, false},
                      damage_kind{"AByteOfAZstdSegment", spoil_segment, compression::zstd, false},
                      damage_kind{"APageOfASegment", spoil_page_of_segment, compression::none, false},
                      damage_kind{"APageOfAZstdSegment", spoil_page_of_segment, compression::zstd, false},
                      damage_kind{"ASegmentThatWasCutOff", cut_segment, compression::none, true},
                      damage_kind{"AnLz4SegmentThatWasCutOff", cut_segment, compression::lz4, true},
                      damage_kind{"AMissingSegment", remove_segment, compression::none, true},
                      damage_kind{"AByteOfARow", spoil_row, compression::none, true},
                      damage_kind{"BytesOfRows", spoil_rows, compression::lz4, true},
                      damage_kind{"Everything", spoil_everything, compression::zstd, true}),
    [](const auto& p) { return std::string{p.param.name}; });

TEST_F(Repairing, LeavesASoundStoreAsItIs) {
  fill();
  copy_original();
  const auto before = bytes_of(store());
  EXPECT_TRUE(ok(repair_store(store())).sound());
  auto after = bytes_of(store());
  // Who had it open last.
  after[(store() / "LOCK").string()] = before.at((store() / "LOCK").string());
  EXPECT_EQ(after, before);
}

TEST_F(Repairing, DropsABlockOfAQueueThatCannotBeReadAndCountsItsMessages) {
  fill();
  blocks_may_be_lost(true);
  for (int round = 0; round < 6 && !HasFailure(); ++round) {
    copy_original();
    spoil_queue(store(), 1, random());
    EXPECT_EQ(repair_and_look().messages.size(), 1U);
  }
}

TEST_F(Repairing, CountsAQueuesLossesHighRatherThanLowWhereItsStateIsLostToo) {
  fill();
  blocks_may_be_lost(false);
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    copy_original();
    spoil_queue(store(), 3, random());
    EXPECT_THAT(repair_and_look().messages, ::testing::Not(IsEmpty()));
  }
}

TEST_F(Repairing, PutsTheBytesOfAQueueRightAndLosesNothing) {
  fill();
  copy_original();
  change_bytes_of_queue(store(), "work", 1);
  const auto problems = ok(check_store(store())).problems;
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].where, "queue 'work'");
  EXPECT_THAT(problems[0].what, HasSubstr("bytes"));
  const auto report = repair_and_look();
  ASSERT_EQ(report.messages.size(), 1U);
  EXPECT_EQ(report.messages[0].queue, "work");
  EXPECT_EQ(report.messages[0].count, 0U);
  EXPECT_THAT(report.records, IsEmpty());
}

TEST_F(Repairing, DropsTheValuesOfTablesThatCannotBeReadAndNoOthers) {
  fill();
  for (int round = 0; round < 6 && !HasFailure(); ++round) {
    copy_original();
    change_values(store(), table::host, some_of(random(), 5), spoil_a_byte(random()));
    const auto lost = repair_and_look().values.size();
    EXPECT_GE(lost, 1U);
    EXPECT_LE(lost, 5U);
  }
}

TEST_F(Repairing, CopesWithMissingRows) {
  fill();
  for (int round = 0; round < 4 && !HasFailure(); ++round) {
    copy_original();
    erase_rows(store(), some_of(random(), 10));
    EXPECT_GT(repair_and_look(false).rows, 0U);
  }
}

TEST_F(Repairing, NeverGivesOffsetsAgainThatAGroupAQueueOrAJobKnows) {
  fill();
  {
    auto beside = ok(attachment::open(original()));
    auto job = ok(beside.open_job("archive", "large"));
    while (!ok(job.next()).empty()) {
    }
    ok(job.checkpoint());
  }
  copy_original();
  // The whole journal is lost. "orders" and "few" are known to the group, "events" to its queues, "large" to
  // the job.
  erase_rows(store(), [](std::size_t count) {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(i);
    return all;
  });
  const auto report = ok(repair_store(store()));
  expect_sound(store());
  const auto after = look_at(store());
  for (const auto& [where, end] : after.ends) {
    if (where.first == "orders" || where.first == "few" || where.first == "events" ||
        where.first == "large") {
      EXPECT_EQ(end, whole().ends.at(where)) << where.first;
    }
  }
  ASSERT_FALSE(report.records.empty());
  EXPECT_FALSE(report.messages.empty());
}

TEST_F(Repairing, BringsARowBackOfWhichOnlyThePlaceIsDamaged) {
  fill();
  copy_original();
  // The log's id, in the last rows of all.
  change_values(
      store(), table::journal, [](std::size_t count) { return std::vector<std::size_t>{count - 1}; },
      [](std::string& row) { row[8] = static_cast<char>(row[8] ^ 1); });
  const auto report = repair_and_look();
  EXPECT_EQ(report.rows, 1U);
  EXPECT_THAT(report.records, IsEmpty());
}

TEST_F(Repairing, TellsOfTheLastRowWhicheverByteOfItIsDamaged) {
  fill();
  // A byte of each field of the header, and of the record.
  for (const std::size_t at :
       {0U, 8U, 12U, 16U, 24U, 32U, 40U, 44U, 48U, 56U, 60U, 64U, 66U, 67U, 68U, 72U, 90U}) {
    SCOPED_TRACE("byte " + std::to_string(at));
    copy_original();
    change_values(
        store(), table::journal, [](std::size_t count) { return std::vector<std::size_t>{count - 1}; },
        [at, this](std::string& row) { row[at] = other_than(row[at], random()); });
    EXPECT_EQ(repair_and_look().rows, 1U);
    if (HasFailure()) break;
  }
}

TEST_F(Repairing, DoesNotTakeAnotherSegmentsFileForADamagedOne) {
  fill();
  copy_original();
  const auto files = segments_of(store());
  ASSERT_GT(files.size(), 1U);
  fs::copy_file(files.back(), files.front(), fs::copy_options::overwrite_existing);
  const auto report = repair_and_look();
  EXPECT_FALSE(report.records.empty());
}

TEST_F(Repairing, RefusesAMainFileWhosePagesDoNotHoldTogether) {
  fill();
  copy_original();
  std::string bytes = read_file(store() / "main" / "data.mdb");
  bytes.resize(bytes.size() / 2 / 4096 * 4096);
  write_file(store() / "main" / "data.mdb", bytes);
  EXPECT_THAT(repair_store(store(), {.dry_run = true}), fails_with(errc::damaged));
  const auto before = bytes_of(store());
  const auto refused = repair_store(store());
  ASSERT_THAT(refused, fails_with(errc::damaged));
  EXPECT_THAT(refused.error().message(), HasSubstr("data.mdb"));
  auto after = bytes_of(store());
  after[(store() / "LOCK").string()] = before.at((store() / "LOCK").string());
  EXPECT_EQ(after, before);
}

TEST_F(Repairing, RefusesADamagedCatalogueAndDamagedOffsetsOfGroupsAndSequencesOfProducers) {
  fill();
  for (const table which : {table::catalog, table::offsets, table::producers}) {
    copy_original();
    change_values(store(), which, some_of(random(), 1), spoil_a_byte(random()));
    EXPECT_THAT(ok(check_store(store())).problems, ::testing::SizeIs(1));
    EXPECT_THAT(repair_store(store(), {.dry_run = true}), fails_with(errc::damaged));
    const std::string before = read_file(store() / "main" / "data.mdb");
    EXPECT_THAT(repair_store(store()), fails_with(errc::damaged));
    EXPECT_EQ(read_file(store() / "main" / "data.mdb"), before);
  }
}

TEST_F(Repairing, IsNotNeededForASavedIndex) {
  constexpr int count = 1500;
  {
    auto owner = ok(bus::open(original()));
    auto topic = ok(owner.declare_topic("t"));
    auto batch = topic.make_batch();
    for (int i = 0; i < count; ++i) ok(batch.add(record{std::string(1000, 'x')}));
    ok(topic.publish(batch));
  }
  // It stands behind all other entries.
  change_values(
      original(), table::catalog, [](std::size_t values) { return std::vector<std::size_t>{values - 1}; },
      spoil_a_byte(random()));
  expect_sound(original());
  EXPECT_TRUE(ok(repair_store(original())).sound());
  EXPECT_EQ((look_at(original()).records.at({"t", 0}).size()), count);
}

TEST_F(Repairing, GoesBackToTheLastCheckpointFirstWhereTheSystemWentDown) {
  bus_options o = sealing_options();
  o.durability = checkpointed{std::chrono::hours{1}};
  o.boot_id = "first boot";
  {
    auto owner = ok(bus::open(original(), o));
    ok(owner.declare_topic("t"));
    ok(owner.publish("t", record{"a"}));
    ok(owner.maintain());
    ok(owner.publish("t", record{"b"}));
    ok(owner.sync());
    ok(owner.publish("t", record{"behind the checkpoint"}));
    copy_original();
    fs::permissions(store(), fs::perms::owner_all);
  }
  fs::remove(segments_of(store()).at(0));
  fs::copy(store(), original().parent_path() / "same boot", fs::copy_options::recursive);

  EXPECT_THAT(repair_store(store(), {.dry_run = true, .boot_id = "second boot"}),
              fails_with(errc::recovery_needed));
  for (int again = 0; again < 2; ++again) {
    const auto report = ok(repair_store(store(), {.boot_id = "second boot"}));
    EXPECT_EQ(report.segments, again == 0 ? 1U : 0U);
    EXPECT_EQ(report.records.size(), again == 0 ? 1U : 0U);
  }
  {
    bus_options second = sealing_options();
    second.boot_id = "second boot";
    auto owner = ok(bus::open(store(), second));
    EXPECT_EQ(ok(owner.stats()).epoch, 1U) << "offsets behind the checkpoint are given again";
  }
  expect_sound(store());
  EXPECT_THAT((look_at(store()).records.at({"t", 0})), ::testing::ElementsAre(::testing::Pair(1, "b")));

  // The process alone has died: everything is there, and no checkpoint may take the repair back.
  const auto same = original().parent_path() / "same boot";
  EXPECT_EQ(ok(repair_store(same, {.boot_id = "first boot"})).segments, 1U);
  EXPECT_FALSE(fs::exists(same / "main" / "checkpoint"));
  EXPECT_THAT((look_at(same).records.at({"t", 0})),
              ::testing::ElementsAre(::testing::Pair(1, "b"), ::testing::Pair(2, "behind the checkpoint")));
}

TEST_F(Repairing, NeedsTheStoreForItself) {
  EXPECT_THAT(repair_store(store()), fails_with(errc::store_not_found));
  EXPECT_THAT(repair_store(store(), {.dry_run = true}), fails_with(errc::store_not_found));
  const auto owner = ok(bus::open(store()));
  EXPECT_THAT(repair_store(store()), fails_with(errc::store_in_use));
  EXPECT_THAT(repair_store(store(), {.dry_run = true}), fails_with(errc::store_in_use));
}

TEST_F(Repairing, LeavesTheStoreDamagedAsBeforeOrRepairedWhereItIsKilled) {
  fill();
  copy_original();
  spoil_everything(store(), random());
  const fs::path damaged = original().parent_path() / "damaged";
  fs::copy(store(), damaged, fs::copy_options::recursive);
  const auto foreseen = text_of(ok(repair_store(store(), {.dry_run = true})));
  int before = 0;
  for (int round = 0; round < 24 && !HasFailure(); ++round) {
    fs::remove_all(store());
    fs::copy(damaged, store(), fs::copy_options::recursive);
    const bool by_size = round % 2 == 0;
    child_process child{[this, round, by_size](const std::function<void(const std::string&)>& say) {
      const rlimit none{0, 0};
      ::setrlimit(RLIMIT_CORE, &none);
      if (by_size) {
        // Writing beyond this ends the process in the middle.
        const rlimit limit{rlim_t{1} << (12 + round / 2), rlim_t{1} << (12 + round / 2)};
        ::setrlimit(RLIMIT_FSIZE, &limit);
      }
      say("begins");
      return repair_store(store()) ? 0 : 1;
    }};
    EXPECT_EQ(child.read_line(), "begins");
    if (!by_size) {
      const auto moment = std::chrono::steady_clock::now() + std::chrono::microseconds{any(random(), 20'000)};
      while (std::chrono::steady_clock::now() < moment) {
      }
      child.kill(SIGKILL);
    }
    (void)child.wait();
    const auto left = ok(repair_store(store(), {.dry_run = true}));
    if (!left.sound()) {
      ++before;
      EXPECT_EQ(text_of(left), foreseen);
    }
    EXPECT_EQ(text_of(ok(repair_store(store()))), left.sound() ? "0 segments, 0 rows\n" : foreseen);
    expect_sound(store());
  }
  EXPECT_GT(before, 0);
}

}  // namespace
}  // namespace levada::test
