#pragma once

/// @file
/// Reading as a member of a consumer group.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
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

/// Largest metadata of a committed offset: 1,024 bytes.
inline constexpr std::size_t offset_metadata_bytes_max = 1024;

/// An offset to be committed for one partition: the next one to be read, as in Kafka, so that of the last
/// record done plus one. With `metadata`, bytes that levada only keeps (Kafka's OffsetAndMetadata).
class offset_commit {
 public:
  offset_commit(topic_partition where, offset next, std::string metadata = {})
      : where_{std::move(where)}, next_{next}, metadata_{std::move(metadata)} {}

  [[nodiscard]] const topic_partition& where() const noexcept { return where_; }
  [[nodiscard]] offset next() const noexcept { return next_; }
  [[nodiscard]] const std::string& metadata() const noexcept { return metadata_; }

 private:
  topic_partition where_;
  offset next_;
  std::string metadata_;
};

/// What a group has committed for a partition.
struct committed_offset {
  /// The next offset to be read.
  offset next;
  /// As it was given with the commit; empty where none was.
  std::string metadata;
  /// When it was committed, by the clock of the bus.
  timestamp time;
};

/// A member of a consumer group. The members of a group share the partitions of their topics: each partition
/// is read by one member at a time, which an `assignor` chooses. What the group has committed is durable
/// and is where reading resumes, after a restart too. From `bus::join`; or from `bus::assign`, and then it is
/// no member, reads what it was given, and only commits in the group's name.
///
/// Delivery is at least once: what was polled and not committed is read again by whoever owns the partition
/// next. When members join or leave, a member gives up partitions at its next `poll`. That is one commit:
/// it stores what `consumer_options::on_revoked` commits, and makes the others their owners, who begin at
/// those offsets at their next `poll`. So a member that commits there hands over without gap or duplicate;
/// and so does one that has committed before it polls. One that does not poll within `rebalance_timeout` is
/// fenced: its calls fail with `errc::fenced`, and what may be delivered twice is counted
/// (`group_info::possible_duplicates`).
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
  /// Fails with `no_committed_offset` under `offset_reset::none`, with `damaged` where stored bytes fail
  /// their checksum, with `overtaken` where records were removed that it had yet to read, and with
  /// `unknown_topic`, once, where a topic has been deleted that it was told to read by name.
  ///
  /// Partitions change hands here. Where offsets are to be stored with a handover, and cannot be, it fails
  /// with the error of that commit, keeps the partitions, and tries again when it is called again. Where
  /// there are none to be stored, the handover needs no disk.
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
  /// Commits, durably, one offset, with up to `offset_metadata_bytes_max` bytes of metadata. It may be lower
  /// than what is committed. Fails with `not_assigned`, `offset_out_of_range` beyond the log's end, or
  /// `field_too_long`.
  [[nodiscard]] result<void> commit(const topic_partition& where, offset next, std::string metadata = {});
  template <class Token>
  auto async_commit(topic_partition where, offset next, Token&& token);
  template <class Token>
  auto async_commit(topic_partition where, offset next, std::string metadata, Token&& token);
  /// Commits several offsets in one commit: all or none.
  [[nodiscard]] result<void> commit(std::span<const offset_commit> offsets);
  template <class Token>
  auto async_commit(std::vector<offset_commit> offsets, Token&& token);

  /// Sets where the coming poll starts: at the oldest record, behind the newest, at an offset, or at the
  /// first record appended at or after a time. Fails with `not_assigned`, or `offset_out_of_range` for an
  /// offset beyond the log's end. Commits nothing.
  [[nodiscard]] result<void> seek(const topic_partition& where, const start_position& to);

  /// Polls return nothing of these partitions until they are resumed; they stay assigned, and keep their
  /// positions (Kafka's pause). A partition that is given up comes back unpaused; so does each one with an
  /// assignor that is not cooperative. Fails with `not_assigned`, and changes nothing then.
  [[nodiscard]] result<void> pause(std::span<const topic_partition> partitions);
  /// Ends `pause`; where there is none, it changes nothing. Fails with `not_assigned`.
  [[nodiscard]] result<void> resume(std::span<const topic_partition> partitions);
  /// The partitions that are paused, sorted.
  [[nodiscard]] std::vector<topic_partition> paused() const;

  /// The partitions that this member owns now, sorted. Changes only within `poll`, and when it is fenced.
  [[nodiscard]] std::vector<topic_partition> assignment() const;
  /// The offset that the coming poll starts with, or nothing where no policy has set one yet.
  [[nodiscard]] result<std::optional<offset>> position(const topic_partition& where) const;
  /// What the group has committed for any partition, or nothing when it has nothing. Fails with
  /// `unknown_topic`.
  [[nodiscard]] result<std::optional<committed_offset>> committed(const topic_partition& where) const;

  /// How many offsets lie between the position and the end of an assigned partition (Kafka's currentLag), or
  /// nothing where it has no position. Fails with `not_assigned`.
  [[nodiscard]] result<std::optional<std::uint64_t>> lag(const topic_partition& where) const;
  /// The sum over all assigned partitions that have a position.
  [[nodiscard]] result<std::uint64_t> lag() const;
  /// The offset of the oldest record of any partition, or its end when there is none. Fails with
  /// `unknown_topic` or `unknown_partition`.
  [[nodiscard]] result<offset> beginning_offset(const topic_partition& where) const;
  /// One beyond the newest record of any partition. Fails as `beginning_offset`.
  [[nodiscard]] result<offset> end_offset(const topic_partition& where) const;

  [[nodiscard]] const std::string& group() const noexcept;
  /// Its name in the group; empty for one from `bus::assign`.
  [[nodiscard]] const std::string& member_id() const noexcept;

  /// Leaves the group; its partitions go to the other members at once. Stores, in that same commit, what
  /// `consumer_options::on_revoked` and `auto_commit` commit, and else nothing; a failure of that goes
  /// unnoticed. Waits for a handover of `async_poll` that is under way. Within one of the callbacks it is
  /// done as soon as that returns. Idempotent.
  void close() noexcept;
  /// The same without waiting, for `void(result<void>)`. The callbacks are called in a thread of the bus's.
  template <class Token>
  auto async_close(Token&& token);

 private:
  friend class bus;
  friend class transaction;
  friend class revocation;
  friend class new_assignment;
  class impl;
  static void start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                         detail::completion<record_batch> done);
  /// All positions where no offsets are given.
  static void start_commit(const std::shared_ptr<impl>& self,
                           const std::optional<std::vector<offset_commit>>& what,
                           detail::completion<void> done);
  static void start_close(const std::shared_ptr<impl>& self, detail::completion<void> done);
  explicit consumer(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
