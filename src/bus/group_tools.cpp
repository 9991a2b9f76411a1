#include "bus/group_tools.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <variant>

#include "bus/offset_intent.hpp"
#include "bus/share_group.hpp"
#include "bus/simple_intent.hpp"
#include "bus/with_operation.hpp"
#include "group/offset_table.hpp"
#include "log/log_reader.hpp"

namespace levada {
namespace {

result<std::shared_ptr<group_slot>> find_group_to(core& owner, const std::string& operation,
                                                  std::string_view name) {
  if (auto entered = owner.enter(operation); !entered) return entered.error();
  if (auto found = owner.find_group(name)) return found;
  return error{errc::unknown_group, fmt::format("{}: there is no group '{}'", operation, name)};
}

/// Whether nobody is in the group.
result<void> check_unused(core& owner, group_slot& group, const std::vector<offset_entry>& entries = {}) {
  const std::lock_guard guard{group.mutex};
  if (auto may = check_offsets(owner, group, {}, entries); !may) return may;
  const auto share = group.share.lock();
  if (!share || !share->in_use()) return {};
  return error{errc::group_in_use, fmt::format("share group '{}' has members", group.name)};
}

/// Positions of what a share group has in flight of partitions of a log, sorted.
result<std::vector<std::uint64_t>> in_flight_of(const storage::transaction& txn,
                                                const storage::main_tables& tables, const group_slot& group,
                                                std::uint32_t log,
                                                const std::vector<std::uint32_t>& partitions) {
  std::vector<std::uint64_t> positions;
  auto read = queue::for_each_unsettled(
      txn, tables, group.in_flight->state.id(), [&](std::uint64_t position, const queue::reference& where) {
        if (where.log == log && std::binary_search(partitions.begin(), partitions.end(), where.partition))
          positions.push_back(position);
      });
  if (!read) return read.error();
  return positions;
}

}  // namespace

std::optional<offset_reset_target> target_of(offset_reset how, std::chrono::milliseconds duration) {
  switch (how) {
    case offset_reset::earliest:
      return from_earliest{};
    case offset_reset::latest:
      return from_latest{};
    case offset_reset::by_duration:
      return duration;
    case offset_reset::none:
      break;
  }
  return {};
}

result<std::uint64_t> offset_of_target(const log::log_state& log, std::uint32_t partition,
                                       const offset_reset_target& to, std::int64_t now,
                                       log::log_reader& reader) {
  const std::uint64_t begin = log.begin(partition);
  const std::uint64_t end = log.end(partition);
  if (std::holds_alternative<from_earliest>(to)) return begin;
  if (std::holds_alternative<from_latest>(to)) return end;
  if (const auto* const at = std::get_if<offset>(&to)) return std::clamp(at->value(), begin, end);
  if (const auto* const time = std::get_if<timestamp>(&to))
    return reader.find_time(log, partition, time->time_since_epoch().count());
  const auto back = std::get<std::chrono::milliseconds>(to);
  constexpr auto most = std::chrono::floor<std::chrono::milliseconds>(std::chrono::microseconds::max());
  return reader.find_time(log, partition, now - std::chrono::microseconds{std::min(back, most)}.count());
}

result<void> delete_group(core& owner, std::string_view name, const group_deletion_options& options) {
  const std::string operation = fmt::format("delete group '{}'", name);
  auto group = find_group_to(owner, operation, name);
  if (!group) return group.error();
  if (options.dry_run) {
    if (auto may = check_unused(owner, **group); !may) return with_operation(operation, may.error());
    return {};
  }
  simple_intent deletion{
      [&](commit_scope& scope) -> result<void> {
        if (auto may = check_unused(owner, **group); !may) return may;
        auto erased = scope.written(group::erase_offsets_of_group(scope.txn(), scope.tables(), (*group)->id));
        if (!erased) return erased;
        if ((*group)->in_flight) {
          erased = scope.written(
              storage::erase_queue(scope.txn(), scope.tables(), (*group)->in_flight->state.id()));
          if (!erased) return erased;
        }
        return scope.written(storage::erase_group(scope.txn(), scope.tables(), (*group)->id));
      },
      [&](commit_scope&) noexcept {
        owner.remove_group((*group)->name);
        if ((*group)->in_flight) owner.remove_queue((*group)->in_flight->state.id());
      }};
  auto entered = owner.enter(operation);
  if (!entered) return entered.error();
  auto done = owner.run(*entered, operation, deletion);
  if (!done || !(*group)->in_flight) return done;
  return owner.erase_queue_rows((*group)->in_flight->state.id());
}

result<std::vector<offset_change>> reset_offsets(core& owner, std::string_view group_name,
                                                 std::string_view topic_name,
                                                 const offset_reset_options& options) {
  const std::string operation = fmt::format("reset offsets of group '{}'", group_name);
  auto group = find_group_to(owner, operation, group_name);
  if (!group) return group.error();
  const auto topic = owner.find_topic(topic_name);
  if (!topic) {
    return error{errc::unknown_topic, fmt::format("{}: there is no topic '{}'", operation, topic_name)};
  }
  const log::log_state& log = topic->state;
  if (const auto* const back = std::get_if<std::chrono::milliseconds>(&options.to);
      back != nullptr && back->count() < 0) {
    return error{errc::invalid_argument, fmt::format("{}: a duration of {} ms", operation, back->count())};
  }
  std::vector<std::uint32_t> partitions;
  for (const partition_id p : options.partitions) {
    if (p.value() >= log.partitions()) {
      return error{errc::unknown_partition, fmt::format("{}: topic '{}' has {} partitions, not number {}",
                                                        operation, topic_name, log.partitions(), p.value())};
    }
    partitions.push_back(p.value());
  }
  for (std::uint32_t p = 0; options.partitions.empty() && p < log.partitions(); ++p) partitions.push_back(p);
  std::sort(partitions.begin(), partitions.end());
  partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());

