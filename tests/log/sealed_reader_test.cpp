#include "log/sealed_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include <support/file_bytes.hpp>

#include "log/log_pass.hpp"
#include "sealed_testing.hpp"

namespace levada::log::test {
namespace {

using levada::test::read_file;
using levada::test::write_file;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SealedReader : public sealed_fixture {
 protected:
  /// One read; moves `from`.
  static std::vector<seen_record> read(const log_state& log, const sealed_part& part, std::uint64_t& from,
                                       batch_builder::limits limits = {}) {
    batch_builder batch{limits};
    EXPECT_EQ(ok(read_part(log, part, from, batch)), sealed_outcome::done);
    return seen(batch.finish());
  }
  /// A read without bounds, of what is verified.
  static result<sealed_outcome> read_part(const log_state& log, const sealed_part& part, std::uint64_t& from,
                                          batch_builder& batch) {
    std::uint64_t behind_damage = 0;
    return log::read_part(log, part, from, UINT64_MAX, batch, true, behind_damage);
  }
  /// One read of a pass through the segments.
  static std::vector<seen_record> read(log_pass& pass, std::uint64_t until,
                                       batch_builder::limits limits = {}) {
    batch_builder batch{limits};
    EXPECT_EQ(ok(merge(pass, until, batch)), sealed_outcome::done);
    return seen(batch.finish());
  }
  static result<sealed_outcome> merge(log_pass& pass, std::uint64_t until, batch_builder& batch) {
    if (!pass.sealed) pass.sealed.emplace(true);
    return pass.sealed->read(pass, until, batch);
  }
  /// Changes the first byte of `text` in a segment, under a new file: who has the old one open keeps it.
  void spoil_text(std::uint32_t id, const std::string& text) {
    const auto file = segment_path(directory(), id);
    std::string bytes = read_file(file);
    const auto at = bytes.find(text);
    ASSERT_NE(at, std::string::npos);
    bytes[at] ^= 1;
    std::filesystem::remove(file);
    write_file(file, bytes);
  }
  [[nodiscard]] const sealed_part& part(std::uint32_t partition, std::size_t i = 0) const {
    return orders_.sealed(partition).at(i);
  }

  log_state& orders_ = make_log(4, "orders", 3);
  log_state& other_ = make_log(5, "other", 1);
};

/// One part of several batches: small and large rows, a large record, and one larger than a batch.
class SealedPart : public SealedReader {
 protected:
  SealedPart() {
    publish(orders_, 1, {"other partition"}, 100);
    publish(orders_, 0, {"a", "b", "c"}, 100);
    publish(orders_, 0, {"d"}, 100);
    publish(orders_, 0, {std::string(50'000, 'e')}, 110);
    publish(orders_, 0, {"f", std::string(1500, 'g'), std::string(1500, 'h'), "i"}, 110);
    publish(other_, 0, {"other topic"}, 110);
    publish(orders_, 0, {std::string(100'000, 'j')}, 120);
    publish(orders_, 0, {"k", "l", "m", "n"}, 130);
    publish(orders_, 2, {"other partition"}, 130);
    seal_all();
    erase_sealed_rows();
    end_ = orders_.end(0);
  }
  std::uint64_t end_ = 0;
};

TEST_F(SealedPart, IsReadFromEveryOffset) {
  for (std::uint64_t offset = 0; offset <= end_ + 2; ++offset) {
    std::uint64_t from = offset;
    EXPECT_EQ(read(orders_, part(0), from), expected(orders_, 0, offset));
    EXPECT_EQ(from, std::max(offset, end_));
  }
}

TEST_F(SealedPart, IsReadToEveryNumberOfRecords) {
  for (std::uint64_t offset = 0; offset < end_; ++offset) {
    for (std::size_t records = 1; records <= end_ - offset; ++records) {
      std::uint64_t from = offset;
      ASSERT_EQ(read(orders_, part(0), from, {.records = records}),
                expected(orders_, 0, offset, offset + records));
      ASSERT_EQ(from, offset + records);
    }
  }
}

TEST_F(SealedPart, IsReadWithinEveryNumberOfBytes) {
  for (std::uint64_t offset = 0; offset < end_; ++offset) {
    for (const std::size_t bytes :
         {1U, 24U, 25U, 48U, 72U, 100U, 1600U, 3100U, 50'016U, 50'112U, 60'000U, 200'000U}) {
      std::uint64_t from = offset;
      batch_builder batch{{.bytes = bytes}};
      ASSERT_EQ(ok(read_part(orders_, part(0), from, batch)), sealed_outcome::done);
      const std::size_t took = batch.bytes();
      const auto got = seen(batch.finish());
      ASSERT_FALSE(got.empty()) << "the first is returned in any case";
      ASSERT_EQ(got, expected(orders_, 0, offset, offset + got.size()));
      ASSERT_EQ(from, offset + got.size());
      ASSERT_TRUE(took <= bytes || got.size() == 1) << took;
    }
  }
}

TEST_F(SealedPart, IsMergedWithinEveryNumberOfBytes) {
  for (const std::size_t bytes : {1U, 24U, 25U, 48U, 72U, 100U, 1600U, 3100U, 60'000U}) {
    auto pass = pass_from(orders_, 1);
    std::vector<seen_record> all;
    for (;;) {
      batch_builder batch{{.bytes = bytes}};
      ASSERT_THAT(merge(pass, sealed() + 1, batch), succeeds());
      const std::size_t took = batch.bytes();
      const auto got = seen(batch.finish());
      if (got.empty()) break;
      ASSERT_TRUE(took <= bytes || got.size() == 1) << took;
      all.insert(all.end(), got.begin(), got.end());
    }
    ASSERT_EQ(all, expected_log(orders_, 1, sealed() + 1));
  }
}

TEST_F(SealedPart, IsReadInStepsOfAnyKind) {
  for (std::size_t records = 1; records < 6; ++records) {
    for (const std::size_t bytes : {1U, 50U, 2000U, 60'000U}) {
      std::vector<seen_record> all;
      for (std::uint64_t from = 0; from < end_;) {
        const auto some = read(orders_, part(0), from, {records, bytes});
        ASSERT_FALSE(some.empty());
        ASSERT_LE(some.size(), records);
        all.insert(all.end(), some.begin(), some.end());
      }
      ASSERT_EQ(all, expected(orders_, 0));
    }
  }
}

TEST_F(SealedPart, AddsToWhatTheBatchHoldsAlready) {
  batch_builder batch{{.records = 4}};
  std::uint64_t from = 0;
  ok(read_part(orders_, part(1), from, batch));
  from = 1;
  ok(read_part(orders_, part(0), from, batch));
  EXPECT_EQ(from, 4U);
  auto all = expected(orders_, 1);
  for (const auto& r : expected(orders_, 0, 1, 4)) all.push_back(r);
  EXPECT_EQ(seen(batch.finish()), all);
}

TEST_F(SealedPart, IsReadWithoutCopyingAndOutlivesItsFile) {
  batch_builder batch{{}};
  std::uint64_t from = 0;
  ok(read_part(orders_, part(0), from, batch));
  const record_batch records = batch.finish();
  std::filesystem::remove(segment_path(directory(), 1));
  orders_.drop_sealed([](const auto&) { return true; });
  EXPECT_EQ(seen(records), expected(orders_, 0));
}

TEST_F(SealedPart, TellsTheRowOfARecord) {
  batch_builder batch{{}};
  std::uint64_t from = 4;
  ok(read_part(orders_, part(0), from, batch));
  const record_batch records = batch.finish();
  ASSERT_FALSE(records.slices().empty());
  for (const auto& slice : records.slices()) {
    const auto first = std::find_if(model(orders_).begin(), model(orders_).end(), [&](const model_record& m) {
      return m.record.partition == 0 && m.record.offset == slice.base_offset.value();
    });
    ASSERT_NE(first, model(orders_).end());
    EXPECT_EQ(slice.sequence, first->sequence);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slice.data) % 8, 0U);
  }
}

TEST_F(SealedPart, IsGoneWithItsFile) {
  std::filesystem::remove(segment_path(directory(), 1));
  std::uint64_t from = 3;
  batch_builder batch{{}};
  EXPECT_EQ(ok(read_part(orders_, part(0), from, batch)), sealed_outcome::gone);
  EXPECT_EQ(from, 3U);
  EXPECT_EQ(batch.records(), 0U);
  EXPECT_EQ(ok(find_time_in_part(orders_, part(0), 0, from)), sealed_outcome::gone);
  auto pass = pass_from(orders_, 1);
  EXPECT_EQ(ok(merge(pass, sealed() + 1, batch)), sealed_outcome::gone);
  EXPECT_EQ(pass.sequence, 1U);
}

TEST_F(SealedPart, IsReadUpToItsDamage) {
  spoil_text(1, std::string(1000, 'j'));
  std::uint64_t from = 0;
  batch_builder batch{{}};
  const auto read = read_part(orders_, part(0), from, batch);
  ASSERT_THAT(read, fails_with(errc::damaged));
  EXPECT_THAT(read.error().message(), HasSubstr("'orders' partition 0 offsets 9 to 9: wrong checksum"));
  EXPECT_EQ(seen(batch.finish()), expected(orders_, 0, 0, 9));
  EXPECT_EQ(from, 9U);
  from = 10;
  EXPECT_EQ(SealedReader::read(orders_, part(0), from), expected(orders_, 0, 10));
  EXPECT_THAT(find_time_in_part(orders_, part(0), 115, from = 0), fails_with(errc::damaged));
}

TEST_F(SealedPart, IsMergedUpToItsDamageAndBehindIt) {
  spoil_text(1, std::string(1000, 'j'));
  auto pass = pass_from(orders_, 1);
  batch_builder before{{}};
  const auto failed = merge(pass, sealed() + 1, before);
  ASSERT_THAT(failed, fails_with(errc::damaged));
  EXPECT_THAT(failed.error().message(), HasSubstr("'orders' partition 0 offsets 9 to 9: wrong checksum"));
  auto read_so_far = seen(before.finish());
  EXPECT_EQ(read_so_far.size(), 10U);
  const auto behind = read(pass, sealed() + 1);
  read_so_far.insert(read_so_far.end(), behind.begin(), behind.end());
  auto all = expected_log(orders_, 1, pass.sequence);
  std::erase_if(all, [](const auto& r) { return r.partition == 0 && r.offset == 9; });
  EXPECT_EQ(read_so_far, all) << "each once, but for what is damaged";
}

// The end of a part is on record in the catalogue: batches that are missing there, because a key was changed,
// must not be passed over as if retention had removed them.
TEST_F(SealedPart, DoesNotEndBeforeItsEndUnnoticed) {
  const auto file = segment_path(directory(), 1);
  std::string bytes = read_file(file);
  // The key of partition 2, which stands last: it becomes partition 18.
  const std::string key{"\0\0\0\4\0\0\0\2\0\0\0\0\0\0\0\0", 16};
  const auto at = bytes.rfind(key);
  ASSERT_NE(at, std::string::npos);
  bytes[at + 7] = 18;
  std::filesystem::remove(file);
  write_file(file, bytes);
  std::uint64_t from = 0;
  batch_builder batch{{}};
  EXPECT_THAT(read_part(orders_, part(2), from, batch), fails_with(errc::damaged));
}

TEST_F(SealedReader, PassesOverOffsetsBeforeThePart) {
  publish(orders_, 0, {"a", "b", "c", "d"}, 100);
  orders_.set_begin(0, 2);
  seal_all();
  std::uint64_t from = 0;
  EXPECT_EQ(read(orders_, part(0), from), expected(orders_, 0, 2));
  EXPECT_EQ(from, 4U);
}

class SealedTimes : public SealedReader {
 protected:
  /// Looks for every time from every offset.
  void expect_found(const std::vector<std::int64_t>& times) {
    const auto all = expected(orders_, 0);
    const std::uint64_t end = all.size();
    for (const std::int64_t time : times) {
      for (std::uint64_t offset = 0; offset <= end + 1; ++offset) {
        const auto first = std::find_if(all.begin(), all.end(), [&](const seen_record& r) {
          return r.offset >= offset && r.time >= time;
        });
        std::uint64_t from = offset;
        ASSERT_EQ(ok(find_time_in_part(orders_, part(0), time, from)), sealed_outcome::done);
        ASSERT_EQ(from, first == all.end() ? std::max(end, offset) : first->offset)
            << "time " << time << " from " << offset;
      }
    }
  }
};

TEST_F(SealedTimes, AreFoundWhereTheyGrow) {
  publish(orders_, 0, {"a", "b", "c"}, {100, 101, 101});
  publish(orders_, 0, {std::string(40'000, 'd')}, 101);
  publish(orders_, 0, {std::string(40'000, 'e')}, 103);
  publish(orders_, 0, {"f", "g"}, {103, 110});
  publish(orders_, 0, {std::string(80'000, 'h')}, 111);
  seal_all();
  expect_found({INT64_MIN, 0, 99, 100, 101, 102, 103, 104, 109, 110, 111, 112, INT64_MAX});
}

TEST_F(SealedTimes, AreFoundWhereTheyDoNotGrow) {
  publish(orders_, 0, {"a", "b", "c"}, {100, 300, 50});
  publish(orders_, 0, {std::string(40'000, 'd')}, 40);
  publish(orders_, 0, {std::string(40'000, 'e')}, 10);
  publish(orders_, 0, {std::string(40'000, 'f')}, 290);
  publish(orders_, 0, {"g", "h", "i"}, {20, 301, 0});
  publish(orders_, 0, {std::string(80'000, 'j')}, -5);
  publish(orders_, 0, {"k"}, 299);
  seal_all();
  expect_found({INT64_MIN, -5, 0, 1, 40, 41, 100, 101, 290, 291, 299, 300, 301, 302, INT64_MAX});
}

class SealedMerge : public SealedReader {};

TEST_F(SealedMerge, FollowsTheOrderOfCommits) {
  publish(orders_, 1, {"a", "b"}, 100);
  publish(other_, 0, {"x"}, 100);
  publish(orders_, 0, {"c"}, 101);
  publish(orders_, 1, {std::string(5000, 'd')}, 102);
  publish(orders_, 2, {"e"}, 102);
  publish(orders_, 0, {"f"}, 102);
  seal_all();
  for (std::uint64_t first = 0; first <= sealed() + 2; ++first) {
    for (std::uint64_t until = first; until <= sealed() + 3; ++until) {
      auto pass = pass_from(orders_, first);
      ASSERT_EQ(read(pass, until), expected_log(orders_, first, until)) << first << " to " << until;
      ASSERT_EQ(pass.sequence, until);
    }
  }
}

TEST_F(SealedMerge, GoesFromSegmentToSegment) {
  for (int round = 0; round < 6; ++round) {
    for (std::uint32_t i = 0; i < 10; ++i) {
      // Partition 2 has nothing in most of them.
      const std::uint32_t p = round == 3 && i == 5 ? 2 : i % 2;
      publish(orders_, p, {fmt::format("{}", i), "x"}, round);
    }
    seal_all();
  }
  for (std::uint64_t first = 1; first <= sealed(); first += 3) {
    auto pass = pass_from(orders_, first);
    EXPECT_EQ(read(pass, sealed() + 1), expected_log(orders_, first, sealed() + 1));
  }
}

TEST_F(SealedMerge, GoesOnWhenMoreHasBeenSealed) {
  publish(orders_, 0, {"a"}, 100);
  publish(orders_, 1, {"b"}, 100);
  seal_all();
  auto pass = pass_from(orders_, 1);
  EXPECT_EQ(read(pass, sealed() + 1), expected_log(orders_, 1, 3));
  EXPECT_EQ(pass.sequence, 3U);
  publish(orders_, 2, {"c"}, 100);
  publish(orders_, 0, {"d"}, 100);
  seal_all();
  EXPECT_EQ(read(pass, sealed() + 1), expected_log(orders_, 3, 5));
  EXPECT_THAT(read(pass, sealed() + 1), IsEmpty());
  EXPECT_EQ(pass.sequence, 5U);
}

TEST_F(SealedMerge, GoesOnInTheMiddleWhenMoreHasBeenSealed) {
  for (std::uint32_t i = 0; i < 12; ++i) publish(orders_, i % 2, {fmt::format("{}", i)}, 100);
  seal_all();
  auto pass = pass_from(orders_, 1);
  auto all = read(pass, sealed() + 1, {.records = 5});
  EXPECT_EQ(all.size(), 5U);
  for (std::uint32_t i = 0; i < 12; ++i) publish(orders_, i % 3, {fmt::format("more {}", i)}, 100);
  seal_all();
  for (;;) {
    const auto some = read(pass, sealed() + 1, {.records = 5});
    if (some.empty()) break;
    all.insert(all.end(), some.begin(), some.end());
  }
  EXPECT_EQ(all, expected_log(orders_, 1, sealed() + 1));
}

/// A pass that begins anywhere in one of its partitions.
class MergeBehindTheBeginning : public SealedMerge {
 protected:
  MergeBehindTheBeginning() {
    for (int round = 0; round < 3; ++round) {
      publish(orders_, 0, {fmt::format("{} a", round), fmt::format("{} b", round)}, 100);
      publish(orders_, 1, {fmt::format("{} c", round)}, 100);
      publish(orders_, 0, {fmt::format("{} d", round)}, 100);
      seal_all();
    }
  }
  void expect_all_from(std::uint64_t begin) {
    auto all = expected_log(orders_, 1, sealed() + 1);
    all.erase(std::remove_if(all.begin(), all.end(),
                             [begin](const seen_record& r) { return r.partition == 0 && r.offset < begin; }),
              all.end());
    auto pass = pass_from(orders_, 1);
    pass.parts[0].next[0] = begin;
    EXPECT_EQ(read(pass, sealed() + 1), all) << "from " << begin;
  }
};

TEST_F(MergeBehindTheBeginning, LeavesOutRows) {
  expect_all_from(2);
}
TEST_F(MergeBehindTheBeginning, LeavesOutAPart) {
  expect_all_from(3);
}
TEST_F(MergeBehindTheBeginning, LeavesOutAPartAndARow) {
  expect_all_from(5);
}
TEST_F(MergeBehindTheBeginning, LeavesOutTheBeginningOfARow) {
  expect_all_from(1);
}
TEST_F(MergeBehindTheBeginning, LeavesOutAPartition) {
  expect_all_from(9);
}

class RandomSealedReader : public random_sealed_fixture {
 protected:
  static result<sealed_outcome> read_part(const log_state& log, const sealed_part& part, std::uint64_t& from,
                                          batch_builder& batch) {
    std::uint64_t behind_damage = 0;
    return log::read_part(log, part, from, UINT64_MAX, batch, true, behind_damage);
  }
  static result<sealed_outcome> merge(log_pass& pass, std::uint64_t until, batch_builder& batch) {
    if (!pass.sealed) pass.sealed.emplace(true);
    return pass.sealed->read(pass, until, batch);
  }
};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomSealedReader, ::testing::Range(1U, 7U));

TEST_P(RandomSealedReader, FindsWhatAModelFinds) {
  for (int i = 0; i < 5; ++i) {
    fill(60);
    set_own_segment_bytes(std::uint64_t{30'000} * below(3U));
    seal_all();
  }
  for (int i = 0; i < 60; ++i) {
    const log_state& log = *all_[below(3U)];
    const std::uint32_t partition = below(log.partitions());
    if (log.sealed(partition).empty()) continue;
    const auto& part = log.sealed(partition)[below(log.sealed(partition).size())];
    const std::uint64_t base = part.where.base_offset;
    const std::uint64_t end = part.where.end_offset;
    std::uint64_t from = base + below(end - base + 1);
    const auto all = expected(log, partition, from, end);
    std::vector<seen_record> got;
    while (from < end) {
      batch_builder batch{limits()};
      ASSERT_EQ(ok(read_part(log, part, from, batch)), sealed_outcome::done);
      const auto some = seen(batch.finish());
      ASSERT_FALSE(some.empty());
      got.insert(got.end(), some.begin(), some.end());
    }
    ASSERT_EQ(got, all);

    const std::int64_t time = 998 + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(time_ - 995)));
    from = base + below(end - base + 1);
    const auto behind = expected(log, partition, from, end);
    const auto first =
        std::find_if(behind.begin(), behind.end(), [&](const auto& r) { return r.time >= time; });
    const std::uint64_t answer = first == behind.end() ? end : first->offset;
    ASSERT_EQ(ok(find_time_in_part(log, part, time, from)), sealed_outcome::done);
    ASSERT_EQ(from, answer);
  }
}

TEST_P(RandomSealedReader, MergesWhatAModelMerges) {
  std::uint64_t first = 1;
  std::vector<log_pass> passes;
  std::vector<std::vector<seen_record>> got(3);
  for (std::size_t i = 0; i < 3; ++i) passes.push_back(pass_from(*all_[i], first));
  for (int round = 0; round < 12; ++round) {
    fill(30);
    set_own_segment_bytes(std::uint64_t{30'000} * below(3U));
    seal_through(sealed() + below(next_sequence() - sealed()));
    for (std::size_t i = 0; i < 3; ++i) {
      // Some rounds stop anywhere.
      for (std::uint32_t reads = below(2U) == 0 ? below(8U) : 100'000; reads > 0; --reads) {
        const std::uint64_t until = below(4U) == 0 ? passes[i].sequence + below(20U) : sealed() + 1;
        batch_builder batch{limits()};
        ASSERT_EQ(ok(merge(passes[i], std::min(until, sealed() + 1), batch)), sealed_outcome::done);
        const auto some = seen(batch.finish());
        got[i].insert(got[i].end(), some.begin(), some.end());
        if (passes[i].sequence > sealed()) break;
        ASSERT_TRUE(!some.empty() || passes[i].sequence >= std::min(until, sealed() + 1));
      }
    }
  }
  for (std::size_t i = 0; i < 3; ++i) {
    // To the end, as some have stopped within a row.
    batch_builder rest{{}};
    ASSERT_EQ(ok(merge(passes[i], sealed() + 1, rest)), sealed_outcome::done);
    for (auto& r : seen(rest.finish())) got[i].push_back(std::move(r));
    EXPECT_EQ(got[i], expected_log(*all_[i], first, sealed() + 1));
    // Passes that begin anywhere.
    for (int k = 0; k < 10; ++k) {
      const std::uint64_t from = below(sealed() + 2);
      auto pass = pass_from(*all_[i], from);
      std::vector<seen_record> all;
      while (pass.sequence <= sealed()) {
        batch_builder batch{limits()};
        ASSERT_EQ(ok(merge(pass, sealed() + 1, batch)), sealed_outcome::done);
        const auto some = seen(batch.finish());
        all.insert(all.end(), some.begin(), some.end());
      }
      ASSERT_EQ(all, expected_log(*all_[i], from, sealed() + 1)) << "from " << from;
    }
  }
}

}  // namespace
}  // namespace levada::log::test
