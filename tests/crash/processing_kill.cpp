#include <crash/processing_kill.hpp>

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include <levada/levada.hpp>

#include <support/child_process.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using std::chrono::milliseconds;
using test::ok;
using saying = std::function<void(const std::string&)>;

constexpr std::uint32_t input_partitions = 3;
constexpr std::uint64_t buckets = 8;
constexpr std::size_t batches_per_life_max = 40;

/// What one process does.
struct life {
  std::filesystem::path store;
  std::uint64_t seed = 0;
  bool checkpoints = false;
  bool collects = false;
  bool offsets_apart = false;
};

std::uint64_t number_in(const record_view& r) {
  return std::stoull(std::string{r.value()});
}
std::string place_of(const record_view& r) {
  return fmt::format("{}/{}", r.partition().value(), r.offset().value());
}
table_key bucket_of(std::uint64_t number) {
  return table_key{"bucket", number % buckets};
}

/// Adds each number to its bucket and publishes it under its place.
result<void> work_on(transaction& t, const table& sums, const record_batch& batch) {
  for (const auto& r : batch) {
    const std::uint64_t number = number_in(r);
    auto before = t.get(sums, bucket_of(number));
    if (!before) return before.error();
    const std::uint64_t sum = number + (*before ? std::stoull(**before) : 0);
    if (auto put = t.put(sums, bucket_of(number), std::to_string(sum)); !put) return put;
    if (auto sent = t.publish("out", record{place_of(r), std::string{r.value()}}); !sent) return sent;
  }
  return {};
}

bus open_in_mode(const life& how) {
  bus_options options;
  options.journal_bytes_seal = 64 << 10;
  if (how.checkpoints) options.durability = checkpointed{milliseconds{50}};
  return ok(bus::open(how.store, options));
}

struct tools {
  explicit tools(bus& of)
      : input{ok(of.declare_topic("in", {.partitions = input_partitions}))},
        output{ok(of.declare_topic("out"))},
        sums{ok(of.declare_table("sums"))},
        member{ok(of.join("workers", {"in"}, {.reset = offset_reset::earliest, .poll_records_max = 20}))} {}
  topic input;
  topic output;
  table sums;
  consumer member;
};

/// The loop as a host would write it, with transactions that collect.
void collect(bus& of, tools& with, const std::stop_token& stop, const saying& say) {
  while (!stop.stop_requested()) {
    const auto batch = ok(with.member.poll(milliseconds{20}));
    if (batch.empty()) continue;
    auto t = ok(of.begin());
    ok(work_on(t, with.sums, batch));
    ok(t.send_offsets(with.member));
    ok(t.commit());
    say("done");
  }
}

void commit_offsets_apart(bus& of, tools& with, const std::stop_token& stop, const saying& say) {
  while (!stop.stop_requested()) {
    const auto batch = ok(with.member.poll(milliseconds{20}));
    if (batch.empty()) continue;
    ok(of.transact([&](transaction& t) { return work_on(t, with.sums, batch); }));
    say("done");
    ok(with.member.commit());
  }
}

/// Until it is killed.
int live(const life& how, const saying& say) {
  auto owner = open_in_mode(how);
  tools with{owner};
  std::mt19937_64 random{how.seed};
  const std::stop_source stop;
  std::thread publisher{[&with, &random] {
    for (;;) {
      auto batch = with.input.make_batch();
      for (std::uint64_t n = 1 + random() % 20; n > 0; --n)
        ok(batch.add(partition_id{static_cast<std::uint32_t>(random() % input_partitions)},
                     std::to_string(random() % 1'000'000)));
      ok(with.input.publish(batch));
    }
  }};
  if (how.offsets_apart) {
    commit_offsets_apart(owner, with, stop.get_token(), say);
  } else if (how.collects) {
    collect(owner, with, stop.get_token(), say);
  } else {
    ok(owner.process(with.member, [&](transaction& t, const record_batch& batch) {
      auto done = work_on(t, with.sums, batch);
      say("doing");
      return done;
    }));
  }
  publisher.join();
  return 0;
}

/// Works the rest off.
int finish(const life& how) {
  auto owner = open_in_mode(how);
  tools with{owner};
  ok(owner.process(with.member,
                   [&](transaction& t, const record_batch& batch) { return work_on(t, with.sums, batch); },
                   {.idle_max = milliseconds{0}}));
  ok(owner.close());
  return 0;
}

