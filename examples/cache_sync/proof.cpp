#include "proof.hpp"

#include <optional>

#include <fmt/core.h>

#include <common/text.hpp>

namespace cache_sync {
namespace {

std::string describe(const std::optional<entitlement>& e) {
  return e ? fmt::format("{} seats as of version {}", e->seats, e->version) : "nothing";
}

}  // namespace

freshness::freshness(const std::vector<organisation>& at_start) {
  for (const auto& o : at_start) {
    at_start_.emplace(o.id, entitlement_of(o));
    newest_.emplace(o.id, o.version);
  }
}

void freshness::see_cache(const licensing& asked) {
  for (const auto& [id, known] : at_start_) entries_stale_ += asked.cached(id).value() == known ? 0 : 1;
}

void freshness::see(organisation_id id, const answer& a) {
  if (a.catching_up) {
    ++refusals_;
    return;
  }
  ++answers_;
  const auto version = a.known ? a.known->version : 0;
  auto& newest = newest_[id];
  const auto start = at_start_.find(id);
  if (version < newest) {
    violations_.push_back(
        fmt::format("organisation {}: {} was answered, after version {}", id, describe(a.known), newest));
  } else if (start != at_start_.end() && version == start->second.version && a.known != start->second) {
    violations_.push_back(fmt::format("organisation {}: {} was answered, instead of {}", id,
                                      describe(a.known), describe(start->second)));
  } else {
    newest = version;
  }
}

claim freshness::nothing_stale() const {
  return {"no stale answer",
          fmt::format("{} of {} entries stale; {} questions put off, {} answered",
                      example::grouped(entries_stale_), example::grouped(at_start_.size()),
                      example::grouped(refusals_), example::grouped(answers_)),
          violations_};
}

claim cache_equals_table(const licensing& asked, const std::vector<organisation>& table) {
  claim c{"caught up, it answered as the table says",
          fmt::format("{} organisations", example::grouped(table.size())),
          {}};
  for (const auto& o : table) {
    const auto a = asked.ask(o.id).value();
    if (a.catching_up) {
      c.violations.push_back(fmt::format("organisation {}: licensing is still catching up", o.id));
    } else if (a.known != entitlement_of(o)) {
      c.violations.push_back(fmt::format("organisation {}: {} was answered, instead of {}", o.id,
                                         describe(a.known), describe(entitlement_of(o))));
    }
  }
  return c;
}

claim audit_saw_all(const audit& asked, const std::vector<organisation>& table) {
  claim c{"the audit saw every change once, in order", {}, {}};
  std::uint64_t changes = 0;
  for (const auto& o : table) {
    const auto e = asked.entry(o.id).value().value_or(audit_entry{});
    changes += e.changes;
    if (e.changes != o.version || e.out_of_order != 0 || e.last != o) {
      c.violations.push_back(
          fmt::format("organisation {}: {} changes seen of {}, {} of them out of order; "
                      "'{}' is the last one instead of '{}'",
                      o.id, e.changes, o.version, e.out_of_order, to_text(e.last), to_text(o)));
    }
  }
  c.evidence = fmt::format("{} changes of {} organisations", example::grouped(changes),
                           example::grouped(table.size()));
  return c;
}

}  // namespace cache_sync
