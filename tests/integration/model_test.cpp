// Random operations on a bus and on a plain model of it, whose answers must agree. LEVADA_MODEL_SEEDS sets
// how many walks are made, LEVADA_MODEL_FIRST_SEED which comes first: to repeat one that failed.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include <levada/levada.hpp>

#include "model.hpp"

namespace levada::test {
namespace {

using namespace std::chrono_literals;
constexpr std::chrono::milliseconds at_once{0};

/// What disagrees. Thrown, so that a walk ends where it went wrong.
struct disagreement : std::runtime_error {
  using std::runtime_error::runtime_error;
};
void require(bool holds, const std::string& what) {
  if (!holds) throw disagreement{what};
}
template <class T, class U>
void require_equal(const T& got, const U& expected, const std::string& what) {
  if (got == expected) return;
  throw disagreement{fmt::format("{}: got {}, expected {}", what, ::testing::PrintToString(got),
                                 ::testing::PrintToString(expected))};
}
/// `expected` is the error, or nothing for success. Returns whether it succeeded.
template <class Result>
bool require_outcome(const Result& got, std::optional<errc> expected, const std::string& what) {
  if (!expected) {
    if (!got) throw disagreement{fmt::format("{}: failed: {}", what, got.error().message())};
    return true;
  }
  require(!got, what + ": succeeded, a failure was expected");
  require(got.error().code() == *expected,
          fmt::format("{}: failed with another error: {}", what, got.error().message()));
  return false;
}

class walk {
 public:
  explicit walk(std::uint32_t seed) : random_{seed} { open(); }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    trail_.emplace_back("end");
    compare_listings();
    drain_queues();
    close();
    const auto report = ok(check_store(store()));
    for (const auto& problem : report.problems) throw disagreement{problem.where + ": " + problem.what};
    require_equal(report.records, records_stored(), "records in the store");
  }
  /// The latest operations.
  [[nodiscard]] std::string trail() const {
    std::string all;
    for (const auto& what : trail_) all += "\n  " + what;
    return all;
  }

 private:
  struct member_handle {
    std::string group;
    std::string id;
    std::size_t records_max = 0;
    consumer reader;
  };
  struct taker_handle {
    std::string queue;
    std::uint32_t prefetch = 0;
    /// Whether it has been the queue's only consumer since it came: then it gets the queue's exact order.
    /// Several fetch ahead, so that which of them gets a message is not defined.
    bool alone = true;
    bool closed = false;  // with its queue
    std::uint64_t last_tag = 0;
    std::map<std::uint64_t, std::size_t> unsettled;  // positions by tag
    queue_consumer taker;
  };

  // Choices

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  std::string name(const char* kind, std::uint32_t many) { return fmt::format("{}{}", kind, below(many)); }
  std::string topic_name() { return one_in(12) ? name("exchange", 2) : name("topic", 3); }
  std::string exchange_name() { return one_in(12) ? name("topic", 3) : name("exchange", 2); }
  std::string queue_name() {
    return !anonymous_.empty() && one_in(4) ? anonymous_[below_size(anonymous_)].name() : name("queue", 3);
  }
  template <class Container>
  std::size_t below_size(const Container& c) {
    return below(static_cast<std::uint32_t>(c.size()));
  }
  std::string key_of_words(bool wildcards) {
    static const char* const choice[] = {"a", "b", "a", "b", "", "*", "#", "#"};
    std::string key;
    const std::uint32_t words = below(4);
    for (std::uint32_t i = 0; i < words; ++i) {
      if (i > 0) key += '.';
      key += choice[below(wildcards ? 8 : 5)];
    }
    return key;
  }
  std::string some_value() {
    static constexpr std::size_t sizes[] = {0, 8, 900, 1904, 1905, 4000, 12'000};
    return fmt::format("{}{}", ++values_, std::string(one_in(8) ? sizes[below(7)] : below(40), 'v'));
  }
  /// A record and what it should read as.
  std::pair<record, std::string> some_record(const std::string& routing_key) {
    record r;
    std::optional<std::string> key;
    std::optional<std::string> value = some_value();
    std::string note;
    if (one_in(2)) key = fmt::format("key{}", below(20));
    if (key && one_in(6)) {
      r = record::tombstone(*key);
      value.reset();
    } else {
      if (key) r.key(*key);
      r.value(*value);
    }
    if (one_in(5)) {
      note = fmt::format("note{}", below(100));
      r.header("note", note);
    }
    return {std::move(r), text_of(key, value, routing_key, note)};
  }
  start_position some_start(const model_log* log, std::optional<std::uint32_t> partition) {
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
  topic_partition some_place() {
    const std::string topic = one_in(2) ? name("topic", 3) : name("exchange", 2);
    return {topic, partition_id{below(4)}};
  }

  // Opening and closing

  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }
  void open() {
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
  /// The time that a commit now gets.
  [[nodiscard]] timestamp now() const {
    using std::chrono::microseconds;
    const auto elapsed = std::chrono::duration_cast<microseconds>(clock_->steady() - opened_steady_);
    return std::max(opened_wall_ + elapsed, newest_at_open_);
  }
  void close() {
    if (one_in(2)) {
      takers_.clear();
      members_.clear();
      anonymous_.clear();
      ok(bus_->close());
    } else {
      ok(bus_->close());
      for (auto& t : takers_) require_outcome(t.taker.receive(at_once), errc::closed, "receive after close");
      for (auto& m : members_) require_outcome(m.reader.poll(at_once), errc::closed, "poll after close");
      require_outcome(bus_->publish("topic0", record{"v"}), errc::closed, "publish after close");
    }
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
      }
      ++i;
      if (goes) model_.erase_queue(queue);
    }
  }

