#include "cli/arguments.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "command_fixture.hpp"

namespace levada::cli {
namespace {

using namespace std::chrono_literals;

constexpr timestamp now{1'000'000s};

request parse(std::vector<std::string> words) {
  words.insert(words.begin(), "levada");
  std::vector<const char*> pointers;
  for (const auto& word : words) pointers.push_back(word.c_str());
  return parse_arguments(static_cast<int>(pointers.size()), pointers.data(), now);
}

/// The request that the words stand for; fails the test where it is another one.
template <class Request>
Request parse_as(const std::vector<std::string>& words) {
  const auto asked = parse(words);
  if (const auto* const error = std::get_if<usage_error>(&asked)) ADD_FAILURE() << error->message;
  return std::get<Request>(asked);
}

/// Why the words are refused; empty where they are not.
std::string refusal(const std::vector<std::string>& words) {
  const auto asked = parse(words);
  const auto* const error = std::get_if<usage_error>(&asked);
  return error == nullptr ? "" : error->message;
}

std::string help(const std::vector<std::string>& words) {
  return parse_as<text_request>(words).text;
}

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(CommandLine, NamesTheFiveListings) {
  using subject = list_request::subject;
  EXPECT_EQ(parse_as<list_request>({"topics", "--dir", "d"}).what, subject::topics);
  EXPECT_EQ(parse_as<list_request>({"groups", "--dir", "d"}).what, subject::groups);
  EXPECT_EQ(parse_as<list_request>({"queues", "--dir", "d"}).what, subject::queues);
  EXPECT_EQ(parse_as<list_request>({"exchanges", "--dir", "d"}).what, subject::exchanges);
  EXPECT_EQ(parse_as<list_request>({"bindings", "--dir", "d"}).what, subject::bindings);
}

TEST(CommandLine, TakesANameAndOptionsInAnyOrder) {
  const auto plain = parse_as<list_request>({"topics", "--dir", "d"});
  EXPECT_EQ(plain.directory, "d");
  EXPECT_EQ(plain.name, std::nullopt);
  EXPECT_FALSE(plain.json);
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"topics", "orders", "--dir", "d", "--json"},
                                             {"topics", "--json", "--dir=d", "orders"},
                                             {"topics", "--dir", "d", "--json", "--", "orders"}}) {
    const auto asked = parse_as<list_request>(words);
    EXPECT_EQ(asked.directory, "d");
    EXPECT_EQ(asked.name, "orders");
    EXPECT_TRUE(asked.json);
  }
}

TEST(CommandLine, LetsATopicHaveTheNameOfACommand) {
  EXPECT_EQ(parse_as<produce_request>({"produce", "topics", "--dir", "d"}).topic, "topics");
  EXPECT_EQ(parse_as<tail_request>({"tail", "--dir", "d", "tail"}).topic, "tail");
}

TEST(CommandLine, TakesWhatProduceNeeds) {
  const auto plain = parse_as<produce_request>({"produce", "t", "--dir", "d"});
  EXPECT_EQ(plain.topic, "t");
  EXPECT_EQ(plain.directory, "d");
  EXPECT_EQ(plain.partitions, std::nullopt);
  EXPECT_EQ(plain.partition, std::nullopt);
  EXPECT_EQ(plain.key_separator, "");
  EXPECT_TRUE(plain.headers.empty());
  const auto full =
      parse_as<produce_request>({"produce", "t", "--dir", "d", "--partitions", "8", "--partition", "3",
                                 "--key-separator", "::", "--header", "a=b=c", "--header", "e="});
  EXPECT_EQ(full.partitions, 8U);
  EXPECT_EQ(full.partition, partition_id{3});
  EXPECT_EQ(full.key_separator, "::");
  ASSERT_EQ(full.headers.size(), 2U);
  EXPECT_EQ(full.headers[0].name, "a");
  EXPECT_EQ(std::get<std::string>(full.headers[0].value), "b=c");
  EXPECT_EQ(full.headers[1].name, "e");
  EXPECT_EQ(std::get<std::string>(full.headers[1].value), "");
}

