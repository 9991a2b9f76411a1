#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "bus/append.hpp"

namespace levada {

class publish_batch::impl {
 public:
  impl(std::shared_ptr<core> owner, std::shared_ptr<topic_slot> topic)
      : owner_{std::move(owner)},
        topic_{std::move(topic)},
        record_bytes_max_{owner_->options().record_bytes_max} {
    const std::uint32_t n = topic_->state.partitions();
    next_ = topic_->next_partition.fetch_add(1, std::memory_order_relaxed) % n;
    rows_.reserve(n);
    for (std::uint32_t p = 0; p < n; ++p) rows_.emplace_back(topic_->state.id(), p);
  }

  result<slot> add(std::optional<partition_id> partition, log::record_source source) {
    set_time(*owner_, topic_->state, source);
    const std::size_t size = source.size();
    if (size > record_bytes_max_) {
      return check_record_size(append_operation(topic_->state), size, record_bytes_max_).error();
    }
    if (bytes_ + size > batch_bytes_max) {
      return error{
          errc::batch_too_large,
          fmt::format(
              "publish to topic '{}': with this record the batch would have {} bytes, the limit is {}",
              topic_->state.name(), bytes_ + size, batch_bytes_max)};
    }
    const std::uint32_t n = topic_->state.partitions();
    std::uint32_t p = 0;
    if (partition) {
      p = partition->value();
      if (p >= n) return unknown_partition(topic_->state, *partition);
    } else if (source.has_key) {
      p = partition_for_key(source.key, n).value();
    } else {
      p = next_;
      next_ = next_ + 1 == n ? 0 : next_ + 1;
    }
    log::row_encoder& rows = rows_[p];
    const slot at{partition_id{p}, rows.records()};
    rows.add(source);
    bytes_ += size;
    ++records_;
    return at;
  }

  result<slot> add(std::optional<partition_id> partition, const record& r) {
    auto extras = log::encode_extras({}, r);
    if (!extras) return extras.error();
    auto source = log::source_of(r, *extras);
    if (!source) return source.error();
    return add(partition, *source);
  }

  /// Fails unless the batch was made for this topic.
  [[nodiscard]] result<void> check_target(const topic_slot& target) const {
    if (topic_.get() == &target) return {};
    return error{errc::invalid_argument, fmt::format("{}: the batch was made for topic '{}'",
                                                     append_operation(target.state), topic_->state.name())};
  }
  [[nodiscard]] std::vector<log::row_encoder*> finish() {
    std::vector<log::row_encoder*> used;
    for (auto& rows : rows_) {
      if (rows.records() == 0) continue;
      rows.finish();
      used.push_back(&rows);
    }
    return used;
  }
  void clear() noexcept {
    for (auto& rows : rows_) rows.clear();
    records_ = bytes_ = 0;
  }

  [[nodiscard]] std::size_t records() const noexcept { return records_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::shared_ptr<core> owner_;
  std::shared_ptr<topic_slot> topic_;
  std::size_t record_bytes_max_;
  std::vector<log::row_encoder> rows_;
  std::uint32_t next_ = 0;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace levada
