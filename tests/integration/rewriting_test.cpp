#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

/// A bus that seals everything, and does all that follows from it, whenever it is told to maintain.
class Rewriting : public bus_fixture {
 protected:
  static void has_small_segments(bus_options& o) {
    seals_everything(o);
    o.segment_bytes_min = 64 << 10;
  }
  Rewriting() : bus_fixture{has_small_segments} {}

  [[nodiscard]] std::size_t segments() const { return segment_files().size(); }
  [[nodiscard]] std::uintmax_t segment_bytes() const {
    std::uintmax_t bytes = 0;
    for (const auto& file : segment_files()) bytes += fs::file_size(file);
    return bytes;
  }
  struct seen {
    std::uint32_t partition;
    std::uint64_t offset;
    std::string key;
    std::string value;
    friend bool operator==(const seen&, const seen&) = default;
  };
  static std::vector<seen> read(replay r) {
    std::vector<seen> all;
    for (auto batch = ok(r.next()); !batch.empty(); batch = ok(r.next())) {
      for (const auto& record : batch) {
        all.push_back({record.partition().value(), record.offset().value(), std::string{record.key()},
                       record.is_tombstone() ? "-" : std::string{record.value()}});
      }
    }
    return all;
  }
  [[nodiscard]] std::vector<seen> read(const std::string& topic) { return read(ok(the_bus().replay(topic))); }
  void publish(const std::string& topic, const std::string& key, const std::string& value) {
    ok(the_bus().publish(topic, record{key, value}));
  }
};

class Merging : public Rewriting {};

TEST_F(Merging, PutsSmallTopicsTogetherAndChangesNothingForReaders) {
  constexpr unsigned topics = 20;
  for (unsigned t = 0; t < topics; ++t) {
    ok(the_bus().declare_topic(fmt::format("t{:02}", t), {.partitions = 1 + t % 2}));
  }
  std::map<std::string, std::vector<seen>> sent;
  auto following = ok(the_bus().replay_all());
  std::vector<std::string> order;
  for (unsigned round = 0; round < 70; ++round) {
    for (unsigned t = 0; t < topics; ++t) {
      if ((round + t) % 3 == 0) continue;
      const auto name = fmt::format("t{:02}", t);
      const auto key = fmt::format("k{}", round % 5);
      const auto value = fmt::format("{} {}{}", round, t, std::string(std::size_t{20} * t, 'v'));
      const auto receipt = ok(the_bus().publish(name, record{key, value}));
      sent[name].push_back({receipt.partition.value(), receipt.offset.value(), key, value});
      order.push_back(value);
    }
    maintain();
    ASSERT_LE(segments(), 30U) << "after " << round;
  }
  for (const auto& [name, records] : sent) EXPECT_EQ(read(name), records) << name;
  EXPECT_EQ(read_all(ok(the_bus().replay_all())), order);
  EXPECT_EQ(read_all(std::move(following)), order) << "also one that has begun before";
  reopen();
  EXPECT_EQ(read_all(ok(the_bus().replay_all())), order);
  expect_sound();
  EXPECT_EQ(read_all(ok(the_bus().replay_all())), order);
}