  // One operation

  void seal() {
    note("seal");
    const timestamp at = now();
    ok(bus_->maintain());
    if (records_stored() > sealed_) sealed_at_ = at;
    sealed_ = records_stored();
  }
  [[nodiscard]] std::uint64_t records_stored() const {
    std::uint64_t records = 0;
    for (const auto& log : model_.logs) records += log.second.committed_order.size();
    return records;
  }

  void step() {
    const std::uint32_t what = below(200);
    if (what < 6) return declare_topic();
    if (what < 10) return declare_exchange();
    if (what < 15) return declare_queue();
    if (what < 17) return declare_anonymous_queue();
    if (what < 19) return delete_queue();
    if (what < 30) return bind();
    if (what < 34) return unbind();
    if (what < 50) return publish();
    if (what < 60) return publish_batch();
    if (what < 85) return publish_to_exchange();
    if (what < 92) return join();
    if (what < 95) return leave();
    if (what < 115) return poll();
    if (what < 122) return commit();
    if (what < 126) return commit_one();
    if (what < 133) return seek();
    if (what < 138) return ask_positions();
    if (what < 146) return consume();
    if (what < 148) return stop_consuming();
    if (what < 174) return receive();
    if (what < 186) return settle();
    if (what < 190) return replay_some();
    if (what < 194) return move_time();
    if (what < 196) return compare_listings();
    if (what < 199) return seal();
    reopen();
  }
  template <class... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    trail_.push_back(fmt::format(format, std::forward<Args>(args)...));
    if (trail_.size() > 25) trail_.pop_front();
  }
  [[nodiscard]] const std::string& last() const { return trail_.back(); }

  void declare_topic() {
    const std::string topic = topic_name();
    const std::uint32_t partitions = one_in(15) ? 0 : 1 + below(3);
    note("declare topic {} with {} partitions", topic, partitions);
    const auto found = model_.logs.find(topic);
    std::optional<errc> expected;
    if (partitions == 0) {
      expected = errc::invalid_argument;
    } else if (found != model_.logs.end() && (found->second.exchange || found->second.size() != partitions)) {
      expected = errc::inequivalent;
    }
    const auto got = bus_->declare_topic(topic, {.partitions = partitions});
    if (!require_outcome(got, expected, last())) return;
    require_equal(got->partitions(), partitions, last());
    if (found == model_.logs.end()) model_.logs[topic].partitions.resize(partitions);
  }

  void declare_exchange() {
    const std::string exchange = exchange_name();
    const auto type = static_cast<exchange_type>(one_in(3) ? 1 + below(3) : 3);
    const std::uint32_t partitions = 1 + below(2);
    note("declare exchange {} of type {} with {} partitions", exchange, static_cast<int>(type), partitions);
    const auto found = model_.logs.find(exchange);
    std::optional<errc> expected;
    if (found != model_.logs.end() &&
        (found->second.exchange != type || found->second.size() != partitions)) {
      expected = errc::inequivalent;
    }
    const auto got = bus_->declare_exchange(exchange, {type, partitions});
    if (!require_outcome(got, expected, last()) || found != model_.logs.end()) return;
    model_.logs[exchange].exchange = type;
    model_.logs[exchange].partitions.resize(partitions);
  }

  void declare_queue() {
    const std::string queue = name("queue", 3);
    note("declare queue {}", queue);
    require_outcome(bus_->declare_queue(queue), {}, last());
    model_.queues.try_emplace(queue);
  }

  void declare_anonymous_queue() {
    if (anonymous_.size() > 1) {
      const auto at = below_size(anonymous_);
      note("give {} up", anonymous_[at].name());
      end_queue(anonymous_[at].name());
      anonymous_.erase(anonymous_.begin() + static_cast<std::ptrdiff_t>(at));
      return;
    }
    note("declare an anonymous queue");
    anonymous_.push_back(ok(bus_->declare_anonymous_queue()));
    const auto& made_up = anonymous_.back().name();
    require(!model_.queues.contains(made_up), made_up + " is not new");
    model_.queues[made_up].exclusive = true;
  }

