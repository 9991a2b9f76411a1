// Partitions change hands: who is told what, what is stored with it, and what the next owner reads.

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

#include "full_disk_fixture.hpp"

namespace levada::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using partitions = std::vector<topic_partition>;

topic_partition orders(unsigned p) {
  return {"orders", partition_id{p}};
}

/// What a member was told, in order.
struct told {
  std::vector<std::string> what;

  void add(const char* kind, std::span<const topic_partition> partitions_told) {
    std::string line = kind;
    for (const auto& where : partitions_told) line += fmt::format(" {}", where.partition.value());
    what.push_back(std::move(line));
  }
};

/// Range by the cooperative protocol: of four partitions the first two go to the first of two members.
class cooperative_range final : public assignor {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "cooperative range"; }
  [[nodiscard]] std::vector<std::vector<topic_partition>> assign(
      std::span<const assignor_member> members, std::span<const assignor_topic> topics) const override {
    return range_assignor()->assign(members, topics);
  }
};

consumer_options options_of(const std::string& id) {
  consumer_options o;
  o.reset = offset_reset::earliest;
  o.member_id = id;
  o.assignor = std::make_shared<cooperative_range>();
  return o;
}

consumer_options telling(told& t, const std::string& id, bool commits = false) {
  consumer_options o = options_of(id);
  o.on_revoked = [&t, commits](revocation& r) {
    t.add("revoked", r.partitions());
    if (commits) r.commit_positions();
  };
  o.on_assigned = [&t](new_assignment& a) { t.add("assigned", a.partitions()); };
  o.on_lost = [&t](std::span<const topic_partition> lost) { t.add("lost", lost); };
  return o;
}

/// A topic "orders" with four partitions of ten records each.
class Handover : public bus_fixture {
 protected:
  Handover() {
    const auto topic = ok(the_bus().declare_topic("orders", {.partitions = 4}));
    for (int i = 0; i < 40; ++i)
      ok(topic.publish(partition_id{static_cast<std::uint32_t>(i % 4)}, record{std::to_string(i)}));
  }
  [[nodiscard]] consumer join(const consumer_options& o) { return ok(the_bus().join("g", {"orders"}, o)); }
  [[nodiscard]] std::string owner_of(unsigned p) {
    const auto group = ok(the_bus().groups()).at(0);
    for (const auto& of : group.partitions) {
      if (of.where == orders(p)) return of.member;
    }
    return "nobody";
  }
  [[nodiscard]] std::optional<std::uint64_t> stored(unsigned p) {
    const auto group = ok(the_bus().groups()).at(0);
    for (const auto& of : group.partitions) {
      if (of.where == orders(p) && of.committed) return of.committed->value();
    }
    return std::nullopt;
  }

  told told_a_;
  told told_b_;
};

TEST_F(Handover, TellsBothMembersAndStoresWhatTheGiverCommits) {
  auto a = join(telling(told_a_, "a", true));
  EXPECT_THAT(told_a_.what, IsEmpty()) << "within polls only";
  EXPECT_EQ(poll_all(a).size(), 40U);
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3"));
  auto b = join(telling(told_b_, "b"));
  EXPECT_EQ(owner_of(3), "a");
  ok(a.poll(at_once));
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "revoked 2 3"));
  EXPECT_EQ(owner_of(2), "b") << "in the same commit, before b knows";
  EXPECT_EQ(owner_of(1), "a");
  EXPECT_EQ(stored(2), 10U);
  EXPECT_EQ(stored(0), std::nullopt) << "that stays with a";
  EXPECT_THAT(b.assignment(), IsEmpty());
  EXPECT_TRUE(ok(b.poll(at_once)).empty()) << "a has read all of them";
  EXPECT_THAT(told_b_.what, ElementsAre("assigned 2 3"));
  EXPECT_THAT(b.assignment(), ElementsAre(orders(2), orders(3)));
}

TEST_F(Handover, HasTheNextOwnerReadAgainWhatNobodyCommitted) {
  auto a = join(telling(told_a_, "a"));
  poll_all(a);
  auto b = join(telling(told_b_, "b"));
  ok(a.poll(at_once));
  EXPECT_EQ(poll_all(b).size(), 20U);
}

