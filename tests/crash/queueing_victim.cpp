#include <crash/queueing_victim.hpp>

#include <crash/payload.hpp>
#include <crash/promises.hpp>
#include <crash/queueing_world.hpp>
#include <crash/victim_tools.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <levada/async.hpp>
#include <levada/levada.hpp>

namespace levada::crash {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds at_once{0};
/// How far apart runs on one store are by their clocks: further than a run moves its own.
constexpr std::uint64_t milliseconds_of_run = 60'000;
constexpr std::size_t operations_per_maintenance = 6;
/// How long is waited for what the bus does by itself, when the clock has moved.
constexpr std::chrono::milliseconds rest_max{50};

/// The time of one run, which it tells.
class told_clock {
 public:
  told_clock(teller& out, std::uint64_t start)
      : out_{out},
        now_{start},
        clock_{std::make_shared<manual_clock>(timestamp{clock_base} + milliseconds{start})} {
    out_.tell(clock_at{now_});
  }
  void advance(std::uint64_t by) {
    now_ += by;
    out_.tell(clock_at{now_});
    clock_->advance(milliseconds{by});
  }
  [[nodiscard]] const std::shared_ptr<manual_clock>& get() const noexcept { return clock_; }

 private:
  teller& out_;
  std::uint64_t now_;
  std::shared_ptr<manual_clock> clock_;
};

/// Publishes in every way.
class queueing_producer {
 public:
  queueing_producer(bus& b, teller& out, dice& d, serial& next, planted_fault planted)
      : bus_{b}, out_{out}, dice_{d}, next_{next}, planted_{planted} {}

  void publish_something() {
    switch (dice_.roll(6)) {
      case 0:
        return publish_batch_of_some();
      case 1:
        return publish_several_at_a_time();
      case 2:
        return publish_later();
      default:
        return publish_one(some_way());
    }
  }
  void publish_one(const way& through) {
    const outgoing m = prepare(through, next_, 0);
    if (planted_ == planted_fault::ack_without_publish && through.exchange[0] == '\0' && dice_.once_in(3)) {
      return out_.tell(stored{m.record, default_log, 0, 0});
    }
    note(m, bus_.publish(through.exchange, through.routing_key, m.content, {.track = is_tracked(m.record)}));
  }
  /// Takes a delayed message back, if there is one that was not tried before.
  void cancel_something() {
    if (delayed_.empty()) return;
    const auto which = delayed_.begin() + static_cast<std::ptrdiff_t>(dice_.roll(delayed_.size()));
    out_.tell(cancelling{which->first});
    if (bus_.cancel(which->second).value()) out_.tell(cancelled{which->first});
    delayed_.erase(which);
  }

 private:
  struct outgoing {
    serial record;
    const way* through;
    levada::record content;
  };

  /// Half of them have tickets, which `check_store` compares with what the queues hold.
  static bool is_tracked(serial record) { return record % 2 == 0; }

  const way& some_way() { return ways()[dice_.roll(ways().size())]; }
  std::size_t some_size() {
    if (dice_.once_in(12)) return 2'009 + dice_.roll(20'000);
    return dice_.once_in(4) ? 1'500 + dice_.roll(700) : 30 + dice_.roll(200);
  }

  outgoing prepare(const way& through, serial batch, std::uint64_t delay) {
    outgoing m{next_++, &through, record{make_payload(next_ - 1, some_size())}};
    m.content.message_id(fmt::format("m-{}", m.record));
    const bool expires = dice_.once_in(10);
    if (expires) m.content.expiration(milliseconds{1 + dice_.roll(400)});
    if (dice_.once_in(2)) m.content.priority(static_cast<std::uint8_t>(dice_.roll(5)));
    const char* const log = through.exchange[0] == '\0' ? default_log : through.exchange;
    if (expires || delay > 0) out_.tell(terms{m.record, delay > 0, expires});
    out_.tell(announce(m.record, batch, log, m.content, {through.queues, through.routing_key}));
    return m;
  }

