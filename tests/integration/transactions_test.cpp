// Transactions of both kinds: all or nothing, what they see, and what stands in their way.

#include <fmt/format.h>

#include <future>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/use_future.hpp>

#include <levada/async.hpp>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using boost::asio::use_future;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

class Transactions : public bus_fixture {
 protected:
  topic orders_ = ok(the_bus().declare_topic("orders"));
  table accounts_ = ok(the_bus().declare_table("accounts"));

  Transactions() {
    ok(the_bus().declare_exchange("events"));
    ok(the_bus().declare_queue("work"));
    ok(the_bus().bind("events", "work", "job.#"));
  }
  std::vector<std::string> orders() {
    return read_all(ok(the_bus().replay("orders", {.until = until_latest{}})));
  }
  static std::vector<std::string> values(const std::vector<table_entry>& entries) {
    std::vector<std::string> all;
    for (const auto& e : entries) all.push_back(e.value);
    return all;
  }
  std::string account(const table_key& key) { return ok(accounts_.get(key)).value_or("none"); }
};

/// What both kinds must do. The parameter says which it is.
class BothTransactions : public Transactions, public ::testing::WithParamInterface<bool> {
 protected:
  using function = std::function<result<void>(transaction&)>;
  result<transaction_receipt> run(const function& what) {
    if (GetParam()) return the_bus().transact(what);
    auto t = the_bus().begin();
    if (!t) return t.error();
    if (auto done = what(*t); !done) return done.error();
    return t->commit();
  }
};

std::string name_of_kind(const ::testing::TestParamInfo<bool>& kind) {
  return kind.param ? "WithAFunction" : "Collecting";
}
INSTANTIATE_TEST_SUITE_P(Kinds, BothTransactions, ::testing::Bool(), name_of_kind);

TEST_P(BothTransactions, DoEverythingTogether) {
  ok(orders_.publish(record{"in"}));
  ok(the_bus().publish("events", "job.1", record{"message"}));
  auto billing = join("billing", {"orders"});
  ASSERT_THAT(poll_all(billing), ElementsAre("in"));
  auto worker = ok(the_bus().consume("work"));
  const auto first = ok(worker.receive(at_once));
  const auto receipt = ok(run([&](transaction& t) -> result<void> {
    ok(t.publish(orders_, record{"out"}));
    ok(t.publish("orders", record{"by name"}));
    ok(t.publish("events", "job.2", record{"another"}));
    ok(t.send_offsets(billing));
    ok(t.ack(worker, first->tag()));
    ok(t.put(accounts_, "ada", "7"));
    return {};
  }));
  ASSERT_EQ(receipt.published.size(), 3U);
  EXPECT_EQ(receipt.published[0].offset, offset{1});
  EXPECT_EQ(receipt.published[1].offset, offset{2});
  EXPECT_EQ(receipt.published[2].topic, "events");
  EXPECT_EQ(receipt.published[2].routed, 1U);
  EXPECT_EQ(ok(billing.committed({"orders", partition_id{0}}))->next, offset{1});
  reopen();
  const auto t = ok(the_bus().table("accounts"));
  EXPECT_THAT(ok(t.get("ada")), Optional(std::string{"7"}));
  EXPECT_THAT(orders(), ElementsAre("in", "out", "by name"));
  auto again = ok(the_bus().consume("work"));
  EXPECT_THAT(receive_all(again), ElementsAre("another"));
  EXPECT_THAT(poll_all(billing = join("billing", {"orders"})), ElementsAre("out", "by name"));
}