TEST_F(Merging, GivesATopicItsOwnSegmentOnceItHasEnough) {
  ok(the_bus().declare_topic("much"));
  ok(the_bus().declare_topic("little"));
  for (int round = 0; round < 8; ++round) {
    publish("much", "k", std::string(20'000, 'm'));
    publish("little", "k", "l");
    maintain();
  }
  EXPECT_EQ(segments(), 2U);
  ok(the_bus().delete_topic("much"));
  maintain();
  EXPECT_EQ(segments(), 1U);
  EXPECT_EQ(read("little").size(), 8U);
}

TEST_F(Merging, LeavesBatchesReadableThatSomebodyHolds) {
  ok(the_bus().declare_topic("orders"));
  auto reading = ok(the_bus().replay("orders"));
  std::vector<record_batch> held;
  for (int round = 0; round < 20; ++round) {
    publish("orders", "k", fmt::format("{}", round));
    maintain();
    held.push_back(ok(reading.next()));
  }
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(held[static_cast<std::size_t>(round)].begin()->value(), fmt::format("{}", round));
  }
}

TEST_F(Merging, HappensInMemoryToo) {
  close();
  auto memory = ok(bus::open_in_memory(options()));
  auto orders = ok(memory.declare_topic("orders"));
  std::vector<std::string> sent;
  for (int round = 0; round < 30; ++round) {
    sent.push_back(fmt::format("{}", round));
    ok(orders.publish(record{sent.back()}));
    ok(memory.maintain());
  }
  EXPECT_EQ(read_all(ok(memory.replay("orders"))), sent);
  EXPECT_THAT(memory.close(), succeeds());
  open();
}

TEST_F(Merging, GivesBackTheSpaceOfADeletedTopicAmongOthers) {
  auto deleted = ok(the_bus().declare_topic("deleted"));
  ok(the_bus().declare_topic("kept"));
  close();
  auto shared = options();
  shared.segment_bytes_min = 8 << 20;
  open(shared);
  deleted = ok(the_bus().topic("deleted"));
  for (int i = 0; i < 300; ++i) ok(deleted.publish(record{std::string(10'000, 'd')}));
  publish("kept", "k", "v");
  maintain();
  ASSERT_GT(segment_bytes(), 3'000'000U);
  ok(the_bus().delete_topic("deleted"));
  maintain();
  EXPECT_LT(segment_bytes(), 100'000U);
  EXPECT_EQ(read("kept").size(), 1U);
  expect_sound();
}

class Compaction : public Rewriting {
 protected:
  void declare(compaction_policy policy = {.dirty_ratio = 0}, std::uint32_t partitions = 1) {
    ok(the_bus().declare_topic("state", {.partitions = partitions, .compaction = policy}));
  }
  void tombstone(const std::string& key) { ok(the_bus().publish("state", record::tombstone(key))); }
};

TEST_F(Compaction, KeepsTheLatestOfEachKeyWithItsOffset) {
  declare();
  for (int i = 0; i < 10; ++i) publish("state", fmt::format("k{}", i % 3), fmt::format("v{}", i));
  ok(the_bus().publish("state", record{"no key"}));
  ok(the_bus().publish("state", record{"no key either"}));
  maintain();
  const std::vector<seen> latest{{0, 7, "k1", "v7"},
                                 {0, 8, "k2", "v8"},
                                 {0, 9, "k0", "v9"},
                                 {0, 10, "", "no key"},
                                 {0, 11, "", "no key either"}};
  EXPECT_EQ(read("state"), latest);
  reopen();
  EXPECT_EQ(read("state"), latest);
  EXPECT_EQ(read(ok(the_bus().replay("state", {.from = offset{3}}))), latest) << "from within the gap";
  EXPECT_EQ(read(ok(the_bus().replay("state", {.from = offset{8}}))).front(), latest[1]);
  auto member = join("group", {"state"});
  EXPECT_THAT(poll_all(member), ElementsAre("v7", "v8", "v9", "no key", "no key either"));
  publish("state", "k1", "new");
  EXPECT_EQ(read("state").back(), (seen{0, 12, "k1", "new"}));
  maintain();
  EXPECT_EQ(read("state").front(), latest[1]) << "the older one is gone";
  expect_sound();
}

TEST_F(Compaction, KeepsTombstonesForTheirTime) {
  declare({.tombstone_age = hours{1}, .dirty_ratio = 0});
  publish("state", "gone", "v");
  publish("state", "stays", "v");
  tombstone("gone");
  maintain();
  EXPECT_EQ(read("state"), (std::vector<seen>{{0, 1, "stays", "v"}, {0, 2, "gone", "-"}}));
  the_clock().advance(hours{1} - seconds{1});
  publish("state", "other", "v");
  maintain();
  EXPECT_EQ(read("state").size(), 3U);
  the_clock().advance(seconds{2});
  publish("state", "other", "w");
  maintain();
  EXPECT_EQ(read("state"), (std::vector<seen>{{0, 1, "stays", "v"}, {0, 4, "other", "w"}}));
  reopen();
  EXPECT_EQ(read("state").size(), 2U);
  expect_sound();
}

TEST_F(Compaction, BringsNothingBackThatWasDeleted) {
  declare({.tombstone_age = milliseconds{0}, .dirty_ratio = 0});
  publish("state", "a", "v");
  maintain();
  tombstone("a");
  the_clock().advance(seconds{1});
  for (int i = 0; i < 20; ++i) {
    publish("state", "b", fmt::format("{}", i));
    maintain();
    for (const auto& r : read("state")) EXPECT_FALSE(r.key == "a" && r.value != "-");
  }
  EXPECT_EQ(read("state"), (std::vector<seen>{{0, 21, "b", "19"}}));
}

TEST_F(Compaction, WaitsForItsShareOfNewBytes) {
  declare({.dirty_ratio = 0.6});
  const auto round = [&](int n) {
    for (int i = 0; i < n; ++i) publish("state", "k", std::string(1000, 'v'));
    maintain();
  };
  round(10);
  EXPECT_EQ(read("state").size(), 1U) << "all of it was new";
  ok(the_bus().publish("state", record{std::string(100'000, 'n')}));
  maintain();
  round(5);
  EXPECT_EQ(read("state").size(), 7U) << "old and new, until the share is reached";
  round(200);
  EXPECT_EQ(read("state").size(), 2U);
}

TEST_F(Compaction, BeginsAndEndsAtRunTime) {
  ok(the_bus().declare_topic("state"));
  for (int i = 0; i < 5; ++i) publish("state", "k", fmt::format("{}", i));
  maintain();
  EXPECT_EQ(read("state").size(), 5U);
  EXPECT_EQ(ok(the_bus().topics()).front().compaction, std::nullopt);
  const compaction_policy policy{.tombstone_age = seconds{7}, .dirty_ratio = 0.25};
  ok(the_bus().set_compaction("state", policy));
  EXPECT_EQ(ok(the_bus().topics()).front().compaction, policy);
  maintain();
  EXPECT_EQ(read("state").size(), 1U);
  ok(the_bus().set_compaction("state", std::nullopt));
  for (int i = 0; i < 5; ++i) publish("state", "k", fmt::format("{}", i));
  maintain();
  EXPECT_EQ(read("state").size(), 6U);
  EXPECT_THAT(the_bus().set_compaction("state", compaction_policy{.dirty_ratio = 1.5}),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().set_compaction("state", compaction_policy{.tombstone_age = milliseconds{-1}}),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().set_compaction("absent", policy), fails_with(errc::unknown_topic));
  ok(the_bus().declare_exchange("events"));
  EXPECT_THAT(the_bus().set_compaction("events", policy), fails_with(errc::unknown_topic));
}

TEST_F(Compaction, GoesOnUnderReadersThatHaveBegun) {
  declare();
  for (int i = 0; i < 100; ++i) publish("state", fmt::format("k{}", i % 10), fmt::format("{}", i));
  auto slow = ok(the_bus().replay("state", {.bytes_max = 1}));
  auto partition = ok(the_bus().replay("state", {.partition = partition_id{0}, .bytes_max = 1}));
  auto look = ok(slow.next());
  EXPECT_EQ(look.begin()->value(), "0");
  EXPECT_EQ(ok(partition.next()).begin()->value(), "0");
  maintain();
  EXPECT_EQ(look.begin()->value(), "0") << "a batch stays what it was";
  const auto rest = read(std::move(slow));
  EXPECT_EQ(rest.size(), 10U);
  EXPECT_EQ(rest, read(std::move(partition)));
  EXPECT_EQ(rest, read("state"));
}

TEST_F(Compaction, LeavesOthersInItsSegmentsAlone) {
  declare();
  ok(the_bus().declare_topic("other"));
  for (int i = 0; i < 10; ++i) {
    publish("state", "k", fmt::format("{}", i));
    publish("other", "k", fmt::format("{}", i));
  }
  maintain();
  EXPECT_EQ(read("state").size(), 1U);
  EXPECT_EQ(read("other").size(), 10U);
  expect_sound();
}

TEST_F(Compaction, AgreesWithAModelForRandomHistories) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random{seed};
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  declare({.tombstone_age = milliseconds{0}, .dirty_ratio = 0.3}, 3);
  std::map<std::string, std::string> model;
  std::map<std::pair<std::uint32_t, std::uint64_t>, seen> all;
  for (int round = 0; round < 60; ++round) {
    for (unsigned n = below(40); n > 0; --n) {
      const auto key = fmt::format("key {}", below(25));
      const bool remove = below(4) == 0;
      const auto value =
          remove ? std::string{"-"} : fmt::format("{} {}", round, std::string(below(3000), 'v'));
      const auto receipt =
          ok(the_bus().publish("state", remove ? record::tombstone(key) : record{key, value}));
      all[{receipt.partition.value(), receipt.offset.value()}] = {receipt.partition.value(),
                                                                  receipt.offset.value(), key, value};
      model[key] = value;
    }
    the_clock().advance(seconds{1});
    if (below(2) == 0) maintain();
    if (below(10) == 0) reopen();
    if (below(10) == 0) {
      const auto how = static_cast<compression>(below(3));
      ok(the_bus().set_compression("state", how));
    }
    std::map<std::string, std::string> read_back;
    std::map<std::uint32_t, std::uint64_t> last;
    for (const auto& r : read("state")) {
      EXPECT_EQ(r, (all[{r.partition, r.offset}])) << "nothing is invented, and offsets stay";
      EXPECT_TRUE(!last.contains(r.partition) || last[r.partition] < r.offset) << "the order stays";
      last[r.partition] = r.offset;
      read_back[r.key] = r.value;
    }
    for (const auto& [key, value] : model) {
      const auto found = read_back.find(key);
      if (value == "-") {
        EXPECT_TRUE(found == read_back.end() || found->second == "-") << key;
      } else {
        ASSERT_NE(found, read_back.end()) << key;
        EXPECT_EQ(found->second, value);
      }
    }
  }
  expect_sound();
}

/// An exchange whose queues settle almost everything.
class MostlySettled : public Rewriting {
 protected:
  MostlySettled() {
    ok(the_bus().declare_exchange("events", {.type = exchange_type::fanout, .retention = {.records = 1}}));
    ok(the_bus().declare_queue("desk"));
    ok(the_bus().bind("events", "desk", ""));
  }
};

TEST_F(MostlySettled, LogsKeepOnlyWhatIsReferredTo) {
  auto desk = ok(the_bus().consume("desk", {.prefetch = 0}));
  std::vector<delivery_tag> kept;
  for (int i = 0; i < 400; ++i) {
    ok(the_bus().publish("events", "", record{fmt::format("{}{}", i, std::string(10'000, 'e'))}));
    auto d = ok(desk.receive(at_once));
    ASSERT_TRUE(d.has_value());
    if (i == 5 || i == 200) {
      kept.push_back(d->tag());
    } else {
      ok(desk.ack(d->tag()));
    }
    if (i % 100 == 99) maintain();
  }
  maintain();
  EXPECT_LT(segment_bytes(), 1'300'000U) << "4 MB were published, and nearly all of it settled";
  const auto left = read("events");
  ASSERT_GE(left.size(), 2U);
  EXPECT_EQ(left[0].offset, 5U) << "the oldest that is referred to pins itself, and nothing else";
  EXPECT_EQ(left[1].offset, 200U);
  EXPECT_EQ(ok(the_bus().queues()).front().messages, 2U);
  desk.close();
  auto again = ok(the_bus().consume("desk"));
  const auto values = receive_all(again);
  ASSERT_EQ(values.size(), 2U);
  EXPECT_TRUE(values[0].starts_with("5e"));
  EXPECT_TRUE(values[1].starts_with("200e"));
  expect_sound();
}

TEST_F(MostlySettled, LogsKeepTheirNewestRecordsHoweverFewOfTheOlderOnesAreLeft) {
  constexpr std::uint64_t newest = 20;
  ok(the_bus().set_retention("events", {.records = newest}));
  auto desk = ok(the_bus().consume("desk", {.prefetch = 0}));
  for (std::uint64_t end = 1; end <= 120; ++end) {
    ok(the_bus().publish("events", "", record{fmt::format("{}", end)}));
    auto d = ok(desk.receive(at_once));
    ASSERT_TRUE(d.has_value());
    if (end > 1) ok(desk.ack(d->tag()));
    if (end % 10 != 0) continue;
    maintain();
    const auto left = read("events");
    ASSERT_GE(left.size(), std::min(end, newest)) << "of " << end;
    EXPECT_EQ(left[0].offset, 0U) << "it is referred to";
    EXPECT_EQ(left[left.size() - std::min(end, newest)].offset, end - std::min(end, newest)) << "of " << end;
  }
  expect_sound();
}

}  // namespace
}  // namespace levada::test
