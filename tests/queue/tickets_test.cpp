#include "queue/tickets.hpp"

#include "queue_fixture.hpp"

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "queue/schedule.hpp"

namespace levada::queue {

// Found by argument-dependent lookup in expectations.
inline void PrintTo(const message_place& p, std::ostream* out) {
  *out << "log " << p.log << " partition " << p.partition << " offset " << p.offset;
}

}  // namespace levada::queue

namespace levada::queue::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

constexpr std::size_t all_of_them = std::numeric_limits<std::size_t>::max();

class StoredTickets : public queue_fixture {
 protected:
  static ticket_row open_row(const message_place& where, std::uint32_t queues) {
    ticket_row row;
    row.where = where;
    row.published = 1;
    row.routed = queues;
    row.unsettled = queues;
    return row;
  }
  static ticket_row settled_row(std::int64_t when) {
    ticket_row row;
    row.settled = when;
    return row;
  }
  void put_row(const std::string& message_id, const ticket_row& row) {
    write([&](auto& txn) { ok(put_ticket(txn, tables(), message_id, row)); });
  }
  void put_open_in(std::uint32_t queue, const message_place& where, const std::string& message_id) {
    write([&](auto& txn) { ok(put_open(txn, tables(), queue, where, message_id)); });
  }
  std::optional<std::string> take(std::uint32_t queue, const message_place& where) {
    std::optional<std::string> found;
    write([&](auto& txn) { found = ok(take_open(txn, tables(), queue, where)); });
    return found;
  }
  std::optional<ticket_row> row(const std::string& message_id) {
    return ok(read_ticket(read(), tables(), message_id));
  }
  std::size_t forget(std::int64_t before, std::size_t most = all_of_them) {
    std::size_t gone = 0;
    write([&](auto& txn) { gone = ok(forget_settled(txn, tables(), before, most)); });
    return gone;
  }
  std::uint64_t rows_in(MDB_dbi table) { return ok(read().count(table)); }
  damaged_tickets examine() {
    return ok(examine_tickets(
        read(), tables(), [this](std::uint32_t queue) { return queues_.contains(queue); }, 99));
  }
  /// Repairs what is found, and expects nothing to be found any more.
  void repair() {
    const auto found = examine();
    write([&](auto& txn) { ok(repair_tickets(txn, tables(), found)); });
    EXPECT_EQ(examine().size(), 0U);
  }
  /// Changes a byte of the one value of a table.
  void damage(MDB_dbi table) {
    std::string key;
    std::string value;
    {
      const auto txn = read();
      auto c = ok(storage::cursor::open(txn, table));
      const auto first = ok(c.move(MDB_FIRST));
      key.assign(reinterpret_cast<const char*>(first->key.data()), first->key.size());
      value.assign(reinterpret_cast<const char*>(first->value.data()), first->value.size());
    }
    value.back() = static_cast<char>(value.back() ^ 1);
    write([&](auto& txn) {
      ok(txn.put(table, std::as_bytes(std::span{key}), std::as_bytes(std::span{value})));
    });
  }

