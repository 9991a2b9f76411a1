#include <crash/store_content.hpp>

#include <crash/promises.hpp>

#include <fmt/format.h>

#include <charconv>
#include <chrono>

namespace levada::crash {
namespace {

constexpr std::chrono::milliseconds at_once{0};

log_keeps kept_by(const topic_info& log) {
  // What exchanges keep unless told otherwise is more than any history writes.
  return {log.compaction.has_value(), log.retention.records};
}

}  // namespace

std::optional<serial> serial_of(const record_view& r) {
  if (!r.is_tombstone()) return serial_of(r.value());
  const std::string_view id = r.properties().message_id;
  serial s = 0;
  const auto parsed = std::from_chars(id.data(), id.data() + id.size(), s);
  if (parsed.ec != std::errc{} || parsed.ptr != id.data() + id.size()) return std::nullopt;
  return s;
}

found_log read_log(const bus& b, const topic_info& log) {
  found_log found;
  for (const partition_info& p : log.partitions) {
    found_partition& partition = found.partitions.emplace_back();
    partition.begin = p.begin.value();
    partition.end = p.end.value();
  }
  std::vector<std::uint64_t> next;
  for (const found_partition& p : found.partitions) next.push_back(p.begin);
  replay pass = b.replay(log.name).value();
  for (auto batch = pass.next().value(); !batch.empty(); batch = pass.next().value()) {
    for (const record_view& r : batch) {
      const std::uint32_t number = r.partition().value();
      found_partition& partition = found.partitions.at(number);
      const std::uint64_t offset = r.offset().value();
      if (offset < next[number]) {
        partition.disorder.push_back(
            fmt::format("offset {} comes where {} or more was to come", offset, next[number]));
      }
      next[number] = offset + 1;
      found_record one;
      one.record = serial_of(r);
      one.bytes = r.value().size();
      if (r.has_key()) one.key = std::string{r.key()};
      one.tombstone = r.is_tombstone();
      one.hash = fingerprint(r.key(), r.routing_key(), r.value());
      one.time = r.time();
      one.dead_letter = !deaths_of(r).empty() || r.header(died_in_header);
      if (one.record) found.in_order.push_back(*one.record);
      partition.records.insert_or_assign(offset, std::move(one));
    }
  }
  return found;
}

queue_findings& queue_findings::operator+=(const queue_findings& other) noexcept {
  messages += other.messages;
  later += other.later;
  redelivered += other.redelivered;
  rejected += other.rejected;
  expired += other.expired;
  dropped += other.dropped;
  used_up += other.used_up;
  return *this;
}

std::string to_text(const queue_findings& f) {
  return fmt::format(
      "{} messages, {} of them later, {} redelivered; dead letters: {} rejected, {} expired, {} dropped, {} "
      "delivered too often",
      f.messages, f.later, f.redelivered, f.rejected, f.expired, f.dropped, f.used_up);
}

store_content read_listings(const bus& b) {
  store_content found;
  found.epoch = b.stats().value().epoch;
  for (const topic_info& t : b.topics().value()) {
    found.logs.emplace(t.name.empty() ? default_log : t.name, read_log(b, t));
    if (t.name.empty()) continue;  // nobody declares it
    const auto partitions = static_cast<std::uint32_t>(t.partitions.size());
    found.objects.insert(t.is_exchange ? exchange_object(t.name, partitions, kept_by(t))
                                       : topic_object(t.name, partitions, kept_by(t)));
  }
  for (const queue_info& q : b.queues().value()) {
    found.queues.insert(q.name);
    found.objects.insert(queue_object(q.name));
    if (q.exclusive) found.anonymous_queues.push_back(q.name);
  }
  for (const binding_info& i : b.bindings().value()) {
    found.objects.insert(binding_object(i.exchange, i.destination, i.key));
  }
  for (const group_info& g : b.groups().value()) {
    for (const group_partition_info& p : g.partitions) {
      if (!p.committed) continue;
      found.commits[{g.name, p.where.topic, p.where.partition.value()}] = {p.committed->value(),
                                                                           p.end.value()};
    }
  }
  return found;
}

store_content read_store(bus& b, const std::set<std::string>& queues) {
  store_content found = read_listings(b);
  for (const std::string& queue : queues) {
    if (!found.queues.contains(queue)) continue;
    auto& delivered = found.deliveries[queue];
    auto taker = b.consume(queue, {.prefetch = 0}).value();
    while (const auto d = taker.receive(at_once).value()) {
      delivered.push_back({serial_of(d->record()), d->redelivered()});
    }
  }
  return found;
}

}  // namespace levada::crash
