#include "audit.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include <common/text.hpp>

#include "organisation_service.hpp"

namespace cache_sync {
namespace {

constexpr auto group = "audit";
constexpr auto entries_table = "audit";
constexpr std::chrono::milliseconds only_what_is_there{0};

std::string to_text(const audit_entry& e) {
  return fmt::format("{} {} {}", e.changes, e.out_of_order, to_text(e.last));
}

std::optional<audit_entry> parse_entry(std::string_view text) {
  const auto first = text.find(' ');
  const auto second = text.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  const auto changes = example::parse_number<std::uint64_t>(text.substr(0, first));
  const auto out_of_order = example::parse_number<std::uint64_t>(text.substr(first + 1, second - first - 1));
  auto last = parse_organisation(text.substr(second + 1));
  if (!changes || !out_of_order || !last) return std::nullopt;
  return audit_entry{*changes, *out_of_order, *std::move(last)};
}

levada::result<std::optional<audit_entry>> parse_value(organisation_id id,
                                                       const std::optional<std::string>& value) {
  if (!value) return std::nullopt;
  if (auto e = parse_entry(*value)) return e;
  return levada::error{
      levada::errc::damaged,
      fmt::format("table '{}', key {}: '{}' is not an entry of the audit", entries_table, id, *value)};
}

levada::result<void> count(levada::transaction& t, const levada::table& entries, organisation o) {
  const auto value = t.get(entries, o.id);
  if (!value) return value.error();
  const auto before = parse_value(o.id, *value);
  if (!before) return before.error();
  audit_entry e = before->value_or(audit_entry{});
  if (o.version != e.last.version + 1) ++e.out_of_order;
  ++e.changes;
  e.last = std::move(o);
  return t.put(entries, e.last.id, to_text(e));
}

}  // namespace

audit::audit(levada::bus& bus)
    : bus_{bus},
      entries_{bus.declare_table(entries_table).value()},
      changes_{bus.join(group, {changes_topic}, {.reset = levada::offset_reset::earliest}).value()} {}

levada::result<std::uint64_t> audit::catch_up() {
  const auto done =
      bus_.process(changes_,
                   [&](levada::transaction& t, const levada::record_batch& batch) -> levada::result<void> {
                     for (const auto& event : batch) {
                       const auto o = organisation_in(event);
                       if (!o) return o.error();
                       if (const auto counted = count(t, entries_, *o); !counted) return counted.error();
                     }
                     return {};
                   },
                   {.idle_max = only_what_is_there});
  if (!done) return done.error();
  return done->records;
}

levada::result<std::optional<audit_entry>> audit::entry(organisation_id id) const {
  const auto value = entries_.get(id);
  if (!value) return value.error();
  return parse_value(id, *value);
}

}  // namespace cache_sync
