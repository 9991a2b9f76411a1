#include <crash/victim.hpp>

#include <crash/forgetful_logs.hpp>
#include <crash/history.hpp>
#include <crash/payload.hpp>
#include <crash/promises.hpp>
#include <crash/queueing_victim.hpp>
#include <crash/victim_tools.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

namespace levada::crash {
namespace {

constexpr std::chrono::milliseconds at_once{0};
constexpr const char* group_name = "readers";
constexpr const char* exchange_name = "events";
constexpr std::uint32_t exchange_partitions = 2;
constexpr const char* passing_queue = "passing";
constexpr std::size_t operations_per_maintenance = 7;
constexpr std::uint32_t publications_per_maintenance = 4;

struct topic_layout {
  const char* name;
  std::uint32_t partitions;
};
constexpr topic_layout layouts[] = {{"orders", 2}, {"ledger", 1}};

struct binding {
  const char* queue;
  const char* key;
};
constexpr binding bindings[] = {{"work", "job.#"}, {"audit", "#"}};

/// Publishes in every way; one thread's work.
class producer {
 public:
  producer(bus& b, teller& out, dice d, serial& next, planted_fault planted)
      : bus_{b}, out_{out}, dice_{d}, next_{next}, planted_{planted} {
    if (planted == planted_fault::ack_before_publish || planted == planted_fault::ack_without_publish) {
      for (const topic_info& t : bus_.topics().value()) {
        for (const partition_info& p : t.partitions) ends_[{t.name, p.id.value()}] = p.end.value();
      }
    }
  }

  void publish_something() {
    switch (dice_.roll(10)) {
      case 0:
      case 1:
      case 2:
        return publish_batch_of_some();
      case 3:
      case 4:
      case 5:
        return publish_through_exchange();
      default:
        return publish_one();
    }
  }
  void publish_large(std::size_t records) {
    publish_batch_of(records, [this] { return large_size(); });
  }

 private:
  /// Mostly small; now and then larger than a journal row of 2,008 bytes, or than many.
  std::size_t some_size() {
    switch (dice_.roll(8)) {
      case 0:
        return 2'009 + dice_.roll(18'000);
      case 1:
        return dice_.once_in(4) ? large_size() : 1'900 + dice_.roll(200);
      case 2:
        return 500 + dice_.roll(1'500);
      default:
        return dice_.roll(200);
    }
  }
  std::size_t large_size() { return 60'000 + dice_.roll(60'000); }
  std::string some_key() { return fmt::format("k{}", dice_.roll(9)); }

  void tell_stored(serial s, const std::string& log, partition_id partition, std::uint64_t offset) {
    stored line;
    line.record = s;
    line.log = log;
    line.partition = partition.value();
    line.offset = offset;
    out_.tell(line);
  }

  void publish_one() {
    const topic_layout& layout = layouts[dice_.roll(std::size(layouts))];
    const topic t = bus_.topic(layout.name).value();
    const serial s = next_++;
    record r{make_payload(s, some_size())};
    out_.tell(announce(s, s, t.name(), r));
    if (!ends_.empty()) return publish_lying(t, s, r);
    publish_receipt receipt;
    if (dice_.once_in(2)) {
      receipt = t.publish(r).value();
    } else {
      receipt = t.publish(partition_id{static_cast<std::uint32_t>(dice_.roll(layout.partitions))}, r).value();
    }
    tell_stored(s, t.name(), receipt.partition, receipt.offset.value());
  }

  void publish_lying(const topic& t, serial s, const record& r) {
    const partition_id where{static_cast<std::uint32_t>(dice_.roll(t.partitions()))};
    std::uint64_t& end = ends_[{t.name(), where.value()}];
    tell_stored(s, t.name(), where, end);
    if (planted_ == planted_fault::ack_without_publish && dice_.once_in(2)) return;
    end = t.publish(where, r).value().offset.value() + 1;
  }

  void publish_batch_of_some() {
    publish_batch_of(1 + dice_.roll(12), [this] { return some_size(); });
  }

  template <class Size>
  void publish_batch_of(std::size_t records, Size size) {
    const topic_layout& layout = layouts[dice_.roll(std::size(layouts))];
    const topic t = bus_.topic(layout.name).value();
    publish_batch batch = t.make_batch();
    const serial first = next_;
    std::vector<std::pair<serial, publish_batch::slot>> added;
    for (; records > 0; --records) {
      const serial s = next_++;
      record r{make_payload(s, size())};
      if (dice_.once_in(2)) r.key(some_key());
      out_.tell(announce(s, first, t.name(), r));
      added.emplace_back(s, batch.add(r).value());
    }
    const batch_receipt receipt = t.publish(batch).value();
    for (const auto& [s, slot] : added) {
      const partition_id where = slot.partition;
      const std::uint64_t offset = offset_of(receipt, slot);
      tell_stored(s, t.name(), where, offset);
      if (!ends_.empty()) {
        std::uint64_t& end = ends_[{t.name(), where.value()}];
        end = std::max(end, offset + 1);
      }
    }
  }

