#include "cli/policy_table.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace levada::cli {
namespace {

std::string_view name_of(overflow what) {
  switch (what) {
    case overflow::drop_head:
      return "drop_head";
    case overflow::reject_publish:
      return "reject_publish";
    case overflow::reject_publish_dlx:
      return "reject_publish_dlx";
  }
  return "?";
}

std::string_view name_of(policy_target what) {
  switch (what) {
    case policy_target::all:
      return "all";
    case policy_target::queues:
      return "queues";
    case policy_target::exchanges:
      return "exchanges";
  }
  return "?";
}

/// What is set, one after the other.
class settings {
 public:
  void add(std::string_view name, const std::optional<std::chrono::milliseconds>& value) {
    if (value) append(fmt::format("{}={}ms", name, value->count()));
  }
  void add(std::string_view name, const std::optional<std::uint64_t>& value) {
    if (value) append(fmt::format("{}={}", name, *value));
  }
  void add(std::string_view name, const std::optional<std::string>& value) {
    if (value) append(fmt::format("{}='{}'", name, *value));
  }
  void add(const std::optional<overflow>& value) {
    if (value) append(fmt::format("overflow={}", name_of(*value)));
  }
  void add(const std::optional<redelivery_delay>& value) {
    if (!value) return;
    append(fmt::format("redelivery_delay={}ms", value->first.count()));
    if (value->factor == 1 && value->jitter == 0) return;
    text_ += fmt::format("*{}..{}ms", value->factor, value->most.count());
    if (value->jitter > 0) text_ += fmt::format("-{}", value->jitter);
  }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  void append(const std::string& one) { text_ += text_.empty() ? one : " " + one; }
  std::string text_;
};

/// What both kinds may set.
template <class Limits>
void add_limits(settings& all, const Limits& limits) {
  all.add("message_ttl", limits.message_ttl);
  all.add("expires", limits.expires);
  all.add("max_length", limits.max_length);
  all.add("max_length_bytes", limits.max_length_bytes);
  all.add("delivery_limit", limits.delivery_limit);
}

}  // namespace

table policy_table(const std::vector<policy_info>& policies,
                   const std::vector<operator_policy_info>& by_operator) {
  table t{{"policy", "operator", "pattern", "applies_to", "priority", "sets"}, {}};
  const auto add = [&t](const std::string& name, bool is_operators, const std::string& pattern,
                        policy_target target, std::int32_t priority, const settings& sets) {
    t.rows.push_back(
        {name, is_operators, pattern, std::string{name_of(target)}, std::int64_t{priority}, sets.text()});
  };
  for (const policy_info& p : policies) {
    const policy_definition& d = p.options.definition;
    settings sets;
    add_limits(sets, d);
    sets.add(d.overflow);
    sets.add("dead_letter_exchange", d.dead_letter_exchange);
    sets.add("dead_letter_routing_key", d.dead_letter_routing_key);
    sets.add(d.redelivery_delay);
    sets.add("alternate_exchange", d.alternate_exchange);
    add(p.name, false, p.options.pattern, p.options.apply_to, p.options.priority, sets);
  }
  for (const operator_policy_info& p : by_operator) {
    settings sets;
    add_limits(sets, p.options.limits);
    add(p.name, true, p.options.pattern, policy_target::queues, p.options.priority, sets);
  }
  return t;
}

}  // namespace levada::cli
