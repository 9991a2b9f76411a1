// What is done to groups while nobody is in them: deleting them, and setting their offsets.

#include <chrono>
#include <string>
#include <vector>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

topic_partition orders(unsigned p) {
  return {"orders", partition_id{p}};
}

/// A topic "orders" with two partitions of ten records, a minute between each, and a group that has read 4 of
/// partition 0.
class GroupTools : public bus_fixture {
 protected:
  GroupTools() {
    const auto topic = ok(the_bus().declare_topic("orders", {.partitions = 2}));
    for (int i = 0; i < 10; ++i) {
      for (const unsigned p : {0U, 1U})
        times_.push_back(ok(topic.publish(partition_id{p}, record{"v"})).time);
      the_clock().advance(std::chrono::minutes{1});
    }
    auto reader = join("g", {"orders"});
    ok(reader.commit(orders(0), offset{4}));
  }
  [[nodiscard]] std::vector<std::optional<std::uint64_t>> stored() {
    auto reader = ok(the_bus().assign("g", {orders(0)}));
    std::vector<std::optional<std::uint64_t>> all;
    for (const unsigned p : {0U, 1U}) {
      const auto at = ok(reader.committed(orders(p)));
      all.push_back(at ? std::optional{at->next.value()} : std::nullopt);
    }
    return all;
  }
  /// The new offsets.
  [[nodiscard]] std::vector<std::uint64_t> reset(const offset_reset_options& o) {
    std::vector<std::uint64_t> to;
    for (const auto& change : ok(the_bus().reset_offsets("g", "orders", o))) to.push_back(change.to.value());
    return to;
  }

  std::vector<timestamp> times_;
};

TEST_F(GroupTools, TellWhatAResetWouldDoAndDoNothing) {
  const auto changes = ok(the_bus().reset_offsets("g", "orders", {.to = from_latest{}}));
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].where, orders(0));
  EXPECT_EQ(changes[0].from, offset{4});
  EXPECT_EQ(changes[0].to, offset{10});
  EXPECT_EQ(changes[1].where, orders(1));
  EXPECT_EQ(changes[1].from, std::nullopt);
  EXPECT_EQ(changes[1].to, offset{10});
  EXPECT_THAT(stored(), ElementsAre(4U, std::nullopt));
}

TEST_F(GroupTools, ResetOffsetsToBothEndsAnOffsetATimeAndADuration) {
  EXPECT_THAT(reset({.to = from_latest{}, .dry_run = false}), ElementsAre(10, 10));
  EXPECT_THAT(stored(), ElementsAre(10U, 10U));
  EXPECT_THAT(reset({.to = offset{3}, .dry_run = false}), ElementsAre(3, 3));
  EXPECT_THAT(stored(), ElementsAre(3U, 3U));
  EXPECT_THAT(reset({.to = times_[12], .dry_run = false}), ElementsAre(6, 6));
  EXPECT_THAT(stored(), ElementsAre(6U, 6U));
  EXPECT_THAT(reset({.to = std::chrono::minutes{2}, .dry_run = false}), ElementsAre(8, 8));
  EXPECT_THAT(stored(), ElementsAre(8U, 8U));
  ok(the_bus().delete_records(orders(1), offset{5}));
  EXPECT_THAT(reset({.dry_run = false}), ElementsAre(0, 5));
  EXPECT_THAT(stored(), ElementsAre(0U, 5U));
  EXPECT_THAT(reset({.to = offset{99}}), ElementsAre(10, 10)) << "the nearer end";
  EXPECT_THAT(reset({.to = offset{1}}), ElementsAre(1, 5));
  expect_sound();
}

TEST_F(GroupTools, ResetSomePartitionsOnly) {
  EXPECT_THAT(
      reset({.to = from_latest{}, .partitions = {partition_id{1}, partition_id{1}}, .dry_run = false}),
      ElementsAre(10));
  EXPECT_THAT(stored(), ElementsAre(4U, 10U));
}

TEST_F(GroupTools, RefuseWhatDoesNotExistAndGroupsInUse) {
  EXPECT_THAT(the_bus().reset_offsets("h", "orders", {}), fails_with(errc::unknown_group));
  EXPECT_THAT(the_bus().reset_offsets("g", "nothing", {}), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().reset_offsets("g", "orders", {.partitions = {partition_id{2}}}),
              fails_with(errc::unknown_partition));
  EXPECT_THAT(the_bus().reset_offsets("g", "orders", {.to = std::chrono::milliseconds{-1}}),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().delete_group("h"), fails_with(errc::unknown_group));
  auto member = join("g", {"orders"});
  EXPECT_THAT(the_bus().reset_offsets("g", "orders", {}), fails_with(errc::group_in_use));
  EXPECT_THAT(the_bus().reset_offsets("g", "orders", {.dry_run = false}), fails_with(errc::group_in_use));
  EXPECT_THAT(the_bus().delete_group("g"), fails_with(errc::group_in_use));
  EXPECT_THAT(member.poll(at_once), succeeds());
}

TEST_F(GroupTools, DeleteAGroupAndWhatItHasCommitted) {
  auto by_hand = ok(the_bus().assign("g", {orders(0)}, {.reset = offset_reset::earliest}));
  poll_all(by_hand);
  ok(the_bus().delete_group("g"));
  EXPECT_THAT(ok(the_bus().groups()), IsEmpty());
  EXPECT_THAT(by_hand.commit(), fails_with(errc::unknown_group));
  EXPECT_THAT(by_hand.poll(at_once), succeeds());
  auto anew = join("g", {"orders"});
  EXPECT_FALSE(ok(anew.committed(orders(0))));
  EXPECT_EQ(poll_all(anew).size(), 20U);
  anew.close();
  ok(the_bus().delete_group("g"));
  expect_sound();
  EXPECT_THAT(ok(the_bus().groups()), IsEmpty());
}

}  // namespace
}  // namespace levada::test
