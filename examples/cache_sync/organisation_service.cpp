#include "organisation_service.hpp"

#include <utility>

#include <fmt/core.h>

namespace cache_sync {
namespace {

constexpr auto organisations_table = "organisations";
constexpr std::uint32_t partitions = 2;

levada::result<organisation> parse_entry(const levada::table& of, const levada::table_key& key,
                                         const std::string& value) {
  if (auto o = parse_organisation(value)) return *std::move(o);
  return levada::error{levada::errc::damaged, fmt::format("table '{}', key {}: '{}' is not an organisation",
                                                          of.name(), key.text(), value)};
}

}  // namespace

levada::result<organisation> write(levada::transaction& t, const levada::table& organisations,
                                   organisation_id id, const details& d) {
  const auto entry = t.get(organisations, id);
  if (!entry) return entry.error();
  organisation o{id, 1, d.seats, d.active, d.name};
  if (*entry) {
    const auto before = parse_entry(organisations, id, **entry);
    if (!before) return before.error();
    o.version = before->version + 1;
  }
  if (const auto put = t.put(organisations, id, to_text(o)); !put) return put.error();
  return o;
}

levada::result<std::vector<organisation>> read_all(const levada::table& organisations) {
  std::vector<organisation> all;
  levada::key_range rest;
  for (;;) {
    const auto entries = organisations.scan(rest);
    if (!entries) return entries.error();
    if (entries->empty()) return all;
    for (const auto& e : *entries) {
      auto o = parse_entry(organisations, e.key, e.value);
      if (!o) return o.error();
      all.push_back(*std::move(o));
    }
    rest = rest.after(entries->back().key);
  }
}

organisation_service::organisation_service(levada::bus& bus)
    : bus_{bus},
      organisations_{bus.declare_table(organisations_table).value()},
      changes_{bus.declare_topic(changes_topic, {.partitions = partitions}).value()} {}

levada::result<organisation> organisation_service::save(organisation_id id, const details& d) {
  organisation changed;
  const auto done = bus_.transact([&](levada::transaction& t) -> levada::result<void> {
    auto written = write(t, organisations_, id, d);
    if (!written) return written.error();
    changed = *std::move(written);
    return t.publish(changes_, to_event(changed));
  });
  if (!done) return done.error();
  return changed;
}

}  // namespace cache_sync
