#include "bus/space.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include "bus/needless.hpp"
#include "log/journal_reader.hpp"
#include "queue/schedule.hpp"
#include "storage/catalog.hpp"
#include "storage/file_use.hpp"
#include "storage/free_pages.hpp"
#include "storage/job_file.hpp"
#include "storage/store_directory.hpp"

namespace levada {
namespace {

/// Rows that are looked at in one transaction.
constexpr std::uint64_t rows_in_snapshot = 1024;

/// What bytes are counted under.
struct account {
  space_reason reason = space_reason::bookkeeping;
  std::string topic = {};
  std::string holder = {};
  std::optional<std::uint32_t> partition = std::nullopt;
  std::optional<std::uint64_t> oldest = std::nullopt;
  auto operator<=>(const account&) const = default;
};

/// Counts every byte of every file once.
class tally {
 public:
  /// Takes in a file, whole; what is not told of it is bookkeeping.
  void begin_file(std::uint64_t bytes) {
    end_file();
    left_ = bytes;
    bytes_ += bytes;
  }
  /// Tells what bytes of the file are, as far as it has any left.
  void count(const account& what, std::uint64_t bytes) {
    const std::uint64_t n = std::min(bytes, left_);
    if (n == 0) return;
    accounts_[what] += n;
    left_ -= n;
  }
  void count_whole_file(const account& what, std::uint64_t bytes) {
    begin_file(bytes);
    count(what, bytes);
  }
  [[nodiscard]] space_report report() {
    end_file();
    space_report all{.bytes = bytes_, .entries = {}};
    for (const auto& [what, bytes] : accounts_) {
      space_entry& entry = all.entries.emplace_back();
      entry.reason = what.reason;
      entry.topic = what.topic;
      entry.holder = what.holder;
      if (what.partition) entry.partition = partition_id{*what.partition};
      if (what.oldest) entry.oldest = offset{*what.oldest};
      entry.bytes = bytes;
    }
    std::stable_sort(all.entries.begin(), all.entries.end(),
                     [](const space_entry& a, const space_entry& b) { return a.bytes > b.bytes; });
    return all;
  }

 private:
  void end_file() { count({}, left_); }

  std::map<account, std::uint64_t> accounts_;
  std::uint64_t bytes_ = 0;
  std::uint64_t left_ = 0;  // of the present file
};

/// The store as of one snapshot.
struct picture {
  storage::catalog catalog;
  storage::free_pages pages;
  std::uint64_t transaction = 0;
  std::uint64_t last_row = 0;
  storage::file_use main_file;

  static result<picture> take(const storage::main_environment& main) {
    auto journal = log::journal_reader::open(main);
    if (!journal) return journal.error();
    picture taken;
    taken.transaction = journal->snapshot().id();
    auto catalog = storage::read_catalog(journal->snapshot(), main.tables());
    if (!catalog) return catalog.error();
    taken.catalog = std::move(*catalog);
    auto pages = storage::read_free_pages(journal->snapshot());
    if (!pages) return pages.error();
    taken.pages = std::move(*pages);
    auto last = journal->last_sequence();
    if (!last) return last.error();
    taken.last_row = *last;
    taken.main_file = main.env().use();
    return taken;
  }
  [[nodiscard]] std::string name_of(std::uint32_t log) const {
    const auto found = std::find_if(catalog.logs.begin(), catalog.logs.end(),
                                    [log](const auto& entry) { return entry.id == log; });
    return found == catalog.logs.end() ? std::string{} : found->name;
  }
};

/// Who keeps the oldest record of a partition that is kept beyond its limits.
struct holder {
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
  space_reason reason = space_reason::within_limits;
  std::string name;

  void take(std::uint64_t offset, space_reason why, const std::string& who) {
    if (offset >= oldest) return;
    oldest = offset;
    reason = why;
    name = who;
  }
};

/// What retention thinks of a log.
struct verdict {
  std::string topic;
  bool limited = false;
  beginnings begins;
  beginnings needless;          // the offset before which its limits leave nothing
  std::vector<holder> holders;  // by partition
};

class measuring {
 public:
  measuring(const space_source& source, picture taken) : source_{source}, store_{std::move(taken)} {}

