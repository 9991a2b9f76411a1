#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

using namespace std::chrono_literals;
namespace chr = std::chrono;

class Tail : public command_fixture {};

TEST_F(Tail, EndsAtTheEndOfTheLog) {
  produce("t", "a\nb\n");
  EXPECT_EQ(print({"tail", "t"}), "a\nb\n");
  EXPECT_EQ(print({"tail", "t", "--from", "latest"}), "");
}

TEST_F(Tail, StartsAtAnOffset) {
  produce("t", numbered_lines(1000));
  EXPECT_EQ(print({"tail", "t", "--from", "997"}), "997\n998\n999\n");
  EXPECT_EQ(print({"tail", "t", "--from", "1000"}), "");
  EXPECT_THAT(levada({"tail", "t", "--from", "1001"}), fails_saying(1, "offset 1001"));
}

TEST_F(Tail, NeedsAPartitionForAnOffsetWhereThereAreSeveral) {
  produce("t", "a\nb\nc\n", {"--partitions", "2", "--partition", "1"});
  EXPECT_THAT(levada({"tail", "t", "--from", "1"}), fails_saying(1, "an offset needs a partition"));
  EXPECT_EQ(print({"tail", "t", "--from", "1", "--partition", "1"}), "b\nc\n");
}

TEST_F(Tail, PrintsOnePartition) {
  produce("t", "a\n", {"--partitions", "2", "--partition", "1"});
  produce("t", "b\n", {"--partition", "0"});
  EXPECT_EQ(print({"tail", "t"}), "a\nb\n");
  EXPECT_EQ(print({"tail", "t", "--partition", "0"}), "b\n");
  EXPECT_EQ(print({"tail", "t", "--partition", "1"}), "a\n");
  EXPECT_THAT(levada({"tail", "t", "--partition", "2"}), fails_saying(1, "partition 2"));
}

TEST_F(Tail, StartsAtATime) {
  // 2026-01-31T12:00:00Z and two more records, each ten seconds later.
  const auto clock = std::make_shared<manual_clock>(timestamp{chr::seconds{1'769'860'800}});
  bus_options options;
  options.clock = clock;
  {
    auto owner = ok(bus::open(store(), options));
    const auto topic = ok(owner.declare_topic("t"));
    for (const char* const value : {"a", "b", "c"}) {
      ok(topic.publish(record{value}));
      clock->advance(10s);
    }
  }
  EXPECT_EQ(print({"tail", "t", "--from", "2026-01-31T12:00:00Z"}), "a\nb\nc\n");
  EXPECT_EQ(print({"tail", "t", "--from", "2026-01-31T12:00:00.000001Z"}), "b\nc\n");
  EXPECT_EQ(print({"tail", "t", "--from", "2026-01-31T13:00:10+01:00"}), "b\nc\n");
  EXPECT_EQ(print({"tail", "t", "--from", "@1769860820", "--partition", "0"}), "c\n");
  EXPECT_EQ(print({"tail", "t", "--from", "@1769860821"}), "");
}

TEST_F(Tail, StartsAtAnAge) {
  const auto now = chr::floor<chr::microseconds>(chr::system_clock::now());
  const auto clock = std::make_shared<manual_clock>(now - chr::hours{2});
  bus_options options;
  options.clock = clock;
  {
    auto owner = ok(bus::open(store(), options));
    const auto topic = ok(owner.declare_topic("t"));
    ok(topic.publish(record{"old"}));
    clock->advance(chr::hours{2});
    ok(topic.publish(record{"new"}));
  }
  EXPECT_EQ(print({"tail", "t", "--from", "-1h"}), "new\n");
  EXPECT_EQ(print({"tail", "t", "--from", "-3h"}), "old\nnew\n");
}

TEST_F(Tail, EndsAfterTheCountAskedFor) {
  produce("t", "a\nb\nc\n");
  EXPECT_EQ(print({"tail", "t", "-n", "2"}), "a\nb\n");
  EXPECT_EQ(print({"tail", "t", "-n", "9"}), "a\nb\nc\n");
  EXPECT_EQ(print({"tail", "t", "-n", "0"}), "");
  EXPECT_EQ(print({"tail", "t", "-f", "--from", "1", "--count", "2"}), "b\nc\n");
}

TEST_F(Tail, PrintsKeysWhereAsked) {
  produce("t", "k=v\nplain\n", {"--key-separator", "="});
  EXPECT_EQ(print({"tail", "t"}), "v\nplain\n");
  EXPECT_EQ(print({"tail", "t", "--keys"}), "k\tv\nplain\n");
  EXPECT_EQ(print({"tail", "t", "--keys", "--key-separator", "=>"}), "k=>v\nplain\n");
}

TEST_F(Tail, PrintsTheLogOfAnExchange) {
  {
    auto owner = ok(bus::open(store()));
    ok(owner.declare_exchange("events"));
    ok(owner.publish("events", "a.b", record{"m"}));
  }
  EXPECT_EQ(print({"tail", "events"}), "m\n");
}

TEST_F(Tail, GivesBackAFileOfManyShapesByteForByte) {
  // Lines of every length up to some thousand bytes, in an order that looks random and is always the same.
  std::string lines;
  std::uint64_t state = 1;
  for (int i = 0; i < 4000; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::size_t length = (state >> 33) % (i % 100 == 0 ? 9000 : 150);
    for (std::size_t k = 0; k < length; ++k) {
      const auto byte = static_cast<char>((state >> (k % 56)) + k);
      lines += byte == '\n' ? ' ' : byte;
    }
    lines += '\n';
  }
  produce("t", lines);
  EXPECT_TRUE(print({"tail", "t", "--from", "earliest"}) == lines) << "other bytes came back";
}

TEST_F(Tail, GivesBackTheSystemsLog) {
  const std::filesystem::path file = "/var/log/dpkg.log";
  std::ifstream in{file, std::ios::binary};
  if (!in) GTEST_SKIP() << "there is no " << file;
  std::string lines{std::istreambuf_iterator<char>{in}, {}};
  produce("dpkg", lines);
  if (!lines.empty() && lines.back() != '\n') lines += '\n';
  EXPECT_TRUE(print({"tail", "dpkg", "--from", "earliest"}) == lines) << "other bytes came back";
}

}  // namespace
}  // namespace levada::test
