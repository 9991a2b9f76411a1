// Finding the queues of a routing key in a topic exchange's bindings, in memory and without a bus: with
// 10,000 bindings, with a thousand times as many beside a hundred, and where patterns of many `#` meet long
// keys.

#include "routing/matcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "questions.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr double rate_target = 3;    // million keys a second
constexpr double growth_target = 3;  // times
constexpr double worst_target = 1;   // milliseconds

/// Draws that are the same in every run and with every compiler.
class lottery {
 public:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
  /// Half of the draws fall into the lowest eighth.
  std::size_t skewed(std::size_t n) {
    const double u = static_cast<double>(engine_()) / 4294967296.0;
    return static_cast<std::size_t>(u * u * u * static_cast<double>(n));
  }
  template <std::size_t N>
  std::string_view one_of(const std::string_view (&all)[N]) {
    return all[skewed(N)];
  }

 private:
  std::mt19937 engine_{1};
};

constexpr std::string_view regions[] = {"eu-west", "us-east",  "ap-south", "sa-east",
                                        "us-west", "eu-north", "af",       "me"};
constexpr std::string_view metrics[] = {"temperature", "pressure",  "power",   "state",   "flow",  "alarm",
                                        "humidity",    "vibration", "voltage", "current", "speed", "door"};
constexpr std::string_view levels[] = {"info", "warning", "error", "critical"};
constexpr std::string_view windows[] = {"raw", "1m", "1h"};

/// Devices at sites in regions, whose messages have keys of three to six words, and which most bindings name:
/// however many there are, a key meets few.
class plant {
 public:
  explicit plant(std::size_t bindings) : bound_{std::max<std::size_t>(bindings / 4, 1)} {
    for (const std::string_view pattern : {"#", "#.critical", "eu-north.#", "*.*.*.door.#"}) bind(pattern);
    while (bindings_.size() < bindings) bind(draw_pattern());
  }

  [[nodiscard]] routing::matcher& bindings() noexcept { return bindings_; }

  std::vector<std::string> draw_keys(std::size_t count) {
    std::vector<std::string> keys(count);
    for (auto& key : keys) key = draw_key();
    return keys;
  }

 private:
  void bind(std::string_view pattern) { bindings_.add(pattern, next_queue_++); }

  /// "region.site.device".
  static std::string place(std::size_t device) {
    const std::size_t site = device / 16;
    return fmt::format("{}.site-{}.device-{}", regions[site % std::size(regions)], site, device);
  }

  std::string draw_pattern() {
    const std::size_t device = draws_.below(bound_);
    const std::string_view region = regions[device / 16 % std::size(regions)];
    switch (draws_.below(20)) {
      case 0:
        return fmt::format("{}.{}.{}", place(device), draws_.one_of(metrics), draws_.one_of(levels));
      case 1:
        return fmt::format("{}.*.device-{}.*.critical", region, device);
      case 2:
      case 3:
        return fmt::format("#.device-{}.{}.#", device, draws_.one_of(metrics));
      case 4:
      case 5:
      case 6:
        return fmt::format("*.*.device-{}.{}.*", device, draws_.one_of(metrics));
      case 7:
      case 8:
      case 9:
      case 10:
      case 11:
        return fmt::format("{}.{}.*", place(device), draws_.one_of(metrics));
      default:
        return fmt::format("{}.#", place(device));
    }
  }

  /// A fifth are of devices that no binding names.
  std::string draw_key() {
    std::string key = place(draws_.skewed(bound_ + bound_ / 4));
    const std::size_t length = draws_.below(20);
    if (length >= 2) key += fmt::format(".{}", draws_.one_of(metrics));
    if (length >= 8) key += fmt::format(".{}", draws_.one_of(levels));
    if (length >= 17) key += fmt::format(".{}", draws_.one_of(windows));
    return key;
  }

  lottery draws_;
  std::size_t bound_;
  routing::matcher bindings_{exchange_type::topic};
  routing::matcher::destination next_queue_ = 0;
};

struct pass {
  double nanoseconds = 0;  // a key
  double matches = 0;      // a key
};

class subject {
 public:
  subject(std::size_t bindings, std::size_t keys) : plant_{bindings}, keys_{plant_.draw_keys(keys)} {}

