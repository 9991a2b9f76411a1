#include "log/sealed_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace levada::log {
namespace {

using storage::batch_view;
using file_pointer = std::shared_ptr<const storage::segment_file>;

error damaged_batch(const log_state& log, const batch_view& batch, const char* what) {
  return {errc::damaged,
          fmt::format("read topic '{}' partition {} offsets {} to {}: {}", log.name(), batch.key.partition,
                      batch.key.base_offset, batch.header.end_offset - 1, what)};
}

/// The records of a batch, verified.
struct opened_batch {
  const std::byte* records = nullptr;
  std::shared_ptr<const void> owner;  // what they stand in
};

result<opened_batch> open_batch(const log_state& log, const file_pointer& file, const batch_view& batch,
                                bool verify) {
  if (verify && !storage::verify_batch(batch)) return damaged_batch(log, batch, "wrong checksum");
  std::uint64_t size = 0;
  std::uint64_t count = 0;
  for (const auto& run : batch.runs) {
    size += run.size;
    count += run.count;
  }
  if (size != batch.header.records_size || count != batch.header.count) {
    return damaged_batch(log, batch, "its runs do not add up");
  }
  if (batch.header.codec != 0) return damaged_batch(log, batch, "its codec is not known");
  if (batch.header.stored_size != size) return damaged_batch(log, batch, "its size is wrong");
  return opened_batch{batch.stored.data(), file};
}

/// Adds the records of one batch from offset `from` on; false when the builder has no more room.
result<bool> add_batch(const log_state& log, const file_pointer& file, const batch_view& batch,
                       std::uint64_t& from, batch_builder& out, bool verify) {
  const auto opened = open_batch(log, file, batch, verify);
  if (!opened) return opened.error();
  const std::byte* data = opened->records;
  for (const auto& run : batch.runs) {
    const std::byte* const begin = data;
    data += run.size;
    const std::uint64_t base = batch.key.base_offset + run.offset_delta;
    if (from >= base + run.count) continue;
    if (out.full()) return false;
    const std::uint64_t skip = from > base ? from - base : 0;
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(run.count - skip, out.room()));
    const auto skipped = size_of_records({begin, run.size}, skip);
    const auto reached =
        count < run.count - skip ? size_of_records({begin, run.size}, skip + count) : run.size;
    if (!skipped || !reached || *skipped >= *reached) {
      return damaged_batch(log, batch, "its records cannot be told apart");
    }
    const std::size_t size = *reached - *skipped;
    if (!out.fits(size)) return false;
    out.keep(opened->owner);
    out.add({log.shared_name(), partition_id{batch.key.partition}, offset{base + skip}, count,
             to_time(run.time_first), run.sequence, begin + *skipped, size});
    from = base + skip + count;
    if (count < run.count - skip) return false;
  }
  from = std::max(from, batch.header.end_offset);
  return true;
}

/// The first batch of a part for which `reached(batch)` holds, where that holds for all behind it too.
template <class Reached>
result<std::optional<batch_view>> first_batch(storage::segment_reader& reader,
                                              const storage::segment_entry::part& part, std::uint64_t low,
                                              Reached reached) {
  std::uint64_t high = part.end_offset;
  std::optional<batch_view> best;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    auto batch = reader.find({part.log, part.partition, middle});
    if (!batch) return batch;
    if (!*batch) {  // a gap up to the end
      high = middle;
      continue;
    }
    if (reached(**batch)) {
      best = **batch;
      high = std::min(middle, (*batch)->key.base_offset);
    } else {
      low = (*batch)->header.end_offset;
    }
  }
  if (!best) return best;
  return reader.find(best->key);  // so that the reader stands there
}

}  // namespace

