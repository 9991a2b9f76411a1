#pragma once

/// @file
/// Calls of the host's code: which are under way in this thread.

#include <fmt/format.h>

#include <exception>

#include <levada/error.hpp>

namespace levada {

class core;

/// A call of the host's code by something that waits for such calls when it is closed: within one it must not
/// wait for itself. Lives on the stack of the thread that calls.
class host_call {
 public:
  /// By that object, which belongs to that bus.
  host_call(const void* by, const core& owner) noexcept;
  host_call(const host_call&) = delete;
  host_call& operator=(const host_call&) = delete;
  ~host_call();

  /// The innermost one by that object in this thread; null where there is none.
  [[nodiscard]] static host_call* find(const void* by) noexcept;
  /// Whether there is any in this thread that belongs to that bus.
  [[nodiscard]] static bool any(const core& owner) noexcept;

 private:
  const void* const by_;
  const core& owner_;
  host_call* const outer_;
};

/// What a handler of the host's answers that is called by `call`; what it throws is a failure too.
template <class Call>
[[nodiscard]] result<void> outcome_of(Call call) {
  try {
    return call();
  } catch (const std::exception& e) {
    return error{errc::handler_failed, fmt::format("the handler has thrown: {}", e.what())};
  } catch (...) {
    return error{errc::handler_failed, "the handler has thrown something"};
  }
}

}  // namespace levada
