#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

/// Everything that can be listed, in a store that this process owns while the command looks in.
class Listing : public command_fixture {
 protected:
  Listing() {
    bus_.emplace(ok(bus::open(store())));
    const auto orders = ok(bus_->declare_topic("orders", {.partitions = 2}));
    for (int i = 0; i < 10; ++i) ok(orders.publish(partition_id{0}, record{"v"}));
    ok(orders.publish(partition_id{1}, record{"v"}));
    consumer_options options;
    options.reset = offset_reset::earliest;
    options.member_id = "worker";
    worker_.emplace(ok(bus_->join("billing", {"orders"}, options)));
    ok(worker_->poll(std::chrono::milliseconds{0}));
    ok(worker_->commit({"orders", partition_id{0}}, offset{4}));
    ok(bus_->declare_exchange("events", {.type = exchange_type::topic, .partitions = 1}));
    ok(bus_->declare_exchange("news", {.type = exchange_type::fanout, .partitions = 1}));
    ok(bus_->declare_queue("desk"));
    ok(bus_->declare_queue("idle"));
    ok(bus_->set_policy(
        "short", {.pattern = "^desk",
                  .apply_to = policy_target::queues,
                  .priority = -2,
                  .definition = {.max_length = 100,
                                 .overflow = overflow::reject_publish,
                                 .dead_letter_exchange = "events",
                                 .redelivery_delay = redelivery_delay{std::chrono::milliseconds{5}, 2,
                                                                      std::chrono::milliseconds{80}}}}));
    ok(bus_->set_operator_policy("limits", {.pattern = "^i", .limits = {.max_length_bytes = 9}}));
    ok(bus_->bind("events", "desk", "a.#"));
    ok(bus_->bind("events", "desk", "b"));
    ok(bus_->bind("news", "desk", ""));
    for (int i = 0; i < 3; ++i) ok(bus_->publish("events", "a.b", record{"m"}));
  }

  /// The settings of a topic, at the end of its line of JSON, that was declared without any.
  static std::string defaults() {
    return R"("timestamps":"append_time","retention_ms":null,"retention_bytes":null,"retention_records":null,)"
           R"("retention_force":false,"retention_waits":false,"compacted":false,"tombstone_age_ms":null,)"
           R"("dirty_ratio":null,)"
           R"("compression":"none"})"
           "\n";
  }
  void give_up_the_store() {
    worker_.reset();
    bus_.reset();
  }

 private:
  std::optional<bus> bus_;
  std::optional<consumer> worker_;
};

TEST_F(Listing, ShowsTopicsByPartition) {
  EXPECT_EQ(print({"topics"}),
            "TOPIC   KIND      PARTITION  BEGIN  END  RECORDS  KEEPS\n"
            "events  exchange          0      0    3        3  1d, 1GiB\n"
            "news    exchange          0      0    0        0  1d, 1GiB\n"
            "orders  topic             0      0   10       10  all\n"
            "orders  topic             1      0    1        1  all\n");
  EXPECT_EQ(print({"topics", "news"}),
            "TOPIC  KIND      PARTITION  BEGIN  END  RECORDS  KEEPS\n"
            "news   exchange          0      0    0        0  1d, 1GiB\n");
}

TEST_F(Listing, ShowsMembersCommittedOffsetsEndsAndLagOfGroups) {
  EXPECT_EQ(print({"groups"}),
            "GROUP    GENERATION  TOPIC   PARTITION  COMMITTED  END  LAG  MEMBER  IN FLIGHT\n"
            "billing           1  orders          0          4   10    6  worker  -\n"
            "billing           1  orders          1          -    1    1  worker  -\n");
}

TEST_F(Listing, ShowsNoMembersWhereNobodyOwnsTheStore) {
  give_up_the_store();
  EXPECT_EQ(
      print({"groups", "billing", "--json"}),
      R"({"group":"billing","generation":2,"topic":"orders","partition":0,"committed":4,"end":10,"lag":6,)"
      R"("member":null,"in_flight":null})"
      "\n");
}

TEST_F(Listing, ShowsQueues) {
  EXPECT_EQ(print({"queues"}),
            "QUEUE  EXCLUSIVE  MESSAGES  BACKFILL  POLICY  OPERATOR POLICY\n"
            "desk   no                3         0  short   -\n"
            "idle   no                0         0  -       limits\n");
  EXPECT_EQ(print({"queues", "desk", "--json"}),
            R"({"queue":"desk","exclusive":false,"messages":3,"backfill":0,"policy":"short",)"
            R"("operator_policy":null})"
            "\n");
}

