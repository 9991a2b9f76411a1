#include "bus/needless.hpp"

#include <algorithm>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "bus/job_position.hpp"

namespace levada {
namespace {

/// The beginnings of a log now, and what is sealed of it.
struct log_picture {
  beginnings begins;
  std::vector<storage::segment_entry::part> parts;  // in the order of their rows
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;

  explicit log_picture(const log::log_state& log) {
    const std::shared_lock guard{log.mutex()};
    bytes = log.journal_bytes();
    for (std::uint32_t p = 0; p < log.partitions(); ++p) {
      begins.push_back(log.begin(p));
      std::uint64_t journal_begin = log.begin(p);
      for (const auto& part : log.sealed(p)) {
        parts.push_back(part.where);
        records += records_of(part.where);
        bytes += part.where.bytes;
        journal_begin = std::max(journal_begin, part.where.end_offset);
      }
      records += log.end(p) - journal_begin;
    }
    std::sort(parts.begin(), parts.end(),
              [](const auto& a, const auto& b) { return a.sequence_last < b.sequence_last; });
  }

  /// How many records of a part there are at least: it may have gaps, and none is counted that may lie before
  /// the beginning.
  [[nodiscard]] std::uint64_t records_of(const storage::segment_entry::part& part) const {
    const std::uint64_t begin = begins[part.partition];
    const std::uint64_t before = begin > part.base_offset ? begin - part.base_offset : 0;
    return part.records > before ? part.records - before : 0;
  }
};

/// What the limits on bytes and records leave.
void give_up_parts(log_picture& log, const storage::log_policy& policy) {
  for (const auto& part : log.parts) {
    const bool too_many_bytes =
        policy.retention_bytes > 0 && log.bytes - part.bytes >= policy.retention_bytes;
    const std::uint64_t records = log.records_of(part);
    const bool too_many_records =
        policy.retention_records > 0 && log.records >= policy.retention_records + records;
    if (!too_many_bytes && !too_many_records) return;
    log.bytes -= part.bytes;
    log.records -= records;
    auto& begin = log.begins[part.partition];
    begin = std::max(begin, part.end_offset);
  }
}

/// What the limit on age leaves.
result<void> give_up_old(const log::log_state& state, const storage::log_policy& policy, std::int64_t now,
                         log::log_reader& reader, log_picture& log) {
  if (policy.retention_milliseconds == 0) return {};
  constexpr std::uint64_t milliseconds_max = std::numeric_limits<std::int64_t>::max() / 1000;
  if (policy.retention_milliseconds > milliseconds_max) return {};
  const std::int64_t oldest = now - static_cast<std::int64_t>(policy.retention_milliseconds) * 1000;
  for (std::uint32_t p = 0; p < state.partitions(); ++p) {
    if (state.end(p) == log.begins[p]) continue;
    auto first = reader.find_time(state, p, oldest);
    if (!first) return first.error();
    log.begins[p] = std::max(log.begins[p], *first);
  }
  return {};
}

}  // namespace

result<beginnings> needless_before(const log::log_state& log, const storage::log_policy& policy,
                                   std::int64_t now, log::log_reader& reader) {
  log_picture picture{log};
  give_up_parts(picture, policy);
  if (auto done = give_up_old(log, policy, now, reader, picture); !done) return done.error();
  return std::move(picture.begins);
}

result<log_readers> log_readers::read(const storage::main_environment& main,
                                      std::vector<storage::stored_job> jobs) {
  log_readers all;
  all.jobs_ = std::move(jobs);
  auto txn = storage::read_transaction::begin(main.env());
  if (!txn) return txn.error();
  auto catalog = storage::read_catalog(*txn, main.tables());
  if (!catalog) return catalog.error();
  all.groups_ = std::move(catalog->groups);
  all.epochs_ = std::move(catalog->epochs);
  auto offsets = group::read_offsets(*txn, main.tables());
  if (!offsets) return offsets.error();
  all.offsets_ = std::move(*offsets);
  // A share group has yet to read what it has in flight, too.
  for (const auto& queue : catalog->queues) {
    if (queue.share_group == 0) continue;
    auto read = queue::for_each_unsettled(
        *txn, main.tables(), queue.id, [&](std::uint64_t, const queue::reference& where) {
          for (auto& o : all.offsets_) {
            if (o.group == queue.share_group && o.log == where.log && o.partition == where.partition)
              o.next = std::min(o.next, where.offset);
          }
        });
    if (!read) return read.error();
  }
  return all;
}

std::vector<log_readers::position> log_readers::of(const log::log_state& log) const {
  std::vector<position> all;
  for (const auto& o : offsets_) {
    if (o.log != log.id() || o.partition >= log.partitions()) continue;
    const auto group =
        std::find_if(groups_.begin(), groups_.end(), [&](const auto& g) { return g.id == o.group; });
    all.push_back({false, group == groups_.end() ? std::string{} : group->name, o.partition, o.next});
  }
  for (const auto& job : jobs_) {
    if (!job.last.topic.empty() && job.last.topic != log.name()) continue;
    const auto known = position_of(job.last, log, epochs_);
    for (std::uint32_t p = 0; p < log.partitions(); ++p) {
      // What its checkpoint does not know, it has yet to read from the beginning.
      all.push_back({true, job.last.name, p, known ? (*known)[p] : 0});
    }
  }
  return all;
}

}  // namespace levada
