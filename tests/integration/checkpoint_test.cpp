#include <fmt/format.h>

#include <atomic>
#include <thread>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A bus without flushes, which makes checkpoints when it is told to.
class Checkpointed : public bus_fixture {
 protected:
  Checkpointed() : bus_fixture{seals_everything} {
    close();
    open(mode());
  }
  [[nodiscard]] bus_options mode(milliseconds interval = hours{1},
                                 const std::string& boot = "first boot") const {
    bus_options o = options();
    o.durability = checkpointed{interval};
    o.boot_id = boot;
    return o;
  }
  void publish(const std::string& value) {
    auto orders = ok(the_bus().declare_topic("orders"));
    ok(orders.publish(record{value}));
  }
  [[nodiscard]] static std::vector<std::string> values(bus& b) {
    auto reading = b.replay("orders");
    return reading ? read_all(std::move(*reading)) : std::vector<std::string>{};
  }
  /// What the disk would hold if every write had reached it: the store as it is, while it is open.
  [[nodiscard]] fs::path copy_of_disk() {
    auto to = store().parent_path() / fmt::format("copy {}", ++copies_);
    fs::copy(store(), to, fs::copy_options::recursive);
    fs::permissions(to, fs::perms::owner_all);
    return to;
  }
  /// Opens a copy as after the end of the process, or of the system.
  [[nodiscard]] bus open_copy(const fs::path& copy, const std::string& boot) {
    return ok(bus::open(copy, mode(hours{1}, boot)));
  }

 private:
  int copies_ = 0;
};

TEST_F(Checkpointed, KeepsEverythingWhenItIsClosed) {
  publish("a");
  publish("b");
  close();
  EXPECT_FALSE(fs::exists(store() / "main" / "checkpoint"));
  auto synced_options = mode();
  synced_options.durability = synced{};
  synced_options.boot_id = "another boot";
  open(synced_options);
  EXPECT_THAT(values(the_bus()), ElementsAre("a", "b"));
  EXPECT_FALSE(ok(the_bus().stats()).checkpointed);
  EXPECT_EQ(ok(the_bus().stats()).epoch, 0U);
}

TEST_F(Checkpointed, KeepsEverythingWhenTheProcessDies) {
  publish("a");
  ok(the_bus().sync());
  publish("b");
  auto again = open_copy(copy_of_disk(), "first boot");
  EXPECT_THAT(values(again), ElementsAre("a", "b"));
  EXPECT_EQ(ok(again.stats()).epoch, 0U);
}

TEST_F(Checkpointed, GoesBackToTheLastCheckpointWhenTheSystemWentDown) {
  publish("a");
  ok(the_bus().sync());
  publish("b");
  const auto copy = copy_of_disk();
  {
    auto again = open_copy(copy, "second boot");
    EXPECT_THAT(values(again), ElementsAre("a"));
    EXPECT_EQ(ok(again.stats()).epoch, 1U);
    auto orders = ok(again.topic("orders"));
    EXPECT_EQ(ok(orders.publish(record{"c"})).offset, offset{1}) << "the offset is given again";
  }
  auto report = ok(check_store(copy));
  EXPECT_THAT(report.problems, ::testing::SizeIs(0));
  auto at_last = open_copy(copy, "third boot");
  EXPECT_THAT(values(at_last), ElementsAre("a", "c")) << "it was closed before";
  EXPECT_EQ(ok(at_last.stats()).epoch, 1U);
}

TEST_F(Checkpointed, KeepsTheNewEpochWhenTheSystemGoesDownTwice) {
  publish("a");
  ok(the_bus().sync());
  publish("b");
  const auto copy = copy_of_disk();
  fs::path second;
  {
    auto again = open_copy(copy, "second boot");
    second = store().parent_path() / "second";
    fs::copy(copy, second, fs::copy_options::recursive);
    fs::permissions(second, fs::perms::owner_all);
  }
  auto third = open_copy(second, "third boot");
  EXPECT_EQ(ok(third.stats()).epoch, 2U);
  EXPECT_THAT(values(third), ElementsAre("a"));
}

TEST_F(Checkpointed, OpensEmptyWhereNoCheckpointWasMade) {
  publish("a");
  auto again = open_copy(copy_of_disk(), "second boot");
  EXPECT_THAT(ok(again.topics()), IsEmpty());
}

TEST_F(Checkpointed, IsTakenBackInEveryModeOfOpening) {
  publish("a");
  ok(the_bus().sync());
  publish("b");
  const auto copy = copy_of_disk();
  bus_options o = mode(hours{1}, "second boot");
  o.durability = synced{};
  {
    auto again = ok(bus::open(copy, o));
    EXPECT_THAT(values(again), ElementsAre("a"));
    EXPECT_EQ(ok(again.stats()).epoch, 1U);
  }
  EXPECT_FALSE(fs::exists(copy / "main" / "checkpoint"));
  o.boot_id = "third boot";
  EXPECT_THAT(values(*std::make_unique<bus>(ok(bus::open(copy, o)))), ElementsAre("a"));
}

