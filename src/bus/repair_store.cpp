#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

#include "bus/segment_set.hpp"
#include "group/offset_table.hpp"
#include "log/journal_repair.hpp"
#include "log/producer_table.hpp"
#include "log/saved_index.hpp"
#include "log/sealed_segment.hpp"
#include "log/segment_repair.hpp"
#include "queue/queue_repair.hpp"
#include "queue/schedule.hpp"
#include "queue/tickets.hpp"
#include "storage/catalog.hpp"
#include "storage/errors.hpp"
#include "storage/host_repair.hpp"
#include "storage/host_table.hpp"
#include "storage/job_file.hpp"
#include "storage/page_check.hpp"
#include "storage/store_directory.hpp"

#include <levada/repair.hpp>

namespace levada {
namespace {

/// Bytes of rows from which on a log gets a segment of its own.
constexpr std::uint64_t own_segment_bytes = std::uint64_t{4} << 20;

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// What was found in a store, and all that is needed to repair it.
struct findings {
  storage::catalog catalog;
  std::map<std::uint32_t, const storage::log_entry*> logs;
  std::vector<log::damaged_segment> segments;
  log::journal_request request;
  log::journal_findings journal;
  std::vector<queue::damaged_queue> queues;
  queue::damaged_schedule schedule;
  std::vector<std::pair<std::uint32_t, std::string>> values;  // table and stored key
  repair_report report;

  findings() = default;
  findings(findings&&) = default;  // the entries stay where they are
  findings& operator=(findings&&) = delete;

  /// Nothing for a log that has been deleted, as for partitions that it does not have.
  [[nodiscard]] std::optional<std::uint64_t> begin_of(std::uint32_t log, std::uint32_t partition) const {
    const auto found = logs.find(log);
    if (found == logs.end() || partition >= found->second->partitions) return std::nullopt;
    return partition < found->second->begins.size() ? found->second->begins[partition] : 0;
  }
  [[nodiscard]] std::function<bool(std::uint32_t)> has_queue_function() const {
    return [this](std::uint32_t id) {
      return std::any_of(catalog.queues.begin(), catalog.queues.end(),
                         [id](const auto& queue) { return queue.id == id; });
    };
  }
  [[nodiscard]] log::begin_function begin_function() const {
    return [this](std::uint32_t log, std::uint32_t partition) { return begin_of(log, partition); };
  }
};

/// Examines one snapshot of a store. Changes nothing.
class survey {
 public:
  /// `jobs_count` where the jobs' checkpoints of the store's epoch are of this state of it.
  survey(const storage::main_environment& main, const std::filesystem::path& store, bool jobs_count)
      : main_{main}, store_{store}, jobs_count_{jobs_count} {}

  result<findings> run() {
    auto txn = storage::read_transaction::begin(main_.env());
    if (!txn) return txn.error();
    auto catalog = storage::read_catalog(*txn, main_.tables());
    if (!catalog) return catalog.error();
    found_.catalog = std::move(*catalog);
    for (const auto& log : found_.catalog.logs) found_.logs.emplace(log.id, &log);
    if (auto done = examine_segments(); !done) return done.error();
    if (auto done = examine_journal(*txn); !done) return done.error();
    sort_losses();
    if (auto done = examine_queues(*txn); !done) return done.error();
    if (auto done = examine_delayed(*txn); !done) return done.error();
    if (auto done = examine_tickets(*txn); !done) return done.error();
    if (auto done = examine_tables(*txn); !done) return done.error();
    return std::move(found_);
  }

 private:
  result<void> examine_segments() {
    for (const auto& entry : found_.catalog.segments) {
      auto damaged = log::damaged_segment::examine(store_ / storage::segments_directory_name, entry,
                                                   found_.begin_function());
      if (!damaged) return damaged.error();
      if (!*damaged) continue;
      for (const auto& range : (*damaged)->lost()) lost_.push_back(range);
      found_.segments.push_back(std::move(**damaged));
    }
    found_.report.segments = found_.segments.size();
    return {};
  }

  /// Notes that offsets below `end` have been given.
  void note_end(std::uint32_t log, std::uint32_t partition, std::uint64_t end, const std::string& who) {
    const auto found = found_.request.logs.find(log);
    if (found == found_.request.logs.end() || partition >= found->second.size()) return;
    auto& p = found->second[partition];
    if (end <= p.known_end) return;
    p.known_end = end;
    p.known_from = who;
  }

