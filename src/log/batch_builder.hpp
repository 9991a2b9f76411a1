#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "log/record_codec.hpp"

#include <levada/record_batch.hpp>

namespace levada::log {

/// Collects records into a `record_batch`: copies of what stands in the journal, and borrowed ones of what a
/// segment holds. Not safe to share.
class batch_builder {
 public:
  struct limits {
    std::size_t records = SIZE_MAX;
    std::size_t bytes = SIZE_MAX;
  };
  explicit batch_builder(limits most) : most_{most} {}

  /// Whether nothing more may be added.
  [[nodiscard]] bool full() const noexcept {
    return content_->records >= most_.records || bytes_ >= most_.bytes;
  }
  /// Whether `size` more bytes may be added; always true of an empty builder.
  [[nodiscard]] bool fits(std::size_t size) const noexcept {
    return content_->records == 0 || bytes_ + size <= most_.bytes;
  }
  [[nodiscard]] std::size_t records() const noexcept { return content_->records; }
  /// A part of consecutive encoded records.
  struct piece {
    std::uint32_t count = 0;
    std::size_t begin = 0;  // in bytes
    std::size_t size = 0;   // in bytes
  };
  /// Which records of a row, that has `count`, are to be added next: those from the `skip`-th on, at most
  /// `most`, and not more than the builder has room for; `fits` tells whether it has room for all of these
  /// bytes. An empty builder takes as many as fit, and at least one. Nothing where the records cannot be told
  /// apart. Precondition: `skip < count`, `most > 0` and the builder is not full.
  [[nodiscard]] std::optional<piece> choose(std::span<const std::byte> records, std::uint64_t count,
                                            std::uint64_t skip, std::uint64_t most) const noexcept;
  /// Sets how many records it may hold in the end.
  void limit_records(std::size_t most) noexcept { most_.records = most; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// How many more records may be added.
  [[nodiscard]] std::size_t room() const noexcept { return most_.records - content_->records; }

  /// Room for `size` bytes, 8-aligned, valid as long as the batch.
  [[nodiscard]] std::byte* allocate(std::size_t size);
  /// Gives the last allocation back.
  void release(std::size_t size) noexcept { used_ -= (size + 7) / 8; }
  /// Keeps what borrowed records stand in, as long as the batch.
  void keep(const std::shared_ptr<const void>& owner);
  /// Adds records that stand in allocated or kept memory, under this topic whatever the slice says; merges
  /// them with the previous slice where they continue it.
  void add(const std::shared_ptr<const std::string>& topic, const record_batch::slice& slice);

  [[nodiscard]] record_batch finish();

 private:
  using content = detail::record_access::batch_content;
  static constexpr std::size_t block_words = 8192;  // 64 KiB

  limits most_;
  std::shared_ptr<content> content_ = std::make_shared<content>();
  std::size_t bytes_ = 0;
  const void* kept_ = nullptr;          // last
  const std::string* topic_ = nullptr;  // of what was added last
  std::size_t used_ = 0;                // words of the last block
  std::size_t capacity_ = 0;            // words of the last block
};

}  // namespace levada::log
