#include "log/log_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "sealed_testing.hpp"

namespace levada::log::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Reads a partition on from `from`, until nothing comes.
std::vector<seen_record> read_on(log_reader& reader, const log_state& log, std::uint32_t partition,
                                 std::uint64_t& from, batch_builder::limits limits = {}) {
  std::vector<seen_record> all;
  for (;;) {
    batch_builder batch{limits};
    ok(reader.read_partition(log, partition, from, batch));
    const auto some = seen(batch.finish());
    if (some.empty()) return all;
    EXPECT_LE(some.size(), limits.records);
    all.insert(all.end(), some.begin(), some.end());
  }
}
/// Reads a pass on, until nothing comes.
std::vector<seen_record> read_on(log_reader& reader, log_pass& pass, std::uint64_t until,
                                 batch_builder::limits limits = {}) {
  std::vector<seen_record> all;
  for (;;) {
    batch_builder batch{limits};
    ok(reader.read_pass(pass, until, batch));
    const auto some = seen(batch.finish());
    if (some.empty()) return all;
    EXPECT_LE(some.size(), limits.records);
    all.insert(all.end(), some.begin(), some.end());
  }
}

class LogReader : public sealed_fixture {
 protected:
  /// Two segments, and rows in the journal behind them.
  void fill() {
    publish(orders_, 0, {"a", "b"}, 100);
    publish(orders_, 1, {"c"}, 101);
    publish(other_, 0, {"x"}, 101);
    seal_all();
    publish(orders_, 0, {"d", std::string(5000, 'e')}, 102);
    publish(orders_, 1, {"f"}, 103);
    seal_all();
    publish(orders_, 1, {"g", "h", std::string(70'000, 'i')}, 104);
    publish(other_, 0, {"y"}, 104);
    publish(orders_, 0, {"j"}, 105);
  }
  log_state& orders_ = make_log(4, "orders", 2);
  log_state& other_ = make_log(5, "other", 1);
};

TEST_F(LogReader, FindsNothingInAnEmptyStore) {
  log_reader reader{main()};
  std::uint64_t from = 0;
  EXPECT_THAT(read_on(reader, orders_, 0, from), IsEmpty());
  auto pass = pass_from(orders_, 0);
  EXPECT_THAT(read_on(reader, pass, 1), IsEmpty());
  EXPECT_EQ(ok(reader.find_time(orders_, 0, 0)), 0U);
}

TEST_F(LogReader, GoesFromSegmentsToTheJournalFromEveryOffset) {
  fill();
  for (const bool erased : {false, true}) {
    if (erased) erase_sealed_rows();
    for (std::uint32_t p = 0; p < 2; ++p) {
      for (std::uint64_t offset = 0; offset <= orders_.end(p); ++offset) {
        for (const std::size_t records : {std::size_t{1}, std::size_t{2}, std::size_t{3}, SIZE_MAX}) {
          log_reader reader{main()};
          std::uint64_t from = offset;
          ASSERT_EQ(read_on(reader, orders_, p, from, {.records = records}), expected(orders_, p, offset));
          ASSERT_EQ(from, orders_.end(p));
        }
      }
    }
  }
}

TEST_F(LogReader, GathersRecordsOfSegmentsAndJournalInOneBatch) {
  fill();
  log_reader reader{main()};
  std::uint64_t from = 0;
  batch_builder batch{{}};
  ok(reader.read_partition(orders_, 1, from, batch));
  EXPECT_EQ(seen(batch.finish()), expected(orders_, 1));
  auto pass = pass_from(orders_, 1);
  ok(reader.read_pass(pass, next_sequence(), batch));
  EXPECT_EQ(seen(batch.finish()), expected_log(orders_, 1, next_sequence()));
}

TEST_F(LogReader, GoesFromSegmentsToTheJournalFromEveryRow) {
  fill();
  erase_sealed_rows();
  for (std::uint64_t first = 0; first <= next_sequence(); ++first) {
    // Ends within the last record's rows say nothing new.
    for (std::uint64_t until = first; until <= std::min<std::uint64_t>(next_sequence(), 16); ++until) {
      for (const std::size_t bytes : {std::size_t{1}, std::size_t{60}, SIZE_MAX}) {
        log_reader reader{main()};
        auto pass = pass_from(orders_, first);
        ASSERT_EQ(read_on(reader, pass, until, {.bytes = bytes}), expected_log(orders_, first, until))
            << first << " to " << until;
        ASSERT_GE(pass.sequence, until) << "behind it where a record goes on";
      }
    }
  }
}

TEST_F(LogReader, PassesOverSeveralLogsFollowCommits) {
  fill();
  auto pass = pass_from(orders_, 1);
  pass.parts.push_back(pass_from(other_, 1).parts.front());
  log_reader reader{main()};
  std::vector<std::string> values;
  for (const auto& r : read_on(reader, pass, next_sequence(), {.records = 2})) {
    values.push_back(r.value.substr(0, 1));
  }
  EXPECT_EQ(values, (std::vector<std::string>{"a", "b", "c", "x", "d", "e", "f", "g", "h", "i", "y", "j"}));
}

TEST_F(LogReader, PassesEndInEachPartitionWhereTheyAreToldTo) {
  fill();
  for (std::uint64_t first = 0; first <= orders_.end(0); ++first) {
    for (std::uint64_t second = 0; second <= orders_.end(1); ++second) {
      auto pass = pass_from(orders_, 1);
      pass.parts[0].until = {first, second};
      log_reader reader{main()};
      auto all = expected_log(orders_, 1, next_sequence());
      std::erase_if(all, [&](const auto& r) { return r.offset >= pass.parts[0].until[r.partition]; });
      EXPECT_EQ(read_on(reader, pass, next_sequence(), {.records = 2}), all) << first << ", " << second;
      EXPECT_TRUE(pass.ended());
    }
  }
}

TEST_F(LogReader, PassesAreOvertakenOnceInEachPartition) {
  fill();
  auto pass = pass_from(orders_, 1);
  orders_.set_begin(0, 3);
  orders_.set_begin(1, 1);
  log_reader reader{main()};
  for (const auto* const what : {"partition 0: offsets 0 to 2 have", "partition 1: offsets 0 to 0 have"}) {
    batch_builder batch{{}};
    const auto read = reader.read_pass(pass, next_sequence(), batch);
    ASSERT_THAT(read, fails_with(errc::overtaken));
    EXPECT_THAT(read.error().message(), HasSubstr(what));
    EXPECT_EQ(batch.records(), 0U);
  }
  auto all = expected_log(orders_, 1, next_sequence());
  std::erase_if(all, [&](const auto& r) { return r.offset < (r.partition == 0 ? 3U : 1U); });
  EXPECT_EQ(read_on(reader, pass, next_sequence()), all);
}

TEST_F(LogReader, FindsTimesInSegmentsAndJournal) {
  fill();
  erase_sealed_rows();
  for (std::uint32_t p = 0; p < 2; ++p) {
    const auto all = expected(orders_, p);
    for (std::int64_t time = 99; time < 107; ++time) {
      log_reader reader{main()};
      const auto first =
          std::find_if(all.begin(), all.end(), [time](const auto& r) { return r.time >= time; });
      EXPECT_EQ(ok(reader.find_time(orders_, p, time)), first == all.end() ? all.size() : first->offset)
          << "partition " << p << " time " << time;
    }
  }
}

TEST_F(LogReader, FindsNoTimeBeforeTheBeginning) {
  fill();
  for (std::uint64_t begin = 0; begin <= orders_.end(0); ++begin) {
    orders_.set_begin(0, begin);
    const auto all = expected(orders_, 0, begin);
    for (std::int64_t time = 99; time < 107; ++time) {
      log_reader reader{main()};
      const auto first =
          std::find_if(all.begin(), all.end(), [time](const auto& r) { return r.time >= time; });
      EXPECT_EQ(ok(reader.find_time(orders_, 0, time)), first == all.end() ? orders_.end(0) : first->offset)
          << "begin " << begin << " time " << time;
    }
  }
}

TEST_F(LogReader, IsOvertakenBeforeTheBeginning) {
  fill();
  for (const std::uint64_t begin : {1U, 2U, 3U, 4U}) {
    orders_.set_begin(0, begin);
    for (std::uint64_t offset = 0; offset < begin; ++offset) {
      log_reader reader{main()};
      std::uint64_t from = offset;
      batch_builder batch{{}};
      const auto read = reader.read_partition(orders_, 0, from, batch);
      ASSERT_THAT(read, fails_with(errc::overtaken));
      EXPECT_THAT(read.error().message(),
                  HasSubstr(fmt::format("'orders' partition 0: offsets {} to {} ", offset, begin - 1)));
      EXPECT_EQ(from, offset);
      EXPECT_EQ(batch.records(), 0U);
    }
    log_reader reader{main()};
    std::uint64_t from = begin;
    EXPECT_EQ(read_on(reader, orders_, 0, from), expected(orders_, 0, begin));
  }
}

TEST_F(LogReader, IsNotOvertakenAtItsEnd) {
  fill();
  std::uint64_t from = orders_.end(0);
  orders_.set_begin(0, from);
  log_reader reader{main()};
  EXPECT_THAT(read_on(reader, orders_, 0, from), IsEmpty());
}

/// Files that are deleted under a state of the logs that does not know it.
class LostSegments : public LogReader {
 protected:
  LostSegments() {
    fill();
    std::filesystem::remove(segment_path(directory(), 1));
  }
  int calls_ = 0;
};

TEST_F(LostSegments, LetTheStateCatchUp) {
  log_reader reader{main(), [&]() -> result<void> {
                      ++calls_;
                      orders_.set_begin(0, 2);
                      orders_.drop_sealed([](const sealed_part& p) { return p.segment->entry().id == 1; });
                      return {};
                    }};
  std::uint64_t from = 0;
  batch_builder batch{{}};
  EXPECT_THAT(reader.read_partition(orders_, 0, from, batch), fails_with(errc::overtaken));
  EXPECT_EQ(calls_, 1);
  from = 2;
  EXPECT_EQ(read_on(reader, orders_, 0, from), expected(orders_, 0, 2));
}

TEST_F(LostSegments, LetTheStateCatchUpInAPassOverAllPartitions) {
  log_reader reader{main(), [&]() -> result<void> {
                      ++calls_;
                      orders_.set_begin(0, 2);
                      orders_.set_begin(1, 1);
                      orders_.drop_sealed([](const sealed_part& p) { return p.segment->entry().id == 1; });
                      return {};
                    }};
  auto pass = pass_from(orders_, 1);
  for (int partition = 0; partition < 2; ++partition) {
    batch_builder batch{{}};
    EXPECT_THAT(reader.read_pass(pass, next_sequence(), batch), fails_with(errc::overtaken));
  }
  EXPECT_EQ(read_on(reader, pass, next_sequence()), expected_log(orders_, 4, next_sequence()));
  EXPECT_EQ(calls_, 1);
}

TEST_F(LostSegments, AreDamageWhereTheStateDoesNotChange) {
  log_reader reader{main(), [&]() -> result<void> {
                      ++calls_;
                      return {};
                    }};
  std::uint64_t from = 0;
  batch_builder batch{{}};
  const auto read = reader.read_partition(orders_, 0, from, batch);
  ASSERT_THAT(read, fails_with(errc::damaged));
  EXPECT_THAT(read.error().message(), HasSubstr("'orders' partition 0 offsets 0 to 1"));
  EXPECT_EQ(calls_, 3);
  EXPECT_THAT(log_reader{main()}.find_time(orders_, 0, 100), fails_with(errc::damaged));
}

TEST_F(LostSegments, AreDamageOnceForEachPartitionOfAPass) {
  auto pass = pass_from(orders_, 1);
  for (const char* const lost :
       {"'orders' partition 0 offsets 0 to 1", "'orders' partition 1 offsets 0 to 0"}) {
    log_reader reader{main(), [&]() -> result<void> {
                        ++calls_;
                        return {};
                      }};
    batch_builder batch{{}};
    const auto read = reader.read_pass(pass, next_sequence(), batch);
    ASSERT_THAT(read, fails_with(errc::damaged));
    EXPECT_THAT(read.error().message(), HasSubstr(lost));
    EXPECT_EQ(batch.records(), 0U);
  }
  EXPECT_EQ(calls_, 6) << "each may be because the state is old";
  log_reader reader{main()};
  EXPECT_EQ(read_on(reader, pass, next_sequence()), expected_log(orders_, 4, next_sequence()));
}

TEST_F(LostSegments, PassOnWhyTheStateCannotCatchUp) {
  log_reader reader{main(), []() -> result<void> { return error{errc::closed, "closed"}; }};
  std::uint64_t from = 0;
  batch_builder batch{{}};
  EXPECT_THAT(reader.read_partition(orders_, 0, from, batch), fails_with(errc::closed));
  auto pass = pass_from(orders_, 1);
  EXPECT_THAT(reader.read_pass(pass, next_sequence(), batch), fails_with(errc::closed));
  EXPECT_THAT(pass.parts[0].next, ::testing::Each(0U)) << "nothing is passed over";
}

TEST_F(LogReader, ReadsOnWithAnOldSnapshotWhenRowsMoveIntoSegments) {
  publish(orders_, 0, {"a"}, 100);
  log_reader reader{main()};
  std::uint64_t from = 0;
  EXPECT_EQ(read_on(reader, orders_, 0, from), expected(orders_, 0));
  publish(orders_, 0, {"b"}, 100);
  EXPECT_THAT(read_on(reader, orders_, 0, from), IsEmpty()) << "committed after the snapshot";
  seal_all();
  erase_sealed_rows();
  EXPECT_EQ(read_on(reader, orders_, 0, from), expected(orders_, 0, 1));
  publish(orders_, 0, {"c"}, 100);
  auto pass = pass_from(orders_, 1);
  EXPECT_EQ(read_on(reader, pass, next_sequence()), expected_log(orders_, 1, 3));
  log_reader fresh{main()};
  EXPECT_EQ(read_on(fresh, pass, next_sequence()), expected_log(orders_, 3, 4));
}

class RandomLogReader : public random_sealed_fixture {
 protected:
  void seal_some() {
    set_own_segment_bytes(std::uint64_t{30'000} * below(3U));
    const std::uint64_t last =
        below(3U) == 0 ? next_sequence() - 1 : sealed() + below(next_sequence() - sealed());
    seal_through(last);
    if (below(2U) == 0) erase_sealed_rows();
  }
  std::int64_t any_time() {
    return 998 + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(time_ - 995)));
  }
};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomLogReader, ::testing::Range(1U, 7U));

TEST_P(RandomLogReader, ReadsPartitionsAsTheyWerePublished) {
  for (int round = 0; round < 6; ++round) {
    fill(60);
    seal_some();
    for (int i = 0; i < 15; ++i) {
      const log_state& log = *all_[below(3U)];
      const std::uint32_t p = below(log.partitions());
      std::uint64_t from = below(log.end(p) + 1);
      const auto all = expected(log, p, from);
      log_reader reader{main()};
      ASSERT_EQ(read_on(reader, log, p, from, limits()), all);
      ASSERT_EQ(from, log.end(p));
      const std::int64_t time = any_time();
      const auto every = expected(log, p);
      const auto first =
          std::find_if(every.begin(), every.end(), [time](const auto& r) { return r.time >= time; });
      ASSERT_EQ(ok(reader.find_time(log, p, time)), first == every.end() ? every.size() : first->offset);
    }
  }
}

TEST_P(RandomLogReader, ReadsLogsInCommitOrder) {
  for (int round = 0; round < 6; ++round) {
    fill(60);
    seal_some();
    for (int i = 0; i < 15; ++i) {
      const log_state& log = *all_[below(3U)];
      const std::uint64_t first = below(next_sequence() + 1);
      const std::uint64_t until =
          below(2U) == 0 ? next_sequence() : first + below(next_sequence() - first + 1);
      log_reader reader{main()};
      auto pass = pass_from(log, first);
      ASSERT_EQ(read_on(reader, pass, until, limits()), expected_log(log, first, until))
          << "from " << first << " until " << until << " sealed " << sealed();

      // One that is bounded by times.
      const std::int64_t since = any_time();
      const std::int64_t before = any_time();
      log_pass::part part{&log, {}, {}};
      for (std::uint32_t p = 0; p < log.partitions(); ++p) {
        part.next.push_back(ok(reader.find_time(log, p, since)));
        part.until.push_back(ok(reader.find_time(log, p, before)));
      }
      std::vector<seen_record> between = expected_log(log, 0, next_sequence());
      std::erase_if(between, [&](const auto& r) {
        return r.offset < part.next[r.partition] || r.offset >= part.until[r.partition];
      });
      auto bounded = make_pass({std::move(part)});
      ASSERT_EQ(read_on(reader, bounded, next_sequence(), limits()), between);
      ASSERT_TRUE(bounded.ended());
    }
  }
}

TEST_P(RandomLogReader, ReadsOnWhileRowsMoveIntoSegments) {
  std::vector<log_pass> passes;
  for (std::size_t i = 0; i < 3; ++i) passes.push_back(pass_from(*all_[i], 0));
  std::vector<std::vector<seen_record>> logs(3);
  std::vector<std::uint64_t> offsets(3);
  std::vector<std::vector<seen_record>> partitions(3);
  for (int round = 0; round < 40; ++round) {
    fill(10);
    // Sometimes with a snapshot from before the sealing.
    log_reader reader{main()};
    if (below(2U) == 0) ok(reader.journal());
    if (below(3U) == 0) seal_some();
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::uint32_t reads = below(6U); reads > 0; --reads) {
        batch_builder batch{limits()};
        ok(reader.read_pass(passes[i], next_sequence(), batch));
        for (auto& r : seen(batch.finish())) logs[i].push_back(std::move(r));
        batch_builder of_partition{limits()};
        ok(reader.read_partition(*all_[i], 0, offsets[i], of_partition));
        for (auto& r : seen(of_partition.finish())) partitions[i].push_back(std::move(r));
      }
    }
  }
  for (std::size_t i = 0; i < 3; ++i) {
    log_reader reader{main()};
    for (auto& r : read_on(reader, passes[i], next_sequence())) logs[i].push_back(std::move(r));
    for (auto& r : read_on(reader, *all_[i], 0, offsets[i])) partitions[i].push_back(std::move(r));
    EXPECT_EQ(logs[i], expected_log(*all_[i], 0, next_sequence()));
    EXPECT_EQ(partitions[i], expected(*all_[i], 0));
  }
}

}  // namespace
}  // namespace levada::log::test
