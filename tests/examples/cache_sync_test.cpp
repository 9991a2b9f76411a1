#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <unistd.h>

#include <levada/levada.hpp>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include <cache_sync/audit.hpp>
#include <cache_sync/background.hpp>
#include <cache_sync/direct_call.hpp>
#include <cache_sync/latencies.hpp>
#include <cache_sync/licensing.hpp>
#include <cache_sync/organisation.hpp>
#include <cache_sync/organisation_service.hpp>
#include <cache_sync/position_mark.hpp>
#include <cache_sync/proof.hpp>

#include "program.hpp"

namespace cache_sync {
namespace {

using levada::errc;
using levada::test::fails_with;
using levada::test::ok;
using levada::test::succeeds;
using levada::test::temporary_directory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::chrono::milliseconds at_once{0};
/// Ends a test that hangs; nothing takes so long.
constexpr std::chrono::seconds patience{60};

details with_seats(std::uint32_t seats) {
  return {"Mill Road Ltd", seats, true};
}

class CacheSync : public ::testing::Test {
 protected:
  /// As if the host was started anew.
  void reopen(const levada::bus_options& options = {}) {
    bus_.reset();
    bus_.emplace(ok(levada::bus::open(directory_ / "store", options)));
  }
  [[nodiscard]] levada::bus& bus() {
    if (!bus_) reopen();
    return *bus_;
  }

  /// What has been published so far.
  [[nodiscard]] std::vector<organisation> events() {
    std::vector<organisation> all;
    auto pass = ok(bus().replay(changes_topic));
    for (auto batch = ok(pass.next()); !batch.empty(); batch = ok(pass.next())) {
      for (const auto& event : batch) all.push_back(ok(organisation_in(event)));
    }
    return all;
  }
  static void take_in_all(licensing& service) {
    while (ok(service.take_in(at_once)) != 0) {
    }
  }

