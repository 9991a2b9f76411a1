#include "bus/retention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "log/log_reader.hpp"
#include "queue/queue_blocks.hpp"

namespace levada {
namespace {

/// Blocks of a queue that are looked at in one transaction.
constexpr std::size_t slice_blocks = 256;

/// Raises beginnings, and drops segments of which nothing is left then.
class raise_intent final : public intent {
 public:
  struct change {
    std::shared_ptr<topic_slot> topic;
    beginnings begins;
  };
  explicit raise_intent(std::vector<change> changes) : changes_{std::move(changes)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    std::map<std::uint32_t, const beginnings*> raised;
    for (auto& [topic, begins] : changes_) {
      if (topic->state.deleted()) continue;
      storage::log_entry entry = topic->entry;
      entry.begins.resize(entry.partitions);
      for (std::size_t p = 0; p < begins.size(); ++p) begins[p] = std::max(begins[p], entry.begins[p]);
      entry.begins = begins;
      raised.emplace(entry.id, &begins);
      if (auto stored = scope.written(storage::put(scope.txn(), scope.tables(), entry)); !stored)
        return stored;
    }
    dropped_.clear();
    bool changed = !raised.empty();
    for (const auto& segment : scope.owner().segments().all()) {
      const bool needed = is_needed(segment->entry(), [&](std::uint32_t log, std::uint32_t partition) {
        const auto higher = raised.find(log);
        return higher != raised.end() ? std::optional{(*higher->second)[partition]}
                                      : scope.owner().begin_of(log, partition);
      });
      if (needed) continue;
      dropped_.push_back(segment->entry().id);
      changed = true;
      auto erased = scope.written(storage::erase_segment(scope.txn(), scope.tables(), segment->entry().id));
      if (!erased) return erased;
    }
    if (changed) ++scope.store().layout;
    return {};
  }
  void applied(commit_scope& scope) noexcept override {
    for (auto& c : changes_) {
      log::log_state& log = c.topic->state;
      if (log.deleted()) continue;
      c.topic->entry.begins = c.begins;
      const std::lock_guard guard{log.mutex()};
      log.set_begins(c.begins);
      log.drop_sealed([&](const log::sealed_part& part) {
        return part.where.end_offset <= c.begins[part.where.partition];
      });
    }
    scope.owner().remove_segments(dropped_);
  }
  [[nodiscard]] bool alone() const noexcept override { return true; }

 private:
  std::vector<change> changes_;
  std::vector<std::uint32_t> dropped_;
};

/// The beginnings of a log now, and what is sealed of it.
struct log_picture {
  storage::log_policy policy;
  beginnings begins;
  std::vector<storage::segment_entry::part> parts;  // in the order of their rows
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;

  explicit log_picture(const log::log_state& log) {
    const std::shared_lock guard{log.mutex()};
    policy = log.policy();
    bytes = log.journal_bytes();
    for (std::uint32_t p = 0; p < log.partitions(); ++p) {
      begins.push_back(log.begin(p));
      std::uint64_t journal_begin = log.begin(p);
      for (const auto& part : log.sealed(p)) {
        parts.push_back(part.where);
        records += records_of(part.where);
        bytes += part.where.bytes;
        journal_begin = std::max(journal_begin, part.where.end_offset);
      }
      records += log.end(p) - journal_begin;
    }
    std::sort(parts.begin(), parts.end(),
              [](const auto& a, const auto& b) { return a.sequence_last < b.sequence_last; });
  }

