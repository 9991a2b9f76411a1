#include "audience.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include <common/text.hpp>

namespace live_profile {

using example::claim;
using example::grouped;

bool audience::spectator::sees(const std::vector<public_profile>& all) const {
  std::map<user_id, public_profile> due;
  for (const auto& p : all) {
    if (watched.empty() || std::count(watched.begin(), watched.end(), p.id) != 0) due.emplace(p.id, p);
  }
  return screen->profiles() == due;
}

screen& audience::connect(const std::string& name, const std::vector<user_id>& watched) {
  const auto shown = std::make_shared<screen>(name);
  const auto who = watched.empty() ? watch::everybody() : watch::users(watched);
  spectators_[name] = {shown, watched, host_.viewers().connect(who, shown).value()};
  screens_.push_back(shown);
  return *shown;
}

void audience::disconnect(const std::string& name) {
  const auto found = spectators_.find(name);
  host_.viewers().disconnect(found->second.id).value();
  spectators_.erase(found);
}

void audience::disconnect_all() {
  while (!spectators_.empty()) disconnect(spectators_.begin()->first);
}

void audience::take_all() {
  const auto all = host_.profiles();
  const auto is_frozen = [](const auto& s) { return s.second.screen->is_frozen(); };
  const auto frozen = std::count_if(spectators_.begin(), spectators_.end(), is_frozen);
  const auto taking = spectators_.size() - static_cast<std::size_t>(frozen);
  host_.run_until([&] {
    return host_.viewers().waiting() == taking &&
           std::all_of(spectators_.begin(), spectators_.end(),
                       [&](const auto& s) { return is_frozen(s) || s.second.sees(all); });
  });
}

std::vector<std::string> audience::take_lines() {
  std::vector<std::string> lines;
  for (const auto& [name, s] : spectators_) {
    for (auto& line : s.screen->take_lines()) lines.push_back(std::move(line));
  }
  return lines;
}

std::uint64_t audience::changes_shown() const {
  std::uint64_t count = 0;
  for (const auto& s : screens_) count += s->changes();
  return count;
}

claim audience::in_order() const {
  claim c{"no gap, and nothing stale",
          fmt::format("{} changes on {} screens", grouped(changes_shown()), grouped(screens_.size())),
          {}};
  for (const auto& s : screens_) {
    c.violations.insert(c.violations.end(), s->violations().begin(), s->violations().end());
  }
  return c;
}

claim audience::up_to_date() const {
  const auto all = host_.profiles();
  claim c{"every screen showed what the table says",
          fmt::format("{} screens, {} users", grouped(spectators_.size()), grouped(all.size())),
          {}};
  for (const auto& [name, s] : spectators_) {
    if (!s.sees(all)) c.violations.push_back(fmt::format("{}: it did not", name));
  }
  return c;
}

}  // namespace live_profile
