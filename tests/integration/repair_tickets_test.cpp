#include <filesystem>
#include <string>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include "damaged_store.hpp"

namespace levada::test {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::size_t> every_one(std::size_t count) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(i);
  return all;
}
void flip_a_bit(std::string& value) {
  if (!value.empty()) value.back() = static_cast<char>(value.back() ^ 1);
}

/// A store in which the queues "a" and "b" have a message that is tracked as "m".
class RepairingTickets : public ::testing::Test {
 protected:
  RepairingTickets() {
    auto owner = open();
    ok(owner.declare_exchange("e", {.type = exchange_type::fanout}));
    for (const char* const name : {"a", "b"}) {
      ok(owner.declare_queue(name));
      ok(owner.bind("e", name, ""));
    }
    ok(owner.publish("e", "", record{"value"}.message_id("m"), {.track = true}));
    ok(owner.close());
  }
  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }
  [[nodiscard]] bus open() const { return ok(bus::open(store(), sealing_options())); }
  [[nodiscard]] std::vector<store_problem> problems() const { return ok(check_store(store())).problems; }
  [[nodiscard]] repair_report repair() const {
    const auto foreseen = ok(repair_store(store(), {.dry_run = true}));
    auto report = ok(repair_store(store()));
    EXPECT_EQ(foreseen.tickets, report.tickets);
    EXPECT_THAT(problems(), IsEmpty());
    EXPECT_TRUE(ok(repair_store(store())).sound());
    return report;
  }

 private:
  temporary_directory directory_;
};

TEST_F(RepairingTickets, GivesUpOneThatIsDamaged) {
  change_values(store(), table::tickets, every_one, flip_a_bit);
  EXPECT_THAT(problems(), Not(IsEmpty()));
  {
    auto owner = open();
    EXPECT_THAT(owner.find_ticket("m"), fails_with(errc::damaged));
    auto c = ok(owner.consume("a"));
    ok(c.ack(*ok(c.receive(std::chrono::milliseconds{0}))));
  }
  EXPECT_EQ(repair().tickets, 2U) << "the ticket, and what 'b' has of it";
  auto owner = open();
  EXPECT_THAT(owner.find_ticket("m"), fails_with(errc::unknown_ticket));
}

TEST_F(RepairingTickets, CountsAsDiscardedWhatNobodyKnowsToHave) {
  change_values(
      store(), table::unsettled, [](std::size_t) { return std::vector<std::size_t>{0}; }, flip_a_bit);
  EXPECT_EQ(repair().tickets, 2U) << "what 'a' has, and the ticket";
  auto owner = open();
  auto c = ok(owner.consume("b"));
  ok(c.ack(*ok(c.receive(std::chrono::milliseconds{0}))));
  const auto status = ok(ok(owner.find_ticket("m")).settled(std::chrono::milliseconds{0}));
  EXPECT_TRUE(status.is_settled());
  EXPECT_EQ(status.acknowledged, 1U);
  EXPECT_EQ(status.discarded, 1U);
}

TEST_F(RepairingTickets, SettlesMessagesThatAreLostWithAQueue) {
  change_values(store(), table::queues, every_one, flip_a_bit);
  const auto report = repair();
  EXPECT_EQ(report.messages.size(), 2U);
  auto owner = open();
  const auto status = ok(ok(owner.find_ticket("m")).settled(std::chrono::milliseconds{0}));
  EXPECT_TRUE(status.is_settled());
  EXPECT_EQ(status.discarded, 2U);
}

}  // namespace
}  // namespace levada::test
