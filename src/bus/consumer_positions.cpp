// Where a consumer reads in its partitions, and where it could.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <variant>

#include "bus/consumer_impl.hpp"
#include "bus/group_tools.hpp"
#include "group/offset_table.hpp"
#include "log/log_reader.hpp"

namespace levada {
namespace {

/// The log of a partition that is there.
result<std::shared_ptr<topic_slot>> log_of_partition(const core& owner, const std::string& operation,
                                                     const topic_partition& where) {
  auto topic = owner.find_topic(where.topic);
  if (!topic)
    return error{errc::unknown_topic, fmt::format("{}: there is no topic '{}'", operation, where.topic)};
  if (where.partition.value() < topic->state.partitions()) return topic;
  return error{errc::unknown_partition,
               fmt::format("{}: topic '{}' has {} partitions, not number {}", operation, where.topic,
                           topic->state.partitions(), where.partition.value())};
}

}  // namespace

result<void> consumer::impl::place_acquired() {
  if (std::all_of(owned_.begin(), owned_.end(), [](const owned_partition& p) { return p.placed; })) return {};
  auto access = enter("poll");
  if (!access) return access.error();
  for (auto& p : owned_) {
    if (p.placed) continue;
    if (auto done = place(p, *access); !done) return done;
  }
  return {};
}

result<void> consumer::impl::place(owned_partition& p, const core::access& access) const {
  auto txn = storage::read_transaction::begin(access.main().env());
  if (!txn) return txn.error();
  auto found = group::read_offset(*txn, access.main().tables(), group_->id, p.topic->state.id(),
                                  p.where.partition.value());
  if (!found) return found.error();
  if (*found) p.committed = p.position = (*found)->next;
  if (!p.position || *p.position > p.topic->state.end(p.where.partition.value())) {
    auto start = reset_position(p, access);
    if (!start) return start.error();
    p.position = *start;
  }
  p.begun = p.position.value_or(0);
  p.placed = true;
  return {};
}

result<std::optional<std::uint64_t>> consumer::impl::reset_position(const owned_partition& p,
                                                                    const core::access& access) const {
  const auto target = target_of(options_.reset, options_.reset_duration);
  if (!target) return std::optional<std::uint64_t>{};
  log::log_reader reader{access.main()};
  auto found =
      offset_of_target(p.topic->state, p.where.partition.value(), *target, owner_->bus_time(), reader);
  if (!found) return found.error();
  return std::optional{*found};
}

result<void> consumer::impl::check_overtaken(owned_partition& p, const core::access& access) const {
  const std::uint64_t begin = p.topic->state.begin(p.where.partition.value());
  if (*p.position >= begin) return {};
  error e{errc::overtaken,
          fmt::format("{}: offsets {} to {} of topic '{}' partition {} have been removed", operation("poll"),
                      *p.position, begin - 1, p.where.topic, p.where.partition.value())};
  auto start = reset_position(p, access);
  if (!start) return start.error();
  if (*start) p.begun = *(p.position = **start);
  return e;
}

result<void> consumer::impl::seek(const topic_partition& where, const start_position& to) {
  auto access = enter("seek");
  if (!access) return access.error();
  auto p = find("seek", where);
  if (!p) return p.error();
  const log::log_state& log = (*p)->topic->state;
  const std::uint64_t begin = log.begin(where.partition.value());
  const std::uint64_t end = log.end(where.partition.value());
  if (std::holds_alternative<from_earliest>(to)) {
    (*p)->position = begin;
  } else if (std::holds_alternative<from_latest>(to)) {
    (*p)->position = end;
  } else if (const auto* const next = std::get_if<offset>(&to)) {
    if (next->value() > end) {
      return error{errc::offset_out_of_range,
                   fmt::format("{}: offset {} of topic '{}' partition {} lies beyond the end, {}",
                               operation("seek"), next->value(), where.topic, where.partition.value(), end)};
    }
    if (next->value() < begin) {
      return error{
          errc::overtaken,
          fmt::format("{}: offset {} of topic '{}' partition {} has been removed, the oldest is {}",
                      operation("seek"), next->value(), where.topic, where.partition.value(), begin)};
    }
    (*p)->position = next->value();
  } else {
    log::log_reader reader{access->main()};
    auto found =
        reader.find_time(log, where.partition.value(), std::get<timestamp>(to).time_since_epoch().count());
    if (!found) return found.error();
    (*p)->position = *found;
  }
  (*p)->placed = true;
  // What is skipped was not polled.
  (*p)->begun = *(*p)->position;
  note_held();
  return {};
}

result<consumer::impl::owned_partition*> consumer::impl::find(const char* verb,
                                                              const topic_partition& where) {
  const auto found =
      std::find_if(owned_.begin(), owned_.end(), [&](const owned_partition& p) { return p.where == where; });
  if (found != owned_.end()) return &*found;
  return error{errc::not_assigned, fmt::format("{}: topic '{}' partition {} is not assigned to it",
                                               operation(verb), where.topic, where.partition.value())};
}

result<void> consumer::impl::set_paused(const char* verb, std::span<const topic_partition> partitions,
                                        bool paused) {
  if (auto entered = enter(verb); !entered) return entered.error();
  std::vector<owned_partition*> found;
  for (const auto& where : partitions) {
    auto p = find(verb, where);
    if (!p) return p.error();
    found.push_back(*p);
  }
  for (auto* const p : found) p->paused = paused;
  return {};
}

std::vector<topic_partition> consumer::impl::paused() const {
  std::vector<topic_partition> all;
  for (const auto& p : owned_) {
    if (p.paused) all.push_back(p.where);
  }
  return all;
}

std::vector<topic_partition> consumer::impl::assignment() const {
  std::vector<topic_partition> all;
  for (const auto& p : owned_) all.push_back(p.where);
  return all;
}

result<std::optional<offset>> consumer::impl::position(const topic_partition& where) {
  if (auto entered = enter("ask position"); !entered) return entered.error();
  auto p = find("ask position", where);
  if (!p) return p.error();
  return (*p)->position ? std::optional{offset{*(*p)->position}} : std::nullopt;
}

result<std::optional<std::uint64_t>> consumer::impl::lag(const topic_partition& where) {
  if (auto entered = enter("ask lag"); !entered) return entered.error();
  auto p = find("ask lag", where);
  if (!p) return p.error();
  if (!(*p)->position) return std::optional<std::uint64_t>{};
  return std::optional{(*p)->topic->state.end(where.partition.value()) - *(*p)->position};
}

result<std::uint64_t> consumer::impl::lag() const {
  if (auto entered = enter("ask lag"); !entered) return entered.error();
  std::uint64_t sum = 0;
  for (const auto& p : owned_) {
    if (p.position) sum += p.topic->state.end(p.where.partition.value()) - *p.position;
  }
  return sum;
}

result<offset> consumer::impl::end_of_log(const char* verb, const topic_partition& where,
                                          bool beginning) const {
  if (auto entered = enter(verb); !entered) return entered.error();
  auto topic = log_of_partition(*owner_, operation(verb), where);
  if (!topic) return topic.error();
  const log::log_state& log = (*topic)->state;
  return offset{beginning ? log.begin(where.partition.value()) : log.end(where.partition.value())};
}

result<std::optional<committed_offset>> consumer::impl::committed(const topic_partition& where) const {
  constexpr const char* verb = "ask committed offset";
  auto access = enter(verb);
  if (!access) return access.error();
  const auto topic = owner_->find_topic(where.topic);
  if (!topic) {
    return error{errc::unknown_topic,
                 fmt::format("{}: there is no topic '{}'", operation(verb), where.topic)};
  }
  auto txn = storage::read_transaction::begin(access->main().env());
  if (!txn) return txn.error();
  auto found = group::read_offset(*txn, access->main().tables(), group_->id, topic->state.id(),
                                  where.partition.value());
  if (!found) return found.error();
  if (!*found) return std::optional<committed_offset>{};
  return std::optional{
      committed_offset{offset{(*found)->next}, (*found)->metadata, log::to_time((*found)->time)}};
}

void consumer::impl::note_held() noexcept {
  std::uint64_t held = 0;
  for (const auto& p : owned_) {
    const std::uint64_t done = std::max(p.begun, p.committed.value_or(p.begun));
    if (p.position && *p.position > done) held += *p.position - done;
  }
  *held_ = held;
}

}  // namespace levada