TEST_F(Handover, TellsNobodyOfWhatNoPollEverSaw) {
  auto a = join(telling(told_a_, "a", true));
  auto b = join(telling(told_b_, "b", true));
  ok(a.poll(at_once));
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1"));
  a.close();
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1", "revoked 0 1"));
  b.close();
  EXPECT_THAT(told_b_.what, IsEmpty());
}

TEST_F(Handover, GivesEverythingUpFirstWithAnEagerAssignor) {
  auto eager = [](consumer_options o) {
    o.assignor = range_assignor();
    return o;
  };
  auto a = join(eager(telling(told_a_, "a", true)));
  EXPECT_EQ(poll_all(a).size(), 40U);
  auto b = join(eager(telling(told_b_, "b", true)));
  EXPECT_TRUE(ok(a.poll(at_once)).empty());
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "revoked 0 1 2 3", "assigned 0 1"));
  EXPECT_EQ(stored(0), 10U);
  EXPECT_TRUE(ok(b.poll(at_once)).empty());
  EXPECT_THAT(told_b_.what, ElementsAre("assigned 2 3"));
}

TEST_F(Handover, StoresTheOffsetsAndTheMetadataThatAreAskedFor) {
  auto o = options_of("a");
  o.on_revoked = [asked = false](revocation& r) mutable {
    if (std::exchange(asked, true)) return;  // it leaves
    ASSERT_EQ(r.partitions().size(), 2U);
    EXPECT_EQ(ok(r.position(orders(2))), offset{10});
    EXPECT_THAT(r.position(orders(0)), fails_with(errc::not_assigned));
    EXPECT_THAT(r.commit(orders(0), offset{1}), fails_with(errc::not_assigned));
    EXPECT_THAT(r.commit(orders(2), offset{11}), fails_with(errc::offset_out_of_range));
    EXPECT_THAT(r.commit(orders(2), offset{1}, std::string(1025, 'x')), fails_with(errc::field_too_long));
    r.commit_positions();
    ok(r.commit(orders(2), offset{7}));
    ok(r.commit(orders(2), offset{8}, "so far"));
  };
  auto a = join(o);
  poll_all(a);
  auto b = join(telling(told_b_, "b"));
  ok(a.poll(at_once));
  const auto last = ok(b.committed(orders(2)));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->next, offset{8});
  EXPECT_EQ(last->metadata, "so far");
  EXPECT_EQ(ok(b.committed(orders(3)))->next, offset{10});
  EXPECT_THAT(poll_all(b), ElementsAre("34", "38"));
}

TEST_F(Handover, LetsTheGiverCommitByItselfAsItStillOwnsThem) {
  std::optional<consumer> a;
  auto o = options_of("a");
  o.on_revoked = [&](revocation&) { EXPECT_THAT(a->commit(), succeeds()); };
  a.emplace(join(o));
  poll_all(*a);
  auto b = join(telling(told_b_, "b"));
  EXPECT_TRUE(ok(a->poll(at_once)).empty());
  EXPECT_THAT(poll_all(b), IsEmpty());
  EXPECT_EQ(stored(0), 10U);
  EXPECT_THAT(a->commit(orders(2), offset{0}), fails_with(errc::not_assigned))
      << "afterwards it is not its own";
  EXPECT_EQ(stored(2), 10U);
}

TEST_F(Handover, LetsTheReceiverChooseWhereToStart) {
  auto o = telling(told_b_, "b");
  o.on_assigned = [](new_assignment& a) {
    EXPECT_THAT(a.seek(orders(0), from_earliest{}), fails_with(errc::not_assigned));
    ok(a.seek(orders(2), offset{9}));
    ok(a.seek(orders(3), from_latest{}));
  };
  auto a = join(telling(told_a_, "a"));
  auto b = join(o);
  ok(a.poll(at_once));
  EXPECT_THAT(poll_all(b), ElementsAre("38"));
}

TEST_F(Handover, RefusesToPollWithinACallback) {
  std::optional<consumer> a;
  consumer_options o;
  o.on_assigned = [&](new_assignment&) { EXPECT_THAT(a->poll(at_once), fails_with(errc::would_deadlock)); };
  a.emplace(join(o));
  EXPECT_THAT(a->poll(at_once), succeeds());
}

