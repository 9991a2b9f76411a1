#include "log/journal_index.hpp"

#include <memory>
#include <string>
#include <vector>

#include "log_testing.hpp"

namespace levada::log::test {
namespace {

using ::testing::HasSubstr;

class JournalIndex : public journal_fixture {
 protected:
  /// As after opening: what is in the journal is not known yet.
  static std::unique_ptr<log_state> fresh(const log_state& log) {
    return std::make_unique<log_state>(log_named(log.id(), log.name(), log.partitions()));
  }
  template <class Find>
  [[nodiscard]] result<journal_extent> index(std::uint64_t first, Find find) {
    auto journal = reader();
    return index_journal(journal, first, find);
  }
  static void expect_same(const log_index& a, const log_index& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].sequence, b[i].sequence);
      EXPECT_EQ(a[i].base_offset, b[i].base_offset);
      EXPECT_EQ(a[i].time_max, b[i].time_max);
      EXPECT_EQ(a[i].rows, b[i].rows);
    }
  }
};

TEST_F(JournalIndex, OfAnEmptyJournalIsEmpty) {
  const auto extent = ok(index(1, [](std::uint32_t) -> std::optional<log_state*> { return std::nullopt; }));
  EXPECT_EQ(extent.next_sequence, 1U);
  EXPECT_EQ(extent.time_last, 0);
}

TEST_F(JournalIndex, IsRebuiltAsItWasKeptWhileWriting) {
  log_state& orders = declare(4, "orders", 3);
  log_state& other = declare(5, "other", 1);
  for (int i = 0; i < 300; ++i) {
    const auto n = static_cast<std::uint32_t>(i);
    append(orders, n * n % 3, {"a", std::string(std::size_t{n} * 20, 'b')}, 1000 + i / 3);
    if (i % 4 == 0) append(other, 0, {"x"}, 1000 + i / 3);
  }
  const auto orders_again = fresh(orders);
  const auto other_again = fresh(other);
  const auto extent = ok(index(1, [&](std::uint32_t id) -> std::optional<log_state*> {
    return id == 4 ? orders_again.get() : other_again.get();
  }));
  EXPECT_EQ(extent.next_sequence, next_sequence());
  EXPECT_EQ(extent.time_last, 1099);
  for (std::uint32_t p = 0; p < 3; ++p) {
    EXPECT_EQ(orders_again->end(p), orders.end(p));
    expect_same(orders_again->index(p), orders.index(p));
  }
  EXPECT_EQ(other_again->end(0), other.end(0));
  expect_same(other_again->index(0), other.index(0));
}

TEST_F(JournalIndex, TakesUpNewRowsFromWhereItStopped) {
  log_state& orders = declare(4, "orders", 1);
  append(orders, 0, {"a"}, 1);
  const auto again = fresh(orders);
  const auto find_again = [&](std::uint32_t) -> std::optional<log_state*> { return again.get(); };
  auto extent = ok(index(1, find_again));
  append(orders, 0, {"b", "c"}, 2);
  extent = ok(index(extent.next_sequence, find_again));
  EXPECT_EQ(again->end(0), 3U);
  EXPECT_EQ(extent.next_sequence, next_sequence());
  EXPECT_EQ(extent.time_last, 2);
}

TEST_F(JournalIndex, PassesOverRowsOfDeletedLogs) {
  log_state& orders = declare(4, "orders", 1);
  log_state& deleted = declare(6, "deleted", 1);
  append(orders, 0, {"a"}, 1);
  append(deleted, 0, {"x"}, 2);
  append(orders, 0, {"b"}, 3);
  const auto again = fresh(orders);
  const auto extent = ok(index(
      1, [&](std::uint32_t id) -> std::optional<log_state*> { return id == 4 ? again.get() : nullptr; }));
  EXPECT_EQ(extent.next_sequence, next_sequence());
  EXPECT_EQ(extent.time_last, 3);
  EXPECT_EQ(again->end(0), 2U);
}

TEST_F(JournalIndex, RefusesARowOfALogThatNeverWas) {
  log_state& orders = declare(4, "orders", 1);
  append(orders, 0, {"a"}, 1);
  const auto refused = index(1, [](std::uint32_t) -> std::optional<log_state*> { return std::nullopt; });
  ASSERT_THAT(refused, fails_with(errc::damaged));
  EXPECT_THAT(refused.error().message(), HasSubstr("row 1 belongs to log 4, which does not exist"));
}

TEST_F(JournalIndex, RefusesAGapInTheOffsets) {
  log_state& orders = declare(4, "orders", 1);
  append(orders, 0, {"a"}, 1);
  append(orders, 0, {"b"}, 2);
  append(orders, 0, {"c"}, 3);
  erase(2);
  const auto again = fresh(orders);
  const auto refused = index(1, [&](std::uint32_t) -> std::optional<log_state*> { return again.get(); });
  ASSERT_THAT(refused, fails_with(errc::damaged));
  EXPECT_THAT(refused.error().message(), HasSubstr("'orders' partition 0: offset 1 is missing"));
}

TEST_F(JournalIndex, RefusesAPartitionThatTheTopicDoesNotHave) {
  log_state& orders = declare(4, "orders", 3);
  append(orders, 2, {"a"}, 1);
  log_state narrow{log_named(4, "orders", 2)};
  EXPECT_THAT(index(1, [&](std::uint32_t) -> std::optional<log_state*> { return &narrow; }),
              fails_with(errc::damaged));
}

}  // namespace
}  // namespace levada::log::test