 private:
  temporary_directory directory_;
  std::optional<levada::bus> bus_;
};

// The organisation

TEST_F(CacheSync, AnOrganisationIsReadAsItWasWritten) {
  for (const auto& o : {organisation{17, 3, 25, true, "Mill Road Ltd"}, organisation{1, 1, 0, false, ""}}) {
    EXPECT_EQ(parse_organisation(to_text(o)), o) << to_text(o);
  }
  for (const auto* text : {"", "17", "17 3 25 dissolved X", "x 3 25 active X", "17 3 -1 active X"}) {
    EXPECT_EQ(parse_organisation(text), std::nullopt) << text;
  }
}

// The organisation service

TEST_F(CacheSync, EachChangeIsPublishedInOrder) {
  organisation_service service{bus()};
  const auto first = ok(service.save(17, with_seats(5)));
  const auto second = ok(service.save(17, with_seats(9)));
  EXPECT_EQ(first, (organisation{17, 1, 5, true, "Mill Road Ltd"}));
  EXPECT_EQ(second, (organisation{17, 2, 9, true, "Mill Road Ltd"}));
  EXPECT_THAT(events(), ElementsAre(first, second));
  EXPECT_THAT(ok(service.all()), ElementsAre(second));
}

// This and the next one fail when events are published before, or after, the transaction of the change.
TEST_F(CacheSync, NobodyIsToldOfAChangeThatCouldNotBeMade) {
  organisation_service service{bus()};
  const auto before = ok(service.save(17, with_seats(5)));
  // Too large for a table, but not for a topic.
  const details large{std::string(levada::table_value_bytes_max, 'x'), 6, true};
  EXPECT_THAT(service.save(17, large), fails_with(errc::field_too_long));
  EXPECT_THAT(events(), ElementsAre(before));
  EXPECT_THAT(ok(service.all()), ElementsAre(before));
}

TEST_F(CacheSync, NoChangeIsMadeThatNobodyCouldBeToldOf) {
  levada::bus_options options;
  options.record_bytes_max = 1'000;
  reopen(options);
  organisation_service service{bus()};
  const auto before = ok(service.save(17, with_seats(5)));
  // Too large for a topic, but not for a table.
  EXPECT_THAT(service.save(17, {std::string(2'000, 'x'), 6, true}), fails_with(errc::record_too_large));
  EXPECT_THAT(events(), ElementsAre(before));
  EXPECT_THAT(ok(service.all()), ElementsAre(before));
}

// Licensing

TEST_F(CacheSync, LicensingAnswersWhatFollowsFromTheOrganisation) {
  organisation_service organisations{bus()};
  licensing service{bus()};
  ok(organisations.save(17, with_seats(5)));
  ok(organisations.save(18, {"Long Walk", 7, false}));
  take_in_all(service);
  EXPECT_EQ(ok(service.ask(17)).known, (entitlement{1, 5}));
  EXPECT_EQ(ok(service.ask(18)).known, (entitlement{1, 0})) << "suspended";
  EXPECT_EQ(ok(service.ask(19)).known, std::nullopt);
  EXPECT_FALSE(ok(service.ask(19)).catching_up) << "it knows that there is none";
}

TEST_F(CacheSync, LicensingPutsQuestionsOffUntilItHasCaughtUpWithItsStart) {
  organisation_service organisations{bus()};
  for (organisation_id id = 1; id <= 100; ++id) ok(organisations.save(id, with_seats(5)));
  licensing service{bus()};
  EXPECT_TRUE(ok(service.ask(1)).catching_up) << "it has looked at nothing yet";
  std::size_t taken = 0;
  while (taken < 100) {
    EXPECT_FALSE(service.caught_up()) << taken;
    EXPECT_TRUE(ok(service.ask(1)).catching_up) << taken;
    taken += ok(service.take_in(at_once));
  }
  EXPECT_TRUE(service.caught_up());
  ok(organisations.save(1, with_seats(6)));
  EXPECT_EQ(ok(service.ask(1)).known, (entitlement{1, 5})) << "what comes later puts nothing off";
}

TEST_F(CacheSync, LicensingGivesNoStaleAnswerAfterARestartOfTheHost) {
  {
    organisation_service organisations{bus()};
    ok(organisations.save(17, with_seats(5)));
    licensing service{bus()};
    take_in_all(service);
  }
  ok(organisation_service{bus()}.save(17, with_seats(6)));
  reopen();
  licensing service{bus()};
  EXPECT_EQ(ok(service.cached(17)), (entitlement{1, 5})) << "the cache is from before";
  EXPECT_TRUE(ok(service.ask(17)).catching_up);
  EXPECT_EQ(ok(service.take_in(at_once)), 1U) << "only what it has missed";
  EXPECT_EQ(ok(service.ask(17)).known, (entitlement{2, 6}));
}

TEST_F(CacheSync, LicensingHasCaughtUpAtItsFirstLookWhenItHasMissedNothing) {
  organisation_service organisations{bus()};
  ok(organisations.save(17, with_seats(5)));
  {
    licensing service{bus()};
    take_in_all(service);
  }
  licensing service{bus()};
  EXPECT_EQ(ok(service.take_in(at_once)), 0U);
  EXPECT_EQ(ok(service.ask(17)).known, (entitlement{1, 5}));
}

TEST_F(CacheSync, LicensingFollowsInTheBackgroundAndStops) {
  organisation_service organisations{bus()};
  licensing service{bus()};
  background serving{[&](const std::stop_token& stop) { return service.serve(stop); }};
  for (std::uint32_t seats = 1; seats <= 20; ++seats) {
    const auto changed = ok(organisations.save(17, with_seats(seats)));
    ASSERT_TRUE(service.wait_for(ok(end_of_log(bus(), changes_topic)), patience));
    EXPECT_EQ(ok(service.ask(17)).known, entitlement_of(changed));
  }
  EXPECT_FALSE(serving.done());
  EXPECT_THAT(serving.stop(), succeeds());
}

TEST_F(CacheSync, LicensingTakesInNothingOfWhatItCannotRead) {
  organisation_service organisations{bus()};
  ok(organisations.save(17, with_seats(5)));
  ok(bus().publish(changes_topic, levada::record{"17", "nonsense"}));
  licensing service{bus()};
  const auto taken = service.take_in(at_once);
  ASSERT_THAT(taken, fails_with(errc::invalid_argument));
  EXPECT_THAT(taken.error().message(), HasSubstr("offset 1: 'nonsense' is not an organisation"));
  EXPECT_EQ(ok(service.cached(17)), std::nullopt) << "all of a batch, or nothing";
  EXPECT_THAT(service.take_in(at_once), fails_with(errc::closed)) << "it must not go on behind it";
}

TEST_F(CacheSync, LicensingEndsWhenTheBusIsClosed) {
  organisation_service organisations{bus()};
  licensing service{bus()};
  background serving{[&](const std::stop_token& stop) { return service.serve(stop); }};
  ok(bus().close());
  const position_mark never(2, levada::offset{1});
  EXPECT_FALSE(service.wait_for(never, std::chrono::hours{1})) << "it does not wait for what cannot come";
  EXPECT_THAT(serving.stop(), fails_with(errc::closed));
}

TEST_F(CacheSync, LicensingNeedsTheTopicOfTheChanges) {
  EXPECT_THROW(licensing{bus()}, levada::exception);
}

// The audit

TEST_F(CacheSync, TheAuditSeesWhatWasBeforeItsTime) {
  organisation_service organisations{bus()};
  for (int n = 0; n < 10; ++n) ok(organisations.save(17, with_seats(5)));
  licensing other{bus()};
  take_in_all(other);
  audit late{bus()};
  EXPECT_EQ(ok(late.catch_up()), 10U);
  EXPECT_THAT(audit_saw_all(late, ok(organisations.all())).violations, IsEmpty());
}

TEST_F(CacheSync, TheAuditCountsEachChangeOnceAcrossRestarts) {
  for (int run = 1; run <= 3; ++run) {
    organisation_service organisations{bus()};
    ok(organisations.save(17, with_seats(5)));
    ok(organisations.save(18, with_seats(5)));
    EXPECT_EQ(ok(audit{bus()}.catch_up()), 2U);
    EXPECT_THAT(audit_saw_all(audit{bus()}, ok(organisations.all())).violations, IsEmpty()) << run;
    reopen();
  }
}

// The checks

TEST_F(CacheSync, AnAnswerOlderThanTheStartIsFound) {
  freshness seen{{{17, 3, 25, true, ""}}};
  seen.see(17, {.catching_up = true, .known = std::nullopt});
  seen.see(17, {.catching_up = false, .known = entitlement{3, 25}});
  seen.see(18, {.catching_up = false, .known = std::nullopt});
  EXPECT_THAT(seen.nothing_stale().violations, IsEmpty());
  seen.see(17, {.catching_up = false, .known = entitlement{2, 25}});
  seen.see(17, {.catching_up = false, .known = std::nullopt});
  EXPECT_THAT(seen.nothing_stale().violations,
              ElementsAre("organisation 17: 25 seats as of version 2 was answered, after version 3",
                          "organisation 17: nothing was answered, after version 3"));
}

TEST_F(CacheSync, AnAnswerThatGoesBackIsFound) {
  freshness seen{{}};
  seen.see(17, {.catching_up = false, .known = entitlement{5, 25}});
  seen.see(17, {.catching_up = false, .known = entitlement{4, 25}});
  EXPECT_THAT(seen.nothing_stale().violations, ElementsAre(HasSubstr("after version 5")));
}

TEST_F(CacheSync, AnAnswerOfOtherContentIsFound) {
  freshness seen{{{17, 3, 25, true, ""}}};
  seen.see(17, {.catching_up = false, .known = entitlement{3, 26}});
  EXPECT_THAT(seen.nothing_stale().violations,
              ElementsAre(HasSubstr("26 seats as of version 3 was answered, instead of 25 seats")));
}

TEST_F(CacheSync, ACacheThatDiffersFromTheTableIsFound) {
  organisation_service organisations{bus()};
  ok(organisations.save(17, with_seats(5)));
  licensing service{bus()};
  const auto table = ok(organisations.all());
  EXPECT_THAT(cache_equals_table(service, table).violations, ElementsAre(HasSubstr("still catching up")));
  take_in_all(service);
  EXPECT_THAT(cache_equals_table(service, table).violations, IsEmpty());
  ok(organisations.save(17, with_seats(6)));
  EXPECT_THAT(cache_equals_table(service, ok(organisations.all())).violations,
              ElementsAre("organisation 17: 5 seats as of version 1 was answered, instead of 6 seats as of "
                          "version 2"));
}

TEST_F(CacheSync, AChangeThatTheAuditHasMissedIsFound) {
  organisation_service organisations{bus()};
  ok(organisations.save(17, with_seats(5)));
  audit late{bus()};
  ok(late.catch_up());
  ok(organisations.save(17, with_seats(6)));
  EXPECT_THAT(audit_saw_all(late, ok(organisations.all())).violations,
              ElementsAre(HasSubstr("1 changes seen of 2")));
  // The same change told twice, as a publisher would that repeats what was done already.
  ok(bus().publish(changes_topic, to_event(ok(organisations.all()).front())));
  ok(late.catch_up());
  EXPECT_THAT(audit_saw_all(late, ok(organisations.all())).violations,
              ElementsAre(HasSubstr("3 changes seen of 2, 1 of them out of order")));
}

// The synchronous way

TEST_F(CacheSync, ACallThatIsNotAnsweredLeavesTheCacheStale) {
  direct_licensing callee{bus()};
  calling_organisation_service caller{bus(), callee, std::chrono::milliseconds{1}};
  std::vector<std::uint64_t> worked_on;
  callee.is_up([&](const organisation& o) { worked_on.push_back(o.version); });
  EXPECT_TRUE(ok(caller.save(17, with_seats(5))));
  EXPECT_EQ(ok(callee.cached(17)), (entitlement{1, 5}));
  callee.is_down();
  EXPECT_FALSE(ok(caller.save(17, with_seats(6))));
  EXPECT_EQ(ok(callee.cached(17)), (entitlement{1, 5}));
  EXPECT_EQ(ok(caller.all()).front().version, 2U);
  EXPECT_THAT(worked_on, ElementsAre(1));
}

TEST_F(CacheSync, LatenciesAreCountedByShare) {
  latencies l;
  for (int n = 100; n > 0; --n) l.add(std::chrono::nanoseconds{n});
  EXPECT_EQ(l.within(0.5).count(), 50);
  EXPECT_EQ(l.within(0.99).count(), 99);
  EXPECT_EQ(l.within(1).count(), 100);
  EXPECT_EQ(l.within(0.001).count(), 1);
}

// The program

class CacheSyncProgram : public ::testing::Test {
 protected:
  static levada::test::ending run(std::vector<std::string> options) {
    options.insert(options.begin(), CACHE_SYNC_PROGRAM);
    return levada::test::run(std::move(options));
  }
  [[nodiscard]] levada::test::ending run_short() const {
    return run({"--dir", directory(), "--organisations", "5", "--changes", "12", "--measured", "4",
                "--slow-ms", "1", "--timeout-ms", "1"});
  }
  [[nodiscard]] std::filesystem::path directory() const { return place_ / "run"; }

 private:
  temporary_directory place_;
};

TEST_F(CacheSyncProgram, ProvesAndCompares) {
  const auto e = run_short();
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, StartsWith("A new store.\n"));
  EXPECT_THAT(e.said, HasSubstr("restart: no stale answer"));
  EXPECT_THAT(e.said, HasSubstr("5 of 5 entries stale"));
  EXPECT_THAT(e.said, HasSubstr("The audit has counted 36 changes\n"));
  EXPECT_THAT(e.said, HasSubstr(" build"));
  EXPECT_THAT(e.said, HasSubstr(" cores, load "));
  EXPECT_THAT(e.said, HasSubstr("Durability: synced"));
  EXPECT_THAT(e.said, HasSubstr("Disk before: 4 KiB appended and flushed in "));
  EXPECT_THAT(e.said, HasSubstr("down: 1 ms until time-out"));
  EXPECT_THAT(e.said,
              HasSubstr("wrong about 0 of 12 organisations where changes were published, 4 of 12 where"));
  EXPECT_THAT(e.said, Not(HasSubstr("✗")));
  EXPECT_THAT(e.said, HasSubstr("PROVED: "));
}

TEST_F(CacheSyncProgram, GoesOnWithWhatIsThere) {
  ASSERT_EQ(run_short().status, 0);
  const auto e = run_short();
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, StartsWith("A store with 5 organisations; licensing may have missed changes"));
  EXPECT_THAT(e.said, HasSubstr("The audit has counted 48 changes\n")) << "those that the first run left";
  EXPECT_THAT(e.said, HasSubstr("84 changes of 5 organisations"));
  EXPECT_THAT(e.said, Not(HasSubstr("✗")));
  for (const auto& entry : std::filesystem::directory_iterator{directory()}) {
    EXPECT_EQ(entry.path().filename(), "store") << "nothing else is left";
  }
}

TEST_F(CacheSyncProgram, GoesOnAfterItWasKilled) {
  levada::test::program p{
      {CACHE_SYNC_PROGRAM, "--dir", directory(), "--organisations", "5", "--changes", "300"}};
  p.wait_for("Licensing is stopped");
  p.signal(SIGKILL);
  EXPECT_EQ(p.wait().status, 128 + SIGKILL);
  const auto e = run_short();
  EXPECT_EQ(e.status, 0) << e.said;
  EXPECT_THAT(e.said, HasSubstr("PROVED: "));
}

TEST_F(CacheSyncProgram, FailsWhenAnEventIsMissing) {
  ASSERT_EQ(run_short().status, 0);
  {
    // As a publisher would that changes its table and dies before it publishes.
    auto bus = ok(levada::bus::open(directory() / "store"));
    const auto table = ok(bus.table("organisations"));
    auto changed = ok(read_all(table)).front();
    ++changed.version;
    ok(table.put(changed.id, to_text(changed)));
  }
  const auto e = run_short();
  EXPECT_EQ(e.status, 1) << e.said;
  EXPECT_THAT(e.said, HasSubstr("✗ late: the audit saw every change once, in order"));
  EXPECT_THAT(e.said, HasSubstr("NOT PROVED"));
}

TEST_F(CacheSyncProgram, SaysWhyItCannotOpenItsStore) {
  std::filesystem::create_directories(directory());
  const auto owner = ok(levada::bus::open(directory() / "store"));
  const auto e = run_short();
  EXPECT_EQ(e.status, 1);
  EXPECT_THAT(e.said, StartsWith("cache_sync: "));
  EXPECT_THAT(e.said, HasSubstr("pid " + std::to_string(::getpid())));
}

TEST_F(CacheSyncProgram, ExplainsItself) {
  const auto e = run({"--help"});
  EXPECT_EQ(e.status, 0);
  EXPECT_THAT(e.said, StartsWith("usage: cache_sync "));
  for (const auto* option :
       {"--dir", "--organisations", "--changes", "--measured", "--slow-ms", "--timeout-ms"}) {
    EXPECT_THAT(e.said, HasSubstr(option));
  }
}

TEST_F(CacheSyncProgram, RefusesWrongUsage) {
  const std::map<std::string, std::vector<std::string>> cases{
      {"'--nonsense' is not an option", {"--nonsense"}},
      {"--changes: '0' is not a whole number from 1 to", {"--changes", "0"}},
      {"--slow-ms: a value is missing", {"--slow-ms"}},
      {"--dir: the path is empty", {"--dir", ""}},
  };
  for (const auto& [text, options] : cases) {
    const auto e = run(options);
    EXPECT_EQ(e.status, 2) << text;
    EXPECT_THAT(e.said, StartsWith("cache_sync: " + text));
  }
}

}  // namespace
}  // namespace cache_sync
