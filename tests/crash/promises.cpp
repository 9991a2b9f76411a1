#include <crash/promises.hpp>

#include <fmt/format.h>

#include <sstream>

namespace levada::crash {
namespace {

/// Adds one event after the other to what is promised.
struct reader {
  promises& p;

  void operator()(const opening&) const {}
  void operator()(const opened&) const { p.store = true; }
  void operator()(const declaring& d) const {
    presence& now = p.objects.try_emplace(d.object, presence::absent).first->second;
    if (now == presence::absent) now = presence::unknown;
  }
  void operator()(const declared& d) const { p.objects[d.object] = presence::present; }
  void operator()(const deleting& d) const { p.objects[d.object] = presence::unknown; }
  void operator()(const deleted& d) const { p.objects[d.object] = presence::absent; }
  void operator()(const sending& s) const {
    sent_record r;
    r.batch = s.batch;
    r.log = s.log;
    r.hash = s.hash;
    std::istringstream names{s.queues == "-" ? std::string{} : s.queues};
    for (std::string name; std::getline(names, name, ',');) r.queues.push_back(name);
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
  void operator()(const received& m) const {
    p.messages[{m.queue, m.record}].received = true;
    const auto sent = p.records.find(m.record);
    if (sent != p.records.end()) sent->second.seen = true;
  }
  void operator()(const settling& m) const { p.messages[{m.queue, m.record}].settling = true; }
  void operator()(const settled& m) const { p.messages[{m.queue, m.record}].settled = true; }
};

}  // namespace

promises read_promises(const history& lines) {
  promises p;
  for (const std::string& line : lines) std::visit(reader{p}, from_line(line));
  return p;
}

std::string topic_object(const std::string& name, std::uint32_t partitions) {
  return fmt::format("topic:{}:{}", name, partitions);
}
std::string exchange_object(const std::string& name, std::uint32_t partitions) {
  return fmt::format("exchange:{}:{}", name, partitions);
}
std::string queue_object(const std::string& name) {
  return "queue:" + name;
}
std::string binding_object(const std::string& exchange, const std::string& queue, const std::string& key) {
  return fmt::format("binding:{}:{}:{}", exchange, queue, key);
}

}  // namespace levada::crash
