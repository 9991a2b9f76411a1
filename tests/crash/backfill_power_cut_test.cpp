#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <crash/disk.hpp>
#include <crash/recorder.hpp>
#include <levada/levada.hpp>
#include <support/result_testing.hpp>
#include <support/sanitizers.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using test::ok;

/// So many stand in the log before the queue is bound: enough for several slices.
constexpr std::uint64_t past = 5'000;
constexpr std::uint64_t taken_at_a_time = 400;

/// What a host knows that binds a queue from the past, publishes, and takes messages meanwhile. Messages are
/// numbered.
struct progress {
  bool bound = false;
  std::uint64_t published = past;  // confirmed
  std::uint64_t taken = 0;         // and acknowledged

  [[nodiscard]] std::string text() const { return fmt::format("{} {} {}", bound ? 1 : 0, published, taken); }
  static progress of(const std::string& text) {
    progress p;
    std::istringstream in{text};
    in >> p.bound >> p.published >> p.taken;
    return p;
  }
};

struct recording {
  disk_image before;
  std::vector<operation> operations;
};

void publish_past(bus& b) {
  ok(b.declare_exchange("e", {.type = exchange_type::fanout}));
  ok(b.declare_queue("q"));
  std::vector<message> batch;
  for (std::uint64_t i = 0; i < past; ++i) batch.push_back({"e", "", record{std::to_string(i)}});
  ok(b.publish(batch));
}

using durability_mode = decltype(bus_options::durability);

recording record_backfill(const durability_mode& mode) {
  const test::temporary_directory root;
  bus_options how;
  how.durability = mode;
  how.maintenance = maintenance_mode::on_call;
  {
    auto b = ok(bus::open(root / "store", how));
    publish_past(b);
  }
  recording made{disk_image::read_from(root.path()), {}};
  recorder::start(root.path());
  {
    auto b = ok(bus::open(root / "store", how));
    progress now;
    const auto note = [&now] { recorder::note(now.text()); };
    note();
    ok(b.bind("e", "q", "", {}, {.from = from_earliest{}}));
    now.bound = true;
    note();
    auto consumer = ok(b.consume("q", {.prefetch = taken_at_a_time}));
    while (now.taken < past + 10) {
      ok(b.publish("e", "", record{std::to_string(now.published)}));
      ++now.published;
      note();
      std::optional<delivery_tag> last;
      for (std::uint64_t i = 0; i < taken_at_a_time && now.taken + i < past + 10; ++i) {
        const auto d = ok(consumer.receive(std::chrono::seconds{20}));
        if (!d) throw std::runtime_error{"nothing comes"};
        EXPECT_EQ(d->record().value(), std::to_string(now.taken + i));
        last = d->tag();
        if (now.taken + i + 1 == now.published) break;
      }
      ok(consumer.ack_up_to(*last));
      now.taken = last->value();
      note();
    }
  }
  made.operations = recorder::stop();
  return made;
}

/// What is wrong with what a power cut has left; empty where nothing is. Where it may be older, the last of
/// what was confirmed may be gone.
std::string flaw_in(const disk_image& left, const progress& known, bool may_be_older) {
  const test::temporary_directory root;
  left.write_to(root.path());
  bus_options how;
  how.maintenance = maintenance_mode::on_call;
  how.boot_id = "after the cut";
  auto b = ok(bus::open(root / "store", how));
  if (ok(b.bindings()).empty()) {
    if (known.bound && !may_be_older) return "the binding is gone";
    return ok(b.queue("q")).messages == 0 ? "" : "there are messages without a binding";
  }
  while (ok(b.queue("q")).backfill > 0) std::this_thread::yield();
  auto consumer = ok(b.consume("q", {.prefetch = 0}));
  std::optional<std::uint64_t> first;
  std::uint64_t end = 0;
  while (const auto d = ok(consumer.receive(std::chrono::milliseconds{0}))) {
    std::uint64_t n = 0;
    const auto value = d->record().value();
    std::from_chars(value.data(), value.data() + value.size(), n);
    if (!first) first = end = n;
    if (n != end) return fmt::format("{} comes behind {}", n, end);
    ++end;
  }
  if (!first) first = end = known.published;
  if (*first > known.taken + taken_at_a_time)
    return fmt::format("{} was not taken, and is gone", known.taken);
  if (*first < known.taken && !may_be_older) return fmt::format("{} was taken, and is back", *first);
  if (end > known.published + 1) return fmt::format("{} was never published", end - 1);
  if (end < known.published && !may_be_older) return fmt::format("{} is gone", known.published - 1);
  return "";
}

class BackfillPowerCut : public testing::TestWithParam<bool> {
 protected:
  /// Cuts the power at so many moments; returns the flaws.
  std::vector<std::string> cut(const recording& made, ignored_syncs ignored, std::size_t states) {
    std::vector<std::size_t> moments;
    for (std::size_t i = 0; i < states; ++i) moments.push_back(random_() % made.operations.size());
    std::sort(moments.begin(), moments.end());
    constexpr survival kinds[] = {survival::none, survival::all, survival::oldest, survival::some,
                                  survival::torn};
    std::vector<std::string> flaws;
    disk replayed{made.before, ignored};
    progress known;
    std::size_t at = 0;
    for (const std::size_t moment : moments) {
      for (; at < moment; ++at) {
        const operation& o = made.operations[at];
        if (o.kind == operation::what::line) known = progress::of(o.data);
        replayed.apply(o);
      }
      faults done;
      const disk_image left =
          replayed.cut(kinds[random_() % std::size(kinds)], &made.operations[at], random_, done);
      auto flaw = flaw_in(left, known, GetParam());
      if (!flaw.empty()) flaws.push_back(std::move(flaw));
    }
    return flaws;
  }
  static durability_mode mode() {
    return GetParam() ? durability_mode{checkpointed{.interval = std::chrono::milliseconds{1}}}
                      : durability_mode{synced{}};
  }

  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
};

TEST_P(BackfillPowerCut, LeavesNoGapAndBringsNothingTwice) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  const recording made = record_backfill(mode());
  EXPECT_THAT(cut(made, ignored_syncs::none, test::under_sanitizer ? 8 : 40), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(SyncedAndCheckpointed, BackfillPowerCut, testing::Bool());

}  // namespace
}  // namespace levada::crash