  void end_queue(const std::string& queue) {
    model_.erase_queue(queue);
    for (auto& t : takers_) {
      if (t.queue == queue) t.closed = true;
    }
  }

  void delete_queue() {
    const std::string queue = queue_name();
    note("delete queue {}", queue);
    const auto found = model_.queues.find(queue);
    std::optional<errc> expected;
    if (found == model_.queues.end()) {
      expected = errc::unknown_queue;
    } else if (found->second.exclusive) {
      expected = errc::resource_locked;
    }
    const auto got = bus_->delete_queue(queue);
    if (require_outcome(got, expected, last())) end_queue(queue);
  }

  std::optional<errc> no_route(const std::string& exchange, const std::string& queue) {
    const auto log = model_.logs.find(exchange);
    if (log == model_.logs.end() || !log->second.exchange) return errc::unknown_exchange;
    if (!model_.queues.contains(queue)) return errc::unknown_queue;
    return {};
  }

  void bind() {
    const std::string exchange = exchange_name();
    const std::string queue = queue_name();
    const std::string key = key_of_words(true);
    note("bind {} to {} with '{}'", queue, exchange, key);
    const auto got = bus_->bind(exchange, queue, key);
    if (require_outcome(got, no_route(exchange, queue), last()))
      model_.bindings.emplace(exchange, queue, key);
  }

  void unbind() {
    std::string exchange = exchange_name();
    std::string queue = queue_name();
    std::string key = key_of_words(true);
    if (!model_.bindings.empty() && !one_in(4)) {
      std::tie(exchange, queue, key) =
          *std::next(model_.bindings.begin(), static_cast<std::ptrdiff_t>(below_size(model_.bindings)));
    }
    note("unbind {} from {} with '{}'", queue, exchange, key);
    const auto got = bus_->unbind(exchange, queue, key);
    if (require_outcome(got, no_route(exchange, queue), last()))
      model_.bindings.erase({exchange, queue, key});
  }

  void publish() {
    const std::string topic = topic_name();
    auto made = some_record({});
    const record& r = made.first;
    const std::optional<std::uint32_t> partition = one_in(3) ? std::optional{below(4)} : std::nullopt;
    note("publish to {}, partition {}: {:.60}", topic, partition ? static_cast<int>(*partition) : -1,
         made.second);
    const auto log = model_.logs.find(topic);
    if (log == model_.logs.end() || log->second.exchange) {
      require_outcome(bus_->publish(topic, r), errc::unknown_topic, last());
      return;
    }
    const auto handle = ok(bus_->topic(topic));
    const auto got = partition ? handle.publish(partition_id{*partition}, r) : handle.publish(r);
    const bool no_partition = partition && *partition >= log->second.size();
    if (!require_outcome(got, no_partition ? std::optional{errc::unknown_partition} : std::nullopt, last()))
      return;
    require_equal(got->topic, topic, last());
    require_equal(got->routed, 0U, last());
    require_equal(got->time, now(), last());
    const std::uint32_t p = got->partition.value();
    require(p < log->second.size(), last() + ": the partition does not exist");
    if (partition) {
      require_equal(p, *partition, last());
    } else if (r.key()) {
      require_equal(got->partition, partition_for_key(*r.key(), log->second.size()), last());
    }
    require_equal(got->offset.value(), log->second.end(p), last());
    log->second.append(p, {made.second, got->time});
  }

  void publish_batch() {
    const std::string topic = name("topic", 3);
    const auto log = model_.logs.find(topic);
    if (log == model_.logs.end() || log->second.exchange) return;
    const std::uint32_t count = below(40);
    note("publish a batch of {} to {}", count, topic);
    const auto handle = ok(bus_->topic(topic));
    auto batch = handle.make_batch();
    std::map<std::uint32_t, std::vector<std::string>> runs;
    for (std::uint32_t i = 0; i < count; ++i) {
      auto made = some_record({});
      const std::string value = some_value();
      const std::uint32_t p = below(log->second.size());
      std::optional<levada::publish_batch::slot> slot;
      switch (below(4)) {
        case 0:
          slot = ok(batch.add(made.first));
          break;
        case 1:
          slot = ok(batch.add(partition_id{p}, made.first));
          require_equal(slot->partition.value(), p, last());
          break;
        case 2:
          made.second = text_of("key", value, {}, {});
          slot = ok(batch.add("key", value));
          require_equal(slot->partition, partition_for_key("key", log->second.size()), last());
          break;
        default:
          made.second = text_of({}, value, {}, {});
          slot = ok(batch.add(value));
      }
      auto& run = runs[slot->partition.value()];
      require_equal(slot->index, run.size(), last() + ": index");
      run.push_back(made.second);
    }
    require_equal(batch.size(), count, last() + ": size");
    if (one_in(8)) return;  // a batch that is dropped leaves nothing
    const auto receipt = ok(handle.publish(batch));
    const timestamp time = now();
    require(batch.empty(), last() + ": it is not empty afterwards");
    require_equal(receipt.ranges.size(), runs.size(), last() + ": ranges");
    std::size_t i = 0;
    for (const auto& run : runs) {
      const auto& range = receipt.ranges[i++];
      require_equal(range.partition.value(), run.first, last() + ": partition");
      require_equal(range.base_offset.value(), log->second.end(run.first), last() + ": offset");
      require_equal(range.count, run.second.size(), last() + ": count");
      for (const auto& text : run.second) log->second.append(run.first, {text, time});
    }
    if (count > 0) require_equal(receipt.time, time, last() + ": time");
  }

