#include "log/batch_builder.hpp"

#include <algorithm>
#include <utility>

namespace levada::log {

std::optional<batch_builder::piece> batch_builder::choose(std::span<const std::byte> records,
                                                          std::uint64_t count, std::uint64_t skip,
                                                          std::uint64_t most) const noexcept {
  const std::uint64_t wanted = std::min<std::uint64_t>(most, room());
  const auto begin = skip > 0 ? size_of_records(records, skip) : 0;
  const auto end = skip + wanted < count ? size_of_records(records, skip + wanted) : records.size();
  if (!begin || !end || *begin >= *end) return std::nullopt;
  piece chosen{static_cast<std::uint32_t>(wanted), *begin, *end - *begin};
  if (content_->records > 0 || chosen.size <= most_.bytes) return chosen;
  const auto within = records_within(records.subspan(chosen.begin, chosen.size), wanted, most_.bytes);
  if (!within) return std::nullopt;
  chosen.count = static_cast<std::uint32_t>(within->count);
  chosen.size = within->bytes;
  return chosen;
}

std::byte* batch_builder::allocate(std::size_t size) {
  const std::size_t words = (size + 7) / 8;
  if (used_ + words > capacity_) {
    capacity_ = std::max(words, block_words);
    content_->buffers.push_back(std::make_unique_for_overwrite<std::uint64_t[]>(capacity_));
    used_ = 0;
  }
  auto* const place = reinterpret_cast<std::byte*>(content_->buffers.back().get() + used_);
  used_ += words;
  return place;
}

void batch_builder::keep(const std::shared_ptr<const void>& owner) {
  if (owner.get() == kept_) return;
  content_->owners.push_back(owner);
  kept_ = owner.get();
}

void batch_builder::add(const std::shared_ptr<const std::string>& topic, const record_batch::slice& slice) {
  if (topic.get() != topic_) {
    content_->owners.push_back(topic);
    topic_ = topic.get();
  }
  content_->records += slice.count;
  bytes_ += slice.size;
  if (!content_->slices.empty()) {
    auto& last = content_->slices.back();
    if (last.data + last.size == slice.data && last.base_offset + last.count == slice.base_offset &&
        last.partition == slice.partition && last.time_first == slice.time_first &&
        last.topic.data() == topic->data()) {
      last.count += slice.count;
      last.size += slice.size;
      return;
    }
  }
  content_->slices.push_back(slice);
  content_->slices.back().topic = *topic;
}

record_batch batch_builder::finish() {
  record_batch batch;
  if (content_->records > 0)
    detail::record_access::fill(batch, std::shared_ptr<const content>{std::move(content_)});
  content_ = std::make_shared<content>();
  bytes_ = used_ = capacity_ = 0;
  kept_ = nullptr;
  topic_ = nullptr;
  return batch;
}

}  // namespace levada::log