TEST_F(Handover, ClosesAMemberThatClosesWithinACallback) {
  for (const bool revoked : {false, true}) {
    std::optional<consumer> a;
    auto o = options_of("a");
    if (revoked) {
      o.on_revoked = [&](revocation&) { a->close(); };
    } else {
      o.on_assigned = [&](new_assignment&) { a->close(); };
    }
    a.emplace(join(o));
    if (revoked) ok(a->poll(at_once));
    auto b = join(telling(told_b_, "b"));
    EXPECT_THAT(a->poll(at_once), fails_with(errc::closed));
    ok(b.poll(at_once));
    EXPECT_EQ(b.assignment().size(), 4U);
  }
}

TEST_F(Handover, HappensWhenAMemberLeavesWithWhatItCommitsThen) {
  auto a = join(telling(told_a_, "a", true));
  auto b = join(telling(told_b_, "b", true));
  poll_all(a);
  a.close();
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1", "revoked 0 1"));
  EXPECT_EQ(owner_of(0), "b");
  EXPECT_EQ(stored(0), 10U);
  EXPECT_EQ(poll_all(b).size(), 20U);
  a.close();
  EXPECT_EQ(told_a_.what.size(), 2U) << "once";
}

TEST_F(Handover, TellsAFencedMemberWhatItHasLostAndCountsWhatIsReadTwice) {
  auto o = telling(told_a_, "a", true);
  o.poll_records_max = 7;
  auto a = join(o);
  ok(a.poll(at_once));
  ok(a.commit(orders(0), offset{4}));
  auto b = join(telling(told_b_, "b"));
  the_clock().advance(std::chrono::seconds{60});
  EXPECT_EQ(ok(b.poll(at_once)).size(), 36U);
  EXPECT_EQ(b.assignment().size(), 4U);
  EXPECT_EQ(ok(the_bus().groups()).at(0).possible_duplicates, 3U);
  EXPECT_THAT(a.commit(), fails_with(errc::fenced));
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3"));
  EXPECT_THAT(a.poll(at_once), fails_with(errc::fenced));
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "lost 0 1 2 3"));
  EXPECT_THAT(a.poll(at_once), fails_with(errc::fenced));
  EXPECT_THAT(a.commit(), fails_with(errc::fenced));
  EXPECT_THAT(a.seek(orders(0), from_earliest{}), fails_with(errc::fenced));
  a.close();
  EXPECT_EQ(told_a_.what.size(), 2U);
  EXPECT_EQ(stored(0), 4U);
}

TEST_F(Handover, TellsAFencedMemberWhatItHasLostWhenItCloses) {
  auto a = join(telling(told_a_, "a", true));
  ok(a.poll(at_once));
  auto b = join(telling(told_b_, "b"));
  the_clock().advance(std::chrono::seconds{60});
  ok(b.poll(at_once));
  a.close();
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "lost 0 1 2 3"));
}

TEST_F(Handover, DoesNotTakeTheNextMemberOfAnIdForTheFencedOne) {
  auto a = join(telling(told_a_, "a", true));
  ok(a.poll(at_once));
  auto b = join(telling(told_b_, "b"));
  the_clock().advance(std::chrono::seconds{60});
  ok(b.poll(at_once));
  auto again = join(telling(told_a_, "a"));
  ok(b.poll(at_once));
  ok(again.poll(at_once));
  const auto its_own = again.assignment();
  EXPECT_EQ(its_own.size(), 2U);
  EXPECT_THAT(a.commit(its_own.front(), offset{1}), fails_with(errc::fenced));
  a.close();
  EXPECT_THAT(again.poll(at_once), succeeds());
  EXPECT_EQ(again.assignment(), its_own);
}

TEST_F(Handover, TellsWhatIsLostWithATopic) {
  auto a = join(telling(told_a_, "a", true));
  ok(a.poll(at_once));
  ok(the_bus().delete_topic("orders"));
  EXPECT_THAT(a.poll(at_once), fails_with(errc::unknown_topic));
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "lost 0 1 2 3"));
}

