#pragma once

/// @file
/// Reading logs in another process than the one that owns them, and remembering how far one came.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/options.hpp>
#include <levada/record_batch.hpp>
#include <levada/types.hpp>

namespace levada {

/// How a job reads.
struct job_options {
  /// Where it begins for as long as it has made no checkpoint. An offset needs a topic of one partition; it
  /// is the oldest record in logs that are declared later. Default: the oldest record.
  start_position from = from_earliest{};
  /// Most bytes of encoded records that one step returns; a single larger record is returned alone.
  /// Default: 1 MiB.
  std::size_t bytes_max = std::size_t{1} << 20;
  /// Whether checksums of sealed records are verified; see `replay_options::verify`. Default: yes.
  bool verify = true;
};

/// How far a job has come in a partition.
struct job_position {
  topic_partition where;
  /// The offset of the record that it reads next.
  offset next;
};

/// A pass over one topic, or all, that goes on where its last checkpoint was made: in another process, at
/// another time. From `attachment::open_job`; keeps the attachment's store open. A name belongs to one
/// process at a time. It is no member of any group, and pins nothing: what retention takes away from it, it
/// is told of (unless the topic's policy says `retention_policy::wait_for_readers`).
///
/// Move-only; one thread at a time.
class LEVADA_EXPORT job {
 public:
  job(job&&) noexcept;
  job& operator=(job&&) noexcept;
  ~job();

  [[nodiscard]] const std::string& name() const noexcept;

  /// The next records, as `replay::next`.
  ///
  /// Fails also with `log_truncated`, once, where the store was taken back to a checkpoint since this job's
  /// own one, to before a record that it had read: it goes on behind what is left, and the message says
  /// where.
  [[nodiscard]] result<record_batch> next(std::chrono::milliseconds timeout = std::chrono::milliseconds{0});

  /// Notes that everything which `next` has returned is done with: the job goes on behind it when it is
  /// opened the next time. Survives power loss when it returns; a failure or a crash leaves the checkpoint
  /// before it. Costs two to three flushes, shared with nobody: once for thousands of records, not for each.
  [[nodiscard]] result<void> checkpoint();

  /// Where it would go on if a checkpoint were made now, sorted.
  [[nodiscard]] std::vector<job_position> positions() const;

 private:
  friend class attachment;
  class impl;
  explicit job(std::unique_ptr<impl> self) noexcept;
  std::unique_ptr<impl> impl_;
};

}  // namespace levada