TEST_P(BothTransactions, DoNothingWhereTheFunctionFails) {
  ok(the_bus().publish("events", "job.1", record{"message"}));
  ok(accounts_.put("ada", "1"));
  ok(orders_.publish(record{"in"}));
  auto billing = join("billing", {"orders"});
  poll_all(billing);
  auto worker = ok(the_bus().consume("work"));
  const auto first = ok(worker.receive(at_once));
  const auto refused = run([&](transaction& t) -> result<void> {
    ok(t.publish(orders_, record{"out"}));
    ok(t.publish("events", "job.2", record{"another"}));
    ok(t.send_offsets(billing));
    ok(t.ack(worker, first->tag()));
    ok(t.put(accounts_, "ada", "7"));
    ok(t.erase(accounts_, "ada"));
    return error{errc::invalid_argument, "the host says no"};
  });
  ASSERT_THAT(refused, fails_with(errc::invalid_argument));
  EXPECT_EQ(refused.error().message(), "the host says no");
  EXPECT_THAT(orders(), ElementsAre("in"));
  EXPECT_EQ(account("ada"), "1");
  EXPECT_EQ(ok(billing.committed({"orders", partition_id{0}})), std::nullopt);
  EXPECT_EQ(ok(worker.receive(at_once)), std::nullopt) << "the other message was never published";
  ok(worker.ack(first->tag()));  // still unsettled
  EXPECT_THAT(ok(orders_.publish(record{"next"})).offset, offset{1});
  expect_sound();
}

// Positions that the member knew to be committed were left out, although the transaction had set them back.
TEST_P(BothTransactions, CommitPositionsThatWereCommittedBefore) {
  for (const char* value : {"one", "two"}) ok(orders_.publish(record{value}));
  auto billing = join("billing", {"orders"});
  poll_all(billing);
  ok(billing.commit());
  const topic_partition where{"orders", partition_id{0}};
  ok(run([&](transaction& t) -> result<void> {
    ok(t.send_offsets(billing, where, offset{1}));
    return t.send_offsets(billing);
  }));
  EXPECT_EQ(ok(billing.committed(where))->next, offset{2});
}

TEST_P(BothTransactions, LeaveOffsetsAloneThatHaveNotChanged) {
  const topic_partition where{"orders", partition_id{0}};
  const topic_partition other{"others", partition_id{0}};
  ok(the_bus().declare_topic("others"));
  ok(orders_.publish(record{"one"}));
  auto billing = join("billing", {"orders", "others"});
  poll_all(billing);
  ok(billing.commit(where, offset{1}, "up to invoice 17"));
  const auto before = ok(billing.committed(where));
  the_clock().advance(std::chrono::seconds{1});
  ok(the_bus().publish("others", record{"two"}));
  poll_all(billing);
  const auto stored = ok(the_bus().stats()).consumers.offsets_committed;
  ok(run([&](transaction& t) { return t.send_offsets(billing); }));
  EXPECT_EQ(ok(the_bus().stats()).consumers.offsets_committed, stored + 1);
  EXPECT_EQ(ok(billing.committed(other))->next, offset{1});
  const auto after = ok(billing.committed(where));
  EXPECT_EQ(after->next, offset{1});
  EXPECT_EQ(after->metadata, "up to invoice 17");
  EXPECT_EQ(after->time, before->time);
}

TEST_P(BothTransactions, FailWhereTheMemberIsFencedThoughItsOffsetsHaveNotChanged) {
  ok(the_bus().declare_topic("pairs", {.partitions = 2}));
  auto hanging = join("billing", {"pairs"});
  poll_all(hanging);
  ok(hanging.commit());
  auto waiting = join("billing", {"pairs"});
  ok(waiting.poll(at_once));
  the_clock().advance(std::chrono::seconds{60});
  ok(waiting.poll(at_once));
  EXPECT_THAT(run([&](transaction& t) -> result<void> {
                ok(t.publish(orders_, record{"out"}));
                return t.send_offsets(hanging);
              }),
              fails_with(errc::fenced));
  EXPECT_THAT(orders(), IsEmpty());
}

