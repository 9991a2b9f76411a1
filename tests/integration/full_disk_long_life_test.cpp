#include <fmt/format.h>

#include <cstddef>
#include <random>

#include "full_disk_fixture.hpp"

namespace levada::test {
namespace {

/// A bus that lives long on a disk that is full again and again.
class LongLifeOnADisk : public full_disk_fixture, public ::testing::WithParamInterface<unsigned> {};

INSTANTIATE_TEST_SUITE_P(Seeds, LongLifeOnADisk, ::testing::Range(1U, 5U));

TEST_P(LongLifeOnADisk, LosesNothingAndGivesBackRoom) {
  on_a_disk([](scarce_disk& disk) {
    std::mt19937 random{GetParam()};
    const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
    witnessed_bus w{disk.path() / "store", GetParam() % 2 == 0 ? with_checkpoints : as_ever};
    ok(w.open());
    w.declare();
    w.may_compact("facts");
    ok(w.the_bus().set_compaction("facts", compaction_policy{.dirty_ratio = 0.3}));
    std::size_t refused = 0;
    const auto done_or_refused = [&](const result<void>& done) {
      if (done) return;
      ++refused;
      EXPECT_THAT(done, fails_with(errc::disk_full));
    };
    for (std::size_t round = 0; round < 400 && !::testing::Test::HasFailure(); ++round) {
      SCOPED_TRACE(fmt::format("round {}", round));
      switch (below(12)) {
        case 0:
          disk.leave(below(300) * kib);
          break;
        case 1:
          disk.give_back();
          break;
        case 2:
        case 3:
          done_or_refused(w.the_bus().maintain());
          break;
        case 4:
          done_or_refused(w.the_bus().sync());
          break;
        case 5:
          done_or_refused(w.settle());
          break;
        case 6:
          done_or_refused(w.read_on());
          break;
        case 7:
          done_or_refused(w.send(value_of(round)));
          break;
        case 8:
          done_or_refused(w.publish_batch("facts", {value_of(round), value_of(round + 1)}));
          break;
        case 9:
          if (below(4) != 0) break;
          done_or_refused(w.close());
          if (auto opened = w.open(); !opened) {
            EXPECT_THAT(opened, fails_with(errc::disk_full));
            disk.give_back();
            ok(w.open());
          }
          break;
        default:
          for (std::size_t i = below(12); i > 0; --i) {
            done_or_refused(w.publish(below(2) == 0 ? "orders" : "facts", fmt::format("{}", below(9)),
                                      value_of(round + i)));
          }
      }
      if (round % 16 == 0) w.expect_intact("meanwhile");
      EXPECT_TRUE(w.the_bus().health().writable) << w.the_bus().health().reason;
    }
    EXPECT_GT(refused, 10U);
    disk.give_back();
    do_small_things(w, must_succeed);
    w.expect_intact("at last");
    ok(w.close());
    w.expect_sound();
    ok(w.open());
    w.expect_intact("after opening again");
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

}  // namespace
}  // namespace levada::test
