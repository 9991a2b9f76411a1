// Replays in a random order beside random changes of the store, compared with a model.
// LEVADA_REPLAY_FIRST_SEED is added to the seeds.

#include <gtest/gtest.h>

#include <cstdint>
#include <exception>
#include <filesystem>

#include <support/child_process.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include <levada/levada.hpp>

#include "random_walk.hpp"
#include "replay_readers.hpp"
#include "replay_world.hpp"

namespace levada::test {
namespace {

class RandomReplay : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  static constexpr int steps = 600;
  /// Changes between two openings of the store.
  static constexpr int steps_open = 80;

  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }
  [[nodiscard]] static std::uint32_t seed() {
    return number_from_environment("LEVADA_REPLAY_FIRST_SEED", 0) + GetParam();
  }

 private:
  temporary_directory directory_;
};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomReplay, ::testing::Range(1U, 9U));

TEST_P(RandomReplay, OfABusAgreesWithTheModel) {
  replay_world w{seed()};
  replay_readers r{w, seed()};
  w.open(store());
  try {
    for (int i = 1; i <= steps; ++i) {
      w.step();
      for (int k = 0; k < 3; ++k) r.act(w.store());
      if (i % steps_open == 0) {
        r.finish_all();
        r.clear();
        w.reopen();
      }
    }
  } catch (const std::exception& e) {
    FAIL() << "seed " << seed() << ": " << e.what() << "\nThe latest operations:" << w.latest_operations();
  }
}

TEST_P(RandomReplay, BesideARunningOwnerAgreesWithTheModel) {
  const auto change = [](replay_world& w, int i) {
    w.step();
    if (i % steps_open == 0) w.reopen();
  };
  child_process owner{[&](const auto& say) {
    replay_world w{seed()};
    try {
      w.open(store());
      for (int i = 1; i <= steps; ++i) {
        say("ready");
        child_process::wait_for_go();
        change(w, i);
      }
      say("ready");
      child_process::wait_for_go();
      return 0;
    } catch (const std::exception& e) {
      say(e.what());
      return 1;
    }
  }};
  replay_world w{seed()};
  replay_readers r{w, seed()};
  try {
    require(owner.read_line() == "ready", "the owner does not start");
    const auto look = ok(attachment::open(store()));
    for (int i = 1; i <= steps; ++i) {
      owner.go();
      change(w, i);
      const auto said = owner.read_line();
      require(said == "ready", "the owner fails: " + said);
      for (int k = 0; k < 3; ++k) r.act(look);
    }
    r.finish_all();
    owner.go();
  } catch (const std::exception& e) {
    FAIL() << "seed " << seed() << ": " << e.what() << "\nThe latest operations:" << w.latest_operations();
  }
  EXPECT_EQ(owner.wait(), 0);
}

}  // namespace
}  // namespace levada::test
