#pragma once

/// @file
/// The checkpoints of attached jobs: the directory `jobs`, where each file is written only by the job itself.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/unique_fd.hpp"

#include <levada/error.hpp>

namespace levada::storage {

/// How far a job has come.
struct job_checkpoint {
  struct log {
    std::uint32_t id = 0;
    std::string topic;
    std::vector<std::uint64_t> next;  ///< the offset that is read next, by partition
    bool operator==(const log&) const = default;
  };
  std::string name;
  std::uint32_t epoch = 0;  ///< of the store when it read
  std::int64_t time = 0;    ///< microseconds since 1970
  std::string topic;        ///< that it reads; empty: all
  std::vector<log> logs;
  bool operator==(const job_checkpoint&) const = default;
};

/// A job's file, for the process that runs it. The claim is a lock that the system drops when the process
/// dies. Move-only; calls on one object must not overlap.
class job_file {
 public:
  /// Fails with `job_in_use`, naming the process, where the job runs already, in this process or another.
  [[nodiscard]] static result<job_file> claim(const std::filesystem::path& directory, std::string_view name);

  /// The last checkpoint; nothing where there is none. `damaged` where it cannot be read.
  [[nodiscard]] result<std::optional<job_checkpoint>> read() const;
  /// Puts a checkpoint in the place of the last one: durable when it returns. After a failure, or a crash on
  /// the way, there is the one or the other.
  [[nodiscard]] result<void> write(const job_checkpoint& checkpoint);
  /// Removes the job: the claim ends, and nothing of it is left.
  [[nodiscard]] result<void> remove();

 private:
  job_file(std::filesystem::path directory, std::string stem, unique_fd lock) noexcept
      : directory_{std::move(directory)}, stem_{std::move(stem)}, lock_{std::move(lock)} {}
  [[nodiscard]] std::filesystem::path path(const char* extension) const;

  std::filesystem::path directory_;
  std::string stem_;
  unique_fd lock_;
};

/// A job as others see it.
struct stored_job {
  job_checkpoint last;
  /// The process that runs it now.
  std::optional<int> pid;
};

/// Removes a job that nobody runs. Fails with `unknown_job` or `job_in_use`.
[[nodiscard]] result<void> remove_job(const std::filesystem::path& directory, std::string_view name);

/// All jobs that have made a checkpoint, sorted by name.
[[nodiscard]] result<std::vector<stored_job>> stored_jobs(const std::filesystem::path& directory);

}  // namespace levada::storage
