#include <crash/forgetful_logs.hpp>

#include <crash/payload.hpp>
#include <crash/promises.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace levada::crash {
namespace {

constexpr std::chrono::milliseconds at_once{0};

constexpr const char* compacted_topic = "state";
constexpr const char* retained_topic = "recent";
constexpr const char* trimmed_topic = "trimmed";
constexpr const char* passing_topic = "brief";
constexpr const char* news_exchange = "news";
constexpr const char* news_queue = "desk";
constexpr std::uint32_t partitions = 2;
constexpr std::uint64_t recent_records = 15;
constexpr std::uint64_t recent_news = 8;
constexpr std::size_t keys = 5;

std::string compacted_object(bool compacted) {
  return topic_object(compacted_topic, partitions, {.latest = compacted});
}

/// Either early or hardly ever, by the seed.
compaction_policy policy_of(const victim_options& options) {
  dice d{options.seed * 1'000 + 666};
  compaction_policy policy;
  if (d.once_in(2)) policy.tombstone_age = std::chrono::milliseconds{0};
  policy.dirty_ratio = d.once_in(2) ? 0 : 0.4;
  return policy;
}

std::optional<topic_info> find_topic(const bus& b, const std::string& name) {
  auto all = b.topics().value();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const topic_info& t) { return t.name == name; });
  if (found == all.end()) return std::nullopt;
  return std::move(*found);
}

record make_tombstone(const std::string& key, serial s) {
  record r = record::tombstone(key);
  properties named;
  named.message_id = fmt::format("{}", s);
  return r.properties(std::move(named));
}

}  // namespace

// forgetful_producer

template <class Make>
void forgetful_producer::publish_batch_to(const std::string& name, std::size_t records, Make make) {
  const topic t = bus_.topic(name).value();
  publish_batch batch = t.make_batch();
  const serial first = next_;
  std::vector<std::pair<serial, publish_batch::slot>> added;
  for (; records > 0; --records) {
    const serial s = next_++;
    const record r = make(s);
    out_.tell(announce(s, first, name, r));
    added.emplace_back(s, batch.add(r).value());
  }
  const batch_receipt receipt = t.publish(batch).value();
  for (const auto& [s, slot] : added)
    out_.tell(stored{s, name, slot.partition.value(), offset_of(receipt, slot)});
}