TEST_F(Checkpointed, RefusesAttachmentUntilItsOwnerHasOpenedIt) {
  publish("a");
  ok(the_bus().sync());
  const auto copy = copy_of_disk();
  EXPECT_THAT(attachment::open(copy, {.boot_id = "second boot"}), fails_with(errc::recovery_needed));
  EXPECT_THAT(check_store(copy, {.boot_id = "second boot"}), fails_with(errc::recovery_needed));
  EXPECT_THAT(attachment::open(copy, {.boot_id = "first boot"}), succeeds());
  open_copy(copy, "second boot").close();
  EXPECT_THAT(attachment::open(copy, {.boot_id = "second boot"}), succeeds());
}

TEST_F(Checkpointed, DeletesFilesOnlyWhenNoCheckpointNamesThem) {
  for (int i = 0; i < 3; ++i) {
    publish(fmt::format("{}{}", i, std::string(1000, 'v')));
    ok(the_bus().maintain());
  }
  ok(the_bus().sync());
  const auto segments = [](const fs::path& of) {
    return std::distance(fs::directory_iterator{of / "segments"}, fs::directory_iterator{});
  };
  ASSERT_EQ(segments(store()), 3);
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{3}));
  ok(the_bus().maintain());
  EXPECT_EQ(segments(store()), 3) << "power loss would need them";
  const auto copy = copy_of_disk();
  ok(the_bus().sync());
  EXPECT_EQ(segments(store()), 0);
  auto again = open_copy(copy, "second boot");
  EXPECT_EQ(values(again).size(), 3U);
}

TEST_F(Checkpointed, ClearsAwaySegmentsOfCommitsThatAreLost) {
  publish("a");
  ok(the_bus().sync());
  publish("b");
  ok(the_bus().maintain());
  auto again = open_copy(copy_of_disk(), "second boot");
  EXPECT_THAT(values(again), ElementsAre("a"));
  ok(ok(again.topic("orders")).publish(record{"c"}));
  ok(again.maintain());
  EXPECT_THAT(values(again), ElementsAre("a", "c"));
}

TEST_F(Checkpointed, MakesACheckpointEachInterval) {
  close();
  open(mode(seconds{10}));
  EXPECT_EQ(ok(the_bus().stats()).loss_window.count(), 0);
  publish("a");
  the_clock().wait_for_waiters(1);
  the_clock().advance(seconds{4});
  auto stats = ok(the_bus().stats());
  EXPECT_TRUE(stats.checkpointed);
  EXPECT_EQ(stats.loss_window, seconds{4});
  the_clock().advance(seconds{6});
  while (ok(the_bus().stats()).loss_window.count() > 0) std::this_thread::yield();
  stats = ok(the_bus().stats());
  EXPECT_EQ(*stats.last_checkpoint, the_clock().wall());
  auto again = open_copy(copy_of_disk(), "second boot");
  EXPECT_THAT(values(again), ElementsAre("a"));
}

TEST_F(Checkpointed, BoundsItsFileUnderSmallCommits) {
  // Each commit writes pages that the checkpoint's snapshot keeps from being used again.
  auto orders = ok(the_bus().declare_topic("orders"));
  for (int i = 0; i < 12'000; ++i) ok(orders.publish(record{"x"}));
  EXPECT_LT(fs::file_size(store() / "main" / "data.mdb"), std::uintmax_t{450} << 20);
}

TEST_F(Checkpointed, ServesManyThreadsWhileCheckpointsAreMade) {
  auto orders = ok(the_bus().declare_topic("orders"));
  std::atomic<bool> stop{false};
  std::thread saver{[&] {
    while (!stop) ok(the_bus().sync());
  }};
  std::vector<std::thread> publishers;
  publishers.reserve(3);
  for (int t = 0; t < 3; ++t) {
    publishers.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) ok(orders.publish(record{fmt::format("{} {}", t, i)}));
    });
  }
  for (auto& p : publishers) p.join();
  stop = true;
  saver.join();
  ok(the_bus().sync());
  auto again = open_copy(copy_of_disk(), "second boot");
  EXPECT_EQ(values(again).size(), 900U);
}

TEST_F(Checkpointed, RefusesSettingsThatMeanNothing) {
  EXPECT_THAT(bus::open(store().parent_path() / "other", mode(milliseconds{0})),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(bus::open(store().parent_path() / "other", mode(seconds{1}, std::string(64, 'b'))),
              fails_with(errc::invalid_argument));
}

TEST_F(Checkpointed, IsNothingInMemory) {
  auto memory = ok(bus::open_in_memory(mode()));
  ok(ok(memory.declare_topic("orders")).publish(record{"a"}));
  EXPECT_THAT(memory.sync(), succeeds());
  EXPECT_FALSE(ok(memory.stats()).checkpointed);
  EXPECT_TRUE(memory.health().writable);
}

}  // namespace
}  // namespace levada::test
