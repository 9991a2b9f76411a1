#include <crash/promises.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace levada::crash {
namespace {

constexpr const char* newest_prefix = "newest-";

std::vector<std::string> parts_of(const std::string& text, char between) {
  std::vector<std::string> parts;
  std::istringstream in{text};
  for (std::string part; std::getline(in, part, between);) parts.push_back(part);
  return parts;
}

std::string log_object(const char* kind, const std::string& name, std::uint32_t partitions,
                       const log_keeps& keeps) {
  std::string text = fmt::format("{}:{}:{}", kind, name, partitions);
  if (keeps.latest) text += ":latest";
  if (keeps.newest) text += fmt::format(":{}{}", newest_prefix, *keeps.newest);
  return text;
}

/// Adds one event after the other to what is promised.
struct reader {
  promises& p;

  void operator()(const opening&) const { ++p.openings; }
  void operator()(const opened&) const {
    p.store = true;
    // What a crash has left of a settlement, all or nothing, goes on message by message.
    p.settled_together.clear();
    p.settlement_told = true;
  }
  void operator()(const closing&) const {}
  void operator()(const closed&) const {}
  void operator()(const declaring& d) const {
    note_rules(d.object);
    presence& now = p.objects.try_emplace(d.object, presence::absent).first->second;
    if (now == presence::absent) now = presence::unknown;
  }
  void operator()(const declared& d) const {
    note_rules(d.object);
    p.objects[d.object] = presence::present;
  }
  void operator()(const deleting& d) const {
    p.objects[d.object] = presence::unknown;
    forget_topic(d.object, presence::unknown);
    if (const auto queue = queue_of(d.object); !queue.empty()) empty(queue, &message_state::leaving);
  }
  void operator()(const deleted& d) const {
    p.objects[d.object] = presence::absent;
    forget_topic(d.object, presence::absent);
    if (const auto queue = queue_of(d.object); !queue.empty()) empty(queue, &message_state::left);
  }
  void operator()(const sending& s) const {
    sent_record r;
    r.batch = s.batch;
    r.log = s.log;
    if (s.key != none_named) r.key = s.key;
    r.tombstone = s.tombstone;
    r.hash = s.hash;
    if (s.queues != none_named) r.queues = parts_of(s.queues, ',');
    if (p.of_next && p.of_next->record == s.record) {
      r.delayed = p.of_next->delayed;
      r.expires = p.of_next->expires;
    }
    p.records[s.record] = std::move(r);
  }
  void operator()(const stored& s) const {
    sent_record& r = p.records[s.record];
    r.log = s.log;
    r.acknowledged = true;
    r.partition = s.partition;
    r.offset = s.offset;
  }
  void operator()(const committing& c) const {
    p.commits[{c.group, c.log, c.partition}].unknown.insert(c.next);
  }
  void operator()(const committed& c) const {
    offset_commits& state = p.commits[{c.group, c.log, c.partition}];
    state.acknowledged = c.next;
    state.unknown.clear();
  }
  void operator()(const maintaining&) const {}
  void operator()(const maintained&) const {}
  void operator()(const flushing&) const {}
  void operator()(const flushed&) const {}
  void operator()(const trimming& t) const { p.beginnings[{t.log, t.partition}].unknown.insert(t.before); }
  void operator()(const trimmed& t) const {
    beginning& b = p.beginnings[{t.log, t.partition}];
    b.acknowledged = std::max(b.acknowledged, t.before);
    b.unknown.erase(b.unknown.begin(), b.unknown.upper_bound(b.acknowledged));
  }
  void operator()(const began& b) const {
    std::uint64_t& seen = p.beginnings[{b.log, b.partition}].seen;
    seen = std::max(seen, b.at);
  }
  void operator()(const received& m) const {
    message_state& state = p.messages[{m.queue, m.record}];
    state.received = true;
    state.count = std::max(state.count, m.count);
    const auto sent = p.records.find(m.record);
    if (sent != p.records.end()) sent->second.seen = true;
  }
  void operator()(const settling& m) const {
    p.messages[{m.queue, m.record}].settling = true;
    if (p.settlement_told) p.settled_together.clear();
    p.settlement_told = false;
    p.settled_together.emplace_back(m.queue, m.record);
  }
  void operator()(const settled& m) const {
    p.messages[{m.queue, m.record}].settled = true;
    p.settlement_told = true;
  }
  void operator()(const clock_at&) const {}
  void operator()(const terms& t) const { p.of_next = t; }
  void operator()(const refused& r) const { p.records[r.record].refused = true; }
  void operator()(const passed_over& m) const { p.records[m.record].passed_over_by.insert(m.queue); }
  void operator()(const cancelling& c) const { p.records[c.record].cancelling = true; }
  void operator()(const cancelled& c) const { p.records[c.record].cancelled = true; }
  void operator()(const rejecting& m) const { p.messages[{m.queue, m.record}].rejecting = true; }
  void operator()(const rejected& m) const { p.messages[{m.queue, m.record}].rejected = true; }
  void operator()(const purging& q) const { empty(q.queue, &message_state::leaving); }
  void operator()(const purged& q) const { empty(q.queue, &message_state::left); }

