#include "routing/matcher.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>

namespace levada::routing::test {
namespace {

using destination = matcher::destination;
using destinations = std::vector<destination>;

destinations match(const matcher& m, std::string_view key) {
  destinations found{99, 98};  // to be replaced
  m.match(key, found);
  return found;
}

TEST(Matcher, OfADirectExchangeComparesKeysWhole) {
  matcher m{exchange_type::direct};
  EXPECT_TRUE(m.add("a.*", 2));
  EXPECT_TRUE(m.add("a.*", 1));
  EXPECT_TRUE(m.add("#", 3));
  EXPECT_TRUE(m.add("", 4));
  EXPECT_EQ(match(m, "a.*"), (destinations{1, 2}));
  EXPECT_EQ(match(m, "a.b"), destinations{});
  EXPECT_EQ(match(m, ""), destinations{4});
}

TEST(Matcher, OfAFanoutExchangeFindsEveryQueueOnce) {
  matcher m{exchange_type::fanout};
  EXPECT_EQ(match(m, "a"), destinations{});
  EXPECT_TRUE(m.add("x", 5));
  EXPECT_TRUE(m.add("y", 5));
  EXPECT_TRUE(m.add("", 3));
  EXPECT_EQ(match(m, "anything"), (destinations{3, 5}));
  EXPECT_TRUE(m.remove("x", 5));
  EXPECT_EQ(match(m, "anything"), (destinations{3, 5})) << "the other binding is left";
  EXPECT_TRUE(m.remove("y", 5));
  EXPECT_EQ(match(m, "anything"), destinations{3});
}

TEST(Matcher, OfATopicExchangeFindsEachQueueOnceHoweverManyBindingsMatch) {
  matcher m{exchange_type::topic};
  for (const char* const key : {"a.b", "a.*", "#", "#.b", "a.#", "#.#", "*.*"}) EXPECT_TRUE(m.add(key, 7));
  EXPECT_TRUE(m.add("a.#.b", 2));
  EXPECT_EQ(match(m, "a.b"), (destinations{2, 7}));
}

class EveryMatcher : public ::testing::TestWithParam<exchange_type> {};
INSTANTIATE_TEST_SUITE_P(Types, EveryMatcher,
                         ::testing::Values(exchange_type::direct, exchange_type::fanout,
                                           exchange_type::topic));

TEST_P(EveryMatcher, TellsWhetherABindingIsNewAndWhetherItWasThere) {
  matcher m{GetParam()};
  EXPECT_FALSE(m.remove("a.b", 1));
  EXPECT_TRUE(m.add("a.b", 1));
  EXPECT_FALSE(m.add("a.b", 1));
  EXPECT_TRUE(m.add("a.b", 2));
  EXPECT_TRUE(m.add("a", 1));
  EXPECT_EQ(m.size(), 3U);
  EXPECT_FALSE(m.remove("a.b", 3));
  EXPECT_FALSE(m.remove("a.b.c", 1));
  EXPECT_FALSE(m.remove("b", 1));
  EXPECT_TRUE(m.remove("a.b", 1));
  EXPECT_FALSE(m.remove("a.b", 1));
  EXPECT_EQ(m.size(), 2U);
}

TEST_P(EveryMatcher, KeepsLongerBindingsWhenAShorterOneGoes) {
  matcher m{GetParam()};
  EXPECT_TRUE(m.add("a", 1));
  EXPECT_TRUE(m.add("a.b", 2));
  EXPECT_TRUE(m.add("a.#", 3));
  EXPECT_TRUE(m.remove("a", 1));
  EXPECT_TRUE(m.remove("a.#", 3));
  EXPECT_EQ(match(m, "a.b"), destinations{2});
  EXPECT_EQ(m.size(), 1U);
}

TEST_P(EveryMatcher, ForgetsAllBindingsOfAQueue) {
  matcher m{GetParam()};
  for (const char* const key : {"", "a", "a.*", "a.#", "#", "*.b.c"}) {
    EXPECT_TRUE(m.add(key, 1));
    EXPECT_TRUE(m.add(key, 2));
  }
  m.remove_all(1);
  EXPECT_EQ(m.size(), 6U);
  EXPECT_FALSE(m.remove("a", 1));
  for (const char* const key : {"", "a", "a.b", "x.b.c"}) {
    const auto found = match(m, key);
    EXPECT_EQ(std::count(found.begin(), found.end(), 1U), 0) << key;
  }
  EXPECT_EQ(match(m, "a"), destinations{2});
  m.remove_all(2);
  EXPECT_EQ(m.size(), 0U);
  EXPECT_EQ(match(m, "a"), destinations{});
}

TEST(Matcher, AnswersInTimeWhenPatternsConsistOfHashes) {
  matcher m{exchange_type::topic};
  std::string pattern = "#";
  for (destination i = 0; i < 60; ++i) {
    EXPECT_TRUE(m.add(pattern, i));
    pattern += ".*.#";
  }
  std::string key = "w";
  for (int i = 0; i < 29; ++i) key += ".w";
  EXPECT_EQ(match(m, key).size(), 31U) << "patterns with up to 30 stars";
}

/// What one binding matches, straight from the definition.
bool naive_match(const std::vector<std::string>& pattern, std::size_t p, const std::vector<std::string>& key,
                 std::size_t k) {
  if (p == pattern.size()) return k == key.size();
  if (pattern[p] == "#") {
    for (std::size_t skip = k; skip <= key.size(); ++skip) {
      if (naive_match(pattern, p + 1, key, skip)) return true;
    }
    return false;
  }
  return k < key.size() && (pattern[p] == "*" || pattern[p] == key[k]) &&
         naive_match(pattern, p + 1, key, k + 1);
}

std::string joined(const std::vector<std::string>& words) {
  std::string key;
  for (std::size_t i = 0; i < words.size(); ++i) key += (i == 0 ? "" : ".") + words[i];
  return key;
}

/// Bindings as a plain set, matched one by one.
class naive_matcher {
 public:
  explicit naive_matcher(exchange_type type) : type_{type} {}