result<sealed_outcome> read_part(const log_state& log, const sealed_part& part, std::uint64_t& from,
                                 batch_builder& out, bool verify) {
  const auto file = part.segment->open();
  if (!file) return file.error();
  if (!*file) return sealed_outcome::gone;
  auto reader = storage::segment_reader::open(*file);
  if (!reader) return reader.error();
  for (auto batch = reader->find({part.where.log, part.where.partition, from});;
       batch = reader->next_in_partition()) {
    if (!batch) return batch.error();
    if (!*batch) break;
    if (out.full()) return sealed_outcome::done;
    auto added = add_batch(log, *file, **batch, from, out, verify);
    if (!added) return added.error();
    if (!*added) return sealed_outcome::done;
  }
  if (from < part.where.end_offset) {
    return error{errc::damaged,
                 fmt::format("read topic '{}' partition {} offsets {} to {}: their segment does not "
                             "hold them",
                             log.name(), part.where.partition, from, part.where.end_offset - 1)};
  }
  return sealed_outcome::done;
}

result<sealed_outcome> find_time_in_part(const log_state& log, const sealed_part& part, std::int64_t time,
                                         std::uint64_t& from) {
  const auto file = part.segment->open();
  if (!file) return file.error();
  if (!*file) return sealed_outcome::gone;
  auto reader = storage::segment_reader::open(*file);
  if (!reader) return reader.error();
  // A batch tells the largest time up to itself, so one before which everything is older can be found by
  // halving; from there on, records are looked at one by one.
  auto batch = first_batch(*reader, part.where, part.where.base_offset,
                           [time](const batch_view& b) { return b.header.time_max >= time; });
  if (batch && *batch && (*batch)->header.end_offset <= from) {
    batch = reader->find({part.where.log, part.where.partition, from});
  }
  for (;; batch = reader->next_in_partition()) {
    if (!batch) return batch.error();
    if (!*batch) break;
    const auto opened = open_batch(log, *file, **batch, true);
    if (!opened) return opened.error();
    const std::byte* data = opened->records;
    for (const auto& run : (*batch)->runs) {
      const std::uint64_t base = (*batch)->key.base_offset + run.offset_delta;
      if (from < base + run.count) {
        const std::uint64_t skip = from > base ? from - base : 0;
        const auto skipped = size_of_records({data, run.size}, skip);
        const auto before = skipped ? records_before({data + *skipped, run.size - *skipped}, run.count - skip,
                                                     run.time_first, time)
                                    : std::nullopt;
        if (!before) return damaged_batch(log, **batch, "its records cannot be told apart");
        if (skip + before->count < run.count) {
          from = base + skip + before->count;
          return sealed_outcome::done;
        }
      }
      data += run.size;
    }
  }
  from = std::max(from, part.where.end_offset);
  return sealed_outcome::done;
}

// sealed_merge

namespace {

constexpr auto later = [](const auto& a, const auto& b) { return a.sequence() > b.sequence(); };

}  // namespace

result<void> sealed_merge::enter_batch(const log_state& log, stream& s,
                                       result<std::optional<batch_view>> batch) {
  if (!batch) return batch.error();
  s.batch = *batch;
  s.run = 0;
  if (!s.batch) return {};
  auto opened = open_batch(log, s.file, *s.batch, verify_);
  if (!opened) return opened.error();
  s.run_data = opened->records;
  s.run_offset = s.batch->key.base_offset;
  s.owner = std::move(opened->owner);
  return {};
}

