#pragma once

/// @file
/// What consumers of queues, and of share groups, are handed.

#include <cstdint>
#include <memory>
#include <optional>

#include <levada/export.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// One message handed to one consumer, to be settled by `queue_consumer::ack` or `nack`, or by
/// `share_consumer::acknowledge`. Owns the bytes that its record borrows, also beyond consumer and bus.
/// Destroying it settles nothing. Cheap to copy; reading one object from several threads is safe.
class LEVADA_EXPORT delivery {
 public:
  /// The message. Borrowed from this delivery or any copy of it.
  [[nodiscard]] const record_view& record() const noexcept { return record_; }
  [[nodiscard]] delivery_tag tag() const noexcept { return tag_; }
  /// Whether the message may have been delivered before. Of a queue: true after a requeue and, for messages
  /// that a consumer may have seen, after a restart. False means certainly not.
  [[nodiscard]] bool redelivered() const noexcept { return redelivered_; }
  /// How often the message has been handed out, this time included, crashes and restarts notwithstanding.
  /// Counted by share groups, and by queues with a delivery limit or a redelivery delay; else nothing.
  [[nodiscard]] std::optional<std::uint32_t> delivery_count() const noexcept {
    return count_ == 0 ? std::nullopt : std::optional{count_};
  }

 private:
  friend struct detail::record_access;
  record_view record_;
  std::shared_ptr<const void> bytes_;
  delivery_tag tag_;
  bool redelivered_ = false;
  std::uint32_t count_ = 0;
};

}  // namespace levada
