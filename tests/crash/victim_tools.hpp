#pragma once

/// @file
/// What all parts of the victim use.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>

#include <levada/options.hpp>
#include <levada/publishing.hpp>
#include <levada/record.hpp>

#include <crash/history.hpp>
#include <crash/payload.hpp>
#include <crash/victim.hpp>

namespace levada::crash {

class dice {
 public:
  explicit dice(std::uint64_t seed) : engine_{seed} {}
  /// 0 to `sides` - 1.
  std::size_t roll(std::size_t sides) { return engine_() % sides; }
  bool once_in(std::size_t times) { return roll(times) == 0; }

 private:
  std::mt19937_64 engine_;
};

/// Lets threads write lines one at a time.
class teller {
 public:
  explicit teller(const line_sink& sink) : sink_{sink} {}
  void tell(const event& e) {
    const std::string line = to_line(e);
    const std::lock_guard guard{mutex_};
    sink_(line);
  }

 private:
  std::mutex mutex_;
  const line_sink& sink_;
};

/// A journal that is sealed again and again. In some runs all topics get segments of their own, in
/// others few do.
[[nodiscard]] bus_options settings_of(const victim_options& options);

/// The offset that a record of a batch got.
inline std::uint64_t offset_of(const batch_receipt& receipt, const publish_batch::slot& slot) {
  const auto range = std::find_if(receipt.ranges.begin(), receipt.ranges.end(),
                                  [&](const auto& r) { return r.partition == slot.partition; });
  if (range == receipt.ranges.end()) throw std::logic_error{"a batch's receipt lacks a partition"};
  return range->base_offset.value() + slot.index;
}

/// How a record gets beyond the log that it is published to.
struct route {
  /// The queues that the exchange's bindings select, as `sending` has them.
  std::string queues = none_named;
  std::string routing_key = {};
};

/// What is to be told before a record is published. `batch` is its own serial where it is published alone.
inline sending announce(serial s, serial batch, const std::string& log, const record& r,
                        const route& through = {}) {
  const std::string key = r.key().value_or(std::string{});
  const std::string value = r.value().value_or(std::string{});
  sending line;
  line.record = s;
  line.batch = batch;
  line.log = log;
  line.queues = through.queues;
  line.key = r.key().value_or(none_named);
  line.tombstone = !r.value();
  line.hash = fingerprint(key, through.routing_key, value);
  return line;
}

/// Tells of a declaration before and after it.
template <class Action>
void declare(teller& out, const std::string& object, Action action) {
  out.tell(declaring{object});
  action();
  out.tell(declared{object});
}

}  // namespace levada::crash