result<sealed_outcome> sealed_merge::open_part(const log_state& log, stream& s, std::uint64_t sequence) {
  s.batch.reset();
  s.reader.reset();
  std::optional<sealed_part> part;
  std::uint64_t begin = 0;
  {
    const std::shared_lock guard{log.mutex()};
    begin = log.begin(s.partition);
    const auto& all = log.sealed(s.partition);
    const auto found =
        std::lower_bound(all.begin(), all.end(), sequence,
                         [](const sealed_part& p, std::uint64_t seq) { return p.where.sequence_last < seq; });
    const auto kept =
        std::find_if(found, all.end(), [begin](const sealed_part& p) { return p.where.end_offset > begin; });
    if (kept != all.end()) part = *kept;
  }
  if (!part) return sealed_outcome::done;
  auto file = part->segment->open();
  if (!file) return file.error();
  if (!*file) return sealed_outcome::gone;
  auto reader = storage::segment_reader::open(*file);
  if (!reader) return reader.error();
  s.file = std::move(*file);
  s.part = part->where;
  s.reader.emplace(std::move(*reader));
  auto first = first_batch(*s.reader, s.part, std::max(begin, s.part.base_offset),
                           [sequence](const batch_view& b) { return b.header.sequence_last >= sequence; });
  if (auto entered = enter_batch(log, s, std::move(first)); !entered) return entered.error();
  while (s.batch && (s.sequence() < sequence || s.run_offset + s.batch->runs[s.run].count <= begin)) {
    if (auto moved = advance(log, s); !moved || *moved == sealed_outcome::gone) return moved;
  }
  return sealed_outcome::done;
}

result<sealed_outcome> sealed_merge::advance(const log_state& log, stream& s) {
  const auto& run = s.batch->runs[s.run];
  s.run_data += run.size;
  if (++s.run < s.batch->runs.size()) {
    s.run_offset = s.batch->key.base_offset + s.batch->runs[s.run].offset_delta;
    return sealed_outcome::done;
  }
  if (auto entered = enter_batch(log, s, s.reader->next_in_partition()); !entered) return entered.error();
  if (s.batch) return sealed_outcome::done;
  return open_part(log, s, s.part.sequence_last + 1);
}

result<sealed_outcome> sealed_merge::start(const log_state& log) {
  streams_.clear();
  for (std::uint32_t p = 0; p < log.partitions(); ++p) {
    stream s;
    s.partition = p;
    auto opened = open_part(log, s, next_);
    if (!opened || *opened == sealed_outcome::gone) return opened;
    if (s.batch) streams_.push_back(std::move(s));
  }
  std::make_heap(streams_.begin(), streams_.end(), later);
  started_ = true;
  return sealed_outcome::done;
}

result<sealed_outcome> sealed_merge::read(const log_state& log, std::uint64_t until, std::int64_t not_before,
                                          batch_builder& out) {
  if (!started_ || until > started_until_) {
    started_until_ = until;
    if (auto begun = start(log); !begun || *begun == sealed_outcome::gone) return begun;
  }
  while (!streams_.empty() && streams_.front().sequence() < until) {
    if (out.full()) return sealed_outcome::done;
    std::pop_heap(streams_.begin(), streams_.end(), later);
    stream& s = streams_.back();
    const auto& run = s.batch->runs[s.run];
    const std::span records{s.run_data, run.size};
    auto before = records_before(records, run.count, run.time_first, not_before).value_or(records_prefix{});
    const std::uint64_t begin = log.begin(s.partition);
    if (begin > s.run_offset + before.count) {
      before.count = std::min<std::uint64_t>(begin - s.run_offset, run.count);
      before.bytes = size_of_records(records, before.count).value_or(0);
    }
    if (before.count < run.count) {
      const std::size_t size = run.size - before.bytes;
      if (!out.fits(size)) {
        std::push_heap(streams_.begin(), streams_.end(), later);
        return sealed_outcome::done;
      }
      out.keep(s.owner);
      out.add({log.shared_name(), partition_id{s.partition}, offset{s.run_offset + before.count},
               static_cast<std::uint32_t>(run.count - before.count), to_time(run.time_first), run.sequence,
               s.run_data + before.bytes, size});
    }
    next_ = run.sequence + 1;
    auto moved = advance(log, s);
    if (!moved || *moved == sealed_outcome::gone) {
      started_ = false;  // begins anew at `next_`
      return moved;
    }
    if (s.batch) {
      std::push_heap(streams_.begin(), streams_.end(), later);
    } else {
      streams_.pop_back();
    }
  }
  next_ = std::max(next_, until);
  return sealed_outcome::done;
}

}  // namespace levada::log
