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
  pointers.reserve(words.size());
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

TEST(CommandLine, NamesTheListings) {
  using subject = list_request::subject;
  EXPECT_EQ(parse_as<list_request>({"topics", "--dir", "d"}).what, subject::topics);
  EXPECT_EQ(parse_as<list_request>({"groups", "--dir", "d"}).what, subject::groups);
  EXPECT_EQ(parse_as<list_request>({"queues", "--dir", "d"}).what, subject::queues);
  EXPECT_EQ(parse_as<list_request>({"exchanges", "--dir", "d"}).what, subject::exchanges);
  EXPECT_EQ(parse_as<list_request>({"bindings", "--dir", "d"}).what, subject::bindings);
  EXPECT_EQ(parse_as<list_request>({"policies", "--dir", "d"}).what, subject::policies);
  EXPECT_EQ(parse_as<list_request>({"jobs", "--dir", "d"}).what, subject::jobs);
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
  EXPECT_EQ(parse_as<replay_request>({"tail", "--dir", "d", "tail"}).topic, "tail");
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
  const auto plain = parse_as<replay_request>({"tail", "t", "--dir", "d"});
  EXPECT_EQ(plain.topic, "t");
  EXPECT_TRUE(std::holds_alternative<from_earliest>(plain.options.from));
  EXPECT_TRUE(std::holds_alternative<until_latest>(plain.options.until));
  EXPECT_EQ(plain.options.partition, std::nullopt);
  EXPECT_EQ(plain.count, std::nullopt);
  EXPECT_FALSE(plain.format.json || plain.format.keys || plain.format.topics);
  const auto full = parse_as<replay_request>({"tail", "t", "--dir", "d", "-f", "--from", "17", "--partition",
                                              "2", "-n", "5", "--keys", "--key-separator", ": "});
  EXPECT_EQ(std::get<offset>(full.options.from), offset{17});
  EXPECT_TRUE(std::holds_alternative<until_closed>(full.options.until));
  EXPECT_EQ(full.options.partition, partition_id{2});
  EXPECT_EQ(full.count, 5U);
  EXPECT_TRUE(full.format.keys);
  EXPECT_EQ(full.format.key_separator, ": ");
  EXPECT_TRUE(parse_as<replay_request>({"tail", "t", "--dir", "d", "--json"}).format.json);
  EXPECT_EQ(parse_as<replay_request>({"tail", "t", "--dir", "d", "--keys"}).format.key_separator, "\t");
}

TEST(CommandLine, FollowsFromTheEndUnlessToldOtherwise) {
  const auto from = [](const std::vector<std::string>& words) {
    return parse_as<replay_request>(words).options.from;
  };
  EXPECT_TRUE(std::holds_alternative<from_latest>(from({"tail", "t", "--dir", "d", "-f"})));
  EXPECT_TRUE(std::holds_alternative<from_earliest>(
      from({"tail", "t", "--dir", "d", "--follow", "--from", "earliest"})));
  EXPECT_TRUE(std::holds_alternative<from_earliest>(from({"replay", "t", "--dir", "d", "-f"})));
}

TEST(CommandLine, TakesWhatReplayNeeds) {
  const auto plain = parse_as<replay_request>({"replay", "t", "--dir", "d"});
  EXPECT_EQ(plain.topic, "t");
  EXPECT_TRUE(std::holds_alternative<from_earliest>(plain.options.from));
  EXPECT_TRUE(std::holds_alternative<until_latest>(plain.options.until));
  EXPECT_EQ(plain.options.pace, 0);
  EXPECT_FALSE(plain.format.topics);
  const auto bounded = parse_as<replay_request>(
      {"replay", "--dir", "d", "--from", "3", "--until", "9", "--speed", "0.5", "t", "--partition", "1"});
  EXPECT_EQ(std::get<offset>(bounded.options.from), offset{3});
  EXPECT_EQ(std::get<offset>(bounded.options.until), offset{9});
  EXPECT_EQ(bounded.options.partition, partition_id{1});
  EXPECT_EQ(bounded.options.pace, 0.5);
  const auto all = parse_as<replay_request>({"replay", "--all", "--dir", "d", "--until", "-10m", "--json"});
  EXPECT_EQ(all.topic, std::nullopt);
  EXPECT_EQ(std::get<timestamp>(all.options.until), now - 10min);
  EXPECT_TRUE(all.format.json && all.format.topics);
  EXPECT_TRUE(std::holds_alternative<until_closed>(
      parse_as<replay_request>({"replay", "t", "--dir", "d", "--follow"}).options.until));
}

TEST(CommandLine, ReplaysOneTopicOrAll) {
  EXPECT_THAT(refusal({"replay", "--dir", "d"}), HasSubstr("TOPIC or --all is required"));
  EXPECT_THAT(refusal({"replay", "t", "--all", "--dir", "d"}), HasSubstr("excludes"));
  EXPECT_THAT(refusal({"replay", "t", "u", "--dir", "d"}), HasSubstr("u"));
}

