#pragma once

#include <mutex>
#include <optional>
#include <unordered_set>

#include <levada/bus.hpp>

#include "call.hpp"

namespace emergency {

/// Which calls the topics hold already. Read from them when the host starts: someone whose call was not
/// acknowledged before a crash calls again, and is not to be stored twice; and an alert that is handed over
/// again is not to be accepted twice. Safe to use from several threads.
class call_register {
 public:
  explicit call_register(const levada::bus& bus);

  /// Times of the earliest and the latest call that earlier hosts have stored.
  struct span {
    local_time first;
    local_time last;
  };
  [[nodiscard]] const std::optional<span>& stored_span() const { return stored_span_; }

  /// Whether an earlier host has stored the call.
  [[nodiscard]] bool was_stored(call_id call) const { return stored_.contains(call); }
  /// Whether the caller of this function is to accept the call: true once for each call, over all hosts,
  /// unless the host dies before the acceptance is stored.
  [[nodiscard]] bool claim(call_id call);

 private:
  std::unordered_set<call_id> stored_;
  std::optional<span> stored_span_;
  std::mutex mutex_;
  std::unordered_set<call_id> accepted_;
};

}  // namespace emergency
