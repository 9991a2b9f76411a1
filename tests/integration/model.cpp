#include "model.hpp"

#include <iterator>
#include <variant>

#include <fmt/format.h>

namespace levada::test {
namespace {

/// A member stops reading a partition, and may commit in time how far it came.
void give_up(model_group& group, model_member& m, const topic_partition& where) {
  const auto position = m.owned.at(where);
  if (m.commits_when_revoked && position && m.announced.contains(where)) group.committed[where] = *position;
  m.announced.erase(where);
  m.paused.erase(where);
}

bool topic_key_matches(const std::vector<std::string>& pattern, std::size_t p,
                       const std::vector<std::string>& key, std::size_t k) {
  if (p == pattern.size()) return k == key.size();
  if (pattern[p] == "#") {
    return topic_key_matches(pattern, p + 1, key, k) ||
           (k < key.size() && topic_key_matches(pattern, p, key, k + 1));
  }
  return k < key.size() && (pattern[p] == "*" || pattern[p] == key[k]) &&
         topic_key_matches(pattern, p + 1, key, k + 1);
}
std::vector<std::string> words_of(const std::string& key) {
  std::vector<std::string> words;
  if (key.empty()) return words;
  words.emplace_back();
  for (const char c : key) {
    if (c == '.') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

}  // namespace

std::string text_of(const std::optional<std::string_view>& key, const std::optional<std::string_view>& value,
                    std::string_view routing_key, std::string_view note) {
  return fmt::format("key {} value {} routing key '{}' note '{}'", key ? fmt::format("'{}'", *key) : "none",
                     value ? fmt::format("'{}'", *value) : "none", routing_key, note);
}
std::string text_of(const record_view& r) {
  const auto note = r.header("note");
  return text_of(r.has_key() ? std::optional{r.key()} : std::nullopt,
                 r.is_tombstone() ? std::nullopt : std::optional{r.value()}, r.routing_key(),
                 note ? std::get<std::string_view>(*note) : std::string_view{});
}

std::uint64_t model_log::first_at(std::uint32_t p, timestamp t) const {
  const auto& all = partitions[p];
  return static_cast<std::uint64_t>(
      std::find_if(all.begin(), all.end(), [t](const model_record& r) { return r.time >= t; }) - all.begin());
}
void model_log::append(std::uint32_t p, model_record r) {
  committed_order.emplace_back(p, end(p));
  partitions[p].push_back(std::move(r));
}

std::uint64_t model_queue::count(model_entry::state s) const {
  return static_cast<std::uint64_t>(
      std::count_if(entries.begin(), entries.end(), [s](const model_entry& e) { return e.now == s; }));
}
model_entry* model_queue::first_ready() {
  for (auto& e : entries) {
    if (e.now == model_entry::state::ready) return &e;
  }
  return nullptr;
}

const model_record* model::find(const topic_partition& where, std::uint64_t offset) const {
  const auto log = logs.find(where.topic);
  if (log == logs.end() || where.partition.value() >= log->second.size()) return nullptr;
  const auto& all = log->second.partitions[where.partition.value()];
  return offset < all.size() ? &all[offset] : nullptr;
}
std::set<std::string> model::routes(const std::string& exchange, const std::string& key) const {
  const exchange_type type = *logs.at(exchange).exchange;
  std::set<std::string> to;
  for (const auto& binding : bindings) {
    if (std::get<0>(binding) != exchange) continue;
    const std::string& pattern = std::get<2>(binding);
    const bool matches =
        type == exchange_type::fanout || (type == exchange_type::direct && pattern == key) ||
        (type == exchange_type::topic && topic_key_matches(words_of(pattern), 0, words_of(key), 0));
    if (matches) to.insert(std::get<1>(binding));
  }
  return to;
}
void model::erase_queue(const std::string& name) {
  queues.erase(name);
  for (auto i = bindings.begin(); i != bindings.end();)
    i = std::get<1>(*i) == name ? bindings.erase(i) : std::next(i);
}
std::set<topic_partition> model::share_of(const model_group& group, const std::string& id) const {
  std::set<topic_partition> share;
  for (const auto& topic : group.members.at(id).topics) {
    std::uint32_t members = 0;
    std::uint32_t rank = 0;
    for (const auto& m : group.members) {
      if (std::find(m.second.topics.begin(), m.second.topics.end(), topic) == m.second.topics.end()) continue;
      if (m.first == id) rank = members;
      ++members;
    }
    const std::uint32_t n = logs.at(topic).size();
    const std::uint32_t each = n / members;
    const std::uint32_t more = n % members;
    const std::uint32_t first = rank * each + std::min(rank, more);
    const std::uint32_t count = each + (rank < more ? 1 : 0);
    for (std::uint32_t p = first; p < first + count; ++p) share.insert({topic, partition_id{p}});
  }
  return share;
}
void model::grant(model_group& group) const {
  for (auto& entry : group.members) {
    for (const auto& where : share_of(group, entry.first)) {
      const bool held = std::any_of(group.members.begin(), group.members.end(), [&](const auto& other) {
        return other.second.owned.contains(where) || other.second.granted.contains(where);
      });
      if (!held) entry.second.granted.insert(where);
    }
  }
}
void model::sync(model_group& group, const std::string& id) const {
  model_member& m = group.members.at(id);
  const auto share = share_of(group, id);
  for (auto i = m.owned.begin(); i != m.owned.end();) {
    if (!share.contains(i->first)) give_up(group, m, i->first);
    i = share.contains(i->first) ? std::next(i) : m.owned.erase(i);
  }
  for (auto i = m.granted.begin(); i != m.granted.end();)
    i = share.contains(*i) ? std::next(i) : m.granted.erase(i);
  grant(group);
  for (const auto& where : m.granted) {
    auto& position = m.owned[where];
    const auto committed = group.committed.find(where);
    if (committed != group.committed.end()) {
      position = committed->second;
    } else if (m.reset == offset_reset::earliest) {
      position = 0;
    } else if (m.reset == offset_reset::latest) {
      position = logs.at(where.topic).end(where.partition.value());
    }
  }
  m.granted.clear();
}
void model::leave(model_group& group, const std::string& id) const {
  for (const auto& p : group.members.at(id).owned) give_up(group, group.members.at(id), p.first);
  group.members.erase(id);
  grant(group);
}

}  // namespace levada::test
