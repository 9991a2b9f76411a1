#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <support/bus_fixture.hpp>

namespace levada::test {

/// Waits for what happens without anybody asking for it.
inline constexpr std::chrono::milliseconds in_a_while{20'000};

/// A queue "q" is bound to a fanout exchange "e". Everything is sealed whenever the bus is told to maintain.
class delayed_fixture : public bus_fixture {
 protected:
  delayed_fixture() : bus_fixture{seals_everything} {
    exchange("e");
    queue("q");
    ok(the_bus().bind("e", "q", ""));
  }
  void exchange(const std::string& name, exchange_options options = {}) {
    options.type = exchange_type::fanout;
    ok(the_bus().declare_exchange(name, options));
  }
  void queue(const std::string& name, const queue_options& options = {}) {
    ok(the_bus().declare_queue(name, options));
  }
  result<publish_receipt> try_later(std::chrono::milliseconds delay, const record& r,
                                    const std::string& to = "e") {
    return the_bus().publish(to, "", r, {.delay = delay});
  }
  publish_receipt later(std::chrono::milliseconds delay, const std::string& value,
                        const std::string& to = "e") {
    return ok(try_later(delay, record{value}, to));
  }
  std::vector<std::string> ready(const std::string& name) {
    std::vector<std::string> values;
    for (const auto& r : ok(the_bus().peek(name, 100))) values.emplace_back(r.value());
    return values;
  }
  /// Waits for so many messages, and settles them.
  std::vector<std::string> take(const std::string& name, std::size_t count) {
    std::vector<std::string> values;
    auto consumer = ok(the_bus().consume(name));
    while (values.size() < count) {
      const auto d = ok(consumer.receive(in_a_while));
      if (!d) break;
      values.emplace_back(d->record().value());
      ok(consumer.ack(*d));
    }
    return values;
  }
  /// Lets a millisecond pass, and returns when everything has been routed that was due before.
  void route_what_is_due() {
    queue("last");
    ok(the_bus().publish("", "last", record{""}, {.delay = std::chrono::milliseconds{1}}));
    the_clock().advance(std::chrono::milliseconds{1});
    take("last", 1);
  }
  std::vector<std::string> log_of(const std::string& name) { return read_all(ok(the_bus().replay(name))); }
  std::vector<delayed_message> waiting() { return ok(the_bus().delayed(100)); }
  queue_stats counts() { return ok(the_bus().stats()).queues; }
};

}  // namespace levada::test
