#pragma once

/// @file
/// Knowing what becomes of a message: committed, and settled by every queue that it was routed to.

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/publishing.hpp>
#include <levada/types.hpp>

namespace levada {

/// What has become of a message in the queues that it was routed to when it was published, or when its delay
/// was over. Each of them counts once. What comes to a queue later (`binding_options::from`,
/// `bus::replay_into`, as a dead letter) is not part of it.
struct ticket_status {
  /// Whether it is durable; without that, the rest says nothing.
  bool committed = false;
  /// While it waits to be routed: until when.
  std::optional<timestamp> due = std::nullopt;
  /// How many queues got it.
  std::size_t routed = 0;
  /// How many of these still hold it.
  std::size_t unsettled = 0;
  /// How many consumers have acknowledged.
  std::size_t acknowledged = 0;
  /// How many it has left because its time was over, and that have no dead-letter exchange.
  std::size_t expired = 0;
  /// How many it has left as a dead letter, for whatever reason.
  std::size_t dead_lettered = 0;
  /// How many it has left otherwise: rejected, too long, or returned too often without there being a
  /// dead-letter exchange; purged; deleted with the queue.
  std::size_t discarded = 0;
  /// When the last of them settled it, or when it turned out that there is none: as nothing was bound, or the
  /// message was cancelled before it was routed. Nothing while something is open.
  std::optional<timestamp> settled = std::nullopt;

  [[nodiscard]] bool is_settled() const noexcept { return settled.has_value(); }
  friend bool operator==(const ticket_status&, const ticket_status&) = default;
};

/// What tells the publisher of a message, known by its message id, what has become of it. From
/// `bus::publish_tracked`, or from `bus::find_ticket`, which also finds what an earlier process has published
/// with `publish_options::track`. What it tells is durable with the commits that it tells of: a crash makes
/// it forget nothing. Copies are the same ticket. Safe to share. Destroying it changes nothing; the bus
/// forgets a settled message after `bus_options::ticket_history`.
///
/// Calls fail with `unknown_ticket` where the bus has forgotten it, with what publishing has failed with, or
/// with `closed`.
class LEVADA_EXPORT ticket {
 public:
  [[nodiscard]] const std::string& message_id() const noexcept;

  /// Waits, up to `timeout`, until the message is durable, and tells where it stands; nothing where it was
  /// not in time.
  [[nodiscard]] result<std::optional<publish_receipt>> committed(std::chrono::milliseconds timeout) const;
  /// Waits, up to `timeout`, until every queue that it was routed to has settled it, and tells how; where
  /// that was not in time, how far it has come.
  [[nodiscard]] result<ticket_status> settled(std::chrono::milliseconds timeout) const;
  /// The names of the queues that still hold it, sorted.
  [[nodiscard]] result<std::vector<std::string>> outstanding() const;

  /// The same without waiting, for any completion token of the signature
  /// `void(result<std::optional<publish_receipt>>)` or `void(result<ticket_status>)`. One that is cancelled
  /// through the token's slot, in the handler's executor, ends with `errc::operation_aborted`. See
  /// <levada/async.hpp>, which defines these.
  template <class Token>
  auto async_committed(std::chrono::milliseconds timeout, Token&& token) const;
  template <class Token>
  auto async_settled(std::chrono::milliseconds timeout, Token&& token) const;

 private:
  friend class bus;
  class impl;
  explicit ticket(std::shared_ptr<const impl> self) noexcept;
  static void start_committed(const std::shared_ptr<const impl>& self, std::chrono::milliseconds timeout,
                              detail::completion<std::optional<publish_receipt>> done);
  static void start_settled(const std::shared_ptr<const impl>& self, std::chrono::milliseconds timeout,
                            detail::completion<ticket_status> done);
  std::shared_ptr<const impl> impl_;
};

}  // namespace levada
