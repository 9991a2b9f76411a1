// What a group commits: by itself, with metadata, several at once.

#include <chrono>
#include <string>
#include <vector>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

topic_partition orders(unsigned p) {
  return {"orders", partition_id{p}};
}

class GroupCommits : public bus_fixture {
 protected:
  GroupCommits() { ok(the_bus().declare_topic("orders", {.partitions = 2})); }
  void publish(unsigned partition, int count) {
    const auto topic = ok(the_bus().topic("orders"));
    for (int i = 0; i < count; ++i) ok(topic.publish(partition_id{partition}, record{"v"}));
  }
  [[nodiscard]] consumer join_committing(milliseconds interval, const std::string& id = "") {
    consumer_options o;
    o.reset = offset_reset::earliest;
    o.member_id = id;
    o.auto_commit = interval;
    return ok(the_bus().join("g", {"orders"}, o));
  }
  /// What is stored, once all that was submitted before is.
  [[nodiscard]] std::optional<std::uint64_t> stored(unsigned p) {
    ok(the_bus().publish("orders", record{"waits for a commit"}));
    const auto group = ok(the_bus().groups()).at(0);
    for (const auto& of : group.partitions) {
      if (of.where == orders(p) && of.committed) return of.committed->value();
    }
    return std::nullopt;
  }
};

TEST_F(GroupCommits, AreMadeByAPollWhenTheIntervalHasPassedOfWhatPollsBeforeReturned) {
  publish(0, 3);
  auto reader = join_committing(seconds{5});
  EXPECT_EQ(ok(reader.poll(at_once)).size(), 3U);
  the_clock().advance(seconds{5} - milliseconds{1});
  publish(0, 2);
  EXPECT_EQ(ok(reader.poll(at_once)).size(), 2U);
  EXPECT_EQ(stored(0), std::nullopt);
  the_clock().advance(milliseconds{1});
  const auto end = ok(reader.position(orders(0)))->value();
  ok(reader.poll(at_once));
  EXPECT_EQ(stored(0), end) << "not what this poll has returned";
  poll_all(reader);
  EXPECT_EQ(stored(0), end) << "not before the next interval is over";
  the_clock().advance(seconds{5});
  const auto next = ok(reader.position(orders(0)))->value();
  ok(reader.poll(at_once));
  EXPECT_EQ(stored(0), next);
}

TEST_F(GroupCommits, AreMadeByThemselvesWhenAMemberLeaves) {
  publish(0, 3);
  publish(1, 4);
  {
    auto reader = join_committing(std::chrono::hours{1});
    EXPECT_EQ(poll_all(reader).size(), 7U);
  }
  EXPECT_EQ(stored(0), 3U);
  EXPECT_EQ(stored(1), 4U);
}

TEST_F(GroupCommits, AreMadeByThemselvesInAHandover) {
  publish(0, 3);
  publish(1, 4);
  auto a = join_committing(std::chrono::hours{1}, "a");
  EXPECT_EQ(poll_all(a).size(), 7U);
  auto b = join_committing(std::chrono::hours{1}, "b");
  EXPECT_TRUE(ok(a.poll(at_once)).empty());
  EXPECT_TRUE(ok(b.poll(at_once)).empty());
  const auto moved = b.assignment().at(0);
  EXPECT_EQ(ok(b.committed(moved))->next, ok(b.end_offset(moved)));
  EXPECT_FALSE(ok(b.committed(a.assignment().at(0)))) << "that has not changed hands";
}

TEST_F(GroupCommits, GiveWayToWhatIsCommittedWhenRevoked) {
  publish(1, 4);
  consumer_options o;
  o.reset = offset_reset::earliest;
  o.auto_commit = std::chrono::hours{1};
  o.on_revoked = [](revocation& r) {
    for (const auto& where : r.partitions()) ok(r.commit(where, offset{0}, "not done"));
  };
  {
    auto reader = ok(the_bus().join("g", {"orders"}, o));
    EXPECT_EQ(poll_all(reader).size(), 4U);
  }
  auto next = join("g", {"orders"});
  EXPECT_EQ(ok(next.committed(orders(1)))->next, offset{0});
  EXPECT_EQ(ok(next.committed(orders(1)))->metadata, "not done");
}

