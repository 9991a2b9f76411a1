// A thousand consumers in a hundred groups on a hundred topics that nobody publishes to: what they cost while
// they wait, and what joining costs one more.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <levada/async.hpp>
#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr double share_target = 0.1;  // percent of one processor
constexpr double join_target = 10;    // milliseconds

double processor_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

void answer(const std::filesystem::path& directory, findings& f, std::size_t groups, std::size_t members,
            std::chrono::milliseconds rest) {
  bus_options options;
  options.durability = synced{};
  auto b = bus::open(directory / "store", options).value();
  std::vector<double> joins;
  std::vector<consumer> all;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::string name = fmt::format("topic-{}", g);
    (void)b.declare_topic(name, {.partitions = static_cast<std::uint32_t>(members)}).value();
    for (std::size_t m = 0; m < members; ++m) {
      stop_if_asked();
      const auto begin = std::chrono::steady_clock::now();
      all.push_back(b.join(fmt::format("group-{}", g), {name}).value());
      joins.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
  }
  // Twice: the first polls hand partitions over.
  for (int i = 0; i < 2; ++i) {
    for (auto& c : all) (void)c.poll(std::chrono::milliseconds{0}).value();
  }
  std::atomic<std::size_t> answered{0};
  for (auto& c : all)
    c.async_poll(std::chrono::milliseconds::max(), [&](const result<record_batch>&) { ++answered; });
  std::this_thread::sleep_for(rest / 5);  // what follows from joining is done by then
  const double before = processor_seconds();
  std::this_thread::sleep_for(rest);
  const double used = processor_seconds() - before;
  const double seconds = std::chrono::duration<double>(rest).count();
  f.line(fmt::format("{} members in {} groups waited {:.1f} s, all by async_poll; {} polls ended", all.size(),
                     groups, seconds, answered.load()));
  for (auto& c : all) c.close();
  b.close().value();
  f.at_most("idle_percent", "of one processor while they wait, percent", 100 * used / seconds, share_target);
  std::sort(joins.begin(), joins.end());
  f.line(fmt::format("joining: median {:.2f} ms, p99 {:.2f} ms, longest {:.2f} ms", median(joins),
                     joins[joins.size() * 99 / 100], joins.back()));
  f.at_most("join_p99_ms", "joining a group, p99, ms", joins[joins.size() * 99 / 100], join_target);
}

}  // namespace

void ask_groups_at_rest(suite& s) {
  const auto groups = s.size<std::size_t>(100, 3);
  const auto rest = s.size(std::chrono::milliseconds{5'000}, std::chrono::milliseconds{20});
  s.ask(study{.name = "groups_at_rest",
              .text = "a thousand consumers in a hundred groups that wait",
              .answer = [=](const auto& directory, findings& f) { answer(directory, f, groups, 10, rest); }});
}

}  // namespace levada::bench
