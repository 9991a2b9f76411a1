#pragma once

/// @file
/// What the questions about reading share.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <levada/record_batch.hpp>

namespace levada::bench {

/// What is looked at of what has been read, so that the compiler cannot leave reading out.
class reading {
 public:
  /// Adds up the first 8 bytes of every value.
  void look_at(const record_batch& batch) {
    for (const record_view& record : batch) {
      std::uint64_t word = 0;
      std::memcpy(&word, record.value().data(), sizeof word);
      sum_ += word;
    }
    records_ += batch.size();
  }

  [[nodiscard]] std::size_t records() const noexcept { return records_; }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }

 private:
  std::size_t records_ = 0;
  std::uint64_t sum_ = 0;
};

/// How many records the stores are filled with to be read: 128 MiB of full rows, which fit the page cache.
inline constexpr std::size_t records_to_read = std::size_t{1} << 20;

}  // namespace levada::bench
