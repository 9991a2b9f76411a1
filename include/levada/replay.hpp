#pragma once

/// @file
/// Reading a log outside of groups.

#include <chrono>
#include <memory>
#include <optional>

#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/record_batch.hpp>
#include <levada/types.hpp>

namespace levada {

/// A forward pass over one topic, or one partition of it, which commits nothing and belongs to no group. Over
/// all partitions it follows the order in which records were committed. From `bus::replay` or
/// `attachment::replay`; keeps what it came from open. Move-only; one thread at a time.
class LEVADA_EXPORT replay {
 public:
  replay(replay&&) noexcept;
  replay& operator=(replay&&) noexcept;
  ~replay();

  /// The next records; at the log's end waits up to `timeout` for more, woken by commits. An empty batch
  /// means that none came. Fails with `damaged` where stored bytes fail their checksum.
  [[nodiscard]] result<record_batch> next(std::chrono::milliseconds timeout = std::chrono::milliseconds{0});

 private:
  friend class bus;
  friend class attachment;
  class impl;
  explicit replay(std::unique_ptr<impl> self) noexcept;
  std::unique_ptr<impl> impl_;
};

}  // namespace levada