  bool add(const std::vector<std::string>& key, destination to) { return all_.emplace(key, to).second; }
  bool remove(const std::vector<std::string>& key, destination to) { return all_.erase({key, to}) > 0; }
  void remove_all(destination to) {
    for (auto i = all_.begin(); i != all_.end();) i = i->second == to ? all_.erase(i) : std::next(i);
  }
  [[nodiscard]] destinations match(const std::vector<std::string>& key) const {
    std::set<destination> found;
    for (const auto& binding : all_) {
      const bool matches = type_ == exchange_type::fanout ||
                           (type_ == exchange_type::direct && binding.first == key) ||
                           (type_ == exchange_type::topic && naive_match(binding.first, 0, key, 0));
      if (matches) found.insert(binding.second);
    }
    return {found.begin(), found.end()};
  }
  [[nodiscard]] std::size_t size() const { return all_.size(); }

 private:
  exchange_type type_;
  std::set<std::pair<std::vector<std::string>, destination>> all_;
};

TEST_P(EveryMatcher, AgreesWithANaiveOneOverRandomBindings) {
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random{seed};
    const auto below = [&random](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    // Few words, so that bindings and keys meet; one empty and one that only looks like a wildcard. A sole
    // empty word is left out: it cannot be told from no word.
    const auto words = [&](bool wildcards) {
      static const char* const choice[] = {"a", "b", "", "a#", "*", "#", "*", "#"};
      std::vector<std::string> all(below(5));
      for (auto& word : all) word = choice[below(wildcards ? 8 : 4)];
      if (all.size() == 1 && all[0].empty()) all.clear();
      return all;
    };
    matcher fast{GetParam()};
    naive_matcher naive{GetParam()};
    std::vector<std::vector<std::string>> used{{}};
    for (int step = 0; step < 300; ++step) {
      const destination to = below(6);
      const auto what = below(20);
      if (what < 8) {
        used.push_back(words(true));
        ASSERT_EQ(fast.add(joined(used.back()), to), naive.add(used.back(), to)) << joined(used.back());
      } else if (what < 12) {
        const auto& key = used[below(static_cast<std::uint32_t>(used.size()))];
        ASSERT_EQ(fast.remove(joined(key), to), naive.remove(key, to)) << joined(key);
      } else if (what == 12) {
        fast.remove_all(to);
        naive.remove_all(to);
      } else {
        const auto key = words(below(4) == 0);
        ASSERT_EQ(match(fast, joined(key)), naive.match(key)) << joined(key);
      }
      ASSERT_EQ(fast.size(), naive.size());
    }
  }
}

}  // namespace
}  // namespace levada::routing::test
