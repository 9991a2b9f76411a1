#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

using namespace std::chrono_literals;
namespace chr = std::chrono;
using ::testing::HasSubstr;

class Replay : public command_fixture {
 protected:
  static bus_options options(std::shared_ptr<clock> source = nullptr) {
    bus_options o;
    o.clock = std::move(source);
    o.maintenance = maintenance_mode::on_call;
    o.journal_bytes_seal = 0;
    return o;
  }
  /// Moves all records into segments, and returns their file.
  [[nodiscard]] std::filesystem::path seal() const {
    ok(ok(bus::open(store(), options())).maintain());
    const std::filesystem::directory_iterator all{std::filesystem::path{store()} / "segments"};
    EXPECT_EQ(std::distance(begin(all), end(all)), 1);
    return begin(std::filesystem::directory_iterator{std::filesystem::path{store()} / "segments"})->path();
  }
  /// Changes a file where it says `text`.
  static void spoil(const std::filesystem::path& file, const std::string& text) {
    std::ifstream in{file, std::ios::binary};
    std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    const auto at = bytes.find(text);
    ASSERT_NE(at, std::string::npos);
    bytes.at(at) = '#';
    std::ofstream{file, std::ios::binary | std::ios::trunc} << bytes;
  }
};

TEST_F(Replay, PrintsWhatLiesBetweenItsBounds) {
  produce("t", numbered_lines(6));
  EXPECT_EQ(print({"replay", "t"}), numbered_lines(6));
  EXPECT_EQ(print({"replay", "t", "--until", "2"}), "0\n1\n");
  EXPECT_EQ(print({"replay", "t", "--from", "2", "--until", "4"}), "2\n3\n");
  EXPECT_EQ(print({"replay", "t", "--from", "4", "--until", "2"}), "");
  EXPECT_EQ(print({"replay", "t", "--from", "latest"}), "");
  EXPECT_EQ(print({"replay", "t", "--from", "1", "-n", "2"}), "1\n2\n");
  EXPECT_EQ(print({"replay", "t", "--until", "-1h"}), "");
  EXPECT_EQ(print({"replay", "t", "--from", "-1h", "--until", "latest"}), numbered_lines(6));
}