TEST_F(Handover, TellsWhatIsLostWithTheBus) {
  auto a = join(telling(told_a_, "a", true));
  ok(a.poll(at_once));
  ok(the_bus().close());
  EXPECT_THAT(a.poll(at_once), fails_with(errc::closed));
  a.close();
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "lost 0 1 2 3"));
}

class Handovers : public bus_fixture, public ::testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Assignors, Handovers, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "Cooperative" : "Eager"; });

TEST_P(Handovers, LeaveNeitherGapNorDuplicateThoughNobodyCommitsButThen) {
  const auto topic = ok(the_bus().declare_topic("orders", {.partitions = 5}));
  int published = 0;
  std::multiset<std::string> seen;
  std::vector<consumer> members;
  consumer_options o;
  o.reset = offset_reset::earliest;
  o.poll_records_max = 7;
  o.assignor = GetParam() ? cooperative_sticky_assignor() : range_assignor();
  o.on_revoked = [](revocation& r) { r.commit_positions(); };
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 9; ++i) ok(topic.publish(record{std::to_string(published++)}));
    if (round % 9 == 0) members.push_back(ok(the_bus().join("g", {"orders"}, o)));
    if (round % 14 == 13) members.erase(members.begin());
    for (auto& m : members) {
      for (const auto& r : ok(m.poll(at_once))) seen.emplace(r.value());
    }
  }
  for (int left = 1; left > 0;) {
    left = 0;
    for (auto& m : members) {
      for (const auto& r : ok(m.poll(at_once))) {
        seen.emplace(r.value());
        ++left;
      }
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(published));
  EXPECT_EQ((std::set<std::string>{seen.begin(), seen.end()}.size()), static_cast<std::size_t>(published));
}

TEST(HandoverStorm, OfThreadsThatComeAndGoLeavesNeitherGapNorDuplicate) {
  temporary_directory directory;
  auto b = ok(bus::open(directory / "store"));
  const auto topic = ok(b.declare_topic("orders", {.partitions = 6}));
  constexpr int each = 1500;
  std::mutex mutex;
  std::multiset<std::string> seen;
  const auto drink = [&](consumer& c, std::chrono::milliseconds timeout) {
    const auto batch = ok(c.poll(timeout));
    const std::lock_guard guard{mutex};
    for (const auto& r : batch) seen.emplace(r.value());
    return batch.size();
  };
  const auto options = [](int i) {
    consumer_options o;
    o.reset = offset_reset::earliest;
    o.poll_records_max = 5;
    // Some commit in the handover, some just before.
    o.auto_commit = std::chrono::milliseconds{i % 2 == 0 ? 0 : 3'600'000};
    return o;
  };
  {
    std::vector<std::jthread> threads;
    for (int w = 0; w < 2; ++w) {
      threads.emplace_back([&, w] {
        for (int i = 0; i < each; ++i) ok(topic.publish(record{fmt::format("{}:{}", w, i)}));
      });
    }
    for (int m = 0; m < 4; ++m) {
      threads.emplace_back([&, m] {
        for (int life = 0; life < 30; ++life) {
          auto c = ok(b.join("g", {"orders"}, options(m + life)));
          for (int i = 0; i <= life % 5; ++i) drink(c, std::chrono::milliseconds{5});
        }
      });
    }
  }
  auto last = ok(b.join("g", {"orders"}, options(1)));
  while (drink(last, std::chrono::milliseconds{0}) > 0) {
  }
  EXPECT_EQ(seen.size(), 2U * each);
  EXPECT_EQ((std::set<std::string>{seen.begin(), seen.end()}.size()), 2U * each);
  EXPECT_EQ(ok(b.groups()).at(0).possible_duplicates, 0U);
}

