#include <crash/queueing_kill.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include <unistd.h>

#include <levada/levada.hpp>

#include <crash/kill.hpp>
#include <crash/payload.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using std::chrono::milliseconds;
using test::ok;

constexpr const char* work = "work";
constexpr const char* grave = "grave";
constexpr std::size_t queueing_lines_max = 300;
constexpr std::uint64_t length_max = 60;
constexpr std::uint8_t priority_max = 3;

/// What one process does.
struct queueing_life {
  std::filesystem::path store;
  std::uint64_t seed = 0;
  bool checkpoints = false;
  std::uint64_t first = 1;
  bool two_steps = false;
};

bus open_for_queueing(const queueing_life& how) {
  return open_store(how.store, how.checkpoints, milliseconds{30});
}

void declare_queues(bus& of) {
  queue_options bounded;
  bounded.max_length = length_max;
  bounded.dead_letter_exchange = "";
  bounded.dead_letter_routing_key = grave;
  bounded.delivery_limit = 5;
  bounded.max_priority = priority_max;
  redelivery_delay delay;
  delay.first = milliseconds{3};
  delay.factor = 2;
  delay.jitter = 0.5;
  bounded.redelivery_delay = delay;
  ok(of.declare_queue(work, bounded));
  ok(of.declare_queue(grave));
}

/// Publishes without end, one by one or several in a commit, some to be routed later.
void publish_for_life(bus& of, std::uint64_t first, std::uint64_t seed, const saying& say) {
  std::mt19937_64 random{seed};
  for (std::uint64_t number = first;;) {
    const std::uint64_t count = 1 + random() % 5;
    std::vector<message> all;
    for (std::uint64_t i = 0; i < count; ++i) {
      record r{make_payload(number + i, 20 + random() % 200)};
      if (random() % 6 == 0) r.expiration(milliseconds{random() % 4});
      r.priority(static_cast<std::uint8_t>(random() % (priority_max + 1)));
      all.emplace_back("", work, std::move(r));
    }
    publish_options later;
    if (random() % 4 == 0) later.delay = milliseconds{1 + random() % 20};
    say(fmt::format("storing {}", number + count - 1));
    static_cast<void>(ok(of.publish(all, later)));
    say(fmt::format("stored {}", number + count - 1));
    number += count;
  }
}

/// For ever: whoever waits for it, kills it.
[[noreturn]] void halt() {
  for (;;) ::pause();
}

/// Takes what comes and settles it in one way or another.
void handle_for_life(bus& of, const queueing_life& how, const saying& say) {
  std::mt19937_64 random{how.seed + 1};
  auto consumer = ok(of.consume(work, {.prefetch = 20}));
  for (;;) {
    auto d = ok(consumer.receive(milliseconds{50}));
    if (!d) continue;
    const std::uint64_t number = serial_of(d->record().value()).value_or(0);
    say(fmt::format("got {}", number));
    switch (random() % 4) {
      case 0:
        ok(consumer.nack(*d));
        break;
      case 1:
        say(fmt::format("rejecting {}", number));
        if (how.two_steps) {
          static_cast<void>(ok(of.publish("", grave, record{d->record()})));
          if (random() % 3 == 0) halt();
          ok(consumer.ack(*d));
        } else {
          ok(consumer.nack(*d, requeue::no));
        }
        say(fmt::format("rejected {}", number));
        break;
      default:
        say(fmt::format("acking {}", number));
        ok(consumer.ack(*d));
        say(fmt::format("acked {}", number));
    }
  }
}

int queue_for_life(const queueing_life& how, const saying& say) {
  auto owner = open_for_queueing(how);
  declare_queues(owner);
  std::mutex one_line;
  const saying say_alone = [&](const std::string& line) {
    const std::lock_guard guard{one_line};
    say(line);
  };
  std::thread publisher{[&] { publish_for_life(owner, how.first, how.seed, say_alone); }};
  handle_for_life(owner, how, say_alone);
  publisher.join();
  return 0;
}

/// Tells what is in the two queues, once what is to come has come, and what is to leave the one is in the
/// other.
int look_into_queues(const queueing_life& how, const saying& say) {
  auto owner = open_for_queueing(how);
  declare_queues(owner);
  auto from_work = ok(owner.consume(work, {.prefetch = 0}));
  auto from_grave = ok(owner.consume(grave, {.prefetch = 0}));
  const auto take_one = [&](queue_consumer& from, const char* name, milliseconds timeout) {
    const auto d = ok(from.receive(timeout));
    if (d) say(fmt::format("{} {}", name, serial_of(d->record().value()).value_or(0)));
    return d.has_value();
  };
  for (std::uint64_t held = 0;;) {
    if (take_one(from_work, work, milliseconds{0})) {
      ++held;
    } else if (!take_one(from_grave, grave, milliseconds{0})) {
      if (ok(owner.queue(work)).messages == held && ok(owner.stats()).queues.delayed == 0) break;
      take_one(from_grave, grave, milliseconds{20});
    }
  }
  while (take_one(from_grave, grave, milliseconds{0})) {
  }
  ok(owner.close());
  return 0;
}

