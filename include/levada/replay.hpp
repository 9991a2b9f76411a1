#pragma once

/// @file
/// Reading logs outside of groups.

#include <chrono>
#include <memory>
#include <optional>

#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/record_batch.hpp>
#include <levada/types.hpp>

namespace levada {

/// A forward pass over one topic, one partition of it, or all topics, which commits nothing and belongs to no
/// group. Over several partitions it follows the order in which records were committed, which is the order in
/// which things happened. From `bus::replay`, `bus::replay_all` and their twins in `attachment`; keeps what
/// it came from open. Move-only; one thread at a time.
class LEVADA_EXPORT replay {
 public:
  replay(replay&&) noexcept;
  replay& operator=(replay&&) noexcept;
  ~replay();

  /// The next records; where there are none yet waits up to `timeout` for more, woken by commits. An empty
  /// batch means that none came, or that the pass has ended.
  ///
  /// Fails with `damaged`, naming topic, partition and offsets, once for each range that cannot be read, and
  /// with `overtaken` once for each that has been removed before it was read: the next call goes on behind
  /// it. Fails with `unknown_topic` once the topic has been deleted.
  [[nodiscard]] result<record_batch> next(std::chrono::milliseconds timeout = std::chrono::milliseconds{0});

  /// Whether `replay_options::until` has been reached: no record will come any more.
  [[nodiscard]] bool ended() const noexcept;

 private:
  friend class bus;
  friend class attachment;
  friend class job;
  class impl;
  explicit replay(std::unique_ptr<impl> self) noexcept;
  std::unique_ptr<impl> impl_;
};

}  // namespace levada