TEST_F(Listing, ShowsExchanges) {
  EXPECT_EQ(print({"exchanges"}),
            "EXCHANGE  TYPE    PARTITIONS  BINDINGS  DURABLE  AUTO DELETE  INTERNAL  ALTERNATE\n"
            "\"\"        direct           1         0  yes      no           no        -\n"
            "events    topic            1         2  yes      no           no        -\n"
            "news      fanout           1         1  yes      no           no        -\n");
}

TEST_F(Listing, ShowsBindingsOfAllExchangesOrOfOne) {
  EXPECT_EQ(print({"bindings"}),
            "EXCHANGE  DESTINATION  KIND   KEY  ARGUMENTS\n"
            "events    desk         queue  a.#  -\n"
            "events    desk         queue  b    -\n"
            "news      desk         queue  \"\"   -\n");
  EXPECT_EQ(print({"bindings", "news", "--json"}),
            R"({"exchange":"news","destination":"desk","kind":"queue","key":"","arguments":null})"
            "\n");
}

TEST_F(Listing, ShowsPoliciesOfBothKinds) {
  EXPECT_EQ(print({"policies"}),
            "POLICY  OPERATOR  PATTERN  APPLIES TO  PRIORITY  SETS\n"
            "short   no        ^desk    queues            -2  max_length=100 overflow=reject_publish "
            "dead_letter_exchange='events' redelivery_delay=5ms*2..80ms\n"
            "limits  yes       ^i       queues             0  max_length_bytes=9\n");
  EXPECT_EQ(print({"policies", "limits", "--json"}),
            R"({"policy":"limits","operator":true,"pattern":"^i","applies_to":"queues","priority":0,)"
            R"("sets":"max_length_bytes=9"})"
            "\n");
}

TEST_F(Listing, PrintsOneObjectARowAsJson) {
  EXPECT_EQ(
      print({"topics", "orders", "--json"}),
      R"({"topic":"orders","kind":"topic","partition":0,"begin":0,"end":10,"records":10,)" + defaults() +
          R"({"topic":"orders","kind":"topic","partition":1,"begin":0,"end":1,"records":1,)" + defaults());
}

TEST_F(Listing, RefusesNamesThatNothingHas) {
  EXPECT_THAT(levada({"topics", "none"}), fails_saying(1, "topic 'none'"));
  EXPECT_THAT(levada({"groups", "none"}), fails_saying(1, "group 'none'"));
  EXPECT_THAT(levada({"queues", "none"}), fails_saying(1, "queue 'none'"));
  EXPECT_THAT(levada({"exchanges", "orders"}), fails_saying(1, "exchange 'orders'"));
  EXPECT_THAT(levada({"bindings", "none"}), fails_saying(1, "exchange 'none'"));
  EXPECT_THAT(levada({"policies", "none"}), fails_saying(1, "policy 'none'"));
}

TEST_F(Listing, LooksTheSameWithoutAnOwner) {
  const auto topics = print({"topics"});
  const auto queues = print({"queues"});
  give_up_the_store();
  EXPECT_EQ(print({"topics"}), topics);
  EXPECT_EQ(print({"queues"}), queues);
}

class SmallListing : public command_fixture {};

TEST_F(SmallListing, ShowsHeadingsOfAnEmptyStore) {
  ok(ok(bus::open(store())).close());
  EXPECT_EQ(print({"topics"}), "TOPIC  KIND  PARTITION  BEGIN  END  RECORDS  KEEPS\n");
  EXPECT_EQ(print({"groups"}),
            "GROUP  GENERATION  TOPIC  PARTITION  COMMITTED  END  LAG  MEMBER  IN FLIGHT\n");
  EXPECT_EQ(print({"groups", "--json"}), "");
}