TEST_F(GroupCommits, AreNotMadeByThemselvesUnlessAskedFor) {
  publish(0, 3);
  {
    auto reader = join("g", {"orders"});
    poll_all(reader);
    the_clock().advance(std::chrono::hours{24});
    ok(reader.poll(at_once));
  }
  EXPECT_EQ(stored(0), std::nullopt);
}

TEST_F(GroupCommits, TakeNoNegativeInterval) {
  consumer_options o;
  o.auto_commit = milliseconds{-1};
  EXPECT_THAT(the_bus().join("g", {"orders"}, o), fails_with(errc::invalid_argument));
}

TEST_F(GroupCommits, KeepMetadataAndTime) {
  publish(0, 3);
  the_clock().advance(seconds{1});
  auto reader = join("g", {"orders"});
  ok(reader.commit(orders(0), offset{1}, "up to invoice 17"));
  const auto first = ok(reader.committed(orders(0)));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->next, offset{1});
  EXPECT_EQ(first->metadata, "up to invoice 17");
  the_clock().advance(seconds{7});
  ok(reader.commit(orders(0), offset{2}, std::string(offset_metadata_bytes_max, 'x')));
  const auto second = ok(reader.committed(orders(0)));
  EXPECT_EQ(second->metadata.size(), offset_metadata_bytes_max);
  EXPECT_EQ(second->time - first->time, seconds{7});
  EXPECT_THAT(reader.commit(orders(0), offset{3}, std::string(offset_metadata_bytes_max + 1, 'x')),
              fails_with(errc::field_too_long));
  reader.close();
  reopen();
  auto next = join("g", {"orders"});
  EXPECT_EQ(ok(next.committed(orders(0)))->metadata.size(), offset_metadata_bytes_max);
  poll_all(next);
  ok(next.commit());
  EXPECT_EQ(ok(next.committed(orders(0)))->metadata, "") << "of the last commit";
  next.close();
  expect_sound();
}

TEST_F(GroupCommits, StoreSeveralOffsetsOrNone) {
  publish(0, 3);
  publish(1, 3);
  auto reader = join("g", {"orders"});
  EXPECT_THAT(reader.commit(std::vector{offset_commit{orders(0), offset{1}}, {orders(1), offset{4}}}),
              fails_with(errc::offset_out_of_range));
  EXPECT_THAT(reader.commit(std::vector{offset_commit{orders(0), offset{1}}, {orders(2), offset{0}}}),
              fails_with(errc::not_assigned));
  EXPECT_FALSE(ok(reader.committed(orders(0))));
  ok(reader.commit(std::vector{offset_commit{orders(0), offset{1}}, {orders(1), offset{2}, "two"}}));
  EXPECT_EQ(ok(reader.committed(orders(0)))->next, offset{1});
  EXPECT_EQ(ok(reader.committed(orders(1)))->metadata, "two");
  ok(reader.commit(std::vector<offset_commit>{}));
}

// A position that was committed counted as committed still, though a commit of another offset was under way.
TEST_F(GroupCommits, AreMadeInTheOrderOfTheirCalls) {
  publish(0, 4);
  auto reader = join("g", {"orders"});
  poll_all(reader);
  boost::asio::io_context context;
  for (int i = 0; i < 20; ++i) {
    ok(reader.commit());
    bool answered = false;
    reader.async_commit(orders(0), offset{1},
                        boost::asio::bind_executor(context.get_executor(), [&](const result<void>& r) {
                          ok(r);
                          answered = true;
                        }));
    ok(reader.commit());
    while (!answered) {
      context.restart();
      context.run_one();
    }
    ASSERT_EQ(stored(0), 4U);
  }
}

// What a poll had committed by itself was noted when the next one saw to it, over what was committed since.
TEST_F(GroupCommits, GoOnWhereACommitHasGoneBack) {
  publish(0, 4);
  auto reader = join_committing(milliseconds{0});
  poll_all(reader);
  ok(reader.commit(orders(0), offset{1}));
  poll_all(reader);
  ok(reader.commit());
  EXPECT_EQ(stored(0), 4U);
}

/// Handlers that run when they are told to.
class answers {
 public:
  /// Takes one answer more.
  auto one_more(result<void>& into) {
    ++expected_;
    return boost::asio::bind_executor(context_.get_executor(), [&](const auto& r) {
      into = r ? result<void>{} : r.error();
      --expected_;
    });
  }
  void wait() {
    while (expected_ > 0) {
      context_.restart();
      context_.run_one();
    }
    context_.restart();
    context_.run();  // until whoever has posted is through with it
  }

