// Tables, and transactions of both kinds, several of which may be under way at a time.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>

#include "model_walk.hpp"

namespace levada::test {
namespace {

struct host_exception {};

template <class Container>
void erase_index(Container& c, std::size_t which) {
  c.erase(c.begin() + static_cast<std::ptrdiff_t>(which));
}

}  // namespace

// Tables by themselves

model_walk::transaction_model::place model_walk::some_table_place() {
  const std::string table = name("table", 2);
  return {table, name("k", 5)};
}

std::optional<std::string> model_walk::stored(const transaction_model::place& at) const {
  const auto& content = model_.tables.at(at.first);
  const auto found = content.find(at.second);
  return found == content.end() ? std::nullopt : std::optional{found->second};
}

std::map<std::string, std::string> model_walk::part_of(const std::string& table, const std::string& first,
                                                       const std::string& beyond) const {
  const auto& content = model_.tables.at(table);
  if (beyond <= first) return {};
  return {content.lower_bound(first), content.lower_bound(beyond)};
}

void model_walk::write_table() {
  const auto at = some_table_place();
  if (one_in(8) || (!model_.tables.contains(at.first) && one_in(2))) {
    note("declare {}", at.first);
    require_outcome(bus_->declare_table(at.first), {}, last());
    model_.tables.try_emplace(at.first);
    return;
  }
  if (transactions_.empty() && one_in(20)) {
    note("delete {}", at.first);
    const bool known = model_.tables.erase(at.first) > 0;
    require_outcome(bus_->delete_table(at.first), known ? std::nullopt : std::optional{errc::unknown_table},
                    last());
    return;
  }
  const bool erases = one_in(4);
  note("{} {} of {}", erases ? "erase" : "put", at.second, at.first);
  const bool known = model_.tables.contains(at.first);
  const auto into = bus_->table(at.first);
  if (!require_outcome(into, known ? std::nullopt : std::optional{errc::unknown_table}, last())) return;
  auto& content = model_.tables.at(at.first);
  if (erases) {
    require_equal(ok(into->erase(at.second)), content.erase(at.second) > 0, last());
  } else {
    const std::string value = some_table_value();
    require_outcome(into->put(at.second, value), {}, last());
    content[at.second] = value;
  }
}

void model_walk::read_table() {
  const auto at = some_table_place();
  note("get {} of {}", at.second, at.first);
  if (!model_.tables.contains(at.first)) return;
  require_equal(ok(ok(bus_->table(at.first)).get(at.second)), stored(at), last());
}

// What a transaction does

void model_walk::take_handles() {
  topic_handles_.clear();
  table_handles_.clear();
  for (const auto& log : model_.logs) {
    if (!log.second.exchange) topic_handles_.emplace(log.first, ok(bus_->topic(log.first)));
  }
  for (const auto& t : model_.tables) table_handles_.emplace(t.first, ok(bus_->table(t.first)));
}

void model_walk::step_of(transaction& t, transaction_model& m) {
  if (m.doomed) {
    require_outcome(t.publish("topic0", record{"too late"}), errc::conflict, last());
    return;
  }
  const std::uint32_t what = below(10);
  if (what < 3) return publish_in(t, m);
  if (what < 5) return send_offsets_in(t, m);
  if (model_.tables.empty()) return;
  if (what < 7) return read_in(t, m);
  write_in(t, m);
}

void model_walk::publish_in(transaction& t, transaction_model& m) {
  sent_record sent;
  sent.routed = one_in(3);
  sent.log = sent.routed ? exchange_name() : topic_name();
  if (sent.routed) sent.routing_key = key_of_words(false);
  auto made = some_record(sent.routing_key);
  sent.text = std::move(made.second);
  const auto log = model_.logs.find(sent.log);
  const bool known = log != model_.logs.end() && log->second.exchange.has_value() == sent.routed;
  std::optional<errc> expected;
  if (!known) expected = sent.routed ? errc::unknown_exchange : errc::unknown_topic;
  result<void> got{};
  if (sent.routed) {
    got = t.publish(sent.log, sent.routing_key, made.first);
  } else if (known && one_in(2)) {
    sent.partition = below(4);
    if (*sent.partition >= log->second.size()) expected = errc::unknown_partition;
    got = t.publish(topic_handles_.at(sent.log), partition_id{*sent.partition}, made.first);
  } else {
    if (made.first.key() && known) {
      sent.partition = partition_for_key(*made.first.key(), log->second.size()).value();
    }
    got = t.publish(sent.log, made.first);
  }
  note("  it publishes to {}: {:.60}", sent.log, sent.text);
  if (require_outcome(got, expected, last())) {
    m.records.push_back(std::move(sent));
  } else {
    note_sent(publisher, {sent.log, partition_id{}}, sent.text, {});
  }
}

void model_walk::send_offsets_in(transaction& t, transaction_model& m) {
  if (members_.empty()) return;
  member_handle& who = members_[below_size(members_)];
  const auto& owned = modelled(who).owned;
  m.members.emplace(who.group, who.id);
  if (one_in(2)) {
    note("  it sends the offsets of {} of {}", who.id, who.group);
    require_outcome(t.send_offsets(who.reader), {}, last());
    for (const auto& p : owned) {
      if (p.second) m.offsets.push_back({who.group, who.id, p.first, *p.second});
    }
    return;
  }
  topic_partition where = some_place();
  if (!owned.empty() && !one_in(4)) {
    where = std::next(owned.begin(), static_cast<std::ptrdiff_t>(below_size(owned)))->first;
  }
  const bool owns = owned.contains(where);
  const std::uint64_t end = owns ? model_.logs.at(where.topic).end(where.partition.value()) : 0;
  const std::uint64_t next = below(static_cast<std::uint32_t>(end) + 2);
  note("  it sends offset {} of {} of {} in {} partition {}", next, who.id, who.group, where.topic,
       where.partition.value());
  std::optional<errc> expected;
  if (!owns) {
    expected = errc::not_assigned;
  } else if (next > end) {
    expected = errc::offset_out_of_range;
  }
  if (require_outcome(t.send_offsets(who.reader, where, offset{next}), expected, last())) {
    m.offsets.push_back({who.group, who.id, where, next});
  }
}

bool model_walk::outdated(const transaction_model& m) const {
  return std::any_of(m.read.begin(), m.read.end(),
                     [this](const auto& read) { return stored(read.first) != read.second; }) ||
         std::any_of(m.scanned.begin(), m.scanned.end(), [this](const scanned_range& seen) {
           return part_of(seen.table, seen.first, seen.beyond) != seen.content;
         });
}

std::optional<std::string> model_walk::seen_by(const transaction_model& m,
                                               const transaction_model::place& at) const {
  const auto own = m.written.find(at);
  return own == m.written.end() ? stored(at) : own->second;
}

bool model_walk::may_read(transaction_model& m, const transaction_model::place& at) const {
  if (!m.collects || m.written.contains(at)) return true;
  if (outdated(m)) {
    m.doomed = true;
    return false;
  }
  m.read.emplace(at, stored(at));
  return true;
}

void model_walk::read_in(transaction& t, transaction_model& m) {
  const auto at = some_table_place();
  if (!model_.tables.contains(at.first)) return;
  if (one_in(3)) return scan_in(t, m, at.first);
  note("  it gets {} of {}", at.second, at.first);
  const bool may = may_read(m, at);
  const auto got = t.get(table_handles_.at(at.first), at.second);
  if (!require_outcome(got, may ? std::nullopt : std::optional{errc::conflict}, last())) return;
  require_equal(*got, seen_by(m, at), last());
}

void model_walk::scan_in(transaction& t, transaction_model& m, const std::string& table) {
  const std::string first = name("k", 5);
  const std::string beyond = name("k", 6);
  scan_options o;
  o.reverse = one_in(3);
  note("  it scans {} from {} to {}{}", table, first, beyond, o.reverse ? " in reverse" : "");
  m.doomed = m.collects && outdated(m);
  const auto got = t.scan(table_handles_.at(table), key_range::between(first, beyond), o);
  if (!require_outcome(got, m.doomed ? std::optional{errc::conflict} : std::nullopt, last())) return;
  auto expected = part_of(table, first, beyond);
  if (m.collects) m.scanned.push_back({table, first, beyond, expected});
  for (const auto& w : m.written) {
    if (w.first.first != table || w.first.second < first || w.first.second >= beyond) continue;
    expected.erase(w.first.second);
    if (w.second) expected.emplace(w.first.second, *w.second);
  }
  std::vector<std::pair<std::string, std::string>> in_order(expected.begin(), expected.end());
  if (o.reverse) std::reverse(in_order.begin(), in_order.end());
  std::vector<std::pair<std::string, std::string>> seen;
  for (const auto& entry : *got) seen.emplace_back(entry.key.string(0).value_or("no string"), entry.value);
  require_equal(seen, in_order, last());
}

void model_walk::write_in(transaction& t, transaction_model& m) {
  const auto at = some_table_place();
  if (!model_.tables.contains(at.first)) return;
  if (one_in(4)) return erase_in(t, m, at);
  const std::string value = some_table_value();
  note("  it puts {} into {}", at.second, at.first);
  require_outcome(t.put(table_handles_.at(at.first), at.second, value), {}, last());
  m.written[at] = value;
}

void model_walk::erase_in(transaction& t, transaction_model& m, const transaction_model::place& at) {
  note("  it erases {} of {}", at.second, at.first);
  const bool may = may_read(m, at);
  const auto got = t.erase(table_handles_.at(at.first), at.second);
  if (!require_outcome(got, may ? std::nullopt : std::optional{errc::conflict}, last())) return;
  require_equal(*got, seen_by(m, at).has_value(), last());
  m.written[at] = std::nullopt;
}

// How it ends

std::optional<errc> model_walk::obstacle(const transaction_model& m) const {
  if (m.doomed || outdated(m)) return errc::conflict;
  for (const auto& o : m.offsets) {
    const model_member& who = model_.groups.at(o.group).members.at(o.member);
    if (!who.owned.contains(o.where) && !who.granted.contains(o.where)) return errc::not_assigned;
  }
  return {};
}

void model_walk::committed(kafka_history::process who, const transaction_model& m,
                           const transaction_receipt& receipt) {
  ++counts_.transactions;
  require_equal(receipt.published.size(), m.records.size(), last() + ": receipts");
  std::map<topic_partition, std::vector<kafka_history::message>> sent;
  auto next = receipt.published.begin();
  for (const auto& r : m.records) {
    const publish_receipt& got = *next++;
    model_log& log = model_.logs.at(r.log);
    const std::uint32_t p = got.partition.value();
    require_equal(got.topic, r.log, last());
    require(p < log.size() && (!r.partition || p == *r.partition), last() + ": partition");
    require_equal(got.offset.value(), log.end(p), last() + ": offset");
    require_equal(got.time, now(), last() + ": time");
    if (r.routed) require_equal(got.partition, partition_for_key(r.routing_key, log.size()), last());
    const auto queues = r.routed ? model_.routes(r.log, r.routing_key) : std::set<std::string>{};
    require_equal(got.routed, queues.size(), last() + ": routed");
    for (const auto& queue : queues) {
      model_.queues.at(queue).entries.push_back(
          {r.log, p, log.end(p), model_entry::state::ready, false, false});
    }
    sent[{r.log, got.partition}].push_back({value_of(r.text), log.end(p)});
    log.append(p, {r.text, got.time});
  }
  for (auto& s : sent) history_.sent(who, s.first, sending::stored, std::move(s.second));
  for (const auto& o : m.offsets) model_.groups.at(o.group).committed[o.where] = o.next;
  for (const auto& w : m.written) {
    auto& content = model_.tables.at(w.first.first);
    content.erase(w.first.second);
    if (w.second) content.emplace(w.first.second, *w.second);
  }
}

void model_walk::undone(const transaction_model& m) {
  ++counts_.undone;
  for (const auto& r : m.records) note_sent(publisher, {r.log, partition_id{}}, r.text, {});
}

void model_walk::begin() {
  if (transactions_.size() > 3) return commit_transaction();
  note("begin a transaction");
  transactions_.push_back({++processes_, {}, ok(bus_->begin())});
}

void model_walk::go_on() {
  if (transactions_.empty()) return;
  transaction_handle& t = transactions_[below_size(transactions_)];
  note("transaction {} goes on", t.process);
  take_handles();
  for (std::uint32_t i = below(3); i < 3; ++i) step_of(t.under_way, t.done);
}

void model_walk::commit_transaction() {
  if (transactions_.empty()) return;
  const std::size_t which = below_size(transactions_);
  transaction_handle t = std::move(transactions_[which]);
  erase_index(transactions_, which);
  note("transaction {} commits", t.process);
  const auto expected = obstacle(t.done);
  counts_.conflicts += expected == errc::conflict ? 1 : 0;
  counts_.not_assigned += expected == errc::not_assigned ? 1 : 0;
  const auto got = t.under_way.commit();
  if (require_outcome(got, expected, last())) {
    committed(t.process, t.done, *got);
  } else {
    undone(t.done);
  }
}

void model_walk::abort_transaction() {
  if (!transactions_.empty()) abort_at(below_size(transactions_));
}

void model_walk::abort_at(std::size_t which) {
  transaction_handle& t = transactions_[which];
  note("transaction {} is undone", t.process);
  undone(t.done);
  if (one_in(2)) t.under_way.abort();
  erase_index(transactions_, which);
}

void model_walk::abort_transactions_of(const member_handle& m) {
  for (std::size_t i = transactions_.size(); i-- > 0;) {
    if (transactions_[i].done.members.contains({m.group, m.id})) abort_at(i);
  }
}

void model_walk::transact() {
  enum class ending { commit, error, exception, abort };
  static constexpr ending endings[] = {ending::commit, ending::commit, ending::commit,    ending::commit,
                                       ending::commit, ending::error,  ending::exception, ending::abort};
  const ending how = endings[below(8)];
  note("a function runs in a commit, ending {}", static_cast<int>(how));
  take_handles();
  transaction_model m;
  m.collects = false;
  const auto function = [&](transaction& t) -> result<void> {
    for (std::uint32_t i = below(8); i < 8; ++i) step_of(t, m);
    if (how == ending::error) return error{errc::unroutable, "the host says no"};
    if (how == ending::exception) throw host_exception{};
    if (how == ending::abort) t.abort();
    return {};
  };
  try {
    const auto got = bus_->transact(function);
    require(how != ending::exception, last() + ": the exception is lost");
    std::optional<errc> expected;
    if (how == ending::error) expected = errc::unroutable;
    if (how == ending::abort) expected = errc::operation_aborted;
    if (require_outcome(got, expected, last())) return committed(++processes_, m, *got);
  } catch (const host_exception&) {
    require(how == ending::exception, last() + ": an exception from nowhere");
  }
  undone(m);
}

}  // namespace levada::test