  /// Everything outside of the journal that names offsets.
  result<void> note_ends(const storage::transaction& txn) {
    const auto& catalog = found_.catalog;
    auto saved = storage::read_saved_index(txn, main_.tables());
    if (!saved && saved.error() != errc::damaged) return saved.error();
    if (saved && *saved) {
      for (const auto& s : log::saved_ends(**saved)) note_end(s.log, s.partition, s.end, "the saved index");
    }
    for (const auto& epoch : catalog.epochs) {
      for (const auto& log : epoch.logs) {
        for (std::uint32_t p = 0; p < log.ends.size(); ++p)
          note_end(log.id, p, log.ends[p], fmt::format("epoch {}", epoch.number));
      }
    }
    for (const auto& backfill : catalog.backfills) {
      for (const auto& log : backfill.logs) {
        for (std::uint32_t p = 0; p < log.end.size(); ++p)
          note_end(log.id, p, log.end[p], "what is being entered into a queue");
      }
    }
    for (const auto& binding : catalog.bindings) {
      for (std::uint32_t p = 0; p < binding.since.size(); ++p)
        note_end(binding.exchange, p, binding.since[p], "a binding");
    }
    auto offsets = group::read_offsets(txn, main_.tables());
    if (!offsets) return offsets.error();
    for (const auto& o : *offsets) {
      const auto group = std::find_if(catalog.groups.begin(), catalog.groups.end(),
                                      [&](const auto& g) { return g.id == o.group; });
      if (group != catalog.groups.end())
        note_end(o.log, o.partition, o.next, fmt::format("group '{}'", group->name));
    }
    // What they say is believed after a repair, too.
    if (auto producers = log::read_producers(txn, main_.tables()); !producers) return producers.error();
    for (const auto& entry : catalog.queues) {
      const std::string who =
          fmt::format("{} '{}'", entry.share_group != 0 ? "share group" : "queue", entry.name);
      auto walked =
          queue::for_each_readable(txn, main_.tables(), entry.id, [&](const queue::reference& where) {
            note_end(where.log, where.partition, where.offset + 1, who);
          });
      if (!walked) return walked;
    }
    auto delayed = queue::examine_schedule(txn, main_.tables(), [&](const queue::scheduled_message& m) {
      note_end(m.log, m.partition, m.offset + 1, "a delayed message");
      return false;
    });
    if (!delayed) return delayed.error();
    // A job whose own file is damaged says nothing, and is told so when it is opened.
    const auto jobs = storage::stored_jobs(store_ / storage::jobs_directory_name);
    if (!jobs || !jobs_count_) return {};
    for (const auto& job : *jobs) {
      if (job.last.epoch != catalog.store.epoch) continue;
      for (const auto& log : job.last.logs) {
        for (std::uint32_t p = 0; p < log.next.size(); ++p)
          note_end(log.id, p, log.next[p], fmt::format("job '{}'", job.last.name));
      }
    }
    return {};
  }

  result<void> examine_journal(const storage::transaction& txn) {
    auto& request = found_.request;
    request.sealed = found_.catalog.store.sealed;
    request.next_id = found_.catalog.store.next_id;
    for (const auto& [id, log] : found_.logs) {
      auto& partitions = request.logs[id];
      for (std::uint32_t p = 0; p < log->partitions; ++p) {
        const std::uint64_t begin = found_.begin_of(id, p).value_or(0);
        partitions.push_back({begin, begin, 0, {}});
      }
    }
    for (const auto& entry : found_.catalog.segments) {
      for (const auto& part : entry.parts) {
        if (!found_.begin_of(part.log, part.partition)) continue;
        auto& end = request.logs.at(part.log)[part.partition].end;
        end = std::max(end, part.end_offset);
      }
    }
    if (auto done = note_ends(txn); !done) return done;
    auto journal = log::read_damaged_journal(main_, request);
    if (!journal) return journal.error();
    found_.journal = std::move(*journal);
    found_.report.rows = found_.journal.rows;
    for (const auto& range : found_.journal.lost) lost_.push_back(range);
    return {};
  }

  void sort_losses() {
    std::sort(lost_.begin(), lost_.end(), [](const log::lost_range& a, const log::lost_range& b) {
      return std::tie(a.log, a.partition, a.first) < std::tie(b.log, b.partition, b.first);
    });
    auto& records = found_.report.records;
    for (const auto& range : lost_) {
      records.push_back({{found_.logs.at(range.log)->name, partition_id{range.partition}},
                         offset{range.first},
                         offset{range.end},
                         range.why});
    }
    std::sort(records.begin(), records.end(), [](const lost_records& a, const lost_records& b) {
      return std::tie(a.where, a.first) < std::tie(b.where, b.first);
    });
  }

