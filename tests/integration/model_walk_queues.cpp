// The consumers of queues: what they receive and settle.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>

#include "model_walk.hpp"

namespace levada::test {

std::uint32_t model_walk::takers_of(const std::string& queue) {
  return static_cast<std::uint32_t>(std::count_if(
      takers_.begin(), takers_.end(), [&](const taker_handle& t) { return !t.closed && t.queue == queue; }));
}

void model_walk::consume() {
  if (takers_.size() > 4) return stop_consuming();
  const std::string queue = queue_name();
  const std::uint32_t prefetch = one_in(2) ? 1 + below(5) : one_in(2) ? 0 : 100;
  note("consume {} with prefetch {}", queue, prefetch);
  const auto found = model_.queues.find(queue);
  const auto handle = std::find_if(anonymous_.begin(), anonymous_.end(),
                                   [&](const exclusive_queue& q) { return q.name() == queue; });
  std::optional<errc> expected;
  if (found == model_.queues.end()) {
    expected = errc::unknown_queue;
  } else if (found->second.exclusive) {
    require_outcome(bus_->consume(queue), errc::resource_locked, last());
  }
  auto got = handle == anonymous_.end() ? bus_->consume(queue, {prefetch}) : handle->consume({prefetch});
  if (!require_outcome(got, expected, last())) return;
  const bool alone = takers_of(queue) == 0;
  for (auto& t : takers_) {
    if (t.queue == queue) t.alone = false;
  }
  takers_.push_back({queue, prefetch, alone, false, 0, {}, std::move(*got)});
}

void model_walk::stop_consuming() {
  if (takers_.empty()) return;
  const auto at = takers_.begin() + static_cast<std::ptrdiff_t>(below_size(takers_));
  note("stop consuming {}", at->queue);
  if (!at->closed) {
    auto& entries = model_.queues.at(at->queue).entries;
    for (const auto& u : at->unsettled) entries[u.second].now = model_entry::state::ready;
  }
  if (one_in(2)) {
    at->taker.close();
    require_outcome(at->taker.receive(at_once), errc::closed, last());
  }
  takers_.erase(at);
}

void model_walk::receive() {
  if (takers_.empty()) return;
  taker_handle& t = takers_[below_size(takers_)];
  note("receive from {}", t.queue);
  receive_from(t);
}

bool model_walk::receive_from(taker_handle& t) {
  const auto got = t.taker.receive(at_once);
  if (!require_outcome(got, t.closed ? std::optional{errc::closed} : std::nullopt, last())) return false;
  model_queue& queue = model_.queues.at(t.queue);
  const bool room = t.prefetch == 0 || t.unsettled.size() < t.prefetch;
  model_entry* const first = queue.first_ready();
  if (!*got) {
    require(!room || first == nullptr || takers_of(t.queue) > 1,
            last() + ": nothing came, though one is ready");
    return false;
  }
  const delivery& d = **got;
  require(room, last() + ": a delivery beyond the prefetch limit");
  const auto entry = std::find_if(queue.entries.begin(), queue.entries.end(), [&](const model_entry& e) {
    return e.log == d.record().topic() && e.partition == d.record().partition().value() &&
           e.offset == d.record().offset().value();
  });
  require(entry != queue.entries.end(), last() + ": a message that was not routed here");
  require(entry->now == model_entry::state::ready,
          last() + ": a message that is delivered or settled already");
  if (t.alone) require(&*entry == first, last() + ": not the first that is ready");
  check_record(d.record());
  require(d.redelivered() == entry->seen || (d.redelivered() && entry->perhaps_seen),
          fmt::format("{}: redelivered: {}", last(), d.redelivered()));
  require_equal(d.tag().value(), t.last_tag + 1, last() + ": tag");
  ++t.last_tag;
  entry->now = model_entry::state::delivered;
  entry->seen = true;
  t.unsettled.emplace(t.last_tag, static_cast<std::size_t>(entry - queue.entries.begin()));
  return true;
}

void model_walk::settle() {
  if (takers_.empty()) return;
  taker_handle& t = takers_[below_size(takers_)];
  std::vector<delivery_tag> tags;
  std::uint64_t tag = 1 + below(static_cast<std::uint32_t>(t.last_tag) + 1);
  if (!t.unsettled.empty() && !one_in(6)) {
    tag = std::next(t.unsettled.begin(), static_cast<std::ptrdiff_t>(below_size(t.unsettled)))->first;
  }
  const std::uint32_t how = below(5);
  bool known = t.unsettled.contains(tag);
  std::vector<std::uint64_t> concerned{tag};
  if (how == 1) {
    concerned.clear();
    for (const auto& u : t.unsettled) {
      if (one_in(2)) concerned.push_back(u.first);
    }
    if (one_in(4)) concerned.push_back(tag);
    std::shuffle(concerned.begin(), concerned.end(), random_);
    known = std::all_of(concerned.begin(), concerned.end(),
                        [&](std::uint64_t c) { return t.unsettled.contains(c); });
  } else if (how == 2) {
    concerned.clear();
    for (const auto& u : t.unsettled) {
      if (u.first <= tag) concerned.push_back(u.first);
    }
  }
  for (const std::uint64_t c : concerned) tags.emplace_back(c);
  static const char* const hows[] = {"ack", "ack several", "ack up to", "requeue", "discard"};
  note("{} in {}: tags {}", hows[how], t.queue, ::testing::PrintToString(concerned));
  std::optional<errc> expected;
  if (t.closed) {
    expected = errc::closed;
  } else if (!known) {
    expected = errc::unknown_delivery;
  }
  result<void> got{};
  switch (how) {
    case 0:
      got = t.taker.ack(delivery_tag{tag});
      break;
    case 1:
      got = t.taker.ack(tags);
      break;
    case 2:
      got = t.taker.ack_up_to(delivery_tag{tag});
      break;
    default:
      got = t.taker.nack(delivery_tag{tag}, how == 3 ? requeue::yes : requeue::no);
  }
  if (!require_outcome(got, expected, last())) return;
  auto& entries = model_.queues.at(t.queue).entries;
  for (const std::uint64_t c : concerned) {
    const auto found = t.unsettled.find(c);
    if (found == t.unsettled.end()) continue;  // named twice
    entries[found->second].now = how == 3 ? model_entry::state::ready : model_entry::state::settled;
    t.unsettled.erase(found);
  }
}

void model_walk::drain_queues() {
  takers_.clear();
  for (auto& q : model_.queues) {
    for (auto& e : q.second.entries) {
      if (e.now == model_entry::state::delivered) e.now = model_entry::state::ready;
    }
    if (q.second.exclusive) continue;
    note("drain {}", q.first);
    takers_.push_back({q.first, 0, true, false, 0, {}, ok(bus_->consume(q.first, {.prefetch = 0}))});
    while (receive_from(takers_.back())) {
    }
  }
}

}  // namespace levada::test