  /// How many records of a part there are at least: it may have gaps, and none is counted that may lie before
  /// the beginning.
  [[nodiscard]] std::uint64_t records_of(const storage::segment_entry::part& part) const {
    const std::uint64_t begin = begins[part.partition];
    const std::uint64_t before = begin > part.base_offset ? begin - part.base_offset : 0;
    return part.records > before ? part.records - before : 0;
  }
};

/// What the limits on bytes and records leave.
void give_up_parts(log_picture& log) {
  for (const auto& part : log.parts) {
    const bool too_many_bytes =
        log.policy.retention_bytes > 0 && log.bytes - part.bytes >= log.policy.retention_bytes;
    const std::uint64_t records = log.records_of(part);
    const bool too_many_records =
        log.policy.retention_records > 0 && log.records >= log.policy.retention_records + records;
    if (!too_many_bytes && !too_many_records) return;
    log.bytes -= part.bytes;
    log.records -= records;
    auto& begin = log.begins[part.partition];
    begin = std::max(begin, part.end_offset);
  }
}

/// What the limit on age leaves.
result<void> give_up_old(core& owner, const core::access& access, const log::log_state& state,
                         log_picture& log) {
  if (log.policy.retention_milliseconds == 0) return {};
  const std::int64_t now = owner.bus_time();
  constexpr std::uint64_t milliseconds_max = std::numeric_limits<std::int64_t>::max() / 1000;
  if (log.policy.retention_milliseconds > milliseconds_max) return {};
  const std::int64_t oldest = now - static_cast<std::int64_t>(log.policy.retention_milliseconds) * 1000;
  log::log_reader reader{access.main()};
  for (std::uint32_t p = 0; p < state.partitions(); ++p) {
    if (state.end(p) == log.begins[p]) continue;
    auto first = reader.find_time(state, p, oldest);
    if (!first) return first.error();
    log.begins[p] = std::max(log.begins[p], *first);
  }
  return {};
}

/// Calls `each(reference)` for every message of a log that a queue still refers to.
template <class Each>
result<void> for_each_reference(core& owner, const core::access& access, std::uint32_t log, Each each) {
  for (const auto& queue : owner.all_queues()) {
    for (std::uint64_t next = 0;;) {
      auto txn = storage::read_transaction::begin(access.main().env());
      if (!txn) return txn.error();
      bool ended = false;
      for (std::size_t i = 0; i < slice_blocks && !ended; ++i) {
        auto number = queue::first_block(*txn, access.main().tables(), queue->state.id(), next);
        if (!number) return number.error();
        ended = !*number;
        if (ended) break;
        auto block = queue::read_block(*txn, access.main().tables(), queue->state.id(), **number);
        if (!block) return block.error();
        next = **number + 1;
        if (!*block) continue;
        for (std::size_t e = 0; e < (*block)->entries.size(); ++e) {
          const queue::reference& where = (*block)->entries[e];
          if (!(*block)->settled.test(e) && where.log == log) each(where);
        }
      }
      if (ended) break;
    }
  }
  return {};
}

/// Lowers beginnings to the oldest message of the log that a queue still refers to.
result<void> spare_referenced(core& owner, const core::access& access, std::uint32_t log,
                              beginnings& begins) {
  return for_each_reference(owner, access, log, [&](const queue::reference& where) {
    if (where.partition >= begins.size()) return;
    begins[where.partition] = std::min(begins[where.partition], where.offset);
  });
}

/// The offset by partition up to which the policy of a log has no use for records.
result<beginnings> needless_before(core& owner, const core::access& access, const log::log_state& state) {
  log_picture log{state};
  give_up_parts(log);
  if (auto done = give_up_old(owner, access, state, log); !done) return done.error();
  return std::move(log.begins);
}

}  // namespace

result<void> delete_records(core& owner, topic_slot& topic, std::uint32_t partition, std::uint64_t before) {
  const std::string operation =
      fmt::format("delete records of topic '{}' partition {}", topic.state.name(), partition);
  if (partition >= topic.state.partitions()) {
    return error{errc::unknown_partition,
                 fmt::format("{}: the topic has {}", operation, topic.state.partitions())};
  }
  if (before > topic.state.end(partition)) {
    return error{errc::offset_out_of_range, fmt::format("{}: offset {} lies beyond the end, {}", operation,
                                                        before, topic.state.end(partition))};
  }
  if (topic.state.deleted()) {
    return error{errc::unknown_topic, fmt::format("{}: it has been deleted", operation)};
  }
  if (before <= topic.state.begin(partition)) return {};
  // The intent keeps what is higher already.
  beginnings begins(topic.state.partitions(), 0);
  begins[partition] = before;
  const auto slot = owner.find_topic(topic.state.id());
  if (!slot) return error{errc::unknown_topic, fmt::format("{}: it has been deleted", operation)};
  raise_intent raising{{{slot, std::move(begins)}}};
  return owner.run(operation, raising);
}

result<std::vector<std::vector<std::uint64_t>>> references_before(core& owner, const core::access& access,
                                                                  std::uint32_t log,
                                                                  const beginnings& before) {
  std::vector<std::vector<std::uint64_t>> found(before.size());
  auto done = for_each_reference(owner, access, log, [&](const queue::reference& where) {
    if (where.partition < before.size() && where.offset < before[where.partition]) {
      found[where.partition].push_back(where.offset);
    }
  });
  if (!done) return done.error();
  for (auto& offsets : found) std::sort(offsets.begin(), offsets.end());
  return found;
}

result<std::vector<held_back>> apply_retention(core& owner, const core::access& access) {
  std::vector<held_back> held;
  std::vector<raise_intent::change> changes;
  for (const auto& topic : owner.all_topics()) {
    beginnings now;
    for (std::uint32_t p = 0; p < topic->state.partitions(); ++p) now.push_back(topic->state.begin(p));
    auto wanted = needless_before(owner, access, topic->state);
    if (!wanted) return wanted.error();
    const auto raised = [&] {
      for (std::size_t p = 0; p < now.size(); ++p) (*wanted)[p] = std::max((*wanted)[p], now[p]);
      return *wanted != now;
    };
    if (!raised()) continue;
    bool force = false;
    {
      const std::shared_lock guard{topic->state.mutex()};
      force = topic->state.policy().force;
    }
    if (topic->bindings && !force) {
      const beginnings needless = *wanted;
      if (auto spared = spare_referenced(owner, access, topic->state.id(), *wanted); !spared)
        return spared.error();
      const bool changed = raised();
      if (*wanted != needless) held.push_back({topic, needless});
      if (!changed) continue;
    }
    changes.push_back({topic, std::move(*wanted)});
  }
  if (changes.empty() && !owner.take_sweep()) return held;
  raise_intent raising{std::move(changes)};
  auto done = owner.run(access, "apply retention", raising);
  if (!done) {
    owner.ask_for_sweep();
    return done.error();
  }
  return held;
}

}  // namespace levada