  const message_place here{3, 1, 1'000};
  const message_place there{3, 1, 1'001};
  std::set<std::uint32_t> queues_{id};
};

TEST_F(StoredTickets, AreFoundByTheIdsOfTheirMessages) {
  ticket_row stored = open_row(here, 5);
  stored.acknowledged = 7;
  stored.due = -8;
  put_row("m", stored);
  put_row("", open_row(there, 1));
  EXPECT_THAT(row("m"), Optional(stored));
  EXPECT_THAT(row(""), Optional(open_row(there, 1)));
  EXPECT_EQ(row("n"), std::nullopt);
  const std::string longest(255, 'x');
  put_row(longest, stored);
  EXPECT_THAT(row(longest), Optional(stored));
}

TEST_F(StoredTickets, AreErasedWithAllThatIsKnownOfThem) {
  put_row("m", settled_row(5));
  write([&](auto& txn) {
    EXPECT_TRUE(ok(erase_ticket(txn, tables(), "m")));
    EXPECT_FALSE(ok(erase_ticket(txn, tables(), "m")));
  });
  EXPECT_EQ(rows_in(tables().tickets), 0U);
}

TEST_F(StoredTickets, AreForgottenInTheOrderInWhichTheyWereSettled) {
  put_row("b", settled_row(10));
  put_row("a", settled_row(20));
  put_row("c", settled_row(256));
  put_row("open", open_row(here, 1));
  EXPECT_EQ(ok(first_settled(read(), tables())), 10);
  EXPECT_EQ(forget(10), 0U) << "not before that time";
  EXPECT_EQ(forget(300, 1), 1U);
  EXPECT_EQ(row("b"), std::nullopt);
  EXPECT_EQ(forget(256), 1U);
  EXPECT_EQ(row("a"), std::nullopt);
  EXPECT_TRUE(row("c"));
  EXPECT_EQ(forget(257), 1U);
  EXPECT_EQ(ok(first_settled(read(), tables())), std::nullopt);
  EXPECT_TRUE(row("open"));
}

TEST_F(StoredTickets, KnowWhichQueuesHaveAMessage) {
  put_open_in(id, here, "m");
  put_open_in(id + 1, here, "m");
  put_open_in(id, there, "n");
  put_open_in(not_routed_yet, there, "late");
  EXPECT_TRUE(ok(is_open(read(), tables(), id, here)));
  EXPECT_FALSE(ok(is_open(read(), tables(), id + 2, here)));
  EXPECT_THAT(ok(read_open(read(), tables(), id, all_of_them)), ElementsAre(here, there));
  EXPECT_THAT(ok(read_open(read(), tables(), id, 1)), ElementsAre(here));
  EXPECT_THAT(ok(queues_with_open(read(), tables())), ElementsAre(not_routed_yet, id, id + 1));
  EXPECT_THAT(take(id, here), Optional(std::string{"m"}));
  EXPECT_EQ(take(id, here), std::nullopt);
  EXPECT_THAT(ok(read_open(read(), tables(), id, all_of_them)), ElementsAre(there));
}

TEST_F(StoredTickets, AreDamagedByAnyChange) {
  put_row("m", open_row(here, 1));
  damage(tables().tickets);
  EXPECT_THAT(read_ticket(read(), tables(), "m"), fails_with(errc::damaged));
  put_open_in(id, here, "m");
  damage(tables().unsettled);
  EXPECT_EQ(take(id, here), std::nullopt) << "cannot be believed";
  EXPECT_EQ(rows_in(tables().unsettled), 0U) << "and is gone all the same";
}

TEST_F(StoredTickets, AreSoundWhereTheyTellWhatQueuesHave) {
  append_these({nth(0)});
  const message_place where{nth(0).log, nth(0).partition, nth(0).offset};
  put_row("m", open_row(where, 1));
  put_open_in(id, where, "m");
  put_row("done", settled_row(4));
  ticket_row waits = open_row(there, 1);
  waits.due = 50;
  put_row("late", waits);
  put_open_in(not_routed_yet, there, "late");
  write([&](auto& txn) { ok(put(txn, tables(), {50, there.log, there.partition, there.offset})); });
  EXPECT_EQ(examine().size(), 0U);
}

TEST_F(StoredTickets, ArePutRightWhereAQueueHasLostTheMessage) {
  append_these({nth(0)});
  const message_place where{nth(0).log, nth(0).partition, nth(0).offset};
  put_row("m", open_row(where, 2));
  put_open_in(id, where, "m");
  put_open_in(id + 1, where, "m");
  queues_.insert(id + 1);
  EXPECT_EQ(examine().size(), 2U) << "what is open, and the ticket";
  repair();
  EXPECT_EQ(row("m")->unsettled, 1U);
  EXPECT_EQ(row("m")->discarded, 1U);
  settle_all({0});
  repair();
  EXPECT_EQ(row("m")->unsettled, 0U);
  EXPECT_EQ(row("m")->discarded, 2U);
  EXPECT_EQ(row("m")->settled, 99);
}

TEST_F(StoredTickets, AreLeftAloneWhereTheQueueIsGone) {
  put_row("m", open_row(here, 1));
  put_open_in(id + 1, here, "m");
  EXPECT_EQ(examine().size(), 0U) << "the next opening settles it";
}

TEST_F(StoredTickets, ArePutRightWhereTheScheduleHasLostTheMessage) {
  ticket_row waits = open_row(here, 0);
  waits.unsettled = 1;
  waits.due = 50;
  put_row("late", waits);
  put_open_in(not_routed_yet, here, "late");
  repair();
  EXPECT_EQ(row("late")->settled, 99);
  EXPECT_EQ(row("late")->due, 0);
}

TEST_F(StoredTickets, DropWhatBelongsToNone) {
  put_open_in(id, here, "unknown");
  write([&](auto& txn) {
    const std::string stray = "sxxxxxxxxunknown";
    ok(txn.put(tables().tickets, std::as_bytes(std::span{stray}), {}));
  });
  put_row("m", settled_row(5));
  EXPECT_EQ(examine().size(), 2U);
  repair();
  EXPECT_THAT(row("m"), Optional(settled_row(5)));
  EXPECT_EQ(rows_in(tables().unsettled), 0U);
  EXPECT_EQ(rows_in(tables().tickets), 2U);
}

TEST_F(StoredTickets, GiveUpADamagedOneAndWhatQueuesHaveOfIt) {
  append_these({nth(0)});
  const message_place where{nth(0).log, nth(0).partition, nth(0).offset};
  put_row("m", open_row(where, 1));
  put_open_in(id, where, "m");
  damage(tables().tickets);
  repair();
  EXPECT_EQ(rows_in(tables().tickets), 0U);
  EXPECT_EQ(rows_in(tables().unsettled), 0U);
}

TEST_F(StoredTickets, OpenAgainWhatIsNotSettled) {
  append_these({nth(0)});
  const message_place where{nth(0).log, nth(0).partition, nth(0).offset};
  ticket_row wrong = open_row(where, 1);
  wrong.unsettled = 0;
  wrong.settled = 5;
  put_row("m", wrong);
  put_open_in(id, where, "m");
  repair();
  EXPECT_EQ(row("m")->unsettled, 1U);
  EXPECT_EQ(row("m")->settled, 0);
}

}  // namespace
}  // namespace levada::queue::test
