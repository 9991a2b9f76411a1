#include "log/sealed_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "storage/codec.hpp"

namespace levada::log {

using storage::batch_view;

error damaged_offsets(const log_state& log, std::uint32_t partition, std::uint64_t first, std::uint64_t end,
                      std::string_view what) {
  return {errc::damaged, fmt::format("read topic '{}' partition {} offsets {} to {}: {}", log.name(),
                                     partition, first, end - 1, what)};
}

// part_reader

result<std::optional<part_reader>> part_reader::open(const log_state& log, const sealed_part& part,
                                                     bool verify) {
  const auto fail = [&](const error& e) {
    if (e != errc::damaged) return e;
    return damaged_offsets(log, part.where.partition, part.where.base_offset, part.where.end_offset,
                           e.message());
  };
  auto file = part.segment->open();
  if (!file) return fail(file.error());
  if (!*file) return std::optional<part_reader>{};
  auto reader = storage::segment_reader::open(*file);
  if (!reader) return fail(reader.error());
  return std::optional{part_reader{log, part, std::move(*file), std::move(*reader), verify}};
}

error part_reader::damaged(const batch_view& batch, const char* what) {
  behind_damage_ = batch.header.end_offset;
  return damaged_offsets(*log_, batch.key.partition, batch.key.base_offset, batch.header.end_offset, what);
}

result<std::optional<opened_batch>> part_reader::opened(const found_batch& found) {
  const auto& where = part_.where;
  if (!found) {
    behind_damage_ = where.end_offset;
    if (found.error() != errc::damaged) return found.error();
    return damaged_offsets(*log_, where.partition, expected_, where.end_offset, found.error().message());
  }
  // A segment may hold several parts of one partition.
  const bool ended = !*found || (*found)->key.base_offset >= where.end_offset;
  const std::uint64_t begin = ended ? where.end_offset : (*found)->key.base_offset;
  if (begin > expected_ && !where.sparse) {
    behind_damage_ = begin;
    return damaged_offsets(*log_, where.partition, expected_, begin, "their segment does not hold them");
  }
  if (ended) return std::optional<opened_batch>{};
  const batch_view& batch = **found;
  expected_ = batch.header.end_offset;
  if (verify_ && !storage::verify_batch(batch)) return damaged(batch, "wrong checksum");
  std::uint64_t size = 0;
  std::uint64_t count = 0;
  for (const auto& run : batch.runs) {
    size += run.size;
    count += run.count;
  }
  if (size != batch.header.records_size || count != batch.header.count) {
    return damaged(batch, "its runs do not add up");
  }
  const auto codec = static_cast<storage::codec>(batch.header.codec);
  if (codec == storage::codec::none) {
    if (batch.header.stored_size != size) return damaged(batch, "its size is wrong");
    return std::optional{opened_batch{batch, batch.stored.data(), file_}};
  }
  // Eight-aligned, as records are.
  auto plain = std::make_shared_for_overwrite<std::uint64_t[]>((size + 7) / 8);
  auto* const to = reinterpret_cast<std::byte*>(plain.get());
  if (!storage::decompress(codec, batch.stored, {to, size})) {
    return damaged(batch, "its records cannot be decompressed");
  }
  return std::optional{opened_batch{batch, to, std::move(plain)}};
}

result<std::optional<opened_batch>> part_reader::find(std::uint64_t offset) {
  expected_ = std::max(offset, part_.where.base_offset);
  return opened(reader_.find({part_.where.log, part_.where.partition, expected_}));
}

result<std::optional<opened_batch>> part_reader::next() {
  return opened(reader_.next_in_partition());
}

result<std::optional<opened_batch>> part_reader::find_time(std::int64_t time) {
  const auto& where = part_.where;
  std::uint64_t low = where.base_offset;
  std::uint64_t high = where.end_offset;
  std::uint64_t best = where.end_offset;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    auto batch = reader_.find({where.log, where.partition, middle});
    if (!batch) return opened(batch);
    if (!*batch || (*batch)->key.base_offset >= where.end_offset) {  // a gap up to the end
      high = middle;
    } else if ((*batch)->header.time_max >= time) {
      best = (*batch)->key.base_offset;
      high = std::min(middle, best);
    } else {
      low = (*batch)->header.end_offset;
    }
  }
  return find(best);
}

