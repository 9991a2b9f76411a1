#include <crash/queueing_comparison.hpp>

#include <crash/promises.hpp>
#include <crash/queueing_world.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

namespace levada::crash {
namespace {

constexpr std::chrono::milliseconds at_once{0};
constexpr std::size_t violations_max = 20;
/// Longer than anything waits.
constexpr std::chrono::hours until_all_has_come{1};
/// No store takes so long to do what is due.
constexpr std::chrono::seconds rest_max{30};

found_message look_at(const delivery& d, bool in_grave, bool later) {
  found_message m;
  m.record = serial_of(d.record());
  m.redelivered = d.redelivered();
  m.count = d.delivery_count().value_or(0);
  m.priority = d.record().properties().priority.value_or(0);
  m.later = later;
  if (!in_grave) return m;
  m.died_in = died_in(d.record());
  const auto deaths = deaths_of(d.record());
  if (!deaths.empty()) m.reason = deaths.front().reason;
  return m;
}

/// Consumers of all queues.
class taking {
 public:
  explicit taking(bus& b) : bus_{b} {
    for (const queue_info& q : b.queues().value()) {
      consumers_.emplace(q.name, b.consume(q.name, {.prefetch = 0}).value());
    }
  }
  template <class Take>
  void take_ready(Take take) {
    for (auto& [queue, from] : consumers_) {
      while (const auto d = from.receive(at_once).value()) take(queue, from, *d);
    }
  }
  /// Until nothing is left that nobody holds.
  template <class Take>
  void take_all(manual_clock& clock, Take take) {
    clock.advance(until_all_has_come);
    const auto until = std::chrono::steady_clock::now() + rest_max;
    for (;;) {
      // Asked first, as nothing comes behind it then.
      const bool delayed = bus_.stats().value().queues.delayed > 0;
      take_ready(take);
      const auto queues = bus_.queues().value();
      const bool rest = std::all_of(queues.begin(), queues.end(), [](const queue_info& q) {
        return q.messages == q.unacked && q.waiting == 0;
      });
      if (rest && !delayed) return take_ready(take);
      if (std::chrono::steady_clock::now() > until) throw std::runtime_error{"queues do not come to rest"};
      std::this_thread::yield();
    }
  }

 private:
  bus& bus_;
  std::map<std::string, queue_consumer> consumers_;
};

using place = std::pair<std::string, serial>;

class queueing_comparison {
 public:
  queueing_comparison(const store_content& found, const promises& promised)
      : found_{found}, promised_{promised} {}

  std::vector<std::string> run() {
    for (const auto& [queue, messages] : found_.messages) {
      look_at_messages(queue, messages);
      if (queue != grave_name && !layout_of(queue).options.redelivery_delay) compare_order(queue, messages);
    }
    count_sent();
    const std::set<serial> evident = evident_batches();
    for (const auto& [s, sent] : promised_.records) {
      const bool there = sent.acknowledged || sent.seen || evident.contains(sent.batch);
      if (!sent.queues.empty()) judge(s, sent, there);
    }
    compare_settled_together();
    return std::move(violations_);
  }

