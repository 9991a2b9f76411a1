#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "routing/words.hpp"

#include <levada/routing.hpp>

namespace levada::routing::test {
namespace {

struct truth {
  std::string_view pattern;
  std::string_view key;
  bool matches;
};
void PrintTo(const truth& t, std::ostream* out) {
  *out << "'" << t.pattern << "' against '" << t.key << "'";
}

class TopicPattern : public ::testing::TestWithParam<truth> {};

TEST_P(TopicPattern, MatchesAsRabbitMq) {
  EXPECT_EQ(topic_matches(GetParam().pattern, GetParam().key), GetParam().matches);
}

constexpr truth table[] = {
    // Words are compared whole, byte by byte.
    {"a.b.c", "a.b.c", true},
    {"a.b.c", "a.b", false},
    {"a.b", "a.b.c", false},
    {"a", "A", false},
    {"a", "ab", false},
    {"ab", "a", false},
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"", ".", false},
    {".", "", false},
    {".", ".", true},
    {".", "..", false},
    // A star is exactly one word, which may be empty.
    {"*", "a", true},
    {"*", "", false},
    {"*", "a.b", false},
    {"*", ".", false},
    {"*.*", ".", true},
    {"a.*", "a.", true},
    {"a.*", "a", false},
    {"a.*", "a.b", true},
    {"a.*", "a.b.c", false},
    {"*.b", ".b", true},
    {"*.b", "b", false},
    {"a.*.c", "a.b.c", true},
    {"a.*.c", "a..c", true},
    {"a.*.c", "a.c", false},
    // A hash is any number of words, anywhere.
    {"#", "", true},
    {"#", "a", true},
    {"#", "a.b.c", true},
    {"#", "..", true},
    {"a.#", "a", true},
    {"a.#", "a.b.c", true},
    {"a.#", "a.", true},
    {"a.#", "b.a", false},
    {"a.#", "", false},
    {"#.b", "b", true},
    {"#.b", ".b", true},
    {"#.b", "a.x.b", true},
    {"#.b", "b.", false},
    {"#.b", "", false},
    {"a.#.b", "a.b", true},
    {"a.#.b", "a..x.b", true},
    {"a.#.b", "a.b.", false},
    {"a.#.b", "a", false},
    {"a.#.b", "a.b.c.b", true},
    {"a.#.a", "a", false},
    // Several wildcards.
    {"#.*", "a", true},
    {"#.*", "", false},
    {"*.#", "a", true},
    {"*.#", "", false},
    {"*.#", "a.b.c", true},
    {"#.#", "", true},
    {"#.#", "a", true},
    {"#.a.#", "x.a.y", true},
    {"#.a.#", "a", true},
    {"#.a.#", "x.y", false},
    {"#.*.#.*.#", "a", false},
    {"#.*.#.*.#", "a.b", true},
    {"*.#.b.*", "a.b.b", true},
    {"*.#.b.*", "a.b", false},
    // Wildcards are whole words of the pattern; anything else is a literal, and so is all of a key.
    {"a#b", "a#b", true},
    {"a#b", "ab", false},
    {"a*", "ab", false},
    {"a*", "a*", true},
    {"**", "a", false},
    {"**", "**", true},
    {"##", "a", false},
    {"a", "*", false},
    {"a.b", "a.#", false},
    {"a.b", "#", false},
    {"*", "#", true},
    {"#", "*.#", true},
};
INSTANTIATE_TEST_SUITE_P(TruthTable, TopicPattern, ::testing::ValuesIn(table));

TEST(TopicPattern, TakesNoLongerForManyHashes) {
  // Backtracking would need more steps than there are atoms in a cup.
  std::string pattern = "#";
  for (int i = 0; i < 60; ++i) pattern += ".a.#";
  std::string key = "a";
  for (int i = 0; i < 120; ++i) key += ".a";
  EXPECT_TRUE(topic_matches(pattern, key));
  EXPECT_FALSE(topic_matches(pattern + ".b", key));
}

TEST(Words, AreWhatDotsPart) {
  using words = std::vector<std::string_view>;
  EXPECT_EQ(split_words(""), words{});
  EXPECT_EQ(split_words("a"), words{"a"});
  EXPECT_EQ(split_words("."), (words{"", ""}));
  EXPECT_EQ(split_words("a."), (words{"a", ""}));
  EXPECT_EQ(split_words(".a"), (words{"", "a"}));
  EXPECT_EQ(split_words("ab.c..d"), (words{"ab", "c", "", "d"}));
}

}  // namespace
}  // namespace levada::routing::test
