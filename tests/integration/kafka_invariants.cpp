#include "kafka_invariants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <limits>
#include <utility>

namespace levada::test {

std::string_view name_of(anomaly a) noexcept {
  switch (a) {
    case anomaly::lost_write:
      return "lost write";
    case anomaly::duplicate:
      return "duplicate";
    case anomaly::inconsistent_offsets:
      return "inconsistent offsets";
    case anomaly::poll_skip:
      return "poll skip";
    case anomaly::internal_poll_skip:
      return "internal poll skip";
    case anomaly::nonmonotonic_poll:
      return "non-monotonic poll";
    case anomaly::internal_nonmonotonic_poll:
      return "internal non-monotonic poll";
    case anomaly::nonmonotonic_send:
      return "non-monotonic send";
    case anomaly::internal_nonmonotonic_send:
      return "internal non-monotonic send";
    case anomaly::aborted_read:
      return "aborted read";
    case anomaly::unsent_read:
      return "unsent read";
  }
  return "unknown";
}

void kafka_history::sent(process who, const topic_partition& log, sending outcome,
                         std::vector<message> what) {
  events_.push_back({kind::sent, outcome, who, number_of(log), std::move(what)});
}
void kafka_history::polled(process who, const topic_partition& log, std::vector<message> what) {
  events_.push_back({kind::polled, sending::stored, who, number_of(log), std::move(what)});
}
void kafka_history::repositioned(process who, const topic_partition& log) {
  events_.push_back({kind::repositioned, sending::stored, who, number_of(log), {}});
}
void kafka_history::read_to_end(const topic_partition& log) {
  events_.push_back({kind::read_to_end, sending::stored, 0, number_of(log), {}});
}

void kafka_history::merge(kafka_history other) {
  for (auto& e : other.events_) {
    e.log = number_of(other.logs_[e.log]);
    events_.push_back(std::move(e));
  }
}

std::uint32_t kafka_history::number_of(const topic_partition& log) {
  const auto [at, is_new] = numbers_.try_emplace(log, static_cast<std::uint32_t>(logs_.size()));
  if (is_new) logs_.push_back(log);
  return at->second;
}

class kafka_check {
 public:
  explicit kafka_check(const kafka_history& history) : history_{history} {}

  std::vector<finding> run() {
    collect();
    check_places();
    check_reads();
    check_losses();
    check_orders();
    return std::move(findings_);
  }

 private:
  using kind = kafka_history::kind;
  using event = kafka_history::event;
  struct place {
    std::uint64_t value;
    std::uint32_t log;
    std::uint64_t offset;
    friend auto operator<=>(const place&, const place&) = default;
  };
  /// What is known of a log.
  struct known_log {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> stored;  // offset and value, sorted
    std::vector<std::uint64_t> read;                              // values, sorted
    std::uint64_t beyond = 0;                                     // somebody has read up to here
  };
  static constexpr std::uint64_t everything = std::numeric_limits<std::uint64_t>::max();

  template <class... Args>
  void found(anomaly what, std::uint32_t log, fmt::format_string<Args...> format, Args&&... args) {
    const auto& where = history_.logs_[log];
    findings_.push_back(
        {what, fmt::format("topic '{}' partition {}: {}", where.topic, where.partition.value(),
                           fmt::format(format, std::forward<Args>(args)...))});
  }
  template <class T>
  static void sort_once(std::vector<T>& all) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
  }
  template <class T>
  static bool contains(const std::vector<T>& sorted, const T& one) {
    return std::binary_search(sorted.begin(), sorted.end(), one);
  }

  void collect() {
    logs_.resize(history_.logs_.size());
    for (const event& e : history_.events_) {
      known_log& log = logs_[e.log];
      if (e.what == kind::read_to_end) log.beyond = everything;
      for (const auto& m : e.messages) {
        if (e.what == kind::sent) {
          sent_.push_back(m.value);
          if (e.outcome == sending::undone) undone_.push_back(m.value);
        }
        if (e.outcome != sending::stored) continue;
        if (m.offset) log.stored.emplace_back(*m.offset, m.value);
        if (e.what != kind::polled) continue;
        log.read.push_back(m.value);
        log.beyond = std::max(log.beyond, *m.offset);
      }
    }
    for (auto& log : logs_) {
      sort_once(log.stored);
      sort_once(log.read);
    }
    sort_once(sent_);
    sort_once(undone_);
  }