  void note(const outgoing& m, const result<publish_receipt>& outcome) {
    if (!outcome && outcome.error() == errc::queue_full) return out_.tell(refused{m.record});
    note(m, outcome.value());
  }
  void note(const outgoing& m, const publish_receipt& receipt) {
    if (receipt.refused > 0) {
      if (m.through->refusing == nullptr || receipt.refused != 1) {
        throw std::logic_error{fmt::format("{} queues have refused a message", receipt.refused)};
      }
      out_.tell(passed_over{m.through->refusing, m.record});
    }
    const char* const log = m.through->exchange[0] == '\0' ? default_log : m.through->exchange;
    out_.tell(stored{m.record, log, receipt.partition.value(), receipt.offset.value()});
    if (receipt.due) delayed_.emplace_back(m.record, receipt);
  }

  void publish_later() {
    const std::uint64_t delay = 1 + dice_.roll(600);
    const way& through = some_way();
    const outgoing m = prepare(through, next_, delay);
    publish_options later;
    later.delay = milliseconds{delay};
    later.track = is_tracked(m.record);
    note(m, bus_.publish(through.exchange, through.routing_key, m.content, later));
  }

  void publish_batch_of_some() {
    const serial first = next_;
    const std::uint64_t delay = dice_.once_in(4) ? 1 + dice_.roll(600) : 0;
    std::vector<outgoing> sent;
    std::vector<message> batch;
    for (std::size_t count = 2 + dice_.roll(5); count > 0; --count) {
      sent.push_back(prepare(some_way(), first, delay));
      batch.emplace_back(sent.back().through->exchange, sent.back().through->routing_key,
                         sent.back().content);
    }
    publish_options options;
    options.delay = milliseconds{delay};
    options.track = is_tracked(first);
    const auto outcome = bus_.publish(batch, options);
    if (!outcome && outcome.error() == errc::queue_full) {
      for (const outgoing& m : sent) out_.tell(refused{m.record});
      return;
    }
    for (std::size_t i = 0; i < sent.size(); ++i) note(sent[i], outcome.value()[i]);
  }

  void publish_several_at_a_time() {
    std::vector<outgoing> sent;
    // Not `use_future`, which starts threads for good: no process that has such may fork under a sanitizer.
    std::vector<std::promise<result<publish_receipt>>> outcomes(2 + dice_.roll(3));
    for (auto& outcome : outcomes) {
      sent.push_back(prepare(some_way(), next_, 0));
      const outgoing& m = sent.back();
      bus_.async_publish(
          std::string{m.through->exchange}, std::string{m.through->routing_key}, m.content,
          [&outcome](result<publish_receipt> receipt) { outcome.set_value(std::move(receipt)); });
    }
    for (std::size_t i = 0; i < sent.size(); ++i) note(sent[i], outcomes[i].get_future().get());
  }

  bus& bus_;
  teller& out_;
  dice& dice_;
  serial& next_;
  const planted_fault planted_;
  std::deque<std::pair<serial, publish_receipt>> delayed_;
};

/// A consumer of one queue, with what it has not settled.
class hand {
 public:
  hand(bus& b, teller& out, const queue_layout& layout, std::uint32_t prefetch, planted_fault planted)
      : bus_{b},
        out_{out},
        layout_{layout},
        consumer_{b.consume(layout.name, {.prefetch = prefetch}).value()},
        planted_{planted} {}

  void take_and_settle(dice& d) {
    while (const auto got = consumer_.receive(at_once).value()) take(*got);
    if (held_.empty()) return;
    if (planted_ == planted_fault::dead_letter_in_two_steps && layout_.has_grave()) return reject_one(d);
    if (layout_.options.delivery_limit && d.once_in(2)) return requeue_one(d);
    switch (d.roll(8)) {
      case 0:
        return;
      case 1:
      case 2:
        return requeue_one(d);
      case 3:
      case 4:
        return reject_one(d);
      case 5:
        return settle(0, 1 + d.roll(held_.size()),
                      [this](const std::vector<delivery_tag>& tags) { return consumer_.ack(tags); });
      case 6:
        return settle(0, 1 + d.roll(held_.size()), [this](const std::vector<delivery_tag>& tags) {
          return consumer_.ack_up_to(tags.back());
        });
      default:
        return settle(d.roll(held_.size()), 1,
                      [this](const std::vector<delivery_tag>& tags) { return consumer_.ack(tags.front()); });
    }
  }

