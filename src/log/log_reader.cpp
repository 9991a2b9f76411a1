#include "log/log_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace levada::log {

std::uint64_t sequence_before(const log_state& log, std::int64_t time) {
  const std::shared_lock guard{log.mutex()};
  std::optional<std::uint64_t> first;
  for (std::uint32_t p = 0; p < log.partitions(); ++p) {
    const auto& parts = log.sealed(p);
    const auto found = std::find_if(parts.begin(), parts.end(),
                                    [time](const sealed_part& part) { return part.where.time_max >= time; });
    if (found != parts.end()) first = std::min(first.value_or(UINT64_MAX), found->where.sequence_first);
  }
  if (first) return *first;
  const auto entry = log.whole().find_time(time);
  return entry ? std::max(log.whole()[*entry].sequence, log.sealed_through() + 1) : log.sealed_through() + 1;
}

result<journal_reader*> log_reader::journal() {
  if (!journal_) {
    auto opened = journal_reader::open(main_);
    if (!opened) return opened.error();
    journal_.emplace(std::move(*opened));
  }
  return &*journal_;
}

result<void> log_reader::check_exists(const log_state& log) {
  if (!log.deleted()) return {};
  return error{errc::unknown_topic, fmt::format("read topic '{}': it has been deleted", log.name())};
}

result<void> log_reader::count_gone(const log_state& log, const storage::segment_entry::part* part) {
  if (auto exists = check_exists(log); !exists) return exists;
  if (++gone_ <= gone_max) {
    if (catch_up_) return catch_up_();
    std::this_thread::yield();
    return {};
  }
  if (part == nullptr) {
    return error{errc::damaged, fmt::format("read topic '{}': the file of a segment is missing", log.name())};
  }
  return error{errc::damaged,
               fmt::format("read topic '{}' partition {} offsets {} to {}: their segment's file is missing",
                           log.name(), part->partition, part->base_offset, part->end_offset - 1)};
}

result<void> log_reader::read_partition(const log_state& log, std::uint32_t partition, std::uint64_t& from,
                                        batch_builder& out) {
  const std::uint64_t end = log.end(partition);
  if (auto exists = check_exists(log); !exists) return exists;
  while (from < end && !out.full()) {
    if (const std::uint64_t begin = log.begin(partition); from < begin) {
      return error{errc::overtaken,
                   fmt::format("read topic '{}' partition {}: offsets {} to {} have been removed", log.name(),
                               partition, from, begin - 1)};
    }
    std::optional<sealed_part> part;
    {
      const std::shared_lock guard{log.mutex()};
      part = log.find_sealed(partition, from);
    }
    const std::uint64_t before = from;
    if (part) {
      auto read = read_part(log, *part, from, out, verify_);
      if (!read) return read.error();
      if (*read == sealed_outcome::gone) {
        if (auto again = count_gone(log, &part->where); !again) return again;
        continue;
      }
      if (from < part->where.end_offset) return {};  // no room for more
      continue;
    }
    // The journal's snapshot is older than the index that is then looked at: a row that it does not hold any
    // more, the index does not name either.
    auto rows = journal();
    if (!rows) return rows.error();
    if (auto read = (*rows)->read_partition(log, partition, from, out); !read) {
      auto exists = check_exists(log);
      return exists ? read : exists;
    }
    if (from == before) {
      const std::shared_lock guard{log.mutex()};
      if (!log.find_sealed(partition, from)) return {};
    }
  }
  return {};
}

result<void> log_reader::read_log(const log_state& log, log_position& from, std::uint64_t until,
                                  std::int64_t not_before, batch_builder& out) {
  if (auto exists = check_exists(log); !exists) return exists;
  while (from.sequence < until && !out.full()) {
    std::uint64_t sealed = 0;
    {
      const std::shared_lock guard{log.mutex()};
      sealed = log.sealed_through();
    }
    if (from.sequence <= sealed) {
      const std::uint64_t sealed_until = std::min(sealed + 1, until);
      if (!from.sealed || from.sealed->next() != from.sequence) from.sealed.emplace(from.sequence, verify_);
      auto read = from.sealed->read(log, sealed_until, not_before, out);
      from.sequence = from.sealed->next();
      if (!read) return read.error();
      if (*read == sealed_outcome::gone) {
        if (auto again = count_gone(log, nullptr); !again) return again;
        continue;
      }
      if (from.sequence < sealed_until) return {};  // no room for more
      continue;
    }
    from.sealed.reset();
    auto rows = journal();
    if (!rows) return rows.error();
    const std::uint64_t before = from.sequence;
    if (auto read = (*rows)->read_log(log, from.sequence, until, not_before, out); !read) return read;
    if (from.sequence == before) {
      const std::shared_lock guard{log.mutex()};
      if (from.sequence > log.sealed_through()) return {};
    }
  }
  return {};
}

result<std::uint64_t> log_reader::find_time(const log_state& log, std::uint32_t partition,
                                            std::int64_t time) {
  if (auto exists = check_exists(log); !exists) return exists.error();
  std::uint64_t from = log.begin(partition);
  for (;;) {
    // The snapshot first, then the index: see above.
    auto rows = journal();
    if (!rows) return rows.error();
    std::optional<sealed_part> part;
    std::uint64_t sealed = 0;
    {
      const std::shared_lock guard{log.mutex()};
      sealed = log.sealed_through();
      part = log.find_sealed(partition, from);
      while (part && part->where.time_max < time) part = log.find_sealed(partition, part->where.end_offset);
    }
    if (!part) {
      auto found = (*rows)->find_time(log, partition, time);
      if (!found) return found;
      const std::shared_lock guard{log.mutex()};
      if (log.sealed_through() != sealed) continue;  // what was looked for has moved
      return std::max(*found, from);
    }
    std::uint64_t at = std::max(from, part->where.base_offset);
    auto found = find_time_in_part(log, *part, time, at);
    if (!found) return found.error();
    if (*found == sealed_outcome::gone) {
      if (auto again = count_gone(log, &part->where); !again) return again.error();
      continue;
    }
    if (at < part->where.end_offset) return at;
    from = at;  // every record that is as new lies before the beginning
  }
}

}  // namespace levada::log
