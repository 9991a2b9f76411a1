#include "log/journal_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace levada::log {
namespace {

using storage::continuation;

error damaged_row(const log_state& log, const storage::row_view& row, const char* what) {
  return {errc::damaged,
          fmt::format("read topic '{}' partition {} offset {}: {} (journal row {})", log.name(),
                      row.header.partition, row.header.base_offset, what, row.sequence)};
}

/// Copies the index entries of so many records at most, so that reading the journal happens without the log's
/// lock.
std::vector<log_index::entry> copy_entries(const log_index& index, std::optional<std::size_t> from,
                                           std::uint64_t records) {
  constexpr std::size_t most = 64;
  std::vector<log_index::entry> copied;
  if (!from) return copied;
  // Each has a record at least.
  const std::size_t count = std::min(
      {most, index.size() - *from, static_cast<std::size_t>(std::min<std::uint64_t>(most, records))});
  copied.reserve(count);
  for (std::size_t i = 0; i < count; ++i) copied.push_back(index[*from + i]);
  return copied;
}

}  // namespace

result<journal_reader> journal_reader::open(const storage::main_environment& main) {
  auto txn = storage::read_transaction::begin(main.env());
  if (!txn) return txn.error();
  auto c = storage::cursor::open(*txn, main.tables().journal);
  if (!c) return c.error();
  return journal_reader{std::move(*txn), std::move(*c)};
}

result<bool> journal_reader::take(result<std::optional<storage::cursor::entry>> at) {
  at_row_ = false;
  if (!at) return at.error();
  if (!*at) return false;
  if (!storage::parse_row((*at)->key, (*at)->value, row_)) {
    return error{errc::damaged,
                 fmt::format("read journal: the row after {} has impossible sizes", row_.sequence)};
  }
  at_row_ = true;
  return true;
}

result<bool> journal_reader::seek(std::uint64_t sequence) {
  if (at_row_ && row_.sequence == sequence) return true;
  if (at_row_ && row_.sequence + 1 == sequence) return next();
  const std::uint64_t key = storage::big_endian(sequence);
  return take(cursor_.move(MDB_SET_RANGE, std::as_bytes(std::span{&key, 1})));
}

result<bool> journal_reader::next() {
  return take(cursor_.move(MDB_NEXT));
}

result<void> journal_reader::add_continued(const log_state& log, batch_builder& out) {
  const storage::row_view first = row_;
  detail::record_header head{};
  if (!storage::verify_row(first) || first.records.size() < sizeof head) {
    return damaged_row(log, first, "wrong checksum");
  }
  std::memcpy(&head, first.records.data(), sizeof head);
  const std::size_t whole = detail::padded(head.size);
  if (!out.fits(whole)) return {};
  std::byte* const place = out.allocate(whole);
  std::size_t filled = 0;
  for (std::uint32_t fragment = 0; filled < whole; ++fragment) {
    if (fragment > 0) {
      auto moved = next();
      if (!moved) return moved.error();
      if (!*moved || row_.header.log != first.header.log || row_.header.partition != first.header.partition ||
          row_.header.base_offset != first.header.base_offset || row_.header.fragment != fragment) {
        return damaged_row(log, first, "a part of the record is missing");
      }
      if (!storage::verify_row(row_)) return damaged_row(log, row_, "wrong checksum");
    }
    if (row_.records.size() > whole - filled || row_.records.empty()) {
      return damaged_row(log, first, "the parts of the record do not fit");
    }
    std::memcpy(place + filled, row_.records.data(), row_.records.size());
    filled += row_.records.size();
  }
  out.add(log.shared_name(), {.partition = partition_id{first.header.partition},
                              .base_offset = offset{first.header.base_offset},
                              .count = 1,
                              .time_first = to_time(first.header.time_first),
                              .sequence = first.sequence,
                              .data = place,
                              .size = whole});
  return {};
}

result<void> journal_reader::add_row(const log_state& log, std::uint64_t skip, std::uint64_t most,
                                     batch_builder& out) {
  if (row_.header.continued == static_cast<std::uint8_t>(continuation::first)) return add_continued(log, out);
  const std::size_t size = row_.records.size();
  if (!out.fits(size)) return {};
  std::byte* const place = out.allocate(size);
  std::memcpy(place, row_.records.data(), size);
  if (row_.header.checksum !=
      storage::row_checksum(row_.header, row_.sequence, storage::records_hash({place, size}))) {
    out.release(size);
    return damaged_row(log, row_, "wrong checksum");
  }
  const std::uint64_t left = row_.header.count - skip;
  const auto piece = out.choose({place, size}, row_.header.count, skip, std::min(left, most));
  if (!piece) return damaged_row(log, row_, "its records cannot be told apart");
  out.add(log.shared_name(), {.partition = partition_id{row_.header.partition},
                              .base_offset = offset{row_.header.base_offset + skip},
                              .count = piece->count,
                              .time_first = to_time(row_.header.time_first),
                              .sequence = row_.sequence,
                              .data = place + piece->begin,
                              .size = piece->size});
  return {};
}