  [[nodiscard]] bool is_lost(const queue::reference& where) const {
    if (!found_.begin_of(where.log, where.partition)) return true;
    const auto behind = std::upper_bound(
        lost_.begin(), lost_.end(), where, [](const queue::reference& w, const log::lost_range& range) {
          return std::tie(w.log, w.partition, w.offset) < std::tie(range.log, range.partition, range.first);
        });
    if (behind == lost_.begin()) return false;
    const auto& before = *std::prev(behind);
    return before.log == where.log && before.partition == where.partition && where.offset < before.end;
  }

  /// By lane, where the positions end that backfills have in a queue.
  [[nodiscard]] std::vector<std::uint64_t> kept_free_in(std::uint32_t queue) const {
    std::vector<std::uint64_t> ends;
    for (const auto& backfill : found_.catalog.backfills) {
      if (backfill.queue != queue) continue;
      ends.resize(std::max(ends.size(), backfill.lanes.size()));
      for (std::size_t n = 0; n < backfill.lanes.size(); ++n)
        ends[n] = std::max(ends[n], backfill.lanes[n].begin + backfill.room);
    }
    return ends;
  }

  result<void> examine_queues(const storage::transaction& txn) {
    for (const auto& entry : found_.catalog.queues) {
      auto damaged = queue::examine_queue(
          txn, main_.tables(), entry.id, [this](const queue::reference& where) { return is_lost(where); },
          kept_free_in(entry.id));
      if (!damaged) return damaged.error();
      if (!*damaged) continue;
      found_.report.messages.push_back({entry.name, (*damaged)->count, entry.share_group != 0});
      found_.queues.push_back(std::move(**damaged));
    }
    auto& messages = found_.report.messages;
    std::sort(messages.begin(), messages.end(),
              [](const lost_messages& a, const lost_messages& b) { return a.queue < b.queue; });
    return {};
  }

  result<void> examine_delayed(const storage::transaction& txn) {
    const auto lost = [this](const queue::scheduled_message& m) {
      return is_lost({m.log, static_cast<std::uint16_t>(m.partition), 0, m.offset, 0, 0, 0});
    };
    auto damaged = queue::examine_schedule(txn, main_.tables(), lost);
    if (!damaged) return damaged.error();
    found_.report.delayed = damaged->keys.size() + damaged->lost.size();
    found_.schedule = std::move(*damaged);
    return {};
  }

  result<void> examine_tickets(const storage::transaction& txn) {
    auto damaged = queue::examine_tickets(txn, main_.tables(), found_.has_queue_function(), now());
    if (!damaged) return damaged.error();
    found_.report.tickets = damaged->size();
    return {};
  }

  result<void> examine_tables(const storage::transaction& txn) {
    for (const auto& entry : found_.catalog.tables) {
      auto damaged = storage::find_damaged_host_values(txn, main_.tables(), entry.id);
      if (!damaged) return damaged.error();
      for (auto& value : *damaged) {
        found_.report.values.push_back({entry.name, storage::key_of_host(value.key), value.why});
        found_.values.emplace_back(entry.id, std::move(value.key));
      }
    }
    auto& values = found_.report.values;
    std::stable_sort(values.begin(), values.end(),
                     [](const lost_value& a, const lost_value& b) { return a.table < b.table; });
    return {};
  }

  const storage::main_environment& main_;
  const std::filesystem::path& store_;
  const bool jobs_count_;
  findings found_;
  std::vector<log::lost_range> lost_;  // by log, partition and offset in the end
};

/// Puts what is left of a store in the place of what is damaged.
class repair {
 public:
  repair(storage::owned_store& store, const std::filesystem::path& directory, findings& found)
      : store_{store}, main_directory_{directory / storage::main_directory_name}, found_{found} {}
  repair(const repair&) = delete;
  repair& operator=(const repair&) = delete;
  ~repair() {
    for (const auto& entry : written_) remove(entry.id);
  }

