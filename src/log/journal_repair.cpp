#include "log/journal_repair.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "log/record_codec.hpp"
#include "storage/row.hpp"

#include <levada/detail/record_format.hpp>

namespace levada::log {
namespace {

using storage::continuation;
using storage::row_header;
using storage::row_view;

/// Most records in a row.
constexpr std::uint32_t count_max = storage::row_records_max / sizeof(detail::record_header);

/// A row farther from the one before it is not believed to have so high a number.
constexpr std::uint64_t jump_max = std::uint64_t{1} << 32;

std::string rows(std::uint64_t first, std::uint64_t last) {
  return first == last ? fmt::format("journal row {}", first)
                       : fmt::format("journal rows {} to {}", first, last);
}

/// How many records stand in these bytes, if they are nothing but records.
std::optional<std::uint32_t> count_records(storage::bytes records) {
  std::uint32_t count = 0;
  if (records.size() % 8 != 0) return std::nullopt;
  for (std::size_t at = 0; at < records.size(); ++count) {
    const std::size_t used = detail::size_of_record(records.data() + at, records.size() - at);
    if (used == 0) return std::nullopt;
    at += used;
  }
  return count;
}

class reading {
 public:
  reading(const journal_request& request, const journal_sink& sink) : request_{request}, sink_{sink} {
    for (const auto& [id, partitions] : request.logs) {
      for (const auto& p : partitions) logs_[id].push_back({p.begin, p.end, p.end, {}});
    }
  }

  result<journal_findings> run(const storage::main_environment& main) {
    auto txn = storage::read_transaction::begin(main.env());
    if (!txn) return txn.error();
    auto c = storage::cursor::open(*txn, main.tables().journal);
    if (!c) return c.error();
    found_.sequence_last = request_.sealed;
    for (auto at = c->move(MDB_FIRST);; at = c->move(MDB_NEXT)) {
      if (!at) return at.error();
      if (!*at) break;
      if (auto done = take((*at)->key, (*at)->value); !done) return done.error();
    }
    if (auto done = break_off(); !done) return done.error();
    if (auto done = note_ends(); !done) return done.error();
    return std::move(found_);
  }

 private:
  /// What a row that does not verify says of itself; the next row that does shows whether it is true.
  struct doubtful {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
    std::string why;
  };
  struct partition_state {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;       ///< behind what is known and what is doubtful
    std::uint64_t sure_end = 0;  ///< behind what has been given or lost
    std::vector<doubtful> doubts;
  };
  /// A record that goes on in the next rows.
  struct large_record {
    row_header header{};
    std::uint64_t sequence = 0;
    std::uint64_t size = 0;
    std::vector<std::byte> bytes;
    std::string why = {};  ///< the damage since it began
  };

  void note_damage(std::uint64_t count, const std::string& why) {
    found_.damaged = true;
    found_.rows += count;
    why_ = why;
    if (large_) large_->why = why;
  }

  [[nodiscard]] partition_state* find(const row_header& header) {
    const auto log = logs_.find(header.log);
    return log == logs_.end() || header.partition >= log->second.size() ? nullptr
                                                                        : &log->second[header.partition];
  }
  [[nodiscard]] bool is_deleted(const row_header& header) const {
    return header.log > 0 && header.log < request_.next_id && !logs_.contains(header.log);
  }
  /// Whether a row may stand behind `end`. Before the beginning, rows may start anywhere.
  [[nodiscard]] static bool follows(const partition_state& p, std::uint64_t end, const row_header& header) {
    return header.base_offset == end || (header.base_offset < end && end == p.begin);
  }