  void publish_through_exchange() {
    const serial s = next_++;
    const record r{some_key(), make_payload(s, some_size())};
    const bool job = !dice_.once_in(4);
    const std::string routing_key = fmt::format("{}.{}", job ? "job" : "note", dice_.roll(5));
    out_.tell(announce(s, s, exchange_name, r, {job ? "work,audit" : "audit", routing_key}));
    const publish_receipt receipt = bus_.publish(exchange_name, routing_key, r).value();
    tell_stored(s, exchange_name, receipt.partition, receipt.offset.value());
  }

  bus& bus_;
  teller& out_;
  dice dice_;
  serial& next_;
  const planted_fault planted_;
  /// Only where lies are planted: the offsets that come next.
  std::map<std::pair<std::string, std::uint32_t>, std::uint64_t> ends_;
};

/// A consumer of a durable queue that keeps some of its deliveries for later.
class taker {
 public:
  taker(bus& b, teller& out, const std::string& queue, planted_fault planted)
      : out_{out}, consumer_{b.consume(queue, {.prefetch = 10}).value()}, planted_{planted} {}

  void take_and_settle(dice& d) {
    for (std::size_t wanted = 1 + d.roll(4); wanted > 0; --wanted) {
      const auto got = consumer_.receive(at_once).value();
      if (!got) break;
      const auto s = serial_of(got->record().value());
      if (!s) throw std::logic_error{fmt::format("queue '{}' delivered unknown bytes", consumer_.queue())};
      out_.tell(received{consumer_.queue(), *s});
      held_.push_back({got->tag(), *s});
    }
    if (held_.empty()) return;
    switch (d.roll(6)) {
      case 0:
        return;
      case 1:
        return requeue_one(d);
      case 2:
        return settle(d.roll(held_.size()), 1, [this](const std::vector<delivery_tag>& tags) {
          return consumer_.nack(tags.front(), requeue::no);
        });
      case 3:
        return settle(0, 1 + d.roll(held_.size()),
                      [this](const std::vector<delivery_tag>& tags) { return consumer_.ack(tags); });
      case 4:
        // Tags grow, and `held_` is in their order.
        return settle(0, 1 + d.roll(held_.size()), [this](const std::vector<delivery_tag>& tags) {
          return consumer_.ack_up_to(tags.back());
        });
      default:
        return settle(d.roll(held_.size()), 1,
                      [this](const std::vector<delivery_tag>& tags) { return consumer_.ack(tags.front()); });
    }
  }

 private:
  struct held_delivery {
    delivery_tag tag;
    serial record;
  };

  void requeue_one(dice& d) {
    const auto which = held_.begin() + static_cast<std::ptrdiff_t>(d.roll(held_.size()));
    consumer_.nack(which->tag).value();
    held_.erase(which);
  }

  template <class Settle>
  void settle(std::size_t from, std::size_t count, Settle settle_tags) {
    const auto first = held_.begin() + static_cast<std::ptrdiff_t>(from);
    const auto last = first + static_cast<std::ptrdiff_t>(count);
    std::vector<delivery_tag> tags;
    for (auto h = first; h != last; ++h) {
      tags.push_back(h->tag);
      out_.tell(settling{consumer_.queue(), h->record});
    }
    if (planted_ != planted_fault::settle_without_ack) settle_tags(tags).value();
    for (auto h = first; h != last; ++h) out_.tell(settled{consumer_.queue(), h->record});
    held_.erase(first, last);
  }

  teller& out_;
  queue_consumer consumer_;
  const planted_fault planted_;
  std::deque<held_delivery> held_;
};

/// The one member of a group.
class reader {
 public:
  reader(bus& b, teller& out, planted_fault planted)
      : out_{out}, consumer_{b.join(group_name, logs(), options()).value()}, planted_{planted} {}

  void read_and_commit(dice& d) {
    for (std::size_t polls = 1 + d.roll(2); polls > 0; --polls) {
      for (const record_view& r : consumer_.poll(at_once).value()) {
        if (!serial_of(r.value())) throw std::logic_error{"a poll returned unknown bytes"};
      }
    }
    if (d.once_in(4)) return;
    const auto owned = consumer_.assignment();
    if (d.once_in(3) && !owned.empty()) {
      const topic_partition& where = owned[d.roll(owned.size())];
      return commit({where}, [&](std::uint64_t next) { return consumer_.commit(where, offset{next}); });
    }
    commit(owned, [&](std::uint64_t) { return consumer_.commit(); });
  }