  pass match_all() {
    std::size_t matches = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (const std::string& key : keys_) {
      plant_.bindings().match(key, out_);
      matches += out_.size();
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    const auto count = static_cast<double>(keys_.size());
    return {took.count() / count, static_cast<double>(matches) / count};
  }

 private:
  plant plant_;
  std::vector<std::string> keys_;
  std::vector<routing::matcher::destination> out_;
};

/// Milliseconds that the slowest of some keys takes, each of 128 words and 255 bytes, of few letters; of
/// several attempts each key's fastest counts, since the machine does other things too.
double worst_of_hashes(const std::vector<std::string>& patterns, std::size_t keys) {
  routing::matcher m{exchange_type::topic};
  for (std::size_t i = 0; i < patterns.size(); ++i)
    m.add(patterns[i], static_cast<routing::matcher::destination>(i));
  lottery draws;
  double worst = 0;
  std::vector<routing::matcher::destination> out;
  for (std::size_t i = 0; i < keys; ++i) {
    std::string key(255, '.');
    for (std::size_t k = 0; k < key.size(); k += 2)
      key[k] = static_cast<char>('a' + (i == 0 ? 0 : draws.below(4)));
    double best = 1e9;
    for (int attempt = 0; attempt < 5; ++attempt) {
      // Nothing is remembered of the attempt before.
      m.add("another", 0);
      m.remove("another", 0);
      const auto begin = std::chrono::steady_clock::now();
      m.match(key, out);
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
      best = std::min(best, took.count());
    }
    worst = std::max(worst, best);
  }
  return worst;
}

/// Different patterns of six `#` with one word between each two.
std::vector<std::string> patterns_of_hashes(std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) {
    std::string pattern = "#";
    std::size_t digits = i;
    for (int word = 0; word < 5; ++word, digits /= 4) pattern += fmt::format(".{}.#", "abc*"[digits % 4]);
    all.push_back(pattern);
  }
  return all;
}

void answer(findings& f, std::size_t rounds, std::size_t keys, std::size_t scale) {
  subject hundred{100, keys};
  subject many{10'000 / scale, keys};
  subject most{100'000 / scale, keys};
  std::vector<double> rates;
  std::vector<double> growth;
  std::string matches;
  double first = 0;
  for (std::size_t i = 0; i <= rounds; ++i) {
    stop_if_asked();
    const pass of_hundred = hundred.match_all();
    const pass of_many = many.match_all();
    const pass of_most = most.match_all();
    matches = fmt::format("{:.1f}, {:.1f} and {:.1f}", of_hundred.matches, of_many.matches, of_most.matches);
    if (i == 0) {
      first = 1e3 / of_many.nanoseconds;
      continue;
    }
    rates.push_back(1e3 / of_many.nanoseconds);
    growth.push_back(of_most.nanoseconds / of_hundred.nanoseconds);
  }
  f.line(
      fmt::format("a key matches {} of 100, {} and {} bindings", matches, 10'000 / scale, 100'000 / scale));
  f.line(fmt::format("million keys a second: {}, {:.2f} in a first pass; growth: {}", with_range(rates),
                     first, with_range(growth)));
  f.at_least("million_keys", "10,000 bindings, million routing keys a second", median(rates), rate_target);
  f.at_most("growth", "a key's cost with 100,000 bindings over that with 100", median(growth), growth_target);
  f.at_most("one_worst_ms", "a pattern of six #, a key of 128 words, ms",
            worst_of_hashes({"#.a.#.a.#.a.#.a.#.a.#"}, 1), worst_target);
  f.at_most("many_worst_ms", "a thousand such patterns at once, the worst of the keys, ms",
            worst_of_hashes(patterns_of_hashes(1'000 / scale), 100 / scale), worst_target);
}

}  // namespace

void ask_routing(suite& s) {
  const auto rounds = s.size<std::size_t>(11, 1);
  const auto keys = s.size<std::size_t>(1 << 16, 1 << 6);
  const auto scale = s.size<std::size_t>(1, 100);
  s.ask(study{.name = "routing",
              .text = "routing keys against a topic exchange's bindings, in memory",
              .answer = [=](const auto& /*directory*/, findings& f) { answer(f, rounds, keys, scale); }});
}

}  // namespace levada::bench
