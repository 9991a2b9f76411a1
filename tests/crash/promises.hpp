#pragma once

/// @file
/// What a history obliges the store to hold after a crash at its end.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <crash/history.hpp>

namespace levada::crash {

/// Of a dead letter made by hand: the queue that it was in.
inline constexpr const char* died_in_header = "died-in";

/// How histories name the log of the default exchange.
inline constexpr const char* default_log = "(default)";

enum class presence {
  present,
  absent,
  unknown,
};

/// A record that was sent, and where it stands if that was acknowledged.
struct sent_record {
  serial batch = 0;
  std::string log;
  std::vector<std::string> queues;
  /// Nothing for a record without a key.
  std::optional<std::string> key = std::nullopt;
  bool tombstone = false;
  std::uint64_t hash = 0;
  bool acknowledged = false;
  /// It was delivered, perhaps before its publisher heard of it: what is delivered is durable.
  bool seen = false;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  /// Of messages; see the events of these names.
  bool delayed = false;
  bool expires = false;
  bool refused = false;
  bool cancelling = false;
  bool cancelled = false;
  std::set<std::string> passed_over_by = {};
  /// Whether it has gone with its topic.
  presence with_its_topic = presence::present;
};

/// What may be committed: the last acknowledged offset, or one whose outcome is unknown.
struct offset_commits {
  std::optional<std::uint64_t> acknowledged;
  std::set<std::uint64_t> unknown;
};

/// Where a partition may begin. With retention it may also begin behind that.
struct beginning {
  std::uint64_t acknowledged = 0;
  std::set<std::uint64_t> unknown;
  /// It was seen to begin there.
  std::uint64_t seen = 0;
};

/// What a log may give up.
struct log_rules {
  /// Records with a key, if the log has a later one with the same key. Once it was compacted, gaps stay.
  bool compacted = false;
  /// The oldest, as long as so many are left over all partitions; messages only when all queues have settled
  /// them.
  std::optional<std::uint64_t> newest = std::nullopt;
  bool messages = false;

  /// Whether offsets may be missing after the beginning.
  [[nodiscard]] bool sparse() const noexcept { return compacted || (messages && newest); }
  [[nodiscard]] bool gives_up() const noexcept { return compacted || newest; }
};

struct message_state {
  bool received = false;
  bool settling = false;
  bool settled = false;
  /// The highest count that was told with a delivery.
  std::uint32_t count = 0;
  /// As a dead letter.
  bool rejecting = false;
  bool rejected = false;
  /// Its queue is being purged or deleted.
  bool leaving = false;
  bool left = false;
};

struct promises {
  bool store = false;
  /// How often it was opened, or was about to be.
  std::uint32_t openings = 0;
  std::map<std::string, presence> objects;
  /// By name; a log that is not in it keeps everything.
  std::map<std::string, log_rules> logs;
  /// By log and partition.
  std::map<std::pair<std::string, std::uint32_t>, beginning> beginnings;
  std::map<serial, sent_record> records;
  /// Of the record that is sent next, if they are.
  std::optional<terms> of_next = std::nullopt;
  /// By group, log and partition.
  std::map<std::tuple<std::string, std::string, std::uint32_t>, offset_commits> commits;
  /// By queue and record.
  std::map<std::pair<std::string, serial>, message_state> messages;
  /// Those of `messages` that one call is settling, or the last one has, since the store was opened.
  std::vector<std::pair<std::string, serial>> settled_together;
  bool settlement_told = true;
};

/// Adds a line. Throws `std::invalid_argument` for one that is none.
void add(promises& to, const std::string& line);
[[nodiscard]] promises read_promises(const history& lines);

/// What a log keeps of its records.
struct log_keeps {
  /// The latest of each key, by and by.
  bool latest = false;
  /// At least so many.
  std::optional<std::uint64_t> newest = std::nullopt;
};

// Descriptions of objects: what `declared` holds, and what the check makes of the store's listings.
[[nodiscard]] std::string topic_object(const std::string& name, std::uint32_t partitions,
                                       const log_keeps& keeps = {});
[[nodiscard]] std::string exchange_object(const std::string& name, std::uint32_t partitions,
                                          const log_keeps& keeps = {});
[[nodiscard]] std::string queue_object(const std::string& name);
/// The place of dead letters in a queue, by the queue in which they died: what `received` and `settling`
/// name.
[[nodiscard]] std::string grave_place(const std::string& grave, const std::string& died_in);
[[nodiscard]] std::string binding_object(const std::string& exchange, const std::string& queue,
                                         const std::string& key);

}  // namespace levada::crash