 private:
  static std::vector<std::string> logs() { return {layouts[0].name, layouts[1].name, exchange_name}; }
  static consumer_options options() {
    consumer_options o;
    o.reset = offset_reset::earliest;
    o.poll_records_max = 7;
    return o;
  }

  template <class Commit>
  void commit(const std::vector<topic_partition>& where, Commit do_commit) {
    std::vector<committed> done;
    for (const topic_partition& w : where) {
      const std::optional<offset> next = consumer_.position(w).value();
      if (!next) continue;
      done.push_back({group_name, w.topic, w.partition.value(), next->value()});
      out_.tell(committing{group_name, w.topic, w.partition.value(), next->value()});
    }
    if (done.empty()) return;
    if (planted_ != planted_fault::commit_without_commit) do_commit(done.front().next).value();
    for (const committed& c : done) out_.tell(c);
  }

  teller& out_;
  consumer consumer_;
  const planted_fault planted_;
};

/// What the other threads do: publish as often as they may, until told to stop.
class crowd {
 public:
  crowd(bus& b, teller& out, const victim_options& options, std::vector<serial>& next) {
    for (std::uint32_t i = 1; i < options.threads; ++i) {
      threads_.emplace_back([this, &b, &out, &options, &next, i] {
        try {
          producer p{b, out, dice{options.seed * 1'000 + i}, next[i], planted_fault::none};
          forgetful_producer forgetful{b, out, dice{options.seed * 1'000 + 100 + i}, next[i]};
          for (std::uint32_t done = 0;; ++done) {
            allowed_.wait(done);
            if (stop_.load()) break;
            if (done % 3 == 2) {
              forgetful.publish_something();
            } else {
              p.publish_something();
            }
          }
        } catch (...) {
          const std::lock_guard guard{mutex_};
          failure_ = std::current_exception();
        }
      });
    }
  }
  ~crowd() { join(); }
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;

  /// Each may publish so many times more.
  void allow(std::uint32_t times) {
    allowed_ += times;
    allowed_.notify_all();
  }
  /// Throws what ended one of them early.
  void stop() {
    join();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  void join() {
    stop_.store(true);
    allow(1);
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }

  std::atomic<bool> stop_{false};
  std::atomic<std::uint32_t> allowed_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace

bus_options settings_of(const victim_options& options) {
  constexpr std::size_t seal_from[] = {0, 0, 8'000};
  constexpr std::size_t own_from[] = {1, 20'000, 100'000, 100'000};
  dice d{options.seed * 1'000 + 888};
  bus_options settings;
  settings.map_bytes_max = std::size_t{1} << 30;
  settings.boot_id = options.boot_id;
  if (options.mode == durability::checkpointed) settings.durability = checkpointed{std::chrono::hours{1}};
  settings.segment_bytes_min = own_from[d.roll(std::size(own_from))];
  if (options.seals == sealing::in_background) {
    settings.journal_bytes_seal = 20'000;
    settings.journal_bytes_max = 60'000;
  } else {
    settings.maintenance = maintenance_mode::on_call;
    settings.journal_bytes_seal = seal_from[d.roll(std::size(seal_from))];
    if (d.once_in(2)) settings.journal_bytes_max = 60'000;
  }
  return settings;
}

namespace {

void declare_all(bus& b, teller& out) {
  for (const topic_layout& t : layouts) {
    declare(out, topic_object(t.name, t.partitions),
            [&] { static_cast<void>(b.declare_topic(t.name, {.partitions = t.partitions}).value()); });
  }
  declare(out, exchange_object(exchange_name, exchange_partitions),
          [&] { b.declare_exchange(exchange_name, {.partitions = exchange_partitions}).value(); });
  for (const binding& to : bindings) {
    declare(out, queue_object(to.queue), [&] { b.declare_queue(to.queue).value(); });
    declare(out, binding_object(exchange_name, to.queue, to.key),
            [&] { b.bind(exchange_name, to.queue, to.key).value(); });
  }
}

/// Whether the victim has an occasion for this lie.
bool can_tell(workload work, planted_fault planted) {
  switch (planted) {
    case planted_fault::none:
    case planted_fault::ack_without_publish:
    case planted_fault::settle_without_ack:
      return true;
    case planted_fault::ack_before_publish:
    case planted_fault::commit_without_commit:
      return work == workload::logs;
    case planted_fault::dead_letter_in_two_steps:
      return work == workload::queues;
  }
  return false;
}

/// A queue that comes and goes.
void toggle_passing_queue(bus& b, teller& out) {
  const std::string queue = queue_object(passing_queue);
  const std::string bound = binding_object(exchange_name, passing_queue, "job.*");
  const auto queues = b.queues().value();
  const bool exists =
      std::any_of(queues.begin(), queues.end(), [](const queue_info& q) { return q.name == passing_queue; });
  if (exists) {
    out.tell(deleting{bound});
    out.tell(deleting{queue});
    b.delete_queue(passing_queue).value();
    out.tell(deleted{queue});
    out.tell(deleted{bound});
  } else {
    out.tell(declaring{queue});
    b.declare_queue(passing_queue).value();
    out.tell(declared{queue});
    out.tell(declaring{bound});
    b.bind(exchange_name, passing_queue, "job.*").value();
    out.tell(declared{bound});
  }
}

}  // namespace

void run_victim(const victim_options& options, const line_sink& line) {
  if (!can_tell(options.work, options.planted)) {
    throw std::invalid_argument{"a history of this kind has no place for that fault"};
  }
  if (options.work == workload::queues) return run_queueing_victim(options, line);
  teller out{line};
  dice d{options.seed};
  std::vector<serial> next;
  for (std::uint32_t i = 0; i < options.threads; ++i) next.push_back(make_serial(options.run, i, 0));
  const bus_options settings = settings_of(options);
  dice when{options.seed * 1'000 + 777};
  const std::uint64_t burst_at = when.once_in(3) ? when.roll(60) : operations_without_end;
  const bool burst_goes = when.once_in(2);

  for (std::uint64_t done = 0; done < options.operations;) {
    out.tell(opening{options.mode});
    bus b = bus::open(options.directory, settings).value();
    out.tell(opened{options.mode, b.stats().value().epoch});
    declare_all(b, out);
    forgetful_logs::declare_all(b, out, options);
    producer sender{b, out, dice{options.seed * 1'000 + done + 999}, next[0], options.planted};
    forgetful_producer forgetful_sender{b, out, dice{options.seed * 1'000 + done + 555}, next[0]};
    crowd others{b, out, options, next};
    reader group{b, out, options.planted};
    taker work{b, out, "work", options.planted};
    taker audit{b, out, "audit", options.planted};
    forgetful_logs forgetful{b, out, options};
    std::optional<exclusive_queue> anonymous;
    const auto maintain = [&] {
      others.allow(publications_per_maintenance);
      out.tell(maintaining{});
      b.maintain().value();
      out.tell(maintained{});
      forgetful.look_at_beginnings();
    };
    const auto flush = [&] {
      out.tell(flushing{});
      b.sync().value();
      out.tell(flushed{});
    };

    const std::uint64_t until = done + std::min(options.operations_per_life, options.operations - done);
    for (; done < until; ++done) {
      const bool burst = done == burst_at;
      if (burst && burst_goes) {
        forgetful_sender.publish_large(options.burst_records);
        maintain();
        forgetful.trim_most();
      } else if (burst) {
        sender.publish_large(options.burst_records);
      }
      if (burst || when.once_in(operations_per_maintenance)) {
        maintain();
        if (when.once_in(3)) flush();
      }
      if (when.once_in(25)) flush();
      others.allow(1);
      // Lies are told by some operations only, so there are more of these.
      const std::size_t what = d.roll(options.planted == planted_fault::none ? 38 : 20);
      if (what < 10) {
        sender.publish_something();
      } else if (what < 13) {
        group.read_and_commit(d);
      } else if (what < 17) {
        work.take_and_settle(d);
      } else if (what < 18) {
        audit.take_and_settle(d);
      } else if (what < 19) {
        toggle_passing_queue(b, out);
      } else if (what < 27) {
        forgetful_sender.publish_something();
      } else if (what < 29) {
        forgetful.take_news(d);
      } else if (what < 32) {
        forgetful.trim(d);
      } else if (what < 35) {
        forgetful.change_passing_topic(d, forgetful_sender);
      } else if (what < 36) {
        forgetful.change_compaction(d);
      } else if (what < 37) {
        forgetful.change_compression(d);
      } else if (anonymous) {
        anonymous.reset();
      } else {
        anonymous.emplace(b.declare_anonymous_queue().value());
        b.bind(exchange_name, anonymous->name(), "#").value();
      }
    }
    others.stop();
    out.tell(closing{});
    b.close().value();
    out.tell(closed{});
  }
}

}  // namespace levada::crash
