#include "bus/listing.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "bus/declared_options.hpp"
#include "bus/log_policies.hpp"
#include "bus/policy_set.hpp"
#include "group/offset_table.hpp"
#include "log/record_codec.hpp"
#include "queue/queue_blocks.hpp"
#include "storage/process_state.hpp"

namespace levada {
namespace {

template <class Info>
void sort_by_name(std::vector<Info>& all) {
  std::sort(all.begin(), all.end(), [](const Info& a, const Info& b) { return a.name < b.name; });
}

offset begin_of(const storage::log_entry& log, std::uint32_t partition) {
  return offset{partition < log.begins.size() ? log.begins[partition] : 0};
}

}  // namespace

result<listing> listing::read(const storage::main_environment& main, end_function end_of) {
  auto txn = storage::read_transaction::begin(main.env());
  if (!txn) return txn.error();
  listing all;
  all.end_of_ = std::move(end_of);
  auto catalog = storage::read_catalog(*txn, main.tables());
  if (!catalog) return catalog.error();
  all.catalog_ = std::move(*catalog);
  auto offsets = group::read_offsets(*txn, main.tables());
  if (!offsets) return offsets.error();
  for (const auto& o : *offsets) all.offsets_.push_back({o.group, o.log, o.partition, o.next});
  for (const auto& queue : all.catalog_.queues) {
    auto row = queue::read_row(*txn, main.tables(), queue.id);
    if (!row) return row.error();
    all.held_.push_back(*row ? queue::amount{(*row)->left(), (*row)->bytes} : queue::amount{});
  }
  return all;
}

const storage::log_entry* listing::find_log(std::uint32_t id) const {
  const auto found = std::find_if(catalog_.logs.begin(), catalog_.logs.end(),
                                  [id](const auto& log) { return log.id == id; });
  return found == catalog_.logs.end() ? nullptr : &*found;
}

std::vector<topic_info> listing::topics() const {
  std::vector<topic_info> all;
  for (const auto& log : catalog_.logs) {
    if (log.orphan || (log.name.empty() && end_of_(log.id, 0) == 0)) continue;
    topic_info info{log.name,
                    log.exchange != 0,
                    log.create_time ? timestamp_type::create_time : timestamp_type::append_time,
                    retention_of(log.policy),
                    compaction_of(log.policy),
                    compression_of(log.policy),
                    {}};
    for (std::uint32_t p = 0; p < log.partitions; ++p) {
      info.partitions.push_back({partition_id{p}, begin_of(log, p), offset{end_of_(log.id, p)}});
    }
    all.push_back(std::move(info));
  }
  sort_by_name(all);
  return all;
}

std::vector<group_info> listing::groups(bool with_members) const {
  std::vector<group_info> all;
  for (const auto& group : catalog_.groups) {
    group_info info{group.name, group.generation, {}, {}, 0, std::nullopt};
    for (std::size_t i = 0; i < catalog_.queues.size(); ++i) {
      if (catalog_.queues[i].share_group == group.id) info.in_flight = held_[i].messages;
    }
    std::map<topic_partition, group_partition_info> partitions;
    const auto entry = [&](std::uint32_t log_id, std::uint32_t partition) -> group_partition_info* {
      const auto* const log = find_log(log_id);
      if (log == nullptr) return nullptr;
      auto& p = partitions[{log->name, partition_id{partition}}];
      p.where = {log->name, partition_id{partition}};
      p.end = offset{end_of_(log_id, partition)};
      p.lag = p.end - std::max(begin_of(*log, partition), p.committed.value_or(offset{0}));
      return &p;
    };
    for (const auto& o : offsets_) {
      if (o.group != group.id) continue;
      if (auto* const p = entry(o.log, o.partition)) {
        p->committed = offset{o.next};
        p->lag = p->end - std::clamp(offset{o.next}, begin_of(*find_log(o.log), o.partition), p->end);
      }
    }
    if (with_members) {
      for (const auto& member : group.members) {
        info.members.push_back(member.id);
        for (const auto& owned : member.assignment) {
          if (auto* const p = entry(owned.log, owned.partition)) p->member = member.id;
        }
      }
    }
    std::sort(info.members.begin(), info.members.end());
    for (auto& [where, p] : partitions) info.partitions.push_back(std::move(p));
    all.push_back(std::move(info));
  }
  sort_by_name(all);
  return all;
}

std::vector<exchange_info> listing::exchanges() const {
  const policy_set policies{catalog_.policies};
  std::map<std::uint32_t, std::uint64_t> bindings;
  for (const auto& b : catalog_.bindings) ++bindings[b.exchange];
  std::vector<exchange_info> all;
  for (const auto& log : catalog_.logs) {
    if (log.exchange == 0 || log.orphan) continue;
    all.push_back(info_of(log.name, static_cast<exchange_type>(log.exchange), log.partitions, log.traits,
                          log.policy, policies.rules_for_exchange(log.name, log.traits.alternate),
                          bindings[log.id]));
  }
  sort_by_name(all);
  return all;
}

std::vector<queue_info> listing::queues() const {
  const policy_set policies{catalog_.policies};
  std::vector<queue_info> all;
  for (std::size_t i = 0; i < catalog_.queues.size(); ++i) {
    if (catalog_.queues[i].share_group != 0) continue;
    const storage::queue_entry& queue = catalog_.queues[i];
    all.push_back(info_of(queue.name, queue.exclusive, held_[i], queue.traits,
                          policies.rules_for_queue(queue.name, queue.traits)));
    for (const auto& backfill : catalog_.backfills) {
      if (backfill.queue == queue.id) all.back().backfill += backfill.left();
    }
  }
  sort_by_name(all);
  return all;
}

std::vector<policy_info> listing::policies() const {
  std::vector<policy_info> all;
  for (const auto& p : catalog_.policies) {
    if (!p.by_operator) all.push_back(info_of(p));
  }
  sort_by_name(all);
  return all;
}

std::vector<operator_policy_info> listing::operator_policies() const {
  std::vector<operator_policy_info> all;
  for (const auto& p : catalog_.policies) {
    if (p.by_operator) all.push_back(operator_info_of(p));
  }
  sort_by_name(all);
  return all;
}

std::vector<binding_info> listing::bindings() const {
  std::map<std::uint32_t, std::string> queue_names;
  for (const auto& queue : catalog_.queues) queue_names.emplace(queue.id, queue.name);
  std::vector<binding_info> all;
  for (const auto& b : catalog_.bindings) {
    const auto* const exchange = find_log(b.exchange);
    const auto* const further = find_log(b.destination);
    const auto queue = queue_names.find(b.destination);
    if (exchange == nullptr || (further == nullptr && queue == queue_names.end())) continue;
    all.push_back({exchange->name, further != nullptr ? further->name : queue->second, further != nullptr,
                   b.key, b.arguments});
  }
  std::stable_sort(all.begin(), all.end(), [](const binding_info& a, const binding_info& b) {
    return std::tie(a.exchange, a.to_exchange, a.destination, a.key) <
           std::tie(b.exchange, b.to_exchange, b.destination, b.key);
  });
  return all;
}

std::vector<job_info> listing::jobs(const std::vector<storage::stored_job>& stored) const {
  std::vector<job_info> all;
  for (const auto& job : stored) {
    job_info info{
        job.last.name,  job.pid, job.pid && storage::is_stopped(*job.pid), log::to_time(job.last.time),
        job.last.epoch, {}};
    for (const auto& position : job.last.logs) {
      const auto* const log = find_log(position.id);
      if (log == nullptr || log->name != position.topic) continue;
      for (std::uint32_t p = 0; p < std::min<std::size_t>(log->partitions, position.next.size()); ++p) {
        const std::uint64_t end = end_of_(log->id, p);
        // What lies before the log's beginning is no longer there to be read.
        const std::uint64_t from = std::max(position.next[p], begin_of(*log, p).value());
        info.partitions.push_back({{log->name, partition_id{p}},
                                   offset{position.next[p]},
                                   offset{end},
                                   end > from ? end - from : 0});
      }
    }
    std::sort(info.partitions.begin(), info.partitions.end(),
              [](const auto& a, const auto& b) { return a.where < b.where; });
    all.push_back(std::move(info));
  }
  return all;
}

}  // namespace levada
