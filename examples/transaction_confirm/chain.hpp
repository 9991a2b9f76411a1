#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <levada/clock.hpp>

namespace transaction_confirm {

/// The outside chain, simulated: it confirms what was sent to it a while later, or never. How long that takes
/// follows from how many were sent before, so every run sees the same.
class chain {
 public:
  /// `wait`: how long who has sent something waits before he looks. Most is confirmed after a fifth of that.
  chain(std::shared_ptr<levada::clock> time, std::chrono::milliseconds wait)
      : time_{std::move(time)}, wait_{wait} {}

  /// Sends a transaction of that name.
  void send(const std::string& transaction);
  /// Whether it is confirmed by now. One that was never sent is not.
  [[nodiscard]] bool is_confirmed(const std::string& transaction) const;

  /// How long the n-th that is sent, from 0, takes, in thousandths of the wait; nothing: for ever.
  [[nodiscard]] static std::optional<std::int64_t> takes(std::size_t n);
  /// At which check, the first being one wait after it was sent, it is found to be confirmed.
  [[nodiscard]] static std::optional<unsigned> check_of(std::size_t n);

 private:
  const std::shared_ptr<levada::clock> time_;
  const std::chrono::milliseconds wait_;
  std::map<std::string, std::optional<levada::clock::steady_time>> confirmed_at_;
};

}  // namespace transaction_confirm