  result<void> lose(std::uint32_t log, std::uint32_t partition, std::uint64_t first, std::uint64_t end,
                    const std::string& why) {
    partition_state& p = logs_.at(log)[partition];
    found_.damaged = true;
    first = std::max({first, p.begin, p.sure_end});
    p.sure_end = std::max(p.sure_end, end);
    p.end = std::max(p.end, p.sure_end);
    if (first >= end) return {};
    lost_range range{log, partition, first, end, why};
    if (sink_.lost) {
      if (auto done = sink_.lost(range, found_.sequence_last); !done) return done;
    }
    auto& all = found_.lost;
    // Rows that are damaged one behind the other are told of as one.
    if (!all.empty() && all.back().log == log && all.back().partition == partition &&
        all.back().end == first && all.back().why == why) {
      all.back().end = end;
    } else {
      all.push_back(std::move(range));
    }
    return {};
  }

  /// Loses what lies before offset `base`, at which a row begins for sure.
  result<void> reach(std::uint32_t log, std::uint32_t partition, std::uint64_t base, const std::string& why) {
    partition_state& p = logs_.at(log)[partition];
    const auto doubts = std::exchange(p.doubts, {});
    for (const doubtful& d : doubts) {
      const std::uint64_t first = std::min(d.first, base);
      if (p.sure_end < first) {
        if (auto done = lose(log, partition, p.sure_end, first, why); !done) return done;
      }
      const std::uint64_t end = std::min(d.end, base);
      if (p.sure_end < end) {
        if (auto done = lose(log, partition, p.sure_end, end, d.why); !done) return done;
      }
    }
    if (p.sure_end < base) {
      auto done = lose(log, partition, p.sure_end, base, doubts.empty() ? why : doubts.back().why);
      if (!done) return done;
    }
    p.end = p.sure_end;
    return {};
  }

  /// The rest of the record under way has not come.
  result<void> break_off() {
    if (!large_) return {};
    const row_header header = large_->header;
    std::string why = std::move(large_->why);
    if (why.empty()) why = fmt::format("journal row {}: a part of its record is missing", large_->sequence);
    large_.reset();
    return lose(header.log, header.partition, header.base_offset, header.base_offset + 1, why);
  }

  /// Whether the row is as it was written with one field of its header changed to what it may have been,
  /// which it is then.
  [[nodiscard]] bool recover(row_view& row, storage::bytes value, std::uint64_t expected) {
    if (value.size() < sizeof(row_header) || value.size() > storage::row_bytes_max) return false;
    row_header header{};
    std::memcpy(&header, value.data(), sizeof header);
    const storage::bytes records = value.subspan(sizeof header);
    if (records.size() % 8 != 0) return false;
    const std::uint64_t hash = storage::records_hash(records);
    const auto holds = [&](const row_header& candidate, std::uint64_t sequence) {
      if (candidate.records_size != records.size()) return false;
      if (candidate.checksum != storage::row_checksum(candidate, sequence, hash)) return false;
      row = {sequence, candidate, records};
      return true;
    };
    const std::uint64_t sequence = row.sequence;
    row_header changed = header;
    if (header.records_size != records.size()) {
      changed.records_size = static_cast<std::uint32_t>(records.size());
      return holds(changed, sequence);
    }
    if (sequence != expected && holds(header, expected)) return true;
    if (const auto counted = count_records(records)) {
      changed.count = *counted;
      if (holds(changed, sequence)) return true;
      changed = header;
    }
    for (const auto& [id, partitions] : logs_) {
      if (header.partition >= partitions.size()) continue;
      changed.log = id;
      if (holds(changed, sequence)) return true;
    }
    changed = header;
    const auto log = logs_.find(header.log);
    if (log == logs_.end()) return false;
    for (std::uint32_t p = 0; p < log->second.size(); ++p) {
      changed.partition = p;
      if (holds(changed, sequence)) return true;
    }
    changed = header;
    if (header.partition >= log->second.size()) return false;
    changed.base_offset =
        large_ && header.fragment > 0 ? large_->header.base_offset : log->second[header.partition].end;
    return holds(changed, sequence);
  }

