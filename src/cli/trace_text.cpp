#include "cli/trace_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/output.hpp"
#include "cli/text.hpp"
#include "cli/time_text.hpp"

namespace levada::cli {
namespace {

/// Deeper ones stand no further to the right.
constexpr std::size_t indented_max = 30;

std::string since(timestamp first, timestamp then) {
  const auto microseconds = (then - first).count();
  const char sign = microseconds < 0 ? '-' : '+';
  const auto size = microseconds < 0 ? -microseconds : microseconds;
  return fmt::format("{}{}.{:06} s", sign, size / 1'000'000, size % 1'000'000);
}

std::string in_quotes(std::string_view name) {
  return fmt::format("'{}'", printable(name));
}

/// As which a message is known.
std::string label_of(const traced_message& m) {
  if (!m.message_id.empty()) return printable(m.message_id);
  return fmt::format("offset {} of partition {}", m.offset.value(), m.partition.value());
}

std::string exchange_of(const traced_message& m) {
  return m.exchange.empty() ? std::string{"the default exchange"} : "exchange " + in_quotes(m.exchange);
}

class tree_writer {
 public:
  tree_writer(output& out, const message_trace& trace)
      : out_{out}, trace_{trace}, below_(trace.messages.size()) {
    for (std::size_t i = 0; i < trace.messages.size(); ++i) {
      if (const auto cause = trace.messages[i].cause) below_[*cause].push_back(i);
    }
  }

  void write() {
    for (std::size_t i = 0; i < trace_.messages.size(); ++i) {
      if (!trace_.messages[i].cause) write_from(i);
    }
  }

 private:
  struct place {
    std::size_t message;
    std::size_t depth;
  };

  void write_from(std::size_t first) {
    const timestamp begin = trace_.messages[first].published;
    for (std::vector<place> left{{first, 0}}; !left.empty();) {
      const auto [at, depth] = left.back();
      left.pop_back();
      write_one(trace_.messages[at], depth, begin);
      for (auto child = below_[at].rbegin(); child != below_[at].rend(); ++child)
        left.push_back({*child, depth + 1});
    }
  }

  void line(std::size_t depth, const std::string& text) {
    out_.write(std::string(4 * std::min(depth, indented_max), ' '));
    out_.write(text);
    out_.write('\n');
  }

  void write_one(const traced_message& m, std::size_t depth, timestamp begin) {
    std::string why;
    if (m.death) {
      why = fmt::format("{} dead letter of queue {} ({}): ", since(begin, m.published),
                        in_quotes(m.cause_queue), to_text(*m.death));
    } else if (m.cause) {
      why = fmt::format(
          "{} {}: ", since(begin, m.published),
          m.cause_queue.empty() ? "on its account" : "while handled from queue " + in_quotes(m.cause_queue));
    }
    line(depth,
         fmt::format("{}message '{}' to {}, routing key {}{}", why, label_of(m), exchange_of(m),
                     in_quotes(m.routing_key), m.cause ? std::string{} : ", at " + to_rfc3339(m.published)));
    if (!m.correlation_id.empty()) step(depth, "correlation id " + in_quotes(m.correlation_id));
    if (m.due) step(depth, "waits until " + since(begin, *m.due));
    if (m.cancelled) step(depth, since(begin, *m.cancelled) + " cancelled");
    std::string queues;
    for (const auto& name : m.queues) queues += (queues.empty() ? "" : ", ") + in_quotes(name);
    if (!queues.empty()) {
      step(depth, "to queues " + queues);
    } else if (!m.due) {
      step(depth, "to no queue");
    }
    for (const traced_step& s : m.steps) {
      step(depth,
           fmt::format("{} {} from queue {}{}", since(begin, s.time), name_of(s.what), in_quotes(s.queue),
                       s.delivered ? ", delivered " + since(begin, *s.delivered) : ""));
    }
  }
  void step(std::size_t depth, const std::string& text) { line(depth, "  " + text); }

