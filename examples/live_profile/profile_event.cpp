#include "profile_event.hpp"

#include <utility>

#include <fmt/core.h>

namespace live_profile {

std::string routing_key_of(user_id id) {
  return fmt::format("user.changed.{}", id);
}

levada::record to_event(const public_profile& p) {
  levada::record event{std::to_string(p.id), to_text(p)};
  event.type("user.changed").content_type("text/tab-separated-values");
  return event;
}

levada::result<public_profile> profile_in(const levada::record_view& event) {
  if (auto p = parse_public_profile(event.value())) return *std::move(p);
  return levada::error{levada::errc::invalid_argument,
                       fmt::format("'{}' offset {}: '{}' is not a profile", event.topic(),
                                   event.offset().value(), event.value())};
}

}  // namespace live_profile
