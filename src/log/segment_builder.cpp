#include "log/segment_builder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "log/sealed_segment.hpp"
#include "storage/errors.hpp"
#include "storage/unique_fd.hpp"

namespace levada::log {
namespace {

constexpr std::size_t padded_to_8(std::size_t size) noexcept {
  return (size + 7) & ~std::size_t{7};
}

}  // namespace

// segment_builder

result<void> segment_builder::begin_part(const storage::segment_entry::part& source, bool sparse) {
  partition_state& p = partitions_[{source.log, source.partition}];
  if (!p.parts.empty() && p.parts.back().end_offset == source.base_offset) {
    auto& part = p.parts.back();
    part.end_offset = source.end_offset;
    part.sequence_last = source.sequence_last;
    part.sparse = part.sparse || sparse;
    return {};
  }
  if (auto done = flush(p); !done) return done;
  p.time_max = std::numeric_limits<std::int64_t>::min();
  auto& part = p.parts.emplace_back(source);
  part.records = part.bytes = 0;
  part.time_max = p.time_max;
  part.sparse = sparse;
  return {};
}

result<void> segment_builder::add(const record_run& run, storage::codec how) {
  partition_state& p = partitions_[{run.log, run.partition}];
  const std::uint64_t end = run.base_offset + run.count;
  if (p.parts.empty() || run.base_offset > p.parts.back().end_offset) {
    storage::segment_entry::part own;
    own.log = run.log;
    own.partition = run.partition;
    own.base_offset = own.end_offset = run.base_offset;
    own.sequence_first = run.sequence;
    if (auto begun = begin_part(own, false); !begun) return begun;
  }
  const bool fits = p.size() + sizeof(storage::batch_run) + run.records.size() <= storage::batch_bytes_max &&
                    run.base_offset - p.key.base_offset <= std::numeric_limits<std::uint32_t>::max() &&
                    run.epoch == p.header.epoch && how == p.how;
  if (!p.runs.empty() && !fits) {
    if (auto done = flush(p); !done) return done;
  }
  if (p.runs.empty()) {
    p.key = {run.log, run.partition, run.base_offset};
    p.header.epoch = run.epoch;
    p.how = how;
  }
  bytes_ += run.records.size();
  p.runs.push_back({run.sequence, run.time_first,
                    static_cast<std::uint32_t>(run.base_offset - p.key.base_offset), run.count,
                    static_cast<std::uint32_t>(run.records.size()), 0});
  p.records.insert(p.records.end(), run.records.begin(), run.records.end());
  p.time_max = std::max(p.time_max, run.time_last);
  p.header.end_offset = end;
  p.header.sequence_last = run.sequence;
  p.header.count += run.count;
  auto& part = p.parts.back();
  part.end_offset = std::max(part.end_offset, end);
  part.sequence_last = std::max(part.sequence_last, run.sequence);
  return {};
}

result<void> segment_builder::flush(partition_state& p) {
  if (p.runs.empty()) return {};
  const std::size_t runs_size = p.runs.size() * sizeof p.runs[0];
  const bool smaller = storage::compress(p.how, p.records, compressed_);
  const auto& stored = smaller ? compressed_ : p.records;
  p.header.time_max = p.time_max;
  p.header.runs = static_cast<std::uint32_t>(p.runs.size());
  p.header.records_size = static_cast<std::uint32_t>(p.records.size());
  p.header.stored_size = static_cast<std::uint32_t>(stored.size());
  p.header.codec = static_cast<std::uint8_t>(smaller ? p.how : storage::codec::none);
  auto place = writer_.add(p.key, sizeof p.header + runs_size + padded_to_8(stored.size()));
  if (!place) return place.error();
  std::byte* const to = place->data();
  std::memcpy(to + sizeof p.header, p.runs.data(), runs_size);
  std::byte* const records = to + sizeof p.header + runs_size;
  std::memcpy(records, stored.data(), stored.size());
  std::memset(records + stored.size(), 0, padded_to_8(stored.size()) - stored.size());
  std::memcpy(to, &p.header, sizeof p.header);
  p.header.checksum = storage::batch_checksum(p.key, *place);
  std::memcpy(to, &p.header.checksum, sizeof p.header.checksum);

  auto& part = p.parts.back();
  part.records += p.header.count;
  part.bytes += place->size();
  part.time_max = p.time_max;
  p.runs.clear();
  p.records.clear();
  p.header.count = 0;
  return {};
}

result<void> segment_builder::finish(bool sync) {
  for (auto& [where, p] : partitions_) {
    if (auto done = flush(p); !done) return done;
    entry_.parts.insert(entry_.parts.end(), p.parts.begin(), p.parts.end());
  }
  auto size = writer_.finish(sync);
  if (!size) return size.error();
  entry_.file_bytes = *size;
  return {};
}

// new_segments

new_segments::~new_segments() {
  for (const auto& file : files_) ::unlink(file.c_str());
}

std::filesystem::path new_segments::temporary_path(std::uint32_t id) const {
  return options_.directory / fmt::format("{:08x}.new", id);
}

result<segment_builder*> new_segments::segment_of(std::uint32_t group) {
  const auto found = current_.find(group);
  if (found != current_.end() && builders_[found->second].bytes() < options_.segment_bytes_max) {
    return &builders_[found->second];
  }
  const auto id = options_.next_id + static_cast<std::uint32_t>(builders_.size());
  const auto& o = options_;
  auto writer = storage::segment_writer::create(
      temporary_path(id), {.id = id, .sequence_first = o.sequence_first, .sequence_last = o.sequence_last},
      o.bytes_max);
  if (!writer) return writer.error();
  current_[group] = builders_.size();
  storage::segment_entry entry{id, o.sequence_first, o.sequence_last, o.now, 0, {}, o.generation};
  return &builders_.emplace_back(std::move(*writer), std::move(entry));
}

result<std::vector<storage::segment_entry>> new_segments::finish() {
  std::vector<storage::segment_entry> entries;
  for (auto& builder : builders_) {
    const auto temporary = temporary_path(builder.entry().id);
    if (auto done = builder.finish(options_.sync); !done) return done.error();
    files_.push_back(temporary);
  }
  for (auto& builder : builders_) {
    auto& entry = builder.entry();
    const auto file = segment_path(options_.directory, entry.id);
    if (::rename(temporary_path(entry.id).c_str(), file.c_str()) != 0) {
      return storage::system_error(errno, "name segment", file);
    }
    files_.push_back(file);
    entries.push_back(std::move(entry));
  }
  if (options_.sync && !builders_.empty()) {
    const storage::unique_fd fd{::open(options_.directory.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY)};
    if (!fd) return storage::system_error(errno, "open", options_.directory);
    if (::fsync(fd.get()) != 0) return storage::system_error(errno, "sync", options_.directory);
  }
  files_.clear();
  return entries;
}

}  // namespace levada::log