TEST(CommandLine, ReplaysAllWithoutOffsetsAndPartitions) {
  EXPECT_THAT(refusal({"replay", "--all", "--dir", "d", "--partition", "0"}), HasSubstr("excludes"));
  EXPECT_THAT(refusal({"replay", "--all", "--dir", "d", "--from", "0"}), HasSubstr("no offset"));
  EXPECT_THAT(refusal({"replay", "--all", "--dir", "d", "--until", "9"}), HasSubstr("no offset"));
}

TEST(CommandLine, TakesAnAgeThoughItLooksLikeAnOption) {
  const auto apart = parse_as<replay_request>({"tail", "t", "--dir", "d", "--from", "-10m"});
  EXPECT_EQ(std::get<timestamp>(apart.options.from), now - 10min);
  const auto joined = parse_as<replay_request>({"tail", "t", "--dir", "d", "--from=-2h"});
  EXPECT_EQ(std::get<timestamp>(joined.options.from), now - 2h);
  const auto until = parse_as<replay_request>({"replay", "t", "--dir", "d", "--until", "-3d"});
  EXPECT_EQ(std::get<timestamp>(until.options.until), now - 72h);
}

TEST(CommandLine, TakesCheck) {
  EXPECT_EQ(parse_as<check_request>({"check", "--dir", "d"}).directory, "d");
}

TEST(CommandLine, TakesRepair) {
  EXPECT_FALSE(parse_as<repair_request>({"repair", "--dir", "d"}).dry_run);
  EXPECT_TRUE(parse_as<repair_request>({"repair", "--dir", "d", "--dry-run"}).dry_run);
}

TEST(CommandLine, TakesAGroupToReset) {
  const auto plain =
      parse_as<reset_request>({"groups", "reset", "g", "--dir", "d", "--topic", "t", "--to-earliest"});
  EXPECT_EQ(plain.directory, "d");
  EXPECT_EQ(plain.group, "g");
  EXPECT_EQ(plain.topic, "t");
  EXPECT_TRUE(std::holds_alternative<from_earliest>(plain.options.to));
  EXPECT_TRUE(plain.options.partitions.empty());
  EXPECT_TRUE(plain.options.dry_run);
  EXPECT_FALSE(plain.json);
  const auto full = parse_as<reset_request>({"groups", "--dir", "d", "reset", "--partition", "3", "--topic",
                                             "t", "--partition=0", "g", "--to-offset", "18446744073709551615",
                                             "--execute", "--json"});
  EXPECT_EQ(full.directory, "d");
  EXPECT_EQ(full.group, "g");
  EXPECT_EQ(full.options.partitions, (std::vector{partition_id{3}, partition_id{0}}));
  EXPECT_EQ(std::get<offset>(full.options.to), offset{~std::uint64_t{0}});
  EXPECT_FALSE(full.options.dry_run);
  EXPECT_TRUE(full.json);
}

TEST(CommandLine, TakesOneTargetOfAReset) {
  const auto target = [](const std::vector<std::string>& words) {
    std::vector<std::string> all{"groups", "reset", "g", "--dir", "d", "--topic", "t"};
    all.insert(all.end(), words.begin(), words.end());
    return parse_as<reset_request>(all).options.to;
  };
  const auto refused = [](const std::vector<std::string>& words) {
    std::vector<std::string> all{"groups", "reset", "g", "--dir", "d", "--topic", "t"};
    all.insert(all.end(), words.begin(), words.end());
    return refusal(all);
  };
  EXPECT_TRUE(std::holds_alternative<from_latest>(target({"--to-latest"})));
  EXPECT_EQ(std::get<timestamp>(target({"--to-time", "-10m"})), now - 10min);
  EXPECT_EQ(std::get<timestamp>(target({"--to-time", "@5"})), timestamp{5s});
  EXPECT_EQ(std::get<std::chrono::milliseconds>(target({"--by-duration", "2h"})), 2h);
  EXPECT_THAT(refused({}), HasSubstr("exactly one of --to-earliest, --to-latest"));
  EXPECT_THAT(refused({"--to-latest", "--to-offset", "1"}), HasSubstr("exactly one of"));
  for (const char* const time : {"earliest", "17", "noon", "-10"}) {
    EXPECT_THAT(refused({fmt::format("--to-time={}", time)}), HasSubstr("is no time such as")) << time;
  }
  for (const char* const length : {"-2h", "2", "@5", "2w"}) {
    EXPECT_THAT(refused({fmt::format("--by-duration={}", length)}), HasSubstr("is no length of time"))
        << length;
  }
  EXPECT_THAT(refused({"--to-offset=-1"}), HasSubstr("--to-offset"));
  EXPECT_THAT(refused({"--to-latest", "--partition", "x"}), HasSubstr("'x' is not a number"));
}