  output& out_;
  const message_trace& trace_;
  std::vector<std::vector<std::size_t>> below_;
};

/// Text that means nothing to Mermaid.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '#':
        out += "#35;";
        break;
      case ';':
        out += "#59;";
        break;
      case '<':
        out += "#lt;";
        break;
      case '>':
        out += "#gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

class diagram_writer {
 public:
  diagram_writer(output& out, const message_trace& trace) : out_{out}, trace_{trace} {
    if (!trace.messages.empty()) begin_ = trace.messages.front().published;
  }

  void write() {
    for (const traced_message& m : trace_.messages) add(m);
    std::stable_sort(arrows_.begin(), arrows_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    out_.write("sequenceDiagram\n");
    for (const std::string& p : participants_) out_.write(p);
    for (const auto& [when, arrow] : arrows_) out_.write(arrow);
  }

 private:
  std::string participant(char kind, std::string_view what, std::string_view name) {
    const auto number = known_.size();
    const auto [at, fresh] = known_.try_emplace(std::pair{kind, std::string{name}}, number);
    std::string id = fmt::format("{}{}", kind, at->second);
    if (fresh) {
      participants_.push_back(
          fmt::format("    participant {} as {}{}{}\n", id, what, name.empty() ? "" : " ", plain(name)));
    }
    return id;
  }
  std::string exchange(const traced_message& m) {
    return participant('e', m.exchange.empty() ? "default exchange" : "exchange", m.exchange);
  }
  std::string queue(std::string_view name) { return participant('q', "queue", name); }
  std::string consumers(std::string_view name) { return participant('c', "consumers of", name); }

  void arrow(timestamp when, const std::string& from, const char* line, const std::string& to,
             std::string_view text) {
    arrows_.emplace_back(when, fmt::format("    {}{}{}: {} {}\n", from, line, to, since(begin_, when), text));
  }

  void add(const traced_message& m) {
    std::string from;
    if (m.death) {
      from = queue(m.cause_queue);
    } else if (m.cause && !m.cause_queue.empty()) {
      from = consumers(m.cause_queue);
    } else {
      from = participant('p', "publisher", "");
    }
    const std::string to = exchange(m);
    const std::string label = plain(label_of(m));
    arrow(m.published, from, "->>", to,
          m.death ? fmt::format("{}, dead letter ({})", label, to_text(*m.death)) : label);
    if (m.cancelled) arrow(*m.cancelled, to, "-x", to, label + " cancelled");
    const timestamp routed = m.due.value_or(m.published);
    for (const std::string& name : m.queues) arrow(routed, to, "->>", queue(name), label);
    for (const traced_step& s : m.steps) {
      const std::string at = queue(s.queue);
      if (s.delivered) {
        const std::string taker = consumers(s.queue);
        arrow(*s.delivered, at, "->>", taker, label + " delivered");
        arrow(s.time, taker, "-->>", at, fmt::format("{} {}", label, name_of(s.what)));
      } else {
        arrow(s.time, at, "-x", at, fmt::format("{} {}", label, name_of(s.what)));
      }
    }
  }

  output& out_;
  const message_trace& trace_;
  timestamp begin_;
  std::map<std::pair<char, std::string>, std::size_t> known_;
  std::vector<std::string> participants_;
  std::vector<std::pair<timestamp, std::string>> arrows_;
};

}  // namespace

std::string_view name_of(flow_step what) noexcept {
  switch (what) {
    case flow_step::acknowledged:
      return "acknowledged";
    case flow_step::rejected:
      return "rejected";
    case flow_step::returned:
      return "returned";
    case flow_step::expired:
      return "expired";
    case flow_step::dropped:
      return "dropped";
    case flow_step::exhausted:
      return "exhausted";
    case flow_step::purged:
      return "purged";
  }
  return "unknown";
}

void write_tree(output& out, const message_trace& trace) {
  tree_writer{out, trace}.write();
}

void write_mermaid(output& out, const message_trace& trace) {
  diagram_writer{out, trace}.write();
}

}  // namespace levada::cli
