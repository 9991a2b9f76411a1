#pragma once

namespace levada::cli {

/// Lets writing fail where nobody reads or a file may not grow, instead of ending the program on the spot:
/// what is open is closed first. To be called first.
void ignore_write_signals() noexcept;

/// What a program ends with after a signal, as a shell reports it: 128 and the signal's number.
constexpr int status_after(int signal_number) noexcept {
  return 128 + signal_number;
}

/// Ends the process by the signal's default action, so that a shell that runs a script sees what happened,
/// and with `status_after` where the signal does not end it.
[[noreturn]] void die_of(int signal_number) noexcept;

/// While one of these lives, the first SIGINT, SIGTERM or SIGHUP only asks the program to end; a second one
/// of the same kind ends it at once. A signal that was ignored stays so, as shells ask of background jobs. At
/// most one object at a time.
class stop_signals {
 public:
  /// What happens to a system call that waits when the signal comes.
  enum class waiting_call {
    /// It goes on, so that a commit stays whole.
    restarted,
    /// It returns, so that a reader that does not read keeps nobody. Claims SIGALRM.
    interrupted,
  };

  explicit stop_signals(waiting_call what);
  ~stop_signals();
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  /// Whether a signal has come.
  [[nodiscard]] static bool requested() noexcept;
  /// Becomes readable when a signal comes, and stays so: to be polled together with input.
  [[nodiscard]] int descriptor() const noexcept;
  /// What the program is to end with then.
  [[nodiscard]] int exit_status() const noexcept;
};

}  // namespace levada::cli
