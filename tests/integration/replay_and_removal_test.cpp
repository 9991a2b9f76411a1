#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Topics and records that come and go around a replay.
class ReplayAndRemoval : public bus_fixture {
 protected:
  ReplayAndRemoval() : bus_fixture{seals_everything} {}

  /// Publishes "0", "1" and so on, each in a commit of its own.
  static void publish(const topic& t, int count) {
    for (int i = 0; i < count; ++i) ok(t.publish(record{std::to_string(i)}));
  }
  static void publish_as_one(const topic& t, int count) {
    auto batch = t.make_batch();
    for (int i = 0; i < count; ++i) ok(batch.add(std::to_string(i)));
    ok(t.publish(batch));
  }
};

TEST_F(ReplayAndRemoval, OpeningFindsWhatIsLeftOfTheJournal) {
  publish(ok(the_bus().declare_topic("rows")), 4);
  publish_as_one(ok(the_bus().declare_topic("row")), 4);
  for (const char* const name : {"rows", "row"})
    ok(the_bus().delete_records({name, partition_id{0}}, offset{2}));
  reopen();
  EXPECT_THAT(read_all(ok(the_bus().replay("rows"))), ElementsAre("2", "3"));
  EXPECT_THAT(read_all(ok(the_bus().replay("row"))), ElementsAre("2", "3"));
  ok(the_bus().maintain());
  publish(ok(the_bus().topic("rows")), 3);
  ok(the_bus().delete_records({"rows", partition_id{0}}, offset{6}));
  ok(the_bus().delete_records({"row", partition_id{0}}, offset{4}));
  reopen();
  EXPECT_THAT(read_all(ok(the_bus().replay("rows"))), ElementsAre("2"));
  EXPECT_THAT(read_all(ok(the_bus().replay("row"))), IsEmpty());
  EXPECT_EQ(ok(ok(the_bus().topic("row")).publish(record{"next"})).offset, offset{4});
  close();
  EXPECT_THAT(ok(check_store(store())).problems, ::testing::SizeIs(0));
}

TEST_F(ReplayAndRemoval, AttachingFindsWhatIsLeftOfTheJournal) {
  publish(ok(the_bus().declare_topic("orders")), 4);
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{2}));
  close();
  auto look = ok(attachment::open(store()));
  EXPECT_THAT(read_all(ok(look.replay("orders"))), ElementsAre("2", "3"));
}

TEST_F(ReplayAndRemoval, OfAllTopicsReadsSegmentsThatAreOlderThanATopic) {
  publish(ok(the_bus().declare_topic("orders")), 3);
  ok(the_bus().maintain());
  auto later = ok(the_bus().declare_topic("later"));
  ok(later.publish(record{"later"}));
  EXPECT_THAT(read_all(ok(the_bus().replay_all())), ElementsAre("0", "1", "2", "later"));
}

TEST_F(ReplayAndRemoval, FailsOnceTheTopicIsDeletedThoughNothingIsNew) {
  publish(ok(the_bus().declare_topic("orders", {.partitions = 2})), 3);
  auto all = ok(the_bus().replay("orders"));
  auto one = ok(the_bus().replay("orders", {.partition = partition_id{1}}));
  EXPECT_EQ(ok(all.next()).size(), 3U);
  EXPECT_EQ(ok(one.next()).size(), 1U);
  ok(the_bus().delete_topic("orders"));
  EXPECT_THAT(all.next(), fails_with(errc::unknown_topic));
  EXPECT_THAT(one.next(), fails_with(errc::unknown_topic));
}

TEST_F(ReplayAndRemoval, FindsTimesAmongWhatIsLeft) {
  topic_options o;
  o.timestamps = timestamp_type::create_time;
  const auto at = [](int second) { return timestamp{seconds{1'000 + second}}; };
  auto rows = ok(the_bus().declare_topic("rows", o));
  auto row = ok(the_bus().declare_topic("row", o));
  auto batch = row.make_batch();
  for (const int second : {30, 10, 40}) {
    ok(rows.publish(record{std::to_string(second)}.time(at(second))));
    ok(batch.add(record{std::to_string(second)}.time(at(second))));
  }
  ok(row.publish(batch));
  for (const char* const name : {"rows", "row"}) {
    ok(the_bus().delete_records({name, partition_id{0}}, offset{1}));
    EXPECT_THAT(read_all(ok(the_bus().replay(name, {.from = at(20)}))), ElementsAre("40")) << name;
    EXPECT_THAT(read_all(ok(the_bus().replay(name, {.until = at(20)}))), ElementsAre("10")) << name;
    EXPECT_THAT(read_all(ok(the_bus().replay(name, {.from = at(41)}))), IsEmpty()) << name;
  }
}

TEST_F(ReplayAndRemoval, NamesOnlyWhatItWasToRead) {
  publish(ok(the_bus().declare_topic("orders")), 10);
  auto first = ok(the_bus().replay("orders", {.until = offset{3}}));
  ok(the_bus().delete_records({"orders", partition_id{0}}, offset{8}));
  const auto told = first.next();
  ASSERT_THAT(told, fails_with(errc::overtaken));
  EXPECT_THAT(told.error().message(), HasSubstr("offsets 0 to 2 "));
  EXPECT_TRUE(first.ended());
}

TEST_F(ReplayAndRemoval, DeletedTopicsWithCreateTimesDoNotMoveTheTimeOfTheBus) {
  topic_options o;
  o.timestamps = timestamp_type::create_time;
  auto ahead = ok(the_bus().declare_topic("ahead", o));
  ok(ahead.publish(record{"x"}.time(the_clock().wall() + hours{1000})));
  ok(the_bus().delete_topic("ahead"));
  reopen();
  EXPECT_EQ(ok(ok(the_bus().declare_topic("orders")).publish(record{"now"})).time, the_clock().wall());
}

}  // namespace
}  // namespace levada::test
