#include "model_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>

#include <support/result_testing.hpp>

namespace levada::test {

void model_walk::run(std::uint64_t steps) {
  for (std::uint64_t i = 0; i < steps; ++i) step();
  trail_.add("end");
  compare_listings();
  drain_queues();
  while (!transactions_.empty()) abort_at(0);
  read_everything();
  close();
  const auto report = ok(check_store(store()));
  for (const auto& problem : report.problems) throw disagreement{problem.where + ": " + problem.what};
  require_equal(report.records, records_stored(), "records in the store");
  if (const auto found = anomalies_in(history_); !found.empty()) throw disagreement{to_text(found)};
}

std::string model_walk::queue_name() {
  return !anonymous_.empty() && one_in(4) ? anonymous_[below_size(anonymous_)].name() : name("queue", 3);
}

std::string model_walk::key_of_words(bool wildcards) {
  static const char* const choice[] = {"a", "b", "a", "b", "", "*", "#", "#"};
  std::string key;
  const std::uint32_t words = below(4);
  for (std::uint32_t i = 0; i < words; ++i) {
    if (i > 0) key += '.';
    key += choice[below(wildcards ? 8 : 5)];
  }
  return key;
}

std::string model_walk::some_value() {
  static constexpr std::size_t sizes[] = {0, 8, 900, 1904, 1905, 4000, 12'000};
  return fmt::format("{}{}", ++values_, std::string(one_in(8) ? sizes[below(7)] : below(40), 'v'));
}

std::pair<record, std::string> model_walk::some_record(const std::string& routing_key) {
  record r;
  std::optional<std::string> key;
  std::optional<std::string> value = some_value();
  std::string note;
  if (one_in(2)) key = fmt::format("key{}", below(20));
  if (key && one_in(6)) {
    r = record::tombstone(*key);
    note = *value;  // which tells it from all others
    value.reset();
  } else {
    if (key) r.key(*key);
    r.value(*value);
    if (one_in(5)) note = fmt::format("note{}", below(100));
  }
  if (!note.empty()) r.header("note", note);
  return {std::move(r), text_of(key, value, routing_key, note)};
}

start_position model_walk::some_start(const model_log* log, std::optional<std::uint32_t> partition) {
  switch (below(4)) {
    case 0:
      return from_earliest{};
    case 1:
      return from_latest{};
    case 2: {
      const std::uint64_t end =
          log != nullptr && partition && *partition < log->size() ? log->end(*partition) : 3;
      return offset{below(static_cast<std::uint32_t>(end) + 2)};
    }
    default:
      return clock_->wall() - std::chrono::microseconds{below(20'000)};
  }
}

topic_partition model_walk::some_place() {
  const std::string topic = one_in(2) ? name("topic", 3) : name("exchange", 2);
  return {topic, partition_id{below(4)}};
}

void model_walk::open() {
  bus_options o;
  o.clock = clock_;
  o.maintenance = maintenance_mode::on_call;
  o.journal_bytes_seal = 0;
  o.segment_bytes_min = 8192;
  bus_.emplace(ok(bus::open(store(), o)));
  opened_wall_ = clock_->wall();
  opened_steady_ = clock_->steady();
  newest_at_open_ = sealed_at_;
  for (const auto& log : model_.logs) {
    for (const auto& p : log.second.partitions) {
      if (!p.empty()) newest_at_open_ = std::max(newest_at_open_, p.back().time);
    }
  }
}

timestamp model_walk::now() const {
  using std::chrono::microseconds;
  const auto elapsed = std::chrono::duration_cast<microseconds>(clock_->steady() - opened_steady_);
  return std::max(opened_wall_ + elapsed, newest_at_open_);
}

void model_walk::close() {
  const bool outlived = one_in(2);
  while (!outlived && !transactions_.empty()) abort_at(0);
  if (!outlived) {
    takers_.clear();
    for (const auto& m : members_) model_.leave(model_.groups.at(m.group), m.id);
    members_.clear();
    anonymous_.clear();
    ok(bus_->close());
  } else {
    ok(bus_->close());
    for (auto& t : takers_) require_outcome(t.taker.receive(at_once), errc::closed, "receive after close");
    for (auto& m : members_) require_outcome(m.reader.poll(at_once), errc::closed, "poll after close");
    require_outcome(bus_->publish("topic0", record{"v"}), errc::closed, "publish after close");
    for (auto& t : transactions_) {
      require_outcome(t.under_way.commit(), t.done.doomed ? errc::conflict : errc::closed,
                      "commit of a transaction after close");
    }
  }
  forget_handles(false);
}

void model_walk::forget_handles(bool died) {
  while (!transactions_.empty()) abort_at(0);
  takers_.clear();
  members_.clear();
  anonymous_.clear();
  bus_.reset();
  for (auto& g : model_.groups) g.second.members.clear();
  for (auto i = model_.queues.begin(); i != model_.queues.end();) {
    const std::string queue = i->first;
    const bool goes = i->second.exclusive;
    for (auto& e : i->second.entries) {
      if (e.now == model_entry::state::delivered) e.now = model_entry::state::ready;
      if (died) e.perhaps_seen = true;
    }
    ++i;
    if (goes) model_.erase_queue(queue);
  }
}

void model_walk::seal() {
  note("seal");
  const timestamp at = now();
  ok(bus_->maintain());
  if (records_stored() > sealed_) sealed_at_ = at;
  sealed_ = records_stored();
}

std::uint64_t model_walk::records_stored() const {
  std::uint64_t records = 0;
  for (const auto& log : model_.logs) records += log.second.committed_order.size();
  return records;
}

void model_walk::step() {
  ++counts_.operations;
  const std::uint32_t what = below(300);
  if (what < 6) return declare_topic();
  if (what < 10) return declare_exchange();
  if (what < 15) return declare_queue();
  if (what < 17) return declare_anonymous_queue();
  if (what < 19) return delete_queue();
  if (what < 30) return bind();
  if (what < 34) return unbind();
  if (what < 50) return publish();
  if (what < 60) return publish_batch();
  if (what < 80) return publish_to_exchange();
  if (what < 94) return join();
  if (what < 100) return leave();
  if (what < 140) return poll();
  if (what < 147) return commit();
  if (what < 151) return commit_one();
  if (what < 158) return seek();
  if (what < 161) return ask_positions();
  if (what < 164) return pause();
  if (what < 172) return consume();
  if (what < 174) return stop_consuming();
  if (what < 196) return receive();
  if (what < 208) return settle();
  if (what < 212) return replay_some();
  if (what < 216) return move_time();
  if (what < 218) return compare_listings();
  if (what < 221) return seal();
  if (what < 222) return reopen();
  if (what < 223) return crash();
  if (what < 233) return write_table();
  if (what < 237) return read_table();
  if (what < 247) return begin();
  if (what < 277) return go_on();
  if (what < 283) return commit_transaction();
  if (what < 285) return abort_transaction();
  transact();
}

void model_walk::move_time() {
  if (one_in(10)) {
    note("the wall clock jumps");
    clock_->set_wall(clock_->wall() + std::chrono::seconds{below(20)} - std::chrono::seconds{10});
    return;
  }
  note("time passes");
  clock_->advance(std::chrono::microseconds{below(5000)});
}

void model_walk::reopen() {
  note("close and open again");
  close();
  if (one_in(3)) clock_->advance(std::chrono::microseconds{below(5000)});
  open();
  compare_listings();
}

void model_walk::crash() {
  note("crash and open again");
  const auto left = directory_ / fmt::format("store{}", crashes_ + 1);
  std::filesystem::copy(store(), left, std::filesystem::copy_options::recursive);
  std::filesystem::permissions(left, std::filesystem::perms::owner_all);
  const auto dead = store();
  forget_handles(true);
  std::filesystem::remove_all(dead);
  ++crashes_;
  ++counts_.crashes;
  if (one_in(3)) clock_->advance(std::chrono::microseconds{below(5000)});
  open();
  compare_listings();
}

std::string to_text(const walk_counts& c) {
  return fmt::format(
      "{} operations; {} records polled, {} partitions handed over, {} crashes; {} transactions committed, "
      "{} "
      "undone, {} conflicts, {} without their partitions\n",
      c.operations, c.polled, c.handed_over, c.crashes, c.transactions, c.undone, c.conflicts,
      c.not_assigned);
}

std::string walk_once(std::uint32_t seed, std::uint64_t steps, walk_counts& counts) {
  model_walk one{seed, counts};
  try {
    one.run(steps);
  } catch (const std::exception& e) {
    return fmt::format("{}\nThe latest operations:{}", e.what(), one.latest_operations());
  }
  return {};
}

std::uint64_t model_walk::value_of(const std::string& text) {
  return numbers_.try_emplace(text, numbers_.size()).first->second;
}

void model_walk::note_sent(kafka_history::process who, const topic_partition& log, const std::string& text,
                           std::optional<std::uint64_t> offset) {
  history_.sent(who, log, offset ? sending::stored : sending::undone, {{value_of(text), offset}});
}

}  // namespace levada::test
