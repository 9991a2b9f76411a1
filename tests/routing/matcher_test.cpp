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

destinations match(matcher& m, std::string_view key) {
  destinations afresh{99, 98};  // to be replaced
  m.match_afresh(key, afresh);
  for (const char* const time : {"first", "second"}) {
    destinations found{97, 96};
    m.match(key, found);
    EXPECT_EQ(found, afresh) << time << " time, " << key;
  }
  return afresh;
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

TEST(Matcher, FindsWhatPatternsOfSixHashesMatchInTheLongestKeys) {
  matcher m{exchange_type::topic};
  constexpr std::size_t patterns = 1024;
  const auto words_of = [](std::size_t i) {
    std::string words;
    for (int n = 0; n < 5; ++n, i /= 4) words += "abc*"[i % 4];
    return words;
  };
  for (std::size_t i = 0; i < patterns; ++i) {
    std::string pattern = "#";
    for (const char word : words_of(i)) pattern += std::string{"."} + word + ".#";
    EXPECT_TRUE(m.add(pattern, static_cast<destination>(i)));
  }
  std::mt19937 random{1};
  for (const unsigned letters : {1U, 2U, 4U}) {
    std::string key(255, '.');
    std::string words;
    for (std::size_t i = 0; i < key.size(); i += 2)
      words += key[i] = static_cast<char>('a' + random() % letters);
    destinations expected;
    for (std::size_t i = 0; i < patterns; ++i) {
      // Such a pattern matches when its words come in this order.
      std::size_t at = 0;
      bool matches = true;
      for (const char word : words_of(i)) {
        at = word == '*' ? at : words.find(word, at);
        matches = matches && at < words.size();
        if (matches) ++at;
      }
      if (matches) expected.push_back(static_cast<destination>(i));
    }
    EXPECT_EQ(match(m, key), expected) << letters << " letters";
  }
}

TEST(Matcher, FindsManyQueuesOfOnePatternBesideFewOfAnother) {
  // A thousand destinations are too many to be remembered with all that keys lead to.
  for (const char* const shared : {"#", "a.#", "*.*"}) {
    SCOPED_TRACE(shared);
    matcher m{exchange_type::topic};
    destinations all;
    for (destination i = 0; i < 1000; ++i) {
      EXPECT_TRUE(m.add(shared, i));
      all.push_back(i);
    }
    EXPECT_TRUE(m.add("a.b", 2000));
    EXPECT_TRUE(m.add("c", 3000));
    all.push_back(2000);
    EXPECT_EQ(match(m, "a.b"), all);
    all.pop_back();
    EXPECT_EQ(match(m, "a.x"), all);
    EXPECT_EQ(match(m, "c").back(), 3000U);
  }
}

TEST(Matcher, FindsTheSameWhenThereIsMoreToRememberThanItMay) {
  matcher m{exchange_type::topic};
  constexpr destination words = 40;
  for (destination i = 0; i < words; ++i) {
    EXPECT_TRUE(m.add(fmt::format("w{}.*.*", i), i));
    EXPECT_TRUE(m.add(fmt::format("*.w{}.*", i), words + i));
    EXPECT_TRUE(m.add(fmt::format("*.*.w{}", i), 2 * words + i));
  }
  destinations found;
  for (destination n = 0; n < words * words * words; ++n) {
    const destination a = n % words;
    const destination b = n / words % words;
    const destination c = n / words / words;
    m.match(fmt::format("w{}.w{}.w{}", a, b, c), found);
    ASSERT_EQ(found, (destinations{a, words + b, 2 * words + c}));
  }
}

TEST(Matcher, TellsWordsOfAnyLengthApart) {
  // Words are told apart by their first and last bytes and their length, long ones by all of them.
  matcher m{exchange_type::topic};
  std::vector<std::string> words;
  for (std::size_t bytes = 0; bytes <= 40; ++bytes) {
    const std::string plain(bytes, 'x');
    words.push_back(plain);
    for (std::size_t i = 0; i < bytes; ++i) {
      words.push_back(plain);
      words.back()[i] = 'y';
    }
    if (bytes > 0) words.push_back(std::string(bytes, '\0'));
  }
  for (std::size_t i = 0; i < words.size(); ++i)
    EXPECT_TRUE(m.add("a." + words[i], static_cast<destination>(i)));
  for (std::size_t i = 0; i < words.size(); ++i)
    ASSERT_EQ(match(m, "a." + words[i]), destinations{static_cast<destination>(i)}) << words[i];
  EXPECT_EQ(match(m, "a.z"), destinations{});
}

TEST_P(EveryMatcher, ForgetsOneQueueAfterAnotherAmongManyBindings) {
  // Each removal takes the time of its own bindings: together they would last minutes if each looked at all.
  matcher m{GetParam()};
  constexpr destination queues = 30'000;
  for (destination i = 0; i < queues; ++i) {
    EXPECT_TRUE(m.add(fmt::format("a.device-{}.#", i), i));
    EXPECT_TRUE(m.add(fmt::format("*.device-{}.alarm", i), i));
  }
  for (destination i = 0; i < queues; ++i) {
    m.remove_all(i);
    ASSERT_EQ(m.size(), 2 * (queues - i - 1));
  }
  EXPECT_EQ(match(m, "a.device-7.alarm"), destinations{});
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
  for (std::uint32_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random{seed};
    const auto below = [&random](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    // Few words, so that bindings and keys meet; one empty and one that only looks like a wildcard. A sole
    // empty word is left out: it cannot be told from no word.
    const auto words = [&](bool wildcards) {
      static const char* const choice[] = {"a", "b", "", "a#", "*", "#", "*", "#"};
      std::vector<std::string> all(below(7));
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
        for (int i = 0; i < 5; ++i) {
          const auto key = words(below(4) == 0);
          ASSERT_EQ(match(fast, joined(key)), naive.match(key)) << joined(key);
        }
      }
      ASSERT_EQ(fast.size(), naive.size());
    }
  }
}

}  // namespace
}  // namespace levada::routing::test
