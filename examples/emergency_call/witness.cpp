#include "witness.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/core.h>

#include <common/failure.hpp>

namespace emergency {

void witness::see(const event& e) {
  ++count_.events;
  std::visit([this](const auto& what) { take(what); }, e);
}

std::uint64_t witness::backlog() const {
  std::uint64_t done = 0;
  for (const auto& [partition, next] : committed_) done += next.value();
  return count_.acknowledged > done ? count_.acknowledged - done : 0;
}

levada::offset witness::committed_before(life_number life, levada::partition_id p) const {
  const auto offsets = committed_before_.find(life);
  if (offsets == committed_before_.end()) return {};
  const auto found = offsets->second.find(p);
  return found == offsets->second.end() ? levada::offset{} : found->second;
}

void witness::take(const call_made& e) {
  auto& story = calls_[e.call.id];
  story.line = e.call.line().key();
  story.text = to_csv(e.call);
}

void witness::take(const host_started&) {
  ++life_;
  subscribers_.clear();
  present_.clear();
  newest_.clear();
  committed_before_[life_] = committed_;
}

void witness::take(const host_killed&) {
  ++count_.kills;
}

void witness::take(const call_acknowledged& e) {
  story_of(e.call).acknowledged = true;
  ++count_.acknowledged;
  if (e.stored_before) ++count_.acknowledged_again;
}

void witness::take(const subscriber_joined& e) {
  subscribers_.emplace(e.subscriber, e.lines);
  present_.insert(e.subscriber);
  ++count_.joined;
}

void witness::take(const subscriber_left& e) {
  present_.erase(e.subscriber);
}

void witness::take(const alert_handed& e) {
  auto& story = story_of(e.call);
  const auto line = parse_line_key(story.line);
  handing h{life_, e.partition, e.offset, e.queues, {}};
  std::copy_if(present_.begin(), present_.end(), std::inserter(h.subscribers, h.subscribers.end()),
               [&](subscriber_id s) { return scope_of(s).covers(line); });
  story.handings.push_back(std::move(h));
}

void witness::take(const alert_delivered& e) {
  auto& story = story_of(e.call);
  const auto& lines = scope_of(e.subscriber);
  const auto delivery = fmt::format("call {} from {}, to subscriber {} for {} of host {}", e.call, story.line,
                                    e.subscriber, lines.binding_key(), life_);
  ++count_.deliveries;
  if (!lines.covers(parse_line_key(story.line))) wrong_.wrong_line.push_back(delivery);
  if (!story.receivers[life_].insert(e.subscriber).second) wrong_.repeated.push_back(delivery);
  auto& newest = newest_[{e.subscriber, story.line}];
  if (e.call < newest) wrong_.late.push_back(fmt::format("{}, after call {}", delivery, newest));
  newest = std::max(newest, e.call);
}

void witness::take(const call_accepted& e) {
  story_of(e.call).accepted = true;
  ++count_.accepted;
}

void witness::take(const offset_committed& e) {
  committed_[e.partition] = e.offset;
}

witness::call_story& witness::story_of(call_id c) {
  const auto found = calls_.find(c);
  if (found == calls_.end()) throw example::failure{fmt::format("nobody made call {}", c)};
  return found->second;
}

const scope& witness::scope_of(subscriber_id s) const {
  const auto found = subscribers_.find(s);
  if (found == subscribers_.end()) throw example::failure{fmt::format("subscriber {} never joined", s)};
  return found->second;
}

}  // namespace emergency