TEST_P(BothTransactions, SeeTheirOwnWrites) {
  for (int n = 0; n < 6; ++n) ok(accounts_.put(n, std::to_string(n)));
  ok(run([&](transaction& t) -> result<void> {
    ok(t.put(accounts_, 2, "two"));
    ok(t.put(accounts_, 9, "nine"));
    EXPECT_TRUE(ok(t.erase(accounts_, 3)));
    EXPECT_FALSE(ok(t.erase(accounts_, 3)));
    EXPECT_FALSE(ok(t.erase(accounts_, 77)));
    ok(t.put(accounts_, "", "text comes first"));
    EXPECT_THAT(ok(t.get(accounts_, 2)), Optional(std::string{"two"}));
    EXPECT_EQ(ok(t.get(accounts_, 3)), std::nullopt);
    EXPECT_THAT(values(ok(t.scan(accounts_, {}))),
                ElementsAre("text comes first", "0", "1", "two", "4", "5", "nine"));
    EXPECT_THAT(values(ok(t.scan(accounts_, key_range::between(1, 5), {.reverse = true}))),
                ElementsAre("4", "two", "1"));
    EXPECT_THAT(values(ok(t.scan(accounts_, key_range{}.from(2), {.entries_max = 2}))),
                ElementsAre("two", "4"));
    if (!GetParam()) {
      EXPECT_EQ(account(2), "2") << "nobody else sees them";
    }
    return {};
  }));
  EXPECT_THAT(values(ok(accounts_.scan({}))),
              ElementsAre("text comes first", "0", "1", "two", "4", "5", "nine"));
}

TEST_P(BothTransactions, RefuseWhatCannotBeAndGoOn) {
  ok(run([&](transaction& t) -> result<void> {
    EXPECT_THAT(t.publish("nowhere", record{"x"}), fails_with(errc::unknown_topic));
    EXPECT_THAT(t.publish("events", record{"x"}), fails_with(errc::unknown_topic));
    EXPECT_THAT(t.publish("orders", "key", record{"x"}), fails_with(errc::unknown_exchange));
    EXPECT_THAT(t.publish(orders_, partition_id{1}, record{"x"}), fails_with(errc::unknown_partition));
    EXPECT_THAT(t.publish("events", std::string(256, 'k'), record{"x"}), fails_with(errc::field_too_long));
    EXPECT_THAT(t.put(accounts_, "k", std::string(table_value_bytes_max + 1, 'v')),
                fails_with(errc::field_too_long));
    EXPECT_THAT(t.scan(accounts_, {}, {.entries_max = 0}), fails_with(errc::invalid_argument));
    ok(t.publish(orders_, record{"good"}));
    return {};
  }));
  EXPECT_THAT(orders(), ElementsAre("good"));
}

TEST_P(BothTransactions, HaveABoundInBytes) {
  const std::string large(std::size_t{15} << 20, 'x');
  const auto refused = run([&](transaction& t) -> result<void> {
    for (int i = 0; i < 4; ++i) ok(t.publish(orders_, record{large}));
    return t.publish(orders_, record{large});
  });
  ASSERT_THAT(refused, fails_with(errc::batch_too_large));
  EXPECT_THAT(refused.error().message(), HasSubstr("the limit is 67108864"));
  EXPECT_THAT(orders(), IsEmpty());
}

TEST_P(BothTransactions, AreOverOnceTheyHaveEnded) {
  std::optional<transaction> kept;
  ok(run([&](transaction& t) -> result<void> {
    ok(t.publish(orders_, record{"x"}));
    if (GetParam()) {
      EXPECT_THAT(t.commit(), fails_with(errc::invalid_argument));
    }
    return {};
  }));
  const auto aborted = run([&](transaction& t) -> result<void> {
    ok(t.publish(orders_, record{"y"}));
    t.abort();
    t.abort();
    EXPECT_THAT(t.publish(orders_, record{"z"}), fails_with(errc::invalid_argument));
    return {};
  });
  EXPECT_FALSE(aborted);
  EXPECT_THAT(orders(), ElementsAre("x"));
}