/// The same where nobody waits for commits.
class AsyncHandover : public Handover {
 protected:
  /// Until whoever has posted is through with it.
  ~AsyncHandover() override {
    context_.restart();
    context_.run();
  }
  struct answer {
    std::optional<result<record_batch>> given;
  };
  void start(consumer& c, answer& a, std::chrono::milliseconds timeout = std::chrono::milliseconds::max()) {
    c.async_poll(timeout, boost::asio::bind_executor(context_.get_executor(), [&a](result<record_batch> r) {
                   a.given.emplace(std::move(r));
                 }));
  }
  /// Runs handlers until the answer is there.
  result<record_batch> wait(answer& a) {
    context_.restart();
    while (!a.given) context_.run_one();
    auto r = std::move(*a.given);
    a.given.reset();
    return r;
  }

  boost::asio::io_context context_;
};

TEST_F(AsyncHandover, TellsBothMembersAndStoresWhatTheGiverCommits) {
  auto a = join(telling(told_a_, "a", true));
  EXPECT_EQ(poll_all(a).size(), 40U);
  answer polled;
  start(a, polled);
  context_.poll();
  auto b = join(telling(told_b_, "b"));
  answer taken;
  start(b, taken);
  context_.restart();
  while (b.assignment().size() < 2 || a.assignment().size() > 2) context_.run_one();
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "revoked 2 3"));
  EXPECT_THAT(told_b_.what, ElementsAre("assigned 2 3"));
  EXPECT_THAT(a.assignment(), ElementsAre(orders(0), orders(1)));
  EXPECT_EQ(stored(2), 10U);
  EXPECT_FALSE(taken.given) << "there is nothing to be read again";
  ok(ok(the_bus().topic("orders")).publish(partition_id{3}, record{"new"}));
  EXPECT_EQ(ok(wait(taken)).begin()->value(), "new");
  a.close();
  EXPECT_THAT(wait(polled), fails_with(errc::closed));
}

TEST_F(AsyncHandover, IsGoneThroughWithByTheNextCallWhenThereIsNoTimeToWait) {
  auto a = join(telling(told_a_, "a", true));
  EXPECT_EQ(poll_all(a).size(), 40U);
  auto b = join(telling(told_b_, "b"));
  answer polled;
  for (int i = 0; a.assignment().size() > 2; ++i) {
    ASSERT_LT(i, 1'000'000);
    start(a, polled, at_once);
    EXPECT_TRUE(ok(wait(polled)).empty());
  }
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "revoked 2 3")) << "it was asked once";
  EXPECT_EQ(stored(3), 10U);
}

TEST_F(AsyncHandover, IsWaitedForByClose) {
  auto a = join(telling(told_a_, "a", true));
  EXPECT_EQ(poll_all(a).size(), 40U);
  auto b = join(telling(told_b_, "b"));
  answer polled;
  start(a, polled, at_once);
  ok(wait(polled));
  a.close();
  EXPECT_THAT(told_a_.what, ElementsAre("assigned 0 1 2 3", "revoked 2 3", "revoked 0 1"));
  EXPECT_THAT(poll_all(b), IsEmpty());
  for (const unsigned p : {0U, 1U, 2U, 3U}) EXPECT_EQ(stored(p), 10U);
}

TEST_F(AsyncHandover, IsNotInTheWayOfCommittingTheRest) {
  auto a = join(telling(told_a_, "a"));
  EXPECT_EQ(poll_all(a).size(), 40U);
  auto b = join(telling(told_b_, "b"));
  answer polled;
  start(a, polled, at_once);
  ok(wait(polled));
  EXPECT_THAT(a.commit(), succeeds());
  EXPECT_EQ(stored(0), 10U);
  EXPECT_EQ(stored(2), std::nullopt);
}

TEST_F(AsyncHandover, ComesBehindACommitThatWasBegunBefore) {
  auto a = join(telling(told_a_, "a"));
  EXPECT_EQ(poll_all(a).size(), 40U);
  auto b = join(telling(told_b_, "b"));
  auto before = a.async_commit(orders(2), offset{6}, boost::asio::use_future);
  answer polled;
  start(a, polled, at_once);
  auto after = a.async_commit(orders(2), offset{3}, boost::asio::use_future);
  EXPECT_THAT(before.get(), succeeds());
  ok(wait(polled));
  EXPECT_THAT(after.get(), fails_with(errc::not_assigned));
  EXPECT_EQ(stored(2), 6U);
  ok(b.poll(at_once));
  EXPECT_EQ(ok(b.position(orders(2))), offset{10});
}