  result<void> take(storage::bytes key, storage::bytes value) {
    row_view row;
    const bool parsed = storage::parse_row(key, value, row);
    row.sequence = storage::sequence_of(key);
    const std::uint64_t expected = found_.sequence_last + 1;
    if (row.sequence <= request_.sealed && key.size() == sizeof row.sequence) {
      if (!parsed) note_damage(1, fmt::format("journal row {}: impossible sizes", row.sequence));
      return {};
    }
    if (!parsed || !storage::verify_row(row)) {
      const std::string why =
          fmt::format("journal row {}: {}", row.sequence, parsed ? "wrong checksum" : "impossible sizes");
      if (!recover(row, value, expected)) {
        if (row.sequence < expected || row.sequence - expected > jump_max) row.sequence = expected;
        return take_damaged(row.sequence, value, why);
      }
      note_damage(1, why);
    }
    if (auto done = skip_to(row.sequence); !done) return done;
    return take_verified(row);
  }

  /// Notes that the rows up to this one are missing.
  result<void> skip_to(std::uint64_t sequence) {
    const std::uint64_t expected = found_.sequence_last + 1;
    if (sequence > expected) {
      note_damage(sequence - expected,
                  rows(expected, sequence - 1) + (sequence - expected == 1 ? " is missing" : " are missing"));
      if (auto done = break_off(); !done) return done;
    }
    found_.sequence_last = std::max(found_.sequence_last, sequence);
    return {};
  }

  /// A row that does not verify: what its header says is believed where it can be true.
  result<void> take_damaged(std::uint64_t sequence, storage::bytes value, const std::string& why) {
    if (auto done = skip_to(sequence); !done) return done;
    note_damage(1, why);
    row_header header{};
    if (value.size() >= sizeof header) std::memcpy(&header, value.data(), sizeof header);
    const bool of_large = large_ && header.log == large_->header.log &&
                          header.partition == large_->header.partition &&
                          header.base_offset == large_->header.base_offset && header.count == 0;
    if (auto done = break_off(); !done || of_large || value.size() < sizeof header) return done;
    partition_state* const p = find(header);
    if (p == nullptr || !follows(*p, p->end, header) || header.count == 0 || header.count > count_max)
      return {};
    const std::uint64_t end = header.base_offset + header.count;
    p->doubts.push_back({header.base_offset, end, why});
    p->end = std::max(p->end, end);
    return {};
  }

  result<void> take_verified(const row_view& row) {
    const auto& header = row.header;
    const auto continued = static_cast<continuation>(header.continued);
    const bool goes_on = continued == continuation::middle || continued == continuation::last;
    if (large_) {
      if (goes_on && header.log == large_->header.log && header.partition == large_->header.partition &&
          header.base_offset == large_->header.base_offset &&
          header.fragment == large_->header.fragment + 1 &&
          row.records.size() <= large_->size - large_->bytes.size()) {
        return take_fragment(row, continued == continuation::last);
      }
      if (auto done = break_off(); !done) return done;
    }
    partition_state* const p = find(header);
    if (p == nullptr) {
      if (!is_deleted(header))
        note_damage(1, fmt::format("journal row {}: it belongs to nothing that exists", row.sequence));
      return {};
    }
    const std::uint64_t end = header.base_offset + header.count;
    if (goes_on) {
      // The first rows of the record are lost.
      if (header.base_offset < p->sure_end) return {};
      if (auto done = reach(header.log, header.partition, header.base_offset, gap_before(row)); !done)
        return done;
      return lose(header.log, header.partition, header.base_offset, header.base_offset + 1, gap_before(row));
    }
    if (header.base_offset < p->sure_end && !follows(*p, p->sure_end, header)) {
      note_damage(1, fmt::format("journal row {}: offset {} comes twice", row.sequence, header.base_offset));
      if (end <= p->sure_end) return {};
    }
    if (auto done = reach(header.log, header.partition, header.base_offset, gap_before(row)); !done)
      return done;
    if (continued == continuation::first) return begin_large(row);
    if (header.count == 0) return {};
    if (header.count > count_max || count_records(row.records) != header.count) {
      const std::string why = fmt::format("journal row {}: its records cannot be told apart", row.sequence);
      note_damage(1, why);
      return lose(header.log, header.partition, header.base_offset, end, why);
    }
    const std::uint64_t first = std::max(header.base_offset, p->sure_end);
    p->sure_end = p->end = std::max(p->sure_end, end);
    if (first >= end) return {};
    return give(row.sequence, header, row.records, static_cast<std::uint32_t>(first - header.base_offset));
  }