  void publish_to_exchange() {
    const std::string exchange = exchange_name();
    const std::string key = key_of_words(one_in(6));
    const auto made = some_record(key);
    note("publish to {} with '{}': {:.60}", exchange, key, made.second);
    const auto got = bus_->publish(exchange, key, made.first);
    const auto log = model_.logs.find(exchange);
    const bool unknown = log == model_.logs.end() || !log->second.exchange;
    if (!require_outcome(got, unknown ? std::optional{errc::unknown_exchange} : std::nullopt, last())) return;
    const std::uint32_t p = partition_for_key(key, log->second.size()).value();
    const auto queues = model_.routes(exchange, key);
    require_equal(got->topic, exchange, last());
    require_equal(got->partition.value(), p, last() + ": partition");
    require_equal(got->offset.value(), log->second.end(p), last() + ": offset");
    require_equal(got->time, now(), last() + ": time");
    require_equal(got->routed, queues.size(), last() + ": routed");
    for (const auto& queue : queues) {
      model_.queues.at(queue).entries.push_back(
          {exchange, p, log->second.end(p), model_entry::state::ready, false});
    }
    log->second.append(p, {made.second, got->time});
  }

  // Groups

  void join() {
    if (members_.size() > 5) return leave();
    const std::string group = name("group", 2);
    const std::string id = name("member", 4);
    std::vector<std::string> topics;
    const std::uint32_t many = below(3) + (one_in(10) ? 0 : 1);
    for (std::uint32_t i = 0; i < many; ++i) topics.push_back(one_in(3) ? exchange_name() : topic_name());
    consumer_options o;
    o.reset = static_cast<offset_reset>(one_in(5) ? 2 : below(2));
    o.poll_records_max = one_in(2) ? 1 + below(12) : 1000;
    if (one_in(4)) o.poll_bytes_max = 1 + below(3000);
    o.member_id = id;
    note("join {} as {} for {}, reset {}", group, id, ::testing::PrintToString(topics),
         static_cast<int>(o.reset));
    std::optional<errc> expected;
    const bool all_known = std::all_of(topics.begin(), topics.end(),
                                       [&](const std::string& t) { return model_.logs.contains(t); });
    if (!all_known) {
      expected = errc::unknown_topic;
    } else if (topics.empty() || model_.groups[group].members.contains(id)) {
      expected = errc::invalid_argument;
    }
    auto got = bus_->join(group, topics, o);
    if (!require_outcome(got, expected, last())) return;
    model_group& g = model_.groups[group];
    std::sort(topics.begin(), topics.end());
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
    g.members[id] = {topics, o.reset, {}};
    model_.sync(g, id);
    members_.push_back({group, id, o.poll_records_max, std::move(*got)});
    check_positions(members_.back());
  }

  void leave() {
    if (members_.empty()) return;
    const auto at = members_.begin() + static_cast<std::ptrdiff_t>(below_size(members_));
    note("{} leaves {}", at->id, at->group);
    model_.groups.at(at->group).members.erase(at->id);
    if (one_in(2)) at->reader.close();
    members_.erase(at);
  }

  model_member& modelled(const member_handle& m) { return model_.groups.at(m.group).members.at(m.id); }

  void check_positions(const member_handle& m) {
    const auto& expected = modelled(m).owned;
    std::vector<topic_partition> owned;
    for (const auto& p : expected) owned.push_back(p.first);
    require(m.reader.assignment() == owned, last() + ": another assignment");
    for (const auto& p : expected) {
      const auto position = ok(m.reader.position(p.first));
      require(
          position == (p.second ? std::optional{offset{*p.second}} : std::nullopt),
          fmt::format("{}: position in {} partition {} is {}, expected {}", last(), p.first.topic,
                      p.first.partition.value(), position ? static_cast<std::int64_t>(position->value()) : -1,
                      p.second ? static_cast<std::int64_t>(*p.second) : -1));
    }
  }

