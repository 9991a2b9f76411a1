#include <fmt/format.h>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>

#include <csignal>

namespace levada::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Jobs attach in this process while nobody owns the store, or from a child while the test does.
class Job : public bus_fixture {
 protected:
  Job() : bus_fixture{seals_everything} {
    ok(the_bus().declare_topic("orders", {.partitions = 2}));
    ok(the_bus().declare_topic("notes"));
  }
  void publish(const std::string& value, std::uint32_t partition = 0) {
    ok(ok(the_bus().topic("orders")).publish(partition_id{partition}, record{value}));
  }
  [[nodiscard]] attachment attach() const { return ok(attachment::open(store())); }
  static std::vector<std::string> read(job& j) {
    std::vector<std::string> values;
    for (auto batch = ok(j.next()); !batch.empty(); batch = ok(j.next())) {
      for (const auto& r : batch) values.emplace_back(r.value());
    }
    return values;
  }
};

TEST_F(Job, GoesOnBehindItsLastCheckpoint) {
  publish("a", 1);
  publish("b");
  close();
  {
    const auto store = attach();
    auto reading = ok(store.open_job("report", "orders"));
    EXPECT_EQ(reading.name(), "report");
    EXPECT_THAT(read(reading), ElementsAre("a", "b"));
    ok(reading.checkpoint());
  }
  open();
  publish("c", 1);
  ok(the_bus().maintain());
  publish("d", 1);
  close();
  for (int round = 0; round < 2; ++round) {
    const auto store = attach();
    auto reading = ok(store.open_job("report", "orders"));
    EXPECT_THAT(read(reading), ElementsAre("c", "d")) << "without a checkpoint all is read again";
  }
  const auto store = attach();
  auto other = ok(store.open_job("another", "orders"));
  EXPECT_THAT(read(other), ElementsAre("a", "b", "c", "d"));
}

TEST_F(Job, GoesOnInTheMiddleOfWhatItHadReadAhead) {
  for (int i = 0; i < 10; ++i) publish(fmt::format("{}{}", i, std::string(1000, '.')));
  ok(the_bus().maintain());
  close();
  std::string seen;
  for (int round = 0; round < 10; ++round) {
    const auto store = attach();
    auto reading = ok(store.open_job("report", "orders", {.bytes_max = 1}));
    const auto batch = ok(reading.next());
    ASSERT_EQ(batch.size(), 1U);
    seen += batch.begin()->value().front();
    EXPECT_EQ(reading.positions().at(0).next, offset{static_cast<std::uint64_t>(round) + 1});
    ok(reading.checkpoint());
  }
  EXPECT_EQ(seen, "0123456789");
}

TEST_F(Job, BeginsWhereItIsToldOnlyTheFirstTime) {
  publish("old");
  close();
  {
    const auto store = attach();
    auto reading = ok(store.open_job("report", "orders", {.from = from_latest{}}));
    EXPECT_THAT(read(reading), IsEmpty());
  }
  open();
  publish("new");
  close();
  const auto store = attach();
  auto reading = ok(store.open_job("report", "orders", {.from = from_latest{}}));
  EXPECT_THAT(read(reading), ElementsAre("new")) << "where it began is a checkpoint";
}

TEST_F(Job, ReadsAllTopicsAndThoseThatAreDeclaredLater) {
  publish("1");
  ok(the_bus().publish("notes", record{"2"}));
  close();
  {
    const auto store = attach();
    auto reading = ok(store.open_job_all("audit"));
    EXPECT_THAT(read(reading), ElementsAre("1", "2"));
    ok(reading.checkpoint());
  }
  open();
  ok(the_bus().delete_topic("notes"));
  ok(the_bus().declare_topic("later"));
  ok(the_bus().publish("later", record{"3"}));
  publish("4");
  close();
  const auto store = attach();
  auto reading = ok(store.open_job_all("audit"));
  EXPECT_THAT(read(reading), ElementsAre("3", "4"));
  ok(reading.checkpoint());
  EXPECT_EQ(reading.positions().size(), 4U) << "two partitions of orders, one of later, the default exchange";
}

