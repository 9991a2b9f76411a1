#include <fmt/format.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Backup : public bus_fixture {
 protected:
  Backup() : bus_fixture{seals_everything} {}

  [[nodiscard]] fs::path beside(const std::string& name) const { return store().parent_path() / name; }
  void publish(const std::string& value) {
    ok(ok(the_bus().declare_topic("orders", {.partitions = 2})).publish(record{"key", value}));
  }
  /// Something of everything.
  void fill() {
    publish("sealed");
    ok(the_bus().declare_exchange("events", {.type = exchange_type::fanout}));
    ok(the_bus().declare_queue("desk"));
    ok(the_bus().bind("events", "desk", ""));
    ok(the_bus().maintain());
    for (const auto* const value : {"settled", "waiting"}) ok(the_bus().publish("events", "", record{value}));
    auto desk = ok(the_bus().consume("desk"));
    ok(desk.ack(ok(desk.receive(at_once))->tag()));
    publish("in the journal");
    auto member = join("readers", {"orders"});
    EXPECT_EQ(ok(member.poll(at_once)).size(), 2U);
    ok(member.commit());
  }
  void expect_all_of_it(bus& b) {
    EXPECT_THAT(read_all(ok(b.replay("orders"))), ElementsAre("sealed", "in the journal"));
    auto desk = ok(b.consume("desk"));
    EXPECT_THAT(receive_all(desk), ElementsAre("waiting"));
    auto member = ok(b.join("readers", {"orders"}));
    EXPECT_TRUE(ok(member.poll(at_once)).empty()) << "its offsets are there";
  }
};

TEST_F(Backup, OpensAsABusOfItsOwn) {
  fill();
  const auto report = ok(the_bus().backup(beside("copy")));
  EXPECT_EQ(report.segments, 1U);
  EXPECT_GT(report.bytes_linked, 0U);
  EXPECT_GT(report.bytes_copied, 0U);
  publish("later");
  expect_sound(beside("copy"));
  {
    auto fork = ok(bus::open(beside("copy"), options()));
    expect_all_of_it(fork);
    ok(ok(fork.topic("orders")).publish(record{"key", "in the fork"}));
    ok(fork.delete_topic("orders"));
    ok(fork.maintain());
  }
  EXPECT_THAT(read_all(ok(the_bus().replay("orders"))), ElementsAre("sealed", "in the journal", "later"))
      << "what is done to the copy does not touch the original";
  expect_sound(beside("copy"));
}

TEST_F(Backup, IsRestoredByCopyingItBack) {
  fill();
  ok(the_bus().backup(beside("copy")));
  close();
  fs::remove_all(store());
  const auto report = ok(backup_store(beside("copy"), store(), {.hard_links = false}));
  EXPECT_EQ(report.bytes_linked, 0U);
  fs::remove_all(beside("copy"));
  open(options());
  expect_all_of_it(the_bus());
}

TEST_F(Backup, OfAClosedStoreIsTheSame) {
  fill();
  close();
  fs::create_directory(beside("copy"));
  ok(backup_store(store(), beside("copy")));
  auto fork = ok(bus::open(beside("copy"), options()));
  expect_all_of_it(fork);
  open(options());
}

TEST_F(Backup, SharesSegmentsOnlyWhereItMay) {
  fill();
  ok(the_bus().backup(beside("linked")));
  ok(the_bus().backup(beside("copied"), {.hard_links = false}));
  const auto links = [&](const std::string& of) {
    return fs::hard_link_count(fs::directory_iterator { beside(of) / "segments" } -> path());
  };
  EXPECT_EQ(links("linked"), 2U);
  EXPECT_EQ(links("copied"), 1U);
  struct stat info {};
  ASSERT_EQ(::stat(beside("linked").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0700U);
}

TEST_F(Backup, TellsHowFarItHasCome) {
  fill();
  for (int i = 0; i < 3; ++i) {
    publish("more");
    ok(the_bus().maintain());
  }
  std::vector<backup_progress> told;
  ok(the_bus().backup(beside("copy"), {.progress = [&](const backup_progress& p) { told.push_back(p); }}));
  ASSERT_EQ(told.size(), 5U) << "the main file, and four segments";
  for (std::size_t i = 1; i < told.size(); ++i) {
    EXPECT_GT(told[i].done, told[i - 1].done);
    EXPECT_EQ(told[i].total, told[0].total);
  }
  EXPECT_EQ(told.back().done, told.back().total);
}

TEST_F(Backup, RefusesWhatIsNoPlaceForOne) {
  fill();
  EXPECT_THAT(the_bus().backup(store()), fails_with(errc::invalid_argument));
  fs::create_directory(beside("taken"));
  fs::create_directory(beside("taken") / "something");
  const auto taken = the_bus().backup(beside("taken"));
  ASSERT_THAT(taken, fails_with(errc::invalid_argument));
  EXPECT_THAT(taken.error().message(), HasSubstr("taken"));
  EXPECT_FALSE(the_bus().backup(beside("absent") / "copy").has_value());
  EXPECT_THAT(backup_store(store(), beside("copy")), fails_with(errc::store_in_use));
  EXPECT_THAT(backup_store(beside("absent"), beside("copy")), fails_with(errc::store_not_found));
  auto memory = ok(bus::open_in_memory());
  EXPECT_THAT(memory.backup(beside("copy")), fails_with(errc::invalid_argument));
  EXPECT_FALSE(fs::exists(beside("copy")));
  for (const auto& entry : fs::directory_iterator{store().parent_path()}) {
    EXPECT_TRUE(entry.path() == store() || entry.path() == beside("taken")) << entry.path();
  }
}

// One record goes to each of two topics in turn: a copy that is no consistent cut has more of the second.
TEST_F(Backup, IsAsOfOneCommitWhileWritersGoOn) {
  auto first = ok(the_bus().declare_topic("first"));
  auto second = ok(the_bus().declare_topic("second"));
  std::atomic<bool> stop{false};
  std::thread writer{[&] {
    for (int i = 0; !stop; ++i) {
      ok(first.publish(record{fmt::format("{}", i)}));
      ok(second.publish(record{fmt::format("{}", i)}));
      if (i % 20 == 0) ok(the_bus().maintain());
    }
  }};
  for (int i = 0; i < 5; ++i) {
    const auto copy = beside(fmt::format("copy {}", i));
    ok(the_bus().backup(copy));
    expect_sound(copy);
    auto fork = ok(bus::open(copy, options()));
    const auto a = read_all(ok(fork.replay("first")));
    const auto b = read_all(ok(fork.replay("second")));
    EXPECT_TRUE(a.size() == b.size() || a.size() == b.size() + 1) << a.size() << " and " << b.size();
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace levada::test
