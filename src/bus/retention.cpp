#include "bus/retention.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace levada {
namespace {

/// Raises beginnings, and drops segments of which nothing is left then.
class raise_intent final : public intent {
 public:
  struct change {
    std::shared_ptr<topic_slot> topic;
    beginnings begins;
  };
  /// `backfills_begun` as of when it was looked what is needed.
  raise_intent(std::vector<change> changes, std::uint64_t backfills_begun)
      : changes_{std::move(changes)}, backfills_begun_{backfills_begun} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    // What queues are to get since then may be older: that of exchanges is looked at again the next time.
    if (scope.owner().backfills_begun() != backfills_begun_)
      std::erase_if(changes_, [](const change& c) { return c.topic->bindings != nullptr; });
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

  /// Once it is done, how many logs gave something up, and how many segments.
  [[nodiscard]] std::size_t raised() const noexcept { return changes_.size(); }
  [[nodiscard]] std::size_t dropped() const noexcept { return dropped_.size(); }

 private:
  std::vector<change> changes_;
  const std::uint64_t backfills_begun_;
  std::vector<std::uint32_t> dropped_;
};

/// Calls `each(reference)` for every message of a log that a queue still refers to, or that waits to be
/// routed. Share groups are as other groups: they hold nothing back that does not wait for readers.
template <class Each>
result<void> for_each_reference_to(core& owner, const core::access& access, std::uint32_t log, Each each) {
  // First, as messages go from there into queues, and not back.
  auto scheduled = queue::for_each_scheduled(access.main(), [&](const queue::scheduled_message& m) {
    if (m.log == log)
      each(queue::reference{m.log, static_cast<std::uint16_t>(m.partition), 0, m.offset, 0, 0, 0});
  });
  if (!scheduled) return scheduled;
  for (const auto& queue : owner.all_queues()) {
    if (queue->of_share_group) continue;
    auto done = for_each_reference(access.main(), queue->state.id(), [&](const queue::reference& where) {
      if (where.log == log) each(where);
    });
    if (!done) return done;
  }
  return {};
}

/// Lowers beginnings to the oldest message of the log that a queue still refers to.
result<void> spare_referenced(core& owner, const core::access& access, std::uint32_t log,
                              beginnings& begins) {
  return for_each_reference_to(owner, access, log, [&](const queue::reference& where) {
    if (where.partition >= begins.size()) return;
    begins[where.partition] = std::min(begins[where.partition], where.offset);
  });
}

/// Who reads the logs of a bus, read when it is first asked for.
class readers_of_logs {
 public:
  readers_of_logs(core& owner, const core::access& access, bool& told) noexcept
      : owner_{owner}, access_{access}, told_before_{std::exchange(told, false)}, told_{told} {}

  /// Lowers beginnings to what groups and jobs have yet to read; false where that cannot be known.
  [[nodiscard]] result<bool> spare(const log::log_state& log, beginnings& begins) {
    if (!asked_) {
      asked_ = true;
      if (auto read = ask(); !read) return read.error();
    }
    if (!known_) return false;
    for (const auto& reader : known_->of(log)) {
      begins[reader.partition] = std::min(begins[reader.partition], reader.next);
    }
    return true;
  }

 private:
  result<void> ask() {
    std::vector<storage::stored_job> jobs;
    if (!owner_.in_memory()) {
      auto stored = storage::stored_jobs(owner_.jobs_directory());
      if (!stored) {
        told_ = true;
        if (!told_before_ && owner_.logger() != nullptr) {
          owner_.logger()->error(
              "levada: topics of '{}' that wait for readers give up nothing, as a job cannot be read: {}",
              owner_.store_name(), stored.error().message());
        }
        return {};
      }
      jobs = std::move(*stored);
    }
    auto all = log_readers::read(access_.main(), std::move(jobs));
    if (!all) return all.error();
    known_.emplace(std::move(*all));
    return {};
  }

  core& owner_;
  const core::access& access_;
  const bool told_before_;
  bool& told_;
  bool asked_ = false;
  std::optional<log_readers> known_;
};

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
  raise_intent raising{{{slot, std::move(begins)}}, owner.backfills_begun()};
  return owner.run(operation, raising);
}

result<std::vector<std::vector<std::uint64_t>>> references_before(core& owner, const core::access& access,
                                                                  std::uint32_t log,
                                                                  const beginnings& before) {
  std::vector<std::vector<std::uint64_t>> found(before.size());
  auto done = for_each_reference_to(owner, access, log, [&](const queue::reference& where) {
    if (where.partition < before.size() && where.offset < before[where.partition]) {
      found[where.partition].push_back(where.offset);
    }
  });
  if (!done) return done.error();
  for (auto& offsets : found) std::sort(offsets.begin(), offsets.end());
  return found;
}

result<std::vector<held_back>> apply_retention(core& owner, const core::access& access, bool& told) {
  std::vector<held_back> held;
  std::vector<raise_intent::change> changes;
  readers_of_logs readers{owner, access, told};
  const std::uint64_t begun = owner.backfills_begun();
  for (const auto& topic : owner.all_topics()) {
    storage::log_policy policy;
    {
      const std::shared_lock guard{topic->state.mutex()};
      policy = topic->state.policy();
    }
    beginnings now;
    for (std::uint32_t p = 0; p < topic->state.partitions(); ++p) now.push_back(topic->state.begin(p));
    log::log_reader reader{access.main()};
    auto wanted = needless_before(topic->state, policy, owner.bus_time(), reader);
    if (!wanted) return wanted.error();
    const auto raised = [&] {
      for (std::size_t p = 0; p < now.size(); ++p) (*wanted)[p] = std::max((*wanted)[p], now[p]);
      return *wanted != now;
    };
    if (!raised()) continue;
    if (policy.wait_for_readers) {
      auto spared = readers.spare(topic->state, *wanted);
      if (!spared) return spared.error();
      if (!*spared || !raised()) continue;
    }
    if (topic->bindings && !policy.force) {
      for (const auto& of : owner.backfills_from(topic->state.id())) {
        for (std::size_t p = 0; p < of.next.size(); ++p) {
          if (of.next[p] < of.end[p]) (*wanted)[p] = std::min((*wanted)[p], of.next[p]);
        }
      }
      if (!raised()) continue;
      const beginnings needless = *wanted;
      if (auto spared = spare_referenced(owner, access, topic->state.id(), *wanted); !spared)
        return spared.error();
      const bool changed = raised();
      if (*wanted != needless) held.push_back({topic, needless, begun});
      if (!changed) continue;
    }
    changes.push_back({topic, std::move(*wanted)});
  }
  if (changes.empty() && !owner.take_sweep()) return held;
  raise_intent raising{std::move(changes), begun};
  auto done = owner.run(access, "apply retention", raising);
  if (!done) {
    owner.ask_for_sweep();
    return done.error();
  }
  if (owner.logger() != nullptr && (raising.raised() > 0 || raising.dropped() > 0)) {
    owner.logger()->debug("levada: retention: {} topics of '{}' gave up records, and {} segments went",
                          raising.raised(), owner.store_name(), raising.dropped());
  }
  return held;
}

}  // namespace levada
