#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "segment_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::batch_bytes_max;
using storage::batch_key;
using storage::batch_view;
using storage::segment_file;
using storage::segment_reader;

/// Two partitions with gaps, among others.
class FoundBatches : public segment_fixture {
 protected:
  FoundBatches() { write(batches_); }
  [[nodiscard]] const known_batch* at(std::size_t i) const { return &batches_[i]; }

  const std::vector<known_batch> batches_{
      batch_of({1, 0, 10}, 20, 200),    batch_of({1, 0, 20}, 25, 5000),
      batch_of({1, 0, 40}, 41, 96),     batch_of({1, 1, 5}, 7, 3000),
      batch_of({2, 0, 0}, 100, 1000),   batch_of({2, 3, 7}, 8, batch_bytes_max),
      batch_of({300, 256, 1}, 2, 2016),
  };
};

TEST_F(FoundBatches, AreFoundExactly) {
  auto r = reader();
  for (const auto& batch : batches_) expect_same(ok(r.find(batch.key)), &batch);
}

TEST_F(FoundBatches, AreFoundByEveryOffsetWithin) {
  auto r = reader();
  for (const auto& batch : batches_) {
    for (std::uint64_t o = batch.key.base_offset; o < batch.end_offset; ++o) {
      expect_same(ok(r.find({batch.key.log, batch.key.partition, o})), &batch);
    }
  }
}

TEST_F(FoundBatches, AreTheNextOnesInAGapAndBeforeTheFirst) {
  auto r = reader();
  expect_same(ok(r.find({1, 0, 0})), at(0));
  expect_same(ok(r.find({1, 0, 9})), at(0));
  expect_same(ok(r.find({1, 0, 25})), at(2));
  expect_same(ok(r.find({1, 0, 39})), at(2));
  expect_same(ok(r.find({1, 1, 0})), at(3));
  expect_same(ok(r.find({2, 3, 0})), at(5));
}

TEST_F(FoundBatches, AreNoneBehindTheLastOfAPartition) {
  auto r = reader();
  expect_same(ok(r.find({1, 0, 41})), nullptr);
  expect_same(ok(r.find({1, 1, 7})), nullptr);
  expect_same(ok(r.find({2, 0, UINT64_MAX})), nullptr);
  expect_same(ok(r.find({300, 256, 2})), nullptr);
  expect_same(ok(r.find({1, 0, 40})), at(2));
}

TEST_F(FoundBatches, AreNoneInAPartitionThatIsNotThere) {
  auto r = reader();
  for (const batch_key& key : {batch_key{1, 2, 0}, batch_key{2, 1, 3}, batch_key{2, 2, 0}, batch_key{3, 0, 0},
                               batch_key{UINT32_MAX, UINT32_MAX, UINT64_MAX}}) {
    expect_same(ok(r.find(key)), nullptr);
  }
}

TEST_F(FoundBatches, FollowOneAnotherUntilTheirPartitionEnds) {
  auto r = reader();
  expect_same(ok(r.find({1, 0, 12})), at(0));
  expect_same(ok(r.next_in_partition()), at(1));
  expect_same(ok(r.next_in_partition()), at(2));
  expect_same(ok(r.next_in_partition()), nullptr);
  expect_same(ok(r.find({300, 256, 0})), at(6));
  expect_same(ok(r.next_in_partition()), nullptr);  // and the segment ends with it
  expect_same(ok(r.next_in_partition()), nullptr);
  expect_same(ok(r.find({1, 0, 0})), at(0));
}

TEST_F(FoundBatches, AreWalkedInTheOrderOfKeys) {
  auto r = reader();
  for (int twice = 0; twice < 2; ++twice) {
    expect_same(ok(r.first()), at(0));
    for (std::size_t i = 1; i < batches_.size(); ++i) expect_same(ok(r.next()), at(i));
    expect_same(ok(r.next()), nullptr);
    expect_same(ok(r.next()), nullptr);
  }
}

TEST_F(FoundBatches, StayValidWhenTheFileIsDeletedAsLongAsItIsHeld) {
  std::vector<batch_view> views;
  std::shared_ptr<const segment_file> held = open();
  {
    auto r = ok(segment_reader::open(held));
    for (auto b = ok(r.first()); b; b = ok(r.next())) views.push_back(*b);
  }
  fs::remove(file());
  EXPECT_EQ(ok(segment_file::open(file(), id)), nullptr);
  ASSERT_EQ(views.size(), batches_.size());
  for (std::size_t i = 0; i < views.size(); ++i) expect_same(views[i], at(i));
  auto late = ok(segment_reader::open(std::exchange(held, nullptr)));
  expect_same(ok(late.find({2, 3, 7})), at(5));
  for (std::size_t i = 0; i < views.size(); ++i) expect_same(views[i], at(i));
}

TEST_F(FoundBatches, AreReadByManyReadersOfOneFile) {
  const auto segment = open();
  auto a = ok(segment_reader::open(segment));
  auto b = ok(segment_reader::open(segment));
  expect_same(ok(a.first()), at(0));
  expect_same(ok(b.find({2, 0, 5})), at(4));
  expect_same(ok(a.next()), at(1));
  const auto again = open();
  auto c = ok(segment_reader::open(again));
  expect_same(ok(c.first()), at(0));
}

class RandomSegment : public segment_fixture, public ::testing::WithParamInterface<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomSegment, ::testing::Range(1U, 7U));

TEST_P(RandomSegment, FindsWhatAModelFinds) {
  std::mt19937 random{GetParam()};
  const auto below = [&random](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  std::vector<known_batch> batches;
  for (std::uint32_t log = 1; log < 4; ++log) {
    for (std::uint32_t partition = 0; partition < 3; ++partition) {
      std::uint64_t offset = below(2) * 5;
      for (std::uint32_t i = below(3) == 0 ? 0 : below(120); i > 0; --i) {
        offset += below(3) == 0 ? below(8) : 0;
        const std::uint64_t end = offset + 1 + below(6);
        const std::size_t size = below(10) == 0 ? below(70'000) : below(600);
        batches.push_back(batch_of({log, partition, offset}, end, batch_overhead + size / 8 * 8));
        offset = end;
      }
    }
  }
  auto shuffled = batches;
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  write(shuffled);
  auto r = reader();
  const known_batch* model = nullptr;  // where the reader stands
  for (int i = 0; i < 5000; ++i) {
    if (model != nullptr && below(3) == 0) {
      const known_batch* const next = model + 1;
      const bool same = next != batches.data() + batches.size() && next->key.log == model->key.log &&
                        next->key.partition == model->key.partition;
      model = same ? next : nullptr;
      expect_same(ok(r.next_in_partition()), model);
    } else {
      const batch_key key{below(5), below(4), below(450)};
      if (key.log == 0) continue;  // the segment's own
      const auto found = std::find_if(batches.begin(), batches.end(), [&](const known_batch& b) {
        return b.key.log == key.log && b.key.partition == key.partition && b.end_offset > key.base_offset;
      });
      model = found == batches.end() ? nullptr : &*found;
      expect_same(ok(r.find(key)), model);
    }
    if (HasFatalFailure()) FAIL() << "step " << i;
  }
}

}  // namespace
}  // namespace levada::test
