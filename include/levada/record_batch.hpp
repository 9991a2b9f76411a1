#pragma once

/// @file
/// What a read returns: many records at once.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include <levada/detail/record_format.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// Records that were read together, in order within each partition. Owns a copy of their bytes, or for sealed
/// records keeps the segment's file mapped, also when retention has deleted it; so it outlives consumer and
/// bus. Views taken from it live as long as the batch or a copy of it (copies share the bytes). Reading one
/// batch from several threads is safe. A default-constructed batch is empty.
class record_batch {
 public:
  /// Consecutive records of one partition.
  struct slice {
    /// Lives as long as the batch.
    std::string_view topic = {};
    partition_id partition;
    /// The offset of the first record; the others follow without gaps.
    levada::offset base_offset;
    std::uint32_t count = 0;
    /// Row's time of its first record, to which the records' deltas are added.
    timestamp time_first;
    /// The row's place in the total order of the bus.
    std::uint64_t sequence = 0;
    /// Encoded records, verified, 8-aligned.
    const std::byte* data = nullptr;
    std::size_t size = 0;
  };

  /// A forward iterator whose value is a `record_view`, made anew at each step.
  class iterator {
   public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = record_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const record_view*;
    using reference = const record_view&;

    iterator() = default;

    reference operator*() const noexcept { return view_; }
    pointer operator->() const noexcept { return &view_; }
    iterator& operator++() noexcept {
      at_ += used_;
      if (++index_ < slice_->count) {
        decode();
      } else {
        ++slice_;
        enter();
      }
      return *this;
    }
    iterator operator++(int) noexcept {
      iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const iterator& a, const iterator& b) noexcept {
      return a.slice_ == b.slice_ && a.index_ == b.index_;
    }

   private:
    friend class record_batch;
    iterator(const slice* at, const slice* end) noexcept : slice_{at}, end_{end} { enter(); }

    void enter() noexcept {
      index_ = 0;
      if (slice_ == end_) return;
      at_ = slice_->data;
      view_.topic_ = slice_->topic;
      view_.partition_ = slice_->partition;
      view_.time_first_ = slice_->time_first;
      decode();
    }
    void decode() noexcept {
      // A record's place is known only from the size of the one before, so the processor cannot look ahead.
      // By number, for it may lie outside of what may be pointed to; nothing is read there.
      __builtin_prefetch(
          reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(at_) + prefetch_distance));
      used_ = detail::size_of_record(at_, static_cast<std::size_t>(slice_->data + slice_->size - at_));
      // Where nothing was verified, what is no record is read as an empty one.
      view_.encoded_ = used_ == 0 ? detail::encoded_record{} : detail::encoded_record{at_};
      view_.offset_ = slice_->base_offset + index_;
    }

    static constexpr std::uintptr_t prefetch_distance = 2048;  // bytes

    const slice* slice_ = nullptr;
    const slice* end_ = nullptr;
    const std::byte* at_ = nullptr;
    std::size_t used_ = 0;
    std::uint32_t index_ = 0;
    record_view view_;
  };
  using const_iterator = iterator;
  using value_type = record_view;

  record_batch() = default;

  [[nodiscard]] iterator begin() const noexcept {
    return {slices().data(), slices().data() + slices().size()};
  }
  [[nodiscard]] iterator end() const noexcept {
    const slice* const last = slices().data() + slices().size();
    return {last, last};
  }
  /// How many records.
  [[nodiscard]] std::size_t size() const noexcept { return content_ ? content_->records : 0; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// The batch in runs of consecutive records, for code that works partition by partition.
  [[nodiscard]] const std::vector<slice>& slices() const noexcept {
    static const std::vector<slice> none;
    return content_ ? content_->slices : none;
  }

 private:
  friend struct detail::record_access;
  /// The shared, unchanging inside; filled by the library's reader only.
  struct content {
    std::vector<slice> slices;
    std::vector<std::unique_ptr<std::uint64_t[]>> buffers;
    std::vector<std::shared_ptr<const void>> owners;
    std::size_t records = 0;
  };
  std::shared_ptr<const content> content_;
};

}  // namespace levada
