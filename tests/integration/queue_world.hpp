#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <support/bus_fixture.hpp>

namespace levada::test {

/// A bus with queues that are published to by name, through the default exchange.
class queue_world : public bus_fixture {
 protected:
  /// Waits for what happens without anybody asking for it.
  static constexpr std::chrono::milliseconds in_a_while{20'000};

  void queue(const std::string& name, const queue_options& options = {}) {
    ok(the_bus().declare_queue(name, options));
  }
  void send(const std::string& to, const std::vector<std::string>& values) {
    for (const auto& v : values) ok(the_bus().publish("", to, record{v}));
  }
  queue_consumer consume(const std::string& name, const queue_consumer_options& options = {}) {
    return ok(the_bus().consume(name, options));
  }
  /// The value of the next delivery, which stays unsettled.
  static std::string next(queue_consumer& from, std::chrono::milliseconds patience = at_once) {
    const auto d = ok(from.receive(patience));
    return d ? std::string{d->record().value()} : "none";
  }
};

}  // namespace levada::test