// Reading

namespace {

/// Adds the records of one batch from offset `from` up to `until`; false when the builder has no more room.
result<bool> add_batch(const log_state& log, const opened_batch& batch, std::uint64_t& from,
                       std::uint64_t until, batch_builder& out) {
  const std::byte* data = batch.records;
  const auto& key = batch.view.key;
  for (const auto& run : batch.view.runs) {
    const std::span records{data, run.size};
    data += run.size;
    const std::uint64_t base = key.base_offset + run.offset_delta;
    if (from >= base + run.count) continue;
    if (base >= until) break;
    if (out.full()) return false;
    const std::uint64_t skip = from > base ? from - base : 0;
    const std::uint64_t wanted = std::min<std::uint64_t>(run.count, until - base) - skip;
    const auto piece = out.choose(records, run.count, skip, wanted);
    if (!piece) {
      return damaged_offsets(log, key.partition, key.base_offset, batch.view.header.end_offset,
                             "its records cannot be told apart");
    }
    if (!out.fits(piece->size)) return false;
    out.keep(batch.owner);
    out.add(log.shared_name(), {.partition = partition_id{key.partition},
                                .base_offset = offset{base + skip},
                                .count = piece->count,
                                .time_first = to_time(run.time_first),
                                .sequence = run.sequence,
                                .data = records.data() + piece->begin,
                                .size = piece->size});
    from = base + skip + piece->count;
    if (piece->count < wanted) return false;
  }
  from = std::max(from, std::min(batch.view.header.end_offset, until));
  return true;
}

}  // namespace

result<sealed_outcome> read_part(const log_state& log, const sealed_part& part, std::uint64_t& from,
                                 std::uint64_t until, batch_builder& out, bool verify,
                                 std::uint64_t& behind_damage) {
  behind_damage = part.where.end_offset;
  auto reader = part_reader::open(log, part, verify);
  if (!reader) return reader.error();
  if (!*reader) return sealed_outcome::gone;
  for (auto batch = (*reader)->find(from);; batch = (*reader)->next()) {
    if (!batch) {
      behind_damage = (*reader)->behind_damage();
      return batch.error();
    }
    if (!*batch) break;
    if (out.full()) return sealed_outcome::done;
    auto added = add_batch(log, **batch, from, until, out);
    if (!added) {
      behind_damage = (*batch)->view.header.end_offset;
      return added.error();
    }
    if (!*added || from >= until) return sealed_outcome::done;
  }
  from = std::max(from, std::min(part.where.end_offset, until));
  return sealed_outcome::done;
}

result<sealed_outcome> find_time_in_part(const log_state& log, const sealed_part& part, std::int64_t time,
                                         std::uint64_t& from) {
  auto reader = part_reader::open(log, part, true);
  if (!reader) return reader.error();
  if (!*reader) return sealed_outcome::gone;
  // A batch tells the largest time up to itself, so one before which everything is older can be found by
  // halving; from there on, records are looked at one by one.
  auto batch = (*reader)->find_time(time);
  if (batch && *batch && (*batch)->view.header.end_offset <= from) batch = (*reader)->find(from);
  for (;; batch = (*reader)->next()) {
    if (!batch) return batch.error();
    if (!*batch) break;
    const std::byte* data = (*batch)->records;
    for (const auto& run : (*batch)->view.runs) {
      const std::span records{data, run.size};
      data += run.size;
      const std::uint64_t base = (*batch)->view.key.base_offset + run.offset_delta;
      if (from >= base + run.count) continue;
      const std::uint64_t skip = from > base ? from - base : 0;
      const auto skipped = size_of_records(records, skip);
      const auto before =
          skipped ? records_before(records.subspan(*skipped), run.count - skip, run.time_first, time)
                  : std::nullopt;
      if (!before) {
        return damaged_offsets(log, part.where.partition, base, base + run.count,
                               "its records cannot be told apart");
      }
      if (skip + before->count < run.count) {
        from = base + skip + before->count;
        return sealed_outcome::done;
      }
    }
  }
  from = std::max(from, part.where.end_offset);
  return sealed_outcome::done;
}

}  // namespace levada::log