template <class Each>
void for_each_record(bus& of, const char* topic, Each each) {
  auto pass = ok(of.replay(topic, {.until = until_latest{}}));
  while (!pass.ended()) {
    for (const auto& r : ok(pass.next())) each(r);
  }
}

/// Compares what has become of the input with the input.
int compare(const life& how, const saying& say) {
  auto owner = open_in_mode(how);
  std::map<std::string, std::string> input;
  std::map<std::string, std::uint64_t> expected;
  for_each_record(owner, "in", [&](const record_view& r) {
    input.emplace(place_of(r), r.value());
    expected[bucket_of(number_in(r)).text()] += number_in(r);
  });
  std::size_t output = 0;
  std::map<std::string, int> seen;
  for_each_record(owner, "out", [&](const record_view& r) {
    ++output;
    const std::string place{r.key()};
    if (++seen[place] == 2) say(fmt::format("violation: record {} has come out twice", place));
    const auto from = input.find(place);
    if (from == input.end() || from->second != r.value())
      say(fmt::format("violation: {} has come out of record {}", r.value(), place));
  });
  for (const auto& [place, value] : input) {
    if (!seen.contains(place)) say(fmt::format("violation: nothing has come out of record {}", place));
  }
  std::map<std::string, std::uint64_t> sums;
  for (const auto& entry : ok(ok(owner.table("sums")).scan({})))
    sums[entry.key.text()] = std::stoull(entry.value);
  for (const auto& [bucket, sum] : expected) {
    if (sums[bucket] != sum)
      say(fmt::format("violation: the sum of {} is {} instead of {}", bucket, sums[bucket], sum));
  }
  say(fmt::format("counts {} {}", input.size(), output));
  ok(owner.close());
  return 0;
}

void expect_end(test::child_process& child, processing_summary& summary, const char* what) {
  if (const int code = child.wait(); code != 0)
    summary.violations.push_back(fmt::format("{} ended with code {}", what, code));
}

}  // namespace

processing_summary run_processing_kills(const processing_options& options,
                                        const processing_progress& progress) {
  constexpr std::size_t violations_max = 20;
  const test::temporary_directory root;
  std::mt19937_64 random{options.seed};
  processing_summary summary;
  life how;
  how.store = root / "store";
  how.offsets_apart = options.planted_offsets_apart;
  for (; summary.kills < options.kills; ++summary.kills) {
    how.seed = random();
    how.checkpoints = random() % 2 == 0;
    how.collects = random() % 2 == 0;
    const std::size_t wanted = random() % batches_per_life_max;
    const std::chrono::microseconds delay{random() % 3000};
    test::child_process child{[&](const saying& say) { return live(how, say); }};
    std::size_t told = 0;
    bool ended = false;
    for (; told < wanted && !ended; ++told) ended = child.read_line().empty();
    for (const auto until = std::chrono::steady_clock::now() + delay;
         std::chrono::steady_clock::now() < until;) {
    }
    child.kill(SIGKILL);
    while (!ended) ended = child.read_line().empty();
    if (const int code = child.wait(); code != 128 + SIGKILL)
      summary.violations.push_back(fmt::format("a process ended by itself, with code {}", code));
    if (told > 1) ++summary.kills_with_progress;
    if (progress) progress(summary);
  }
  {
    test::child_process child{[&](const saying&) { return finish(how); }};
    while (!child.read_line().empty()) {
    }
    expect_end(child, summary, "finishing");
  }
  test::child_process child{[&](const saying& say) { return compare(how, say); }};
  for (auto line = child.read_line(); !line.empty(); line = child.read_line()) {
    if (line.starts_with("counts ")) {
      std::size_t used = 0;
      summary.records_in = std::stoull(line.substr(7), &used);
      summary.records_out = std::stoull(line.substr(7 + used));
    } else if (summary.violations.size() < violations_max) {
      summary.violations.push_back(line);
    }
  }
  expect_end(child, summary, "comparing");
  return summary;
}

std::string to_text(const processing_summary& s) {
  std::string text = fmt::format("{} kills, {} of a process that had committed; {} records in, {} out; {}\n",
                                 s.kills, s.kills_with_progress, s.records_in, s.records_out,
                                 s.violations.empty() ? "0 violations" : "violations:");
  for (const auto& v : s.violations) text += fmt::format("  {}\n", v);
  return text;
}

}  // namespace levada::crash
