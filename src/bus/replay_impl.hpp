#pragma once

/// @file
/// What `replay` needs of where it came from: the owning bus, or an attachment.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "bus/wake_list.hpp"
#include "log/log_reader.hpp"
#include "log/log_state.hpp"

#include <levada/options.hpp>
#include <levada/replay.hpp>

namespace levada {

/// A place to replay from. Safe to share.
class replay_source {
 public:
  virtual ~replay_source() = default;
  /// The sequence after the last row that may be read now; `logs` are known up to it.
  [[nodiscard]] virtual result<std::uint64_t> refresh() = 0;
  /// Opens a snapshot for the time of one call of `read`.
  using read_function = std::function<result<void>(log::log_reader&)>;
  [[nodiscard]] virtual result<void> read(const read_function& function) = 0;
  /// Waits until something has been committed since `refresh` returned `seen`, or until the deadline; may
  /// return early.
  [[nodiscard]] virtual result<void> wait(std::uint64_t seen, clock::steady_time deadline) = 0;
  [[nodiscard]] virtual clock& time() noexcept = 0;
};

class replay::impl {
 public:
  /// `log` lives as long as the source.
  [[nodiscard]] static result<std::unique_ptr<impl>> make(std::shared_ptr<replay_source> source,
                                                          std::shared_ptr<const log::log_state> log,
                                                          const replay_options& options);
  [[nodiscard]] result<record_batch> next(std::chrono::milliseconds timeout);

 private:
  impl(std::shared_ptr<replay_source> source, std::shared_ptr<const log::log_state> log,
       const replay_options& options)
      : source_{std::move(source)}, log_{std::move(log)}, options_{options} {}

  [[nodiscard]] result<void> start();
  [[nodiscard]] result<record_batch> step(std::uint64_t until);

  std::shared_ptr<replay_source> source_;
  std::shared_ptr<const log::log_state> log_;
  replay_options options_;
  std::uint64_t position_ = 0;  // in the one partition
  log::log_position everywhere_;
  std::int64_t not_before_ = INT64_MIN;
};

}  // namespace levada