TEST(CommandLine, TakesAGroupToDelete) {
  const auto dry = parse_as<deletion_request>({"groups", "delete", "g", "--dir", "d"});
  EXPECT_EQ(dry.directory, "d");
  EXPECT_EQ(dry.group, "g");
  EXPECT_TRUE(dry.options.dry_run);
  EXPECT_FALSE(
      parse_as<deletion_request>({"groups", "delete", "g", "--dir", "d", "--execute"}).options.dry_run);
}

TEST(CommandLine, KnowsTheListingOfGroupsFromWhatChangesThem) {
  EXPECT_EQ(parse_as<list_request>({"groups", "g", "--dir", "d"}).name, "g");
  EXPECT_EQ(parse_as<list_request>({"groups", "--dir", "d", "--", "reset"}).name, "reset");
  EXPECT_EQ(parse_as<deletion_request>({"groups", "delete", "reset", "--dir", "d"}).group, "reset");
  EXPECT_EQ(parse_as<deletion_request>({"groups", "delete", "topics", "--dir", "d"}).group, "topics");
  EXPECT_EQ(refusal({"groups", "delete", "--dir", "d"}),
            "GROUP is required (see levada groups delete --help)");
  EXPECT_EQ(refusal({"groups", "delete", "g"}), "--dir is required (see levada groups delete --help)");
  EXPECT_THAT(refusal({"groups", "reset", "g", "--dir", "d", "--to-latest"}),
              HasSubstr("--topic is required"));
  EXPECT_THAT(refusal({"groups", "g", "delete", "h", "--dir", "d"}),
              HasSubstr("'g' does not go with delete"));
  EXPECT_THAT(refusal({"groups", "delete", "g", "h", "--dir", "d"}), HasSubstr("h"));
  const auto reset = help({"groups", "reset", "--help"});
  EXPECT_THAT(reset, HasSubstr("Usage: levada groups reset GROUP --dir DIR [options]\n"));
  EXPECT_THAT(reset, HasSubstr("--by-duration LENGTH"));
  EXPECT_THAT(help({"groups", "delete", "-h"}), HasSubstr("Usage: levada groups delete GROUP --dir DIR"));
  EXPECT_THAT(help({"groups", "--help"}), HasSubstr("\n  delete "));
}

TEST(CommandLine, NeedsACommand) {
  EXPECT_THAT(refusal({}), StartsWith("a command is needed"));
  EXPECT_THAT(refusal({"topic", "--dir", "d"}), StartsWith("there is no command 'topic'"));
  EXPECT_THAT(refusal({"--json"}), StartsWith("there is no option '--json' before a command"));
  EXPECT_THAT(refusal({"--dir", "d", "topics"}), StartsWith("there is no option '--dir' before a command"));
}

TEST(CommandLine, NeedsADirectoryEverywhere) {
  for (const char* const command :
       {"topics", "groups", "queues", "exchanges", "bindings", "policies", "check", "repair"}) {
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
  EXPECT_EQ(parse_as<replay_request>({"tail", "t", "--dir", "d", "-n", "010"}).count, 10U) << "not octal";
}

TEST(CommandLine, RefusesTextsThatMeanNothing) {
  EXPECT_THAT(refusal({"tail", "t", "--dir", "d", "--from", "noon"}), HasSubstr("--from: 'noon' is none of"));
  EXPECT_THAT(refusal({"replay", "t", "--dir", "d", "--until", "earliest"}),
              HasSubstr("--until: 'earliest' is none of latest, an offset"));
  for (const char* const speed : {"", "x", "-1", "nan", "inf", "2x", "1e999"}) {
    EXPECT_THAT(refusal({"replay", "t", "--dir", "d", std::string{"--speed="} + speed}), HasSubstr("--speed"))
        << speed;
  }
  EXPECT_THAT(refusal({"produce", "t", "--dir", "d", "--header", "a"}), HasSubstr("'a' is not of the form"));
  EXPECT_THAT(refusal({"produce", "t", "--dir", "d", "--header", "=a"}),
              HasSubstr("'=a' is not of the form"));
  EXPECT_THAT(refusal({"produce", "t", "--dir", "d", "--key-separator", ""}), HasSubstr("must not be empty"));
}

TEST(CommandLine, RefusesOptionsThatContradictEachOther) {
  EXPECT_THAT(refusal({"tail", "t", "--dir", "d", "--json", "--keys"}), HasSubstr("excludes"));
  EXPECT_THAT(refusal({"tail", "t", "--dir", "d", "--key-separator", ":"}), HasSubstr("requires --keys"));
  EXPECT_THAT(refusal({"replay", "t", "--dir", "d", "--follow", "--until", "latest"}), HasSubstr("excludes"));
}

TEST(CommandLine, HasHelpForTheProgramAndEachCommand) {
  const auto all = help({"--help"});
  for (const char* const command : {"topics", "produce", "tail", "replay", "groups", "queues", "exchanges",
                                    "bindings", "policies", "check", "repair"}) {
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
