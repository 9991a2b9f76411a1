#include "licensing.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include <common/text.hpp>

#include "organisation_service.hpp"

namespace cache_sync {
namespace {

constexpr auto group = "licensing";
constexpr auto entitlements_table = "entitlements";
/// Also the most work that is done between being told to stop and stopping.
constexpr std::size_t batch_records_max = 32;
/// Changes wake a waiting poll, as does being told to stop.
constexpr std::chrono::hours until_something_happens{1};

}  // namespace

entitlement entitlement_of(const organisation& o) {
  return {o.version, o.active ? o.seats : 0};
}

std::string to_text(const entitlement& e) {
  return fmt::format("{} {}", e.version, e.seats);
}

std::optional<entitlement> parse_entitlement(std::string_view text) {
  const auto words = example::split(text, ' ');
  if (words.size() != 2) return std::nullopt;
  const auto version = example::parse_number<std::uint64_t>(words[0]);
  const auto seats = example::parse_number<std::uint32_t>(words[1]);
  if (!version || !seats) return std::nullopt;
  return entitlement{*version, *seats};
}

licensing::licensing(levada::bus& bus, work_per_change work)
    : bus_{bus},
      work_{std::move(work)},
      entitlements_{bus.declare_table(entitlements_table).value()},
      end_at_start_{end_of_log(bus, changes_topic).value()},
      changes_{bus.join(group, {changes_topic},
                        {.reset = levada::offset_reset::earliest, .poll_records_max = batch_records_max})
                   .value()},
      position_(end_at_start_.size()) {}

levada::result<answer> licensing::ask(organisation_id id) const {
  if (!caught_up()) return answer{.catching_up = true, .known = std::nullopt};
  const auto known = cached(id);
  if (!known) return known.error();
  return answer{.catching_up = false, .known = *known};
}

levada::result<std::optional<entitlement>> licensing::cached(organisation_id id) const {
  const auto entry = entitlements_.get(id);
  if (!entry) return entry.error();
  if (!*entry) return std::nullopt;
  if (const auto e = parse_entitlement(**entry)) return e;
  return levada::error{levada::errc::damaged, fmt::format("table '{}', key {}: '{}' is not an entitlement",
                                                          entitlements_.name(), id, **entry)};
}

bool licensing::wait_for(const position_mark& mark, std::chrono::milliseconds time_max) const {
  std::unique_lock lock{mutex_};
  moved_.wait_for(lock, time_max, [&] { return failed_ || reaches(position_, mark); });
  return reaches(position_, mark);
}

levada::result<std::size_t> licensing::take_in(std::chrono::milliseconds timeout) {
  auto taken = take_in_batch(timeout);
  if (taken) return taken;
  // The consumer may have read what is not in the cache: it must not go on behind that.
  changes_.close();
  {
    const std::lock_guard lock{mutex_};
    failed_ = true;
  }
  moved_.notify_all();
  return taken;
}

levada::result<std::size_t> licensing::take_in_batch(std::chrono::milliseconds timeout) {
  const auto batch = changes_.poll(timeout);
  if (!batch) return batch.error();
  if (!batch->empty()) {
    if (const auto written = write(*batch); !written) return written.error();
  }
  if (const auto noted = note_position(); !noted) return noted.error();
  return batch->size();
}

levada::result<void> licensing::write(const levada::record_batch& changes) {
  // A transaction that collects: the work keeps nobody waiting. As it reads nothing, it has no conflicts.
  auto t = bus_.begin();
  if (!t) return t.error();
  for (const auto& event : changes) {
    const auto o = organisation_in(event);
    if (!o) return o.error();
    if (work_) work_(*o);
    if (const auto put = t->put(entitlements_, o->id, to_text(entitlement_of(*o))); !put) return put.error();
  }
  if (const auto sent = t->send_offsets(changes_); !sent) return sent.error();
  if (const auto committed = t->commit(); !committed) return committed.error();
  return {};
}

levada::result<void> licensing::note_position() {
  position_mark position;
  for (const auto& where : changes_.assignment()) {
    const auto next = changes_.position(where);
    if (!next) return next.error();
    position.push_back(next->value_or(levada::offset{}));
  }
  {
    const std::lock_guard lock{mutex_};
    position_ = std::move(position);
    if (reaches(position_, end_at_start_)) caught_up_ = true;
  }
  moved_.notify_all();
  return {};
}

levada::result<void> licensing::serve(const std::stop_token& stop) {
  const std::stop_callback wake{stop, [this] { changes_.wakeup(); }};
  while (!stop.stop_requested()) {
    if (const auto taken = take_in(until_something_happens); !taken) return taken.error();
  }
  return {};
}

}  // namespace cache_sync
