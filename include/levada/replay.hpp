#pragma once

/// @file
/// Reading logs outside of groups.

#include <chrono>
#include <memory>

#include <levada/detail/completion.hpp>
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
  /// What was assigned to before is destroyed.
  replay& operator=(replay&&) noexcept;
  ~replay();

  /// The next records; where there are none yet waits up to `timeout` for more, woken by commits. An empty
  /// batch means that none came, or that the pass has ended.
  ///
  /// Fails with `damaged`, naming topic, partition and offsets, once for each range that cannot be read, and
  /// with `overtaken` once for each that has been removed before it was read: the next call goes on behind
  /// it. Fails with `unknown_topic` once the topic has been deleted.
  [[nodiscard]] result<record_batch> next(std::chrono::milliseconds timeout = std::chrono::milliseconds{0});

  /// `next` without waiting, for any completion token of the signature `void(result<record_batch>)`: what is
  /// there is read within the call, and what comes later in the handler's executor. Until it is answered,
  /// nothing else may be called. Destroying the replay ends it with `errc::closed`; cancelling it through the
  /// token's slot, in the handler's executor, ends it with `errc::operation_aborted`, and nothing is skipped.
  /// A replay of an attachment has no bus to wake it: `invalid_argument`. See <levada/async.hpp>, which
  /// defines it.
  template <class Token>
  auto async_next(std::chrono::milliseconds timeout, Token&& token);

  /// Whether `replay_options::until` has been reached: no record will come any more.
  [[nodiscard]] bool ended() const noexcept;

 private:
  friend class bus;
  friend class attachment;
  friend class job;
  class impl;
  static void start_next(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                         detail::completion<record_batch> done);
  explicit replay(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
