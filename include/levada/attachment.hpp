#pragma once

/// @file
/// Looking into a store from another process than the one that owns it.

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/inspect.hpp>
#include <levada/job.hpp>
#include <levada/ledger.hpp>
#include <levada/options.hpp>
#include <levada/replay.hpp>
#include <levada/space.hpp>

namespace levada {

/// How another process attaches.
struct attach_options {
  /// Address space to reserve for the main file; must be at least the size that file grows to. Default: 64
  /// GiB.
  std::size_t map_bytes_max = std::size_t{64} << 30;
  /// As `bus_options::boot_id`. Default: the kernel's.
  std::string boot_id = {};
};

/// A read-only view of a store that another process may own and write at the same time. It copies what it
/// reads in short transactions, sees committed records only, writes no data, and is no member of any group.
///
/// Refused with `store_in_use` in the process that owns the store: use the bus there. Refused with
/// `recovery_needed` where the system went down while the store was written in `checkpointed` mode and nobody
/// has opened it since; nor can its owner open it then while an attachment from before is open.
///
/// It holds no snapshot for more than about a millisecond at a time, whatever is read. Move-only; one object
/// may be used from several threads.
class LEVADA_EXPORT attachment {
 public:
  [[nodiscard]] static result<attachment> open(const std::filesystem::path& directory,
                                               const attach_options& options = {});

  attachment(attachment&&) noexcept;
  attachment& operator=(attachment&&) noexcept;
  ~attachment();

  /// All topics, exchanges' logs included, sorted by name. Each call sees the newest commit.
  [[nodiscard]] result<std::vector<topic_info>> topics() const;
  [[nodiscard]] result<std::vector<group_info>> groups() const;
  [[nodiscard]] result<std::vector<exchange_info>> exchanges() const;
  [[nodiscard]] result<std::vector<queue_info>> queues() const;
  [[nodiscard]] result<std::vector<binding_info>> bindings() const;
  [[nodiscard]] result<std::vector<policy_info>> policies() const;
  [[nodiscard]] result<std::vector<operator_policy_info>> operator_policies() const;

  /// As `bus::replay` and `bus::replay_all`.
  [[nodiscard]] result<levada::replay> replay(std::string_view topic,
                                              const replay_options& options = {}) const;
  [[nodiscard]] result<levada::replay> replay_all(const replay_options& options = {}) const;

  /// As `bus::trace`.
  [[nodiscard]] result<message_trace> trace(std::string_view id, const trace_options& options = {}) const;

  /// Opens the job of this name, or makes it: a pass over `topic` that goes on where its last checkpoint was
  /// made. Its file below the store's directory `jobs` is the only one that an attached process writes.
  ///
  /// Fails with `job_in_use` where it runs already, with `inequivalent` where it reads something else, and
  /// with what `replay` fails with.
  [[nodiscard]] result<job> open_job(std::string_view name, std::string_view topic,
                                     const job_options& options = {}) const;
  /// The same over all topics, in the order in which their records were committed.
  [[nodiscard]] result<job> open_job_all(std::string_view name, const job_options& options = {}) const;
  /// As `bus::jobs` and `bus::remove_job`.
  [[nodiscard]] result<std::vector<job_info>> jobs() const;
  [[nodiscard]] result<void> remove_job(std::string_view name) const;

  /// As `bus::space`. What only the owner knows, this tells by the files that are there: those that no
  /// catalogue names wait for a checkpoint, or for the owner to come by.
  [[nodiscard]] result<space_report> space() const;

  /// The process that owns the store now, or nothing.
  [[nodiscard]] std::optional<int> owner_pid() const;

 private:
  class impl;
  [[nodiscard]] result<job> open_job_of(std::string_view name, const std::string* topic,
                                        const job_options& options) const;
  explicit attachment(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

/// Examines a store, also while another process owns it: the pages of the main file, every row's checksum,
/// the density of offsets, committed offsets within their logs, what is known of producers, and that every
/// queue entry has its record. Changes nothing. Fails only where examining is not possible at all, so with
/// `store_in_use` in a process that has the store open itself; what it finds wrong is in the report.
[[nodiscard]] LEVADA_EXPORT result<check_report> check_store(const std::filesystem::path& directory,
                                                             const attach_options& options = {});

}  // namespace levada
