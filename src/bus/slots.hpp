#pragma once

/// @file
/// What exists in a bus: topics and exchanges, queues, groups, each with who waits for it.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bus/wake_list.hpp"
#include "group/group_state.hpp"
#include "log/log_state.hpp"
#include "queue/queue_state.hpp"
#include "routing/matcher.hpp"
#include "storage/catalog.hpp"

namespace levada {

class queue_consumer_state;

/// A topic or exchange.
struct topic_slot {
  explicit topic_slot(const storage::log_entry& stored) : state{stored}, entry{stored} {
    state.set_policy(stored.policy);
    if (stored.exchange != 0) {
      bindings = std::make_unique<routing::matcher>(static_cast<exchange_type>(stored.exchange));
    }
  }

  log::log_state state;
  wake_list readers;
  std::atomic<std::uint32_t> next_partition{0};

  // The committing thread alone:
  storage::log_entry entry;                    // as stored
  std::vector<std::uint64_t> staged_ends;      // empty when nothing is staged
  std::uint64_t staged_bytes = 0;              // of rows
  std::unique_ptr<routing::matcher> bindings;  // of an exchange
};

struct queue_slot {
  explicit queue_slot(const storage::queue_entry& entry) : state{entry.id, entry.name, entry.exclusive} {}

  queue::queue_state state;
  wake_list waiting;

  std::mutex consumers_mutex;
  std::vector<std::shared_ptr<queue_consumer_state>> consumers;

  // The committing thread alone:
  std::optional<queue::queue_row> staged_row;
  std::vector<queue::reference> staged_entries;
};

struct group_slot {
  group_slot(std::uint32_t group_id, std::string group_name) : id{group_id}, name{std::move(group_name)} {}

  const std::uint32_t id;
  const std::string name;
  wake_list members;

  std::mutex mutex;  // guards what follows
  group::group_state state;
  bool deleted = false;
};

/// A table of the host's.
struct table_slot {
  explicit table_slot(const storage::table_entry& entry) : id{entry.id}, name{entry.name} {}

  const std::uint32_t id;
  const std::string name;
  std::atomic<bool> deleted{false};
};

}  // namespace levada
