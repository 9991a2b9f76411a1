#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "group/offset_table.hpp"
#include "log/producer_table.hpp"
#include "log/sealed_segment.hpp"
#include "queue/queue_blocks.hpp"
#include "queue/schedule.hpp"
#include "queue/tickets.hpp"
#include "storage/catalog.hpp"
#include "storage/host_repair.hpp"
#include "storage/host_table.hpp"
#include "storage/page_check.hpp"
#include "storage/row.hpp"
#include "storage/segment_file.hpp"
#include "storage/store_directory.hpp"

#include <levada/attachment.hpp>

namespace levada {
namespace {

constexpr std::size_t problems_max = 1000;

/// Examines one snapshot of a store; what an examination finds goes into the report, and the next one goes
/// on.
class examination {
 public:
  examination(const storage::attached_store& store, check_report& report)
      : main_{store.main}, segments_{store.segments}, report_{report} {}

  result<void> run() {
    auto txn = storage::read_transaction::begin(main_.env());
    if (!txn) return txn.error();
    auto catalog = storage::read_catalog(*txn, main_.tables());
    if (!catalog) {
      found("main", catalog.error().message());
      return {};
    }
    for (const auto& log : catalog->logs) {
      known_log known{log.name, std::vector<std::uint64_t>(log.partitions, 0), log.begins};
      known.begins.resize(log.partitions);
      logs_.emplace(log.id, std::move(known));
    }
    examine_segments(*catalog);
    sealed_ = catalog->store.sealed;
    next_id_ = catalog->store.next_id;
    if (auto done = examine_rows(*txn); !done) return done;
    examine_offsets(*txn, *catalog);
    examine_producers(*txn);
    for (const auto& queue : catalog->queues) examine_queue(*txn, queue);
    for (const auto& backfill : catalog->backfills) examine_backfill(*txn, *catalog, backfill);
    if (auto done = examine_delayed(*txn); !done) return done;
    if (auto done = examine_tickets(*txn, *catalog); !done) return done;
    for (const auto& table : catalog->tables) examine_table(*txn, table);
    return {};
  }

 private:
  struct known_log {
    std::string name;
    std::vector<std::uint64_t> ends;
    std::vector<std::uint64_t> begins;

    /// Whether a row continues its partition. Where nothing is known of it but its beginning, rows before
    /// that may start anywhere.
    [[nodiscard]] bool is_next(const storage::row_header& row) const {
      const std::uint64_t end = ends[row.partition];
      return row.base_offset == end || (row.base_offset < end && end == begins[row.partition]);
    }
    void add(const storage::row_header& row) {
      ends[row.partition] = std::max(begins[row.partition], row.base_offset + row.count);
    }
  };

  void found(std::string where, std::string what) {
    if (report_.problems.size() < problems_max)
      report_.problems.push_back({std::move(where), std::move(what)});
  }

  void examine_segments(const storage::catalog& catalog) {
    std::vector<const storage::segment_entry*> segments;
    for (const auto& entry : catalog.segments) segments.push_back(&entry);
    std::sort(segments.begin(), segments.end(),
              [](const auto* a, const auto* b) { return a->sequence_first < b->sequence_first; });
    for (const auto* const entry : segments) {
      const std::string name = fmt::format("segment {}", entry->id);
      ++report_.segments;
      auto file = storage::segment_file::open(log::segment_path(segments_, entry->id), entry->id);
      if (!file || !*file) {
        for (const auto& part : entry->parts) {
          found(name_of(part), file ? "the file of its segment is missing" : file.error().message());
        }
      }
      for (const auto& part : entry->parts) {
        if (file && *file) examine_part(*file, part);
        // What is behind it is not reported for what is wrong with this one.
        const auto log = logs_.find(part.log);
        if (log != logs_.end() && part.partition < log->second.ends.size()) {
          log->second.ends[part.partition] = std::max(log->second.ends[part.partition], part.end_offset);
        }
      }
    }
    for (const auto& log : catalog.logs) {
      known_log& known = logs_.at(log.id);
      for (std::size_t p = 0; p < known.ends.size(); ++p) {
        known.ends[p] = std::max(known.ends[p], known.begins[p]);
      }
    }
  }

