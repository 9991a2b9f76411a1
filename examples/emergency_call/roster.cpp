#include "roster.hpp"

namespace emergency {
namespace {

constexpr std::size_t alerts_per_shift = 60;
constexpr std::size_t alerts_per_caretaker = 25;
constexpr std::size_t alerts_per_relative = 40;
constexpr std::size_t guests_max = 24;

}  // namespace

void roster::before_alert(const line& l) {
  const auto desk = scope::of_area(l);
  const auto handled = alerts_of_area_[l.area]++;
  if (handled % alerts_per_shift != 0) return;
  board_.join(desk);
  if (handled > 0) board_.leave(desk);
}

void roster::after_alert(const line& l) {
  ++alerts_;
  if (alerts_ % alerts_per_caretaker == 0) invite(scope::of_building(l));
  if (alerts_ % alerts_per_relative == 0) invite(scope::of_line(l));
}

void roster::invite(const scope& lines) {
  if (board_.has(lines)) return;
  board_.join(lines);
  guests_.push_back(lines);
  if (guests_.size() <= guests_max) return;
  board_.leave(guests_.front());
  guests_.pop_front();
}

}  // namespace emergency