TEST_F(SmallListing, ShowsWhatTopicsKeep) {
  {
    auto owner = ok(bus::open(store()));
    topic_options o;
    o.timestamps = timestamp_type::create_time;
    o.retention = {.age = std::chrono::minutes{90},
                   .bytes = 5000,
                   .records = 7,
                   .force = true,
                   .wait_for_readers = true};
    o.compaction = compaction_policy{.tombstone_age = std::chrono::milliseconds{2500}, .dirty_ratio = 0.25};
    o.compression = compression::zstd;
    ok(owner.declare_topic("a", o));
    ok(owner.declare_topic("b", {.compression = compression::lz4}));
  }
  EXPECT_EQ(print({"topics"}),
            "TOPIC  KIND   PARTITION  BEGIN  END  RECORDS  KEEPS\n"
            "a      topic          0      0    0        0  90m, 5000B, 7 records, forced, waits for "
            "readers, compacted, create time, zstd\n"
            "b      topic          0      0    0        0  all, lz4\n");
  EXPECT_EQ(
      print({"topics", "a", "--json"}),
      R"({"topic":"a","kind":"topic","partition":0,"begin":0,"end":0,"records":0,"timestamps":"create_time",)"
      R"("retention_ms":5400000,"retention_bytes":5000,"retention_records":7,"retention_force":true,)"
      R"("retention_waits":true,"compacted":true,"tombstone_age_ms":2500,"dirty_ratio":2.5E-1,"compression":"zstd"})"
      "\n");
}

TEST_F(SmallListing, ShowsWhatAShareGroupHasInFlight) {
  auto owner = ok(bus::open(store()));
  ok(owner.declare_topic("jobs"));
  for (const char* const value : {"a", "b", "c"}) ok(owner.publish("jobs", record{value}));
  share_consumer_options options;
  options.reset = offset_reset::earliest;
  options.poll_records_max = 2;
  auto worker = ok(owner.share_consume("workers", {"jobs"}, options));
  ok(worker.poll(std::chrono::milliseconds{0}));
  EXPECT_EQ(print({"groups"}),
            "GROUP    GENERATION  TOPIC  PARTITION  COMMITTED  END  LAG  MEMBER  IN FLIGHT\n"
            "workers           0  jobs           0          2    3    1  -               2\n");
  EXPECT_EQ(print({"queues"}), "QUEUE  EXCLUSIVE  MESSAGES  BACKFILL  POLICY  OPERATOR POLICY\n");
}

TEST_F(SmallListing, ShowsMembersThatOwnNothing) {
  auto owner = ok(bus::open(store()));
  ok(owner.declare_topic("orders"));
  consumer_options options;
  options.reset = offset_reset::earliest;
  options.member_id = "b";
  options.assignor = range_assignor();
  auto first = ok(owner.join("g", {"orders"}, options));
  ok(first.poll(std::chrono::milliseconds{0}));
  // Comes before the other by its name, so the only partition goes to it.
  options.member_id = "a";
  auto second = ok(owner.join("g", {"orders"}, options));
  ok(first.poll(std::chrono::milliseconds{0}));
  ok(second.poll(std::chrono::milliseconds{0}));
  EXPECT_EQ(print({"groups"}),
            "GROUP  GENERATION  TOPIC   PARTITION  COMMITTED  END  LAG  MEMBER  IN FLIGHT\n"
            "g               2  orders          0  -            0    0  a       -\n"
            "g               2  -               -  -            -    -  b       -\n");
}

TEST_F(SmallListing, CountsCharactersAndNotBytesForItsColumns) {
  auto owner = ok(bus::open(store()));
  ok(owner.declare_queue("\xc3\xb6\xc3\xb6"));
  ok(owner.declare_queue("abc"));
  EXPECT_EQ(print({"queues"}),
            "QUEUE  EXCLUSIVE  MESSAGES  BACKFILL  POLICY  OPERATOR POLICY\n"
            "abc    no                0         0  -       -\n"
            "\xc3\xb6\xc3\xb6     no                0         0  -       -\n");
}

TEST_F(SmallListing, ShowsControlCharactersOfKeysHarmless) {
  auto owner = ok(bus::open(store()));
  ok(owner.declare_exchange("e"));
  ok(owner.declare_queue("q"));
  ok(owner.bind("e", "q", "a\x1b[2Jb"));
  EXPECT_EQ(print({"bindings"}),
            "EXCHANGE  DESTINATION  KIND   KEY        ARGUMENTS\n"
            "e         q            queue  a\\x1b[2Jb  -\n");
  EXPECT_EQ(print({"bindings", "--json"}),
            "{\"exchange\":\"e\",\"destination\":\"q\",\"kind\":\"queue\",\"key\":\"a\\u001b[2Jb\","
            "\"arguments\":null}\n");
}

TEST_F(SmallListing, ShowsAnonymousQueuesAsExclusive) {
  auto owner = ok(bus::open(store()));
  const auto queue = ok(owner.declare_anonymous_queue());
  EXPECT_THAT(print({"queues"}), ::testing::HasSubstr(queue.name() + "  yes"));
}

}  // namespace
}  // namespace levada::test