  std::vector<offset_entry> entries;
  std::vector<offset_change> changes;
  /// What stands there now.
  const auto compare = [&](const storage::transaction& txn,
                           const storage::main_tables& tables) -> result<void> {
    changes.clear();
    for (const auto& e : entries) {
      auto found = group::read_offset(txn, tables, (*group)->id, e.log, e.where.partition.value());
      if (!found) return found.error();
      offset_change change{e.where, std::nullopt, offset{e.next}};
      if (*found) change.from = offset{(*found)->next};
      changes.push_back(std::move(change));
    }
    return {};
  };
  {
    auto access = owner.enter(operation);
    if (!access) return access.error();
    log::log_reader reader{access->main()};
    for (const std::uint32_t p : partitions) {
      auto next = offset_of_target(log, p, options.to, owner.bus_time(), reader);
      if (!next) return next.error();
      entries.push_back({{log.name(), partition_id{p}}, log.id(), *next});
    }
    if (options.dry_run) {
      if (auto may = check_unused(owner, **group); !may) return with_operation(operation, may.error());
      auto txn = storage::read_transaction::begin(access->main().env());
      if (!txn) return txn.error();
      if (auto compared = compare(*txn, access->main().tables()); !compared) return compared.error();
      return changes;
    }
  }
  simple_intent reset{[&](commit_scope& scope) -> result<void> {
                        if (auto may = check_unused(owner, **group, entries); !may) return may;
                        if (auto compared = compare(scope.txn(), scope.tables()); !compared) return compared;
                        if ((*group)->in_flight) {
                          auto positions =
                              in_flight_of(scope.txn(), scope.tables(), **group, log.id(), partitions);
                          if (!positions) return positions.error();
                          if (auto settled = scope.settle(*(*group)->in_flight, *positions); !settled)
                            return settled;
                        }
                        return write_offsets(scope, **group, entries);
                      },
                      [&](commit_scope&) noexcept {
                        const std::lock_guard guard{(*group)->mutex};
                        (*group)->share.reset();  // what it knows of these partitions is not so any more
                      }};
  if (auto done = owner.run(operation, reset); !done) return done.error();
  return changes;
}

}  // namespace levada
