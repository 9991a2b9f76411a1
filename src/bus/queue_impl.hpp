#pragma once

#include <memory>
#include <utility>

#include "bus/core.hpp"
#include "bus/queue_consumer_state.hpp"
#include "bus/topology.hpp"

#include <levada/queue.hpp>

namespace levada {

class queue_consumer::impl {
 public:
  explicit impl(std::shared_ptr<queue_consumer_state> consumer) noexcept : state{std::move(consumer)} {}
  ~impl() { state->close(); }
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  std::shared_ptr<queue_consumer_state> state;
};

class exclusive_queue::impl {
 public:
  impl(std::shared_ptr<core> bus, std::shared_ptr<queue_slot> slot) noexcept
      : owner{std::move(bus)}, queue{std::move(slot)} {}
  ~impl() { static_cast<void>(close()); }  // what fails here is made up for when the store is opened next
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  result<void> close() { return queue->state.deleted ? result<void>{} : delete_queue(*owner, *queue); }

  std::shared_ptr<core> owner;
  std::shared_ptr<queue_slot> queue;
};

}  // namespace levada
