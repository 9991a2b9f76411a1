#include "log/sealer.hpp"

#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

#include "log/sealed_reader.hpp"
#include "sealed_testing.hpp"

namespace levada::log::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Sealer : public sealed_fixture {
 protected:
  /// Everything that is sealed of a partition.
  static std::vector<seen_record> read_sealed(const log_state& log, std::uint32_t partition) {
    std::vector<seen_record> all;
    for (const auto& part : log.sealed(partition)) {
      std::uint64_t from = part.where.base_offset;
      batch_builder batch{{}};
      std::uint64_t behind_damage = 0;
      EXPECT_EQ(ok(read_part(log, part, from, UINT64_MAX, batch, true, behind_damage)), sealed_outcome::done);
      EXPECT_EQ(from, part.where.end_offset);
      const auto some = seen(batch.finish());
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
  [[nodiscard]] std::shared_ptr<const storage::segment_file> open(std::uint32_t id) const {
    auto opened = ok(storage::segment_file::open(segment_path(directory(), id), id));
    EXPECT_TRUE(opened);
    return opened;
  }
  /// The entry tells what a walk over the file and the model tell.
  void expect_sound(const sealed_prefix& prefix, std::uint64_t first) {
    std::set<std::pair<std::uint32_t, std::uint32_t>> where;
    for (const auto& segment : prefix.segments) {
      const auto file = open(segment.id);
      EXPECT_EQ(file->identity().sequence_first, first);
      EXPECT_EQ(file->identity().sequence_last, prefix.sequence_last);
      EXPECT_EQ(segment.sequence_first, first);
      EXPECT_EQ(segment.sequence_last, prefix.sequence_last);
      EXPECT_EQ(segment.created, now);
      EXPECT_EQ(segment.file_bytes, std::filesystem::file_size(file->file()));
      EXPECT_FALSE(segment.parts.empty());
      auto reader = ok(storage::segment_reader::open(file));
      auto batch = ok(reader.first());
      for (std::size_t i = 0; i < segment.parts.size(); ++i) {
        const auto& part = segment.parts[i];
        SCOPED_TRACE(fmt::format("log {} partition {}", part.log, part.partition));
        if (i > 0) {
          const auto& before = segment.parts[i - 1];
          EXPECT_LT(std::pair(before.log, before.partition), std::pair(part.log, part.partition));
        }
        EXPECT_TRUE(where.emplace(part.log, part.partition).second) << "twice";
        const log_state& log = *find(part.log);
        const std::uint64_t begin = log.begin(part.partition);
        std::vector<model_record> sealed;
        for (const auto& m : model(log)) {
          if (m.sequence >= first && m.sequence <= prefix.sequence_last &&
              m.record.partition == part.partition && m.record.offset >= begin) {
            sealed.push_back(m);
          }
        }
        ASSERT_FALSE(sealed.empty());
        EXPECT_EQ(part.base_offset, sealed.front().record.offset);
        EXPECT_EQ(part.end_offset, sealed.back().record.offset + 1);
        EXPECT_EQ(part.records, sealed.size());
        EXPECT_EQ(part.sequence_first, sealed.front().sequence);
        EXPECT_EQ(part.sequence_last, sealed.back().sequence);

        // The batches: dense, of the right size, and with running sums of what they hold.
        std::uint64_t bytes = 0;
        std::uint64_t next = part.base_offset;
        std::int64_t time_max = INT64_MIN;
        std::size_t at = 0;
        for (; batch && batch->key.log == part.log && batch->key.partition == part.partition;
             batch = ok(reader.next())) {
          EXPECT_TRUE(storage::verify_batch(*batch));
          EXPECT_EQ(batch->key.base_offset, next);
          EXPECT_LE(batch->value.size(), batch->header.count == 1 ? SIZE_MAX : storage::batch_bytes_max);
          EXPECT_EQ(batch->value.size() % 8, 0U);
          EXPECT_EQ(batch->header.end_offset, next + batch->header.count);
          EXPECT_EQ(batch->header.epoch, 0U);
          bytes += batch->value.size();
          for (const auto& run : batch->runs) {
            EXPECT_EQ(batch->key.base_offset + run.offset_delta, next);
            for (std::uint32_t k = 0; k < run.count; ++k, ++at, ++next) {
              ASSERT_LT(at, sealed.size());
              EXPECT_EQ(run.sequence, sealed[at].sequence);
              time_max = std::max(time_max, sealed[at].record.time);
            }
          }
          EXPECT_EQ(batch->header.sequence_last, batch->runs.back().sequence);
          EXPECT_EQ(batch->header.time_max, time_max);
        }
        EXPECT_EQ(part.bytes, bytes);
        EXPECT_EQ(part.time_max, time_max);
        EXPECT_EQ(next, part.end_offset);
      }
      EXPECT_FALSE(batch.has_value()) << "of a part that the entry does not name";
    }
  }
};

class SealedTopics : public Sealer {
 protected:
  log_state& orders_ = make_log(4, "orders", 2);
  log_state& other_ = make_log(5, "other", 1);
  log_state& third_ = make_log(6, "third", 1);
};

TEST_F(SealedTopics, HoldWhatWasAppended) {
  publish(orders_, 1, {"a", "b"}, 100);
  publish(other_, 0, {"x"}, 101);
  publish(orders_, 0, {"c"}, 102);
  publish(orders_, 1, {"d"}, 103);
  const auto prefix = seal_all();
  EXPECT_EQ(prefix.sequence_last, 4U);
  EXPECT_EQ(prefix.bytes, 4 * sizeof(storage::row_header) + 5 * std::size_t{24});
  ASSERT_EQ(prefix.segments.size(), 1U);
  EXPECT_EQ(prefix.segments[0].id, 1U);
  expect_sound(prefix, 1);
  EXPECT_EQ(read_sealed(orders_, 0), expected(orders_, 0));
  EXPECT_EQ(read_sealed(orders_, 1), expected(orders_, 1));
  EXPECT_EQ(read_sealed(other_, 0), expected(other_, 0));
  EXPECT_EQ(read_sealed(third_, 0), expected(third_, 0));
  EXPECT_THAT(files(), ElementsAre("00000001.seg"));
}

TEST_F(SealedTopics, ShareASegmentUnlessTheyHaveEnoughForTheirOwn) {
  publish(other_, 0, {"x"}, 100);
  for (int i = 0; i < 10; ++i) publish(orders_, 0, {std::string(1000, 'o')}, 100);
  publish(third_, 0, {"y"}, 100);
  const std::uint64_t bytes_of_orders = 10 * (sizeof(storage::row_header) + 1016);
  set_own_segment_bytes(bytes_of_orders + 1);
  EXPECT_EQ(ok(seal(main(), request())).segments.size(), 1U);
  set_own_segment_bytes(bytes_of_orders);
  const auto prefix = seal_all();
  ASSERT_EQ(prefix.segments.size(), 2U);
  expect_sound(prefix, 1);
  for (const auto& segment : prefix.segments) {
    EXPECT_EQ(segment.parts.size(), segment.parts[0].log == orders_.id() ? 1U : 2U);
  }
  EXPECT_THAT(files(), ElementsAre("00000001.seg", "00000002.seg"));
  EXPECT_EQ(read_sealed(orders_, 0), expected(orders_, 0));
  EXPECT_EQ(read_sealed(third_, 0), expected(third_, 0));
}

TEST_F(SealedTopics, HaveSegmentsOfTheirOwnWhereNothingIsAskedFor) {
  set_own_segment_bytes(0);
  publish(orders_, 0, {"a"}, 100);
  publish(orders_, 1, {"b"}, 100);
  publish(other_, 0, {"c"}, 100);
  const auto prefix = seal_all();
  EXPECT_EQ(prefix.segments.size(), 2U) << "of each log, not of each partition";
  expect_sound(prefix, 1);
}

TEST_F(SealedTopics, AreNumberedFromTheIdThatIsGiven) {
  set_own_segment_bytes(0);
  publish(orders_, 0, {"a"}, 100);
  publish(other_, 0, {"c"}, 100);
  auto r = request();
  r.target.next_id = 0xabcd;
  const auto prefix = ok(seal(main(), r));
  ASSERT_EQ(prefix.segments.size(), 2U);
  EXPECT_EQ(prefix.segments[0].id + prefix.segments[1].id, 2 * 0xabcdU + 1);
  EXPECT_THAT(files(), ElementsAre("0000abcd.seg", "0000abce.seg"));
  expect_sound(prefix, 1);
}

TEST_F(SealedTopics, LeaveDeletedLogsOut) {
  publish(orders_, 0, {"a"}, 100);
  publish(other_, 0, {std::string(5000, 'x'), "b"}, 100);
  publish(third_, 0, {"c"}, 100);
  auto r = request();
  r.begin_of = [&](std::uint32_t log, std::uint32_t) -> std::optional<std::uint64_t> {
    if (log == other_.id()) return std::nullopt;
    return 0;
  };
  const auto prefix = ok(seal(main(), r));
  EXPECT_EQ(prefix.sequence_last, next_sequence() - 1);
  expect_sound(prefix, 1);
  ASSERT_EQ(prefix.segments.size(), 1U);
  EXPECT_EQ(prefix.segments[0].parts.size(), 2U);
  hand_out(prefix);
  EXPECT_THAT(read_sealed(other_, 0), IsEmpty());
  EXPECT_EQ(read_sealed(third_, 0), expected(third_, 0));
}

TEST_F(SealedTopics, AreNoneWhereAllOfThemAreDeleted) {
  publish(orders_, 0, {"a"}, 100);
  publish(other_, 0, {"b"}, 100);
  auto r = request();
  r.begin_of = [](std::uint32_t, std::uint32_t) { return std::optional<std::uint64_t>{}; };
  const auto prefix = ok(seal(main(), r));
  EXPECT_THAT(prefix.segments, IsEmpty());
  EXPECT_EQ(prefix.sequence_last, 2U) << "the rows are done with all the same";
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(SealedTopics, LeaveOutWhatLiesBeforeTheBeginning) {
  publish(orders_, 0, {"0", "1"}, 100);
  publish(orders_, 0, {std::string(3000, 'l')}, 101);
  publish(orders_, 0, {"3", "4", "5"}, 102);
  publish(orders_, 0, {"6"}, 103);
  publish(orders_, 1, {"elsewhere"}, 103);
  for (std::uint64_t begin = 0; begin <= 8; ++begin) {
    SCOPED_TRACE(begin);
    orders_.set_begin(0, begin);
    const auto prefix = ok(seal(main(), request()));
    expect_sound(prefix, 1);
    std::size_t records = 0;
    for (const auto& part : prefix.segments.at(0).parts) records += part.records;
    EXPECT_EQ(records, 1 + (begin < 7 ? 7 - begin : 0));
  }
  orders_.set_begin(0, 4);
  hand_out(ok(seal(main(), request())));
  EXPECT_EQ(read_sealed(orders_, 0), expected(orders_, 0, 4)) << "also where a row begins before it";
  EXPECT_EQ(orders_.sealed(0).at(0).where.base_offset, 4U);
}

TEST_F(SealedTopics, PutLargeRecordsTogether) {
  std::string large(200'000, 'x');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 11 / 7);
  publish(orders_, 0, {"before", large, "after", large.substr(0, 65'000), large.substr(0, 2000)}, 100);
  publish(other_, 0, {large.substr(100)}, 100);
  const auto prefix = seal_all();
  expect_sound(prefix, 1);
  EXPECT_EQ(read_sealed(orders_, 0), expected(orders_, 0));
  EXPECT_EQ(read_sealed(other_, 0), expected(other_, 0));
}

TEST_F(SealedTopics, EndBeforeARecordThatGoesOnBehindThePrefix) {
  publish(orders_, 0, {"a"}, 100);
  publish(other_, 0, {std::string(3 * storage::row_records_max, 'x')}, 101);
  publish(orders_, 0, {"b"}, 102);
  ASSERT_EQ(next_sequence(), 7U) << "a row, four of one record, a row";
  for (std::uint64_t last = 2; last < 5; ++last) {
    const auto prefix = ok(seal(main(), request(last)));
    EXPECT_EQ(prefix.sequence_last, 1U) << last;
    EXPECT_EQ(prefix.bytes, sizeof(storage::row_header) + 24);
    ASSERT_EQ(prefix.segments.size(), 1U);
    expect_sound(prefix, 1);
  }
  const auto whole = seal_through(5);
  EXPECT_EQ(whole.sequence_last, 5U);
  expect_sound(whole, 1);
  EXPECT_EQ(read_sealed(other_, 0), expected(other_, 0));
  const auto rest = seal_all();
  EXPECT_EQ(rest.sequence_last, 6U);
  expect_sound(rest, 6);
  EXPECT_EQ(read_sealed(orders_, 0), expected(orders_, 0));
}

TEST_F(SealedTopics, AreNoneWhereTheOnlyRecordGoesOnBehindThePrefix) {
  publish(orders_, 0, {std::string(5000, 'x')}, 100);
  const auto prefix = ok(seal(main(), request(2)));
  EXPECT_EQ(prefix.sequence_last, 0U);
  EXPECT_EQ(prefix.bytes, 0U);
  EXPECT_THAT(prefix.segments, IsEmpty());
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(SealedTopics, FillBatchesUpToTheirBound) {
  for (int i = 0; i < 200; ++i) publish(orders_, 0, {std::string(1900, static_cast<char>('a' + i % 26))}, i);
  const auto prefix = seal_all();
  expect_sound(prefix, 1);
  auto reader = ok(storage::segment_reader::open(open(1)));
  std::size_t batches = 0;
  std::size_t smallest = SIZE_MAX;
  for (auto b = ok(reader.first()); b; b = ok(reader.next())) {
    ++batches;
    if (b->header.end_offset < 200) smallest = std::min(smallest, b->value.size());
  }
  EXPECT_GT(smallest, storage::batch_bytes_max - 2000) << "all but the last";
  EXPECT_LE(batches, 200 * std::size_t{2000} / (storage::batch_bytes_max - 2000) + 1);
}

TEST_F(SealedTopics, DoNotMixEpochsInABatch) {
  publish(orders_, 0, {"a"}, 100);
  auto rows = encoded(orders_, 0, {"b"}, 101);
  auto header = rows[0].header();
  header.epoch = 3;
  rows[0].set_header(header);
  store(rows);
  note(orders_, 0);
  seal_all();
  auto reader = ok(storage::segment_reader::open(open(1)));
  EXPECT_EQ(ok(reader.first())->header.epoch, 0U);
  const auto second = ok(reader.next());
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->header.epoch, 3U);
  EXPECT_EQ(second->key.base_offset, 1U);
}

TEST_F(SealedTopics, KeepTheLargestTimeWhereTimesFall) {
  publish(orders_, 0, {"a", "b", "c"}, {100, 300, 200});
  publish(orders_, 0, {std::string(40'000, 'x')}, 150);
  publish(orders_, 0, {std::string(40'000, 'y')}, 400);
  publish(orders_, 0, {"d"}, 50);
  const auto prefix = seal_all();
  expect_sound(prefix, 1);
  EXPECT_EQ(prefix.segments[0].parts[0].time_max, 400);
  EXPECT_EQ(read_sealed(orders_, 0), expected(orders_, 0));
}

TEST_F(SealedTopics, SpanMoreRowsThanAreReadAtOnce) {
  for (int i = 0; i < 2500; ++i)
    publish(orders_, static_cast<std::uint32_t>(i % 2), {fmt::format("{}", i)}, i);
  const auto prefix = seal_through(2300);
  EXPECT_EQ(prefix.sequence_last, 2300U);
  expect_sound(prefix, 1);
  EXPECT_EQ(read_sealed(orders_, 1), expected(orders_, 1, 0, 1150));
  EXPECT_EQ(seal_all().sequence_last, 2500U);
  EXPECT_EQ(read_sealed(orders_, 1), expected(orders_, 1));
}

TEST_F(SealedTopics, AreDurableWhereThatIsAskedFor) {
  publish(orders_, 0, {"a"}, 100);
  auto r = request();
  r.target.sync = true;
  const auto prefix = ok(seal(main(), r));
  expect_sound(prefix, 1);
  EXPECT_THAT(files(), ElementsAre("00000001.seg"));
}

TEST_F(SealedTopics, AreNotWrittenWhereThereIsNoDirectory) {
  publish(orders_, 0, {"a"}, 100);
  auto r = request();
  r.target.directory = directory() / "missing";
  EXPECT_FALSE(seal(main(), r).has_value());
}

/// Rows of several kinds, of which one is damaged or missing at a time.
class DamagedRows : public SealedTopics {
 protected:
  DamagedRows() {
    set_own_segment_bytes(0);  // so that segments are under way when the damage is found
    publish(other_, 0, {"x"}, 100);
    publish(orders_, 0, {"a", "b"}, 100);
    publish(orders_, 1, {std::string(3 * storage::row_records_max, 'x')}, 100);
    publish(third_, 0, {"c"}, 100);
    publish(orders_, 0, {"d"}, 100);
    // The rest would stand in its own commit of the segment's file, and so on disk already.
    publish(other_, 0, {std::string(9 << 20, 'y'), "z"}, 100);
  }
  void expect_refused(const std::string& what) {
    const auto sealed = seal(main(), request());
    ASSERT_THAT(sealed, fails_with(errc::damaged));
    EXPECT_THAT(sealed.error().message(), HasSubstr(what));
    EXPECT_THAT(files(), IsEmpty());
  }
};

TEST_F(DamagedRows, AreRefusedByTheirChecksum) {
  std::vector<std::uint64_t> sequences{
      1, 2, 3, 4, 5, 6, 7, 8, 9, 1000, next_sequence() - 2, next_sequence() - 1};
  for (const std::uint64_t sequence : sequences) {
    for (const std::size_t at :
         {offsetof(storage::row_header, checksum), offsetof(storage::row_header, epoch),
          offsetof(storage::row_header, time_first), sizeof(storage::row_header),
          sizeof(storage::row_header) + 9}) {
      spoil(sequence, at);
      expect_refused(fmt::format("seal journal row {} ", sequence));
      spoil(sequence, at);  // makes it right again
      if (HasFatalFailure()) FAIL() << sequence << " at " << at;
    }
  }
  EXPECT_THAT(seal(main(), request()), succeeds());
}

TEST_F(DamagedRows, AreRefusedWithAnyFieldOfTheHeaderChanged) {
  for (std::size_t at = 0; at < sizeof(storage::row_header); ++at) {
    if (at == offsetof(storage::row_header, log)) at = offsetof(storage::row_header, base_offset);
    for (const std::uint64_t sequence : {2U, 3U, 4U, 6U, 8U}) {
      spoil(sequence, at);
      const auto sealed = seal(main(), request(8));
      // A last part that says of itself to be another one ends the prefix before it; whoever seals on meets
      // it.
      if (sealed.has_value()) {
        EXPECT_LT(sealed->sequence_last, sequence) << "row " << sequence << " byte " << at;
        for (const auto& f : files()) std::filesystem::remove(directory() / f);
      } else {
        EXPECT_EQ(sealed.error().code(), errc::damaged);
      }
      EXPECT_THAT(files(), IsEmpty());
      spoil(sequence, at);
    }
  }
}

TEST_F(DamagedRows, AreRefusedWhereTheyClaimToBeOfALogOrPartitionThatDoesNotExist) {
  for (std::size_t at = offsetof(storage::row_header, log); at < offsetof(storage::row_header, base_offset);
       ++at) {
    for (const std::uint64_t sequence : {2U, 3U, 4U, 6U, 8U}) {
      spoil(sequence, at);
      expect_refused("seal journal row ");
      spoil(sequence, at);
      if (HasFatalFailure()) FAIL() << "row " << sequence << " byte " << at;
    }
  }
}

TEST_F(DamagedRows, AreRefusedWhereOneIsMissing) {
  erase(4);
  expect_refused("rows 4 to 4 are missing");
}

TEST_F(DamagedRows, AreRefusedWhereTheFirstIsMissing) {
  erase(1);
  expect_refused("rows 1 to 1 are missing");
}

TEST_F(DamagedRows, AreRefusedWhereTheLastIsMissing) {
  const std::uint64_t last = next_sequence() - 1;
  erase(last);
  expect_refused(fmt::format("rows from {} to {} are missing", last, last));
}

TEST_F(DamagedRows, AreRefusedWhereManyAreMissing) {
  for (std::uint64_t s = 1000; s < 2100; ++s) erase(s);
  expect_refused("are missing");
}

TEST_F(DamagedRows, AreRefusedWherePartsOfARecordBelongToAnother) {
  // Sound each for itself: a part stands behind a record that it is no part of.
  auto rows = encoded(third_, 0, {std::string(5000, 'p')}, 100);
  rows.erase(rows.begin());
  for (auto& row : rows) {
    --row.sequence;
    row.set_header(row.header());
  }
  store(rows);
  const auto sealed = seal(main(), request());
  ASSERT_THAT(sealed, fails_with(errc::damaged));
  EXPECT_THAT(sealed.error().message(), HasSubstr("a part of its record is missing"));
  EXPECT_THAT(files(), IsEmpty());
}

class RandomSealing : public random_sealed_fixture {
 protected:
  static std::vector<seen_record> read_sealed(const log_state& log, std::uint32_t partition) {
    std::vector<seen_record> all;
    for (const auto& part : log.sealed(partition)) {
      std::uint64_t from = 0;
      batch_builder batch{{}};
      std::uint64_t behind_damage = 0;
      EXPECT_EQ(ok(read_part(log, part, from, UINT64_MAX, batch, true, behind_damage)), sealed_outcome::done);
      const auto some = seen(batch.finish());
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomSealing, ::testing::Range(1U, 7U));

TEST_P(RandomSealing, KeepsEverythingThatIsWanted) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<seen_record>> wanted;
  for (int round = 0; round < 8; ++round) {
    fill(60);
    for (auto* const log : all_) {
      for (std::uint32_t p = 0; p < log->partitions(); ++p) {
        const std::uint64_t begin = log->begin(p);
        if (below(3U) == 0) log->set_begin(p, begin + below(log->end(p) - begin + 1));
      }
    }
    set_own_segment_bytes(std::uint64_t{20'000} * below(4U));
    if (below(3U) == 0) erase_sealed_rows();
    const std::uint64_t first = sealed() + 1;
    const auto prefix = seal_through(sealed() + below(next_sequence() - sealed()));
    EXPECT_THAT(files(), ::testing::Each(::testing::EndsWith(".seg")));
    for (auto* const log : all_) {
      for (std::uint32_t p = 0; p < log->partitions(); ++p) {
        auto& records = wanted[{log->id(), p}];
        for (const auto& m : model(*log)) {
          if (m.sequence >= first && m.sequence <= prefix.sequence_last && m.record.partition == p &&
              m.record.offset >= log->begin(p)) {
            records.push_back(m.record);
          }
        }
        ASSERT_EQ(read_sealed(*log, p), records) << log->name() << " " << p << " round " << round;
      }
    }
  }
}

}  // namespace
}  // namespace levada::log::test