TEST_P(BothTransactions, EndWithTheBus) {
  ok(the_bus().close());
  EXPECT_THAT(run([](transaction&) -> result<void> { return {}; }), fails_with(errc::closed));
}

// With a function

TEST_F(Transactions, PassTheHostsExceptionOnAndUndoEverything) {
  EXPECT_THROW(static_cast<void>(the_bus().transact([&](transaction& t) -> result<void> {
                 ok(t.publish(orders_, record{"x"}));
                 ok(t.put(accounts_, "ada", "1"));
                 throw std::runtime_error{"oh"};
               })),
               std::runtime_error);
  EXPECT_THAT(orders(), IsEmpty());
  EXPECT_EQ(account("ada"), "none");
  ok(orders_.publish(record{"next"}));
  EXPECT_THAT(orders(), ElementsAre("next"));
}

TEST_F(Transactions, UndoAFunctionThatTakesTooLong) {
  const auto late = the_bus().transact(
      [&](transaction& t) -> result<void> {
        ok(t.put(accounts_, "ada", "1"));
        the_clock().advance(std::chrono::milliseconds{51});
        EXPECT_THAT(t.get(accounts_, "ada"), fails_with(errc::transaction_expired));
        EXPECT_THAT(t.publish(orders_, record{"x"}), fails_with(errc::transaction_expired));
        return {};
      },
      {.time_max = std::chrono::milliseconds{50}});
  EXPECT_THAT(late, fails_with(errc::transaction_expired));
  EXPECT_EQ(account("ada"), "none");
  const auto silent = the_bus().transact([&](transaction& t) -> result<void> {
    ok(t.put(accounts_, "ada", "1"));
    the_clock().advance(std::chrono::seconds{2});
    return {};
  });
  EXPECT_THAT(silent, fails_with(errc::transaction_expired)) << "also where no further call is made";
  EXPECT_EQ(account("ada"), "none");
  EXPECT_THAT(the_bus().transact([](transaction&) -> result<void> { return {}; }, {.time_max = {}}),
              fails_with(errc::invalid_argument));
}

TEST_F(Transactions, LetAFunctionUseNothingButTheTransaction) {
  ok(orders_.publish(record{"in"}));
  auto billing = join("billing", {"orders"});
  ok(the_bus().transact([&](transaction& t) -> result<void> {
    EXPECT_THAT(orders_.publish(record{"x"}), fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().publish("events", "job.1", record{"x"}), fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().declare_topic("new"), fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().topics(), fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().sync(), fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().maintain(), fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().close(), fails_with(errc::would_deadlock));
    EXPECT_THAT(billing.poll(at_once), fails_with(errc::would_deadlock));
    EXPECT_THAT(billing.commit(), fails_with(errc::would_deadlock));
    EXPECT_THAT(accounts_.get("ada"), fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().transact([](transaction&) -> result<void> { return {}; }),
                fails_with(errc::would_deadlock));
    EXPECT_THAT(the_bus().begin(), fails_with(errc::would_deadlock));
    EXPECT_THAT(orders_.async_publish(record{"x"}, use_future).get(), fails_with(errc::would_deadlock));
    return t.publish(orders_, record{"out"});
  }));
  EXPECT_THAT(poll_all(billing), ElementsAre("in", "out"));
  ok(the_bus().close());
}

TEST_F(Transactions, OfSeveralThreadsFollowEachOther) {
  constexpr int threads = 4;
  constexpr int rounds = 50;
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&] {
      for (int n = 0; n < rounds; ++n) {
        ok(the_bus().transact([&](transaction& t) -> result<void> {
          const int sum = std::stoi(ok(t.get(accounts_, "sum")).value_or("0"));
          return t.put(accounts_, "sum", std::to_string(sum + 1));
        }));
        ok(orders_.publish(record{"between"}));
      }
    });
  }
  for (auto& t : all) t.join();
  EXPECT_EQ(account("sum"), std::to_string(threads * rounds));
}