  void poll() {
    if (members_.empty()) return;
    member_handle& m = members_[below_size(members_)];
    note("{} of {} polls", m.id, m.group);
    model_.sync(model_.groups.at(m.group), m.id);
    auto& owned = modelled(m).owned;
    const auto got = m.reader.poll(at_once);
    const bool lacks_position =
        std::any_of(owned.begin(), owned.end(), [](const auto& p) { return !p.second.has_value(); });
    if (lacks_position && !got) {
      require_outcome(got, errc::no_committed_offset, last());
    } else {
      require_outcome(got, {}, last());
      require(got->size() <= m.records_max, last() + ": too many records");
      for (const auto& r : *got) {
        const topic_partition where{std::string{r.topic()}, r.partition()};
        const auto place = owned.find(where);
        require(place != owned.end() && place->second, last() + ": a record of a partition without position");
        require_equal(r.offset().value(), *place->second, last() + ": offset in " + where.topic);
        check_record(r);
        ++*place->second;
      }
      if (got->empty()) {
        require(!lacks_position, last() + ": an empty batch, though a partition has no position");
        for (const auto& p : owned) {
          require_equal(*p.second, model_.logs.at(p.first.topic).end(p.first.partition.value()),
                        last() + ": an empty batch before the end of " + p.first.topic);
        }
      }
    }
    check_positions(m);
  }

  void check_record(const record_view& r) {
    const auto* const expected = model_.find({std::string{r.topic()}, r.partition()}, r.offset().value());
    require(expected != nullptr, last() + ": a record that was never published");
    require_equal(text_of(r), expected->text, last());
    require_equal(r.time(), expected->time, last() + ": time");
  }

  void commit() {
    if (members_.empty()) return;
    member_handle& m = members_[below_size(members_)];
    note("{} of {} commits", m.id, m.group);
    require_outcome(m.reader.commit(), {}, last());
    for (const auto& p : modelled(m).owned) {
      if (p.second) model_.groups.at(m.group).committed[p.first] = *p.second;
    }
  }

  void commit_one() {
    if (members_.empty()) return;
    member_handle& m = members_[below_size(members_)];
    const topic_partition where = some_place();
    const bool owned = modelled(m).owned.contains(where);
    const std::uint64_t end = owned ? model_.logs.at(where.topic).end(where.partition.value()) : 0;
    const std::uint64_t next = below(static_cast<std::uint32_t>(end) + 2);
    note("{} of {} commits {} in {} partition {}", m.id, m.group, next, where.topic, where.partition.value());
    std::optional<errc> expected;
    if (!owned) {
      expected = errc::not_assigned;
    } else if (next > end) {
      expected = errc::offset_out_of_range;
    }
    const auto got = m.reader.commit(where, offset{next});
    if (require_outcome(got, expected, last())) model_.groups.at(m.group).committed[where] = next;
    check_positions(m);
  }

  void seek() {
    if (members_.empty()) return;
    member_handle& m = members_[below_size(members_)];
    topic_partition where = some_place();
    auto& owned = modelled(m).owned;
    if (!owned.empty() && !one_in(4)) {
      where = std::next(owned.begin(), static_cast<std::ptrdiff_t>(below_size(owned)))->first;
    }
    const auto place = owned.find(where);
    const model_log* const log = place == owned.end() ? nullptr : &model_.logs.at(where.topic);
    const start_position to = some_start(log, where.partition.value());
    note("{} of {} seeks in {} partition {}, kind {}", m.id, m.group, where.topic, where.partition.value(),
         to.index());
    std::optional<errc> expected;
    std::uint64_t position = 0;
    if (log == nullptr) {
      expected = errc::not_assigned;
    } else if (const auto* const at = std::get_if<offset>(&to)) {
      position = at->value();
      if (position > log->end(where.partition.value())) expected = errc::offset_out_of_range;
    } else if (const auto* const time = std::get_if<timestamp>(&to)) {
      position = log->first_at(where.partition.value(), *time);
    } else if (std::holds_alternative<from_latest>(to)) {
      position = log->end(where.partition.value());
    }
    if (require_outcome(m.reader.seek(where, to), expected, last())) place->second = position;
    check_positions(m);
  }

  void ask_positions() {
    if (members_.empty()) return;
    member_handle& m = members_[below_size(members_)];
    const topic_partition where = some_place();
    note("ask {} of {} for offsets in {} partition {}", m.id, m.group, where.topic, where.partition.value());
    check_positions(m);
    const auto got = m.reader.committed(where);
    const bool unknown = !model_.logs.contains(where.topic);
    if (!require_outcome(got, unknown ? std::optional{errc::unknown_topic} : std::nullopt, last())) return;
    const auto& committed = model_.groups.at(m.group).committed;
    const auto found = committed.find(where);
    require(*got == (found == committed.end() ? std::nullopt : std::optional{offset{found->second}}),
            last() + ": another committed offset");
  }

  // Queues

  std::uint32_t takers_of(const std::string& queue) {
    return static_cast<std::uint32_t>(
        std::count_if(takers_.begin(), takers_.end(),
                      [&](const taker_handle& t) { return !t.closed && t.queue == queue; }));
  }