  void examine_part(const std::shared_ptr<const storage::segment_file>& file,
                    const storage::segment_entry::part& part) {
    auto reader = storage::segment_reader::open(file);
    if (!reader) {
      found(name_of(part), reader.error().message());
      return;
    }
    std::uint64_t records = 0;
    std::uint64_t end = part.base_offset;
    for (auto batch = reader->find({part.log, part.partition, part.base_offset});;
         batch = reader->next_in_partition()) {
      if (!batch) {
        found(name_of(part), batch.error().message());
        return;
      }
      // A segment may hold several parts of one partition.
      if (!*batch || (*batch)->key.base_offset >= part.end_offset) break;
      const auto where =
          fmt::format("topic '{}' partition {} offsets {} to {}", name_of(part.log), part.partition,
                      (*batch)->key.base_offset, (*batch)->header.end_offset - 1);
      if (!storage::verify_batch(**batch)) found(where, "wrong checksum");
      if ((*batch)->key.base_offset < end) found(where, fmt::format("offsets below {} come twice", end));
      end = (*batch)->header.end_offset;
      records += (*batch)->header.count;
    }
    if ((end != part.end_offset && !part.sparse) || records != part.records) {
      found(name_of(part), fmt::format("{} records up to offset {} were found, {} up to {} are on record",
                                       records, end, part.records, part.end_offset));
    }
    report_.records += records;
  }

  [[nodiscard]] std::string name_of(std::uint32_t log) const {
    const auto known = logs_.find(log);
    return known == logs_.end() ? fmt::format("log {}", log) : known->second.name;
  }
  [[nodiscard]] std::string name_of(const storage::segment_entry::part& part) const {
    return fmt::format("topic '{}' partition {} offsets {} to {}", name_of(part.log), part.partition,
                       part.base_offset, part.end_offset - 1);
  }

  result<void> examine_rows(const storage::transaction& txn) {
    auto c = storage::cursor::open(txn, main_.tables().journal);
    if (!c) return c.error();
    std::uint64_t expected_sequence = 0;
    storage::row_header continued{};  // the row that the next one must continue, if its size is not 0
    std::size_t continued_left = 0;
    for (auto at = c->move(MDB_FIRST);; at = c->move(MDB_NEXT)) {
      if (!at) {
        found("main", at.error().message());
        return {};
      }
      if (!*at) break;
      ++report_.rows;
      storage::row_view row;
      if (!storage::parse_row((*at)->key, (*at)->value, row)) {
        found(fmt::format("journal row after {}", expected_sequence), "its sizes are impossible");
        continue;
      }
      const std::string where = name_of(row);
      if (expected_sequence != 0 && row.sequence != expected_sequence) {
        found(where, fmt::format("rows {} to {} are missing before it", expected_sequence, row.sequence - 1));
      }
      expected_sequence = row.sequence + 1;
      if (row.sequence <= sealed_) continue;
      if (!storage::verify_row(row)) {
        found(where, "wrong checksum");
        // If its header can be believed, the rows behind it are not reported for what is wrong with this one.
        const auto log = logs_.find(row.header.log);
        if (log != logs_.end() && row.header.partition < log->second.ends.size() &&
            log->second.is_next(row.header)) {
          log->second.add(row.header);
        }
        continue;
      }
      examine_row(row, where, continued, continued_left);
    }
    if (continued_left > 0) found("journal", "the last record is not complete");
    for (auto& [id, log] : logs_) {
      for (std::size_t p = 0; p < log.ends.size(); ++p) {
        if (log.ends[p] < log.begins[p]) {
          found(fmt::format("topic '{}' partition {}", log.name, p),
                fmt::format("it ends at {}, before its beginning, {}", log.ends[p], log.begins[p]));
        }
      }
    }
    return {};
  }

