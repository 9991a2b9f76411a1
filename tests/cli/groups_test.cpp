#include <optional>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

constexpr const char* nothing_changed = "levada: nothing has been changed; add --execute to do it\n";

/// A topic of two partitions, of which a group has read 4 records in the first.
class GroupsCommand : public command_fixture {
 protected:
  GroupsCommand() {
    own(false);
    const auto orders = ok(bus_->declare_topic("orders", {.partitions = 2}));
    for (int i = 0; i < 10; ++i) ok(orders.publish(partition_id{0}, record{"v"}));
    ok(orders.publish(partition_id{1}, record{"v"}));
    auto reader = ok(bus_->join("billing", {"orders"}));
    ok(reader.commit({"orders", partition_id{0}}, offset{4}));
    reader.close();
    give_up();
  }
  void own(bool listening) { bus_.emplace(ok(bus::open(store(), {.control_socket = listening}))); }
  void give_up() { bus_.reset(); }
  [[nodiscard]] bus& host() { return *bus_; }
  /// What the listing says of the partitions' committed offsets.
  [[nodiscard]] std::string committed() const {
    std::string all;
    for (const auto& group : bus_ ? ok(bus_->groups()) : ok(ok(attachment::open(store())).groups())) {
      for (const auto& p : group.partitions) {
        all += fmt::format("{}:{} ", p.where.partition.value(), p.committed ? p.committed->value() : 999);
      }
    }
    return all;
  }
  void expect_a_dry_run_and_then_the_reset() const {
    const auto dry = levada({"groups", "reset", "billing", "--topic", "orders", "--to-latest"});
    EXPECT_EQ(dry.status, 0);
    EXPECT_EQ(dry.err, nothing_changed);
    EXPECT_EQ(dry.out,
              "TOPIC   PARTITION  FROM  TO\n"
              "orders          0     4  10\n"
              "orders          1     -   1\n");
    EXPECT_EQ(committed(), "0:4 ");
    EXPECT_EQ(print({"groups", "reset", "billing", "--topic", "orders", "--to-latest", "--execute"}),
              dry.out);
    EXPECT_EQ(committed(), "0:10 1:1 ");
  }

 private:
  std::optional<bus> bus_;
};

TEST_F(GroupsCommand, ResetsOffsetsWhereNobodyOwnsTheStore) {
  expect_a_dry_run_and_then_the_reset();
}

TEST_F(GroupsCommand, ResetsOffsetsBesideAHostThatListens) {
  own(true);
  expect_a_dry_run_and_then_the_reset();
}

TEST_F(GroupsCommand, TakesPartitionsAndPrintsJson) {
  const auto dry = levada(
      {"groups", "reset", "billing", "--topic", "orders", "--partition", "1", "--to-offset", "1", "--json"});
  EXPECT_EQ(dry.out, R"({"topic":"orders","partition":1,"from":null,"to":1})"
                     "\n");
  EXPECT_EQ(dry.err, nothing_changed);
  EXPECT_EQ(print({"groups", "--json", "reset", "billing", "--topic", "orders", "--partition", "0",
                   "--partition", "1", "--to-time", "-1h", "--execute"}),
            R"({"topic":"orders","partition":0,"from":4,"to":0})"
            "\n"
            R"({"topic":"orders","partition":1,"from":null,"to":0})"
            "\n");
  EXPECT_EQ(print({"groups", "reset", "billing", "--topic", "orders", "--by-duration", "1h", "--execute"}),
            "TOPIC   PARTITION  FROM  TO\n"
            "orders          0     0   0\n"
            "orders          1     0   0\n");
}

TEST_F(GroupsCommand, DeletesAGroup) {
  own(true);
  const auto dry = levada({"groups", "delete", "billing"});
  EXPECT_EQ(dry.status, 0);
  EXPECT_EQ(dry.out, "group 'billing' can be deleted\n");
  EXPECT_EQ(dry.err, nothing_changed);
  EXPECT_EQ(committed(), "0:4 ");
  EXPECT_EQ(print({"groups", "delete", "billing", "--execute"}), "group 'billing' has been deleted\n");
  EXPECT_EQ(committed(), "");
  give_up();
  EXPECT_THAT(levada({"groups", "delete", "billing"}), fails_saying(1, "there is no group 'billing'"));
}

TEST_F(GroupsCommand, RefusesBesideAHostThatDoesNotListen) {
  own(false);
  const auto pid = fmt::format("pid {}", ::getpid());
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"groups", "reset", "billing", "--topic", "orders", "--to-latest"},
           {"groups", "delete", "billing", "--execute"}}) {
    EXPECT_THAT(levada(words), fails_saying(1, pid));
    EXPECT_THAT(levada(words), fails_saying(1, "bus_options::control_socket"));
  }
  EXPECT_EQ(committed(), "0:4 ");
}

TEST_F(GroupsCommand, RefusesWhatCannotBeDone) {
  own(true);
  EXPECT_THAT(levada({"groups", "reset", "sales", "--topic", "orders", "--to-latest"}),
              fails_saying(1, "there is no group 'sales'"));
  EXPECT_THAT(levada({"groups", "reset", "billing", "--topic", "invoices", "--to-latest"}),
              fails_saying(1, "there is no topic 'invoices'"));
  const auto member = ok(host().join("billing", {"orders"}));
  EXPECT_THAT(levada({"groups", "reset", "billing", "--topic", "orders", "--to-latest", "--execute"}),
              fails_saying(1, "group 'billing'"));
  EXPECT_THAT(levada({"groups", "delete", "billing", "--execute"}), fails_saying(1, "group 'billing'"));
  EXPECT_EQ(committed(), "0:4 1:999 ");
}

TEST_F(GroupsCommand, StillLists) {
  EXPECT_EQ(print({"groups"}),
            "GROUP    GENERATION  TOPIC   PARTITION  COMMITTED  END  LAG  MEMBER  IN FLIGHT\n"
            "billing           2  orders          0          4   10    6  -       -\n");
}

}  // namespace
}  // namespace levada::test