  void consume() {
    if (takers_.size() > 4) return stop_consuming();
    const std::string queue = queue_name();
    const std::uint32_t prefetch = one_in(2) ? 1 + below(5) : one_in(2) ? 0 : 100;
    note("consume {} with prefetch {}", queue, prefetch);
    const auto found = model_.queues.find(queue);
    const auto handle = std::find_if(anonymous_.begin(), anonymous_.end(),
                                     [&](const anonymous_queue& q) { return q.name() == queue; });
    std::optional<errc> expected;
    if (found == model_.queues.end()) {
      expected = errc::unknown_queue;
    } else if (found->second.exclusive) {
      require_outcome(bus_->consume(queue), errc::resource_locked, last());
    }
    auto got = handle == anonymous_.end() ? bus_->consume(queue, {prefetch}) : handle->consume({prefetch});
    if (!require_outcome(got, expected, last())) return;
    const bool alone = takers_of(queue) == 0;
    for (auto& t : takers_) {
      if (t.queue == queue) t.alone = false;
    }
    takers_.push_back({queue, prefetch, alone, false, 0, {}, std::move(*got)});
  }

  void stop_consuming() {
    if (takers_.empty()) return;
    const auto at = takers_.begin() + static_cast<std::ptrdiff_t>(below_size(takers_));
    note("stop consuming {}", at->queue);
    if (!at->closed) {
      auto& entries = model_.queues.at(at->queue).entries;
      for (const auto& u : at->unsettled) entries[u.second].now = model_entry::state::ready;
    }
    if (one_in(2)) {
      at->taker.close();
      require_outcome(at->taker.receive(at_once), errc::closed, last());
    }
    takers_.erase(at);
  }

  void receive() {
    if (takers_.empty()) return;
    taker_handle& t = takers_[below_size(takers_)];
    note("receive from {}", t.queue);
    receive_from(t);
  }

  /// Returns whether something came.
  bool receive_from(taker_handle& t) {
    const auto got = t.taker.receive(at_once);
    if (!require_outcome(got, t.closed ? std::optional{errc::closed} : std::nullopt, last())) return false;
    model_queue& queue = model_.queues.at(t.queue);
    const bool room = t.prefetch == 0 || t.unsettled.size() < t.prefetch;
    model_entry* const first = queue.first_ready();
    if (!*got) {
      require(!room || first == nullptr || takers_of(t.queue) > 1,
              last() + ": nothing came, though one is ready");
      return false;
    }
    const delivery& d = **got;
    require(room, last() + ": a delivery beyond the prefetch limit");
    const auto entry = std::find_if(queue.entries.begin(), queue.entries.end(), [&](const model_entry& e) {
      return e.log == d.record().topic() && e.partition == d.record().partition().value() &&
             e.offset == d.record().offset().value();
    });
    require(entry != queue.entries.end(), last() + ": a message that was not routed here");
    require(entry->now == model_entry::state::ready,
            last() + ": a message that is delivered or settled already");
    if (t.alone) require(&*entry == first, last() + ": not the first that is ready");
    check_record(d.record());
    require_equal(d.redelivered(), entry->seen, last() + ": redelivered");
    require_equal(d.tag().value(), t.last_tag + 1, last() + ": tag");
    ++t.last_tag;
    entry->now = model_entry::state::delivered;
    entry->seen = true;
    t.unsettled.emplace(t.last_tag, static_cast<std::size_t>(entry - queue.entries.begin()));
    return true;
  }

  void settle() {
    if (takers_.empty()) return;
    taker_handle& t = takers_[below_size(takers_)];
    std::vector<delivery_tag> tags;
    std::uint64_t tag = 1 + below(static_cast<std::uint32_t>(t.last_tag) + 1);
    if (!t.unsettled.empty() && !one_in(6)) {
      tag = std::next(t.unsettled.begin(), static_cast<std::ptrdiff_t>(below_size(t.unsettled)))->first;
    }
    const std::uint32_t how = below(5);
    bool known = t.unsettled.contains(tag);
    std::vector<std::uint64_t> concerned{tag};
    if (how == 1) {
      concerned.clear();
      for (const auto& u : t.unsettled) {
        if (one_in(2)) concerned.push_back(u.first);
      }
      if (one_in(4)) concerned.push_back(tag);
      std::shuffle(concerned.begin(), concerned.end(), random_);
      known = std::all_of(concerned.begin(), concerned.end(),
                          [&](std::uint64_t c) { return t.unsettled.contains(c); });
    } else if (how == 2) {
      concerned.clear();
      for (const auto& u : t.unsettled) {
        if (u.first <= tag) concerned.push_back(u.first);
      }
    }
    for (const std::uint64_t c : concerned) tags.emplace_back(c);
    static const char* const hows[] = {"ack", "ack several", "ack up to", "requeue", "discard"};
    note("{} in {}: tags {}", hows[how], t.queue, ::testing::PrintToString(concerned));
    std::optional<errc> expected;
    if (t.closed) {
      expected = errc::closed;
    } else if (!known) {
      expected = errc::unknown_delivery;
    }
    result<void> got{};
    switch (how) {
      case 0:
        got = t.taker.ack(delivery_tag{tag});
        break;
      case 1:
        got = t.taker.ack(tags);
        break;
      case 2:
        got = t.taker.ack_up_to(delivery_tag{tag});
        break;
      default:
        got = t.taker.nack(delivery_tag{tag}, how == 3 ? requeue::yes : requeue::no);
    }
    if (!require_outcome(got, expected, last())) return;
    auto& entries = model_.queues.at(t.queue).entries;
    for (const std::uint64_t c : concerned) {
      const auto found = t.unsettled.find(c);
      if (found == t.unsettled.end()) continue;  // named twice
      entries[found->second].now = how == 3 ? model_entry::state::ready : model_entry::state::settled;
      t.unsettled.erase(found);
    }
  }