  void examine_row(const storage::row_view& row, const std::string& where, storage::row_header& continued,
                   std::size_t& continued_left) {
    const auto& header = row.header;
    if (continued_left > 0) {
      const bool fits = header.log == continued.log && header.partition == continued.partition &&
                        header.base_offset == continued.base_offset &&
                        header.fragment == continued.fragment + 1 && row.records.size() <= continued_left;
      if (fits) {
        continued_left -= row.records.size();
        continued = header;
        return;
      }
      found(where, "a part of the record before it is missing");
      continued_left = 0;
    }
    const auto log = logs_.find(header.log);
    if (log == logs_.end()) {
      if (header.log >= next_id_) found(where, "it belongs to a log that does not exist");
      return;
    }
    if (header.partition >= log->second.ends.size()) {
      found(where, "it belongs to a partition that does not exist");
      return;
    }
    if (!log->second.is_next(header)) {
      found(where, fmt::format("offset {} was expected", log->second.ends[header.partition]));
    }
    log->second.add(header);
    report_.records += header.count;
    if (header.continued == static_cast<std::uint8_t>(storage::continuation::first)) {
      detail::record_header record{};
      if (row.records.size() < sizeof record) {
        found(where, "its record cannot be read");
        return;
      }
      std::memcpy(&record, row.records.data(), sizeof record);
      continued = header;
      continued_left = detail::padded(record.size) - row.records.size();
      return;
    }
    std::size_t used = 0;
    for (std::uint32_t i = 0; i < header.count; ++i) {
      const std::size_t size = detail::size_of_record(row.records.data() + used, row.records.size() - used);
      if (size == 0) {
        found(where, fmt::format("record {} of the row cannot be read", i));
        return;
      }
      used += size;
    }
    if (used != row.records.size()) found(where, "it holds more than its records");
  }

  void examine_offsets(const storage::transaction& txn, const storage::catalog& catalog) {
    auto offsets = group::read_offsets(txn, main_.tables());
    if (!offsets) {
      found("committed offsets", offsets.error().message());
      return;
    }
    for (const auto& o : *offsets) {
      const auto group = std::find_if(catalog.groups.begin(), catalog.groups.end(),
                                      [&](const auto& g) { return g.id == o.group; });
      const auto log = logs_.find(o.log);
      if (group == catalog.groups.end() || log == logs_.end() || o.partition >= log->second.ends.size()) {
        found("committed offsets",
              fmt::format("one names group {}, log {}, partition {}, which do not all exist", o.group, o.log,
                          o.partition));
      } else if (o.next > log->second.ends[o.partition]) {
        found(fmt::format("group '{}'", group->name),
              fmt::format("its offset {} of topic '{}' partition {} lies beyond the end, {}", o.next,
                          log->second.name, o.partition, log->second.ends[o.partition]));
      }
    }
  }

  void examine_table(const storage::transaction& txn, const storage::table_entry& entry) {
    const std::string name = fmt::format("table '{}'", entry.name);
    auto damaged = storage::find_damaged_host_values(txn, main_.tables(), entry.id);
    if (!damaged) {
      found(name, damaged.error().message());
      return;
    }
    for (const auto& value : *damaged) {
      const auto key = storage::key_of_host(value.key);
      found(fmt::format("{} key {}", name, key ? key->text() : "unknown"), value.why);
    }
  }

  void examine_producers(const storage::transaction& txn) {
    auto producers = log::read_producers(txn, main_.tables());
    if (!producers) {
      found("producers", producers.error().message());
      return;
    }
    for (const auto& p : *producers) {
      if (!logs_.contains(p.log))
        found("producers", fmt::format("'{}' is one of log {}, which does not exist", p.id, p.log));
    }
  }

  /// Whether a log has ever held that message.
  [[nodiscard]] bool exists(std::map<std::uint32_t, known_log>::const_iterator log, std::uint32_t partition,
                            std::uint64_t offset) const {
    return log != logs_.end() && partition < log->second.ends.size() && offset < log->second.ends[partition];
  }

