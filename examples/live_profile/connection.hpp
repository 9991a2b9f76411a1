#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <levada/error.hpp>

#include "public_profile.hpp"

namespace live_profile {

/// What a viewer is sent.
struct update {
  enum class kind : std::uint8_t {
    /// The profiles as they are when the viewer connects: the first update.
    snapshot,
    /// A profile that has changed.
    change,
  };

  kind what = kind::snapshot;
  std::vector<public_profile> profiles;
};

/// The way to one viewer: in a real host, a web socket. Called in the gateway's executor.
class connection {
 public:
  virtual ~connection() = default;

  /// Sends an update. Calls `sent`, in the gateway's executor, at once or later, when it has gone out and
  /// there is room for another one: there is none before. Never waits.
  virtual void send(const update& u, std::function<void()> sent) = 0;
  /// The gateway has ended it, and sends nothing more; the viewer may connect anew.
  virtual void ended(const levada::error& why) = 0;
};

}  // namespace live_profile
