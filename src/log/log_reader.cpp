#include "log/log_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace levada::log {
namespace {

error removed(const log_state& log, std::uint32_t partition, std::uint64_t first, std::uint64_t end) {
  return {errc::overtaken, fmt::format("read topic '{}' partition {}: offsets {} to {} have been removed",
                                       log.name(), partition, first, end - 1)};
}

}  // namespace

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

result<void> log_reader::count_gone(const log_state& log, const storage::segment_entry::part& part) {
  if (auto exists = check_exists(log); !exists) return exists;
  if (++gone_ <= gone_max) {
    if (catch_up_) return catch_up_();
    std::this_thread::yield();
    return {};
  }
  return damaged_offsets(log, part.partition, part.base_offset, part.end_offset,
                         "their segment's file is missing");
}

result<void> log_reader::read_partition(const log_state& log, std::uint32_t partition, std::uint64_t& from,
                                        batch_builder& out, std::uint64_t until) {
  const std::uint64_t end = std::min(log.end(partition), until);
  if (auto exists = check_exists(log); !exists) return exists;
  while (from < end && !out.full()) {
    if (const std::uint64_t begin = log.begin(partition); from < begin) {
      return removed(log, partition, from, std::min(begin, end));
    }
    std::optional<sealed_part> part;
    {
      const std::shared_lock guard{log.mutex()};
      part = log.find_sealed(partition, from);
    }
    const std::uint64_t before = from;
    if (part) {
      auto read = read_part(log, *part, from, end, out, verify_, behind_damage_);
      if (!read) return read.error();
      if (*read == sealed_outcome::gone) {
        if (auto again = count_gone(log, part->where); !again) return again;
        continue;
      }
      if (from < std::min(end, part->where.end_offset)) return {};  // no room for more
      continue;
    }
    // The journal's snapshot is older than the index that is then looked at: a row that it does not hold any
    // more, the index does not name either.
    auto rows = journal();
    if (!rows) return rows.error();
    if (auto read = (*rows)->read_partition(log, partition, from, end, out); !read) {
      behind_damage_ = (*rows)->behind_row(from);
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

result<void> log_reader::check_pass(log_pass& pass) {
  for (auto& part : pass.parts) {
    if (auto exists = check_exists(*part.log); !exists) return exists;
    for (std::uint32_t p = 0; p < part.log->partitions(); ++p) {
      const std::uint64_t begin = std::min(part.log->begin(p), part.until[p]);
      if (part.next[p] >= begin) continue;
      const error e = removed(*part.log, p, part.next[p], begin);
      part.next[p] = begin;
      pass.sealed.reset();
      return e;
    }
  }
  return {};
}

result<void> log_reader::read_pass(log_pass& pass, std::uint64_t until, batch_builder& out) {
  const auto sealed_through = [&pass] {
    std::uint64_t least = UINT64_MAX;
    for (const auto& part : pass.parts) {
      const std::shared_lock guard{part.log->mutex()};
      least = std::min(least, part.log->sealed_through());
    }
    return least;
  };
  for (;;) {
    // Also where nothing is left to be read: that a log has been deleted is to be told.
    if (auto checked = check_pass(pass); !checked) return checked;
    if (pass.sequence >= until || out.full() || pass.ended()) return {};
    const std::uint64_t sealed = sealed_through();
    if (pass.sequence <= sealed) {
      if (!pass.sealed) pass.sealed.emplace(verify_);
      const std::uint64_t sealed_until = std::min(sealed + 1, until);
      auto read = pass.sealed->read(pass, sealed_until, out);
      if (!read) return read.error();
      if (*read == sealed_outcome::gone) {
        const auto& [log, where] = pass.sealed->gone();
        auto& part = pass.parts[log];
        auto again = count_gone(*part.log, where);
        if (!again && again.error() == errc::damaged) {
          part.next[where.partition] = std::max(part.next[where.partition], where.end_offset);
        }
        if (!again) return again;
        continue;
      }
      if (pass.sequence < sealed_until) return {};  // no room for more
      continue;
    }
    pass.sealed.reset();
    auto rows = journal();
    if (!rows) return rows.error();
    const std::uint64_t before = pass.sequence;
    if (auto read = (*rows)->read_pass(pass, until, out); !read) return read;
    if (pass.sequence == before && sealed_through() < before) return {};
  }
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
      auto found = (*rows)->find_time(log, partition, time, from);
      if (!found) return found;
      const std::shared_lock guard{log.mutex()};
      if (log.sealed_through() != sealed) continue;  // what was looked for has moved
      return std::max(*found, from);
    }
    std::uint64_t at = std::max(from, part->where.base_offset);
    auto found = find_time_in_part(log, *part, time, at);
    if (!found) return found.error();
    if (*found == sealed_outcome::gone) {
      if (auto again = count_gone(log, part->where); !again) return again.error();
      continue;
    }
    if (at < part->where.end_offset) return at;
    from = at;  // every record that is as new lies before the beginning
  }
}

}  // namespace levada::log
