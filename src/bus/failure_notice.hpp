#pragma once

/// @file
/// Telling an operator once of what fails again and again.

#include <atomic>
#include <string_view>

#include <levada/error.hpp>

namespace spdlog {
class logger;
}

namespace levada {

/// Whether what has failed so may go better later: what the disk did not take, or the system had not.
[[nodiscard]] constexpr bool may_pass(errc code) noexcept {
  return code == errc::disk_full || code == errc::store_full || code == errc::io_error ||
         code == errc::out_of_resources;
}

/// Of one thing that is tried again after it has failed. Safe to share.
class failure_notice {
 public:
  /// Warns where it went well before, or failed otherwise. `to` may be null.
  void failed(spdlog::logger* to, const error& why);
  /// Tells that `what`, with the `name` behind it, goes on, where it had failed.
  void succeeded(spdlog::logger* to, std::string_view what, std::string_view name);

 private:
  std::atomic<errc> last_{errc{}};
};

}  // namespace levada