TEST_F(Job, RefusesWhatItDoesNotRead) {
  close();
  const auto store = attach();
  { const auto reading = ok(store.open_job("report", "orders")); }
  EXPECT_THAT(store.open_job("report", "notes"), fails_with(errc::inequivalent));
  EXPECT_THAT(store.open_job_all("report"), fails_with(errc::inequivalent));
  EXPECT_THAT(store.open_job("other", "nothing"), fails_with(errc::unknown_topic));
  EXPECT_THAT(store.open_job("", "orders"), fails_with(errc::name_invalid));
  EXPECT_THAT(store.open_job(std::string(256, 'n'), "orders"), fails_with(errc::name_invalid));
  EXPECT_THAT(store.open_job("other", "orders", {.bytes_max = 0}), fails_with(errc::invalid_argument));
  ASSERT_EQ(ok(store.jobs()).size(), 1U) << "what was refused has left nothing";
  ok(store.remove_job("report"));
  EXPECT_THAT(store.remove_job("report"), fails_with(errc::unknown_job));
  EXPECT_THAT(store.open_job("report", "notes"), succeeds());
}

TEST_F(Job, IsToldWhatRetentionHasTaken) {
  publish("a");
  publish("b");
  close();
  {
    const auto store = attach();
    auto reading = ok(store.open_job("report", "orders", {.bytes_max = 1}));
    EXPECT_EQ(ok(reading.next()).size(), 1U);
    ok(reading.checkpoint());
  }
  open();
  publish("c");
  publish("d");
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{3}));
  EXPECT_EQ(ok(the_bus().jobs()).at(0).partitions.at(0).lag, 1U) << "only what is still there";
  close();
  const auto store = attach();
  auto reading = ok(store.open_job("report", "orders"));
  EXPECT_THAT(reading.next(), fails_with(errc::overtaken));
  EXPECT_THAT(read(reading), ElementsAre("d"));
}

TEST_F(Job, IsSeenByTheOwnerWithPositionAndLag) {
  publish("a");
  publish("b");
  publish("c", 1);
  child_process runs{[this](const auto& say) {
    const auto store = attach();
    auto reading = ok(store.open_job("report", "orders", {.bytes_max = 1}));
    EXPECT_EQ(ok(reading.next()).size(), 1U);
    ok(reading.checkpoint());
    say("has read one");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(runs.read_line(), "has read one");
  auto jobs = ok(the_bus().jobs());
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].name, "report");
  EXPECT_EQ(jobs[0].pid, runs.pid());
  EXPECT_FALSE(jobs[0].stopped);
  EXPECT_EQ(jobs[0].epoch, ok(the_bus().stats()).epoch);
  ASSERT_EQ(jobs[0].partitions.size(), 2U);
  EXPECT_EQ(jobs[0].partitions[0].next, offset{1});
  EXPECT_EQ(jobs[0].partitions[0].end, offset{2});
  EXPECT_EQ(jobs[0].partitions[0].lag, 1U);
  EXPECT_EQ(jobs[0].partitions[1].lag, 1U);
  EXPECT_THAT(the_bus().remove_job("report"), fails_with(errc::job_in_use));
  runs.go();
  EXPECT_EQ(runs.wait(), 0);
  EXPECT_EQ(ok(the_bus().jobs()).at(0).pid, std::nullopt);
  ok(the_bus().remove_job("report"));
  EXPECT_THAT(ok(the_bus().jobs()), IsEmpty());
}

