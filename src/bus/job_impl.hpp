#pragma once

/// @file
/// The inside of a job: a pass, and the file that remembers how far it came.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/replay_impl.hpp"
#include "storage/catalog.hpp"
#include "storage/job_file.hpp"

#include <levada/job.hpp>

namespace levada {

class job::impl {
 public:
  /// What a job needs to know of the store that it reads, as of now: refreshed by whoever asks for the job.
  struct setting {
    std::shared_ptr<replay_source> source;
    std::function<std::uint32_t()> epoch;  ///< of what the source has read last
    std::vector<storage::epoch_entry> epochs;
  };
  /// Goes on behind the checkpoint in `file`, if there is one, and makes one if there is none. Without a
  /// topic it reads all.
  [[nodiscard]] static result<std::unique_ptr<impl>> make(setting where, storage::job_file file,
                                                          std::string name, std::optional<std::string> topic,
                                                          const job_options& options);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] result<record_batch> next(std::chrono::milliseconds timeout);
  [[nodiscard]] result<void> checkpoint();
  [[nodiscard]] std::vector<job_position> positions() const;

 private:
  struct log_position {
    std::string topic;
    std::vector<std::uint64_t> next;
  };
  impl(setting where, storage::job_file file, std::string name, std::optional<std::string> topic)
      : where_{std::move(where)}, file_{std::move(file)}, name_{std::move(name)}, topic_{std::move(topic)} {}

  [[nodiscard]] pass_positions resume(const storage::job_checkpoint& last);
  void learn_logs();
  void move_behind(const record_batch& batch);
  void move_to_pass();

  setting where_;
  storage::job_file file_;
  std::string name_;
  std::optional<std::string> topic_;
  std::unique_ptr<replay::impl> pass_;
  std::optional<error> truncated_;  // to be told
  // Behind everything that `next` has told of, by log id:
  std::map<std::uint32_t, log_position> positions_;
};

}  // namespace levada
