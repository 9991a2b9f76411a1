#include "log/rewriter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "log/log_state.hpp"
#include "log/sealed_reader.hpp"

namespace levada::log {
namespace {

/// Goes through the records of one run, and adds those that stay in as few pieces as possible.
class run_copier {
 public:
  run_copier(segment_builder& to, storage::codec how, record_run run) : to_{to}, how_{how}, run_{run} {}

  /// `keep(offset, time, record)` decides.
  template <class Keep>
  result<void> copy(Keep keep) {
    record_run piece = start(run_.base_offset, 0);
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < run_.count; ++i) {
      const detail::encoded_record record{run_.records.data() + at};
      const std::size_t used = detail::size_of_record(run_.records.data() + at, run_.records.size() - at);
      if (used == 0) {
        return error{errc::damaged,
                     fmt::format("log {} partition {} offset {}: its records cannot be told apart", run_.log,
                                 run_.partition, run_.base_offset + i)};
      }
      const std::int64_t time = run_.time_first + record.time_delta();
      if (keep(run_.base_offset + i, time, record)) {
        ++piece.count;
        piece.time_last = std::max(piece.time_last, time);
        at += used;
      } else {
        if (auto done = finish(piece, at); !done) return done;
        at += used;
        piece = start(run_.base_offset + i + 1, at);
      }
    }
    return finish(piece, at);
  }

 private:
  record_run start(std::uint64_t offset, std::size_t at) {
    begin_ = at;
    record_run piece = run_;
    piece.base_offset = offset;
    piece.count = 0;
    piece.time_last = std::numeric_limits<std::int64_t>::min();
    return piece;
  }
  result<void> finish(record_run& piece, std::size_t end) {
    if (piece.count == 0) return {};
    piece.records = run_.records.subspan(begin_, end - begin_);
    return to_.add(piece, how_);
  }

  segment_builder& to_;
  const storage::codec how_;
  const record_run run_;
  std::size_t begin_ = 0;
};

result<bool> copy_part(const rewrite_request& request, const log_state& log, const sealed_part& part,
                       segment_builder& to) {
  const auto filter = request.filters.find(part.where.log);
  const bool filtered = filter != request.filters.end();
  const std::uint64_t begin = std::max(log.begin(part.where.partition), part.where.base_offset);
  auto covered = part.where;
  covered.base_offset = begin;
  if (auto begun = to.begin_part(covered, part.where.sparse || filtered); !begun) return begun.error();
  auto reader = part_reader::open(log, part, true);
  if (!reader) return reader.error();
  if (!*reader) return false;
  const storage::codec how = request.codec_of(part.where.log);
  const auto keep = [&](std::uint64_t offset, std::int64_t time, const detail::encoded_record& record) {
    return offset >= begin && (!filtered || filter->second({part.where.partition, offset, time, record}));
  };
  for (auto batch = (*reader)->find(begin);; batch = (*reader)->next()) {
    if (!batch) return batch.error();
    if (!*batch) return true;
    if (request.cancelled && request.cancelled()) return false;
    const auto& view = (*batch)->view;
    const std::byte* data = (*batch)->records;
    for (const auto& run : view.runs) {
      run_copier copier{to,
                        how,
                        {.log = view.key.log,
                         .partition = view.key.partition,
                         .base_offset = view.key.base_offset + run.offset_delta,
                         .count = run.count,
                         .epoch = view.header.epoch,
                         .sequence = run.sequence,
                         .time_first = run.time_first,
                         .time_last = 0,
                         .records = {data, run.size}}};
      data += run.size;
      if (auto done = copier.copy(keep); !done) return done.error();
    }
  }
}

}  // namespace

result<std::optional<std::vector<storage::segment_entry>>> rewrite(const rewrite_request& request) {
  using outcome = std::optional<std::vector<storage::segment_entry>>;
  std::vector<sealed_part> parts;
  std::map<std::uint32_t, std::uint64_t> log_bytes;
  auto target = request.target;
  target.sequence_first = std::numeric_limits<std::uint64_t>::max();
  for (const auto& source : request.sources) {
    const auto& entry = source->entry();
    target.sequence_first = std::min(target.sequence_first, entry.sequence_first);
    target.sequence_last = std::max(target.sequence_last, entry.sequence_last);
    // Compressed ones may be stored plain from now on.
    target.bytes_max += 2 * entry.file_bytes;
    for (const auto& part : entry.parts) {
      parts.push_back({source, part});
      log_bytes[part.log] += part.bytes;
    }
  }
  std::sort(parts.begin(), parts.end(), [](const sealed_part& a, const sealed_part& b) {
    return std::tie(a.where.log, a.where.partition, a.where.base_offset) <
           std::tie(b.where.log, b.where.partition, b.where.base_offset);
  });
  new_segments segments{std::move(target)};
  for (const auto& part : parts) {
    const auto log = request.find_log(part.where.log);
    if (!log || part.where.partition >= log->partitions() ||
        part.where.end_offset <= log->begin(part.where.partition)) {
      continue;
    }
    const bool own = log_bytes[part.where.log] >= request.own_segment_bytes;
    auto to = segments.segment_of(own ? part.where.log : 0);
    if (!to) return to.error();
    auto copied = copy_part(request, *log, part, **to);
    if (!copied) return copied.error();
    if (!*copied) return outcome{};
  }
  auto entries = segments.finish();
  if (!entries) return entries.error();
  return outcome{std::move(*entries)};
}

}  // namespace levada::log
