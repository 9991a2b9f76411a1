#include <crash/producing_kill.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <string>

#include <levada/async.hpp>
#include <levada/levada.hpp>

#include <crash/kill.hpp>
#include <crash/payload.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using std::chrono::milliseconds;
using test::ok;

constexpr const char* produced_topic = "produced";
constexpr std::uint32_t produced_partitions = 3;
/// How many records a process has sent at most that it does not know the result of.
constexpr std::uint64_t unanswered_max = 120;
constexpr std::uint64_t flushed_together = 30;
constexpr std::size_t lines_before_kill_max = 400;

/// What one process does.
struct producing_life {
  std::filesystem::path store;
  std::uint64_t seed = 0;
  bool checkpoints = false;
  bool flushes = false;  // instead of having each record answered
  std::string id;
  bool learns_too_early = false;
  std::uint64_t first = 1;
  std::uint64_t last = UINT64_MAX;
};

std::string key_of(std::uint64_t number) {
  return fmt::format("key {}", number % 7);
}
/// Within a row, or now and then of several.
std::string value_of(std::uint64_t number) {
  return make_payload(number, number % 97 == 0 ? 5'000 : 40 + number * 37 % 400);
}

bus open_for_producing(const producing_life& how) {
  return open_store(how.store, how.checkpoints, milliseconds{20});
}

/// How many records are unanswered. Safe to share.
class unanswered {
 public:
  void add(std::uint64_t records) {
    const std::lock_guard guard{mutex_};
    count_ += records;
  }
  void remove(std::uint64_t records) {
    const std::lock_guard guard{mutex_};
    count_ -= records;
    changed_.notify_all();
  }
  void wait_for_less_than(std::uint64_t records) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return count_ < records; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
};

/// Sends records and tells, a line each, what has become of them.
class producing_host {
 public:
  producing_host(const producing_life& how, bus& of, const saying& say)
      : how_{how}, say_{say}, sender_{ok(of.make_producer(produced_topic, options_of(how)))} {}

  void send(std::uint64_t number) {
    if (how_.learns_too_early) say_(fmt::format("flushed {}", number));
    if (how_.flushes) {
      send_unanswered(number);
    } else {
      send_answered(number);
    }
  }
  /// Has what nobody asks for one by one answered together.
  void flush(std::uint64_t last) {
    unanswered_.add(unflushed_);
    sender_.async_flush([this, last, records = unflushed_](const result<void>& flushed) {
      if (flushed) {
        say_(fmt::format("flushed {}", last));
      } else {
        say_(fmt::format("violation: a flush fails: {}", flushed.error().message()));
      }
      unanswered_.remove(records);
    });
    unflushed_ = 0;
  }
  void wait_for_less_than(std::uint64_t records) { unanswered_.wait_for_less_than(records); }

 private:
  static producer_options options_of(const producing_life& how) {
    producer_options options;
    options.id = how.id;
    options.linger = milliseconds{1};
    options.batch_bytes = 4'000;
    return options;
  }
  void send_answered(std::uint64_t number) {
    unanswered_.add(1);
    sender_.async_send(
        producer_sequence{number}, record{key_of(number), value_of(number)},
        [this, number](const result<publish_receipt>& sent) {
          if (sent) {
            say_(fmt::format("stored {} {} {}", number, sent->partition.value(), sent->offset.value()));
          } else {
            refused(number, sent.error());
          }
          unanswered_.remove(1);
        });
  }
  void send_unanswered(std::uint64_t number) {
    const auto sent = sender_.send(producer_sequence{number}, record{key_of(number), value_of(number)});
    if (!sent) refused(number, sent.error());
    if (++unflushed_ == flushed_together) flush(number);
  }
  void refused(std::uint64_t number, const error& why) {
    if (why == errc::duplicate_sequence) {
      say_(fmt::format("known {}", number));
    } else {
      say_(fmt::format("violation: record {} is refused: {}", number, why.message()));
    }
  }

  const producing_life& how_;
  const saying& say_;
  unanswered unanswered_;
  std::uint64_t unflushed_ = 0;
  producer sender_;
};

/// Until it is killed, or has sent its last.
int produce_for_life(const producing_life& how, const saying& say) {
  auto owner = open_for_producing(how);
  ok(owner.declare_topic(produced_topic, {.partitions = produced_partitions}));
  producing_host host{how, owner, say};
  std::mt19937_64 random{how.seed};
  for (std::uint64_t number = how.first; number <= how.last; ++number) {
    // Now and then all batches go because their time has come, none because it is full.
    host.wait_for_less_than(random() % 60 == 0 ? 1 : unanswered_max);
    host.send(number);
    if (random() % 80 == 0) host.flush(number);
  }
  host.flush(how.last);
  host.wait_for_less_than(1);
  ok(owner.close());
  return 0;
}

struct place_in_log {
  std::uint64_t partition = 0;
  std::uint64_t offset = 0;
  friend bool operator==(const place_in_log&, const place_in_log&) = default;
};

/// What a host that restarts goes on from, and what all hosts were told.
struct learnt_results {
  std::uint64_t up_to = 0;  // all these are stored, and the next host knows
  std::set<std::uint64_t> beyond;
  std::uint64_t acknowledged_up_to = 0;
  std::set<std::uint64_t> acknowledged;
  std::map<std::uint64_t, place_in_log> places;  // as receipts have them
  std::uint64_t told_max = 0;

  /// Takes a line in; whether the next host learns of it too is up to `remembered`.
  void take(const std::string& line, bool remembered, producing_summary& summary) {
    std::istringstream words{line};
    std::string what;
    std::uint64_t number = 0;
    words >> what >> number;
    told_max = std::max(told_max, number);
    const bool all_before = what == "flushed";
    if (all_before) {
      acknowledged_up_to = std::max(acknowledged_up_to, number);
    } else {
      acknowledged.insert(number);
    }
    if (what == "known") ++summary.sent_again;
    if (what == "stored") {
      place_in_log where;
      words >> where.partition >> where.offset;
      places.emplace(number, where);
    }
    if (!remembered) return;
    if (all_before) {
      up_to = std::max(up_to, number);
      beyond.erase(beyond.begin(), beyond.upper_bound(up_to));
    } else if (number > up_to) {
      beyond.insert(number);
    }
    while (beyond.erase(up_to + 1) > 0) ++up_to;
  }
  [[nodiscard]] bool is_acknowledged(std::uint64_t number) const {
    return number <= acknowledged_up_to || acknowledged.contains(number);
  }
};

/// Compares the log with what was sent, which are the numbers up to `last`.
int compare_produced(const producing_life& how, const learnt_results& learnt, const saying& say) {
  auto owner = open_for_producing(how);
  std::map<std::uint64_t, place_in_log> found;
  std::map<std::uint64_t, std::uint64_t> newest;  // by partition
  std::uint64_t records = 0;
  auto pass = ok(owner.replay(produced_topic, {.until = until_latest{}}));
  while (!pass.ended()) {
    for (const auto& r : ok(pass.next())) {
      ++records;
      const place_in_log where{r.partition().value(), r.offset().value()};
      const auto number = serial_of(r.value());
      if (!number || *number == 0 || *number > how.last || r.value() != value_of(*number) ||
          r.key() != key_of(*number) ||
          r.partition() != partition_for_key(key_of(*number), produced_partitions)) {
        say(fmt::format("violation: {}/{} was never sent so", where.partition, where.offset));
        continue;
      }
      if (!found.emplace(*number, where).second)
        say(fmt::format("violation: record {} is stored twice", *number));
      if (auto& before = newest[where.partition]; *number < before) {
        say(fmt::format("violation: record {} stands behind {}", *number, before));
      } else {
        before = *number;
      }
    }
  }
  for (std::uint64_t number = 1; number <= how.last; ++number) {
    if (found.contains(number)) continue;
    say(fmt::format("violation: record {} {} lost", number,
                    learnt.is_acknowledged(number) ? "was acknowledged, and is" : "is"));
  }
  for (const auto& [number, where] : learnt.places) {
    if (const auto at = found.find(number); at != found.end() && at->second != where)
      say(fmt::format("violation: record {} is at {}/{}, and its receipt says {}/{}", number,
                      at->second.partition, at->second.offset, where.partition, where.offset));
  }
  say(fmt::format("records {}", records));
  ok(owner.close());
  return 0;
}

/// A line that is no result; an empty one is nothing.
void note_violation(const std::string& line, producing_summary& summary) {
  constexpr std::size_t violations_max = 20;
  if (!line.empty() && summary.violations.size() < violations_max) summary.violations.push_back(line);
}

}  // namespace

