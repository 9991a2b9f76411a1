#pragma once

/// @file
/// Who sees to it that messages leave their queues that have expired or come back too often, that others are
/// ready when they have waited, and that queues expire.

#include <cstdint>
#include <memory>
#include <optional>

#include "bus/slots.hpp"

namespace levada {

class core;

/// Looks at the head of a queue when a message there is to expire, or one that waits to be ready, and has
/// what is condemned settled, in slices, without anybody waiting for it. Safe to share.
class attendant {
 public:
  explicit attendant(core& owner) noexcept : owner_{owner} {}

  /// After the head of a queue may have changed, while the store is in use. Costs next to nothing for queues
  /// which messages leave in no such way.
  void look_after(queue_slot& queue);
  /// The same by and by, from anywhere.
  void look_soon(const std::shared_ptr<queue_slot>& queue);
  /// The same at a time of the bus.
  void look_at(const std::shared_ptr<queue_slot>& queue, std::int64_t when);
  /// A queue is used, and does not expire so soon.
  void note_use(queue_slot& queue);

 private:
  class disposal;
  static void look(const std::weak_ptr<core>& owner, const std::weak_ptr<queue_slot>& queue);
  void dispose(const std::shared_ptr<queue_slot>& queue);
  /// Deletes a queue that nobody has used for as long as it says; else returns when that may be.
  [[nodiscard]] std::optional<std::int64_t> expire(const std::shared_ptr<queue_slot>& queue);

  core& owner_;
};

}  // namespace levada