// Collecting

TEST_F(Transactions, ConflictWhereWhatTheyHaveReadHasChanged) {
  ok(accounts_.put("ada", "1"));
  auto t = ok(the_bus().begin());
  EXPECT_THAT(ok(t.get(accounts_, "ada")), Optional(std::string{"1"}));
  ok(t.put(accounts_, "eve", "1"));
  ok(t.publish(orders_, record{"x"}));
  ok(accounts_.put("ada", "2"));
  const auto refused = t.commit();
  ASSERT_THAT(refused, fails_with(errc::conflict));
  EXPECT_THAT(refused.error().message(), HasSubstr("table 'accounts'"));
  EXPECT_EQ(account("eve"), "none");
  EXPECT_THAT(orders(), IsEmpty());
  EXPECT_THAT(t.commit(), fails_with(errc::invalid_argument)) << "it is over";
}

TEST_F(Transactions, CompareValuesAndNotVersions) {
  ok(accounts_.put("ada", "1"));
  auto t = ok(the_bus().begin());
  EXPECT_EQ(ok(t.get(accounts_, "eve")), std::nullopt);
  ok(t.get(accounts_, "ada"));
  ok(t.put(accounts_, "sum", "1"));
  ok(accounts_.put("ada", "2"));
  ok(accounts_.put("ada", "1"));
  ok(accounts_.put("bob", "9"));
  ok(t.commit());
  EXPECT_EQ(account("sum"), "1");
}

TEST_F(Transactions, ConflictWithWhatAppearsInARangeThatTheyHaveScanned) {
  for (int n = 0; n < 5; ++n) ok(accounts_.put(n, "x"));
  const auto scanned = [&](const key_range& range, const scan_options& options) {
    auto t = ok(the_bus().begin());
    ok(t.scan(accounts_, range, options));
    ok(t.publish(orders_, record{"x"}));
    return t;
  };
  auto all = scanned({}, {});
  auto upper = scanned(key_range{}.from(3), {});
  auto first_two = scanned({}, {.entries_max = 2});
  auto last_two = scanned({}, {.entries_max = 2, .reverse = true});
  ok(accounts_.put(table_key{2, "new"}, "y"));
  EXPECT_THAT(all.commit(), fails_with(errc::conflict));
  ok(upper.commit());
  ok(first_two.commit());
  ok(last_two.commit());
  auto reverse = scanned(key_range{}.before(9), {.entries_max = 2, .reverse = true});
  ok(accounts_.erase(4));
  EXPECT_THAT(reverse.commit(), fails_with(errc::conflict));
}

TEST_F(Transactions, NeverSeeTwoMomentsAtOnce) {
  ok(accounts_.put("left", "1"));
  ok(accounts_.put("right", "1"));
  auto t = ok(the_bus().begin());
  EXPECT_THAT(ok(t.get(accounts_, "left")), Optional(std::string{"1"}));
  ok(the_bus().transact([&](transaction& other) -> result<void> {
    ok(other.put(accounts_, "left", "2"));
    return other.put(accounts_, "right", "2");
  }));
  // Told at once, instead of "1" and "2", which never were true together.
  EXPECT_THAT(t.get(accounts_, "right"), fails_with(errc::conflict));
  EXPECT_THAT(t.publish(orders_, record{"x"}), fails_with(errc::conflict));
  EXPECT_THAT(t.commit(), fails_with(errc::conflict));
}

