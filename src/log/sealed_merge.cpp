#include "log/sealed_merge.hpp"

#include <algorithm>
#include <shared_mutex>
#include <utility>

#include "log/log_pass.hpp"

namespace levada::log {
namespace {

constexpr auto later = [](const auto& a, const auto& b) { return a.sequence > b.sequence; };

}  // namespace

result<sealed_outcome> sealed_merge::enter_part(log_pass& pass, stream& s) {
  auto& of = pass.parts[s.log];
  std::uint64_t& next = of.next[s.partition];
  s.reader.reset();
  s.batch = {};
  while (next < of.until[s.partition]) {
    std::optional<sealed_part> part;
    {
      const std::shared_lock guard{of.log->mutex()};
      part = of.log->find_sealed(s.partition, next);
    }
    if (!part) return sealed_outcome::done;
    auto reader = part_reader::open(*of.log, *part, verify_);
    if (!reader) {
      if (reader.error() == errc::damaged) next = part->where.end_offset;
      return reader.error();
    }
    if (!*reader) {
      gone_ = {s.log, part->where};
      return sealed_outcome::gone;
    }
    auto batch = (*reader)->find(next);
    if (!batch) {
      if (batch.error() == errc::damaged) next = (*reader)->behind_damage();
      return batch.error();
    }
    if (!*batch) {  // nothing is left of it
      next = part->where.end_offset;
      continue;
    }
    s.reader = std::move(*reader);
    s.batch = std::move(**batch);
    s.run = 0;
    s.run_data = s.batch.records;
    s.run_offset = s.batch.view.key.base_offset;
    return sealed_outcome::done;
  }
  return sealed_outcome::done;
}

result<sealed_outcome> sealed_merge::settle(log_pass& pass, stream& s) {
  auto& of = pass.parts[s.log];
  std::uint64_t& next = of.next[s.partition];
  while (!s.ended()) {
    if (next >= of.until[s.partition]) {
      s.batch = {};
      break;
    }
    if (s.run_offset + s.current().count > next) break;
    s.run_data += s.current().size;
    if (++s.run < s.batch.view.runs.size()) {
      s.run_offset = s.batch.view.key.base_offset + s.current().offset_delta;
      continue;
    }
    auto batch = s.reader->next();
    if (!batch) {
      if (batch.error() == errc::damaged) next = s.reader->behind_damage();
      return batch.error();
    }
    if (!*batch) {
      next = std::max(next, s.reader->where().end_offset);
      if (auto entered = enter_part(pass, s); !entered || *entered == sealed_outcome::gone) return entered;
      continue;
    }
    s.batch = std::move(**batch);
    s.run = 0;
    s.run_data = s.batch.records;
    s.run_offset = s.batch.view.key.base_offset;
  }
  return sealed_outcome::done;
}

result<sealed_outcome> sealed_merge::start(log_pass& pass) {
  streams_.clear();
  heap_.clear();
  for (std::size_t i = 0; i < pass.parts.size(); ++i) {
    for (std::uint32_t p = 0; p < pass.parts[i].log->partitions(); ++p) {
      stream s;
      s.log = i;
      s.partition = p;
      if (auto entered = enter_part(pass, s); !entered || *entered == sealed_outcome::gone) return entered;
      if (auto settled = settle(pass, s); !settled || *settled == sealed_outcome::gone) return settled;
      if (s.ended()) continue;
      heap_.push_back({s.sequence(), streams_.size()});
      streams_.push_back(std::move(s));
    }
  }
  std::make_heap(heap_.begin(), heap_.end(), later);
  return sealed_outcome::done;
}

result<bool> sealed_merge::add_run(log_pass& pass, stream& s, batch_builder& out) {
  auto& of = pass.parts[s.log];
  std::uint64_t& next = of.next[s.partition];
  const auto& run = s.current();
  const std::span records{s.run_data, run.size};
  const std::uint64_t skip = next > s.run_offset ? next - s.run_offset : 0;
  const std::uint64_t wanted =
      std::min<std::uint64_t>(run.count, of.until[s.partition] - s.run_offset) - skip;
  const auto piece = out.choose(records, run.count, skip, wanted);
  if (!piece) {
    const std::uint64_t end = s.run_offset + run.count;
    next = end;
    return damaged_offsets(*of.log, s.partition, s.run_offset, end, "its records cannot be told apart");
  }
  if (!out.fits(piece->size)) return false;
  out.keep(s.batch.owner);
  out.add(of.log->shared_name(), {.partition = partition_id{s.partition},
                                  .base_offset = offset{s.run_offset + skip},
                                  .count = piece->count,
                                  .time_first = to_time(run.time_first),
                                  .sequence = run.sequence,
                                  .data = s.run_data + piece->begin,
                                  .size = piece->size});
  next = s.run_offset + skip + piece->count;
  return piece->count == wanted;
}

result<sealed_outcome> sealed_merge::read(log_pass& pass, std::uint64_t until, batch_builder& out) {
  if (!started_ || until > started_until_) {
    started_ = false;
    if (auto begun = start(pass); !begun || *begun == sealed_outcome::gone) return begun;
    started_until_ = until;
    started_ = true;
  }
  while (!heap_.empty() && heap_.front().sequence < until) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const std::uint64_t others = heap_.size() > 1 ? heap_.front().sequence : until;
    stream& s = streams_[heap_.back().stream];
    bool room = true;
    // Rows of one partition often follow each other.
    do {
      pass.sequence = std::max(pass.sequence, s.sequence());
      room = !out.full();
      if (!room) break;
      auto added = add_run(pass, s, out);
      auto settled = added && *added ? settle(pass, s) : result<sealed_outcome>{sealed_outcome::done};
      if (!added || !settled || *settled == sealed_outcome::gone) {
        started_ = false;  // begins anew at the positions
        if (!added) return added.error();
        return settled;
      }
      room = *added;
    } while (room && !s.ended() && s.sequence() < std::min(others, until));
    if (s.ended()) {
      heap_.pop_back();
    } else {
      heap_.back().sequence = s.sequence();
      std::push_heap(heap_.begin(), heap_.end(), later);
    }
    if (!room) return sealed_outcome::done;
  }
  pass.sequence = std::max(pass.sequence, until);
  return sealed_outcome::done;
}

}  // namespace levada::log
