#pragma once

/// @file
/// What a store shows through the bus, as plain values.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <crash/payload.hpp>

#include <levada/levada.hpp>

namespace levada::crash {

struct found_record {
  /// It has died in a queue, and stands for a message that was published elsewhere.
  bool dead_letter = false;
  /// Nothing where the bytes are nobody's.
  std::optional<serial> record;
  std::size_t bytes = 0;
  std::optional<std::string> key;
  bool tombstone = false;
  std::uint64_t hash = 0;
  timestamp time{};
};

struct found_partition {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  /// By offset.
  std::map<std::uint64_t, found_record> records;
  /// What reading has shown of offsets that came out of order, a sentence each.
  std::vector<std::string> disorder;
};

struct found_log {
  std::vector<found_partition> partitions;
  /// In the order of commits.
  std::vector<serial> in_order;
};

struct found_delivery {
  std::optional<serial> record;
  bool redelivered = false;
};

/// A message of a history of queues.
struct found_message {
  std::optional<serial> record;
  bool redelivered = false;
  /// 0 where its queue does not count.
  std::uint32_t count = 0;
  std::uint8_t priority = 0;
  /// Of a dead letter: where it died. Empty for others.
  std::string died_in;
  dead_letter_reason reason = dead_letter_reason::rejected;
  /// It came only when the clock had moved.
  bool later = false;
};

struct found_commit {
  std::uint64_t next = 0;
  std::uint64_t end = 0;
};

/// How many messages were found in queues, and of which kinds.
struct queue_findings {
  std::uint64_t messages = 0;
  /// Only when the clock had moved.
  std::uint64_t later = 0;
  std::uint64_t redelivered = 0;
  /// Dead letters, by reason.
  std::uint64_t rejected = 0;
  std::uint64_t expired = 0;
  std::uint64_t dropped = 0;
  std::uint64_t used_up = 0;

  queue_findings& operator+=(const queue_findings& other) noexcept;
};
[[nodiscard]] std::string to_text(const queue_findings& f);

struct store_content {
  std::uint32_t epoch = 0;
  /// As `promises.hpp` describes them.
  std::set<std::string> objects;
  std::set<std::string> queues;
  std::vector<std::string> anonymous_queues;
  std::map<std::string, found_log> logs;
  /// By group, log and partition.
  std::map<std::tuple<std::string, std::string, std::uint32_t>, found_commit> commits;
  /// By queue.
  std::map<std::string, std::vector<found_delivery>> deliveries;
  /// Of a history of queues: everything in each, in the order in which it came.
  std::map<std::string, std::vector<found_message>> messages;
  bool of_queues = false;
};

/// The record that a value, or where it has none a message id, names.
[[nodiscard]] std::optional<serial> serial_of(const record_view& r);

/// One log, read from its beginning.
[[nodiscard]] found_log read_log(const bus& b, const topic_info& log);

/// All but what is in queues. Throws `levada::exception` when a call fails.
[[nodiscard]] store_content read_listings(const bus& b);

/// Everything; of queues what `queues` names, the messages of which count as delivered from then on. Throws
/// `levada::exception` when a call fails.
[[nodiscard]] store_content read_store(bus& b, const std::set<std::string>& queues);

}  // namespace levada::crash
