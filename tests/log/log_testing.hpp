#pragma once

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
    return *(logs_[id] = std::make_unique<log_state>(id, name, partitions, std::uint8_t{0}));
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
      if (h.count > 0) log.add_row(row.sequence, partition, h.base_offset, h.count, h.time_first);
    }
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
      ok(reader().read_partition(log, partition, from, batch));
      const auto some = seen(batch.finish());
      if (some.empty()) return all;
      EXPECT_LE(some.size(), limits.records);
      all.insert(all.end(), some.begin(), some.end());
    }
  }
  std::vector<seen_record> read_log(const log_state& log, std::uint64_t& from, std::uint64_t until,
                                    std::int64_t not_before = INT64_MIN, batch_builder::limits limits = {}) {
    std::vector<seen_record> all;
    for (;;) {
      batch_builder batch{limits};
      ok(reader().read_log(log, from, until, not_before, batch));
      const auto some = seen(batch.finish());
      if (some.empty()) return all;
      all.insert(all.end(), some.begin(), some.end());
    }
  }

 private:
  std::map<std::uint32_t, std::unique_ptr<log_state>> logs_;
  std::uint64_t next_sequence_ = 1;
  std::vector<stored_row> pending_;
};

}  // namespace levada::log::test
