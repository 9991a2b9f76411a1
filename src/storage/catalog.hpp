#pragma once

/// @file
/// What exists in a store, as plain values; their stored form (schemas/) stays inside catalog.cpp.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/main_environment.hpp"

#include <levada/record.hpp>

namespace levada::storage {

/// The format that this version writes, and the newest that it reads.
inline constexpr std::uint32_t format_version = 1;

struct store_entry {
  std::uint32_t format = format_version;
  std::int64_t created = 0;
  std::uint32_t next_id = 1;
  std::uint32_t epoch = 0;
  /// Journal rows up to this one are in segments, or given up.
  std::uint64_t sealed = 0;
  /// The bus's time at the last sealing, in microseconds since 1970.
  std::int64_t time_floor = 0;
  std::uint32_t next_segment = 1;
  /// Grows whenever logs or segments change.
  std::uint64_t layout = 0;
};

/// What a log keeps; 0 is no limit.
struct log_policy {
  std::uint64_t retention_milliseconds = 0;
  std::uint64_t retention_bytes = 0;
  std::uint64_t retention_records = 0;
  bool force = false;  ///< also what queues still refer to
  bool compact = false;
  std::uint64_t tombstone_milliseconds = 0;
  std::uint32_t dirty_millionths = 0;
  std::uint8_t codec = 0;         ///< a `storage::codec`: how records are sealed
  bool wait_for_readers = false;  ///< not what a group or a job has yet to read
  bool operator==(const log_policy&) const = default;
};

/// What an exchange is declared with, besides its type.
struct exchange_traits {
  bool transient = false;  ///< goes when the store is opened anew
  bool auto_delete = false;
  bool internal = false;
  std::string alternate = {};  ///< name of an exchange; empty: none
  std::uint8_t hash = 0;       ///< a `hash_source`
  std::string hash_header = {};
  std::uint8_t overflow = 0;  ///< an `overflow_scope`
  bool delayed = false;       ///< heeds the header x-delay
  bool operator==(const exchange_traits&) const = default;
};

struct log_entry {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t partitions = 1;
  std::int64_t created = 0;
  /// 0 for a plain topic, else the `exchange_type`.
  std::uint8_t exchange = 0;
  /// The oldest offset that is kept, by partition; empty: all 0.
  std::vector<std::uint64_t> begins = {};
  log_policy policy = {};
  /// Whether records keep the time that their publisher gave.
  bool create_time = false;
  /// The offsets up to which the log has been compacted, by partition; empty: all 0.
  std::vector<std::uint64_t> compacted = {};
  exchange_traits traits = {};
  /// Of an exchange that has been deleted: its log waits for queues that refer to it.
  bool orphan = false;
};

struct group_entry {
  struct partition {
    std::uint32_t log = 0;
    std::uint32_t partition = 0;
  };
  struct member {
    std::string id;
    std::vector<partition> assignment;
  };
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t generation = 0;
  std::vector<member> members;
};

/// How long a queue has messages wait that were returned to it; times in milliseconds.
struct redelivery_trait {
  std::int64_t first = 0;
  double factor = 1;
  std::int64_t most = 0;
  double jitter = 0;
  bool operator==(const redelivery_trait&) const = default;
};

/// What a queue is declared with.
struct queue_traits {
  bool transient = false;                        ///< goes when the store is opened anew
  std::optional<std::int64_t> message_ttl = {};  ///< milliseconds
  std::optional<std::uint64_t> max_length = {};
  std::optional<std::uint64_t> max_length_bytes = {};
  std::uint8_t overflow = 0;  ///< an `overflow`
  std::optional<std::string> dead_letter_exchange = {};
  std::optional<std::string> dead_letter_key = {};
  std::optional<std::uint32_t> delivery_limit = {};
  std::optional<redelivery_trait> redelivery = {};
  bool auto_delete = false;
  std::optional<std::int64_t> expires = {};  ///< milliseconds
  bool single_active_consumer = false;
  std::optional<std::uint8_t> max_priority = {};
  bool operator==(const queue_traits&) const = default;
};

struct queue_entry {
  std::uint32_t id = 0;
  std::string name;
  bool exclusive = false;
  std::int64_t created = 0;
  std::uint32_t share_group = 0;  ///< whose records in flight it holds; 0: it is a queue like others
  queue_traits traits = {};
};

/// What a policy sets, or an operator limits.
struct policy_traits {
  std::optional<std::int64_t> message_ttl = {};  ///< milliseconds
  std::optional<std::int64_t> expires = {};      ///< milliseconds
  std::optional<std::uint64_t> max_length = {};
  std::optional<std::uint64_t> max_length_bytes = {};
  std::optional<std::uint8_t> overflow = {};  ///< an `overflow`
  std::optional<std::string> dead_letter_exchange = {};
  std::optional<std::string> dead_letter_key = {};
  std::optional<std::uint32_t> delivery_limit = {};
  std::optional<redelivery_trait> redelivery = {};
  std::optional<std::string> alternate = {};  ///< name of an exchange
  bool operator==(const policy_traits&) const = default;
};

/// A policy, or what an operator limits.
struct policy_entry {
  std::uint32_t id = 0;
  std::string name;
  bool by_operator = false;
  std::string pattern;
  std::uint8_t target = 0;  ///< a `policy_target`
  std::int32_t priority = 0;
  policy_traits traits = {};
};

struct binding_entry {
  std::uint32_t id = 0;
  std::uint32_t exchange = 0;
  std::uint32_t destination = 0;  ///< a queue, or an exchange
  std::string key;
  binding_arguments arguments = {};
  /// By partition of the exchange's log, the first offset that it is for; empty: all 0.
  std::vector<std::uint64_t> since = {};
};

/// What of the past is being entered into a queue: what stands in exchanges' logs, and bindings select. It
/// takes positions that have been kept free in each lane of the queue.
struct backfill_entry {
  struct lane {
    std::uint64_t begin = 0;   ///< the first of the positions, counted from the lane's beginning
    std::uint64_t filled = 0;  ///< how many of them are taken
    bool operator==(const lane&) const = default;
  };
  struct log {
    std::uint32_t id = 0;
    std::vector<std::uint64_t> next;  ///< by partition: the offset that is looked at next
    std::vector<std::uint64_t> end;   ///< and the one before which the past ends
    bool operator==(const log&) const = default;
  };
  std::uint32_t id = 0;
  std::uint32_t queue = 0;
  std::uint32_t binding = 0;  ///< whose messages; 0: those of all bindings of the queue
  std::uint64_t room = 0;     ///< positions that are kept free in each lane
  std::vector<lane> lanes = {};
  std::vector<log> logs = {};

