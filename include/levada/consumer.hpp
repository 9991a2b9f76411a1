#pragma once

/// @file
/// Reading as a member of a consumer group.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/options.hpp>
#include <levada/record_batch.hpp>
#include <levada/types.hpp>

namespace levada {

/// A member of a consumer group. The members of a group share the partitions of their topics: each partition
/// is read by one member at a time, which an `assignor` chooses. What the group has committed is durable
/// and is where reading resumes, after a restart too. From `bus::join`.
///
/// Delivery is at least once: what was polled and not committed is read again by whoever owns the partition
/// next. When members join or leave, a member gives up partitions at its next `poll`; only then does the next
/// owner begin, at the committed offset. So a member that commits before it polls again hands over without
/// gap or duplicate. One that does not poll within `rebalance_timeout` is fenced: its calls fail with
/// `errc::fenced`.
///
/// Move-only. One thread at a time per object; distinct members may be used from distinct threads. Destroying
/// it leaves the group. Calls fail with `errc::closed` once the bus or the member is closed.
class LEVADA_EXPORT consumer {
 public:
  consumer(consumer&&) noexcept;
  consumer& operator=(consumer&&) noexcept;
  ~consumer();

  /// Returns the next records of the assigned partitions; waits up to `timeout` for some, woken by commits.
  /// An empty batch means that none came in time. Only committed, hence durable, records are ever returned.
  /// Fails with `no_committed_offset` under `offset_reset::none`, and with `damaged` where stored bytes fail
  /// their checksum.
  [[nodiscard]] result<record_batch> poll(std::chrono::milliseconds timeout);

  /// Ends a poll that waits, or else the next one that would: it returns an empty batch (Kafka's wakeup).
  /// From any thread, as long as the object is there.
  void wakeup() noexcept;

  /// `poll` without waiting, for any completion token of the signature `void(result<record_batch>)`. Until
  /// it is answered, nothing else may be called but `close`, which ends it with `errc::closed`; cancelling it
  /// through the token's slot, in the handler's executor, ends it with `errc::operation_aborted`, and nothing
  /// is skipped. See <levada/async.hpp>, which defines it and its like.
  template <class Token>
  auto async_poll(std::chrono::milliseconds timeout, Token&& token);

  /// Commits, durably, the position of every assigned partition: what polls have returned counts as done.
  [[nodiscard]] result<void> commit();
  /// The same without waiting, of the positions as of the call, for `void(result<void>)`. Polling may go on
  /// meanwhile.
  template <class Token>
  auto async_commit(Token&& token);
  /// Commits, durably, one offset: the next one to be read, as in Kafka, so that of the last record done plus
  /// one. It may be lower than what is committed. Fails with `not_assigned`, or `offset_out_of_range` beyond
  /// the log's end.
  [[nodiscard]] result<void> commit(const topic_partition& where, offset next);
  template <class Token>
  auto async_commit(topic_partition where, offset next, Token&& token);

  /// Sets where the coming poll starts: at the oldest record, behind the newest, at an offset, or at the
  /// first record appended at or after a time. Fails with `not_assigned`, or `offset_out_of_range` for an
  /// offset beyond the log's end. Commits nothing.
  [[nodiscard]] result<void> seek(const topic_partition& where, const start_position& to);

  /// The partitions that this member owns now, sorted. Changes only within `poll`, and when it is fenced.
  [[nodiscard]] std::vector<topic_partition> assignment() const;
  /// The offset that the coming poll starts with, or nothing where no policy has set one yet.
  [[nodiscard]] result<std::optional<offset>> position(const topic_partition& where) const;
  /// The group's committed offset, or nothing when it has none.
  [[nodiscard]] result<std::optional<offset>> committed(const topic_partition& where) const;

  [[nodiscard]] const std::string& group() const noexcept;
  [[nodiscard]] const std::string& member_id() const noexcept;

  /// Leaves the group; its partitions go to the other members at once. Commits nothing. Idempotent.
  void close() noexcept;

 private:
  friend class bus;
  friend class transaction;
  class impl;
  static void start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                         detail::completion<record_batch> done);
  static void start_commit(const std::shared_ptr<impl>& self,
                           const std::optional<std::pair<topic_partition, offset>>& what,
                           detail::completion<void> done);
  explicit consumer(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
