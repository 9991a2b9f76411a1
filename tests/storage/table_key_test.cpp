#include <levada/table_key.hpp>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace levada::test {
namespace {

using ::testing::Optional;

std::string hex_of(const table_key& key) {
  std::string text;
  for (const char c : key.encoded()) {
    constexpr const char* digits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

TEST(TableKey, IsEncodedAsFoundationDbsTuplesAre) {
  EXPECT_EQ(hex_of("ab"), "01616200");
  EXPECT_EQ(hex_of(std::string_view{"a\0b", 3}), "016100ff6200");
  EXPECT_EQ(hex_of(0), "14");
  EXPECT_EQ(hex_of(5), "1505");
  EXPECT_EQ(hex_of(-5), "13fa");
  EXPECT_EQ(hex_of(-5551212), "11ab4b93");  // the example of its specification
  EXPECT_EQ(hex_of(std::numeric_limits<std::int64_t>::min()), "0c7fffffffffffffff");
  EXPECT_EQ(hex_of(std::numeric_limits<std::uint64_t>::max()), "1cffffffffffffffff");
  EXPECT_EQ(hex_of(table_key{"a", 1}), "0161001501");
}

TEST(TableKey, GivesItsPartsBack) {
  const std::string odd{"x\0\xff\0", 4};
  const table_key key{odd, std::int64_t{-300}, std::numeric_limits<std::uint64_t>::max(), ""};
  EXPECT_EQ(key.size(), 4U);
  EXPECT_THAT(key.string(0), Optional(odd));
  EXPECT_EQ(key.number(0), std::nullopt);
  EXPECT_THAT(key.number(1), Optional(-300));
  EXPECT_EQ(key.unsigned_number(1), std::nullopt);
  EXPECT_EQ(key.number(2), std::nullopt) << "it does not fit";
  EXPECT_THAT(key.unsigned_number(2), Optional(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_THAT(key.string(3), Optional(std::string{}));
  EXPECT_EQ(key.string(4), std::nullopt);
  EXPECT_THAT(table_key{std::numeric_limits<std::int64_t>::min()}.number(0),
              Optional(std::numeric_limits<std::int64_t>::min()));
}

TEST(TableKey, IsDecodedFromItsEncodingAndFromNothingElse) {
  const table_key key{"order", 17, "line", -3};
  EXPECT_EQ(table_key::decode(key.encoded()), key);
  EXPECT_EQ(table_key::decode(""), std::nullopt);
  for (std::size_t n = 1; n < key.encoded().size(); ++n) {
    const auto part = table_key::decode(key.encoded().substr(0, n));
    // Where it is a key, it is one of fewer parts.
    if (part) {
      EXPECT_LT(part->size(), key.size()) << n;
    }
  }
  EXPECT_EQ(table_key::decode(std::string_view{"\x15\0", 2}), std::nullopt) << "not the shortest form";
  EXPECT_EQ(table_key::decode("\x02"), std::nullopt) << "no code of ours";
}

/// Parts as they compare: strings before numbers.
using part = std::variant<std::string, std::int64_t>;

table_key key_of(const std::vector<part>& parts) {
  const auto add = [](const part& p, const auto&... before) {
    return std::holds_alternative<std::string>(p) ? table_key{before..., std::get<std::string>(p)}
                                                  : table_key{before..., std::get<std::int64_t>(p)};
  };
  if (parts.size() == 1) return add(parts[0]);
  return std::visit([&](const auto& first) { return add(parts[1], first); }, parts[0]);
}

TEST(TableKey, IsShownToPeople) {
  EXPECT_EQ(table_key{"ada"}.text(), "\"ada\"");
  EXPECT_EQ((table_key{"a\"\n", -17, 3}.text()), "(\"a\\x22\\x0a\", -17, 3)");
}

TEST(TableKey, KeepsTheOrderOfItsParts) {
  std::mt19937_64 random{7};
  const auto some_part = [&]() -> part {
    if (random() % 2 == 0) {
      std::string text;
      for (std::uint64_t n = random() % 4; n > 0; --n) text += "\0\1a\xff"[random() % 4];
      return text;
    }
    const auto bits = static_cast<std::int64_t>(random());
    return bits >> (random() % 64);
  };
  std::vector<std::vector<part>> all;
  for (int i = 0; i < 400; ++i) {
    all.push_back({some_part()});
    if (random() % 2 == 0) all.back().push_back(some_part());
  }
  const auto bytewise = [](const part& a, const part& b) {
    if (a.index() != b.index()) return a.index() < b.index();
    if (a.index() == 1) return std::get<1>(a) < std::get<1>(b);
    return std::get<0>(a) < std::get<0>(b);  // as std::string compares: by unsigned bytes
  };
  for (const auto& a : all) {
    for (const auto& b : all) {
      const bool before = std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), bytewise);
      EXPECT_EQ(key_of(a) < key_of(b), before) << hex_of(key_of(a)) << " and " << hex_of(key_of(b));
    }
  }
}

bool contains(const key_range& range, const table_key& key) {
  const std::string stored = key.encoded() + '\0';
  return stored >= range.lower() && (range.upper().empty() || stored < range.upper());
}

TEST(KeyRange, OfAPrefixHoldsWhatBeginsWithItsParts) {
  const auto range = key_range::prefix("a");
  EXPECT_TRUE(contains(range, "a"));
  EXPECT_TRUE(contains(range, table_key{"a", 1}));
  EXPECT_TRUE(contains(range, table_key{"a", "z", "z"}));
  EXPECT_FALSE(contains(range, "ab"));
  EXPECT_FALSE(contains(range, std::string{"a\0", 2}));
  EXPECT_FALSE(contains(range, "b"));
  EXPECT_FALSE(contains(range, 1));
}

TEST(KeyRange, IsCutByFromAfterAndBefore) {
  const auto range = key_range::between(2, 5);
  EXPECT_FALSE(contains(range, 1));
  EXPECT_TRUE(contains(range, 2));
  EXPECT_TRUE(contains(range, table_key{4, "x"}));
  EXPECT_FALSE(contains(range, 5));
  EXPECT_TRUE(contains(range.from(3), 3));
  EXPECT_FALSE(contains(range.from(3), 2));
  EXPECT_FALSE(contains(range.after(3), 3));
  EXPECT_TRUE(contains(range.after(3), table_key{3, ""}));
  EXPECT_FALSE(contains(range.before(4), 4));
  EXPECT_FALSE(contains(range.before(9), 5)) << "it never grows";
  EXPECT_FALSE(contains(range.from(1), 1));
  EXPECT_TRUE(contains(key_range{}, "anything"));
}

}  // namespace
}  // namespace levada::test
