#pragma once

namespace levada::cli {

/// While one of these lives, the first SIGINT, SIGTERM or SIGHUP only asks the program to end; a second one
/// of the same kind ends it at once. A signal that was ignored stays so, as shells ask of background jobs. At
/// most one object at a time.
class stop_signals {
 public:
  stop_signals();
  ~stop_signals();
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  /// Whether a signal has come.
  [[nodiscard]] bool requested() const noexcept;
  /// Becomes readable when a signal comes, and stays so: to be polled together with input.
  [[nodiscard]] int descriptor() const noexcept;
  /// What the program ends with then, as a shell would report it: 128 and the signal's number.
  [[nodiscard]] int exit_status() const noexcept;
};

}  // namespace levada::cli
