#include "log/batch_builder.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "log_testing.hpp"

namespace levada::log::test {
namespace {

/// A builder, and short ways to add encoded values to it.
class BatchBuilder : public ::testing::Test {
 protected:
  explicit BatchBuilder(batch_builder::limits most = {}) : builder_{most} {}

  struct place {
    std::uint32_t partition = 0;
    std::uint64_t base = 0;
    std::int64_t time = 0;
  };
  void add(const place& at, const std::vector<std::string>& values) { add(at, values, topic_); }
  void add(const place& at, const std::vector<std::string>& values,
           const std::shared_ptr<const std::string>& topic) {
    std::size_t size = 0;
    for (const auto& value : values) size += detail::padded(value_of(value).size());
    std::byte* const data = builder_.allocate(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 8, 0U);
    std::byte* next = data;
    for (const auto& value : values) {
      encode_record(value_of(value), 0, next);
      next += detail::padded(value_of(value).size());
    }
    builder_.add(topic, {.partition = partition_id{at.partition},
                         .base_offset = offset{at.base},
                         .count = static_cast<std::uint32_t>(values.size()),
                         .time_first = timestamp{std::chrono::microseconds{at.time}},
                         .sequence = ++sequence_,
                         .data = data,
                         .size = size});
  }

  std::shared_ptr<const std::string> topic_ = std::make_shared<const std::string>("orders");
  batch_builder builder_;
  std::uint64_t sequence_ = 0;
};

TEST_F(BatchBuilder, GivesAnEmptyBatchForNothing) {
  const record_batch batch = builder_.finish();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.begin(), batch.end());
  EXPECT_TRUE(batch.slices().empty());
}

TEST_F(BatchBuilder, KeepsRecordsInTheOrderInWhichTheyCame) {
  add({1, 7, 100}, {"a", "b"});
  add({0, 3, 50}, {"c"});
  add({1, 9, 200}, {"d"});
  const record_batch batch = builder_.finish();
  EXPECT_EQ(batch.size(), 4U);
  EXPECT_EQ(seen(batch), (std::vector<seen_record>{
                             {1, 7, 100, "a"}, {1, 8, 100, "b"}, {0, 3, 50, "c"}, {1, 9, 200, "d"}}));
  for (const auto& r : batch) EXPECT_EQ(r.topic(), "orders");
}

TEST_F(BatchBuilder, MergesWhatContinuesTheRunBefore) {
  add({1, 7, 100}, {"a", "b"});
  add({1, 9, 100}, {"c"});
  const record_batch batch = builder_.finish();
  ASSERT_EQ(batch.slices().size(), 1U);
  EXPECT_EQ(batch.slices()[0].count, 3U);
  EXPECT_EQ(batch.slices()[0].sequence, 1U);
  EXPECT_EQ(seen(batch), (std::vector<seen_record>{{1, 7, 100, "a"}, {1, 8, 100, "b"}, {1, 9, 100, "c"}}));
}

TEST_F(BatchBuilder, KeepsApartWhatIsNoContinuation) {
  add({1, 7, 100}, {"a"});
  add({1, 9, 100}, {"gap"});
  add({2, 10, 100}, {"partition"});
  add({2, 11, 101}, {"time"});
  add({2, 12, 101}, {"topic"}, std::make_shared<const std::string>("other"));
  const record_batch batch = builder_.finish();
  EXPECT_EQ(batch.slices().size(), 5U);
  EXPECT_EQ(seen(batch), (std::vector<seen_record>{{1, 7, 100, "a"},
                                                   {1, 9, 100, "gap"},
                                                   {2, 10, 100, "partition"},
                                                   {2, 11, 101, "time"},
                                                   {2, 12, 101, "topic"}}));
}

TEST_F(BatchBuilder, KeepsApartWhatDoesNotStandBehindTheRun) {
  add({1, 7, 100}, {"a"});
  static_cast<void>(builder_.allocate(8));  // a part of a row that was left out
  add({1, 8, 100}, {"b"});
  const record_batch batch = builder_.finish();
  EXPECT_EQ(batch.slices().size(), 2U);
  EXPECT_EQ(seen(batch), (std::vector<seen_record>{{1, 7, 100, "a"}, {1, 8, 100, "b"}}));
}

TEST_F(BatchBuilder, TakesBackTheLastAllocation) {
  std::byte* const given_back = builder_.allocate(20);
  builder_.release(20);
  EXPECT_EQ(builder_.allocate(8), given_back);
}

TEST_F(BatchBuilder, GrowsByBlocksWithoutMovingWhatItHolds) {
  const std::string large(200'000, 'l');
  std::vector<seen_record> expected;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const std::string value = i % 50 == 7 ? large : std::string(i * 10, static_cast<char>('a' + i % 26));
    add({0, 2 * i, 0}, {value});
    expected.push_back({0, 2 * i, 0, value});
  }
  EXPECT_EQ(seen(builder_.finish()), expected);
}

class LimitedBatchBuilder : public BatchBuilder {
 protected:
  LimitedBatchBuilder() : BatchBuilder{{.records = 3, .bytes = 100}} {}
};

TEST_F(LimitedBatchBuilder, IsFullAtItsNumberOfRecords) {
  EXPECT_EQ(builder_.room(), 3U);
  add({}, {"a", "b"});
  EXPECT_FALSE(builder_.full());
  EXPECT_EQ(builder_.room(), 1U);
  EXPECT_EQ(builder_.records(), 2U);
  add({}, {"c"});
  EXPECT_TRUE(builder_.full());
  EXPECT_EQ(builder_.room(), 0U);
  builder_.limit_records(4);
  EXPECT_FALSE(builder_.full());
  EXPECT_EQ(builder_.room(), 1U);
}

TEST_F(LimitedBatchBuilder, TakesWhatFitsItsBytesAndAnythingWhenItIsEmpty) {
  EXPECT_TRUE(builder_.fits(1'000'000));
  add({}, {std::string(40, 'x')});  // 56 bytes
  EXPECT_EQ(builder_.bytes(), 56U);
  EXPECT_TRUE(builder_.fits(44));
  EXPECT_FALSE(builder_.fits(45));
  EXPECT_FALSE(builder_.full());
  add({}, {std::string(28, 'x')});  // 48 bytes with padding
  EXPECT_TRUE(builder_.full());
}

TEST_F(LimitedBatchBuilder, BeginsAnewAfterFinishing) {
  add({}, {"a", "b", "c"});
  const record_batch first = builder_.finish();
  EXPECT_FALSE(builder_.full());
  EXPECT_EQ(builder_.records(), 0U);
  EXPECT_EQ(builder_.bytes(), 0U);
  add({0, 5, 0}, {"d"});
  const record_batch second = builder_.finish();
  EXPECT_EQ(first.size(), 3U);
  EXPECT_EQ(seen(second), (std::vector<seen_record>{{0, 5, 0, "d"}}));
}

}  // namespace
}  // namespace levada::log::test