 private:
  struct held_message {
    delivery_tag tag;
    serial record;
    std::string place;
    levada::delivery delivery;
  };

  void take(const delivery& got) {
    const auto s = serial_of(got.record().value());
    if (!s) throw std::logic_error{fmt::format("queue '{}' delivered unknown bytes", layout_.name)};
    std::string place = layout_.name;
    if (place == grave_name) {
      place = grave_place(place, died_in(got.record()));
    }
    out_.tell(received{place, *s, got.delivery_count().value_or(0)});
    held_.push_back({got.tag(), *s, std::move(place), got});
  }

  void requeue_one(dice& d) {
    const auto which = held_.begin() + static_cast<std::ptrdiff_t>(d.roll(held_.size()));
    consumer_.nack(which->tag).value();
    held_.erase(which);
  }

  void reject_one(dice& d) {
    const std::size_t which = d.roll(held_.size());
    if (!layout_.has_grave()) {
      return settle(which, 1, [this](const std::vector<delivery_tag>& tags) {
        return consumer_.nack(tags.front(), requeue::no);
      });
    }
    const held_message m = held_[which];
    out_.tell(rejecting{m.place, m.record});
    if (planted_ == planted_fault::dead_letter_in_two_steps) {
      record copy{std::string{m.delivery.record().value()}};
      copy.header(died_in_header, std::string{layout_.name});
      static_cast<void>(bus_.publish("", grave_name, copy).value());
      consumer_.ack(m.tag).value();
    } else {
      consumer_.nack(m.tag, requeue::no).value();
    }
    out_.tell(rejected{m.place, m.record});
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(which));
  }

  template <class Settle>
  void settle(std::size_t from, std::size_t count, Settle settle_tags) {
    const auto first = held_.begin() + static_cast<std::ptrdiff_t>(from);
    const auto last = first + static_cast<std::ptrdiff_t>(count);
    std::vector<delivery_tag> tags;
    for (auto h = first; h != last; ++h) {
      tags.push_back(h->tag);
      out_.tell(settling{h->place, h->record});
    }
    if (planted_ != planted_fault::settle_without_ack) settle_tags(tags).value();
    for (auto h = first; h != last; ++h) out_.tell(settled{h->place, h->record});
    held_.erase(first, last);
  }

  bus& bus_;
  teller& out_;
  const queue_layout& layout_;
  queue_consumer consumer_;
  const planted_fault planted_;
  /// In the order of their tags.
  std::deque<held_message> held_;
};

/// One life of the bus.
class queueing_life {
 public:
  queueing_life(bus& b, teller& out, told_clock& clock, dice& d, serial& next, planted_fault planted)
      : bus_{b}, out_{out}, clock_{clock}, dice_{d}, planted_{planted}, producer_{b, out, d, next, planted} {
    const auto queues = b.queues().value();
    passing_ =
        std::any_of(queues.begin(), queues.end(), [](const auto& q) { return q.name == passing_name; });
    // The life before may have ended between the two.
    if (passing_) bind_passing_queue();
  }

  void do_something() {
    if (dice_.once_in(operations_per_maintenance)) maintain();
    if (dice_.once_in(15)) flush();
    const std::size_t what = dice_.roll(40);
    if (what < 14) {
      producer_.publish_something();
    } else if (what < 30) {
      take_somewhere();
    } else if (what < 33) {
      clock_.advance(1 + dice_.roll(200));
      wait_for_rest();
    } else if (what < 34) {
      producer_.cancel_something();
    } else if (what < 35) {
      purge(dice_.once_in(2) ? "plain" : "ranks");
    } else if (what < 37 && passing_) {
      dice_.once_in(3) ? purge(passing_name) : producer_.publish_one(way_to_passing());
    } else if (what < 38) {
      toggle_passing_queue();
    } else {
      hands_.erase(queue_layouts()[dice_.roll(queue_layouts().size())].name);
    }
  }
  /// Gives everything back.
  void end() { hands_.clear(); }

