#include "definitions/surroundings.hpp"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <string_view>
#include <utility>

#include "definitions/members.hpp"
#include "definitions/values.hpp"

namespace levada::definitions {
namespace {

std::string shown_member(const boost::json::object& object, boost::json::string_view name) {
  const auto* const value = object.if_contains(name);
  if (value == nullptr) return "none";
  return value->is_object() ? boost::json::serialize(*value) : shown(*value);
}

}  // namespace

result<surroundings> surroundings_of(const bus& of) {
  surroundings s;
  auto exchanges = of.exchanges();
  if (!exchanges) return exchanges.error();
  for (auto& e : *exchanges) s.exchanges.emplace(std::move(e.name), std::move(e.options));
  auto queues = of.queues();
  if (!queues) return queues.error();
  for (auto& q : *queues) s.queues.emplace(q.name, q);
  auto topics = of.topics();
  if (!topics) return topics.error();
  for (auto& t : *topics) {
    if (!t.is_exchange) s.topics.insert(std::move(t.name));
  }
  return s;
}

std::optional<std::string> difference(const boost::json::object& is, const boost::json::object& wanted) {
  std::set<std::string_view> names;
  for (const auto* const object : {&is, &wanted}) {
    for (const auto& member : *object) names.insert(view_of(member.key()));
  }
  for (const auto name : names) {
    const auto* const has = is.if_contains(name);
    const auto* const asked = wanted.if_contains(name);
    if (has != nullptr && asked != nullptr && *has == *asked) continue;
    if (name == "arguments") return difference(has->get_object(), asked->get_object());
    return fmt::format("it exists with {} {}, not {}", name, shown_member(is, name),
                       shown_member(wanted, name));
  }
  return std::nullopt;
}

}  // namespace levada::definitions
