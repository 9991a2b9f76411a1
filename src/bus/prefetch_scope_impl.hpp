#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "bus/slots.hpp"
#include "bus/wake_list.hpp"

#include <levada/prefetch_scope.hpp>

namespace levada {

/// Counts what its consumers hold, and wakes those who wait for that to change. Safe to share.
class prefetch_scope::impl {
 public:
  explicit impl(std::uint32_t most) noexcept : prefetch{most} {}

  /// A consumer of that queue, by who is woken for it.
  void add(const std::shared_ptr<waiter>& consumer, const std::shared_ptr<queue_slot>& queue);
  void remove(const std::shared_ptr<waiter>& consumer);

  /// Takes a place for one more, if there is one; to be given back where nothing comes of it.
  [[nodiscard]] bool take_place();
  /// After something has come of it: what is ready then may be for those who come after its consumers.
  void pass_on();
  /// Wakes those who have found none.
  void give_places(std::uint64_t count);
  [[nodiscard]] std::uint64_t held() const;
  /// How many more there may be.
  [[nodiscard]] std::uint64_t left() const;

  const std::uint32_t prefetch;

 private:
  struct member {
    std::shared_ptr<waiter> consumer;
    std::shared_ptr<queue_slot> queue;
  };
  [[nodiscard]] bool full() const noexcept { return prefetch > 0 && held_ >= prefetch; }

  mutable std::mutex mutex_;  // guards what follows
  std::uint64_t held_ = 0;
  bool refused_ = false;  // somebody has been, since places were given back
  std::vector<member> members_;
};

}  // namespace levada
