#include "stress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>
#include <levada/levada.hpp>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include "kafka_invariants.hpp"

namespace levada::test {
namespace {

using namespace std::chrono_literals;
using boost::asio::use_future;

constexpr int accounts = 4;
constexpr std::int64_t sum_of_accounts = 400;
/// Marks the value of a record that was moved.
constexpr std::uint64_t moved_bit = std::uint64_t{1} << 62;

std::uint64_t value_of(const record_view& r) {
  std::uint64_t value = 0;
  const std::string_view text = r.value();
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// What a call has come to. `over` is for a bus that is closed.
enum class verdict { done, refused, over };

class stress_run {
 public:
  explicit stress_run(const stress_options& options) : options_{options} {}

  stress_summary run() {
    set_up();
    {
      std::vector<std::jthread> threads;
      const auto start = [&](void (stress_run::*work)(worker&)) {
        threads.emplace_back([this, work, seed = options_.seed * 100 + threads.size()] { live(work, seed); });
      };
      start(&stress_run::publish);
      start(&stress_run::publish_without_waiting);
      start(&stress_run::be_a_member);
      start(&stress_run::be_a_member);
      start(&stress_run::move_and_pay);
      start(&stress_run::declare_and_delete);
      start(&stress_run::subscribe);
      live(&stress_run::keep_up, options_.seed * 100 + 99);
      if (const auto closed = bus_->close(); !closed) violated("close: " + closed.error().message());
    }
    bus_.reset();
    check();
    return std::move(summary_);
  }

 private:
  /// What a thread has of its own, until it ends.
  struct worker {
    std::mt19937_64 random;
    kafka_history history;
    stress_summary counts;

    std::uint64_t below(std::uint64_t n) { return random() % n; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
    template <class Container>
    const auto& any(const Container& of) {
      return of[below(std::size(of))];
    }
  };

  [[nodiscard]] bus_options settings() const {
    bus_options o;
    o.journal_bytes_seal = std::size_t{256} << 10;
    o.segment_bytes_min = std::size_t{64} << 10;
    if (options_.seed % 2 == 0) o.durability = checkpointed{10ms};
    return o;
  }

  void set_up() {
    bus_.emplace(ok(bus::open(store_, settings())));
    topics_.push_back(ok(bus_->declare_topic("orders", {.partitions = 4})));
    topics_.push_back(ok(bus_->declare_topic("payments", {.partitions = 2})));
    topics_.push_back(ok(bus_->declare_topic("moved", {.partitions = 2})));
    invoices_.emplace(ok(bus_->declare_topic("invoices")));
    table_.emplace(ok(bus_->declare_table("accounts")));
    for (int i = 0; i < accounts; ++i) ok(table_->put(i, std::to_string(sum_of_accounts / accounts)));
    ok(table_->put("moved", "0"));
    ok(bus_->declare_exchange("events"));
  }

  void live(void (stress_run::*work)(worker&), std::uint64_t seed) {
    worker w{std::mt19937_64{seed}, {}, {}};
    try {
      (this->*work)(w);
    } catch (const std::exception& e) {
      violated(fmt::format("an exception: {}", e.what()));
    }
    const std::lock_guard guard{mutex_};
    history_.merge(std::move(w.history));
    add(w.counts);
  }
  void add(const stress_summary& s) {
    summary_.published += s.published;
    summary_.polled += s.polled;
    summary_.lives_of_members += s.lives_of_members;
    summary_.handled += s.handled;
    summary_.moved += s.moved;
    summary_.transactions += s.transactions;
    summary_.conflicts += s.conflicts;
    summary_.topics_deleted += s.topics_deleted;
    summary_.maintenance += s.maintenance;
  }
  void violated(std::string what) {
    const std::lock_guard guard{mutex_};
    if (summary_.violations.size() < 50) summary_.violations.push_back(std::move(what));
  }

  template <class Result>
  verdict judge(const Result& got, const char* call, std::initializer_list<errc> may_be = {}) {
    if (got) return verdict::done;
    const errc code = got.error().code();
    if (code == errc::closed || code == errc::operation_aborted) return verdict::over;
    if (std::find(may_be.begin(), may_be.end(), code) == may_be.end()) {
      violated(fmt::format("{}: {}", call, got.error().message()));
    }
    return verdict::refused;
  }

  kafka_history::process new_process() { return ++processes_; }
  std::uint64_t new_value() { return ++values_; }
  static record some_record(worker& w, std::uint64_t value) {
    record r{std::to_string(value) + std::string(1 + w.below(100), ' ')};
    if (!w.one_in(3)) r.key(fmt::format("key{}", w.below(50)));
    return r;
  }

  // Publishing

  void publish(worker& w) {
    const auto me = new_process();
    for (;;) {
      const topic& to = topics_[w.below(2)];
      if (w.one_in(4)) {
        if (!publish_batch_to(w, me, to)) return;
        continue;
      }
      const std::uint64_t value = new_value();
      const auto got = to.publish(some_record(w, value));
      if (!note_sent(w, me, to, value, got, judge(got, "publish"))) return;
    }
  }
  bool publish_batch_to(worker& w, kafka_history::process me, const topic& to) {
    auto batch = to.make_batch();
    std::map<partition_id, std::vector<kafka_history::message>> sent;
    for (auto left = 1 + w.below(30); left > 0; --left) {
      const std::uint64_t value = new_value();
      sent[ok(batch.add(some_record(w, value))).partition].push_back({value, {}});
    }
    const auto got = to.publish(batch);
    const auto how = judge(got, "publish batch");
    for (auto& run : sent) {
      if (got) {
        const auto range = std::find_if(got->ranges.begin(), got->ranges.end(),
                                        [&](const auto& r) { return r.partition == run.first; });
        std::uint64_t next = range->base_offset.value();
        for (auto& m : run.second) m.offset = next++;
        w.counts.published += run.second.size();
      }
      w.history.sent(me, {to.name(), run.first}, got ? sending::stored : sending::undone,
                     std::move(run.second));
    }
    return how != verdict::over;
  }
  /// Returns whether to go on.
  static bool note_sent(worker& w, kafka_history::process me, const topic& to, std::uint64_t value,
                        const result<publish_receipt>& got, verdict how) {
    if (got) {
      ++w.counts.published;
      w.history.sent(me, {to.name(), got->partition}, sending::stored, {{value, got->offset.value()}});
    } else {
      w.history.sent(me, {to.name(), partition_id{}}, sending::undone, {{value, {}}});
    }
    return how != verdict::over;
  }

  void publish_without_waiting(worker& w) {
    const auto ids = {"", "first", "second"};
    for (;;) {
      const auto how = w.below(3);
      if (how == 0) {
        if (!publish_asynchronously(w)) return;
        continue;
      }
      producer_options o;
      o.id = *(ids.begin() + static_cast<std::ptrdiff_t>(w.below(3)));
      o.linger = std::chrono::microseconds{w.below(500)};
      auto made = bus_->make_producer("invoices", o);
      if (judge(made, "make producer") == verdict::over) return;
      if (!made) continue;
      if (!(how == 1 ? send_asynchronously(w, *made) : send_and_flush(w, *made))) return;
    }
  }
  using sent_future = std::pair<std::uint64_t, std::future<result<publish_receipt>>>;
  bool note_all(worker& w, const topic& to, std::vector<sent_future>& sent, const char* call,
                std::initializer_list<errc> may_be = {}) {
    const auto me = new_process();
    bool goes_on = true;
    for (auto& s : sent) {
      const auto got = s.second.get();
      goes_on = note_sent(w, me, to, s.first, got, judge(got, call, may_be)) && goes_on;
    }
    return goes_on;
  }
  bool publish_asynchronously(worker& w) {
    const topic& to = topics_[w.below(2)];
    std::vector<sent_future> sent;
    for (auto left = 1 + w.below(60); left > 0; --left) {
      const std::uint64_t value = new_value();
      sent.emplace_back(value, to.async_publish(some_record(w, value), use_future));
    }
    return note_all(w, to, sent, "async_publish");
  }
  bool send_asynchronously(worker& w, producer& by) {
    std::vector<sent_future> sent;
    for (auto left = 1 + w.below(60); left > 0; --left) {
      const std::uint64_t value = new_value();
      sent.emplace_back(value, by.async_send(some_record(w, value), use_future));
    }
    judge(by.flush(), "flush");
    return note_all(w, *invoices_, sent, "async_send");
  }
  bool send_and_flush(worker& w, producer& by) {
    std::vector<kafka_history::message> sent;
    verdict how = verdict::done;
    for (auto left = 1 + w.below(60); left > 0 && how != verdict::over; --left) {
      const std::uint64_t value = new_value();
      how = judge(by.send(some_record(w, value)), "send");
      if (how == verdict::done) sent.push_back({value, {}});
    }
    if (how == verdict::done) how = judge(by.flush(), "flush");
    if (how == verdict::done) w.counts.published += sent.size();
    w.history.sent(new_process(), {"invoices", partition_id{}},
                   how == verdict::done ? sending::stored : sending::unknown, std::move(sent));
    return how != verdict::over;
  }

  // Groups

  void be_a_member(worker& w) {
    for (;;) {
      const auto me = new_process();
      consumer_options o;
      o.reset = offset_reset::earliest;
      o.poll_records_max = 1 + w.below(300);
      if (w.one_in(3)) o.auto_commit = 0ms;
      o.on_assigned = [&w, me](new_assignment& a) {
        for (const auto& where : a.partitions()) w.history.repositioned(me, where);
      };
      if (w.one_in(2)) o.on_revoked = [](revocation& r) { r.commit_positions(); };
      const bool transient = w.one_in(4);
      auto got = transient ? bus_->join("transients", transient_topics_, o)
                           : bus_->join("readers", {"orders", "payments", "invoices", "moved"}, o);
      if (judge(got, "join") == verdict::over) return;
      if (!got) continue;
      ++w.counts.lives_of_members;
      for (auto left = w.below(40); left > 0; --left) {
        if (!poll_once(w, me, *got, transient)) return;
      }
    }
  }
  bool poll_once(worker& w, kafka_history::process me, consumer& c, bool transient) {
    const auto batch = c.poll(1ms);
    if (const auto how = judge(batch, "poll"); how != verdict::done) return how != verdict::over;
    if (!transient) {
      w.history.polled(me, *batch, value_of);
      w.counts.polled += batch->size();
    }
    if (w.one_in(3) && judge(c.commit(), "commit", {errc::unknown_topic}) == verdict::over) return false;
    const auto owned = c.assignment();
    if (owned.empty() || !w.one_in(10)) return true;
    const std::vector<topic_partition> one{w.any(owned)};
    switch (w.below(3)) {
      case 0:
        return judge(c.pause(one), "pause", {errc::not_assigned}) != verdict::over;
      case 1:
        return judge(c.resume(one), "resume", {errc::not_assigned}) != verdict::over;
      default: {
        if (!w.one_in(10)) return true;
        const auto to = w.one_in(2) ? start_position{from_earliest{}} : start_position{from_latest{}};
        const auto how = judge(c.seek(one[0], to), "seek", {errc::not_assigned, errc::unknown_topic});
        if (how == verdict::done) w.history.repositioned(me, one[0]);
        return how != verdict::over;
      }
    }
  }

  // Transactions

  static result<void> pay(transaction& t, const table& accounts_table, int from, int to) {
    for (const auto& [account, change] : {std::pair{from, -1}, std::pair{to, 1}}) {
      const auto before = t.get(accounts_table, account);
      if (!before) return before.error();
      auto put = t.put(accounts_table, account, std::to_string(std::stoll(before->value()) + change));
      if (!put) return put;
    }
    return {};
  }
  static int some_account(worker& w) { return static_cast<int>(w.below(accounts)); }
  /// With a transaction that collects; returns whether to go on.
  bool pay_once(worker& w) {
    auto t = bus_->begin();
    if (!t) return judge(t, "begin") != verdict::over;
    const int from = some_account(w);
    const int to = some_account(w);
    const auto paid = pay(*t, *table_, from, to);
    const auto how = paid ? judge(t->commit(), "commit transaction", {errc::conflict})
                          : judge(paid, "pay", {errc::conflict});
    if (how == verdict::done) ++w.counts.transactions;
    if (how == verdict::refused) ++w.counts.conflicts;
    return how != verdict::over;
  }

  void move_and_pay(worker& w) {
    const auto me = new_process();
    const auto reading = new_process();
    consumer_options o;
    o.reset = offset_reset::earliest;
    o.poll_records_max = 50;
    auto from = bus_->join("movers", {"orders"}, o);
    if (judge(from, "join") != verdict::done) return;
    for (;;) {
      if (w.one_in(2) && !pay_once(w)) return;
      const auto batch = from->poll(1ms);
      if (judge(batch, "poll") == verdict::over) return;
      if (!batch || batch->empty()) continue;
      w.history.polled(reading, *batch, value_of);
      for (auto how = verdict::refused; how != verdict::done;) {
        how = move(w, me, *from, *batch);
        if (how == verdict::over) return;
      }
    }
  }
  verdict move(worker& w, kafka_history::process me, consumer& from, const record_batch& batch) {
    const bool fails = w.one_in(8);
    std::vector<std::uint64_t> values;
    const auto function = [&](transaction& t) -> result<void> {
      for (const auto& r : batch) {
        // One that will be undone publishes what must never be seen.
        values.push_back(fails ? new_value() : value_of(r) | moved_bit);
        if (auto sent = t.publish(topics_[2], some_record(w, values.back())); !sent) return sent;
      }
      if (auto sent = t.send_offsets(from); !sent) return sent;
      const auto before = t.get(*table_, "moved");
      if (!before) return before.error();
      auto put = t.put(*table_, "moved", std::to_string(std::stoull(before->value()) + batch.size()));
      if (put && fails) return error{errc::unroutable, "it shall fail"};
      return put;
    };
    const auto got = [&]() -> result<transaction_receipt> {
      if (w.one_in(2)) return bus_->transact(function, {.time_max = 60s});
      auto t = bus_->begin();
      if (!t) return t.error();
      if (auto done = function(*t); !done) return done.error();
      return t->commit();
    }();
    const auto how = fails ? judge(got, "move", {errc::unroutable}) : judge(got, "move");
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (got) {
        const publish_receipt& r = got->published.at(i);
        w.history.sent(me, {r.topic, r.partition}, sending::stored, {{values[i], r.offset.value()}});
      } else {
        w.history.sent(me, {"moved", partition_id{}}, sending::undone, {{values[i], {}}});
      }
    }
    if (got) {
      ++w.counts.transactions;
      w.counts.moved += values.size();
    }
    return how;
  }

  // Declaring

  void declare_and_delete(worker& w) {
    for (;;) {
      const std::string name = fmt::format("transient{}", w.below(4));
      auto made = bus_->declare_topic(name, {.partitions = static_cast<std::uint32_t>(1 + w.below(2))});
      if (judge(made, "declare topic", {errc::inequivalent}) == verdict::over) return;
      for (auto left = w.below(5); made && left > 0; --left) {
        if (judge(made->publish(some_record(w, 0)), "publish") == verdict::over) return;
      }
      if (!use_a_queue(w) || !meddle_with_groups(w, name)) return;
      if (w.one_in(3)) {
        const auto how = judge(bus_->delete_topic(name), "delete topic");
        if (how == verdict::over) return;
        if (how == verdict::done) ++w.counts.topics_deleted;
      }
    }
  }
  bool meddle_with_groups(worker& w, const std::string& topic) {
    if (w.one_in(4)) {
      const auto got =
          bus_->reset_offsets("transients", topic, {.to = from_latest{}, .dry_run = w.one_in(2)});
      if (judge(got, "reset offsets", {errc::unknown_group, errc::group_in_use}) == verdict::over)
        return false;
    }
    if (!w.one_in(8)) return true;
    const auto got = bus_->delete_group("transients");
    return judge(got, "delete group", {errc::unknown_group, errc::group_in_use}) != verdict::over;
  }
  bool use_a_queue(worker& w) {
    if (!w.one_in(4)) return true;
    for (const auto& got : {bus_->declare_queue("work"), bus_->bind("events", "work", "#")}) {
      if (judge(got, "declare and bind") == verdict::over) return false;
    }
    {
      auto taker = bus_->consume("work");
      if (judge(taker, "consume") != verdict::done) return false;
      const auto sent = bus_->publish("events", "key", some_record(w, 0));
      if (judge(sent, "publish to an exchange") == verdict::over) return false;
      const auto got = taker->receive(0ms);
      if (judge(got, "receive") == verdict::over) return false;
      if (got && *got && judge(taker->ack((*got)->tag()), "ack") == verdict::over) return false;
    }
    return !w.one_in(4) || judge(bus_->delete_queue("work"), "delete queue") != verdict::over;
  }

  // Subscriptions

  /// What handlers, in their threads, share.
  struct handling {
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t handled = 0;
    std::uint64_t failed = 0;
    kafka_history history;
  };
  void subscribe(worker& w) {
    for (bool goes_on = true; goes_on;) {
      const auto me = new_process();
      handling shared;
      subscription_options o;
      o.consumer.reset = offset_reset::earliest;
      o.consumer.on_assigned = [&shared, me](new_assignment& a) {
        const std::lock_guard guard{shared.mutex};
        for (const auto& where : a.partitions()) shared.history.repositioned(me, where);
      };
      o.workers = 1 + w.below(4);
      o.order = handling_order::partition;
      o.commit_interval = std::chrono::milliseconds{w.below(5)};
      o.records_max = 1 + w.below(500);
      o.retry_delay = 0ms;
      o.on_failed_handling = [](const record_view&, const error&, std::uint32_t) {
        return failed_handling::retry;
      };
      o.on_failure = [this](const error& e) {
        if (e.code() != errc::closed) violated("subscription: " + e.message());
      };
      const record_handler handler = [this, &shared, me](const record_view& r) {
        return handle(shared, me, r);
      };
      {
        auto got = bus_->subscribe("workers", {"orders", "payments"}, handler, o);
        goes_on = judge(got, "subscribe") != verdict::over;
        if (got) {
          const std::uint64_t enough = 1 + w.below(300);
          std::unique_lock lock{shared.mutex};
          while (shared.handled < enough && got->active()) shared.changed.wait_for(lock, 10ms);
        }
      }
      w.counts.handled += shared.handled;
      w.history.merge(std::move(shared.history));
    }
  }
  result<void> handle(handling& shared, kafka_history::process me, const record_view& r) {
    const std::uint64_t value = value_of(r);
    if (value % 16 == 0) {
      const auto paid = bus_->transact(
          [&](transaction& t) {
            return pay(t, *table_, static_cast<int>(value / 16 % accounts),
                       static_cast<int>(value / 64 % accounts));
          },
          {.time_max = 60s});
      if (judge(paid, "transact in a handler") == verdict::over) return paid.error();
    }
    const std::lock_guard guard{shared.mutex};
    // Some fail, and are tried again.
    if (value % 64 == 1 && ++shared.failed % 2 == 1) return error{errc::unroutable, "once more"};
    shared.history.polled(me, {std::string{r.topic()}, r.partition()}, {{value, r.offset().value()}});
    ++shared.handled;
    shared.changed.notify_one();
    return {};
  }

  // Upkeep

  /// Until the time is over.
  void keep_up(worker& w) {
    const auto end = std::chrono::steady_clock::now() + options_.time;
    while (std::chrono::steady_clock::now() < end) {
      switch (w.below(12)) {
        case 0:
        case 1:
          if (judge(bus_->maintain(), "maintain") == verdict::done) ++w.counts.maintenance;
          break;
        case 2:
          judge(bus_->sync(), "sync");
          break;
        case 3:
          judge(bus_->topics(), "topics");
          break;
        case 4:
          judge(bus_->groups(), "groups");
          break;
        case 5:
          judge(bus_->queues(), "queues");
          break;
        case 6:
          judge(bus_->space(), "space");
          break;
        case 7:
          judge(bus_->readers(), "readers");
          break;
        case 8:
          judge(table_->scan({}), "scan");
          break;
        case 9:
          if (!pay_once(w)) return;
          break;
        default:
          judge(bus_->stats(), "stats");
          if (!bus_->health().writable) violated("the bus is not well: " + bus_->health().reason);
      }
    }
  }

  // What must be so in the end

  void check() {
    const auto report = ok(check_store(store_));
    for (const auto& p : report.problems) violated(fmt::format("{}: {}", p.where, p.what));
    bus_.emplace(ok(bus::open(store_, settings())));
    const auto reader = new_process();
    std::uint64_t moved = 0;
    for (const auto* const name : {"orders", "payments", "moved", "invoices"}) {
      auto all = ok(bus_->replay(name, {.until = until_latest{}}));
      for (auto batch = ok(all.next()); !batch.empty(); batch = ok(all.next())) {
        history_.polled(reader, batch, value_of);
        if (name == std::string_view{"moved"}) moved += batch.size();
      }
      const std::uint32_t partitions = partitions_of(name);
      for (std::uint32_t p = 0; p < partitions; ++p) history_.read_to_end({name, partition_id{p}});
    }
    for (const auto& f : anomalies_in(history_)) violated(fmt::format("{}: {}", name_of(f.what), f.text));
    check_tables(moved);
  }
  std::uint32_t partitions_of(const std::string& topic) {
    for (const auto& info : ok(bus_->topics())) {
      if (info.name == topic) return static_cast<std::uint32_t>(info.partitions.size());
    }
    throw std::runtime_error{"topic '" + topic + "' is gone"};
  }
  void check_tables(std::uint64_t moved) {
    const auto t = ok(bus_->table("accounts"));
    std::int64_t sum = 0;
    for (int i = 0; i < accounts; ++i) sum += std::stoll(ok(t.get(i)).value());
    if (sum != sum_of_accounts) violated(fmt::format("the accounts add up to {}", sum));
    const auto counted = std::stoull(ok(t.get("moved")).value());
    std::uint64_t read = 0;
    for (const auto& g : ok(bus_->groups())) {
      if (g.name != "movers") continue;
      for (const auto& p : g.partitions) read += p.committed.value_or(offset{}).value();
    }
    if (counted != moved || read != moved) {
      violated(fmt::format("{} records were moved, {} counted, {} committed", moved, counted, read));
    }
  }

  const stress_options options_;
  temporary_directory directory_;
  const std::filesystem::path store_ = directory_ / "store";
  std::optional<bus> bus_;
  std::vector<topic> topics_;  // orders, payments, and what is moved
  std::optional<topic> invoices_;
  std::optional<table> table_;
  const topic_pattern transient_topics_ = ok(topic_pattern::make("transient.*"));
  std::atomic<std::uint64_t> processes_{0};
  std::atomic<std::uint64_t> values_{0};
  std::mutex mutex_;
  kafka_history history_;
  stress_summary summary_;
};

}  // namespace

stress_summary run_stress(const stress_options& options) {
  return stress_run{options}.run();
}

std::string to_text(const stress_summary& s) {
  std::string text = fmt::format(
      "{} records published, {} polled by {} members, {} handled; {} moved, {} transactions, {} conflicts; "
      "{} "
      "topics deleted, {} times maintained; {} violations\n",
      s.published, s.polled, s.lives_of_members, s.handled, s.moved, s.transactions, s.conflicts,
      s.topics_deleted, s.maintenance, s.violations.size());
  for (const auto& v : s.violations) text += v + "\n";
  return text;
}

}  // namespace levada::test