result<void> journal_reader::read_partition(const log_state& log, std::uint32_t partition,
                                            std::uint64_t& from, std::uint64_t until, batch_builder& out) {
  const std::uint64_t end = std::min(until, log.end(partition));
  while (from < end && !out.full()) {
    std::vector<log_index::entry> entries;
    {
      const std::shared_lock guard{log.mutex()};
      if (log.find_sealed(partition, from)) return {};
      entries = copy_entries(log.index(partition), log.index(partition).find_offset(from), end - from);
    }
    const std::uint64_t before = from;
    for (const auto& entry : entries) {
      // Who reads on behind what he has read last, does not begin anew.
      const bool within = at_row_ && row_.sequence >= entry.sequence &&
                          row_.sequence < entry.sequence + log_index::window && row_.header.log == log.id() &&
                          row_.header.partition == partition && row_.header.count > 0 &&
                          row_.header.base_offset <= from;
      auto found = within ? result<bool>{true} : seek(entry.sequence);
      for (std::uint32_t rows = 0; rows < entry.rows && from < end && !out.full();) {
        if (!found) return found.error();
        if (!*found) return {};  // committed after this snapshot was taken
        if (row_.sequence >= entry.sequence + log_index::window) break;
        if (row_.header.log == log.id() && row_.header.partition == partition && row_.header.count > 0) {
          ++rows;
          const std::uint64_t base = row_.header.base_offset;
          const std::uint64_t beyond = base + row_.header.count;
          if (from >= base && from < beyond) {
            const std::size_t had = out.records();
            if (auto added = add_row(log, from - base, end - from, out); !added) return added.error();
            const std::size_t added = out.records() - had;
            from += added;
            if (from < std::min(beyond, end)) return {};  // no room for it
          }
        }
        if (rows < entry.rows) found = next();
      }
      if (from >= end || out.full()) return {};
    }
    if (from == before) {
      return error{errc::damaged,
                   fmt::format("read topic '{}' partition {} offset {}: the journal does not hold it",
                               log.name(), partition, from)};
    }
  }
  return {};
}

result<std::uint64_t> journal_reader::last_sequence() {
  auto found = take(cursor_.move(MDB_LAST));
  if (!found) return found.error();
  return *found ? row_.sequence : 0;
}

std::uint64_t journal_reader::behind_row(std::uint64_t from) const noexcept {
  // What a damaged header says is believed where it can be true.
  constexpr std::uint64_t count_max = storage::row_records_max / sizeof(detail::record_header);
  const std::uint64_t base = row_.header.base_offset;
  const std::uint64_t count = row_.header.count;
  return count <= count_max && base <= from && from < base + count ? base + count : from + 1;
}

result<void> journal_reader::read_pass(log_pass& pass, std::uint64_t until, batch_builder& out) {
  const auto sealed_now = [&pass] {
    return std::any_of(pass.parts.begin(), pass.parts.end(), [&pass](const log_pass::part& p) {
      const std::shared_lock guard{p.log->mutex()};
      return p.log->sealed_through() >= pass.sequence && p.log->sealed_through() > 0;
    });
  };
  log_pass::part* part = nullptr;  // neighbours mostly share their log
  for (auto found = seek(pass.sequence); pass.sequence < until && !out.full(); found = next()) {
    if (!found) return found.error();
    if (!*found) return {};  // committed after this snapshot was taken
    if (row_.sequence > pass.sequence && sealed_now()) return {};
    if (row_.sequence >= until) {
      pass.sequence = until;
      return {};
    }
    pass.sequence = row_.sequence;
    const auto& header = row_.header;
    if (part == nullptr || part->log->id() != header.log) part = pass.find(header.log);
    if (part != nullptr && header.count > 0 && header.partition < part->log->partitions()) {
      std::uint64_t& from = part->next[header.partition];
      const std::uint64_t end = std::min(header.base_offset + header.count, part->until[header.partition]);
      if (from < end) {
        const std::uint64_t first = std::max(from, header.base_offset);
        const std::size_t had = out.records();
        auto added = add_row(*part->log, first - header.base_offset, end - first, out);
        if (!added) {
          from = first + 1;  // the rest of the row is behind the pass's sequence
          ++pass.sequence;
          return added;
        }
        from = first + (out.records() - had);
        if (from < end) return {};  // no room for it
      }
    }
    pass.sequence = std::max(pass.sequence, row_.sequence) + 1;
  }
  return {};
}

result<std::uint64_t> journal_reader::find_time(const log_state& log, std::uint32_t partition,
                                                std::int64_t time, std::uint64_t from) {
  const std::uint64_t end = log.end(partition);
  std::uint64_t from_entry = 0;
  {
    const std::shared_lock guard{log.mutex()};
    const auto found = log.index(partition).find_time(time);
    if (!found) return end;
    from_entry = log.index(partition)[*found].sequence;
  }
  std::uint64_t answer = end;
  result<void> inner{};
  auto walked = for_each_row(from_entry, [&](const storage::row_view& row) {
    if (row.header.log != log.id() || row.header.partition != partition || row.header.count == 0) return true;
    if (row.header.base_offset >= end) return false;
    if (row.header.time_last < time || row.header.base_offset + row.header.count <= from) return true;
    const std::uint64_t skip = from > row.header.base_offset ? from - row.header.base_offset : 0;
    std::uint64_t place = 0;
    if ((row.header.time_first < time || skip > 0) && row.header.continued == 0) {
      auto found = find_in_row(log, skip, time);
      if (!found) {
        inner = found.error();
        return false;
      }
      place = *found;
    }
    if (place == row.header.count) return true;  // only what lies before `from` is as late
    answer = row.header.base_offset + place;
    return false;
  });
  if (!walked) return walked.error();
  if (!inner) return inner.error();
  return answer;
}

result<std::uint64_t> journal_reader::find_in_row(const log_state& log, std::uint64_t skip,
                                                  std::int64_t time) const {
  if (!storage::verify_row(row_)) return damaged_row(log, row_, "wrong checksum");
  const auto skipped = size_of_records(row_.records, skip);
  const auto before = skipped ? records_before(row_.records.subspan(*skipped), row_.header.count - skip,
                                               row_.header.time_first, time)
                              : std::nullopt;
  if (!before) return damaged_row(log, row_, "its records cannot be told apart");
  return skip + before->count;
}

}  // namespace levada::log