struct told {
  std::set<std::uint64_t> acking;
  std::set<std::uint64_t> acked;
  std::set<std::uint64_t> rejected;
  std::uint64_t storing = 0;
  std::uint64_t stored = 0;
  std::set<std::uint64_t> unsure;  // whether they were stored
};

}  // namespace

queueing_summary run_queueing_kills(const queueing_options& options, const queueing_progress& progress) {
  constexpr std::size_t violations_max = 20;
  const test::temporary_directory root;
  std::mt19937_64 random{options.seed};
  queueing_summary summary;
  const auto note = [&](const std::string& violation) {
    if (!violation.empty() && summary.violations.size() < violations_max)
      summary.violations.push_back(violation);
  };
  told all;
  queueing_life how;
  how.store = root / "store";
  how.two_steps = options.planted_two_steps;
  for (; summary.kills < options.kills; ++summary.kills) {
    how.seed = random();
    how.checkpoints = random() % 2 == 0;
    how.first = all.storing + 1;
    const std::size_t settled_before = all.acked.size() + all.rejected.size();
    all.stored = all.storing;
    note(run_and_kill(
        draw_moment(random, queueing_lines_max), [&](const saying& say) { return queue_for_life(how, say); },
        [&](const std::string& line, bool) {
          std::istringstream words{line};
          std::string what;
          std::uint64_t number = 0;
          words >> what >> number;
          if (what == "storing") all.storing = std::max(all.storing, number);
          if (what == "stored") all.stored = std::max(all.stored, number);
          if (what == "acking") all.acking.insert(number);
          if (what == "acked") all.acked.insert(number);
          if (what == "rejected") all.rejected.insert(number);
          if (what == "got" && all.acked.contains(number))
            note(fmt::format("{} is delivered though it was acknowledged", number));
          if (what == "got" && all.rejected.contains(number))
            note(fmt::format("{} is delivered though it was rejected", number));
        }));
    for (std::uint64_t n = all.stored + 1; n <= all.storing; ++n) all.unsure.insert(n);
    if (all.acked.size() + all.rejected.size() > settled_before) ++summary.kills_with_progress;
    if (progress) progress(summary);
  }
  std::map<std::uint64_t, unsigned> in_work;
  std::map<std::uint64_t, unsigned> in_grave;
  note(run_to_end(
      "looking", [&](const saying& say) { return look_into_queues(how, say); },
      [&](const std::string& line) {
        std::istringstream words{line};
        std::string where;
        std::uint64_t number = 0;
        words >> where >> number;
        ++(where == work ? in_work : in_grave)[number];
      }));
  for (std::uint64_t n = 1; n <= all.storing; ++n) {
    const auto found = in_work.find(n);
    const auto dead = in_grave.find(n);
    const unsigned places =
        (found == in_work.end() ? 0 : found->second) + (dead == in_grave.end() ? 0 : dead->second);
    if (places > 1) note(fmt::format("{} is there {} times", n, places));
    if (all.acked.contains(n) && places > 0) note(fmt::format("{} is there, and was acknowledged", n));
    if (all.rejected.contains(n) && dead == in_grave.end())
      note(fmt::format("{} was rejected, and is no dead letter", n));
    if (places == 0 && !all.acking.contains(n) && !all.unsure.contains(n)) note(fmt::format("{} is lost", n));
  }
  for (const auto* const place : {&in_work, &in_grave}) {
    if (!place->empty() && place->rbegin()->first > all.storing)
      note(fmt::format("{} was never published", place->rbegin()->first));
  }
  summary.published = all.storing;
  summary.acknowledged = all.acked.size();
  summary.dead_letters = in_grave.size();
  summary.left = in_work.size();
  return summary;
}

std::string to_text(const queueing_summary& s) {
  std::string text = fmt::format(
      "{} kills, {} of a process that had settled something; {} messages, {} acknowledged, {} dead letters, "
      "{} "
      "left; {}\n",
      s.kills, s.kills_with_progress, s.published, s.acknowledged, s.dead_letters, s.left,
      s.violations.empty() ? "0 violations" : "violations:");
  for (const auto& v : s.violations) text += fmt::format("  {}\n", v);
  return text;
}

}  // namespace levada::crash