TEST(CommandLine, LeavesBracketsAndQuotesInTextsAlone) {
  const auto asked = parse_as<produce_request>({"produce", "[a,b]", "--dir", "d", "--key-separator", "[]",
                                                "--header", "[a=b,c]", "--header=\"q\"='r'"});
  EXPECT_EQ(asked.topic, "[a,b]");
  EXPECT_EQ(asked.key_separator, "[]");
  ASSERT_EQ(asked.headers.size(), 2U);
  EXPECT_EQ(asked.headers[0].name, "[a");
  EXPECT_EQ(std::get<std::string>(asked.headers[0].value), "b,c]");
  EXPECT_EQ(asked.headers[1].name, "\"q\"");
}

TEST(CommandLine, TakesWhatTailNeeds) {
  const auto plain = parse_as<tail_request>({"tail", "t", "--dir", "d"});
  EXPECT_TRUE(std::holds_alternative<from_earliest>(plain.from));
  EXPECT_EQ(plain.partition, std::nullopt);
  EXPECT_EQ(plain.count, std::nullopt);
  EXPECT_FALSE(plain.follow || plain.json || plain.keys);
  const auto full = parse_as<tail_request>({"tail", "t", "--dir", "d", "-f", "--from", "17", "--partition",
                                            "2", "-n", "5", "--keys", "--key-separator", ": "});
  EXPECT_EQ(std::get<offset>(full.from), offset{17});
  EXPECT_EQ(full.partition, partition_id{2});
  EXPECT_EQ(full.count, 5U);
  EXPECT_TRUE(full.follow && full.keys);
  EXPECT_EQ(full.key_separator, ": ");
  EXPECT_TRUE(parse_as<tail_request>({"tail", "t", "--dir", "d", "--json"}).json);
  EXPECT_EQ(parse_as<tail_request>({"tail", "t", "--dir", "d", "--keys"}).key_separator, "\t");
}

TEST(CommandLine, FollowsFromTheEndUnlessToldOtherwise) {
  EXPECT_TRUE(
      std::holds_alternative<from_latest>(parse_as<tail_request>({"tail", "t", "--dir", "d", "-f"}).from));
  EXPECT_TRUE(std::holds_alternative<from_earliest>(
      parse_as<tail_request>({"tail", "t", "--dir", "d", "--follow", "--from", "earliest"}).from));
}

TEST(CommandLine, TakesAnAgeThoughItLooksLikeAnOption) {
  const auto apart = parse_as<tail_request>({"tail", "t", "--dir", "d", "--from", "-10m"});
  EXPECT_EQ(std::get<timestamp>(apart.from), now - 10min);
  const auto joined = parse_as<tail_request>({"tail", "t", "--dir", "d", "--from=-2h"});
  EXPECT_EQ(std::get<timestamp>(joined.from), now - 2h);
}

TEST(CommandLine, TakesCheck) {
  EXPECT_EQ(parse_as<check_request>({"check", "--dir", "d"}).directory, "d");
}

TEST(CommandLine, NeedsACommand) {
  EXPECT_THAT(refusal({}), StartsWith("a command is needed"));
  EXPECT_THAT(refusal({"topic", "--dir", "d"}), StartsWith("there is no command 'topic'"));
  EXPECT_THAT(refusal({"--json"}), StartsWith("there is no option '--json' before a command"));
  EXPECT_THAT(refusal({"--dir", "d", "topics"}), StartsWith("there is no option '--dir' before a command"));
}

TEST(CommandLine, NeedsADirectoryEverywhere) {
  for (const char* const command : {"topics", "groups", "queues", "exchanges", "bindings", "check"}) {
    EXPECT_EQ(refusal({command}), fmt::format("--dir is required (see levada {} --help)", command));
  }
  EXPECT_THAT(refusal({"produce", "t"}), HasSubstr("--dir is required"));
  EXPECT_THAT(refusal({"tail", "t"}), HasSubstr("--dir is required"));
  EXPECT_THAT(refusal({"topics", "--dir"}), HasSubstr("--dir"));
}

