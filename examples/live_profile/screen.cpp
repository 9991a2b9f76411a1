#include "screen.hpp"

#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace live_profile {

void screen::send(const update& u, std::function<void()> sent) {
  if (!is_frozen_) {
    take(u);
    sent();
    return;
  }
  thawed_ = [this, u, sent = std::move(sent)] {
    take(u);
    sent();
  };
}

void screen::ended(const levada::error& why) {
  end_ = why.message();
  thawed_ = nullptr;
}

void screen::thaw() {
  is_frozen_ = false;
  if (const auto go_on = std::exchange(thawed_, nullptr)) go_on();
}

void screen::take(const update& u) {
  const bool is_snapshot = u.what == update::kind::snapshot;
  if (is_snapshot != (snapshots_ + changes_ == 0)) {
    violations_.push_back(fmt::format("{}: a snapshot is the first update, and no other one", name_));
  }
  ++(is_snapshot ? snapshots_ : changes_);
  for (const auto& p : u.profiles) {
    auto& shown = profiles_[p.id];
    if (!is_snapshot && p.version != shown.version + 1) {
      violations_.push_back(fmt::format("{}: user {}: version {} came after version {}", name_, p.id,
                                        p.version, shown.version));
    }
    shown = p;
    lines_.push_back(fmt::format("  {:<10} {} {}, version {}: {}", name_,
                                 is_snapshot ? "at first" : "      ->", p.name, p.version, p.status));
  }
}

std::vector<std::string> screen::take_lines() {
  return std::exchange(lines_, {});
}

}  // namespace live_profile
