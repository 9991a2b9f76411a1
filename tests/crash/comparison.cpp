#include <crash/comparison.hpp>

#include <crash/queueing_comparison.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace levada::crash {
namespace {

constexpr std::size_t violations_max = 20;

class comparison {
 public:
  comparison(const store_content& found, const promises& promised) : found_{found}, promised_{promised} {}

  std::vector<std::string> run() {
    compare_objects();
    for (const auto& [name, log] : found_.logs) compare_log(name, log);
    compare_losses();
    compare_batches();
    compare_deletions();
    compare_commits();
    compare_queues();
    return std::move(violations_);
  }

 private:
  struct place {
    std::string_view log;
    std::uint32_t partition = 0;
    std::uint64_t offset = 0;
  };

  template <class... Args>
  void violation(fmt::format_string<Args...> format, Args&&... args) {
    if (violations_.size() < violations_max) {
      violations_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
  }

  [[nodiscard]] log_rules rules_of(const std::string& log) const {
    const auto found = promised_.logs.find(log);
    return found == promised_.logs.end() ? log_rules{} : found->second;
  }
  [[nodiscard]] message_state state_of(const std::string& queue, serial s) const {
    const auto found = promised_.messages.find({queue, s});
    return found == promised_.messages.end() ? message_state{} : found->second;
  }
  [[nodiscard]] const found_partition* find_partition(const std::string& log, std::uint32_t partition) const {
    const auto found = found_.logs.find(log);
    if (found == found_.logs.end() || partition >= found->second.partitions.size()) return nullptr;
    return &found->second.partitions[partition];
  }

  void compare_objects() {
    for (const std::string& queue : found_.anonymous_queues) {
      violation("anonymous queue '{}' has outlived its handle", queue);
    }
    for (const auto& [object, state] : promised_.objects) {
      if (state == presence::present && !found_.objects.contains(object)) violation("'{}' is gone", object);
      if (state == presence::absent && found_.objects.contains(object))
        violation("'{}' has come back", object);
    }
    for (const std::string& object : found_.objects) {
      if (!promised_.objects.contains(object)) violation("'{}' was never declared", object);
    }
  }

  void compare_log(const std::string& name, const found_log& log) {
    const log_rules rules = rules_of(name);
    for (std::uint32_t p = 0; p < log.partitions.size(); ++p) {
      compare_beginning(name, p, log.partitions[p], rules);
      compare_partition(name, p, log.partitions[p], rules);
    }
    if (!rules.newest) return;
    std::uint64_t left = 0;
    std::uint64_t all = 0;
    for (const found_partition& p : log.partitions) {
      left += p.end - p.begin;
      all += p.end;
    }
    if (left < std::min(all, *rules.newest)) {
      violation("{}: of {} records {} are left; at least {} were to stay", name, all, left, *rules.newest);
    }
  }

  void compare_beginning(const std::string& name, std::uint32_t number, const found_partition& partition,
                         const log_rules& rules) {
    const auto known = promised_.beginnings.find({name, number});
    const beginning allowed = known == promised_.beginnings.end() ? beginning{} : known->second;
    const std::uint64_t least = std::max(allowed.acknowledged, allowed.seen);
    if (partition.begin < least) {
      violation("{} partition {}: it begins at {} again, after it had begun at {}", name, number,
                partition.begin, least);
    } else if (!rules.newest && partition.begin != allowed.acknowledged &&
               !allowed.unknown.contains(partition.begin)) {
      violation("{} partition {}: it begins at {}, and nobody removed so much", name, number,
                partition.begin);
    }
  }

  void compare_partition(const std::string& name, std::uint32_t number, const found_partition& partition,
                         const log_rules& rules) {
    for (const std::string& what : partition.disorder) violation("{} partition {}: {}", name, number, what);
    std::uint64_t next = partition.begin;
    timestamp time{};
    std::map<std::uint32_t, serial> newest;  // by producer
    for (const auto& [offset, r] : partition.records) {
      const auto where = fmt::format("{} partition {} offset {}", name, number, offset);
      if (offset != next && !rules.sparse()) violation("{}: offset {} was to come", where, next);
      next = offset + 1;
      if (r.time < time) violation("{}: its time is before its predecessor's", where);
      time = r.time;
      if (!r.record) {
        violation("{}: nobody sent these {} bytes", where, r.bytes);
        continue;
      }
      if (r.dead_letter) continue;  // in the order of deaths
      serial& before = newest.try_emplace(producer_of(*r.record), 0).first->second;
      if (*r.record <= before) violation("{}: record {} stands behind record {}", where, *r.record, before);
      before = *r.record;
      compare_record({name, number, offset}, r, where);
    }
    if (partition.end != next && (!rules.sparse() || partition.end < next)) {
      violation("{} partition {}: it ends at {}, reading ended at {}", name, number, partition.end, next);
    }
  }

  void compare_record(const place& at, const found_record& r, const std::string& where) {
    const serial s = *r.record;
    if (!places_.emplace(s, at).second) violation("{}: record {} is stored twice", where, s);
    const auto found = promised_.records.find(s);
    if (found == promised_.records.end()) return violation("{}: record {} was never sent", where, s);
    const sent_record& sent = found->second;
    if (sent.log != at.log) violation("{}: record {} was sent to {}", where, s, sent.log);
    if (sent.hash != r.hash || sent.tombstone != r.tombstone) {
      violation("{}: record {} does not have the bytes that were sent", where, s);
    }
    if (sent.acknowledged && (sent.partition != at.partition || sent.offset != at.offset)) {
      violation("{}: record {} was acknowledged at partition {} offset {}", where, s, sent.partition,
                sent.offset);
    }
    if (sent.refused) violation("{}: record {} was refused", where, s);
    if (sent.with_its_topic == presence::absent) {
      violation("{}: record {} has come back with a topic that was deleted", where, s);
    }
  }

  void compare_losses() {
    for (const auto& [s, sent] : promised_.records) {
      if (places_.contains(s) || (!sent.acknowledged && !sent.seen) || may_be_gone(s, sent)) continue;
      if (sent.acknowledged) {
        violation("record {} is lost: {} partition {} offset {} was acknowledged", s, sent.log,
                  sent.partition, sent.offset);
      } else {
        violation("record {} is lost: it was delivered", s);
      }
    }
  }

  [[nodiscard]] bool may_be_gone(serial s, const sent_record& sent) const {
    if (sent.with_its_topic == presence::absent) return true;
    if (sent.with_its_topic == presence::unknown) return true;  // `compare_deletions` looks at them
    const found_partition* const partition = find_partition(sent.log, sent.partition);
    if (partition == nullptr) return false;
    const log_rules rules = rules_of(sent.log);
    if (sent.acknowledged && sent.offset < partition->begin)
      return !rules.messages || settled_everywhere(s, sent);
    if (rules.messages && rules.newest) {
      const bool old = !sent.acknowledged || sent.offset + *rules.newest < partition->end;
      return old && settled_everywhere(s, sent);
    }
    return rules.compacted && superseded(sent, *partition);
  }

  [[nodiscard]] bool settled_everywhere(serial s, const sent_record& sent) const {
    if (found_.of_queues) return true;  // what queues still refer to is looked for there
    return std::all_of(sent.queues.begin(), sent.queues.end(), [&](const std::string& queue) {
      const message_state state = state_of(queue, s);
      return state.settling || state.settled;
    });
  }

  /// Whether compaction may have taken a record that was acknowledged.
  [[nodiscard]] bool superseded(const sent_record& sent, const found_partition& partition) const {
    if (!sent.key) return false;
    bool earlier = false;
    for (const auto& [offset, r] : partition.records) {
      if (r.key != sent.key) continue;
      if (offset > sent.offset) return true;
      earlier = true;
    }
    if (earlier) return false;  // what it had superseded would be the latest again
    if (sent.tombstone) return true;
    // A tombstone may have gone after what it had deleted.
    return std::any_of(promised_.records.begin(), promised_.records.end(), [&](const auto& entry) {
      const sent_record& other = entry.second;
      const bool later =
          !other.acknowledged || (other.partition == sent.partition && other.offset > sent.offset);
      return other.log == sent.log && other.tombstone && other.key == sent.key && later;
    });
  }

  void compare_batches() {
    std::map<serial, std::pair<std::size_t, std::size_t>> batches;  // sent and found
    for (const auto& [s, sent] : promised_.records) {
      if (sent.with_its_topic != presence::present || rules_of(sent.log).gives_up() || was_trimmed(sent.log))
        continue;
      auto& counts = batches[sent.batch];
      ++counts.first;
      counts.second += places_.contains(s) ? 1 : 0;
    }
    for (const auto& [batch, counts] : batches) {
      if (counts.second == 0 || counts.second == counts.first) continue;
      violation("of the batch that begins with record {}, {} of {} records are stored", batch, counts.second,
                counts.first);
    }
  }

  [[nodiscard]] bool was_trimmed(const std::string& log) const {
    const auto first = promised_.beginnings.lower_bound({log, 0});
    return first != promised_.beginnings.end() && first->first.first == log;
  }

  /// A topic that was being deleted has all of its records or none.
  void compare_deletions() {
    std::map<std::string, std::pair<std::size_t, std::size_t>> logs;  // acknowledged and found
    for (const auto& [s, sent] : promised_.records) {
      if (sent.with_its_topic != presence::unknown || !sent.acknowledged) continue;
      auto& counts = logs[sent.log];
      ++counts.first;
      counts.second += places_.contains(s) ? 1 : 0;
    }
    for (const auto& [log, counts] : logs) {
      if (counts.second == 0 || counts.second == counts.first) continue;
      violation("of the {} records of {}, which was being deleted, {} are left", counts.first, log,
                counts.second);
    }
  }

  void compare_commits() {
    for (const auto& [where, commit] : found_.commits) {
      const auto& [group, log, partition] = where;
      if (commit.next > commit.end) {
        violation("group '{}', {} partition {}: {} is committed, the log ends at {}", group, log, partition,
                  commit.next, commit.end);
      }
    }
    for (const auto& [where, commits] : promised_.commits) {
      const auto& [group, log, partition] = where;
      const auto name = fmt::format("group '{}', {} partition {}", group, log, partition);
      const auto found = found_.commits.find(where);
      if (found == found_.commits.end()) {
        if (commits.acknowledged) {
          violation("{}: offset {} was committed and is gone", name, *commits.acknowledged);
        }
        continue;
      }
      const std::uint64_t next = found->second.next;
      if (commits.acknowledged && next < *commits.acknowledged) {
        violation("{}: offset {} was committed and has gone back to {}", name, *commits.acknowledged, next);
      } else if (next != commits.acknowledged && !commits.unknown.contains(next)) {
        violation("{}: nobody committed offset {}", name, next);
      }
    }
  }

  void compare_queues() {
    for (const auto& [queue, delivered] : found_.deliveries) compare_queue(queue, delivered);
  }

  void compare_queue(const std::string& queue, const std::vector<found_delivery>& deliveries) {
    // What must be there, in the order of commits, and what may.
    std::map<serial, std::size_t> order;
    std::set<serial> missing;
    for (const auto& [name, log] : found_.logs) {
      for (const serial s : log.in_order) {
        const auto sent = promised_.records.find(s);
        if (sent == promised_.records.end()) continue;
        const auto& queues = sent->second.queues;
        if (std::find(queues.begin(), queues.end(), queue) == queues.end()) continue;
        order.emplace(s, order.size());
        const message_state state = state_of(queue, s);
        if (!state.settling && !state.settled) missing.insert(s);
      }
    }
    std::optional<std::size_t> before;
    for (const found_delivery& d : deliveries) {
      if (!d.record) {
        violation("queue '{}': a delivery has bytes that nobody sent", queue);
        continue;
      }
      const serial s = *d.record;
      const message_state state = state_of(queue, s);
      if (state.settled) violation("queue '{}': record {} was settled and has come back", queue, s);
      if (state.received && !d.redelivered) {
        violation("queue '{}': record {} was delivered before and is not flagged", queue, s);
      }
      missing.erase(s);
      const auto found = order.find(s);
      if (found == order.end()) {
        violation("queue '{}': record {} does not belong there", queue, s);
        continue;
      }
      if (before && found->second <= *before) violation("queue '{}': record {} is out of order", queue, s);
      before = found->second;
    }
    for (const serial s : missing) violation("queue '{}': record {} is not delivered again", queue, s);
  }

  const store_content& found_;
  const promises& promised_;
  std::vector<std::string> violations_;
  std::map<serial, place> places_;
};

}  // namespace

std::vector<std::string> compare(const store_content& found, const promises& promised) {
  auto violations = comparison{found, promised}.run();
  if (found.of_queues) {
    for (std::string& v : compare_queueing(found, promised)) violations.push_back(std::move(v));
  }
  return violations;
}

}  // namespace levada::crash