TEST(CommandLine, NeedsATopicToWriteOrRead) {
  EXPECT_THAT(refusal({"produce", "--dir", "d"}), HasSubstr("TOPIC is required"));
  EXPECT_THAT(refusal({"tail", "--dir", "d"}), HasSubstr("TOPIC is required"));
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(refusal({"topics", "--dir", "d", "--jsn"}), HasSubstr("--jsn"));
  EXPECT_THAT(refusal({"topics", "a", "b", "--dir", "d"}), HasSubstr("b"));
  EXPECT_THAT(refusal({"check", "a", "--dir", "d"}), HasSubstr("a"));
  EXPECT_THAT(refusal({"tail", "t", "--dir", "d", "--header", "a=b"}), HasSubstr("--header"));
}

TEST(CommandLine, RefusesNumbersThatAreNone) {
  for (const char* const number : {"", "x", "-1", "+1", "1x", "0x10", "1.5", " 1", "4294967296"}) {
    const auto option = std::string{"--partition="} + number;
    EXPECT_THAT(refusal({"tail", "t", "--dir", "d", option}), HasSubstr("--partition")) << number;
    EXPECT_NE(refusal({"produce", "t", "--dir", "d", "--partitions", number}), "") << number;
  }
  EXPECT_NE(refusal({"tail", "t", "--dir", "d", "-n", "18446744073709551616"}), "");
  EXPECT_EQ(parse_as<tail_request>({"tail", "t", "--dir", "d", "-n", "010"}).count, 10U) << "not octal";
}

TEST(CommandLine, RefusesTextsThatMeanNothing) {
  EXPECT_THAT(refusal({"tail", "t", "--dir", "d", "--from", "noon"}), HasSubstr("--from: 'noon' is none of"));
  EXPECT_THAT(refusal({"produce", "t", "--dir", "d", "--header", "a"}), HasSubstr("'a' is not of the form"));
  EXPECT_THAT(refusal({"produce", "t", "--dir", "d", "--header", "=a"}),
              HasSubstr("'=a' is not of the form"));
  EXPECT_THAT(refusal({"produce", "t", "--dir", "d", "--key-separator", ""}), HasSubstr("must not be empty"));
}

TEST(CommandLine, RefusesOptionsThatContradictEachOther) {
  EXPECT_THAT(refusal({"tail", "t", "--dir", "d", "--json", "--keys"}), HasSubstr("excludes"));
  EXPECT_THAT(refusal({"tail", "t", "--dir", "d", "--key-separator", ":"}), HasSubstr("requires --keys"));
}

TEST(CommandLine, HasHelpForTheProgramAndEachCommand) {
  const auto all = help({"--help"});
  for (const char* const command :
       {"topics", "produce", "tail", "groups", "queues", "exchanges", "bindings", "check"}) {
    EXPECT_THAT(all, HasSubstr(std::string{"\n  "} + command + " "));
    const auto one = help({command, "--help"});
    EXPECT_THAT(one, HasSubstr(std::string{"Usage: levada "} + command));
    EXPECT_THAT(one, HasSubstr("--dir DIR"));
    EXPECT_TRUE(one.ends_with("\n") && !one.ends_with("\n\n")) << command;
  }
  EXPECT_THAT(all, HasSubstr("Usage: levada COMMAND [NAME] --dir DIR [options]\n"));
}

TEST(CommandLine, TellsTheVersion) {
  EXPECT_THAT(help({"--version"}), ::testing::MatchesRegex("levada [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Command, EndsWith2AndOneLineWhereTheCommandLineIsWrong) {
  EXPECT_THAT(test::levada({}), test::fails_saying(2, "a command is needed"));
  EXPECT_THAT(test::levada({"topics"}), test::fails_saying(2, "--dir is required"));
  EXPECT_THAT(test::levada({"two\nlines"}), test::fails_saying(2, "'two\\x0alines'"));
}

TEST(Command, PrintsHelpToStandardOutput) {
  const auto asked = test::levada({"tail", "--help"});
  EXPECT_EQ(asked.status, 0);
  EXPECT_EQ(asked.out, help({"tail", "--help"}));
  EXPECT_EQ(asked.err, "");
}

}  // namespace
}  // namespace levada::cli
