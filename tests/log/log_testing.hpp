#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <storage/storage_testing.hpp>

#include "log/journal_index.hpp"
#include "log/journal_reader.hpp"
#include "log/log_pass.hpp"
#include "log/row_encoder.hpp"

namespace levada::log::test {

using levada::test::as_bytes;
using levada::test::bytes_of;
using levada::test::fails_with;
using levada::test::hex;
using levada::test::ok;
using levada::test::succeeds;

/// A record that is nothing but a value.
inline record_source value_of(std::string_view value) {
  return {.value = value};
}

/// A log as the catalogue has it.
inline storage::log_entry log_named(std::uint32_t id, std::string name, std::uint32_t partitions) {
  storage::log_entry entry;
  entry.id = id;
  entry.name = std::move(name);
  entry.partitions = partitions;
  return entry;
}

/// What a test compares of a record that was read.
struct seen_record {
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  std::int64_t time = 0;
  std::string value;

  friend bool operator==(const seen_record&, const seen_record&) = default;
};
inline void PrintTo(const seen_record& r, std::ostream* out) {
  *out << r.partition << "/" << r.offset << " at " << r.time << ": "
       << (r.value.size() < 40 ? r.value : r.value.substr(0, 37) + "...");
}

inline std::vector<seen_record> seen(const record_batch& batch) {
  std::vector<seen_record> all;
  for (const auto& r : batch) {
    all.push_back({r.partition().value(), r.offset().value(), r.time().time_since_epoch().count(),
                   std::string{r.value()}});
  }
  return all;
}

/// A journal that is written past the bus, with the logs that its rows belong to.
class journal_fixture : public levada::test::main_fixture {
 protected:
  log_state& declare(std::uint32_t id, const std::string& name, std::uint32_t partitions) {
    return *(logs_[id] = std::make_unique<log_state>(log_named(id, name, partitions)));
  }
  log_state* find(std::uint32_t id) {
    const auto found = logs_.find(id);
    return found == logs_.end() ? nullptr : found->second.get();
  }
  [[nodiscard]] std::function<log_state*(std::uint32_t)> finder() {
    return [this](std::uint32_t id) { return find(id); };
  }

  /// Appends the rows of `values` to a partition, and notes them in the log.
  void append(log_state& log, std::uint32_t partition, const std::vector<std::string>& values,
              std::int64_t time) {
    store(encoded(log, partition, values, time));
    note(log, partition);
  }
  /// The rows as they would be stored, from `next_sequence()` on.
  struct stored_row {
    std::uint64_t sequence = 0;
    std::vector<std::byte> bytes;