TEST_F(Job, RunsInOneProcessAtATime) {
  child_process runs{[this](const auto& say) {
    const auto store = attach();
    const auto reading = ok(store.open_job("report", "orders"));
    say("runs");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(runs.read_line(), "runs");
  close();
  {
    const auto store = attach();
    const auto refused = store.open_job("report", "orders");
    ASSERT_THAT(refused, fails_with(errc::job_in_use));
    EXPECT_THAT(refused.error().message(), HasSubstr(fmt::format("{}", runs.pid())));
    EXPECT_THAT(store.open_job("another", "orders"), succeeds());
  }
  runs.kill(SIGKILL);
  runs.wait();
  EXPECT_THAT(attach().open_job("report", "orders"), succeeds());
}

TEST_F(Job, WakesForNewRecords) {
  child_process runs{[this](const auto& say) {
    const auto store = attach();
    auto reading = ok(store.open_job("report", "orders"));
    say("waits");
    for (int i = 0; i < 3; ++i) {
      for (const auto& r : ok(reading.next(10s))) say(std::string{r.value()});
    }
    return 0;
  }};
  ASSERT_EQ(runs.read_line(), "waits");
  for (const std::string value : {"a", "b", "c"}) {
    publish(value);
    EXPECT_EQ(runs.read_line(), value);
    ok(the_bus().maintain());
  }
  EXPECT_EQ(runs.wait(), 0);
}

/// A store whose system goes down.
class JobOfARestoredStore : public Job {
 protected:
  [[nodiscard]] bus_options booted(const std::string& boot) const {
    bus_options o = options();
    o.durability = checkpointed{std::chrono::hours{1}};
    o.boot_id = boot;
    return o;
  }
  [[nodiscard]] attachment attach_in(const std::string& boot) const {
    return ok(attachment::open(store(), {.boot_id = boot}));
  }
  /// A host that dies when it has published, and made durable only the first two records, and no later topic.
  void publish_and_die() {
    close();
    child_process host{[this](const auto& say) {
      open(booted("first"));
      publish("a");
      publish("b", 1);
      ok(the_bus().sync());
      publish("lost");
      publish("lost as well", 1);
      ok(the_bus().declare_topic("lost topic"));
      ok(the_bus().publish("lost topic", record{"x"}));
      say("published");
      child_process::wait_for_go();
      return 0;
    }};
    ASSERT_EQ(host.read_line(), "published");
    {
      const auto store = attach_in("first");
      auto all = ok(store.open_job_all("all"));
      EXPECT_THAT(read(all), ElementsAre("a", "b", "lost", "lost as well", "x"));
      ok(all.checkpoint());
      auto behind = ok(store.open_job("behind", "orders", {.bytes_max = 1}));
      EXPECT_EQ(ok(behind.next()).size(), 1U);
      ok(behind.checkpoint());
    }
    host.kill(SIGKILL);
    host.wait();
  }
};

TEST_F(JobOfARestoredStore, IsToldWhatItHasReadInVainAndReadsWhatTookItsPlace) {
  publish_and_die();
  open(booted("second"));
  publish("c");
  publish("d");
  publish("e", 1);
  ok(the_bus().declare_topic("another"));
  ok(the_bus().publish("another", record{"f"}));
  close();
  const auto store = attach_in("second");
  auto all = ok(store.open_job_all("all"));
  const auto told = all.next();
  ASSERT_THAT(told, fails_with(errc::log_truncated));
  EXPECT_THAT(told.error().message(),
              HasSubstr("topic 'orders' partition 0 goes on at offset 1 instead of 2"));
  EXPECT_THAT(read(all), ElementsAre("c", "d", "e", "f"))
      << "also of a topic that has the id of the lost one";
  ok(all.checkpoint());
  auto behind = ok(store.open_job("behind", "orders"));
  EXPECT_THAT(read(behind), ElementsAre("b", "c", "d", "e")) << "what it had read is still there";
}

TEST_F(JobOfARestoredStore, IsToldOnlyOnce) {
  publish_and_die();
  open(booted("second"));
  close();
  {
    const auto store = attach_in("second");
    auto all = ok(store.open_job_all("all"));
    EXPECT_THAT(all.next(), fails_with(errc::log_truncated));
    EXPECT_THAT(read(all), IsEmpty());
    ok(all.checkpoint());
  }
  const auto store = attach_in("second");
  auto all = ok(store.open_job_all("all"));
  EXPECT_THAT(read(all), IsEmpty());
}

TEST_F(JobOfARestoredStore, KeepsTheStoreFromGoingBackUnderAnOpenAttachment) {
  publish_and_die();
  child_process look{[this](const auto& say) {
    const auto store = attach_in("first");
    auto all = ok(store.open_job_all("all"));
    EXPECT_THAT(read(all), IsEmpty());
    say("attached");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(look.read_line(), "attached");
  EXPECT_THAT(bus::open(store(), booted("second")), fails_with(errc::store_in_use));
  look.go();
  EXPECT_EQ(look.wait(), 0);
  open(booted("second"));
  EXPECT_THAT(read_all(ok(the_bus().replay("orders"))), ElementsAre("a", "b"));
}

TEST_F(JobOfARestoredStore, TakesNothingForLostThatItReadAfterwards) {
  publish_and_die();
  open(booted("second"));
  publish("c");
  close();
  {
    const auto store = attach_in("second");
    auto late = ok(store.open_job("late", "orders"));
    EXPECT_THAT(read(late), ElementsAre("a", "b", "c"));
    ok(late.checkpoint());
  }
  const auto store = attach_in("second");
  auto late = ok(store.open_job("late", "orders"));
  EXPECT_THAT(read(late), IsEmpty());
}

}  // namespace
}  // namespace levada::test