  result<void> run() {
    // Going back to a checkpoint must not take away what is committed here. Where the store has just been
    // taken back, the first commit leaves the checkpoint's pages as they are.
    if (!store_.restored) {
      if (auto ended = storage::end_checkpoints(store_.main, main_directory_); !ended) return ended;
    }
    auto above = remove_stray_segments(store_.segments, found_.catalog.segments);
    if (!above) return above.error();
    next_segment_ = std::max(found_.catalog.store.next_segment, *above);
    for (auto& segment : found_.segments) {
      if (!segment.needed()) continue;
      auto entries = segment.write(target());
      if (!entries) return entries.error();
      take(std::move(*entries));
    }
    if (found_.journal.damaged) {
      if (auto sealed = seal_journal(); !sealed) return sealed;
    }
    if (auto done = commit(); !done) return done;
    written_.clear();
    if (store_.restored) {
      if (auto ended = storage::end_checkpoints(store_.main, main_directory_); !ended) return ended;
    }
    for (const auto& segment : found_.segments) remove(segment.entry().id);
    return {};
  }

 private:
  [[nodiscard]] log::new_segments::options target() const {
    log::new_segments::options how;
    how.directory = store_.segments;
    how.next_id = next_segment_;
    how.now = now();
    return how;
  }
  void take(std::vector<storage::segment_entry> entries) {
    next_segment_ += static_cast<std::uint32_t>(entries.size());
    std::move(entries.begin(), entries.end(), std::back_inserter(written_));
  }
  /// One that cannot be deleted now is removed by the next opening.
  void remove(std::uint32_t id) const noexcept {
    std::error_code ignored;
    std::filesystem::remove(log::segment_path(store_.segments, id), ignored);
  }

  /// Writes all that can be read of the journal into segments, which answer for what is lost too: in the
  /// journal itself offsets have no gaps.
  result<void> seal_journal() {
    auto how = target();
    how.sequence_first = found_.request.sealed + 1;
    how.sequence_last = sequence_last();
    how.bytes_max = found_.journal.bytes;
    log::new_segments segments{how};
    const auto segment_of = [&](std::uint32_t log) {
      const auto bytes = found_.journal.log_bytes.find(log);
      const bool own = bytes != found_.journal.log_bytes.end() && bytes->second >= own_segment_bytes;
      return segments.segment_of(own ? log : 0);
    };
    log::journal_sink sink;
    sink.records = [&](const log::record_run& run) -> result<void> {
      auto to = segment_of(run.log);
      if (!to) return to.error();
      return (*to)->add(run, static_cast<storage::codec>(found_.logs.at(run.log)->policy.codec));
    };
    sink.lost = [&](const log::lost_range& range, std::uint64_t sequence) -> result<void> {
      auto to = segment_of(range.log);
      if (!to) return to.error();
      storage::segment_entry::part part;
      part.log = range.log;
      part.partition = range.partition;
      part.base_offset = range.first;
      part.end_offset = range.end;
      part.sequence_first = how.sequence_first;
      part.sequence_last = std::max(sequence, how.sequence_first);
      part.time_max = std::numeric_limits<std::int64_t>::min();
      return (*to)->begin_part(part, true);
    };
    auto read = log::read_damaged_journal(store_.main, found_.request, sink);
    if (!read) return read.error();
    auto entries = segments.finish();
    if (!entries) return entries.error();
    take(std::move(*entries));
    return {};
  }

  /// Segments have rows of their own, also where the journal holds none any more.
  [[nodiscard]] std::uint64_t sequence_last() const noexcept {
    return std::max(found_.journal.sequence_last, found_.request.sealed + 1);
  }

  /// Where the block is lost that a backfill was writing to, it begins that one anew.
  result<void> move_backfills(storage::write_transaction& txn, const queue::damaged_queue& queue) {
    for (auto& backfill : found_.catalog.backfills) {
      if (backfill.queue != queue.id) continue;
      for (std::size_t n = 0; n < backfill.lanes.size(); ++n) {
        auto& lane = backfill.lanes[n];
        const std::uint64_t at = queue::lane_begin(n) + lane.begin + lane.filled;
        const bool lost = std::find(queue.blocks.begin(), queue.blocks.end(), at / queue::block_entries) !=
                          queue.blocks.end();
        if (lost) lane.filled -= lane.filled % queue::block_entries;
      }
      if (auto stored = storage::put(txn, store_.main.tables(), backfill); !stored) return stored;
    }
    return {};
  }

