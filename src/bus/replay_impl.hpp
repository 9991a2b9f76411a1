#pragma once

/// @file
/// What `replay` needs of where it came from: the owning bus, or an attachment.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/replay_pace.hpp"
#include "bus/wake_list.hpp"
#include "log/log_reader.hpp"
#include "log/log_state.hpp"

#include <levada/options.hpp>
#include <levada/replay.hpp>

namespace levada {

class core;

/// A place to replay from. Safe to share.
class replay_source {
 public:
  using log_list = std::vector<std::shared_ptr<const log::log_state>>;

  virtual ~replay_source() = default;
  /// The sequence after the last row that may be read now; the logs are known up to it.
  [[nodiscard]] virtual result<std::uint64_t> refresh() = 0;
  /// The logs to be read, and a number that differs when they do.
  [[nodiscard]] virtual std::uint64_t logs_version() const = 0;
  [[nodiscard]] virtual log_list logs() const = 0;
  /// Opens a snapshot for the time of one call of `read`.
  using read_function = std::function<result<void>(log::log_reader&)>;
  [[nodiscard]] virtual result<void> read(const read_function& function) = 0;
  /// Most bytes that are copied while a snapshot is held.
  [[nodiscard]] virtual std::size_t slice_bytes_max() const noexcept { return SIZE_MAX; }
  /// Waits until something has been committed since `refresh` returned `seen`, or until the deadline; may
  /// return early.
  [[nodiscard]] virtual result<void> wait(std::uint64_t seen, clock::steady_time deadline) = 0;
  [[nodiscard]] virtual clock& time() noexcept = 0;
  /// Of the bus that it belongs to: who is signalled when there is more to read. Null where there is none.
  struct waking {
    std::shared_ptr<core> owner = nullptr;
    std::shared_ptr<waiter> signalled = nullptr;
  };
  [[nodiscard]] virtual waking wakes() const { return {}; }
};

/// Where an earlier pass over the same logs ended: by log id, the offsets that are read next by partition. A
/// log that is not among them is read from its beginning.
using pass_positions = std::map<std::uint32_t, std::vector<std::uint64_t>>;

class replay::impl {
 public:
  /// Of one log, or, without a name, of all that the source has. `resume` goes before `options.from`.
  [[nodiscard]] static result<std::unique_ptr<impl>> make(
      std::shared_ptr<replay_source> source, std::optional<std::string> topic, const replay_options& options,
      std::optional<pass_positions> resume = std::nullopt);
  [[nodiscard]] result<record_batch> next(std::chrono::milliseconds timeout);
  static void start_next(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                         detail::completion<record_batch> done);
  [[nodiscard]] bool ended() const noexcept;
  /// Nobody has the replay any more: ends a `start_next` that waits.
  void leave() noexcept;
  using part = log::log_pass::part;
  /// How far it has come: behind everything that `next` has told of, and maybe further.
  [[nodiscard]] const std::vector<part>& parts() const noexcept { return pass_.parts; }

 private:
  impl(std::shared_ptr<replay_source> source, std::optional<std::string> topic, const replay_options& options,
       std::optional<pass_positions> resume)
      : source_{std::move(source)},
        topic_{std::move(topic)},
        options_{options},
        resume_{std::move(resume)},
        pace_{options.pace} {}

  [[nodiscard]] error refusal(errc code, const std::string& why) const;
  [[nodiscard]] result<void> check();
  [[nodiscard]] result<void> start();
  /// Where the pass begins and ends in one log.
  [[nodiscard]] result<part> place(const log::log_state& log);
  [[nodiscard]] result<void> place_begin(log::log_reader& reader, part& p, std::uint32_t partition) const;
  [[nodiscard]] result<void> place_end(log::log_reader& reader, part& p, std::uint32_t partition) const;
  /// Takes in which logs there are by now.
  void sync_logs();
  [[nodiscard]] result<record_batch> step(std::uint64_t until);
  /// What there is now; nothing where more than `seen` has to be waited for, at most until `next_look`.
  [[nodiscard]] std::optional<result<record_batch>> look(clock::steady_time deadline, std::uint64_t& seen,
                                                         clock::steady_time& next_look);
  [[nodiscard]] result<void> read_one(log::log_reader& reader, log::batch_builder& batch);

  std::shared_ptr<replay_source> source_;
  std::optional<std::string> topic_;
  replay_options options_;
  std::optional<pass_positions> resume_;
  replay_source::log_list logs_;
  std::uint64_t logs_version_ = 0;
  log::log_pass pass_;
  std::optional<error> failure_;  // to be reported after the records before it
  replay_pace pace_;
  std::atomic<bool> left_{false};
};

}  // namespace levada
