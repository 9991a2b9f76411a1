#include "comparison.hpp"

#include <stop_token>
#include <string_view>
#include <thread>

#include <fmt/core.h>

#include <levada/bus.hpp>

#include "background.hpp"
#include "changes.hpp"
#include "direct_call.hpp"
#include "licensing.hpp"
#include "organisation_service.hpp"

namespace cache_sync {
namespace {

constexpr std::size_t organisations_count = 20;
constexpr std::size_t turns = 4;
/// A slow disk makes the numbers smaller, not the run longer.
constexpr std::chrono::milliseconds turn_time_max{250};
constexpr std::chrono::milliseconds only_what_is_there{0};

using milliseconds = std::chrono::duration<double, std::milli>;

/// How licensing is.
struct condition {
  std::string name;
  bool is_up = true;
  work_per_change work = nullptr;
};

std::vector<condition> conditions_of(const comparison_options& options) {
  return {{"well"},
          {fmt::format("slow: {} ms a change", options.slow.count()), true,
           [slow = options.slow](const organisation&) { std::this_thread::sleep_for(slow); }},
          {fmt::format("down: {} ms until time-out", options.timeout.count()), false}};
}

template <class Service>
void measure(Service& service, change_source& changes, std::size_t count, latencies& into) {
  const auto end = std::chrono::steady_clock::now() + turn_time_max;
  std::size_t n = 0;
  do {
    const auto [id, d] = changes.next();
    const auto begin = std::chrono::steady_clock::now();
    service.save(id, d).value();
    into.add(std::chrono::steady_clock::now() - begin);
  } while (++n < count && std::chrono::steady_clock::now() < end);
}

/// Both ways side by side, in a store of their own.
class contest {
 public:
  explicit contest(const comparison_options& options)
      : turn_changes_{(options.changes + turns - 1) / turns},
        bus_{levada::bus::open(options.directory).value()},
        publisher_{bus_},
        callee_{bus_},
        caller_{bus_, callee_, options.timeout} {}

  latency_pair run(const condition& c) {
    latency_pair pair{c.name, {}, {}};
    for (std::size_t turn = 0; turn < turns; ++turn) {
      if (turn % 2 == 0) publish(c, pair.published);
      call(c, pair.called);
      if (turn % 2 != 0) publish(c, pair.published);
    }
    return pair;
  }

  [[nodiscard]] claim nothing_stale_when_published() {
    licensing service{bus_};
    while (service.take_in(only_what_is_there).value() != 0) {
    }
    auto c = cache_equals_table(service, publisher_.all().value());
    c.promise = "compared: " + c.promise;
    return c;
  }

  [[nodiscard]] std::size_t organisations_published() const { return publisher_.all().value().size(); }
  [[nodiscard]] std::size_t organisations_called() const { return caller_.all().value().size(); }
  [[nodiscard]] std::size_t stale_when_called() const {
    std::size_t stale = 0;
    for (const auto& o : caller_.all().value()) {
      stale += callee_.cached(o.id).value() == entitlement_of(o) ? 0 : 1;
    }
    return stale;
  }

 private:
  void publish(const condition& c, latencies& into) {
    if (!c.is_up) return measure(publisher_, published_, turn_changes_, into);
    licensing service{bus_, c.work};
    background serving{[&](const std::stop_token& stop) { return service.serve(stop); }};
    measure(publisher_, published_, turn_changes_, into);
    serving.stop().value();
  }

  void call(const condition& c, latencies& into) {
    if (c.is_up) {
      callee_.is_up(c.work);
    } else {
      callee_.is_down();
    }
    measure(caller_, called_, turn_changes_, into);
  }

  const std::size_t turn_changes_;
  levada::bus bus_;
  organisation_service publisher_;
  direct_licensing callee_;
  calling_organisation_service caller_;
  change_source published_{organisations_count};
  change_source called_{organisations_count};
};

std::string row(std::string_view condition, std::string_view way, const latencies& l) {
  return fmt::format("  {:<28}{:<12}{:>8}{:>10.2f}{:>10.2f}{:>10.2f}", condition, way, l.count(),
                     milliseconds{l.within(0.5)}.count(), milliseconds{l.within(0.99)}.count(),
                     milliseconds{l.within(1)}.count());
}

double ratio(const latency_pair& p, double share) {
  return milliseconds{p.called.within(share)} / milliseconds{p.published.within(share)};
}

}  // namespace

comparison compare(const comparison_options& options) {
  contest c{options};
  comparison result;
  for (const auto& condition : conditions_of(options)) result.pairs.push_back(c.run(condition));
  result.organisations_published = c.organisations_published();
  result.organisations_called = c.organisations_called();
  result.stale_when_called = c.stale_when_called();
  result.nothing_stale_when_published = c.nothing_stale_when_published();
  return result;
}

std::vector<std::string> render(const comparison& c) {
  std::vector<std::string> lines{
      "  Published: change and event are one commit; licensing follows in its own thread, and its commits",
      "  share the disk. Called: the change is committed, then licensing works and commits in the same "
      "thread.",
      fmt::format("  {:<28}{:<12}{:>8}{:>10}{:>10}{:>10}", "licensing is", "changes are", "number", "p50 ms",
                  "p99 ms", "max ms")};
  for (const auto& p : c.pairs) {
    lines.push_back(row(p.condition, "published", p.published));
    lines.push_back(row("", "called", p.called));
    lines.push_back(fmt::format("  {:<28}{:<12}{:>8}{:>10.2f}{:>10.2f}{:>10.2f}", "", "ratio", "",
                                ratio(p, 0.5), ratio(p, 0.99), ratio(p, 1)));
  }
  lines.push_back(
      fmt::format("  Up again, licensing is wrong about {} of {} organisations where changes were "
                  "published, {} of {} where it was called.",
                  c.nothing_stale_when_published.violations.size(), c.organisations_published,
                  c.stale_when_called, c.organisations_called));
  return lines;
}

}  // namespace cache_sync