void forgetful_producer::publish_something() {
  const auto plain = [this](serial s) { return record{make_payload(s, dice_.roll(300))}; };
  const auto keyed = [this](serial s) {
    const std::string key = fmt::format("k{}", dice_.roll(keys));
    if (dice_.once_in(5)) return make_tombstone(key, s);
    if (dice_.once_in(10)) return record{make_payload(s, 50)};
    return record{key, make_payload(s, dice_.once_in(12) ? 4'000 : dice_.roll(300))};
  };
  switch (dice_.roll(5)) {
    case 0:
      return publish_batch_to(retained_topic, 1 + dice_.roll(16), plain);
    case 1:
      return publish_batch_to(trimmed_topic, 1 + dice_.roll(10), plain);
    case 2:
      return publish_news();
    default:
      return publish_batch_to(compacted_topic, 1 + dice_.roll(8), keyed);
  }
}

void forgetful_producer::publish_large(std::size_t records) {
  publish_batch_to(trimmed_topic, records,
                   [this](serial s) { return record{make_payload(s, 60'000 + dice_.roll(60'000))}; });
}

void forgetful_producer::publish_passing() {
  publish_batch_to(passing_topic, 1 + dice_.roll(6),
                   [this](serial s) { return record{make_payload(s, dice_.roll(2'500))}; });
}

void forgetful_producer::publish_news() {
  for (std::size_t messages = 1 + dice_.roll(6); messages > 0; --messages) {
    const serial s = next_++;
    const record r{make_payload(s, dice_.roll(200))};
    out_.tell(announce(s, s, news_exchange, r, {news_queue, "all"}));
    const publish_receipt receipt = bus_.publish(news_exchange, "all", r).value();
    out_.tell(stored{s, news_exchange, receipt.partition.value(), receipt.offset.value()});
  }
}

// forgetful_logs

forgetful_logs::forgetful_logs(bus& b, teller& out, const victim_options& options)
    : bus_{b}, out_{out}, options_{options}, desk_{b.consume(news_queue, {.prefetch = 0}).value()} {}

void forgetful_logs::declare_all(bus& b, teller& out, const victim_options& options) {
  // What exists may keep something else by now; which it does says the listing.
  const auto state = find_topic(b, compacted_topic);
  declare(out, compacted_object(!state || state->compaction), [&] {
    topic_options o{.partitions = partitions};
    o.compaction = policy_of(options);
    static_cast<void>(b.declare_topic(compacted_topic, o).value());
  });
  declare(out, topic_object(retained_topic, partitions, {.newest = recent_records}), [&] {
    topic_options o{.partitions = partitions};
    o.retention.records = recent_records;
    static_cast<void>(b.declare_topic(retained_topic, o).value());
  });
  declare(out, topic_object(trimmed_topic, partitions),
          [&] { static_cast<void>(b.declare_topic(trimmed_topic, {.partitions = partitions}).value()); });
  declare(out, exchange_object(news_exchange, 1, {.newest = recent_news}), [&] {
    exchange_options o;
    o.retention = {.records = recent_news};
    b.declare_exchange(news_exchange, o).value();
  });
  declare(out, queue_object(news_queue), [&] { b.declare_queue(news_queue).value(); });
  declare(out, binding_object(news_exchange, news_queue, "#"),
          [&] { b.bind(news_exchange, news_queue, "#").value(); });
}

void forgetful_logs::change_passing_topic(dice& d, forgetful_producer& sender) {
  const std::string object = topic_object(passing_topic, 1);
  if (!find_topic(bus_, passing_topic)) {
    declare(out_, object, [&] { static_cast<void>(bus_.declare_topic(passing_topic).value()); });
  } else if (d.once_in(3)) {
    out_.tell(deleting{object});
    bus_.delete_topic(passing_topic).value();
    out_.tell(deleted{object});
    return;
  }
  sender.publish_passing();
}

void forgetful_logs::trim_to(std::uint32_t partition, std::uint64_t before) {
  out_.tell(trimming{trimmed_topic, partition, before});
  bus_.delete_records({trimmed_topic, partition_id{partition}}, offset{before}).value();
  out_.tell(trimmed{trimmed_topic, partition, before});
}

void forgetful_logs::trim(dice& d) {
  const auto log = find_topic(bus_, trimmed_topic);
  if (!log) throw std::logic_error{"a topic is gone"};
  const partition_info& p = log->partitions[d.roll(log->partitions.size())];
  const std::uint64_t there = p.end.value() - p.begin.value();
  if (there > 0) trim_to(p.id.value(), p.begin.value() + 1 + d.roll(there));
}

void forgetful_logs::trim_most() {
  const auto log = find_topic(bus_, trimmed_topic);
  if (!log) throw std::logic_error{"a topic is gone"};
  for (const partition_info& p : log->partitions) {
    const std::uint64_t there = p.end.value() - p.begin.value();
    if (there > 1) trim_to(p.id.value(), p.begin.value() + there * 3 / 4);
  }
}

void forgetful_logs::change_compaction(dice& d) {
  const auto log = find_topic(bus_, compacted_topic);
  if (!log) throw std::logic_error{"a topic is gone"};
  const bool was = log->compaction.has_value();
  const bool will = !was || d.once_in(2);
  if (was == will) return bus_.set_compaction(compacted_topic, policy_of(options_)).value();
  out_.tell(deleting{compacted_object(was)});
  out_.tell(declaring{compacted_object(will)});
  bus_.set_compaction(compacted_topic, will ? std::optional{policy_of(options_)} : std::nullopt).value();
  out_.tell(declared{compacted_object(will)});
  out_.tell(deleted{compacted_object(was)});
}

void forgetful_logs::change_compression(dice& d) {
  constexpr const char* names[] = {"orders",        "ledger",       "events",
                                   compacted_topic, retained_topic, trimmed_topic};
  constexpr compression kinds[] = {compression::none, compression::lz4, compression::zstd};
  bus_.set_compression(names[d.roll(std::size(names))], kinds[d.roll(std::size(kinds))]).value();
}

void forgetful_logs::take_news(dice& d) {
  std::vector<std::pair<delivery_tag, serial>> settled_now;
  while (const auto got = desk_.receive(at_once).value()) {
    const auto s = serial_of(got->record().value());
    if (!s) throw std::logic_error{"a queue delivered unknown bytes"};
    out_.tell(received{news_queue, *s});
    // The same ones are kept again and again.
    if (*s % 6 != 0 || d.once_in(5)) settled_now.emplace_back(got->tag(), *s);
  }
  if (settled_now.empty()) return;
  std::vector<delivery_tag> tags;
  for (const auto& [tag, s] : settled_now) {
    tags.push_back(tag);
    out_.tell(settling{news_queue, s});
  }
  desk_.ack(tags).value();
  for (const auto& [tag, s] : settled_now) out_.tell(settled{news_queue, s});
}

void forgetful_logs::look_at_beginnings() {
  for (const topic_info& t : bus_.topics().value()) {
    for (const partition_info& p : t.partitions) {
      if (p.begin.value() > 0) out_.tell(began{t.name, p.id.value(), p.begin.value()});
    }
  }
}

}  // namespace levada::crash
