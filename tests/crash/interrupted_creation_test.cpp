#include <gtest/gtest.h>

#include <algorithm>
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
using operations = std::vector<operation>;

/// What a store's maker does to the disk before it dies: the store has its name, but not for good.
operations record_creation() {
  const test::temporary_directory root;
  recorder::start(root.path());
  ok(bus::open(root / "store"));
  auto made = recorder::stop();
  const auto named = std::find_if(made.begin(), made.end(), [](const operation& o) {
    return o.kind == operation::what::rename && o.target.filename() == "store";
  });
  made.erase(named == made.end() ? named : named + 1, made.end());
  return made;
}

/// What the next process does with it, until its record has been acknowledged.
operations record_publishing(const disk_image& left) {
  const test::temporary_directory root;
  left.write_to(root.path());
  fs::permissions(root / "store", fs::perms::owner_all);
  recorder::start(root.path());
  auto bus = ok(bus::open(root / "store", {.create = false}));
  ok(ok(bus.declare_topic("orders")).publish(record{"value"}));
  return recorder::stop();
}

TEST(InterruptedCreation, LosesNothingThatTheNextProcessAcknowledges) {
  std::mt19937_64 random{1};
  faults done;
  disk simulated{{}};
  for (const operation& o : record_creation()) simulated.apply(o);
  ASSERT_GT(simulated.pending(), 0U) << "the name";
  for (const operation& o : record_publishing(simulated.cut(survival::all, nullptr, random, done)))
    simulated.apply(o);

  const test::temporary_directory root;
  simulated.cut(survival::none, nullptr, random, done).write_to(root.path());
  ASSERT_TRUE(fs::exists(root / "store")) << "a power cut took the store's name";
  fs::permissions(root / "store", fs::perms::owner_all);
  const auto bus = ok(bus::open(root / "store", {.create = false}));
  EXPECT_EQ(ok(ok(bus.replay("orders")).next()).size(), 1U);
}

}  // namespace
}  // namespace levada::crash
