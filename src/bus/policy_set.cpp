#include "bus/policy_set.hpp"

#include <fmt/format.h>
#include <boost/regex.hpp>

#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "bus/declared_options.hpp"
#include "bus/names.hpp"

namespace levada {
namespace {

constexpr std::size_t policy_pattern_bytes_max = 1024;

/// The smaller one of those that are given.
template <class T>
std::optional<T> smaller(const std::optional<T>& a, const std::optional<T>& b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

/// Of `by`, what concerns numbers.
void limit(storage::queue_traits& rules, const storage::policy_traits& by) {
  rules.message_ttl = smaller(rules.message_ttl, by.message_ttl);
  rules.expires = smaller(rules.expires, by.expires);
  rules.max_length = smaller(rules.max_length, by.max_length);
  rules.max_length_bytes = smaller(rules.max_length_bytes, by.max_length_bytes);
  rules.delivery_limit = smaller(rules.delivery_limit, by.delivery_limit);
}

result<boost::regex> compile(const std::string& operation, const std::string& pattern) {
  if (pattern.empty() || pattern.size() > policy_pattern_bytes_max) {
    return error{errc::invalid_argument, fmt::format("{}: the pattern has {} bytes, and may have 1 to {}",
                                                     operation, pattern.size(), policy_pattern_bytes_max)};
  }
  try {
    return boost::regex{pattern};
  } catch (const boost::regex_error& e) {
    return error{errc::invalid_argument, fmt::format("{}: pattern '{}': {}", operation, pattern, e.what())};
  }
}

/// What a queue that sets nothing else would be checked for; but a routing key of dead letters goes with an
/// exchange that the queue may have.
result<storage::policy_traits> checked_traits(const std::string& operation, queue_options options) {
  const bool has_exchange = options.dead_letter_exchange.has_value();
  if (!has_exchange && options.dead_letter_routing_key) options.dead_letter_exchange = "";
  auto traits = traits_of(operation, options);
  if (!traits) return traits.error();
  if (!has_exchange) traits->dead_letter_exchange.reset();
  storage::policy_traits t;
  t.message_ttl = traits->message_ttl;
  t.expires = traits->expires;
  t.max_length = traits->max_length;
  t.max_length_bytes = traits->max_length_bytes;
  t.dead_letter_exchange = traits->dead_letter_exchange;
  t.dead_letter_key = traits->dead_letter_key;
  t.delivery_limit = traits->delivery_limit;
  t.redelivery = traits->redelivery;
  return t;
}

/// Either kind of policy, whose `verb` and `kind` are for messages.
result<storage::policy_entry> make_entry(const std::string& verb, const char* kind, std::string_view name,
                                         bool by_operator, const policy_options& options) {
  if (auto checked = check_name(verb, kind, name); !checked) return checked.error();
  const std::string operation = fmt::format("{} '{}'", verb, name);
  if (auto pattern = compile(operation, options.pattern); !pattern) return pattern.error();
  if (options.apply_to > policy_target::exchanges) {
    return error{errc::invalid_argument, fmt::format("{}: apply_to {} does not exist", operation,
                                                     static_cast<unsigned>(options.apply_to))};
  }
  const policy_definition& d = options.definition;
  if (d == policy_definition{})
    return error{errc::invalid_argument, fmt::format("{}: it sets nothing", operation)};
  auto traits = checked_traits(operation, options_of(d));
  if (!traits) return traits.error();
  if (d.overflow) {
    if (*d.overflow > overflow::reject_publish_dlx) {
      return error{errc::invalid_argument, fmt::format("{}: overflow {} does not exist", operation,
                                                       static_cast<unsigned>(*d.overflow))};
    }
    traits->overflow = static_cast<std::uint8_t>(*d.overflow);
  }
  if (d.alternate_exchange) {
    auto checked = check_name(operation, "alternate exchange", *d.alternate_exchange);
    if (!checked) return checked.error();
    traits->alternate = d.alternate_exchange;
  }
  return storage::policy_entry{0,
                               std::string{name},
                               by_operator,
                               options.pattern,
                               static_cast<std::uint8_t>(options.apply_to),
                               options.priority,
                               std::move(*traits)};
}

}  // namespace

queue_options options_of(const policy_definition& definition) {
  queue_options o;
  o.message_ttl = definition.message_ttl;
  o.expires = definition.expires;
  o.max_length = definition.max_length;
  o.max_length_bytes = definition.max_length_bytes;
  o.overflow = definition.overflow.value_or(o.overflow);
  o.dead_letter_exchange = definition.dead_letter_exchange;
  o.dead_letter_routing_key = definition.dead_letter_routing_key;
  o.delivery_limit = definition.delivery_limit;
  o.redelivery_delay = definition.redelivery_delay;
  return o;
}

policy_definition definition_of(const queue_options& options) {
  policy_definition d;
  d.message_ttl = options.message_ttl;
  d.expires = options.expires;
  d.max_length = options.max_length;
  d.max_length_bytes = options.max_length_bytes;
  d.dead_letter_exchange = options.dead_letter_exchange;
  d.dead_letter_routing_key = options.dead_letter_routing_key;
  d.delivery_limit = options.delivery_limit;
  d.redelivery_delay = options.redelivery_delay;
  return d;
}

policy_definition definition_of(const operator_limits& limits) {
  policy_definition d;
  d.message_ttl = limits.message_ttl;
  d.expires = limits.expires;
  d.max_length = limits.max_length;
  d.max_length_bytes = limits.max_length_bytes;
  d.delivery_limit = limits.delivery_limit;
  return d;
}

operator_limits limits_of(const policy_definition& definition) {
  return {definition.message_ttl, definition.expires, definition.max_length, definition.max_length_bytes,
          definition.delivery_limit};
}

result<storage::policy_entry> entry_of(std::string_view name, const policy_options& options) {
  return make_entry("set policy", "policy", name, false, options);
}

result<storage::policy_entry> entry_of(std::string_view name, const operator_policy_options& options) {
  return make_entry(
      "set operator policy", "operator policy", name, true,
      {options.pattern, policy_target::queues, options.priority, definition_of(options.limits)});
}

policy_info info_of(const storage::policy_entry& entry) {
  const storage::policy_traits& t = entry.traits;
  policy_info info{entry.name, {entry.pattern, static_cast<policy_target>(entry.target), entry.priority, {}}};
  policy_definition& d = info.options.definition;
  d = definition_of(options_of(storage::queue_traits{
      false, t.message_ttl, t.max_length, t.max_length_bytes, t.overflow.value_or(0), t.dead_letter_exchange,
      t.dead_letter_key, t.delivery_limit, t.redelivery, false, t.expires}));
  if (t.overflow) d.overflow = static_cast<overflow>(*t.overflow);
  d.alternate_exchange = t.alternate;
  return info;
}

operator_policy_info operator_info_of(const storage::policy_entry& entry) {
  const policy_options as_policy = info_of(entry).options;
  return {entry.name, {as_policy.pattern, as_policy.priority, limits_of(as_policy.definition)}};
}

struct policy_set::one {
  storage::policy_entry entry;
  boost::regex pattern;
};

policy_set::policy_set() = default;
policy_set::policy_set(const std::vector<storage::policy_entry>& entries) {
  for (const auto& entry : entries) put(entry);
}
policy_set::~policy_set() = default;

void policy_set::put(const storage::policy_entry& entry) {
  // It has been compiled before; one of a store that is damaged matches nothing.
  auto pattern = compile("read policy", entry.pattern);
  auto added = std::make_unique<const one>(one{entry, pattern ? std::move(*pattern) : boost::regex{}});
  const std::lock_guard guard{mutex_};
  std::erase_if(all_, [&](const auto& p) { return p->entry.id == entry.id; });
  const auto comes_before = [](const auto& a, const auto& b) {
    return std::tuple{-std::int64_t{a->entry.priority}, std::string_view{a->entry.name}} <
           std::tuple{-std::int64_t{b->entry.priority}, std::string_view{b->entry.name}};
  };
  const auto at = std::upper_bound(all_.begin(), all_.end(), added, comes_before);
  all_.insert(at, std::move(added));
}

void policy_set::erase(std::uint32_t id) {
  const std::lock_guard guard{mutex_};
  std::erase_if(all_, [id](const auto& p) { return p->entry.id == id; });
}

std::optional<storage::policy_entry> policy_set::find(bool by_operator, std::string_view name) const {
  const std::lock_guard guard{mutex_};
  for (const auto& p : all_) {
    if (p->entry.by_operator == by_operator && p->entry.name == name) return p->entry;
  }
  return std::nullopt;
}

const policy_set::one* policy_set::match(bool by_operator, policy_target what,
                                         const std::string& name) const {
  for (const auto& p : all_) {
    const auto target = static_cast<policy_target>(p->entry.target);
    if (p->entry.by_operator != by_operator || (target != policy_target::all && target != what)) continue;
    try {
      if (!p->pattern.empty() && boost::regex_search(name, p->pattern)) return p.get();
    } catch (const std::runtime_error&) {
      // Finding out takes more steps than Boost.Regex allows: then it does not match.
    }
  }
  return nullptr;
}

queue_rules policy_set::rules_for_queue(const std::string& name,
                                        const storage::queue_traits& declared) const {
  queue_rules rules{declared};
  const std::lock_guard guard{mutex_};
  if (const one* const p = match(false, policy_target::queues, name)) {
    const storage::policy_traits& t = p->entry.traits;
    rules.policy = p->entry.name;
    limit(rules, t);
    if (rules.overflow == 0) rules.overflow = t.overflow.value_or(0);
    // A routing key belongs to its exchange.
    if (!rules.dead_letter_exchange) rules.dead_letter_exchange = t.dead_letter_exchange;
    if (!rules.dead_letter_key && rules.dead_letter_exchange) rules.dead_letter_key = t.dead_letter_key;
    if (!rules.redelivery) rules.redelivery = t.redelivery;
  }
  if (const one* const p = match(true, policy_target::queues, name)) {
    rules.operator_policy = p->entry.name;
    limit(rules, p->entry.traits);
  }
  return rules;
}

exchange_rules policy_set::rules_for_exchange(const std::string& name, const std::string& alternate) const {
  exchange_rules rules{alternate};
  if (name.empty()) return rules;  // the default exchange, which is what it is
  const std::lock_guard guard{mutex_};
  if (const one* const p = match(false, policy_target::exchanges, name)) {
    rules.policy = p->entry.name;
    if (rules.alternate.empty()) rules.alternate = p->entry.traits.alternate.value_or("");
  }
  return rules;
}

}  // namespace levada
