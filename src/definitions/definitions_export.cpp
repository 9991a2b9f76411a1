#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/names.hpp"
#include "bus/policy_set.hpp"
#include "definitions/arguments.hpp"
#include "definitions/values.hpp"

#include <levada/attachment.hpp>
#include <levada/bus.hpp>
#include <levada/definitions.hpp>

namespace levada {
namespace definitions {
namespace {

namespace json = boost::json;

/// What a store holds. The parts are of different moments, so a binding may lead to or from what is not
/// there.
struct topology {
  std::vector<exchange_info> exchanges;
  std::vector<queue_info> queues;
  std::vector<binding_info> bindings;
  std::vector<policy_info> policies;
  std::vector<operator_policy_info> operator_policies;
};

template <class Store>
result<topology> topology_of(const Store& store) {
  auto exchanges = store.exchanges();
  if (!exchanges) return exchanges.error();
  auto queues = store.queues();
  if (!queues) return queues.error();
  auto bindings = store.bindings();
  if (!bindings) return bindings.error();
  auto policies = store.policies();
  if (!policies) return policies.error();
  auto limits = store.operator_policies();
  if (!limits) return limits.error();
  return topology{std::move(*exchanges), std::move(*queues), std::move(*bindings), std::move(*policies),
                  std::move(*limits)};
}

/// One object a line, so that tools which compare lines show what differs.
void write_member(std::string& to, std::string_view name, const std::vector<std::string>& objects) {
  to += fmt::format("  \"{}\": [", name);
  const char* separator = "\n    ";
  for (const auto& object : objects) {
    to += separator;
    to += object;
    separator = ",\n    ";
  }
  to += objects.empty() ? "]" : "\n  ]";
}

/// With the members in the order of their names, as RabbitMQ's.
json::object sorted(const json::object& object) {
  std::vector<std::pair<json::string_view, const json::value*>> members;
  for (const auto& member : object) members.emplace_back(member.key(), &member.value());
  std::sort(members.begin(), members.end());
  json::object in_order;
  for (const auto& [name, value] : members) {
    const auto* const within = value->if_object();
    in_order.emplace(name, within != nullptr ? json::value(sorted(*within)) : *value);
  }
  return in_order;
}

/// An exchange or a queue.
template <class Info>
std::string text_of(const Info& info, std::string_view virtual_host) {
  json::object object = described(info.options);
  object.emplace("name", text_to_json(info.name));
  object.emplace("vhost", text_to_json(virtual_host));
  return json::serialize(sorted(object));
}

result<std::string> text_of(const binding_info& b, std::string_view virtual_host) {
  json::object arguments;
  for (const header& a : b.arguments) {
    if (!is_utf8(a.name)) {
      return error{errc::invalid_argument,
                   fmt::format("export definitions: binding of {} '{}' to exchange '{}': the name of an "
                               "argument is not UTF-8, and cannot stand in JSON",
                               b.to_exchange ? "exchange" : "queue", b.destination, b.exchange)};
    }
    arguments.emplace(a.name, to_json(a.value));
  }
  json::object object;
  object.emplace("arguments", std::move(arguments));
  object.emplace("destination", text_to_json(b.destination));
  object.emplace("destination_type", b.to_exchange ? "exchange" : "queue");
  object.emplace("routing_key", text_to_json(b.key));
  object.emplace("source", text_to_json(b.exchange));
  object.emplace("vhost", text_to_json(virtual_host));
  return json::serialize(sorted(object));
}

std::string_view text_of(policy_target target) {
  switch (target) {
    case policy_target::queues:
      return "queues";
    case policy_target::exchanges:
      return "exchanges";
    case policy_target::all:
      break;
  }
  return "all";
}

std::string text_of(const policy_info& p, std::string_view virtual_host) {
  json::object object;
  object.emplace("apply-to", text_to_json(text_of(p.options.apply_to)));
  object.emplace("definition", described(p.options.definition));
  object.emplace("name", text_to_json(p.name));
  object.emplace("pattern", text_to_json(p.options.pattern));
  object.emplace("priority", p.options.priority);
  object.emplace("vhost", text_to_json(virtual_host));
  return json::serialize(sorted(object));
}

/// A parameter of RabbitMQ's.
std::string text_of(const operator_policy_info& p, std::string_view virtual_host) {
  json::object value;
  value.emplace("apply-to", text_to_json(text_of(policy_target::queues)));
  value.emplace("definition", described(definition_of(p.options.limits)));
  value.emplace("pattern", text_to_json(p.options.pattern));
  value.emplace("priority", p.options.priority);
  json::object object;
  object.emplace("component", "operator_policy");
  object.emplace("name", text_to_json(p.name));
  object.emplace("value", std::move(value));
  object.emplace("vhost", text_to_json(virtual_host));
  return json::serialize(sorted(object));
}

template <class Info>
std::set<std::string_view> names_of(const std::vector<Info>& all) {
  std::set<std::string_view> names;
  for (const auto& info : all) names.insert(info.name);
  return names;
}

template <class Store>
result<std::string> export_from(const Store& store, std::string_view virtual_host) {
  if (!is_utf8(virtual_host)) {
    return error{errc::invalid_argument, "export definitions: the name of the virtual host is not UTF-8"};
  }
  auto all = topology_of(store);
  if (!all) return all.error();
  std::erase_if(all->exchanges, [](const exchange_info& e) { return e.name.empty(); });
  std::erase_if(all->queues, [](const queue_info& q) { return q.exclusive; });
  const auto exchange_names = names_of(all->exchanges);
  const auto queue_names = names_of(all->queues);

  std::vector<std::string> exchanges;
  for (const auto& e : all->exchanges) exchanges.push_back(text_of(e, virtual_host));
  std::vector<std::string> queues;
  for (const auto& q : all->queues) queues.push_back(text_of(q, virtual_host));
  std::vector<std::string> bindings;
  for (const auto& b : all->bindings) {
    const auto& destinations = b.to_exchange ? exchange_names : queue_names;
    if (!exchange_names.contains(b.exchange) || !destinations.contains(b.destination)) continue;
    auto object = text_of(b, virtual_host);
    if (!object) return object.error();
    bindings.push_back(std::move(*object));
  }
  // The listing does not tell apart those that differ in arguments only.
  std::sort(bindings.begin(), bindings.end());

  std::string text = "{\n";
  write_member(text, "exchanges", exchanges);
  text += ",\n";
  write_member(text, "queues", queues);
  text += ",\n";
  write_member(text, "bindings", bindings);
  // Where there are none, neither are these members.
  const auto write_policies = [&](std::string_view name, const auto& policies) {
    if (policies.empty()) return;
    std::vector<std::string> objects;
    for (const auto& p : policies) objects.push_back(text_of(p, virtual_host));
    text += ",\n";
    write_member(text, name, objects);
  };
  write_policies("policies", all->policies);
  write_policies("parameters", all->operator_policies);
  return text + "\n}\n";
}

}  // namespace
}  // namespace definitions

result<std::string> export_definitions(const bus& of, std::string_view virtual_host) {
  return definitions::export_from(of, virtual_host);
}

result<std::string> export_definitions(const attachment& of, std::string_view virtual_host) {
  return definitions::export_from(of, virtual_host);
}

}  // namespace levada
