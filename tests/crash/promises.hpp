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
  std::uint64_t hash = 0;
  bool acknowledged = false;
  /// It was delivered, perhaps before its publisher heard of it: what is delivered is durable.
  bool seen = false;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
};

/// What may be committed: the last acknowledged offset, or one whose outcome is unknown.
struct offset_commits {
  std::optional<std::uint64_t> acknowledged;
  std::set<std::uint64_t> unknown;
};

struct message_state {
  bool received = false;
  bool settling = false;
  bool settled = false;
};

struct promises {
  bool store = false;
  std::map<std::string, presence> objects;
  std::map<serial, sent_record> records;
  /// By group, log and partition.
  std::map<std::tuple<std::string, std::string, std::uint32_t>, offset_commits> commits;
  /// By queue and record.
  std::map<std::pair<std::string, serial>, message_state> messages;
};

/// Throws `std::invalid_argument` for a line that is none.
[[nodiscard]] promises read_promises(const history& lines);

// Descriptions of objects: what `declared` holds, and what the check makes of the store's listings.
[[nodiscard]] std::string topic_object(const std::string& name, std::uint32_t partitions);
[[nodiscard]] std::string exchange_object(const std::string& name, std::uint32_t partitions);
[[nodiscard]] std::string queue_object(const std::string& name);
[[nodiscard]] std::string binding_object(const std::string& exchange, const std::string& queue,
                                         const std::string& key);

}  // namespace levada::crash
