#include "log/row_encoder.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace levada::log {

void row_encoder::row::note_time(std::int64_t time) noexcept {
  if (!timed) time_first = time_last = time;
  timed = true;
  time_last = std::max(time_last, time);
}

row_encoder::row& row_encoder::begin_row() {
  finish();
  rows_.push_back({.begin = buffer_.size(), .first_record = records_});
  buffer_.resize(buffer_.size() + sizeof(storage::row_header));
  open_ = true;
  return rows_.back();
}

void row_encoder::finish() noexcept {
  if (!open_) return;
  row& r = rows_.back();
  r.hash = storage::records_hash({buffer_.data() + r.begin + sizeof(storage::row_header), r.records_size});
  open_ = false;
}

void row_encoder::add(const record_source& source) {
  const std::size_t size = detail::padded(source.size());
  if (size > storage::row_records_max) {
    add_large(source);
    return;
  }
  // A record's distance to its row's first time has 32 bits.
  const auto far = [&](const row& r) {
    return source.time && r.timed &&
           (*source.time > r.time_first + std::numeric_limits<std::int32_t>::max() ||
            *source.time < r.time_first + std::numeric_limits<std::int32_t>::min());
  };
  // Most have one record.
  if (buffer_.empty()) buffer_.reserve(sizeof(storage::row_header) + size);
  if (!open_ || rows_.back().records_size + size > storage::row_records_max || far(rows_.back())) begin_row();
  row& r = rows_.back();
  if (source.time) r.note_time(*source.time);
  const std::size_t at = buffer_.size();
  buffer_.resize(at + size);
  encode_record(source, source.time ? static_cast<std::int32_t>(*source.time - r.time_first) : 0,
                buffer_.data() + at);
  r.records_size += static_cast<std::uint32_t>(size);
  ++r.count;
  ++records_;
}

void row_encoder::add_large(const record_source& source) {
  std::vector<std::byte> whole(detail::padded(source.size()));
  encode_record(source, 0, whole.data());
  std::uint32_t fragment = 0;
  for (std::size_t done = 0; done < whole.size(); ++fragment) {
    const std::size_t part = std::min(whole.size() - done, storage::row_records_max);
    row& r = begin_row();
    if (source.time) r.note_time(*source.time);
    buffer_.insert(buffer_.end(), whole.begin() + static_cast<std::ptrdiff_t>(done),
                   whole.begin() + static_cast<std::ptrdiff_t>(done + part));
    done += part;
    r.records_size = static_cast<std::uint32_t>(part);
    r.count = fragment == 0 ? 1 : 0;
    r.fragment = fragment;
    r.continued = fragment == 0         ? storage::continuation::first
                  : done < whole.size() ? storage::continuation::middle
                                        : storage::continuation::last;
  }
  finish();
  ++records_;
}

void row_encoder::clear() noexcept {
  rows_.clear();
  buffer_.clear();
  records_ = 0;
  open_ = false;
}

storage::bytes row_encoder::stamped_row(std::size_t i, const stamp& at) {
  const row& r = rows_[i];
  storage::row_header header{};
  header.log = log_;
  header.partition = partition_;
  header.base_offset = at.base_offset + r.first_record;
  header.time_first = r.timed ? r.time_first : at.time;
  header.time_last = time_last(i, at);
  header.count = r.count;
  header.epoch = at.epoch;
  header.fragment = r.fragment;
  header.continued = static_cast<std::uint8_t>(r.continued);
  header.records_size = r.records_size;
  header.checksum = storage::row_checksum(header, at.sequence + i, r.hash);
  std::memcpy(buffer_.data() + r.begin, &header, sizeof header);
  return {buffer_.data() + r.begin, sizeof header + r.records_size};
}

storage::bytes row_encoder::records_of(std::size_t i) const noexcept {
  return {buffer_.data() + rows_[i].begin + sizeof(storage::row_header), rows_[i].records_size};
}

}  // namespace levada::log
