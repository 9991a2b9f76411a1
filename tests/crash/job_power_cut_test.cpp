#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <exception>
#include <optional>
#include <random>
#include <vector>

#include <crash/disk.hpp>
#include <crash/recorder.hpp>
#include <levada/levada.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

namespace fs = std::filesystem;
using test::ok;

constexpr std::uint64_t records = 8;

/// What a job's checkpoints do to the disk.
struct recording {
  disk_image before;
  std::vector<operation> operations;
};

recording record_job() {
  const test::temporary_directory root;
  const fs::path store = root / "store";
  {
    auto owner = ok(bus::open(store));
    auto orders = ok(owner.declare_topic("orders"));
    for (std::uint64_t i = 0; i < records; ++i) ok(orders.publish(record{"value"}));
  }
  recording made{disk_image::read_from(root.path()), {}};
  recorder::start(root.path());
  {
    const auto attached = ok(attachment::open(store));
    auto reading = ok(attached.open_job("report", "orders", {.bytes_max = 1}));
    recorder::note("0");
    for (std::uint64_t i = 1; i <= records; ++i) {
      EXPECT_EQ(ok(reading.next()).size(), 1U);
      ok(reading.checkpoint());
      recorder::note(fmt::format("{}", i));
    }
  }
  made.operations = recorder::stop();
  return made;
}

/// Where the job goes on in what a power cut has left; nothing where it has never been.
std::optional<std::uint64_t> position_in(const disk_image& left) {
  const test::temporary_directory root;
  left.write_to(root.path());
  fs::permissions(root / "store", fs::perms::owner_all);
  const auto attached = ok(attachment::open(root / "store"));
  if (ok(attached.jobs()).empty()) return std::nullopt;
  return ok(attached.open_job("report", "orders")).positions().at(0).next.value();
}

/// Cuts the power before each call, in all ways; returns how often a checkpoint that had been reported was
/// gone, or one was there that had not been made.
std::size_t violations(const recording& made, ignored_syncs ignored, std::mt19937_64& random) {
  std::size_t wrong = 0;
  disk replayed{made.before, ignored};
  std::optional<std::uint64_t> reported;
  for (const operation& o : made.operations) {
    if (o.kind == operation::what::line) {
      std::uint64_t n = 0;
      std::from_chars(o.data.data(), o.data.data() + o.data.size(), n);
      reported = n;
      continue;
    }
    for (const auto how : {survival::none, survival::all, survival::oldest, survival::some, survival::torn}) {
      faults done;
      const auto found = position_in(replayed.cut(how, &o, random, done));
      const std::uint64_t next = reported ? *reported + 1 : 0;
      const bool holds = found ? *found <= next && (!reported || *found >= *reported) : !reported;
      if (!holds) ++wrong;
    }
    replayed.apply(o);
  }
  return wrong;
}

class JobPowerCut : public testing::Test {
 protected:
  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  const recording made_ = record_job();
};

TEST_F(JobPowerCut, LeavesTheLastReportedCheckpointOrTheNext) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  EXPECT_GT(made_.operations.size(), records * 4);
  EXPECT_EQ(violations(made_, ignored_syncs::none, random_), 0U);
}

TEST_F(JobPowerCut, WouldLoseCheckpointsWithoutSyncs) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  const auto lost = [&](ignored_syncs ignored) {
    try {
      return violations(made_, ignored, random_) > 0;
    } catch (const std::exception&) {
      return true;  // it cannot even be read
    }
  };
  EXPECT_TRUE(lost(ignored_syncs::of_files));
  EXPECT_TRUE(lost(ignored_syncs::of_directories));
}

}  // namespace
}  // namespace levada::crash
