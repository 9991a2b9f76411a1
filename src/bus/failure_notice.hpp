#pragma once

/// @file
/// Telling an operator once of what fails again and again.

#include <atomic>
#include <string_view>

#include <spdlog/logger.h>

#include <levada/error.hpp>

namespace levada {

/// Of one thing that is tried again after it has failed. Safe to share.
class failure_notice {
 public:
  /// Warns where it went well before, or failed otherwise. `to` may be null.
  void failed(spdlog::logger* to, const error& why) {
    if (last_.exchange(why.code()) != why.code() && to != nullptr) to->warn("levada: {}", why.message());
  }
  /// Tells that `what` goes on, where it had failed.
  void succeeded(spdlog::logger* to, std::string_view what, std::string_view store) {
    if (last_.exchange(errc{}) != errc{} && to != nullptr)
      to->info("levada: {} of '{}' goes on again", what, store);
  }

 private:
  std::atomic<errc> last_{errc{}};
};

}  // namespace levada
