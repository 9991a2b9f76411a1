#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

using namespace std::string_literals;
using namespace std::chrono_literals;

class Produce : public command_fixture {};

TEST_F(Produce, StoresOneRecordALineAndTailGivesThemBack) {
  const auto lines = "first\nsecond\nthird\n"s;
  produce("syslog", lines);
  EXPECT_EQ(print({"tail", "syslog", "--from", "earliest"}), lines);
  ASSERT_EQ(partitions("syslog").size(), 1U);
  EXPECT_EQ(partitions("syslog")[0].end, offset{3});
}

TEST_F(Produce, KeepsEveryByteOfALine) {
  std::string lines;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte != '\n') lines += static_cast<char>(byte);
    if (byte % 16 == 15) lines += '\n';
  }
  lines += "\n\n\r\n\0\n"s;
  produce("bytes", lines);
  EXPECT_EQ(print({"tail", "bytes"}), lines);
  EXPECT_EQ(partitions("bytes")[0].end, offset{20});
}

TEST_F(Produce, TakesALastLineWithoutNewline) {
  produce("t", "a\nb");
  EXPECT_EQ(print({"tail", "t"}), "a\nb\n");
}

TEST_F(Produce, MakesTheTopicEvenWithoutLines) {
  produce("t", "");
  ASSERT_EQ(partitions("t").size(), 1U);
  EXPECT_EQ(partitions("t")[0].end, offset{0});
  EXPECT_EQ(print({"tail", "t"}), "");
}

TEST_F(Produce, AppendsToWhatIsThere) {
  produce("t", "a\n");
  produce("other", "x\n");
  produce("t", "b\n");
  EXPECT_EQ(print({"tail", "t"}), "a\nb\n");
}