  /// How many offsets are still to be looked at.
  [[nodiscard]] std::uint64_t left() const noexcept {
    std::uint64_t sum = 0;
    for (const log& l : logs) {
      for (std::size_t p = 0; p < l.next.size(); ++p) sum += l.end[p] - l.next[p];
    }
    return sum;
  }
  bool operator==(const backfill_entry&) const = default;
};

/// A table of the host's.
struct table_entry {
  std::uint32_t id = 0;
  std::string name;
};

struct segment_entry {
  /// Records of one partition, consecutive unless some have been given up.
  struct part {
    std::uint32_t log = 0;
    std::uint32_t partition = 0;
    std::uint64_t base_offset = 0;
    std::uint64_t end_offset = 0;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;  ///< of its batches
    std::uint64_t sequence_first = 0;
    std::uint64_t sequence_last = 0;
    std::int64_t time_max = 0;
    bool sparse = false;  ///< some of the offsets have been given up
  };
  std::uint32_t id = 0;
  std::uint64_t sequence_first = 0;
  std::uint64_t sequence_last = 0;
  std::int64_t created = 0;
  std::uint64_t file_bytes = 0;
  std::vector<part> parts;  ///< sorted by log, partition and offset
  /// How often its records have been written anew to be merged.
  std::uint32_t generation = 0;
};

/// Where the logs ended when a new epoch began: what lay behind it is lost.
struct epoch_entry {
  struct log {
    std::uint32_t id = 0;
    std::vector<std::uint64_t> ends;  ///< by partition
  };
  std::uint32_t number = 0;
  std::vector<log> logs;
};

/// AMQP's default exchange, which each store has from the beginning: without a name. It keeps a GiB of what
/// queues have settled.
[[nodiscard]] log_entry default_exchange(std::int64_t created);

/// The whole catalogue.
struct catalog {
  store_entry store;
  std::vector<log_entry> logs;
  std::vector<group_entry> groups;
  std::vector<queue_entry> queues;
  std::vector<binding_entry> bindings;
  std::vector<segment_entry> segments;
  std::vector<epoch_entry> epochs;  ///< by number
  std::vector<table_entry> tables;
  std::vector<policy_entry> policies;
  std::vector<backfill_entry> backfills;  ///< by id, which is the order in which they were begun
};

/// Reads everything. `errc::damaged` for what cannot be decoded, `errc::unsupported_format` for a newer
/// store.
[[nodiscard]] result<catalog> read_catalog(const transaction& txn, const main_tables& tables);
/// The index of the journal as it was saved when the store was closed; nothing where it was not.
[[nodiscard]] result<std::optional<std::vector<std::byte>>> read_saved_index(const transaction& txn,
                                                                             const main_tables& tables);
[[nodiscard]] result<void> put_saved_index(write_transaction& txn, const main_tables& tables, bytes index);

/// Reads the store's own entry alone.
[[nodiscard]] result<store_entry> read_store_entry(const transaction& txn, const main_tables& tables);

[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const store_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const log_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const group_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const queue_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const binding_entry& entry);

[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const table_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const policy_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables,
                               const backfill_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const segment_entry& entry);
[[nodiscard]] result<void> put(write_transaction& txn, const main_tables& tables, const epoch_entry& entry);

[[nodiscard]] result<void> erase_log(write_transaction& txn, const main_tables& tables, std::uint32_t id);
[[nodiscard]] result<void> erase_segment(write_transaction& txn, const main_tables& tables, std::uint32_t id);
[[nodiscard]] result<void> erase_group(write_transaction& txn, const main_tables& tables, std::uint32_t id);
[[nodiscard]] result<void> erase_queue(write_transaction& txn, const main_tables& tables, std::uint32_t id);
[[nodiscard]] result<void> erase_binding(write_transaction& txn, const main_tables& tables, std::uint32_t id);
[[nodiscard]] result<void> erase_table(write_transaction& txn, const main_tables& tables, std::uint32_t id);
[[nodiscard]] result<void> erase_policy(write_transaction& txn, const main_tables& tables, std::uint32_t id);
[[nodiscard]] result<void> erase_backfill(write_transaction& txn, const main_tables& tables,
                                          std::uint32_t id);

}  // namespace levada::storage
