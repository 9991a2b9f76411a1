/// A plain model of a store: what a bus's answers must agree with. It knows no files, no threads and no
/// commits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

namespace levada::test {

/// All that a record says, as one text.
std::string text_of(const std::optional<std::string_view>& key, const std::optional<std::string_view>& value,
                    std::string_view routing_key, std::string_view note);
std::string text_of(const record_view& r);

struct model_record {
  std::string text;  // as `text_of` gives it
  timestamp time;
};

struct model_log {
  std::optional<exchange_type> exchange;
  std::vector<std::vector<model_record>> partitions;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> committed_order;

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(partitions.size()); }
  [[nodiscard]] std::uint64_t end(std::uint32_t p) const { return partitions[p].size(); }
  [[nodiscard]] std::uint64_t first_at(std::uint32_t p, timestamp t) const;
  void append(std::uint32_t p, model_record r);
};

struct model_entry {
  std::string log;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  enum class state { ready, delivered, settled } now = state::ready;
  bool seen = false;          // has been delivered
  bool perhaps_seen = false;  // a crash has come between: it may be taken for seen
};

struct model_queue {
  bool exclusive = false;
  std::vector<model_entry> entries;  // by position

  [[nodiscard]] std::uint64_t count(model_entry::state s) const;
  /// Null if none is.
  [[nodiscard]] model_entry* first_ready();
};

struct model_member {
  std::vector<std::string> topics;
  offset_reset reset = offset_reset::latest;
  std::map<topic_partition, std::optional<std::uint64_t>> owned;  // with positions
  std::set<topic_partition> granted;                              // its own, but not taken up yet
  std::set<topic_partition> announced;                            // what it has polled
  std::set<topic_partition> paused;
  bool commits_when_revoked = false;
};

struct model_group {
  std::map<std::string, model_member> members;
  std::map<topic_partition, std::uint64_t> committed;
};

struct model {
  std::map<std::string, model_log> logs;
  std::map<std::string, model_queue> queues;
  std::map<std::string, model_group> groups;
  std::set<std::tuple<std::string, std::string, std::string>> bindings;  // exchange, queue, key
  std::map<std::string, std::map<std::string, std::string>> tables;

  /// Null if there is none.
  [[nodiscard]] const model_record* find(const topic_partition& where, std::uint64_t offset) const;
  /// The queues that a message goes to.
  [[nodiscard]] std::set<std::string> routes(const std::string& exchange, const std::string& key) const;
  void erase_queue(const std::string& name);
  /// What a member shall own in the end: its part of each topic, in the order of member ids.
  [[nodiscard]] std::set<topic_partition> share_of(const model_group& group, const std::string& id) const;
  /// What nobody holds goes to who shall have it.
  void grant(model_group& group) const;
  /// A member hands over what others shall have, and takes up what has been granted to it.
  void sync(model_group& group, const std::string& id) const;
  void leave(model_group& group, const std::string& id) const;
};

}  // namespace levada::test