TEST_F(Replay, EndsBeforeATimeInEachPartition) {
  const auto clock = std::make_shared<manual_clock>(timestamp{1'769'860'800s});
  {
    auto owner = ok(bus::open(store(), options(clock)));
    const auto topic = ok(owner.declare_topic("t", {.partitions = 2}));
    for (const unsigned i : {0U, 1U, 2U, 3U}) {
      ok(topic.publish(partition_id{i % 2}, record{std::to_string(i)}));
      clock->advance(10s);
    }
  }
  EXPECT_EQ(print({"replay", "t", "--until", "2026-01-31T12:00:20Z"}), "0\n1\n");
  EXPECT_EQ(print({"replay", "t", "--from", "@1769860810", "--until", "@1769860830"}), "1\n2\n");
  EXPECT_EQ(print({"replay", "t", "--until", "@1769860830", "--partition", "1"}), "1\n");
}

TEST_F(Replay, WaitsForTheOffsetAtWhichItEnds) {
  auto owner = ok(bus::open(store()));
  const auto topic = ok(owner.declare_topic("t"));
  ok(topic.publish(record{"a"}));
  running_program reader{command({"replay", "t", "--until", "2"})};
  EXPECT_EQ(reader.read_line(), "a");
  ok(topic.publish(record{"b"}));
  ok(topic.publish(record{"c"}));
  const auto done = reader.wait();
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(done.out, "b\n");
}

TEST_F(Replay, OfAllTopicsFollowsTheOrderOfCommitsAndNamesThem) {
  produce("b", "k=1\n", {"--key-separator", "="});
  produce("a", "2\n");
  {
    auto owner = ok(bus::open(store()));
    ok(owner.declare_exchange("events"));
    static_cast<void>(ok(owner.publish("events", "x", record{"3"})));
  }
  produce("b", "4\n");
  EXPECT_EQ(print({"replay", "--all"}), "b\t1\na\t2\nevents\t3\nb\t4\n");
  EXPECT_EQ(print({"replay", "--all", "--keys", "--key-separator", ":"}), "b\tk:1\na\t2\nevents\t3\nb\t4\n");
  EXPECT_EQ(print({"replay", "--all", "--from", "-1h", "-n", "1"}), "b\t1\n");
  EXPECT_THAT(print({"replay", "--all", "--json"}), ::testing::StartsWith(R"({"topic":"b","partition":0,)"));
}

TEST_F(Replay, OfAllTopicsFollowsAlsoThoseThatAreNew) {
  auto owner = ok(bus::open(store()));
  ok(ok(owner.declare_topic("a")).publish(record{"1"}));
  running_program reader{command({"replay", "--all", "-f"})};
  EXPECT_EQ(reader.read_line(), "a\t1");
  ok(ok(owner.declare_topic("b")).publish(record{"2"}));
  EXPECT_EQ(reader.read_line(), "b\t2");
  reader.signal(SIGTERM);
  EXPECT_THAT(reader.wait(), ended_by(SIGTERM, ""));
}

TEST_F(Replay, TakesItsTimeWhereASpeedIsGiven) {
  const auto clock = std::make_shared<manual_clock>(timestamp{1'769'860'800s});
  {
    auto owner = ok(bus::open(store(), options(clock)));
    const auto topic = ok(owner.declare_topic("t"));
    for (const char* const value : {"a", "b", "c"}) {
      ok(topic.publish(record{value}));
      clock->advance(chr::hours{1});
    }
  }
  const auto begun = chr::steady_clock::now();
  EXPECT_EQ(print({"replay", "t", "--speed", "72000"}), "a\nb\nc\n");
  EXPECT_GE(chr::steady_clock::now() - begun, 100ms) << "two hours of records";
  running_program slow{command({"replay", "t", "--speed", "1"})};
  EXPECT_EQ(slow.read_line(), "a") << "is not held back with what follows";
  slow.signal(SIGINT);
  EXPECT_THAT(slow.wait(), ended_by(SIGINT, ""));
}

TEST_F(Replay, EndsQuietlyWhereNobodyReads) {
  produce("t", numbered_lines(300'000));
  running_program reader{command({"replay", "--all"})};
  EXPECT_EQ(reader.read_line(), "t\t0");
  reader.close_output();
  EXPECT_THAT(reader.wait(), ended_by(SIGPIPE, ""));
}

TEST_F(Replay, TellsWhatIsDamagedAndGoesOnBehindIt) {
  produce("t", "before\n");
  produce("t", "needle\n");
  produce("u", "after\n");
  produce("t", "behind\n");
  const auto file = seal();
  ASSERT_NO_FATAL_FAILURE(spoil(file, "needle"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"replay", "t"}, {"replay", "--all"}, {"tail", "t", "--partition", "0"}}) {
    const auto done = levada(words);
    EXPECT_EQ(done.status, 1) << words[1];
    EXPECT_THAT(done.err, ::testing::StartsWith("levada: read topic 't' partition 0 offset")) << words[1];
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.err;
    EXPECT_EQ(done.out.find("needle"), std::string::npos);
  }
  EXPECT_THAT(levada({"replay", "--all"}).out, HasSubstr("u\tafter\n"));
}

TEST_F(Replay, TellsWhatWasRemovedBeforeItCouldBeReadAndGoesOnBehindIt) {
  auto owner = ok(bus::open(store()));
  const auto topic = ok(owner.declare_topic("t"));
  auto batch = topic.make_batch();
  // More than a pipe holds and a step reads.
  for (int i = 0; i < 400; ++i) ok(batch.add(fmt::format("{}:{}", i, std::string(10'000, 'x'))));
  ok(topic.publish(batch));
  running_program reader{command({"replay", "t"})};
  reader.wait_until_output_is_full();
  ok(owner.delete_records({"t", partition_id{0}}, offset{399}));
  const auto done = reader.wait();
  EXPECT_EQ(done.status, 1);
  EXPECT_FALSE(done.signaled);
  EXPECT_THAT(done.err, ::testing::MatchesRegex(
                            "levada: read topic 't' partition 0: offsets [0-9]+ to 398 have been removed\n"));
  EXPECT_THAT(done.out, HasSubstr("\n399:"));
}

TEST_F(Replay, EndsWhereItsTopicIsDeleted) {
  auto owner = ok(bus::open(store()));
  ok(ok(owner.declare_topic("t")).publish(record{"a"}));
  running_program reader{command({"replay", "t", "-f"})};
  EXPECT_EQ(reader.read_line(), "a");
  ok(owner.delete_topic("t"));
  EXPECT_THAT(reader.wait(), fails_saying(1, "topic 't': it has been deleted"));
}

}  // namespace
}  // namespace levada::test
