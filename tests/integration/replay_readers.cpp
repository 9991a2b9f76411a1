#include "replay_readers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <variant>

#include "random_walk.hpp"

namespace levada::test {
namespace {

using std::chrono::microseconds;

template <class Position>
std::string show(const Position& p) {
  if (const auto* const o = std::get_if<offset>(&p)) return fmt::format("offset {}", o->value());
  if (const auto* const t = std::get_if<timestamp>(&p)) {
    return fmt::format("time {}", t->time_since_epoch().count());
  }
  return p.index() == 0 ? "the outermost" : "latest";
}

/// With what a replay must be refused.
std::optional<errc> refusal(const replay_options& o, bool all, const modelled_topic* t) {
  const auto* const from = std::get_if<offset>(&o.from);
  const bool with_offset = from != nullptr || std::holds_alternative<offset>(o.until);
  if (all) return with_offset || o.partition ? std::optional{errc::invalid_argument} : std::nullopt;
  if (t == nullptr) return errc::unknown_topic;
  if (o.partition && o.partition->value() >= t->partitions.size()) return errc::unknown_partition;
  if (with_offset && !o.partition && t->partitions.size() > 1) return errc::invalid_argument;
  if (from == nullptr) return std::nullopt;
  const modelled_partition& p = t->partitions[o.partition ? o.partition->value() : 0];
  if (from->value() > p.end()) return errc::offset_out_of_range;
  if (from->value() < p.begin) return errc::overtaken;
  return std::nullopt;
}

}  // namespace

void replay_readers::act_on(const opener& source) {
  if (cursors_.empty() || (cursors_.size() < 12 && dice_.one_in(4))) return open(source);
  const auto at = cursors_.begin() + static_cast<std::ptrdiff_t>(dice_.below(cursors_.size()));
  if (dice_.one_in(6)) {
    finish(*at);
    if (dice_.one_in(2)) cursors_.erase(at);
  } else {
    advance(*at);
  }
}

void replay_readers::finish_all() {
  for (auto& c : cursors_) finish(c);
}

timestamp replay_readers::some_time() {
  if (!world_.commits().empty() && !dice_.one_in(3)) {
    const record_place& p = world_.commits()[dice_.below(world_.commits().size())];
    const auto time = world_.topics()[p.topic].partitions[p.partition].records[p.offset].time;
    return time + microseconds{dice_.below(3)} - microseconds{1};
  }
  return world_.now() + microseconds{dice_.below(40'000'000)} - microseconds{30'000'000};
}

void replay_readers::open(const opener& source) {
  const bool all = dice_.one_in(3);
  const auto name = replay_world::some_name(dice_);
  const auto topic = all ? std::nullopt : world_.find(name);
  const modelled_topic* const t = topic ? &world_.topics()[*topic] : nullptr;
  replay_options o;
  if (dice_.one_in(all ? 20 : 2)) {
    o.partition = partition_id{static_cast<std::uint32_t>(
        t != nullptr && !dice_.one_in(15) ? dice_.below(t->partitions.size()) : dice_.below(6))};
  }
  std::uint64_t end = 10;
  if (t != nullptr) end = t->partitions[o.partition ? o.partition->value() % t->partitions.size() : 0].end();
  const auto some_offset = [&] { return offset{dice_.below(end + 3)}; };
  const bool offsets_fit = o.partition || (t != nullptr && t->partitions.size() == 1);
  const std::uint64_t kinds = offsets_fit || dice_.one_in(15) ? 4 : 3;
  switch (dice_.below(kinds)) {
    case 0:
      break;
    case 1:
      o.from = from_latest{};
      break;
    case 2:
      o.from = some_time();
      break;
    default:
      o.from = some_offset();
  }
  switch (dice_.below(kinds)) {
    case 0:
      break;
    case 1:
      o.until = until_latest{};
      break;
    case 2:
      o.until = some_time();
      break;
    default:
      o.until = some_offset();
  }
  if (dice_.one_in(2)) o.bytes_max = 1 + dice_.below(dice_.one_in(2) ? 300 : 10'000);
  o.verify = !dice_.one_in(4);
  world_.note(fmt::format(
      "replay {} partition {}, from {} until {}, at most {} bytes", all ? std::string{"all"} : name,
      o.partition ? fmt::to_string(o.partition->value()) : "all", show(o.from), show(o.until), o.bytes_max));
  const auto expected = refusal(o, all, t);
  auto got = source(all ? nullptr : &name, o);
  require_outcome(got, expected, world_.last());
  if (expected) return;
  cursor c{world_.last(),  topic, !std::holds_alternative<until_closed>(o.until), o.bytes_max, {}, 0,
           std::move(*got)};
  if (t != nullptr && t->partitions.size() == 1) o.partition = partition_id{0};
  for (std::size_t i = 0; i < world_.topics().size(); ++i) {
    if (world_.topics()[i].deleted || (topic && *topic != i)) continue;
    c.parts[i] = place_bounds(o, world_.topics()[i]);
  }
  require(c.pass.ended() == c.ended(), world_.last() + ": whether it has ended at once");
  cursors_.push_back(std::move(c));
}

std::vector<replay_readers::bounds> replay_readers::place_bounds(const replay_options& o,
                                                                 const modelled_topic& t) {
  std::vector<bounds> all;
  for (std::uint32_t i = 0; i < t.partitions.size(); ++i) {
    const modelled_partition& p = t.partitions[i];
    bounds b{p.begin, no_end};
    if (std::holds_alternative<from_latest>(o.from)) b.next = p.end();
    if (const auto* const time = std::get_if<timestamp>(&o.from)) b.next = p.find(*time);
    if (const auto* const from = std::get_if<offset>(&o.from)) b.next = from->value();
    if (std::holds_alternative<until_latest>(o.until)) b.until = p.end();
    if (const auto* const time = std::get_if<timestamp>(&o.until)) b.until = p.find(*time);
    if (const auto* const until = std::get_if<offset>(&o.until)) b.until = until->value();
    if (o.partition && o.partition->value() != i) b = {0, 0};
    all.push_back(b);
  }
  return all;
}

void replay_readers::take_in_topics(cursor& c) {
  if (c.topic) return;
  std::erase_if(c.parts, [&](const auto& part) { return world_.topics()[part.first].deleted; });
  for (std::size_t i = 0; i < world_.topics().size(); ++i) {
    if (world_.topics()[i].deleted || c.parts.contains(i)) continue;
    c.parts[i].assign(world_.topics()[i].partitions.size(), bounds{0, c.bounded ? 0 : no_end});
  }
}

bool replay_readers::advance(cursor& c) {
  world_.note("go on with: " + c.what);
  const bool ended = c.ended();
  const auto got = c.pass.next();
  if (c.topic && world_.topics()[*c.topic].deleted) {
    if (!ended || !got) require_outcome(got, errc::unknown_topic, c.what);
    return false;
  }
  take_in_topics(c);
  if (is_overtaken(c)) {
    require_outcome(got, errc::overtaken, c.what);
    return take_in_removal(c, got.error().message());
  }
  require_outcome(got, std::nullopt, c.what);
  compare(c, *got);
  require(c.pass.ended() == c.ended(), c.what + (c.ended() ? ": has not ended" : ": has ended early"));
  return !got->empty();
}

void replay_readers::finish(cursor& c) {
  while (advance(c)) {
  }
}

std::optional<std::uint64_t> replay_readers::lost_until(std::size_t topic, std::uint32_t partition,
                                                        const bounds& b) const {
  const std::uint64_t begin = std::min(world_.topics()[topic].partitions[partition].begin, b.until);
  return b.next < begin ? std::optional{begin} : std::nullopt;
}

bool replay_readers::is_overtaken(const cursor& c) const {
  for (const auto& [topic, partitions] : c.parts) {
    for (std::uint32_t p = 0; p < partitions.size(); ++p) {
      if (lost_until(topic, p, partitions[p])) return true;
    }
  }
  return false;
}

bool replay_readers::take_in_removal(cursor& c, const std::string& message) {
  for (auto& [topic, partitions] : c.parts) {
    for (std::uint32_t p = 0; p < partitions.size(); ++p) {
      const auto lost = lost_until(topic, p, partitions[p]);
      if (!lost) continue;
      const auto told = fmt::format("'{}' partition {}: offsets {} to {} ", world_.topics()[topic].name, p,
                                    partitions[p].next, *lost - 1);
      if (message.find(told) == std::string::npos) continue;
      partitions[p].next = *lost;
      return true;
    }
  }
  throw disagreement{c.what + ": nothing of what is gone is meant by: " + message};
}

void replay_readers::compare(cursor& c, const record_batch& batch) {
  std::size_t bytes = 0;
  std::size_t at = c.passed;
  auto record = batch.begin();
  for (; at < world_.commits().size(); ++at) {
    const record_place& p = world_.commits()[at];
    const auto part = c.parts.find(p.topic);
    if (part == c.parts.end()) continue;
    bounds& b = part->second[p.partition];
    if (p.offset < b.next || p.offset >= b.until) continue;
    if (record == batch.end()) {
      require(!batch.empty(),
              c.what + fmt::format(": nothing came, though {} partition {} offset {} is there",
                                   world_.topics()[p.topic].name, p.partition, p.offset));
      break;
    }
    const modelled_topic& t = world_.topics()[p.topic];
    const modelled_record& stored = t.partitions[p.partition].records[p.offset];
    const auto where = [&] {
      return fmt::format("{}: expected {} partition {} offset {}, got {} partition {} offset {}", c.what,
                         t.name, p.partition, p.offset, record->topic(), record->partition().value(),
                         record->offset().value());
    };
    require(record->topic() == t.name && record->partition().value() == p.partition &&
                record->offset().value() == p.offset,
            where());
    require(record->value() == stored.value, where() + ": other bytes");
    require(record->time() == stored.time, where() + ": another time");
    bytes += stored.value.size();
    b.next = p.offset + 1;
    ++record;
  }
  c.passed = at;
  require(record == batch.end(), c.what + ": more came than there is");
  require(batch.size() <= 1 || bytes <= c.bytes_max, c.what + ": more bytes than asked for");
}

}  // namespace levada::test