  result<space_report> run() {
    if (auto judged = judge(); !judged) return judged.error();
    if (auto counted = count_main_file(); !counted) return counted.error();
    if (auto counted = source_.directory.empty() ? count_nameless_store() : count_files(); !counted)
      return counted.error();
    return tally_.report();
  }

 private:
  [[nodiscard]] result<void> judge();
  [[nodiscard]] result<void> find_references();
  [[nodiscard]] result<void> find_readers();
  [[nodiscard]] result<void> count_main_file();
  [[nodiscard]] result<void> count_files();
  [[nodiscard]] result<void> count_nameless_store();
  void count_segment(const storage::segment_entry& segment, const storage::file_use& use);
  void count_part(const storage::segment_entry::part& part, double scale);
  void count_held_view(const log::segment_cache::open_file& open);

  const space_source& source_;
  picture store_;
  std::map<std::uint32_t, verdict> verdicts_;  // by log
  tally tally_;
};

result<void> measuring::judge() {
  log::log_reader reader{source_.main, source_.catch_up};
  for (const auto& entry : store_.catalog.logs) {
    verdict& v = verdicts_[entry.id];
    const auto& policy = entry.policy;
    v.topic = entry.name;
    v.limited =
        policy.retention_milliseconds > 0 || policy.retention_bytes > 0 || policy.retention_records > 0;
    v.begins = entry.begins;
    v.begins.resize(entry.partitions);
    v.needless = v.begins;
    v.holders.resize(entry.partitions);
    const auto log = v.limited ? source_.find_log(entry.id) : nullptr;
    if (!log) continue;
    auto needless = needless_before(*log, policy, source_.now, reader);
    if (!needless && needless.error() == errc::unknown_topic) continue;  // deleted meanwhile
    if (!needless) return needless.error();
    v.needless = std::move(*needless);
  }
  if (auto found = find_references(); !found) return found;
  return find_readers();
}

/// Which queues hold what exchanges' limits would give up, and what waits to be routed.
result<void> measuring::find_references() {
  std::set<std::uint32_t> held;
  for (const auto& entry : store_.catalog.logs) {
    const verdict& v = verdicts_.at(entry.id);
    if (entry.exchange != 0 && !entry.policy.force && v.needless != v.begins) held.insert(entry.id);
  }
  if (held.empty()) return {};
  const auto name_of_queue = [this](std::uint32_t id) {
    const auto& all = store_.catalog.queues;
    const auto found = std::find_if(all.begin(), all.end(), [id](const auto& q) { return q.id == id; });
    return found == all.end() ? std::string{} : found->name;
  };
  for (const auto& backfill : store_.catalog.backfills) {
    for (const auto& log : backfill.logs) {
      if (!held.contains(log.id)) continue;
      verdict& v = verdicts_.at(log.id);
      for (std::size_t p = 0; p < std::min(log.next.size(), v.holders.size()); ++p) {
        if (log.next[p] < log.end[p])
          v.holders[p].take(log.next[p], space_reason::backfill, name_of_queue(backfill.queue));
      }
    }
  }
  for (const auto& queue : store_.catalog.queues) {
    if (queue.share_group != 0) continue;
    auto done = for_each_reference(source_.main, queue.id, [&](const queue::reference& where) {
      if (!held.contains(where.log)) return;
      verdict& v = verdicts_.at(where.log);
      if (where.partition < v.holders.size())
        v.holders[where.partition].take(where.offset, space_reason::queue_reference, queue.name);
    });
    if (!done) return done;
  }
  return queue::for_each_scheduled(source_.main, [&](const queue::scheduled_message& m) {
    if (!held.contains(m.log)) return;
    verdict& v = verdicts_.at(m.log);
    if (m.partition < v.holders.size())
      v.holders[m.partition].take(m.offset, space_reason::delayed_message, {});
  });
}

/// Who of groups and jobs holds what the limits of logs that wait for readers would give up.
result<void> measuring::find_readers() {
  std::optional<log_readers> readers;
  for (const auto& entry : store_.catalog.logs) {
    verdict& v = verdicts_.at(entry.id);
    if (!entry.policy.wait_for_readers || v.needless == v.begins) continue;
    if (!readers) {
      std::vector<storage::stored_job> jobs;
      if (!source_.directory.empty()) {
        auto stored = storage::stored_jobs(source_.directory / storage::jobs_directory_name);
        if (!stored) return stored.error();
        jobs = std::move(*stored);
      }
      auto all = log_readers::read(source_.main, std::move(jobs));
      if (!all) return all.error();
      readers.emplace(std::move(*all));
    }
    const auto log = source_.find_log(entry.id);
    if (!log) continue;
    for (const auto& reader : readers->of(*log)) {
      // Where there is nothing left that it has read, it needs what there is.
      const std::uint64_t next = std::max(reader.next, v.begins[reader.partition]);
      v.holders[reader.partition].take(
          next, reader.job ? space_reason::lagging_job : space_reason::lagging_group, reader.name);
    }
  }
  return {};
}

result<void> measuring::count_main_file() {
  const storage::file_use& file = store_.main_file;
  tally_.begin_file(file.on_disk);
  const std::uint64_t sealed = store_.catalog.store.sealed;
  std::map<std::uint32_t, std::uint64_t> unsealed;  // bytes by log
  std::uint64_t erasable = 0;
  for (std::uint64_t next = 0; next <= store_.last_row;) {
    auto journal = log::journal_reader::open(source_.main);
    if (!journal) return journal.error();
    std::uint64_t rows = 0;
    const std::uint64_t before = next;
    auto looked = journal->for_each_row(next, [&](const storage::row_view& row) {
      if (row.sequence > store_.last_row) return false;
      next = row.sequence + 1;
      const std::uint64_t bytes = sizeof row.header + row.records.size();
      (row.sequence > sealed ? unsealed[row.header.log] : erasable) += bytes;
      return ++rows < rows_in_snapshot;
    });
    if (!looked) return looked;
    if (next == before) break;
  }
  for (const auto& [log, bytes] : unsealed)
    tally_.count({.reason = space_reason::awaits_sealing, .topic = store_.name_of(log)}, bytes);

  // Who else holds an old snapshot, and the oldest one.
  std::optional<storage::environment::reader> oldest;
  if (!source_.directory.empty()) {
    for (const auto& reader : source_.main.env().readers()) {
      const auto& own = source_.own_processes;
      if (reader.transaction >= store_.transaction ||
          std::find(own.begin(), own.end(), reader.pid) != own.end() ||
          (oldest && oldest->transaction <= reader.transaction)) {
        continue;
      }
      oldest = reader;
    }
  }
  std::uint64_t held = 0;
  std::uint64_t free = 0;
  for (const auto& list : store_.pages.lists) {
    (oldest && list.transaction >= oldest->transaction ? held : free) += list.pages;
  }
  const std::uint64_t pages = file.bytes / store_.pages.page_size;
  if (pages > store_.pages.used_ever) free += pages - store_.pages.used_ever;
  if (oldest) {
    tally_.count({.reason = space_reason::held_snapshot, .holder = std::to_string(oldest->pid)},
                 held * store_.pages.page_size);
  }
  tally_.count({.reason = space_reason::free_pages}, erasable + free * store_.pages.page_size);
  return {};
}

/// The bytes of a part, split by what becomes of its offsets.
void measuring::count_part(const storage::segment_entry::part& part, double scale) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(static_cast<double>(part.bytes) * scale);
  const auto log = verdicts_.find(part.log);
  if (log == verdicts_.end() || part.partition >= log->second.begins.size()) {
    tally_.count({.reason = space_reason::awaits_rewriting}, bytes);
    return;
  }
  const verdict& v = log->second;
  const holder& held = v.holders[part.partition];
  const std::uint64_t needless = std::max(v.needless[part.partition], v.begins[part.partition]);
  const std::uint64_t needed = std::clamp(held.oldest, v.begins[part.partition], needless);
  const double offsets = static_cast<double>(part.end_offset - part.base_offset);
  std::uint64_t counted = 0;
  const auto count_to = [&](std::uint64_t end, const account& what) {
    const std::uint64_t at = std::clamp(end, part.base_offset, part.end_offset);
    const double share = offsets > 0 ? static_cast<double>(at - part.base_offset) / offsets : 1;
    const std::uint64_t upto =
        at == part.end_offset ? bytes : static_cast<std::uint64_t>(static_cast<double>(bytes) * share);
    if (upto <= counted) return;
    tally_.count(what, upto - counted);
    counted = upto;
  };
  count_to(needed, {.reason = space_reason::awaits_rewriting, .topic = v.topic});
  count_to(needless, {.reason = held.reason,
                      .topic = v.topic,
                      .holder = held.name,
                      .partition = part.partition,
                      .oldest = held.oldest});
  count_to(part.end_offset,
           {.reason = v.limited ? space_reason::within_limits : space_reason::no_limit, .topic = v.topic});
}

void measuring::count_segment(const storage::segment_entry& segment, const storage::file_use& use) {
  tally_.begin_file(use.on_disk);
  // A file system that compresses takes less than the file is long.
  const double scale =
      use.bytes > use.on_disk ? static_cast<double>(use.on_disk) / static_cast<double>(use.bytes) : 1;
  for (const auto& part : segment.parts) count_part(part, scale);
}

void measuring::count_held_view(const log::segment_cache::open_file& open) {
  const std::uint64_t bytes = open.file->env().use().on_disk;
  tally_.count_whole_file({.reason = space_reason::held_view, .topic = store_.name_of(open.log)}, bytes);
}

result<void> measuring::count_files() {
  std::map<std::filesystem::path, const storage::segment_entry*> segments;
  const auto segments_directory = source_.directory / storage::segments_directory_name;
  for (const auto& segment : store_.catalog.segments)
    segments.emplace(log::segment_path(segments_directory, segment.id), &segment);
  auto files = storage::files_below(source_.directory);
  if (!files) return files.error();
  decltype(storage::file_use::identity) identity;
  std::set<decltype(identity)> named;
  for (const auto& [path, use] : *files) {
    named.insert(use.identity);
    if (use.identity == store_.main_file.identity) continue;
    if (const auto segment = segments.find(path); segment != segments.end()) {
      count_segment(*segment->second, use);
      continue;
    }
    std::uint32_t id = 0;
    const std::string name = path.stem().string();
    const bool was_named =
        path.parent_path() == segments_directory &&
        std::from_chars(name.data(), name.data() + name.size(), id, 16).ec == std::errc{} &&
        id < store_.catalog.store.next_segment;
    // One of a later number is being written.
    tally_.count_whole_file(
        {.reason = was_named ? space_reason::awaits_checkpoint : space_reason::bookkeeping}, use.on_disk);
  }
  for (const auto& open : source_.open_files) {
    if (named.insert(open.file->env().use().identity).second) count_held_view(open);
  }
  return {};
}

/// In memory every file has lost its name, and those of segments are open.
result<void> measuring::count_nameless_store() {
  tally_.begin_file(source_.nameless_bytes);
  std::map<std::uint32_t, const storage::segment_entry*> segments;
  for (const auto& segment : store_.catalog.segments) segments.emplace(segment.id, &segment);
  for (const auto& open : source_.open_files) {
    const auto segment = segments.find(open.file->identity().id);
    if (segment != segments.end()) {
      count_segment(*segment->second, open.file->env().use());
    } else {
      count_held_view(open);
    }
  }
  return {};
}

}  // namespace

result<space_report> measure_space(const space_source& source) {
  auto store = picture::take(source.main);
  if (!store) return store.error();
  return measuring{source, std::move(*store)}.run();
}

}  // namespace levada