 private:
  boost::asio::io_context context_;
  int expected_ = 0;
};

// A position counted as committed as soon as a commit behind the transaction's call had stored it.
TEST_F(GroupCommits, AreMadeBehindATransactionThatIsUnderWay) {
  publish(0, 4);
  auto reader = join("g", {"orders"});
  poll_all(reader);
  answers given;
  result<void> sent{};
  auto t = ok(the_bus().begin());
  ok(t.send_offsets(reader, orders(0), offset{1}));
  ok(reader.commit());
  t.async_commit(given.one_more(sent));
  ok(reader.commit());
  given.wait();
  ok(std::move(sent));
  EXPECT_EQ(stored(0), 4U);
  ok(reader.commit());
  EXPECT_EQ(stored(0), 4U);
}

// A commit that failed left a position counting as committed, over another one under way that set it back.
TEST_F(GroupCommits, AreMadeAgainWhereOneThatWasUnderWayHasFailed) {
  ok(the_bus().declare_topic("others"));
  publish(0, 4);
  ok(the_bus().publish("others", record{"v"}));
  auto reader = join("g", {"orders", "others"});
  poll_all(reader);
  ok(reader.commit(orders(0), offset{4}));
  ok(the_bus().delete_topic("others"));
  answers given;
  result<void> back{};
  result<void> all{};
  reader.async_commit(orders(0), offset{1}, given.one_more(back));
  reader.async_commit(given.one_more(all));
  EXPECT_THAT(reader.poll(at_once), fails_with(errc::unknown_topic));
  ok(reader.commit());
  EXPECT_EQ(stored(0), 4U);
  given.wait();
  EXPECT_THAT(back, succeeds());
  EXPECT_THAT(all, fails_with(errc::unknown_topic));
}

TEST_F(GroupCommits, StoreTheLastOfSeveralOffsetsOfOnePartition) {
  publish(0, 4);
  auto reader = join("g", {"orders"});
  poll_all(reader);
  ok(reader.commit(std::vector{offset_commit{orders(0), offset{4}}, {orders(0), offset{1}}}));
  EXPECT_EQ(stored(0), 1U);
  ok(reader.commit());
  EXPECT_EQ(stored(0), 4U);
}

TEST_F(GroupCommits, LeaveWhatIsStoredAsItIsWhereAnotherHasComeToNothing) {
  publish(0, 4);
  auto reader = join("g", {"orders"});
  poll_all(reader);
  ok(reader.commit(orders(0), offset{4}, "up to invoice 17"));
  ok(the_bus().declare_table("accounts"));
  const auto accounts = ok(the_bus().table("accounts"));
  auto t = ok(the_bus().begin());
  ok(t.get(accounts, "ada"));
  ok(t.send_offsets(reader, orders(0), offset{1}));
  ok(accounts.put("ada", "1"));
  EXPECT_THAT(t.commit(), fails_with(errc::conflict));
  EXPECT_FALSE(the_bus().transact([&](transaction& f) -> result<void> {
    ok(f.send_offsets(reader, orders(0), offset{1}));
    return error{errc::invalid_argument, "the host says no"};
  }));
  ok(reader.commit());
  EXPECT_EQ(ok(reader.committed(orders(0)))->metadata, "up to invoice 17");
}

TEST_F(GroupCommits, AreMadeWithoutWaitingToo) {
  publish(0, 3);
  publish(1, 3);
  auto reader = join("g", {"orders"});
  std::vector<offset_commit> both;
  both.emplace_back(orders(0), offset{1});
  both.emplace_back(orders(1), offset{2}, "two");
  EXPECT_THAT(reader.async_commit(both, boost::asio::use_future).get(), succeeds());
  EXPECT_EQ(ok(reader.committed(orders(1)))->metadata, "two");
  EXPECT_THAT(reader.async_commit(orders(0), offset{3}, "three", boost::asio::use_future).get(), succeeds());
  EXPECT_EQ(ok(reader.committed(orders(0)))->metadata, "three");
  EXPECT_THAT(
      reader.async_commit(orders(0), offset{3}, std::string(2000, 'x'), boost::asio::use_future).get(),
      fails_with(errc::field_too_long));
}

}  // namespace
}  // namespace levada::test