TEST_F(Produce, SpreadsOverPartitionsAndKeepsTheOrderOfLines) {
  const auto lines = numbered_lines(60'000);
  produce("t", lines, {"--partitions", "4"});
  const auto all = partitions("t");
  ASSERT_EQ(all.size(), 4U);
  for (const auto& p : all) EXPECT_GT(p.end, offset{0}) << "partition " << p.id.value();
  EXPECT_TRUE(print({"tail", "t"}) == lines) << "lines came back in another order";
}

TEST_F(Produce, SpreadsManySmallInputs) {
  for (const char* const line : {"a\n", "b\n", "c\n"}) produce("t", line, {"--partitions", "3"});
  for (const auto& p : partitions("t")) EXPECT_EQ(p.end, offset{1});
  EXPECT_EQ(print({"tail", "t"}), "a\nb\nc\n");
}

TEST_F(Produce, PutsAllLinesIntoThePartitionAskedFor) {
  produce("t", "k:a\nb\n", {"--partitions", "3", "--partition", "2", "--key-separator", ":"});
  EXPECT_EQ(partitions("t")[2].end, offset{2});
  EXPECT_EQ(print({"tail", "t", "--keys", "--key-separator", "="}), "k=a\nb\n");
}

TEST_F(Produce, CutsTheKeyAtTheFirstSeparator) {
  produce("t", "k::v::w\nno key\n::empty\nlast::\n", {"--key-separator", "::"});
  auto owner = ok(bus::open(store()));
  const auto batch = ok(ok(owner.replay("t")).next());
  std::vector<std::pair<std::optional<std::string>, std::string>> got;
  for (const auto& r : batch) {
    got.emplace_back(r.has_key() ? std::optional<std::string>{r.key()} : std::nullopt, r.value());
  }
  EXPECT_EQ(got, (std::vector<std::pair<std::optional<std::string>, std::string>>{
                     {"k", "v::w"}, {std::nullopt, "no key"}, {"", "empty"}, {"last", ""}}));
}

TEST_F(Produce, SendsALineToThePartitionOfItsKey) {
  std::string lines;
  for (int i = 0; i < 40; ++i) lines += fmt::format("key-{} {}\n", i % 8, i);
  produce("t", lines, {"--partitions", "5", "--key-separator", " "});
  auto reading = ok(ok(attachment::open(store())).replay("t"));
  std::size_t count = 0;
  for (const auto& r : ok(reading.next())) {
    EXPECT_EQ(r.partition(), partition_for_key(r.key(), 5)) << r.key();
    ++count;
  }
  EXPECT_EQ(count, 40U);
}

TEST_F(Produce, GivesEachRecordTheHeaders) {
  produce("t", "a\nk=b\n", {"--header", "source=log=1", "--header", "empty=", "--key-separator", "="});
  auto reading = ok(ok(attachment::open(store())).replay("t"));
  const auto batch = ok(reading.next());
  ASSERT_EQ(batch.size(), 2U);
  for (const auto& r : batch) {
    const auto headers = r.headers();
    ASSERT_EQ(headers.size(), 2U);
    EXPECT_EQ(headers[0].name, "source");
    EXPECT_EQ(std::get<std::string_view>(headers[0].value), "log=1");
    EXPECT_EQ(headers[1].name, "empty");
    EXPECT_EQ(std::get<std::string_view>(headers[1].value), "");
  }
  EXPECT_EQ(print({"tail", "t", "--keys"}), "a\nk\tb\n");
}

TEST_F(Produce, StoresWhatIsThereWhenItsInputPauses) {
  produce("t", "");
  running_program writer{command({"produce", "t"})};
  auto reading = ok(ok(attachment::open(store())).replay("t"));
  for (const char* const line : {"one", "two"}) {
    writer.write(fmt::format("{}\n", line));
    const auto batch = ok(reading.next(60s));
    ASSERT_EQ(batch.size(), 1U);
    EXPECT_EQ(batch.begin()->value(), line);
  }
  EXPECT_EQ(writer.finish().status, 0);
}

TEST_F(Produce, TakesLinesUpToTheLimitOfRecords) {
  // A record takes a few bytes beside its value.
  const std::string longest((std::size_t{16} << 20) - 64, 'x');
  produce("t", longest + "\n");
  EXPECT_TRUE(print({"tail", "t"}) == longest + "\n") << "another line came back";
}

TEST_F(Produce, StoresTheLinesBeforeOneThatIsTooLong) {
  const std::string too_long((std::size_t{16} << 20) + 1, 'x');
  EXPECT_THAT(levada({"produce", "t"}, "a\nb\n" + too_long + "\nc\n"),
              fails_saying(1, "line 3 is longer than 16777216 bytes; 2 records stored before that"));
  EXPECT_EQ(print({"tail", "t"}), "a\nb\n");
}

TEST_F(Produce, NamesTheLineWhoseKeyIsTooLong) {
  const std::string too_long(key_bytes_max + 1, 'k');
  EXPECT_THAT(levada({"produce", "t", "--key-separator", ":"}, "k:v\n" + too_long + ":v\n"),
              fails_saying(1, "line 2: "));
  EXPECT_EQ(print({"tail", "t"}), "v\n");
}

TEST_F(Produce, RefusesAnotherNumberOfPartitionsThanTheTopicHas) {
  produce("t", "", {"--partitions", "2"});
  produce("t", "a\n", {"--partitions", "2"});
  EXPECT_THAT(levada({"produce", "t", "--partitions", "3"}, "b\n"), fails_saying(1, "'t' exists"));
  EXPECT_EQ(print({"tail", "t"}), "a\n");
}

TEST_F(Produce, RefusesAPartitionThatTheTopicDoesNotHave) {
  EXPECT_THAT(levada({"produce", "new", "--partition", "1"}), fails_saying(1, "partition 1"));
  EXPECT_THAT(levada({"produce", "new", "--partition", "4", "--partitions", "4"}),
              fails_saying(1, "partition 4"));
  EXPECT_TRUE(partitions("new").empty()) << "a topic was made in vain";
  produce("t", "", {"--partitions", "2"});
  EXPECT_THAT(levada({"produce", "t", "--partition", "2"}), fails_saying(1, "the topic has 2"));
}

TEST_F(Produce, RefusesNumbersOfPartitionsBeyondTheLimits) {
  EXPECT_THAT(levada({"produce", "t", "--partitions", "0"}), fails_saying(1, "0 partitions"));
  EXPECT_THAT(levada({"produce", "t", "--partitions", "4097"}), fails_saying(1, "4097 partitions"));
}

TEST_F(Produce, RefusesToWriteToAnExchange) {
  ok(ok(bus::open(store())).declare_exchange("events"));
  EXPECT_THAT(levada({"produce", "events"}, "a\n"), fails_saying(1, "events"));
}

}  // namespace
}  // namespace levada::test