  result<void> write(storage::write_transaction& txn) {
    const auto& tables = store_.main.tables();
    auto store = found_.catalog.store;
    for (const auto& segment : found_.segments) {
      if (auto erased = storage::erase_segment(txn, tables, segment.entry().id); !erased) return erased;
    }
    for (const auto& entry : written_) {
      if (auto stored = storage::put(txn, tables, entry); !stored) return stored;
    }
    if (found_.journal.damaged) {
      if (auto cleared = txn.clear(tables.journal); !cleared) return cleared;
      store.sealed = sequence_last();
      for (const auto& [log, time] : found_.journal.times) {
        // What publishers say is no time of the bus.
        if (!found_.logs.at(log)->create_time) store.time_floor = std::max(store.time_floor, time);
      }
    }
    for (const auto& queue : found_.queues) {
      if (auto repaired = queue::repair_queue(txn, tables, queue); !repaired) return repaired;
      if (auto moved = move_backfills(txn, queue); !moved) return moved;
    }
    if (auto repaired = queue::repair_schedule(txn, tables, found_.schedule); !repaired) return repaired;
    // By what queues and schedule have now.
    auto tickets = queue::examine_tickets(txn, tables, found_.has_queue_function(), now());
    if (!tickets) return tickets.error();
    if (auto repaired = queue::repair_tickets(txn, tables, *tickets); !repaired) return repaired;
    for (const auto& [table, key] : found_.values) {
      if (auto gone = storage::give_up_host_value(txn, tables, table, key); !gone) return gone;
    }
    if (store_.restored) {
      storage::epoch_entry begun;
      begun.number = ++store.epoch;
      for (const auto& [log, ends] : found_.journal.ends) begun.logs.push_back({log, ends});
      if (auto stored = storage::put(txn, tables, begun); !stored) return stored;
    }
    store.next_segment = next_segment_;
    ++store.layout;
    return storage::put(txn, tables, store);
  }

  result<void> commit() {
    const std::uint64_t before = store_.main.env().last_transaction();
    auto txn = storage::write_transaction::begin(store_.main.env());
    if (!txn) return txn.error();
    if (auto done = write(*txn); !done) return done;
    const int rc = txn->commit();
    if (rc == 0) return {};
    const error why = storage::lmdb_error(rc == EIO && store_.main.env().no_room() ? ENOSPC : rc,
                                          fmt::format("repair '{}'", main_directory_.parent_path().string()));
    const bool refused = why == errc::disk_full || why == errc::store_full || why == errc::out_of_resources;
    if (refused && store_.main.env().last_transaction() == before) return why;
    // The catalogue may name them; if it does not, the next opening removes them.
    written_.clear();
    return error{errc::outcome_unknown, why.message()};
  }

  storage::owned_store& store_;
  const std::filesystem::path main_directory_;
  findings& found_;
  std::uint32_t next_segment_ = 0;
  std::vector<storage::segment_entry> written_;  // not in the catalogue yet
};

result<repair_report> rehearse(const std::filesystem::path& directory, const repair_options& options) {
  if (auto place = storage::examine_place(directory); !place) return place.error();
  if (const auto owner = storage::owner_pid(directory)) {
    return error{errc::store_in_use,
                 fmt::format("repair store '{}': process {} has it open", directory.string(), *owner)};
  }
  if (auto whole = storage::examine_recovery(directory, options.boot_id); !whole) return whole.error();
  const auto data_file = directory / storage::main_directory_name / "data.mdb";
  if (auto sound = storage::verify_main_file(data_file); !sound) return sound.error();
  auto store = storage::attach_store(directory, {options.map_bytes_max, options.boot_id});
  if (!store) return store.error();
  auto found = survey{store->main, directory, true}.run();
  if (!found) return found.error();
  return std::move(found->report);
}

}  // namespace

result<repair_report> repair_store(const std::filesystem::path& directory, const repair_options& options) {
  if (options.dry_run) return rehearse(directory, options);
  storage::store_options how{.create = false, .map_bytes = options.map_bytes_max, .now = now()};
  if (!options.boot_id.empty()) how.boot_id = options.boot_id;
  how.examine_pages = true;
  auto store = storage::open_store(directory, how);
  if (!store) return store.error();
  auto found = survey{store->main, directory, !store->restored}.run();
  if (!found) return found.error();
  if (!found->report.sound()) {
    if (auto done = repair{*store, directory, *found}.run(); !done) return done.error();
  }
  if (!store->restored || !found->report.sound()) {
    store->lock->note_clean(store->main.env().last_transaction());
  }
  return std::move(found->report);
}

}  // namespace levada