/// Where a commit fails: in a child process with a limit on the sizes of files.
class HandoverOnAFullDisk : public full_disk_fixture {
 protected:
  static constexpr std::chrono::milliseconds at_once{0};
  struct scene {
    explicit scene(const std::filesystem::path& store) : directory{store} {
      bus_options o;
      o.maintenance = maintenance_mode::on_call;
      b.emplace(ok(bus::open(store, o)));
      const auto topic = ok(b->declare_topic("orders", {.partitions = 4}));
      for (unsigned i = 0; i < 40; ++i) ok(topic.publish(partition_id{i % 4}, record{std::to_string(i)}));
    }
    consumer join(const consumer_options& o) { return ok(b->join("g", {"orders"}, o)); }
    std::filesystem::path directory;
    std::optional<bus> b;
    told told_a;
    told told_b;
  };
  static std::size_t drink(consumer& c) {
    std::size_t records = 0;
    for (auto batch = ok(c.poll(at_once)); !batch.empty(); batch = ok(c.poll(at_once)))
      records += batch.size();
    return records;
  }
};

TEST_F(HandoverOnAFullDisk, FailsThePollAndIsTriedAgainWhereOffsetsAreToBeStored) {
  under_a_limit([](scarce_disk& disk) {
    scene s{disk.path() / "store"};
    auto a = s.join(telling(s.told_a, "a", true));
    EXPECT_EQ(drink(a), 40U);
    auto b = s.join(telling(s.told_b, "b"));
    disk.leave(0);
    for (int i = 0; i < 2; ++i) {
      EXPECT_THAT(a.poll(at_once), fails_with(errc::disk_full));
      EXPECT_EQ(a.assignment().size(), 4U);
      EXPECT_TRUE(ok(b.poll(at_once)).empty());
      EXPECT_TRUE(b.assignment().empty());
    }
    boost::asio::io_context context;
    std::optional<result<record_batch>> given;
    a.async_poll(std::chrono::milliseconds::max(),
                 boost::asio::bind_executor(context.get_executor(),
                                            [&](result<record_batch> r) { given.emplace(std::move(r)); }));
    while (!given) context.run_one();
    context.run();  // until whoever has posted is through with it
    EXPECT_THAT(*given, fails_with(errc::disk_full)) << "it reaches a poll that does not wait, too";
    EXPECT_EQ(a.assignment().size(), 4U);
    disk.give_back();
    EXPECT_TRUE(ok(a.poll(at_once)).empty());
    EXPECT_EQ(a.assignment().size(), 2U);
    EXPECT_EQ(drink(b), 0U) << "the offsets are there";
    EXPECT_EQ(b.assignment().size(), 2U);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

TEST_F(HandoverOnAFullDisk, HappensAllTheSameWhereThereIsNothingToBeStored) {
  under_a_limit([](scarce_disk& disk) {
    scene s{disk.path() / "store"};
    auto a = s.join(telling(s.told_a, "a"));
    EXPECT_EQ(drink(a), 40U);
    disk.leave(0);
    auto b = s.join(telling(s.told_b, "b"));
    EXPECT_TRUE(ok(a.poll(at_once)).empty());
    EXPECT_EQ(a.assignment().size(), 2U);
    EXPECT_EQ(drink(b), 20U);
    auto c = s.join(telling(s.told_b, "c"));
    boost::asio::io_context context;
    std::optional<result<record_batch>> given;
    b.async_poll(std::chrono::milliseconds::max(),
                 boost::asio::bind_executor(context.get_executor(),
                                            [&](result<record_batch> r) { given.emplace(std::move(r)); }));
    while (b.assignment().size() > 1) context.run_one();
    EXPECT_EQ(drink(c), 10U);
    EXPECT_THAT(c.assignment(), ElementsAre(orders(3)));
    a.close();
    b.close();
    while (!given) context.run_one();
    context.run();  // until whoever has posted is through with it
    EXPECT_THAT(*given, fails_with(errc::closed));
    EXPECT_EQ(drink(c), 30U);
    disk.give_back();
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

}  // namespace
}  // namespace levada::test
