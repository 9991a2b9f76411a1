#include "proof.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/core.h>

#include <common/text.hpp>

namespace emergency {
namespace {

using records = std::vector<stored_record>;

/// How many records each call has.
std::map<call_id, std::uint64_t> count_by_call(const records& rs) {
  std::map<call_id, std::uint64_t> counts;
  for (const auto& r : rs) ++counts[r.call];
  return counts;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& what, std::string_view before) {
  for (const auto& w : what) to.push_back(fmt::format("{}{}", before, w));
}

claim nothing_lost(const witness& seen, const store_contents& stored) {
  std::unordered_map<call_id, const stored_record*> alerts;
  for (const auto& r : stored.alerts) alerts.emplace(r.call, &r);
  claim c{"no acknowledged call was lost", {}, {}};
  std::uint64_t acknowledged = 0;
  std::uint64_t found = 0;
  for (const auto& [id, story] : seen.calls()) {
    if (!story.acknowledged) {
      c.violations.push_back(fmt::format("call {} from {} was never acknowledged", id, story.line));
      continue;
    }
    ++acknowledged;
    const auto alert = alerts.find(id);
    if (alert == alerts.end()) {
      c.violations.push_back(
          fmt::format("call {} from {} was acknowledged and is not stored", id, story.line));
    } else if (alert->second->value != story.text) {
      c.violations.push_back(
          fmt::format("call {} was '{}' and is stored as '{}'", id, story.text, alert->second->value));
    } else {
      ++found;
    }
  }
  c.evidence = fmt::format("{} acknowledged, {} of them stored byte for byte", example::grouped(acknowledged),
                           example::grouped(found));
  return c;
}

claim nothing_added(const witness& seen, const store_contents& stored) {
  claim c{"no call was stored twice or made up", {}, {}};
  const auto counts = count_by_call(stored.alerts);
  for (const auto& [id, count] : counts) {
    if (!seen.calls().contains(id)) c.violations.push_back(fmt::format("nobody made call {}", id));
    if (count > 1) c.violations.push_back(fmt::format("call {} is stored {} times", id, count));
  }
  c.evidence = fmt::format("{} records of {} calls; {} known when called again",
                           example::grouped(stored.alerts.size()), example::grouped(counts.size()),
                           example::grouped(seen.count().acknowledged_again));
  return c;
}

std::string numbers(const std::set<subscriber_id>& subscribers) {
  std::string text;
  for (const auto s : subscribers) text += fmt::format("{}{}", text.empty() ? "" : ", ", s);
  return text.empty() ? "nobody" : text;
}

/// What is wrong with how one alert was handed over. A kill may cut deliveries off, and the telling of the
/// last handing; then the next host hands the alert over again, so the last handing is always complete.
void check_handings(call_id id, const witness::call_story& story, witness::life_number last_life,
                    std::vector<std::string>& violations) {
  if (story.handings.empty()) {
    violations.push_back(fmt::format("call {} was handed to nobody", id));
    return;
  }
  for (const auto& h : story.handings) {
    if (h.queues != h.subscribers.size()) {
      violations.push_back(fmt::format("call {} went into {} queues while its line had {} subscribers", id,
                                       h.queues, h.subscribers.size()));
    }
    const auto found = story.receivers.find(h.life);
    const auto receivers = found == story.receivers.end() ? std::set<subscriber_id>{} : found->second;
    const bool is_last = &h == &story.handings.back();
    const bool right = is_last ? receivers == h.subscribers
                               : std::includes(h.subscribers.begin(), h.subscribers.end(), receivers.begin(),
                                               receivers.end());
    if (!right) {
      violations.push_back(fmt::format("call {} was for subscribers {} and received by {} of host {}", id,
                                       numbers(h.subscribers), numbers(receivers), h.life));
    }
  }
  if (story.handings.back().life < last_life && story.receivers.contains(last_life)) {
    violations.push_back(
        fmt::format("call {} was received without being handed over by host {}", id, last_life));
  }
}

claim handed_exactly(const witness& seen) {
  claim c{"each alert went to just its line's subscribers", {}, {}};
  std::size_t handings = 0;
  for (const auto& [id, story] : seen.calls()) {
    check_handings(id, story, seen.lives(), c.violations);
    handings += story.handings.size();
  }
  append(c.violations, seen.wrong().repeated, "twice: ");
  c.evidence = fmt::format("{} alerts handed over, {} subscribers came and went", example::grouped(handings),
                           example::grouped(seen.count().joined));
  return c;
}

claim no_wrong_line(const witness& seen, const store_contents& stored) {
  claim c{"no alert was delivered to a wrong line", {}, seen.wrong().wrong_line};
  for (const auto* rs : {&stored.alerts, &stored.handed, &stored.acceptances}) {
    for (const auto& r : *rs) {
      const auto story = seen.calls().find(r.call);
      if (story == seen.calls().end() || story->second.line == r.line) continue;
      c.violations.push_back(
          fmt::format("call {} from {} is stored under {}", r.call, story->second.line, r.line));
    }
  }
  c.evidence = fmt::format("{} deliveries, {} of them wrong", example::grouped(seen.count().deliveries),
                           example::grouped(seen.wrong().wrong_line.size()));
  return c;
}

/// Where a line has its calls in another order than they were made, or in more than one partition. Of calls
/// that stand there more than once, the first counts. Returns how many lines there are.
std::size_t check_order(const records& rs, std::string_view where, std::vector<std::string>& violations) {
  struct position {
    call_id newest = 0;
    levada::partition_id partition;
  };
  std::unordered_map<std::string, position> lines;
  std::set<call_id> met;
  for (const auto& r : rs) {
    const auto [line, is_new] = lines.try_emplace(r.line, position{0, r.partition});
    if (line->second.partition != r.partition) {
      violations.push_back(fmt::format("{}: {} stands in two partitions", where, r.line));
    }
    if (!met.insert(r.call).second) continue;
    if (r.call < line->second.newest) {
      violations.push_back(
          fmt::format("{}: call {} of {} comes after call {}", where, r.call, r.line, line->second.newest));
    }
    line->second.newest = std::max(line->second.newest, r.call);
  }
  return lines.size();
}

claim order_held(const witness& seen, const store_contents& stored) {
  claim c{"order per line held", {}, {}};
  const auto lines = check_order(stored.alerts, "topic", c.violations);
  check_order(stored.handed, "exchange", c.violations);
  append(c.violations, seen.wrong().late, "delivered late: ");
  c.evidence = fmt::format("{} lines: in topic, exchange and at each subscriber", example::grouped(lines));
  return c;
}

claim repeated_only_after_kills(const witness& seen, const store_contents& stored) {
  claim c{"nothing was handed over again but after a kill", {}, {}};
  for (const auto& [id, story] : seen.calls()) {
    witness::life_number before = 0;
    for (const auto& h : story.handings) {
      if (h.life == before) {
        c.violations.push_back(fmt::format("host {} handed call {} over twice", h.life, id));
      }
      if (h.offset < seen.committed_before(h.life, h.partition)) {
        c.violations.push_back(
            fmt::format("host {} handed call {} over although that was committed before", h.life, id));
      }
      before = h.life;
    }
  }
  const auto counts = count_by_call(stored.handed);
  for (const auto& [id, story] : seen.calls()) {
    const auto found = counts.find(id);
    const auto count = found == counts.end() ? 0 : found->second;
    // Each kill may have cut off the telling of a handing.
    if (count < story.handings.size() || count > story.handings.size() + seen.count().kills) {
      c.violations.push_back(
          fmt::format("call {} was handed over {} times and stands in the exchange {} times", id,
                      story.handings.size(), count));
    }
  }
  c.evidence =
      fmt::format("{} kills; {} alerts again, none of them committed", seen.count().kills,
                  example::grouped(stored.handed.size() - std::min(stored.handed.size(), counts.size())));
  return c;
}

claim accepted_once(const witness& seen, const store_contents& stored) {
  claim c{"each call was accepted, and once", {}, {}};
  const auto counts = count_by_call(stored.acceptances);
  for (const auto& [id, story] : seen.calls()) {
    const auto found = counts.find(id);
    const auto count = found == counts.end() ? 0 : found->second;
    if (count == 1) continue;
    c.violations.push_back(fmt::format(
        "call {}, {}, is stored as accepted {} times", id,
        story.accepted ? "which was told to be accepted" : "of which no acceptance was told", count));
  }
  c.evidence = fmt::format("{} acceptances stored", example::grouped(stored.acceptances.size()));
  return c;
}

claim store_is_sound(const store_contents& stored) {
  claim c{"the store is sound, and all work is done", {}, {}};
  for (const auto& p : stored.check.problems) c.violations.push_back(fmt::format("{}: {}", p.where, p.what));
  if (stored.alerts_to_do > 0) {
    c.violations.push_back(fmt::format("the notifier has not committed {} alerts", stored.alerts_to_do));
  }
  if (stored.queues > 0) c.violations.push_back(fmt::format("{} queues are left over", stored.queues));
  c.evidence = fmt::format("{} pages, {} records checked", example::grouped(stored.check.pages),
                           example::grouped(stored.check.records));
  return c;
}

}  // namespace

std::vector<claim> prove(const witness& seen, const store_contents& stored) {
  return {nothing_lost(seen, stored),  nothing_added(seen, stored), handed_exactly(seen),
          no_wrong_line(seen, stored), order_held(seen, stored),    repeated_only_after_kills(seen, stored),
          accepted_once(seen, stored), store_is_sound(stored)};
}

std::vector<std::string> render(const std::vector<claim>& proof) {
  return example::render(proof, "nothing lost, nothing misdelivered, order held");
}

}  // namespace emergency
