#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <common/claim.hpp>

#include "host.hpp"
#include "screen.hpp"

namespace live_profile {

/// Those who look on, each at a screen of his own, by name. The host must outlive it.
///
/// Members throw `levada::exception` or `example::failure`.
class audience {
 public:
  explicit audience(host& h) : host_{h} {}

  /// Connects a screen that shows these users; without any it shows everybody.
  screen& connect(const std::string& name, const std::vector<user_id>& watched = {});
  void disconnect(const std::string& name);
  /// Forgets one whom the gateway has ended.
  void forget(const std::string& name) { spectators_.erase(name); }
  void disconnect_all();
  [[nodiscard]] std::size_t size() const { return spectators_.size(); }

  /// Lets all of them take what there is for them, but those whose screens are frozen.
  void take_all();
  /// What they have shown since the last call, by name.
  [[nodiscard]] std::vector<std::string> take_lines();
  /// Changes that all screens together have shown, those included that are gone.
  [[nodiscard]] std::uint64_t changes_shown() const;

  /// That no screen, those included that are gone, has missed a version, or shown one twice.
  [[nodiscard]] example::claim in_order() const;
  /// That the screens of those who are connected show what the table says.
  [[nodiscard]] example::claim up_to_date() const;

 private:
  struct spectator {
    std::shared_ptr<live_profile::screen> screen;
    std::vector<user_id> watched;
    viewer_id id = 0;

    /// Whether he sees those whom he watches as they are.
    [[nodiscard]] bool sees(const std::vector<public_profile>& all) const;
  };

  host& host_;
  std::map<std::string, spectator> spectators_;   // who are connected
  std::vector<std::shared_ptr<screen>> screens_;  // all that there were
};

}  // namespace live_profile
