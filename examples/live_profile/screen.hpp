#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "connection.hpp"

namespace live_profile {

/// A viewer's screen at the far end of a connection, which takes updates at once, or, when its network is
/// slow, not at all for a while. It checks what it is sent.
class screen : public connection {
 public:
  explicit screen(std::string name) : name_{std::move(name)} {}

  void send(const update& u, std::function<void()> sent) override;
  void ended(const levada::error& why) override;

  /// Takes no update from here on: the next one is on its way until `thaw`.
  void freeze() { is_frozen_ = true; }
  void thaw();
  [[nodiscard]] bool is_frozen() const { return is_frozen_; }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::map<user_id, public_profile>& profiles() const { return profiles_; }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }
  /// Why it was ended; empty where it was not.
  [[nodiscard]] const std::string& end() const { return end_; }
  /// Versions that were left out, or were not newer than the one before, a sentence each.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  /// What it has shown since the last call, a line for each profile.
  [[nodiscard]] std::vector<std::string> take_lines();

 private:
  void take(const update& u);

  const std::string name_;
  bool is_frozen_ = false;
  std::function<void()> thawed_;
  std::map<user_id, public_profile> profiles_;
  std::uint64_t snapshots_ = 0;
  std::uint64_t changes_ = 0;
  std::string end_;
  std::vector<std::string> violations_;
  std::vector<std::string> lines_;
};

}  // namespace live_profile