  /// The positions that are kept free for a backfill are the queue's, and free; what it is to look at has
  /// been.
  void examine_backfill(const storage::transaction& txn, const storage::catalog& catalog,
                        const storage::backfill_entry& backfill) {
    const auto queue = std::find_if(catalog.queues.begin(), catalog.queues.end(),
                                    [&](const auto& q) { return q.id == backfill.queue; });
    const std::string name =
        queue == catalog.queues.end() ? std::string{"?"} : fmt::format("queue '{}'", queue->name);
    if (queue == catalog.queues.end()) {
      found(name, fmt::format("there is no queue {} for backfill {}", backfill.queue, backfill.id));
      return;
    }
    auto row = queue::read_row(txn, main_.tables(), queue->id);
    if (!row) return;  // told already
    const queue::queue_row state = row->value_or(queue::queue_row{});
    for (std::size_t n = 0; n < backfill.lanes.size(); ++n) {
      const auto& lane = backfill.lanes[n];
      const std::uint64_t end = lane.begin + backfill.room;
      const std::uint64_t tail = n < state.lanes() ? state.lane(n).tail : 0;
      if (lane.filled > backfill.room || end > tail)
        found(name,
              fmt::format("backfill {} ends at position {}, beyond the tail, {}", backfill.id, end, tail));
      const std::uint64_t free = queue::lane_begin(n) + queue::block_begin_from(lane.begin + lane.filled);
      auto next = queue::first_block(txn, main_.tables(), queue->id, free / queue::block_entries);
      if (next && *next && **next * queue::block_entries < queue::lane_begin(n) + end)
        found(name, fmt::format("where backfill {} has yet to come, there are entries", backfill.id));
    }
    for (const auto& log : backfill.logs) {
      const auto known = logs_.find(log.id);
      if (known == logs_.end()) continue;  // it ends with that
      for (std::size_t p = 0; p < log.end.size(); ++p) {
        if (log.next[p] > log.end[p] || p >= known->second.ends.size() || log.end[p] > known->second.ends[p])
          found(name, fmt::format("backfill {} is to look at offsets that partition {} of log {} never had",
                                  backfill.id, p, log.id));
      }
    }
  }

  void examine_queue(const storage::transaction& txn, const storage::queue_entry& entry) {
    // What a topic has given up, a share group may still refer to.
    const bool shared = entry.share_group != 0;
    const std::string name = fmt::format("{} '{}'", shared ? "share group" : "queue", entry.name);
    auto row = queue::read_row(txn, main_.tables(), entry.id);
    if (!row) {
      found(name, row.error().message());
      return;
    }
    const queue::queue_row state = row->value_or(queue::queue_row{});
    std::uint64_t unsettled = 0;
    std::uint64_t bytes = 0;
    queue::queue_row stored;  // how far the lanes reach
    for (std::uint64_t from = 0;;) {
      auto number = queue::first_block(txn, main_.tables(), entry.id, from);
      auto block = number && *number ? queue::read_block(txn, main_.tables(), entry.id, **number)
                                     : result<std::optional<queue::block>>{std::optional<queue::block>{}};
      if (!number || !block) {
        found(name, !number ? number.error().message() : block.error().message());
        return;
      }
      if (!*number) break;
      from = **number + 1;
      if (!*block) continue;  // settled
      for (std::size_t i = 0; i < (*block)->entries.size(); ++i) {
        ++report_.queue_entries;
        if ((*block)->settled.test(i)) continue;
        ++unsettled;
        const queue::reference& where = (*block)->entries[i];
        bytes += where.bytes;
        const auto log = logs_.find(where.log);
        if (shared && log == logs_.end()) continue;
        if (!exists(log, where.partition, where.offset)) {
          found(fmt::format("{} position {}", name, **number * queue::block_entries + i),
                fmt::format("its message, log {} partition {} offset {}, does not exist", where.log,
                            where.partition, where.offset));
        }
      }
      const std::uint64_t first = **number * queue::block_entries;
      const std::size_t lane = queue::lane_of(first);
      stored.set_lane(lane, {first - queue::lane_begin(lane) + (*block)->entries.size(), 0});
    }
    for (std::size_t n = 0; n < stored.lanes(); ++n) {
      const std::uint64_t end = stored.lane(n).tail;
      const std::uint64_t tail = n < state.lanes() ? state.lane(n).tail : 0;
      if (end > tail)
        found(name, fmt::format("it has entries up to position {}, beyond its tail, {}", end, tail));
    }
    if (unsettled != state.left())
      found(name, fmt::format("{} entries are not settled, its state says {}", unsettled, state.left()));
    if (bytes != state.bytes) {
      found(name, fmt::format("its messages have {} bytes, its state says {}", bytes, state.bytes));
    }
  }

