#pragma once

/// @file
/// Consuming a topic as a queue is consumed: any number of consumers, each record acknowledged by itself.

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <levada/delivery.hpp>
#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/types.hpp>

namespace levada {

/// What becomes of an acquired record (Kafka's AcknowledgeType).
enum class acknowledge_type : std::uint8_t {
  /// It is done.
  accept,
  /// It is available to the group again, at its place; but where it has been handed out as often as it may,
  /// it counts as done.
  release,
  /// It cannot be handled, and counts as done.
  reject,
  /// It stays acquired, for `share_consumer_options::lock_duration` from now on.
  renew,
};

/// A member of a share group (Kafka's KIP-932). The members share the records of their topics, not the
/// partitions: each record is acquired by one member at a time, whatever its partition, and acknowledged by
/// itself. So there can be more members than partitions, and a slow record holds up none behind it; but
/// records are handled in no certain order. From `bus::share_consume`.
///
/// What a poll acquires, others do not get, until it is acknowledged, or its time is over
/// (`share_consumer_options::lock_duration`), or the member goes. It comes back then, ahead of newer ones, up
/// to `share_consumer_options::delivery_limit` times in all. Acquiring is a commit: it counts the delivery
/// before the record is handed out. So a record that brings the host down comes back no more often than the
/// limit says either, and what is done never comes back: delivery is at least once, and ends.
///
/// What the topic itself gives up, the group does without: records that retention, compaction, or
/// `bus::delete_records` removes while they are in flight count as done. With
/// `retention_policy::wait_for_readers` none are removed by retention.
///
/// Move-only. `poll` from one thread at a time; everything else from any thread, also while another polls.
/// Closing or destroying it returns what it has acquired. Calls fail with `errc::closed` once the bus or the
/// member is closed.
class LEVADA_EXPORT share_consumer {
 public:
  class impl;
  explicit share_consumer(std::shared_ptr<impl> self) noexcept;
  share_consumer(share_consumer&&) noexcept;
  share_consumer& operator=(share_consumer&&) noexcept;
  ~share_consumer();

  /// Acquires records, those that came back first; waits up to `timeout` for some. An empty vector means that
  /// none came in time. May be called again before what it returned is acknowledged. Fails as a commit does,
  /// and has acquired nothing then; with `damaged` where stored bytes fail their checksum, once nothing else
  /// can be acquired; and with `unknown_topic`, once, where a topic has been deleted: the others are read on.
  [[nodiscard]] result<std::vector<delivery>> poll(std::chrono::milliseconds timeout);
  /// Ends a poll that waits, or else the next one that would: it returns an empty vector. From any thread.
  void wakeup() noexcept;

  /// `poll` without waiting, for any completion token of the signature
  /// `void(result<std::vector<delivery>>)`. Until it is answered, no other poll may be made. Cancelled
  /// through the token's slot, in the handler's executor, it ends with `errc::operation_aborted`; what it has
  /// acquired by then the next poll returns. See <levada/async.hpp>, which defines it and its like.
  template <class Token>
  auto async_poll(std::chrono::milliseconds timeout, Token&& token);

  /// Acknowledges records that this member has acquired: durably on return where they are done, in one
  /// commit. Fails with `unknown_delivery` where one is not acquired any more, its time being over, for
  /// example; then, and where the commit fails, nothing has happened to any of them.
  [[nodiscard]] result<void> acknowledge(std::span<const delivery_tag> tags,
                                         acknowledge_type how = acknowledge_type::accept);
  [[nodiscard]] result<void> acknowledge(std::span<const delivery> deliveries,
                                         acknowledge_type how = acknowledge_type::accept);
  [[nodiscard]] result<void> acknowledge(delivery_tag tag, acknowledge_type how = acknowledge_type::accept) {
    return acknowledge(std::span{&tag, 1}, how);
  }
  [[nodiscard]] result<void> acknowledge(const delivery& d, acknowledge_type how = acknowledge_type::accept) {
    return acknowledge(d.tag(), how);
  }
  /// The same without waiting, for `void(result<void>)`.
  template <class Token>
  auto async_acknowledge(std::vector<delivery_tag> tags, acknowledge_type how, Token&& token);

  [[nodiscard]] const std::string& group() const noexcept;
  /// Leaves the group. Idempotent.
  void close() noexcept;

 private:
  friend class transaction;
  static void start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                         detail::completion<std::vector<delivery>> done);
  static void start_acknowledge(const std::shared_ptr<impl>& self, const std::vector<delivery_tag>& tags,
                                acknowledge_type how, detail::completion<void> done);
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