producing_summary run_producing_kills(const producing_options& options, const producing_progress& progress) {
  const test::temporary_directory root;
  std::mt19937_64 random{options.seed};
  producing_summary summary;
  learnt_results learnt;
  producing_life how;
  how.store = root / "store";
  how.learns_too_early = options.planted == producing_fault::learns_too_early;
  const auto begin_life = [&] {
    how.seed = random();
    how.checkpoints = random() % 2 == 0;
    how.flushes = random() % 3 == 0;
    how.id = options.planted == producing_fault::fresh_id ? fmt::format("importer {}", summary.kills)
                                                          : std::string{"importer"};
    how.first = learnt.up_to + 1;
  };
  const auto take = [&](const std::string& line, bool remembered) {
    if (line.starts_with("violation")) return note_violation(line, summary);
    learnt.take(line, remembered, summary);
  };
  for (; summary.kills < options.kills; ++summary.kills) {
    begin_life();
    const auto when = draw_moment(random, lines_before_kill_max);
    // Of what is told at the end, the next host may know nothing.
    const bool remembers_the_end = random() % 2 == 0;
    const std::uint64_t before = learnt.up_to;
    note_violation(
        run_and_kill(
            when, [&](const saying& say) { return produce_for_life(how, say); },
            [&](const std::string& line, bool before_end) { take(line, before_end || remembers_the_end); }),
        summary);
    if (learnt.up_to > before) ++summary.kills_with_progress;
    if (progress) progress(summary);
  }
  begin_life();
  // As far as any of them may have sent.
  how.last = std::max(learnt.told_max, learnt.up_to) + unanswered_max + flushed_together;
  note_violation(run_to_end(
                     "finishing", [&](const saying& say) { return produce_for_life(how, say); },
                     [&](const std::string& line) { take(line, true); }),
                 summary);
  for (std::uint64_t number = 1; number <= how.last; ++number)
    summary.acknowledged += learnt.is_acknowledged(number) ? 1 : 0;
  note_violation(run_to_end(
                     "comparing", [&](const saying& say) { return compare_produced(how, learnt, say); },
                     [&](const std::string& line) {
                       if (!line.starts_with("records ")) return note_violation(line, summary);
                       summary.records = std::stoull(line.substr(8));
                     }),
                 summary);
  return summary;
}

std::string to_text(const producing_summary& s) {
  std::string text = fmt::format(
      "{} kills, {} of a process that had learnt something; {} records, {} of them acknowledged; {} "
      "sent again though they were stored; {}\n",
      s.kills, s.kills_with_progress, s.records, s.acknowledged, s.sent_again,
      s.violations.empty() ? "0 violations" : "violations:");
  for (const auto& v : s.violations) text += fmt::format("  {}\n", v);
  return text;
}

}  // namespace levada::crash