 private:
  template <class... Args>
  void violation(fmt::format_string<Args...> format, Args&&... args) {
    if (violations_.size() < violations_max) {
      violations_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
  }
  [[nodiscard]] message_state state_of(const std::string& where, serial s) const {
    const auto found = promised_.messages.find({where, s});
    return found == promised_.messages.end() ? message_state{} : found->second;
  }
  [[nodiscard]] std::size_t count_of(const place& where) const {
    const auto found = places_.find(where);
    return found == places_.end() ? 0 : found->second.size();
  }

  void look_at_messages(const std::string& queue, const std::vector<found_message>& messages) {
    for (const found_message& m : messages) {
      if (!m.record) {
        violation("queue '{}': a message has bytes that nobody sent", queue);
        continue;
      }
      const serial s = *m.record;
      const auto sent = promised_.records.find(s);
      const std::string& home = queue == grave_name ? m.died_in : queue;
      const bool belongs = sent != promised_.records.end() &&
                           std::find(sent->second.queues.begin(), sent->second.queues.end(), home) !=
                               sent->second.queues.end();
      if (!belongs || (queue == grave_name && !layout_of(home).has_grave())) {
        violation("queue '{}': message {}{}{} does not belong there", queue, s,
                  m.died_in.empty() ? "" : " from ", m.died_in);
        continue;
      }
      const std::string where = queue == grave_name ? grave_place(grave_name, home) : queue;
      places_[{where, s}].push_back(&m);
      const message_state state = state_of(where, s);
      if (state.received && !m.redelivered) {
        violation("{}: message {} was delivered before and is not flagged", where, s);
      }
      if (queue != grave_name && layout_of(queue).counts() && m.count <= state.count) {
        violation("{}: message {} was delivered {} times, and counts {} now", where, s, state.count, m.count);
      }
    }
  }

  /// In the order in which they came, but by priority first where there are priorities. Where a message
  /// stands that was routed later, nobody has told.
  void compare_order(const std::string& queue, const std::vector<found_message>& messages) {
    const int ranks = layout_of(queue).options.max_priority.value_or(0);
    std::optional<std::pair<int, serial>> before;
    for (const found_message& m : messages) {
      if (!m.record || m.later) continue;
      const auto sent = promised_.records.find(*m.record);
      if (sent == promised_.records.end() || sent->second.delayed) continue;
      const std::pair<int, serial> now{-std::min<int>(m.priority, ranks), *m.record};
      if (before && now < *before) {
        violation("{}: message {} comes behind message {}", queue, now.second, before->second);
      }
      before = now;
    }
  }

  void count_sent() {
    for (const auto& [s, sent] : promised_.records) {
      for (const std::string& queue : sent.queues) ++sent_to_[queue];
    }
  }

  /// Those of which some message is there, so that all are.
  [[nodiscard]] std::set<serial> evident_batches() const {
    std::set<serial> batches;
    const auto add = [&](serial s) {
      const auto sent = promised_.records.find(s);
      if (sent != promised_.records.end()) batches.insert(sent->second.batch);
    };
    for (const auto& [where, messages] : places_) add(where.second);
    for (const auto& [name, log] : found_.logs) {
      for (const serial s : log.in_order) add(s);
    }
    return batches;
  }

  void judge(serial s, const sent_record& sent, bool there) {
    std::size_t everywhere = 0;
    for (const std::string& queue : sent.queues) {
      everywhere += count_of({queue, s}) + count_of({grave_place(grave_name, queue), s});
    }
    if (everywhere > 0 && sent.refused) violation("message {} was refused, and is there", s);
    if (everywhere > 0 && sent.cancelled) violation("message {} was cancelled, and has come", s);
    if (sent.refused || sent.cancelled || (sent.cancelling && everywhere == 0)) return;
    for (const std::string& queue : sent.queues) judge_in(layout_of(queue), s, sent, there);
  }

  void judge_in(const queue_layout& queue, serial s, const sent_record& sent, bool there) {
    const std::string name = queue.name;
    const std::string grave = grave_place(grave_name, name);
    const message_state live = state_of(name, s);
    const message_state dead = state_of(grave, s);
    const std::size_t alive = count_of({name, s});
    const std::size_t buried = count_of({grave, s});
    if (alive + buried > 1) {
      violation("{}: message {} is there {} times, and {} times as a dead letter", name, s, alive, buried);
    }
    if (alive + buried > 0 && (live.settled || dead.settled)) {
      violation("{}: message {} was settled and has come back", name, s);
    }
    if (alive > 0 && live.left) violation("{}: message {} was removed and has come back", name, s);
    if (alive > 0 && (live.rejected || dead.received)) {
      violation("{}: message {} was a dead letter and has come back", name, s);
    }
    if (alive > 0 && queue.options.message_ttl == at_once) {
      violation("{}: message {} is there, and expires at once", name, s);
    }
    if (sent.passed_over_by.contains(name) &&
        (alive > 0 || (buried > 0 && queue.options.overflow != overflow::reject_publish_dlx))) {
      violation("{}: message {} was refused, and is there", name, s);
    }
    if (buried > 0) justify(queue, s, sent, live, places_.at({grave, s}).front()->reason);
    const bool may_be_gone = live.settling || live.settled || live.leaving || live.left || dead.settling ||
                             dead.settled || may_be_dropped(queue, sent, live);
    if (alive + buried == 0 && there && !may_be_gone) violation("{}: message {} is lost", name, s);
  }

  /// Of what leaves without a trace.
  [[nodiscard]] bool may_be_dropped(const queue_layout& queue, const sent_record& sent,
                                    const message_state& live) const {
    const queue_options& o = queue.options;
    if (o.overflow == overflow::reject_publish) {
      // Whether it was refused is told with the receipt, but of what is routed later.
      if (!sent.acknowledged || sent.delayed || sent.passed_over_by.contains(queue.name)) return true;
    }
    if (queue.has_grave()) return false;
    return live.rejecting || sent.expires || o.message_ttl ||
           (o.overflow == overflow::drop_head && was_full(queue));
  }

  /// Whether so much was sent that this one may have found no room, or left for want of it.
  [[nodiscard]] bool was_full(const queue_layout& queue) const {
    const auto sent = sent_to_.find(queue.name);
    return queue.options.max_length && sent != sent_to_.end() && sent->second > *queue.options.max_length;
  }

  void justify(const queue_layout& queue, serial s, const sent_record& sent, const message_state& live,
               dead_letter_reason reason) {
    const auto& limit = queue.options.delivery_limit;
    bool justified = false;
    switch (reason) {
      case dead_letter_reason::rejected:
        justified = live.rejecting;
        break;
      case dead_letter_reason::expired:
        justified = sent.expires || queue.options.message_ttl;
        break;
      case dead_letter_reason::maxlen:
        justified = was_full(queue);
        break;
      case dead_letter_reason::delivery_limit:
        // A crash may have kept some from being told, or have taken back that they were.
        justified = limit && live.count + 2 * promised_.openings > *limit;
        break;
    }
    if (!justified) {
      violation("{}: message {} is a dead letter as '{}', and had no reason to be", queue.name, s,
                to_text(reason));
    }
  }

  /// One call settles all or none. Of those that it did not settle, some may have gone otherwise meanwhile.
  void compare_settled_together() {
    std::size_t all = 0;
    std::size_t there = 0;
    for (const auto& [where, s] : promised_.settled_together) {
      const bool in_grave = where.find('/') != std::string::npos;
      const auto sent = promised_.records.find(s);
      if (sent == promised_.records.end()) continue;
      if (!in_grave && may_be_dropped(layout_of(where), sent->second, state_of(where, s))) continue;
      ++all;
      there += count_of({where, s}) + (in_grave ? 0 : count_of({grave_place(grave_name, where), s}));
    }
    if (there > 0 && there < all) {
      violation("of {} messages that were settled together, {} are there", all, there);
    }
  }

  const store_content& found_;
  const promises& promised_;
  std::vector<std::string> violations_;
  std::map<place, std::vector<const found_message*>> places_;
  std::map<std::string, std::uint64_t> sent_to_;
};

}  // namespace

store_content read_queueing(bus& b, manual_clock& clock) {
  std::map<std::string, std::vector<found_message>> messages;
  taking from{b};
  bool later = false;
  const auto take = [&](const std::string& queue, queue_consumer&, const delivery& d) {
    messages[queue].push_back(look_at(d, queue == grave_name, later));
  };
  from.take_ready(take);
  later = true;
  from.take_all(clock, take);
  // Now that logs do not grow any more.
  store_content found = read_listings(b);
  found.of_queues = true;
  found.messages = std::move(messages);
  return found;
}

queue_findings count_findings(const store_content& found) {
  queue_findings count;
  for (const auto& [queue, messages] : found.messages) {
    for (const found_message& m : messages) {
      ++count.messages;
      count.later += m.later ? 1 : 0;
      count.redelivered += m.redelivered ? 1 : 0;
      if (queue != grave_name) continue;
      count.rejected += m.reason == dead_letter_reason::rejected ? 1 : 0;
      count.expired += m.reason == dead_letter_reason::expired ? 1 : 0;
      count.dropped += m.reason == dead_letter_reason::maxlen ? 1 : 0;
      count.used_up += m.reason == dead_letter_reason::delivery_limit ? 1 : 0;
    }
  }
  return count;
}

void drain_queues(bus& b, manual_clock& clock) {
  taking from{b};
  from.take_all(clock, [](const std::string&, queue_consumer& by, const delivery& d) { by.ack(d).value(); });
}

std::vector<std::string> compare_queueing(const store_content& found, const promises& promised) {
  return queueing_comparison{found, promised}.run();
}

}  // namespace levada::crash
