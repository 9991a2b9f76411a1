// Whatever a bus does, with ever more room for it: it is refused cleanly until there is enough.

#include <fmt/format.h>

#include <exception>
#include <string>

#include "full_disk_fixture.hpp"
#include "full_disk_steps.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;

void may_be_refused(const result<void>& done) {
  if (!done) {
    EXPECT_THAT(done, fails_with(errc::disk_full));
  }
}

/// Does a step with so much room, and goes on when there is more; whether it was refused.
bool try_step(const full_disk_step& s, scarce_disk& disk, std::uint64_t room) {
  witnessed_bus w{disk.path() / "store", s.configure};
  ok(w.open());
  s.prepare(w, disk);
  std::size_t progress = 0;
  disk.leave(room);
  const auto first = s.act(w, progress);
  may_be_refused(first);
  if (w.is_open()) {
    w.expect_intact("as long as there is no room");
    do_small_things(w, may_be_refused);
    w.expect_intact("after small things without room");
    EXPECT_TRUE(w.the_bus().health().writable) << w.the_bus().health().reason;
  }
  disk.give_back();
  if (!first && w.is_open()) ok(s.act(w, progress));
  if (!w.is_open()) ok(w.open());
  w.expect_intact("when there is room again");
  do_small_things(w, must_succeed);
  w.expect_intact("after small things");
  ok(w.close());
  w.expect_sound();
  ok(w.open());
  w.expect_intact("after opening again");
  ok(w.close());
  fs::remove_all(disk.path() / "store");
  return !first;
}

/// Does a step with ever more room, until it is enough.
int try_all(const full_disk_step& s, std::uint64_t stride, scarce_disk& disk) {
  int refused = 0;
  for (std::uint64_t room = 0, done = 0;; room += stride) {
    SCOPED_TRACE(fmt::format("with room for {} bytes", room));
    try {
      if (try_step(s, disk, room)) {
        ++refused;
      } else if (!s.gives_back || ++done == 8) {
        break;
      }
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
    if (::testing::Test::HasFailure()) return 1;
  }
  EXPECT_GE(refused, s.gives_back ? 0 : 1) << "it never was refused";
  return ::testing::Test::HasFailure() ? 1 : 0;
}

class FullDisk : public full_disk_fixture, public ::testing::WithParamInterface<full_disk_step> {};

TEST_P(FullDisk, RefusesCleanlyAndGoesOnWhenThereIsRoom) {
  on_a_disk([](scarce_disk& disk) { return try_all(GetParam(), GetParam().stride, disk); });
}

TEST_P(FullDisk, RefusesCleanlyAtALimitOfFileSizesAndGoesOnWithoutIt) {
  under_a_limit([](scarce_disk& disk) {
    const full_disk_step& s = GetParam();
    return try_all(s, s.limited_stride != 0 ? s.limited_stride : 4 * s.stride, disk);
  });
}

INSTANTIATE_TEST_SUITE_P(Steps, FullDisk, ::testing::ValuesIn(full_disk_steps()),
                         [](const auto& of) { return std::string{of.param.name}; });

}  // namespace
}  // namespace levada::test