TEST_F(Transactions, CommitWithoutWaiting) {
  ok(orders_.publish(record{"in"}));
  auto billing = join("billing", {"orders"});
  poll_all(billing);
  auto t = ok(the_bus().begin());
  ok(t.send_offsets(billing));
  ok(t.publish(orders_, record{"out"}));
  ok(t.put(accounts_, "ada", "1"));
  const auto receipt = ok(t.async_commit(use_future).get());
  ASSERT_EQ(receipt.published.size(), 1U);
  EXPECT_EQ(receipt.published[0].offset, offset{1});
  EXPECT_EQ(ok(billing.committed({"orders", partition_id{0}}))->next, offset{1});
  EXPECT_THAT(t.publish(orders_, record{"late"}), fails_with(errc::invalid_argument));
  auto other = ok(the_bus().begin());
  ok(other.get(accounts_, "ada"));
  ok(accounts_.put("ada", "2"));
  ok(other.put(accounts_, "eve", "1"));
  EXPECT_THAT(other.async_commit(use_future).get(), fails_with(errc::conflict));
}

TEST_F(Transactions, FailWholeWhereOnePartHasBecomeImpossible) {
  auto t = ok(the_bus().begin());
  ok(the_bus().declare_topic("others"));
  ok(t.publish(orders_, record{"x"}));
  ok(t.publish("others", record{"y"}));
  ok(t.put(accounts_, "ada", "1"));
  ok(the_bus().delete_topic("others"));
  EXPECT_THAT(t.commit(), fails_with(errc::unknown_topic));
  EXPECT_THAT(orders(), IsEmpty());
  EXPECT_EQ(account("ada"), "none");
  auto u = ok(the_bus().begin());
  ok(u.put(accounts_, "ada", "1"));
  ok(the_bus().delete_table("accounts"));
  EXPECT_THAT(u.commit(), fails_with(errc::unknown_table));
  ok(orders_.publish(record{"next"}));
  EXPECT_THAT(orders(), ElementsAre("next"));
}

TEST_F(Transactions, LeaveADeliveryAloneUntilTheyCommit) {
  ok(the_bus().publish("events", "job.1", record{"one"}));
  ok(the_bus().publish("events", "job.2", record{"two"}));
  auto worker = ok(the_bus().consume("work"));
  const auto one = ok(worker.receive(at_once));
  const auto two = ok(worker.receive(at_once));
  auto t = ok(the_bus().begin());
  EXPECT_THAT(t.ack(worker, delivery_tag{99}), fails_with(errc::unknown_delivery));
  ok(t.ack(worker, one->tag()));
  ok(t.reject(worker, two->tag()));
  ok(worker.ack(two->tag()));
  EXPECT_THAT(t.commit(), fails_with(errc::unknown_delivery)) << "settled by another meanwhile";
  ok(worker.ack(one->tag()));
}

TEST_F(Transactions, OfSeveralThreadsThatReadAndWriteTheSameLoseNothing) {
  constexpr int threads = 4;
  constexpr int rounds = 40;
  constexpr int places = 3;
  for (int i = 0; i < places; ++i) ok(accounts_.put(i, "100"));
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&, i] {
      std::mt19937 random{static_cast<unsigned>(i)};
      for (int n = 0; n < rounds;) {
        const int from = static_cast<int>(random() % places);
        const int to = static_cast<int>(random() % places);
        auto t = ok(the_bus().begin());
        const auto moved = [&]() -> result<void> {
          auto a = t.get(accounts_, from);
          if (!a) return a.error();
          if (auto put = t.put(accounts_, from, std::to_string(std::stoi(**a) - 1)); !put) return put;
          auto b = t.get(accounts_, to);
          if (!b) return b.error();
          return t.put(accounts_, to, std::to_string(std::stoi(**b) + 1));
        }();
        const auto done = moved ? t.commit() : result<transaction_receipt>{moved.error()};
        if (done) {
          ++n;
        } else {
          ASSERT_THAT(done, fails_with(errc::conflict));
        }
      }
    });
  }
  for (auto& t : all) t.join();
  int sum = 0;
  for (const auto& value : values(ok(accounts_.scan({})))) sum += std::stoi(value);
  EXPECT_EQ(sum, 100 * places);
}

}  // namespace
}  // namespace levada::test
