#include "bus/find.hpp"

#include <fmt/format.h>

namespace levada {

result<std::shared_ptr<topic_slot>> find_log(const core& owner, std::string_view operation,
                                             std::string_view name) {
  if (auto found = owner.find_topic(name)) return found;
  return error{errc::unknown_topic, fmt::format("{}: there is no topic '{}'", operation, name)};
}

result<std::shared_ptr<topic_slot>> find_plain_topic(const core& owner, std::string_view operation,
                                                     std::string_view name) {
  auto slot = find_log(owner, operation, name);
  if (!slot || !(*slot)->bindings) return slot;
  return error{errc::unknown_topic, fmt::format("{}: '{}' is an exchange", operation, name)};
}

result<std::shared_ptr<topic_slot>> find_exchange(const core& owner, std::string_view operation,
                                                  std::string_view name) {
  auto found = owner.find_topic(name);
  if (found && found->bindings) return found;
  return error{errc::unknown_exchange,
               fmt::format("{}: {} '{}'", operation,
                           found ? "this is a topic and no exchange," : "there is no exchange", name)};
}

}  // namespace levada
