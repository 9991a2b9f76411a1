#include "log/saved_index.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log_testing.hpp"

namespace levada::log::test {
namespace {

class SavedIndex : public journal_fixture {
 protected:
  SavedIndex() {
    for (unsigned i = 0; i < 500; ++i) {
      append(orders_, i % 3, {"a", std::string(std::size_t{20} * (i % 50), 'b')}, 1000 + i);
      if (i % 7 == 0) append(other_, 0, {"x"}, 1000 + i);
    }
  }
  static constexpr index_stamp stamp{5, 7, 99};
  static constexpr journal_extent extent{1234, 5678, 91011};
  [[nodiscard]] std::vector<std::byte> saved() { return save_index({&orders_, &other_}, extent, stamp); }
  static void expect_same(const log_state& a, const log_state& b) {
    for (std::uint32_t p = 0; p < a.partitions(); ++p) {
      EXPECT_EQ(a.end(p), b.end(p));
      ASSERT_EQ(a.index(p).size(), b.index(p).size());
      for (std::size_t i = 0; i < a.index(p).size(); ++i) {
        EXPECT_EQ(a.index(p)[i].sequence, b.index(p)[i].sequence);
        EXPECT_EQ(a.index(p)[i].base_offset, b.index(p)[i].base_offset);
        EXPECT_EQ(a.index(p)[i].time_max, b.index(p)[i].time_max);
        EXPECT_EQ(a.index(p)[i].rows, b.index(p)[i].rows);
      }
    }
  }
  find_log_function fresh() {
    return [this](std::uint32_t id) -> std::optional<log_state*> {
      return id == 4 ? &orders_again_ : &other_again_;
    };
  }
  log_state& orders_ = declare(4, "orders", 3);
  log_state& other_ = declare(5, "other", 1);
  log_state orders_again_{log_named(4, "orders", 3)};
  log_state other_again_{log_named(5, "other", 1)};
};

TEST_F(SavedIndex, ComesBackAsItWas) {
  const auto loaded = load_index(saved(), stamp, fresh());
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->next_sequence, extent.next_sequence);
  EXPECT_EQ(loaded->time_last, extent.time_last);
  EXPECT_EQ(loaded->bytes, extent.bytes);
  expect_same(orders_, orders_again_);
  expect_same(other_, other_again_);
}

TEST_F(SavedIndex, HoldsForOneStateOfTheStoreOnly) {
  for (const index_stamp other : {index_stamp{6, 7, 99}, index_stamp{5, 8, 99}, index_stamp{5, 7, 100}}) {
    EXPECT_FALSE(load_index(saved(), other, fresh()).has_value());
  }
  EXPECT_EQ(orders_again_.end(0), 0U) << "nothing is taken over";
}

TEST_F(SavedIndex, IsNotBelievedInParts) {
  const auto whole = saved();
  for (std::size_t size = 0; size < whole.size(); size += 1 + size / 50) {
    EXPECT_FALSE(load_index(std::span{whole}.first(size), stamp, fresh()).has_value()) << size;
  }
  auto longer = whole;
  longer.resize(longer.size() + 8);
  EXPECT_FALSE(load_index(longer, stamp, fresh()).has_value());
  EXPECT_FALSE(load_index(whole, stamp, [](std::uint32_t) -> std::optional<log_state*> {
                 return nullptr;
               }).has_value());
  EXPECT_EQ(orders_again_.end(0), 0U);
}

}  // namespace
}  // namespace levada::log::test