  result<void> examine_delayed(const storage::transaction& txn) {
    const auto lost = [this](const queue::scheduled_message& m) {
      return !exists(logs_.find(m.log), m.partition, m.offset);
    };
    auto damaged = queue::examine_schedule(txn, main_.tables(), lost);
    if (!damaged) return damaged.error();
    if (!damaged->keys.empty())
      found("schedule", fmt::format("{} rows have a wrong size or checksum", damaged->keys.size()));
    for (const auto& m : damaged->lost) {
      found("schedule", fmt::format("a delayed message, log {} partition {} offset {}, does not exist", m.log,
                                    m.partition, m.offset));
    }
    return {};
  }

  result<void> examine_tickets(const storage::transaction& txn, const storage::catalog& catalog) {
    std::set<std::uint32_t> queues;
    for (const auto& entry : catalog.queues) queues.insert(entry.id);
    auto damaged = queue::examine_tickets(
        txn, main_.tables(), [&queues](std::uint32_t id) { return queues.contains(id); }, 0);
    if (!damaged) return damaged.error();
    if (const std::size_t rows = damaged->rows.size() + damaged->open.size(); rows > 0)
      found("tickets", fmt::format("{} rows are damaged, or of messages that nobody has", rows));
    for (const auto& [id, row] : damaged->wrong) {
      found(fmt::format("ticket '{}'", id),
            fmt::format("it does not tell that {} of its queues have the message", row.unsettled));
    }
    return {};
  }

  [[nodiscard]] std::string name_of(const storage::row_view& row) const {
    const auto log = logs_.find(row.header.log);
    if (log == logs_.end()) return fmt::format("journal row {}", row.sequence);
    return fmt::format("topic '{}' partition {} offset {} (journal row {})", log->second.name,
                       row.header.partition, row.header.base_offset, row.sequence);
  }

  const storage::main_environment& main_;
  const std::filesystem::path& segments_;
  check_report& report_;
  std::uint64_t sealed_ = 0;
  std::uint32_t next_id_ = 0;
  std::map<std::uint32_t, known_log> logs_;
};

/// For a file that was written while it was walked: the writer may have used pages of the walked snapshot
/// again, whereas one that a reader pins stays as it is. The writer has the file mapped, so mapping it here
/// too adds no danger.
result<storage::page_walk> walk_pinned(const storage::environment& env,
                                       const std::filesystem::path& data_file) {
  for (;;) {
    auto pin = storage::read_transaction::begin(env);
    if (!pin) return pin.error();
    auto shape = storage::check_main_file(data_file);
    if (!shape) return shape.error();
    if (shape->transaction == pin->id()) return storage::walk_main_file(data_file, *shape);
  }
}

}  // namespace

result<check_report> check_store(const std::filesystem::path& directory, const attach_options& options) {
  check_report report;
  const auto data_file = directory / "main" / "data.mdb";
  // What the pages show comes first: LMDB must not map a file that would make it crash.
  auto place = storage::examine_place(directory);
  if (!place) return place.error();
  if (auto whole = storage::examine_recovery(directory, options.boot_id); !whole) return whole.error();
  auto shape = storage::check_main_file(data_file);
  if (!shape) {
    if (shape.error() != errc::damaged) return shape.error();
    report.problems.push_back({"main", shape.error().message()});
    return report;
  }
  auto walked = storage::walk_main_file(data_file, *shape);
  if (!walked) return walked.error();
  std::optional<storage::attached_store> store;
  if (!walked->problems.empty()) {
    const auto now = storage::check_main_file(data_file);
    if (now && now->transaction != shape->transaction) {
      auto attached = storage::attach_store(directory, {options.map_bytes_max, options.boot_id});
      if (!attached) return attached.error();
      store.emplace(std::move(*attached));
      walked = walk_pinned(store->main.env(), data_file);
      if (!walked) return walked.error();
    }
  }
  report.pages = walked->pages;
  report.problems = std::move(walked->problems);
  if (!report.problems.empty()) return report;
  if (!store) {
    auto attached = storage::attach_store(directory, {options.map_bytes_max, options.boot_id});
    if (!attached) return attached.error();
    store.emplace(std::move(*attached));
  }
  if (auto done = examination{*store, report}.run(); !done) return done.error();
  return report;
}

}  // namespace levada