  void check_places() {
    std::vector<place> places;
    for (std::uint32_t l = 0; l < logs_.size(); ++l) {
      const auto& stored = logs_[l].stored;
      for (std::size_t i = 0; i < stored.size(); ++i) {
        places.push_back({stored[i].second, l, stored[i].first});
        if (i == 0 || stored[i - 1].first != stored[i].first) continue;
        found(anomaly::inconsistent_offsets, l, "offset {} has the values {} and {}", stored[i].first,
              stored[i - 1].second, stored[i].second);
      }
    }
    std::sort(places.begin(), places.end());
    for (std::size_t i = 1; i < places.size(); ++i) {
      if (places[i - 1].value != places[i].value) continue;
      const auto& other = history_.logs_[places[i - 1].log];
      found(anomaly::duplicate, places[i].log, "value {} stands at offset {}, and in '{}' partition {} at {}",
            places[i].value, places[i].offset, other.topic, other.partition.value(), places[i - 1].offset);
    }
  }

  void check_reads() {
    for (std::uint32_t l = 0; l < logs_.size(); ++l) {
      for (const std::uint64_t value : logs_[l].read) {
        if (contains(undone_, value)) found(anomaly::aborted_read, l, "value {}", value);
        if (!contains(sent_, value)) found(anomaly::unsent_read, l, "value {}", value);
      }
    }
  }

  void check_losses() {
    for (const event& e : history_.events_) {
      if (e.what != kind::sent || e.outcome != sending::stored) continue;
      const known_log& log = logs_[e.log];
      for (const auto& m : e.messages) {
        // One of which only its value is known was passed over when everything was read.
        if (m.offset.value_or(everything - 1) >= log.beyond || contains(log.read, m.value)) continue;
        found(anomaly::lost_write, e.log, "value {}", m.value);
      }
    }
  }

  void check_orders() {
    struct last_place {
      std::uint64_t offset;
      const event* of;
    };
    std::map<std::pair<std::uint64_t, std::uint32_t>, last_place> senders;
    std::map<std::pair<std::uint64_t, std::uint32_t>, last_place> readers;
    for (const event& e : history_.events_) {
      const std::pair who{e.who, e.log};
      if (e.what == kind::repositioned) readers.erase(who);
      const bool polls = e.what == kind::polled;
      auto& lasts = polls ? readers : senders;
      for (const auto& m : e.messages) {
        if (!m.offset || e.outcome != sending::stored) continue;
        const auto at = lasts.find(who);
        if (at != lasts.end()) check_order(e, polls, at->second.of == &e, at->second.offset, *m.offset);
        lasts.insert_or_assign(who, last_place{*m.offset, &e});
      }
    }
  }

  void check_order(const event& e, bool polls, bool internal, std::uint64_t last, std::uint64_t next) {
    if (next <= last) {
      const anomaly what =
          polls ? (internal ? anomaly::internal_nonmonotonic_poll : anomaly::nonmonotonic_poll)
                : (internal ? anomaly::internal_nonmonotonic_send : anomaly::nonmonotonic_send);
      found(what, e.log, "process {}: offset {} after {}", e.who, next, last);
    } else if (polls) {
      const auto& stored = logs_[e.log].stored;
      const auto between = std::upper_bound(stored.begin(), stored.end(), std::pair{last, everything});
      if (between->first >= next) return;
      found(internal ? anomaly::internal_poll_skip : anomaly::poll_skip, e.log,
            "process {}: offset {} after {}, without {}", e.who, next, last, between->first);
    }
  }

  const kafka_history& history_;
  std::vector<known_log> logs_;  // by number
  std::vector<std::uint64_t> sent_;
  std::vector<std::uint64_t> undone_;
  std::vector<finding> findings_;
};

std::vector<finding> anomalies_in(const kafka_history& history) {
  return kafka_check{history}.run();
}

std::string to_text(const std::vector<finding>& findings) {
  constexpr std::size_t told = 20;
  std::string all;
  for (std::size_t i = 0; i < std::min(findings.size(), told); ++i) {
    all += fmt::format("{}: {}\n", name_of(findings[i].what), findings[i].text);
  }
  if (findings.size() > told) all += fmt::format("and {} more\n", findings.size() - told);
  return all;
}

}  // namespace levada::test
