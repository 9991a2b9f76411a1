#pragma once

/// @file
/// What bus and attachment tell about a store, made from its catalogue.

#include <functional>
#include <vector>

#include "queue/queue_state.hpp"
#include "storage/catalog.hpp"
#include "storage/job_file.hpp"

#include <levada/inspect.hpp>

namespace levada {

/// The catalogue and what goes with it, as of one snapshot. Listings leave out logs of which `end_of` knows
/// nothing.
class listing {
 public:
  /// One beyond the newest record of a partition, by log id.
  using end_function = std::function<std::uint64_t(std::uint32_t log, std::uint32_t partition)>;

  [[nodiscard]] static result<listing> read(const storage::main_environment& main, end_function end_of);

  [[nodiscard]] std::vector<topic_info> topics() const;
  /// Members are left out unless `with_members`: nobody is in a group of a store that nobody owns.
  [[nodiscard]] std::vector<group_info> groups(bool with_members) const;
  [[nodiscard]] std::vector<exchange_info> exchanges() const;
  [[nodiscard]] std::vector<queue_info> queues() const;
  [[nodiscard]] std::vector<binding_info> bindings() const;
  [[nodiscard]] std::vector<policy_info> policies() const;
  [[nodiscard]] std::vector<operator_policy_info> operator_policies() const;
  [[nodiscard]] std::vector<job_info> jobs(const std::vector<storage::stored_job>& stored) const;

 private:
  struct offset_entry {
    std::uint32_t group;
    std::uint32_t log;
    std::uint32_t partition;
    std::uint64_t next;
  };
  [[nodiscard]] const storage::log_entry* find_log(std::uint32_t id) const;

  storage::catalog catalog_;
  std::vector<offset_entry> offsets_;
  std::vector<queue::amount> held_;  // by place in catalog_.queues
  end_function end_of_;
};

}  // namespace levada
