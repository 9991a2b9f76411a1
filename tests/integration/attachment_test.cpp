#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>

#include <csignal>

namespace levada::test {
namespace {

using namespace std::chrono_literals;

/// A host in a child process; the test itself attaches.
class Attachment : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }

  temporary_directory directory_;
};

TEST_F(Attachment, SeesEverythingBesideARunningHost) {
  child_process host{[&](const auto& say) {
    auto owner = ok(bus::open(store()));
    auto orders = ok(owner.declare_topic("orders", {.partitions = 2}));
    for (int i = 0; i < 10; ++i) ok(orders.publish(partition_id{0}, record{std::to_string(i)}));
    consumer_options named;
    named.reset = offset_reset::earliest;
    named.member_id = "worker";
    auto reader = ok(owner.join("g", {"orders"}, named));
    ok(reader.commit({"orders", partition_id{0}}, offset{4}));
    ok(owner.declare_exchange("events"));
    ok(owner.declare_queue("work"));
    ok(owner.bind("events", "work", "a.#"));
    for (int i = 0; i < 3; ++i) ok(owner.publish("events", "a.b", record{"m"}));
    say("ready");
    child_process::wait_for_go();
    ok(orders.publish(partition_id{1}, record{"more"}));
    ok(owner.declare_topic("later"));
    ok(owner.publish("later", record{"first"}));
    say("more");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(host.read_line(), "ready");
  const auto look = ok(attachment::open(store()));
  EXPECT_EQ(look.owner_pid(), host.pid());
  const auto topics = ok(look.topics());
  ASSERT_EQ(topics.size(), 2U);
  EXPECT_EQ(topics[1].name, "orders");
  EXPECT_EQ(topics[1].partitions[0].end, offset{10});
  const auto groups = ok(look.groups());
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].members, (std::vector<std::string>{"worker"}));
  EXPECT_EQ(groups[0].partitions[0].lag, 6U);
  EXPECT_EQ(ok(look.queues())[0].messages, 3U);
  EXPECT_EQ(ok(look.bindings())[0].key, "a.#");
  EXPECT_EQ(ok(look.exchanges())[1].bindings, 1U);
  auto reading = ok(look.replay("orders"));
  EXPECT_EQ(ok(reading.next()).size(), 10U);
  EXPECT_TRUE(ok(reading.next()).empty());
  EXPECT_THAT(look.replay("later"), fails_with(errc::unknown_topic));
  EXPECT_THAT(attachment::open(store()), fails_with(errc::store_in_use)) << "one of them in a process";

  host.go();
  EXPECT_EQ(ok(reading.next(10s)).begin()->value(), "more");
  ASSERT_EQ(host.read_line(), "more");
  EXPECT_EQ(ok(ok(look.replay("later")).next()).size(), 1U);
}

TEST_F(Attachment, WorksWithoutAHostAndShowsNoMembersThen) {
  {
    auto owner = ok(bus::open(store()));
    ok(owner.declare_topic("orders"));
    ok(owner.publish("orders", record{"v"}));
    auto reader = ok(owner.join("g", {"orders"}));
  }
  const auto look = ok(attachment::open(store()));
  EXPECT_EQ(look.owner_pid(), std::nullopt);
  EXPECT_TRUE(ok(look.groups())[0].members.empty());
  EXPECT_EQ(ok(ok(look.replay("orders")).next()).size(), 1U);
}

TEST_F(Attachment, ShowsNoMembersOfAHostThatWasKilled) {
  child_process host{[&](const auto& say) {
    auto owner = ok(bus::open(store()));
    ok(owner.declare_topic("orders"));
    auto reader = ok(owner.join("g", {"orders"}));
    say("ready");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(host.read_line(), "ready");
  host.kill(SIGKILL);
  host.wait();
  {
    const auto look = ok(attachment::open(store()));
    EXPECT_TRUE(ok(look.groups())[0].members.empty());
  }
  auto next = ok(bus::open(store()));
  EXPECT_TRUE(ok(next.groups())[0].members.empty());
  auto reader = ok(next.join("g", {"orders"}));
  EXPECT_EQ(reader.assignment().size(), 1U);
}

TEST_F(Attachment, DoesNotKeepTheNextHostFromOpening) {
  { ok(ok(bus::open(store())).declare_topic("orders")); }
  child_process looker{[&](const auto& say) {
    const auto look = ok(attachment::open(store()));
    auto reading = ok(look.replay("orders"));
    say("attached");
    const auto batch = ok(reading.next(60s));
    say(batch.empty() ? "nothing" : std::string{batch.begin()->value()});
    return 0;
  }};
  ASSERT_EQ(looker.read_line(), "attached");
  auto owner = ok(bus::open(store()));
  ok(owner.publish("orders", record{"news"}));
  EXPECT_EQ(looker.read_line(), "news");
  EXPECT_EQ(looker.wait(), 0);
}

TEST_F(Attachment, ReadsLargeRecords) {
  {
    auto owner = ok(bus::open(store()));
    ok(ok(owner.declare_topic("orders")).publish(record{std::string(1'000'000, 'x')}));
  }
  const auto look = ok(attachment::open(store()));
  EXPECT_EQ(ok(ok(look.replay("orders")).next()).begin()->value().size(), 1'000'000U);
}

TEST_F(Attachment, CheckFindsASoundStoreSoundBesideItsHost) {
  child_process host{[&](const auto& say) {
    auto owner = ok(bus::open(store()));
    auto orders = ok(owner.declare_topic("orders", {.partitions = 2}));
    for (int i = 0; i < 50; ++i)
      ok(orders.publish(record{std::string(static_cast<std::size_t>(i) * 100, 'x')}));
    ok(owner.declare_exchange("events"));
    ok(owner.declare_queue("work"));
    ok(owner.bind("events", "work", "#"));
    for (int i = 0; i < 200; ++i) ok(owner.publish("events", "k", record{"m"}));
    say("ready");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(host.read_line(), "ready");
  const auto report = ok(check_store(store()));
  EXPECT_TRUE(report.problems.empty()) << report.problems[0].where << ": " << report.problems[0].what;
  EXPECT_EQ(report.records, 250U);
  EXPECT_EQ(report.queue_entries, 200U);
  EXPECT_GT(report.pages, 0U);
}

}  // namespace
}  // namespace levada::test