  void drain_queues() {
    takers_.clear();
    for (auto& q : model_.queues) {
      for (auto& e : q.second.entries) {
        if (e.now == model_entry::state::delivered) e.now = model_entry::state::ready;
      }
      if (q.second.exclusive) continue;
      note("drain {}", q.first);
      takers_.push_back({q.first, 0, true, false, 0, {}, ok(bus_->consume(q.first, {0}))});
      while (receive_from(takers_.back())) {
      }
    }
  }

  // Looking

  void replay_some() {
    const topic_partition where = some_place();
    const auto log = model_.logs.find(where.topic);
    replay_options o;
    if (one_in(2)) o.partition = where.partition;
    o.from = some_start(log == model_.logs.end() ? nullptr : &log->second,
                        o.partition ? o.partition->value() : std::uint32_t{0});
    if (one_in(2)) o.bytes_max = 1 + below(5000);
    note("replay {} partition {}, kind {}", where.topic,
         o.partition ? static_cast<int>(o.partition->value()) : -1, o.from.index());
    const auto* const at = std::get_if<offset>(&o.from);
    std::optional<errc> expected;
    if (log == model_.logs.end()) {
      expected = errc::unknown_topic;
    } else if (o.partition && o.partition->value() >= log->second.size()) {
      expected = errc::unknown_partition;
    } else if (at != nullptr && !o.partition && log->second.size() > 1) {
      expected = errc::invalid_argument;
    } else if (at != nullptr &&
               at->value() > log->second.end(o.partition.value_or(partition_id{0}).value())) {
      expected = errc::offset_out_of_range;
    }
    auto got = bus_->replay(where.topic, o);
    if (!require_outcome(got, expected, last())) return;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> wanted;
    for (const auto& place : log->second.committed_order) {
      if (o.partition && o.partition->value() != place.first) continue;
      if (at != nullptr && place.second < at->value()) continue;
      if (std::holds_alternative<from_latest>(o.from)) continue;
      const auto* const time = std::get_if<timestamp>(&o.from);
      if (time != nullptr && log->second.partitions[place.first][place.second].time < *time) continue;
      wanted.push_back(place);
    }
    std::vector<std::pair<std::uint32_t, std::uint64_t>> seen;
    for (auto batch = ok(got->next()); !batch.empty(); batch = ok(got->next())) {
      for (const auto& r : batch) {
        check_record(r);
        seen.emplace_back(r.partition().value(), r.offset().value());
      }
    }
    require_equal(seen, wanted, last());
  }

  void compare_listings() {
    note("compare listings");
    const auto topics = ok(bus_->topics());
    require_equal(topics.size(), model_.logs.size(), "number of topics");
    std::size_t i = 0;
    std::vector<exchange_info> expected_exchanges;
    for (const auto& log : model_.logs) {
      const auto& info = topics[i++];
      require_equal(info.name, log.first, "topic");
      require_equal(info.is_exchange, log.second.exchange.has_value(), log.first + " is an exchange");
      require_equal(info.partitions.size(), log.second.size(), "partitions of " + log.first);
      for (const auto& p : info.partitions) {
        require_equal(p.begin.value(), 0U, "begin");
        require_equal(p.end.value(), log.second.end(p.id.value()), "end of a partition of " + log.first);
      }
      if (!log.second.exchange) continue;
      const auto bindings = std::count_if(model_.bindings.begin(), model_.bindings.end(),
                                          [&](const auto& b) { return std::get<0>(b) == log.first; });
      expected_exchanges.push_back(
          {log.first, *log.second.exchange, log.second.size(), static_cast<std::uint64_t>(bindings)});
    }
    const auto exchanges = ok(bus_->exchanges());
    require_equal(exchanges.size(), expected_exchanges.size(), "number of exchanges");
    for (i = 0; i < exchanges.size(); ++i) {
      require_equal(exchanges[i].name, expected_exchanges[i].name, "exchange");
      require(exchanges[i].type == expected_exchanges[i].type, "type of " + exchanges[i].name);
      require_equal(exchanges[i].partitions, expected_exchanges[i].partitions,
                    "partitions of " + exchanges[i].name);
      require_equal(exchanges[i].bindings, expected_exchanges[i].bindings,
                    "bindings of " + exchanges[i].name);
    }
    std::vector<std::tuple<std::string, std::string, std::string>> bindings;
    for (const auto& b : ok(bus_->bindings())) bindings.emplace_back(b.exchange, b.queue, b.key);
    require(std::equal(bindings.begin(), bindings.end(), model_.bindings.begin(), model_.bindings.end()),
            "bindings");
    compare_queues();
    compare_groups();
  }