 private:
  static std::string queue_of(const std::string& object) {
    const std::string prefix = queue_object({});
    return object.compare(0, prefix.size(), prefix) == 0 ? object.substr(prefix.size()) : std::string{};
  }
  /// What has been sent to a queue so far goes; of what is routed later, what has come by now.
  void empty(const std::string& queue, bool message_state::*how) const {
    for (const auto& [s, r] : p.records) {
      if (std::find(r.queues.begin(), r.queues.end(), queue) == r.queues.end()) continue;
      p.messages[{queue, s}].*(r.delayed ? &message_state::leaving : how) = true;
    }
  }
  /// A log's rules only ever grow: what was given up stays away.
  void note_rules(const std::string& object) const {
    const auto parts = parts_of(object, ':');
    if (parts.size() < 4 || (parts[0] != "topic" && parts[0] != "exchange")) return;
    log_rules& rules = p.logs[parts[1]];
    rules.messages = parts[0] == "exchange";
    for (std::size_t i = 3; i < parts.size(); ++i) {
      if (parts[i] == "latest") {
        rules.compacted = true;
      } else if (parts[i].compare(0, std::string{newest_prefix}.size(), newest_prefix) == 0) {
        rules.newest = std::stoull(parts[i].substr(std::string{newest_prefix}.size()));
      }
    }
  }

  /// A change of what a topic keeps also comes as a deletion and a declaration, and deletes no record.
  void forget_topic(const std::string& object, presence now) const {
    const auto parts = parts_of(object, ':');
    if (parts.size() != 3 || parts[0] != "topic" || p.logs.contains(parts[1])) return;
    for (auto& [s, r] : p.records) {
      if (r.log == parts[1] && r.with_its_topic != presence::absent) r.with_its_topic = now;
    }
  }
};

}  // namespace

void add(promises& to, const std::string& line) {
  std::visit(reader{to}, from_line(line));
}

promises read_promises(const history& lines) {
  promises p;
  for (const std::string& line : lines) add(p, line);
  return p;
}

std::string topic_object(const std::string& name, std::uint32_t partitions, const log_keeps& keeps) {
  return log_object("topic", name, partitions, keeps);
}
std::string exchange_object(const std::string& name, std::uint32_t partitions, const log_keeps& keeps) {
  return log_object("exchange", name, partitions, keeps);
}
std::string queue_object(const std::string& name) {
  return "queue:" + name;
}
std::string grave_place(const std::string& grave, const std::string& died_in) {
  return grave + "/" + died_in;
}
std::string binding_object(const std::string& exchange, const std::string& queue, const std::string& key) {
  return fmt::format("binding:{}:{}:{}", exchange, queue, key);
}

}  // namespace levada::crash
