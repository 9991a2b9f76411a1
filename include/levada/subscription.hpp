#pragma once

/// @file
/// Having a function called for each record of a group, several at a time.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/options.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// Handles one record. What it returns says whether it is done; what it throws is a failure too
/// (`errc::handler_failed`). The record is borrowed for the call.
using record_handler = std::function<result<void>(const record_view&)>;

/// A record that is being handled, to be answered once, in any thread: by a handler that goes on after it has
/// returned. Owns what its record borrows. Destroyed without an answer, it answers that handling has failed
/// (`errc::handler_failed`). Move-only.
class LEVADA_EXPORT record_handling {
 public:
  class impl;
  explicit record_handling(std::unique_ptr<impl> self) noexcept;
  record_handling(record_handling&&) noexcept;
  record_handling& operator=(record_handling&&) noexcept;
  ~record_handling();

  /// Borrowed from this object, until it is answered.
  [[nodiscard]] const record_view& record() const noexcept;
  /// The record is done, or its handling has failed. What is called after the first time changes nothing.
  void answer(result<void> outcome = {});

 private:
  std::unique_ptr<impl> impl_;
};

/// Begins to handle one record, and returns without waiting for it. What it throws is dropped, and with it a
/// record that it holds.
using async_record_handler = std::function<void(record_handling)>;

/// A member of a consumer group that has each record handled by a function, up to so many at a time, and
/// commits what is done. From `bus::subscribe`.
///
/// Records of one key are handled one after the other, in the order of their offsets
/// (`subscription_options::order` knows other orders); others at the same time. Of each partition, it commits
/// up to the first record that is not done: so delivery is at least once, and what is handled again after a
/// crash was committed by none before it. When a partition goes to another member, the handover waits for the
/// records that are being handled, and for those that stand before one that is done, up to
/// `consumer_options::rebalance_timeout`; the rest is left to the other. Handed over is what is done, in one
/// commit, so that nothing is handled twice, or by two at a time, unless that takes longer, or a record is
/// yet to be tried again. Where it takes longer, the member is fenced, and the subscription ends with
/// `errc::fenced`.
///
/// Handlers may call the bus, and wait; a slow one holds back what must follow it, and one place of
/// `workers`. A handler that never returns keeps its key, its partition's offset and its place for ever.
///
/// Move-only. Safe to use from several threads.
class LEVADA_EXPORT subscription {
 public:
  class impl;
  subscription(subscription&&) noexcept;
  subscription& operator=(subscription&&) noexcept;
  /// Closes it.
  ~subscription();

  /// Ends as with a handover of all its partitions, after which it leaves the group; but where that takes
  /// longer than `consumer_options::rebalance_timeout`, it commits what is done by then. Called within one of
  /// its handlers or callbacks, or a function of `bus::transact`, it returns at once, and that is done when
  /// they have returned. Idempotent.
  /// `bus::close` does the same first.
  void close() noexcept;
  /// The same, and `wait`, without waiting, for any completion token of the signature `void(result<void>)`.
  /// See <levada/async.hpp>, which defines it.
  template <class Token>
  auto async_close(Token&& token);

  /// Whether it is still at work: it has not been closed, nor ended by itself.
  [[nodiscard]] bool active() const noexcept;
  /// Waits until it has ended, and says why, if it was not closed: with what its handler has failed, or
  /// `consumer::poll`, in a way that leaves nothing to be tried. Within these it fails
  /// with `would_deadlock`.
  [[nodiscard]] result<void> wait() const;

  /// Records that have been read, and are not done.
  [[nodiscard]] std::size_t pending() const noexcept;
  /// The partitions that it owns now, sorted.
  [[nodiscard]] std::vector<topic_partition> assignment() const;
  [[nodiscard]] const std::string& group() const noexcept;
  [[nodiscard]] const std::string& member_id() const noexcept;

 private:
  friend class bus;
  static void start_close(const std::shared_ptr<impl>& self, detail::completion<void> done);
  explicit subscription(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