    [[nodiscard]] storage::row_header header() const {
      storage::row_header h{};
      std::memcpy(&h, bytes.data(), sizeof h);
      return h;
    }
    /// Changes the header; with a checksum that is right again.
    void set_header(storage::row_header h) {
      const storage::bytes records{bytes.data() + sizeof h, bytes.size() - sizeof h};
      h.checksum = storage::row_checksum(h, sequence, storage::records_hash(records));
      std::memcpy(bytes.data(), &h, sizeof h);
    }
  };
  std::vector<stored_row> encoded(log_state& log, std::uint32_t partition,
                                  const std::vector<std::string>& values, std::int64_t time) {
    row_encoder rows{log.id(), partition};
    for (const auto& value : values) rows.add(value_of(value));
    rows.finish();
    std::vector<stored_row> all;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      const auto row = rows.stamped_row(i, {next_sequence_, log.end(partition), time, 0});
      all.push_back({next_sequence_ + i, levada::test::copy_of(row)});
    }
    return all;
  }
  void store(const std::vector<stored_row>& rows) {
    auto txn = write();
    for (const auto& row : rows) {
      const std::uint64_t key = storage::big_endian(row.sequence);
      ok(txn.put(tables().journal, bytes_of(key), row.bytes));
      next_sequence_ = std::max(next_sequence_, row.sequence + 1);
    }
    ASSERT_EQ(txn.commit(), 0);
    pending_ = rows;
  }
  /// Notes what was stored last.
  void note(log_state& log, std::uint32_t partition) {
    for (const auto& row : pending_) {
      const auto h = row.header();
      if (h.count == 0) continue;
      log.add_row(row.sequence, partition, h.base_offset, h.count, h.time_last);
      noted_.push_back({log.id(), partition, row.sequence, h.base_offset});
    }
  }
  /// The offset of the first record of a partition in row `sequence` or behind it.
  [[nodiscard]] std::uint64_t first_offset(const log_state& log, std::uint32_t partition,
                                           std::uint64_t sequence) const {
    const auto found = std::find_if(noted_.begin(), noted_.end(), [&](const noted_row& row) {
      return row.log == log.id() && row.partition == partition && row.sequence >= sequence;
    });
    return found == noted_.end() ? log.end(partition) : found->base_offset;
  }
  /// A pass over a log that begins with row `sequence`.
  [[nodiscard]] log_pass pass_from(const log_state& log, std::uint64_t sequence) const {
    log_pass::part part{&log, {}, std::vector<std::uint64_t>(log.partitions(), log_pass::no_end)};
    for (std::uint32_t p = 0; p < log.partitions(); ++p) part.next.push_back(first_offset(log, p, sequence));
    return {{std::move(part)}, sequence};
  }
  /// Replaces one byte of a stored row.
  void spoil(std::uint64_t sequence, std::size_t at) {
    const std::uint64_t key = storage::big_endian(sequence);
    auto txn = write();
    auto row = levada::test::copy_of(*ok(txn.get(tables().journal, bytes_of(key))));
    row[at] ^= std::byte{0x40};
    ok(txn.put(tables().journal, bytes_of(key), row));
    ASSERT_EQ(txn.commit(), 0);
  }
  void erase(std::uint64_t sequence) {
    const std::uint64_t key = storage::big_endian(sequence);
    auto txn = write();
    ASSERT_TRUE(ok(txn.erase(tables().journal, bytes_of(key))));
    ASSERT_EQ(txn.commit(), 0);
  }

  [[nodiscard]] std::uint64_t next_sequence() const { return next_sequence_; }
  void skip_sequences(std::uint64_t by) { next_sequence_ += by; }
  [[nodiscard]] journal_reader reader() { return ok(journal_reader::open(main())); }

  /// Reads on from `from`, which it moves, until nothing comes.
  std::vector<seen_record> read_partition(const log_state& log, std::uint32_t partition, std::uint64_t& from,
                                          batch_builder::limits limits = {}) {
    std::vector<seen_record> all;
    for (;;) {
      batch_builder batch{limits};
      ok(reader().read_partition(log, partition, from, UINT64_MAX, batch));
      const auto some = seen(batch.finish());
      if (some.empty()) return all;
      EXPECT_LE(some.size(), limits.records);
      all.insert(all.end(), some.begin(), some.end());
    }
  }
  /// Reads the journal on from row `from`, which it moves, in commit order, until nothing comes.
  std::vector<seen_record> read_log(const log_state& log, std::uint64_t& from, std::uint64_t until,
                                    batch_builder::limits limits = {}) {
    std::vector<seen_record> all;
    auto pass = pass_from(log, from);
    for (;;) {
      batch_builder batch{limits};
      ok(reader().read_pass(pass, until, batch));
      from = pass.sequence;
      const auto some = seen(batch.finish());
      if (some.empty()) return all;
      EXPECT_LE(some.size(), limits.records);
      all.insert(all.end(), some.begin(), some.end());
    }
  }

 private:
  std::map<std::uint32_t, std::unique_ptr<log_state>> logs_;
  std::uint64_t next_sequence_ = 1;
  std::vector<stored_row> pending_;
  struct noted_row {
    std::uint32_t log = 0;
    std::uint32_t partition = 0;
    std::uint64_t sequence = 0;
    std::uint64_t base_offset = 0;
  };
  std::vector<noted_row> noted_;
};

}  // namespace levada::log::test
