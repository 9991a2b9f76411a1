// A full disk in situations of their own: what makes room again, and what is done when there is some.

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "full_disk_fixture.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class OnADisk : public full_disk_fixture {};

TEST_F(OnADisk, RetentionMakesRoomForSealing) {
  on_a_disk([](scarce_disk& disk) {
    witnessed_bus w{disk.path() / "store", as_ever};
    ok(w.open());
    w.declare();
    for (std::size_t i = 0; i < 100; ++i) {
      ok(w.publish("recent", "", std::string(4'000, 'x')));
      if (i % 50 == 49) ok(w.the_bus().maintain());
    }
    w.may_lose("recent", 99);
    ok(w.the_bus().set_retention("recent", {.records = 1}));
    for (std::size_t i = 0; i < 40; ++i) ok(w.publish("orders", "", std::string(3'000, 'x')));
    disk.leave(40 * kib);
    EXPECT_THAT(w.the_bus().maintain(), succeeds());
    EXPECT_EQ(ok(w.the_bus().stats()).journal_bytes, 0U);
    w.expect_intact("after retention");
    ok(w.close());
    w.expect_sound();
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

TEST_F(OnADisk, ACheckpointThatFindsNoRoomIsMadeLater) {
  under_a_limit([](scarce_disk& disk) {
    witnessed_bus w{disk.path() / "store", with_checkpoints};
    ok(w.open());
    w.declare();
    for (int i = 0; i < 3; ++i) {
      ok(w.publish("recent", "", "gone soon"));
      ok(w.the_bus().maintain());
    }
    ok(w.the_bus().sync());
    w.may_lose("recent", 3);
    ok(w.the_bus().delete_records({"recent", partition_id{0}}, offset{3}));
    ok(w.the_bus().maintain());
    const fs::path segments = w.store() / "segments";
    EXPECT_FALSE(fs::is_empty(segments)) << "the last checkpoint names them";
    disk.leave(4 * kib);
    for (int i = 0; i < 3; ++i) {
      w.the_clock().advance(std::chrono::seconds{1});
      EXPECT_THAT(w.the_bus().sync(), fails_with(errc::disk_full));
      EXPECT_EQ(ok(w.the_bus().stats()).loss_window, std::chrono::seconds{i + 1});
    }
    EXPECT_FALSE(fs::is_empty(segments));
    EXPECT_TRUE(w.the_bus().health().writable);
    disk.give_back();
    EXPECT_THAT(w.the_bus().sync(), succeeds());
    EXPECT_EQ(ok(w.the_bus().stats()).loss_window, milliseconds{0});
    EXPECT_TRUE(fs::is_empty(segments));
    w.expect_intact("behind a checkpoint");
    ok(w.close());
    w.expect_sound();
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

TEST_F(OnADisk, ABusInMemoryIsRefusedCleanlyAndGoesOnWhenThereIsRoom) {
  on_a_disk([](scarce_disk& disk) {
    bus_options o;
    o.memory_directory = disk.path();
    o.maintenance = maintenance_mode::on_call;
    o.journal_bytes_seal = 0;
    int never_opened = 0;
    int refused = 0;
    for (std::uint64_t room = 0; room < 400 * kib; room += 12 * kib) {
      SCOPED_TRACE(fmt::format("with room for {} bytes", room));
      disk.leave(room);
      auto opened = bus::open_in_memory(o);
      EXPECT_TRUE(fs::is_empty(disk.path()));
      if (!opened) {
        EXPECT_THAT(opened, fails_with(errc::disk_full));
        ++never_opened;
        continue;
      }
      std::vector<std::string> stored;
      result<void> sealed{};
      if (auto orders = opened->declare_topic("orders"); orders) {
        for (std::size_t i = 0; i < 40; ++i) {
          const auto done = orders->publish(record{value_of(i)});
          if (!done) {
            EXPECT_THAT(done, fails_with(errc::disk_full));
            break;
          }
          stored.push_back(value_of(i));
        }
        sealed = opened->maintain();
      } else {
        EXPECT_THAT(orders, fails_with(errc::disk_full));
      }
      if (!sealed) {
        EXPECT_THAT(sealed, fails_with(errc::disk_full));
        ++refused;
      }
      disk.give_back();
      EXPECT_TRUE(fs::is_empty(disk.path()));
      ok(ok(opened->declare_topic("orders")).publish(record{"more"}));
      stored.emplace_back("more");
      ok(opened->maintain());
      std::vector<std::string> read;
      auto pass = ok(opened->replay("orders"));
      for (auto batch = ok(pass.next()); !batch.empty(); batch = ok(pass.next())) {
        for (const auto& r : batch) read.emplace_back(r.value());
      }
      EXPECT_EQ(read, stored);
    }
    EXPECT_GT(never_opened, 0);
    EXPECT_GT(refused, 0);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

}  // namespace
}  // namespace levada::test