  void compare_queues() {
    const auto queues = ok(bus_->queues());
    require_equal(queues.size(), model_.queues.size(), "number of queues");
    std::size_t i = 0;
    for (const auto& q : model_.queues) {
      const auto& info = queues[i++];
      require_equal(info.name, q.first, "queue");
      require_equal(info.exclusive, q.second.exclusive, q.first + " is exclusive");
      require_equal(info.messages, q.second.entries.size() - q.second.count(model_entry::state::settled),
                    "messages of " + q.first);
      require_equal(info.consumers, takers_of(q.first), "consumers of " + q.first);
      // What consumers have fetched ahead counts too.
      require(info.unacked >= q.second.count(model_entry::state::delivered) && info.unacked <= info.messages,
              "unacked messages of " + q.first);
    }
  }

  void compare_groups() {
    const auto groups = ok(bus_->groups());
    require_equal(groups.size(), model_.groups.size(), "number of groups");
    std::size_t i = 0;
    for (const auto& g : model_.groups) {
      const auto& info = groups[i++];
      require_equal(info.name, g.first, "group");
      std::vector<std::string> members;
      std::map<topic_partition, std::string> owners;
      for (const auto& c : g.second.committed) owners.emplace(c.first, "");
      for (const auto& m : g.second.members) {
        members.push_back(m.first);
        for (const auto& p : m.second.owned) owners[p.first] = m.first;
      }
      require_equal(info.members, members, "members of " + g.first);
      require_equal(info.partitions.size(), owners.size(), "partitions of " + g.first);
      for (const auto& p : info.partitions) {
        const auto owner = owners.find(p.where);
        require(owner != owners.end(), "a partition that nobody owns or has committed");
        require_equal(p.member, owner->second, "owner of a partition of " + p.where.topic);
        const auto committed = g.second.committed.find(p.where);
        const bool has = committed != g.second.committed.end();
        require(p.committed == (has ? std::optional{offset{committed->second}} : std::nullopt),
                "committed offset of " + g.first);
        const std::uint64_t end = model_.logs.at(p.where.topic).end(p.where.partition.value());
        require_equal(p.end.value(), end, "end for " + g.first);
        require_equal(p.lag, end - (has ? committed->second : 0), "lag of " + g.first);
      }
    }
  }

  void move_time() {
    if (one_in(10)) {
      note("the wall clock jumps");
      clock_->set_wall(clock_->wall() + std::chrono::seconds{below(20)} - std::chrono::seconds{10});
      return;
    }
    note("time passes");
    clock_->advance(std::chrono::microseconds{below(5000)});
  }

  void reopen() {
    note("close and open again");
    close();
    if (one_in(3)) clock_->advance(std::chrono::microseconds{below(5000)});
    open();
    compare_listings();
  }

  std::mt19937 random_;
  temporary_directory directory_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  std::optional<bus> bus_;
  model model_;
  timestamp opened_wall_;
  clock::steady_time opened_steady_{};
  timestamp newest_at_open_;
  timestamp sealed_at_;  // the store keeps the time of its last sealing
  std::uint64_t sealed_ = 0;
  std::vector<anonymous_queue> anonymous_;
  std::vector<member_handle> members_;
  std::vector<taker_handle> takers_;
  std::deque<std::string> trail_;
  int values_ = 0;
};

std::uint32_t number_from_environment(const char* name, std::uint32_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

TEST(Model, AgreesWithTheBusOverRandomOperations) {
  const std::uint32_t first = number_from_environment("LEVADA_MODEL_FIRST_SEED", 1);
  const std::uint32_t seeds = number_from_environment("LEVADA_MODEL_SEEDS", 4);
  for (std::uint32_t seed = first; seed < first + seeds; ++seed) {
    walk one{seed};
    try {
      one.run(500);
    } catch (const std::exception& e) {
      FAIL() << "LEVADA_MODEL_FIRST_SEED=" << seed << ": " << e.what()
             << "\nThe latest operations:" << one.trail();
    }
  }
}

}  // namespace
}  // namespace levada::test
