// How long a record takes from its publisher's call until the poll of another thread returns it. No flushes,
// as these would hide the rest. Beside it, in turn, what handing a number to another thread takes at all: by
// a condition variable to a thread that sleeps, and by an atomic to one that spins.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <levada/bus.hpp>
#include <levada/latency_histogram.hpp>

#include "questions.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

using std::chrono::nanoseconds;

constexpr double blocking_target = 40;             // microseconds, median
constexpr double spinning_target = 20;             // microseconds, median
constexpr double outlier_target_thousand = 2'000;  // microseconds, of one in a thousand

[[nodiscard]] nanoseconds now() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch();
}
[[nodiscard]] double microseconds(nanoseconds d) noexcept {
  return static_cast<double>(d.count()) / 1'000.0;
}

/// Time by which a thread that wants to sleep does, whatever it was doing.
void leave_time_to_fall_asleep(std::mt19937_64& random) {
  const auto until = now() + std::chrono::microseconds{100 + random() % 100};
  while (now() < until) {
  }
}

/// One thread gives, another takes; one thing at a time.
class handover {
 public:
  virtual ~handover() = default;
  virtual void give() = 0;
  /// Returns when what was given is there.
  virtual void take() = 0;
};

class by_condition final : public handover {
 public:
  void give() override {
    {
      const std::lock_guard guard{mutex_};
      there_ = true;
    }
    changed_.notify_one();
  }
  void take() override {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return there_; });
    there_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool there_ = false;
};

class by_atomic final : public handover {
 public:
  void give() override { there_.store(true, std::memory_order_release); }
  void take() override {
    while (!there_.exchange(false, std::memory_order_acq_rel)) {
    }
  }

 private:
  std::atomic<bool> there_{false};
};

class by_topic final : public handover {
 public:
  /// Each has a topic of its own, so that it takes nothing but what it was given.
  by_topic(bus& b, const std::string& name, std::chrono::milliseconds timeout)
      : topic_{b.declare_topic(name).value()},
        consumer_{b.join("measured", {name}).value()},
        timeout_{timeout} {
    (void)consumer_.poll(std::chrono::milliseconds{0}).value();
  }
  void give() override { (void)topic_.publish(record_).value(); }
  void take() override {
    for (;;) {
      const auto batch = consumer_.poll(timeout_).value();
      if (batch.size() > 1) throw std::runtime_error{"more has come than was given"};
      if (!batch.empty()) return;
    }
  }

 private:
  topic topic_;
  consumer consumer_;
  std::chrono::milliseconds timeout_;
  record record_{std::string{value_of(0)}};
};

struct times {
  latency_histogram whole;   ///< from the beginning of `give` to the end of `take`
  latency_histogram giving;  ///< `give` alone
};

/// `count` times, in a thread each.
void measure(handover& way, std::size_t count, std::uint64_t seed, times& to) {
  std::atomic<std::size_t> taken{0};
  std::vector<nanoseconds> ends(count);
  std::exception_ptr failure;
  std::thread taker{[&] {
    try {
      for (std::size_t i = 0; i < count; ++i) {
        way.take();
        ends[i] = now();
        taken.store(i + 1, std::memory_order_release);
      }
    } catch (...) {
      failure = std::current_exception();
      taken.store(count, std::memory_order_release);
    }
  }};
  std::mt19937_64 random{seed};
  for (std::size_t i = 0; i < count; ++i) {
    leave_time_to_fall_asleep(random);
    const nanoseconds begin = now();
    way.give();
    to.giving.add(now() - begin);
    while (taken.load(std::memory_order_acquire) <= i) {
    }
    to.whole.add(ends[i] - begin);
  }
  taker.join();
  if (failure) std::rethrow_exception(failure);
}

std::string quantiles(const latency_histogram& h) {
  return fmt::format("p50 {:.1f}, p90 {:.1f}, p99 {:.1f}, p99.9 {:.1f}, max {:.1f} us",
                     microseconds(h.quantile(0.5)), microseconds(h.quantile(0.9)),
                     microseconds(h.quantile(0.99)), microseconds(h.quantile(0.999)),
                     microseconds(h.quantile(1)));
}

/// A line for each power of two of microseconds.
void print(const latency_histogram& h, const findings& f) {
  const std::uint64_t all = h.count();
  std::uint64_t sum = 0;
  std::uint64_t limit = 1;
  std::uint64_t in_line = 0;
  for (std::size_t i = 0; i < latency_histogram::bucket_count && sum < all; ++i) {
    while (microseconds(latency_histogram::upper_bound(i)) >= static_cast<double>(limit)) {
      if (in_line > 0)
        f.line(fmt::format("    < {:>6} us {:>8}  {}", limit, in_line,
                           std::string(static_cast<std::size_t>(60 * in_line / all), '#')));
      in_line = 0;
      limit *= 2;
    }
    sum += h[i];
    in_line += h[i];
  }
  if (in_line > 0) f.line(fmt::format("    < {:>6} us {:>8}", limit, in_line));
}

void answer(const std::filesystem::path& directory, findings& f, std::size_t rounds, std::size_t in_round) {
  auto b = bus::open(directory / "store", unsealed(checkpointed{})).value();
  by_topic blocking{b, "waited for", std::chrono::milliseconds::max()};
  by_topic spinning{b, "spun for", std::chrono::milliseconds{0}};
  by_condition condition;
  by_atomic atomic;
  struct way {
    const char* name;
    handover* how;
    times taken = {};
  };
  std::vector<way> ways{{"poll that waits", &blocking},
                        {"condition variable", &condition},
                        {"poll that spins", &spinning},
                        {"atomic", &atomic}};
  {
    times warm_up;
    for (auto& w : ways) measure(*w.how, in_round, 0, warm_up);
  }
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      stop_if_asked();
      auto& w = ways[(i + round) % ways.size()];
      measure(*w.how, in_round, round * ways.size() + i, w.taken);
    }
  }
  for (const auto& w : ways) {
    f.line(fmt::format("{:<20} {}", w.name, quantiles(w.taken.whole)));
    f.line(fmt::format("{:<20} {}", "  the giver's call", quantiles(w.taken.giving)));
    print(w.taken.whole, f);
  }
  const auto of = [&](std::size_t i, double share) {
    return microseconds(ways[i].taken.whole.quantile(share));
  };
  f.figure("waiting_over_condition", of(0, 0.5) / of(1, 0.5));
  f.line(fmt::format("median of the poll that waits over the condition variable's: {:.2f}",
                     of(0, 0.5) / of(1, 0.5)));
  f.at_most("waiting_p50_us", "poll that waits, median, us", of(0, 0.5), blocking_target);
  f.at_most("spinning_p50_us", "poll that spins, median, us", of(2, 0.5), spinning_target);
  f.at_most("waiting_p999_us", "poll that waits, p99.9, us", of(0, 0.999), outlier_target_thousand);
  f.at_most("spinning_p999_us", "poll that spins, p99.9, us", of(2, 0.999), outlier_target_thousand);
}

}  // namespace

void ask_delivery_latency(suite& s) {
  const auto rounds = s.size<std::size_t>(10, 1);
  const auto in_round = s.size<std::size_t>(1'000, 20);
  s.ask(study{.name = "delivery_latency",
              .text = "a record from its publisher's call to the poll of another thread, checkpointed",
              .answer = [=](const auto& directory, findings& f) { answer(directory, f, rounds, in_round); }});
}

}  // namespace levada::bench
