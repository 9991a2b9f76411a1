#include <crash/processing_kill.hpp>

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

#include <levada/levada.hpp>

#include <crash/kill.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using std::chrono::milliseconds;
using test::ok;

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
  bool shares = false;
  /// With `offsets_apart`: how many lines it says before it halts between the transaction and the offsets.
  std::size_t lines_max = 0;
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

/// Adds the number to its bucket and publishes it under its place.
result<void> work_on(transaction& t, const table& sums, const record_view& r) {
  const std::uint64_t number = number_in(r);
  auto before = t.get(sums, bucket_of(number));
  if (!before) return before.error();
  const std::uint64_t sum = number + (*before ? std::stoull(**before) : 0);
  if (auto put = t.put(sums, bucket_of(number), std::to_string(sum)); !put) return put;
  return t.publish("out", record{place_of(r), std::string{r.value()}});
}
result<void> work_on(transaction& t, const table& sums, const record_batch& batch) {
  for (const auto& r : batch) {
    if (auto done = work_on(t, sums, r); !done) return done;
  }
  return {};
}

bus open_in_mode(const life& how) {
  return open_store(how.store, how.checkpoints, milliseconds{50});
}

struct tools {
  explicit tools(bus& of)
      : input{ok(of.declare_topic("in", {.partitions = input_partitions}))},
        output{ok(of.declare_topic("out"))},
        sums{ok(of.declare_table("sums"))} {}
  topic input;
  topic output;
  table sums;
};

consumer join(bus& of) {
  return ok(of.join("workers", {"in"}, {.reset = offset_reset::earliest, .poll_records_max = 20}));
}
share_consumer join_sharers(bus& of) {
  share_consumer_options options;
  options.reset = offset_reset::earliest;
  options.poll_records_max = 20;
  options.delivery_limit = 10'000;  // more than there are processes
  return ok(of.share_consume("sharers", {"in"}, options));
}

/// The loop as a host would write it, with transactions that collect.
void collect(bus& of, const tools& with, const std::stop_token& stop, const saying& say) {
  auto member = join(of);
  while (!stop.stop_requested()) {
    const auto batch = ok(member.poll(milliseconds{20}));
    if (batch.empty()) continue;
    auto t = ok(of.begin());
    ok(work_on(t, with.sums, batch));
    ok(t.send_offsets(member));
    ok(t.commit());
    say("done");
  }
}

/// For ever.
[[noreturn]] void halt() {
  for (;;) ::pause();
}

void commit_offsets_apart(bus& of, const tools& with, const life& how, const std::stop_token& stop,
                          const saying& say) {
  auto member = join(of);
  std::size_t lines = 0;
  while (!stop.stop_requested()) {
    const auto batch = ok(member.poll(milliseconds{20}));
    if (batch.empty()) continue;
    ok(of.transact([&](transaction& t) { return work_on(t, with.sums, batch); }));
    say("done");
    if (++lines == how.lines_max) halt();
    ok(member.commit());
  }
}

/// Some of the records that a sharer has acquired; the others it gives back. `worked_on` is called before
/// acknowledgements that are apart.
result<void> work_on_some(bus& of, const tools& with, share_consumer& member,
                          const std::vector<delivery>& acquired, bool apart, std::mt19937_64& random,
                          const std::function<void()>& worked_on = {}) {
  std::vector<delivery> worked;
  for (const auto& d : acquired) {
    if (random() % 4 > 0) {
      worked.push_back(d);
    } else if (auto back = member.acknowledge(d, acknowledge_type::release); !back) {
      return back;
    }
  }
  auto done = of.transact([&](transaction& t) -> result<void> {
    for (const auto& d : worked) {
      if (auto one = work_on(t, with.sums, d.record()); !one) return one;
      if (apart) continue;
      if (auto settled = t.ack(member, d.tag()); !settled) return settled;
    }
    return {};
  });
  if (!done) return done.error();
  if (worked_on && !worked.empty()) worked_on();
  return apart ? member.acknowledge(worked) : result<void>{};
}

/// Two members of a share group, side by side.
void share(bus& of, const tools& with, const life& how, const saying& say) {
  const auto work = [&](share_consumer member, std::uint64_t seed, const std::function<void()>& worked_on) {
    std::mt19937_64 random{seed};
    for (;;) {
      const auto acquired = ok(member.poll(milliseconds{20}));
      if (!acquired.empty())
        ok(work_on_some(of, with, member, acquired, how.offsets_apart, random, worked_on));
    }
  };
  std::size_t lines = 0;
  const std::function<void()> tell = [&] {
    say("done");
    if (++lines == how.lines_max) halt();
  };
  std::thread other{work, join_sharers(of), how.seed + 1, std::function<void()>{}};
  work(join_sharers(of), how.seed, tell);
  other.join();
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
  if (how.shares) {
    share(owner, with, how, say);
  } else if (how.offsets_apart) {
    commit_offsets_apart(owner, with, how, stop.get_token(), say);
  } else if (how.collects) {
    collect(owner, with, stop.get_token(), say);
  } else {
    auto member = join(owner);
    ok(owner.process(member, [&](transaction& t, const record_batch& batch) {
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
  const tools with{owner};
  if (how.shares) {
    auto member = join_sharers(owner);
    std::mt19937_64 random{how.seed};
    for (auto all = ok(member.poll(milliseconds{0})); !all.empty(); all = ok(member.poll(milliseconds{0})))
      ok(work_on_some(owner, with, member, all, false, random));
    ok(owner.close());
    return 0;
  }
  auto member = join(owner);
  ok(owner.process(member,
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

}  // namespace

processing_summary run_processing_kills(const processing_options& options,
                                        const processing_progress& progress) {
  constexpr std::size_t violations_max = 20;
  const test::temporary_directory root;
  std::mt19937_64 random{options.seed};
  processing_summary summary;
  const auto note = [&](const std::string& violation) {
    if (!violation.empty() && summary.violations.size() < violations_max)
      summary.violations.push_back(violation);
  };
  life how;
  how.store = root / "store";
  how.offsets_apart = options.planted_offsets_apart;
  how.shares = options.shares;
  for (; summary.kills < options.kills; ++summary.kills) {
    how.seed = random();
    how.checkpoints = random() % 2 == 0;
    how.collects = random() % 2 == 0;
    const auto when = draw_moment(random, batches_per_life_max);
    // A fault that is planted is met for certain.
    how.lines_max = how.offsets_apart ? when.lines : 0;
    std::size_t told = 0;
    note(run_and_kill(
        when, [&](const saying& say) { return live(how, say); }, [&](const std::string&, bool) { ++told; }));
    if (told > 1) ++summary.kills_with_progress;
    if (progress) progress(summary);
  }
  note(run_to_end(
      "finishing", [&](const saying&) { return finish(how); }, [](const std::string&) {}));
  note(run_to_end(
      "comparing", [&](const saying& say) { return compare(how, say); },
      [&](const std::string& line) {
        if (!line.starts_with("counts ")) return note(line);
        std::size_t used = 0;
        summary.records_in = std::stoull(line.substr(7), &used);
        summary.records_out = std::stoull(line.substr(7 + used));
      }));
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