  [[nodiscard]] std::string gap_before(const row_view& row) const {
    return why_.empty() ? fmt::format("offsets are missing before journal row {}", row.sequence) : why_;
  }

  result<void> begin_large(const row_view& row) {
    detail::record_header record{};
    const bool sound = row.header.count == 1 && row.records.size() >= sizeof record;
    if (sound) std::memcpy(&record, row.records.data(), sizeof record);
    const std::uint64_t size = detail::padded(record.size);
    if (!sound || size <= row.records.size()) {
      const std::string why = fmt::format("journal row {}: its record cannot be read", row.sequence);
      note_damage(1, why);
      return lose(row.header.log, row.header.partition, row.header.base_offset, row.header.base_offset + 1,
                  why);
    }
    large_.emplace(large_record{row.header, row.sequence, size, {row.records.begin(), row.records.end()}});
    return {};
  }

  result<void> take_fragment(const row_view& row, bool last) {
    auto& bytes = large_->bytes;
    bytes.insert(bytes.end(), row.records.begin(), row.records.end());
    large_->header.fragment = row.header.fragment;
    if (!last) return {};
    if (bytes.size() != large_->size || count_records(bytes) != 1U) return break_off();
    const large_record whole = std::move(*large_);
    large_.reset();
    partition_state& p = *find(whole.header);
    p.sure_end = p.end = std::max(p.sure_end, whole.header.base_offset + 1);
    if (whole.header.base_offset < p.begin) return {};
    return give(whole.sequence, whole.header, whole.bytes, 0);
  }

  result<void> give(std::uint64_t sequence, const row_header& header, storage::bytes records,
                    std::uint32_t skip) {
    const std::size_t skipped = size_of_records(records, skip).value_or(0);
    records = records.subspan(skipped);
    found_.log_bytes[header.log] += sizeof header + records.size();
    found_.bytes += sizeof header + records.size();
    const auto [time, added] = found_.times.try_emplace(header.log, header.time_last);
    if (!added) time->second = std::max(time->second, header.time_last);
    if (!sink_.records) return {};
    return sink_.records(run_of_row(sequence, header, skip, records));
  }

  /// What is lost at the ends of partitions. Offsets that something else in the store names have been given,
  /// whatever the journal holds.
  result<void> note_ends() {
    for (const auto& [log, partitions] : request_.logs) {
      for (std::uint32_t p = 0; p < partitions.size(); ++p) {
        const auto& known = partitions[p];
        if (auto done = reach(log, p, logs_.at(log)[p].end, why_); !done) return done;
        const std::uint64_t end = logs_.at(log)[p].sure_end;
        found_.ends[log].push_back(std::max(end, known.known_end));
        if (known.known_end <= end) continue;
        const std::string why = fmt::format("{}, and {} tells of offset {}",
                                            why_.empty() ? "the end of the journal is missing" : why_,
                                            known.known_from, known.known_end - 1);
        if (auto done = lose(log, p, end, known.known_end, why); !done) return done;
      }
    }
    return {};
  }

  const journal_request& request_;
  const journal_sink& sink_;
  std::map<std::uint32_t, std::vector<partition_state>> logs_;
  journal_findings found_;
  std::string why_;  // the last damage, for what is missed because of it
  std::optional<large_record> large_;
};

}  // namespace

result<journal_findings> read_damaged_journal(const storage::main_environment& main,
                                              const journal_request& request, const journal_sink& sink) {
  return reading{request, sink}.run(main);
}

}  // namespace levada::log