 private:
  void maintain() {
    out_.tell(maintaining{});
    bus_.maintain().value();
    out_.tell(maintained{});
  }
  void flush() {
    out_.tell(flushing{});
    bus_.sync().value();
    out_.tell(flushed{});
  }

  void take_somewhere() {
    const queue_layout& any = queue_layouts()[dice_.roll(queue_layouts().size())];
    // A limit on deliveries takes several to be reached.
    const queue_layout& layout = dice_.once_in(4) ? layout_of(dice_.once_in(2) ? "tries" : "ranks") : any;
    const bool gone = layout.name == std::string{passing_name} && !passing_;
    const queue_layout& from = gone ? layout_of(grave_name) : layout;
    auto& held = hands_[from.name];
    if (!held) {
      const auto prefetch = static_cast<std::uint32_t>(1 + dice_.roll(6));
      held = std::make_unique<hand>(bus_, out_, from, prefetch, planted_);
    }
    held->take_and_settle(dice_);
  }

  void purge(const std::string& queue) {
    hands_.erase(queue);
    out_.tell(purging{queue});
    static_cast<void>(bus_.purge_queue(queue).value());
    out_.tell(purged{queue});
  }

  void toggle_passing_queue() {
    const std::string queue = queue_object(passing_name);
    if (passing_) {
      const std::string bound = binding_object(exact_exchange, passing_name, passing_name);
      hands_.erase(passing_name);
      out_.tell(deleting{bound});
      out_.tell(deleting{queue});
      bus_.delete_queue(passing_name).value();
      out_.tell(deleted{queue});
      out_.tell(deleted{bound});
    } else {
      declare(out_, queue, [&] { bus_.declare_queue(passing_name).value(); });
      bind_passing_queue();
    }
    passing_ = !passing_;
  }
  void bind_passing_queue() {
    declare(out_, binding_object(exact_exchange, passing_name, passing_name),
            [&] { bus_.bind(exact_exchange, passing_name, passing_name).value(); });
  }

  /// Lets the bus do what is due: expire, route, bring back. Not for ever, since nothing here depends on it.
  void wait_for_rest() {
    const auto until = std::chrono::steady_clock::now() + rest_max;
    const auto at_rest = [&] {
      const auto queues = bus_.queues().value();
      const auto waiting = bus_.delayed(1).value();
      return std::all_of(queues.begin(), queues.end(),
                         [](const auto& q) { return q.messages == q.ready + q.unacked; }) &&
             (waiting.empty() || waiting.front().due > clock_.get()->wall());
    };
    while (!at_rest() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  }

  bus& bus_;
  teller& out_;
  told_clock& clock_;
  dice& dice_;
  const planted_fault planted_;
  queueing_producer producer_;
  std::map<std::string, std::unique_ptr<hand>> hands_;
  bool passing_ = false;
};

}  // namespace

void run_queueing_victim(const victim_options& options, const line_sink& line) {
  teller out{line};
  dice d{options.seed};
  serial next = make_serial(options.run, 0, 0);
  told_clock clock{out, options.run * milliseconds_of_run};
  bus_options settings = settings_of(options);
  settings.clock = clock.get();
  for (std::uint64_t done = 0; done < options.operations;) {
    out.tell(opening{options.mode});
    bus b = bus::open(options.directory, settings).value();
    out.tell(opened{options.mode, b.stats().value().epoch});
    declare_world(b, out);
    queueing_life life{b, out, clock, d, next, options.planted};
    const std::uint64_t until = done + std::min(options.operations_per_life, options.operations - done);
    for (; done < until; ++done) life.do_something();
    life.end();
    out.tell(closing{});
    b.close().value();
    out.tell(closed{});
  }
}

}  // namespace levada::crash
