#pragma once

/// @file
/// What the tests of segment files share: batches with known bytes, and the file that they are written to.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "storage/segment_file.hpp"
#include "storage_testing.hpp"

namespace levada::test {

inline constexpr std::size_t batch_overhead = sizeof(storage::batch_header) + sizeof(storage::batch_run);

/// A batch as a test knows it.
struct known_batch {
  storage::batch_key key;
  std::uint64_t end_offset = 0;
  std::vector<std::byte> value;
};

/// A batch of one run that takes `size` bytes altogether, a multiple of 8.
inline known_batch batch_of(const storage::batch_key& key, std::uint64_t end_offset, std::size_t size) {
  known_batch made{key, end_offset, std::vector<std::byte>(size)};
  storage::batch_header header{};
  header.end_offset = end_offset;
  header.count = static_cast<std::uint32_t>(end_offset - key.base_offset);
  header.runs = 1;
  header.records_size = header.stored_size = static_cast<std::uint32_t>(size - batch_overhead);
  const storage::batch_run run{1, 2, 0, header.count, header.records_size, 0};
  std::byte* const to = made.value.data();
  std::memcpy(to + sizeof header, &run, sizeof run);
  for (std::size_t i = batch_overhead; i < size; ++i) {
    to[i] = static_cast<std::byte>(i * 7 + key.base_offset * 31 + std::uint64_t{key.partition} * 5 + i / 251);
  }
  std::memcpy(to, &header, sizeof header);
  header.checksum = storage::batch_checksum(key, made.value);
  std::memcpy(to, &header.checksum, sizeof header.checksum);
  return made;
}

/// A place for one segment file, and a small vocabulary to write and to read it.
class segment_fixture : public ::testing::Test {
 protected:
  static constexpr std::size_t page = 4096;
  static constexpr std::uint32_t id = 7;

  [[nodiscard]] std::filesystem::path file() const { return directory_ / "00000007.seg"; }
  [[nodiscard]] storage::segment_writer writer(std::size_t bytes_max) const {
    return ok(storage::segment_writer::create(file(), {.id = id, .sequence_first = 10, .sequence_last = 99},
                                              bytes_max));
  }
  static void add(storage::segment_writer& to, const known_batch& batch) {
    const auto place = ok(to.add(batch.key, batch.value.size()));
    ASSERT_EQ(place.size(), batch.value.size());
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(place.data()) % 8, 0U);
    std::memcpy(place.data(), batch.value.data(), batch.value.size());
  }
  /// Writes a segment of these batches, in the order in which they stand; returns the file's size.
  std::uint64_t write(const std::vector<known_batch>& batches) const {
    std::size_t sum = 0;
    for (const auto& b : batches) sum += b.value.size();
    auto to = writer(sum);
    for (const auto& b : batches) add(to, b);
    return ok(to.finish(false));
  }
  [[nodiscard]] std::shared_ptr<const storage::segment_file> open() const {
    auto opened = ok(storage::segment_file::open(file(), id));
    EXPECT_TRUE(opened);
    return opened;
  }
  [[nodiscard]] storage::segment_reader reader() const { return ok(storage::segment_reader::open(open())); }

  static void expect_same(const std::optional<storage::batch_view>& found, const known_batch* expected) {
    ASSERT_EQ(found.has_value(), expected != nullptr);
    if (!found) return;
    ASSERT_EQ(found->key, expected->key);
    ASSERT_EQ(found->header.end_offset, expected->end_offset);
    ASSERT_TRUE(storage::verify_batch(*found));
    ASSERT_EQ(found->value.size(), expected->value.size());
    ASSERT_TRUE(std::equal(found->value.begin(), found->value.end(), expected->value.begin()));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(found->value.data()) % 8, 0U);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(found->runs.data()) % 8, 0U);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(found->stored.data()) % 8, 0U);
  }

  temporary_directory directory_;
};

}  // namespace levada::test
