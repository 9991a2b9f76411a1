#include "routing/headers_matcher.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace levada::routing::test {
namespace {

using destination = headers_matcher::destination;
using destinations = std::vector<destination>;
using headers = std::vector<header>;

constexpr std::monostate nothing{};
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Of its own, since a literal would become a bool.
header_value text(std::string_view t) {
  return std::string{t};
}
header_value number(std::int64_t n) {
  return n;
}
header_value bytes(std::string_view b) {
  binary value;
  for (const char c : b) value.push_back(static_cast<std::byte>(c));
  return value;
}
header_value time_of(std::int64_t microseconds) {
  return timestamp{std::chrono::microseconds{microseconds}};
}

std::vector<header_view> views_of(const headers& all) {
  std::vector<header_view> views;
  for (const header& h : all) {
    views.push_back({h.name, std::visit([](const auto& v) { return header_value_view{v}; }, h.value)});
  }
  return views;
}

destinations match(const headers_matcher& m, const headers& message) {
  destinations found{99, 98};  // to be replaced
  m.match(views_of(message), found);
  return found;
}

struct row {
  const char* name;
  headers arguments;
  headers message;
  bool matches;

  friend void PrintTo(const row& r, std::ostream* out) { *out << r.name; }
};

class HeadersTruth : public ::testing::TestWithParam<row> {};

TEST_P(HeadersTruth, Holds) {
  const row& r = GetParam();
  ASSERT_EQ(flaw_of(r.arguments), std::nullopt);
  headers_matcher m;
  EXPECT_TRUE(m.add("", r.arguments, 7));
  EXPECT_EQ(match(m, r.message), r.matches ? destinations{7} : destinations{});
  // Neither the order of arguments nor that of different headers makes a difference.
  headers_matcher other;
  const headers reversed{r.arguments.rbegin(), r.arguments.rend()};
  EXPECT_TRUE(other.add("key", reversed, 7));
  headers message = r.message;
  std::stable_sort(message.begin(), message.end(),
                   [](const header& a, const header& b) { return a.name > b.name; });
  EXPECT_EQ(match(other, message), r.matches ? destinations{7} : destinations{});
}

const header all{"x-match", text("all")};
const header any{"x-match", text("any")};
const header all_with_x{"x-match", text("all-with-x")};
const header any_with_x{"x-match", text("any-with-x")};
const header a1{"a", number(1)};
const header a2{"a", number(2)};
const header b1{"b", number(1)};
const header b2{"b", number(2)};
const header c1{"c", number(1)};
const header x1{"x-a", number(1)};
const header x2{"x-a", number(2)};

INSTANTIATE_TEST_SUITE_P(
    Modes, HeadersTruth,
    ::testing::Values(
        row{"AllNeedsAll", {all, a1, b1}, {a1, b1, c1}, true},
        row{"AllLacksOne", {all, a1, b1}, {a1, c1}, false},
        row{"AllLacksTheFirst", {all, a1, b1}, {b1, c1}, false},
        row{"AllWithOneOtherValue", {all, a1, b1}, {a1, b2}, false},
        row{"AllWithoutHeaders", {all, a1}, {}, false}, row{"AllIsTheDefault", {a1, b1}, {a1, b1}, true},
        row{"TheDefaultLacksOne", {a1, b1}, {a1}, false}, row{"AnyNeedsOne", {any, a1, b1}, {b1}, true},
        row{"AnyNeedsTheOther", {any, a1, b1}, {a1, b2}, true},
        row{"AnyFindsNone", {any, a1, b1}, {a2, b2, c1}, false},
        row{"AnyWithoutHeaders", {any, a1}, {}, false}, row{"EmptyAll", {all}, {a1}, true},
        row{"EmptyAllWithoutHeaders", {all}, {}, true}, row{"NoArguments", {}, {a1}, true},
        row{"NoArgumentsNorHeaders", {}, {}, true}, row{"EmptyAny", {any}, {a1}, false},
        row{"EmptyAnyWithoutHeaders", {any}, {}, false}, row{"EmptyAllWithX", {all_with_x}, {}, true},
        row{"EmptyAnyWithX", {any_with_x}, {x1}, false}, row{"AllSkipsX", {all, a1, x1}, {a1}, true},
        row{"AllSkipsXOfOtherValue", {all, a1, x1}, {a1, x2}, true}, row{"TheDefaultSkipsX", {x1}, {}, true},
        row{"AnySkipsX", {any, a1, x1}, {x1}, false}, row{"AnyBesideX", {any, a1, x1}, {a1}, true},
        row{"AllWithXNeedsX", {all_with_x, a1, x1}, {a1}, false},
        row{"AllWithXOfOtherValue", {all_with_x, a1, x1}, {a1, x2}, false},
        row{"AllWithXFindsX", {all_with_x, a1, x1}, {a1, x1}, true},
        row{"AnyWithXFindsX", {any_with_x, a1, x1}, {x1}, true},
        row{"AnyWithXFindsNone", {any_with_x, a1, x1}, {a2, x2}, false},
        row{"XMatchIsNeverWanted", {all_with_x, a1}, {a1}, true},
        row{"XMatchIsNeverFound", {any_with_x, a1}, {any_with_x}, false},
        row{"BigXIsAnOrdinaryName", {{"X-a", number(1)}}, {}, false},
        row{"XAloneIsAnOrdinaryName", {{"x", number(1)}}, {}, false}),
    ::testing::PrintToStringParamName());

INSTANTIATE_TEST_SUITE_P(
    Values, HeadersTruth,
    ::testing::Values(row{"VoidIsMetByAnyValue", {{"a", nothing}}, {a2}, true},
                      row{"VoidIsMetByVoid", {{"a", nothing}}, {{"a", nothing}}, true},
                      row{"VoidNeedsTheName", {{"a", nothing}}, {b1}, false},
                      row{"AnyOfVoids", {any, {"a", nothing}, {"b", nothing}}, {b1}, true},
                      row{"AllOfVoids", {{"a", nothing}, {"b", nothing}}, {b1}, false},
                      row{"AVoidHeaderHasNoValue", {a1}, {{"a", nothing}}, false},
                      row{"ZeroIsNoVoid", {{"a", number(0)}}, {{"a", nothing}}, false},
                      row{"Texts", {{"a", text("1")}}, {{"a", text("1")}}, true},
                      row{"TextsOfOtherCase", {{"a", text("v")}}, {{"a", text("V")}}, false},
                      row{"ATextAndItsFront", {{"a", text("long")}}, {{"a", text("lon")}}, false},
                      row{"EmptyTexts", {{"a", text("")}}, {{"a", text("")}}, true},
                      row{"AnEmptyTextIsNotVoid", {{"a", text("")}}, {{"a", nothing}}, false},
                      row{"NumberAndText", {a1}, {{"a", text("1")}}, false},
                      row{"NumberAndDouble", {a1}, {{"a", 1.0}}, false},
                      row{"DoubleAndNumber", {{"a", 1.0}}, {a1}, false},
                      row{"Doubles", {{"a", 1.5}}, {{"a", 1.5}}, true},
                      row{"OtherDoubles", {{"a", 1.5}}, {{"a", 1.25}}, false},
                      row{"ZeroAndMinusZero", {{"a", 0.0}}, {{"a", -0.0}}, true},
                      row{"MinusZeroAndZero", {{"a", -0.0}}, {{"a", 0.0}}, true},
                      row{"NaNAndNaN", {{"a", not_a_number}}, {{"a", not_a_number}}, false},
                      row{"AnyNaN", {any, {"a", not_a_number}}, {{"a", not_a_number}}, false},
                      row{"NaNMeetsVoid", {{"a", nothing}}, {{"a", not_a_number}}, true},
                      row{"Bools", {{"a", true}}, {{"a", true}}, true},
                      row{"OtherBools", {{"a", true}}, {{"a", false}}, false},
                      row{"BoolAndNumber", {{"a", true}}, {a1}, false},
                      row{"Binaries", {{"a", bytes("1")}}, {{"a", bytes("1")}}, true},
                      row{"OtherBinaries", {{"a", bytes("12")}}, {{"a", bytes("13")}}, false},
                      row{"ABinaryAndItsFront", {{"a", bytes("12")}}, {{"a", bytes("1")}}, false},
                      row{"BinaryAndText", {{"a", bytes("1")}}, {{"a", text("1")}}, false},
                      row{"TextAndBinary", {{"a", text("1")}}, {{"a", bytes("1")}}, false},
                      row{"Times", {{"a", time_of(1)}}, {{"a", time_of(1)}}, true},
                      row{"OtherTimes", {{"a", time_of(1)}}, {{"a", time_of(2)}}, false},
                      row{"TimeAndNumber", {{"a", time_of(1)}}, {a1}, false},
                      row{"OfARepeatedNameTheFirst", {a1}, {a1, a2}, true},
                      row{"OfARepeatedNameNotTheSecond", {a1}, {a2, a1}, false},
                      row{"AnyNotTheSecondEither", {any, a1, b1}, {a2, a1, b2}, false},
                      row{"BehindARepeatedName", {a1, b1}, {a1, a2, b1, b2}, true},
                      row{"NamesOfOtherCase", {a1}, {{"A", number(1)}}, false},
                      row{"ANameAndItsFront", {{"ab", number(1)}}, {a1}, false}),
    ::testing::PrintToStringParamName());

TEST(HeadersMatcher, TellsBindingsApartByKeyArgumentsAndDestination) {
  headers_matcher m;
  const headers arguments{a1, b1};
  EXPECT_FALSE(m.remove("", arguments, 1));
  EXPECT_TRUE(m.add("", arguments, 1));
  EXPECT_FALSE(m.add("", arguments, 1));
  EXPECT_FALSE(m.add("", headers{b1, a1}, 1)) << "the order of arguments makes no difference";
  EXPECT_TRUE(m.add("k", arguments, 1));
  EXPECT_TRUE(m.add("", arguments, 2));
  EXPECT_TRUE(m.add("", headers{a1}, 1));
  EXPECT_TRUE(m.add("", headers{a1, b2}, 1));
  EXPECT_TRUE(m.add("", headers{a1, {"b", 1.0}}, 1));
  EXPECT_TRUE(m.add("", headers{all, a1, b1}, 1)) << "other arguments, though they mean the same";
  EXPECT_TRUE(m.add("", headers{a1, b1, x1}, 1)) << "what is skipped is an argument all the same";
  EXPECT_TRUE(m.add("", {}, 1));
  EXPECT_EQ(m.size(), 9U);
  EXPECT_EQ(match(m, {a1, b1}), (destinations{1, 2})) << "each queue once";

  EXPECT_FALSE(m.remove("x", arguments, 1));
  EXPECT_FALSE(m.remove("", arguments, 3));
  EXPECT_FALSE(m.remove("", headers{b1}, 1));
  EXPECT_TRUE(m.remove("", headers{b1, a1}, 2));
  EXPECT_FALSE(m.remove("", arguments, 2));
  EXPECT_EQ(m.size(), 8U);
  EXPECT_EQ(match(m, {a1, b1}), destinations{1});
}

TEST(HeadersMatcher, TellsBindingsApartHoweverTheirTextsAreCut) {
  headers_matcher m;
  EXPECT_TRUE(m.add("", headers{{"ab", text("c")}}, 1));
  EXPECT_TRUE(m.add("", headers{{"a", text("bc")}}, 1));
  EXPECT_TRUE(m.add("a", headers{{"b", text("c")}}, 1));
  EXPECT_TRUE(m.add("", headers{{"ab", bytes("c")}}, 1));
  EXPECT_TRUE(m.add(std::string_view{"\0", 1}, {}, 1));
  EXPECT_TRUE(m.add("", {}, 1));
  EXPECT_EQ(m.size(), 6U);
}

TEST(HeadersMatcher, KnowsABindingAgainWhoseValueEqualsNothing) {
  headers_matcher m;
  EXPECT_TRUE(m.add("", headers{{"a", not_a_number}}, 1));
  EXPECT_FALSE(m.add("", headers{{"a", -not_a_number}}, 1));
  EXPECT_TRUE(m.add("", headers{{"a", 0.0}}, 1));
  EXPECT_FALSE(m.add("", headers{{"a", -0.0}}, 1));
  EXPECT_TRUE(m.remove("", headers{{"a", not_a_number}}, 1));
  EXPECT_TRUE(m.remove("", headers{{"a", -0.0}}, 1));
  EXPECT_EQ(m.size(), 0U);
}

TEST(HeadersMatcher, KeepsTheOtherBindingOfAQueue) {
  headers_matcher m;
  EXPECT_TRUE(m.add("", headers{a1}, 1));
  EXPECT_TRUE(m.add("", headers{any, b1, c1}, 1));
  EXPECT_TRUE(m.remove("", headers{a1}, 1));
  EXPECT_EQ(match(m, {a1}), destinations{});
  EXPECT_EQ(match(m, {a1, c1}), destinations{1});
}

TEST(HeadersMatcher, ForgetsAllBindingsOfAQueue) {
  headers_matcher m;
  const std::vector<headers> several{{}, {a1}, {a1, b1}, {any, a1, c1}, {{"a", nothing}}, {any}};
  for (const headers& arguments : several) {
    for (const destination to : {1U, 2U, 3U}) EXPECT_TRUE(m.add("", arguments, to));
  }
  m.remove_all(2);
  EXPECT_EQ(m.size(), 2 * several.size());
  EXPECT_EQ(match(m, {a1, b1, c1}), (destinations{1, 3}));
  EXPECT_FALSE(m.remove("", headers{a1}, 2));
  m.remove_all(2);
  m.remove_all(1);
  EXPECT_EQ(match(m, {a1, b1, c1}), destinations{3});
  m.remove_all(3);
  EXPECT_EQ(m.size(), 0U);
  EXPECT_EQ(match(m, {a1, b1, c1}), destinations{});
  EXPECT_TRUE(m.add("", headers{a1}, 2));
  EXPECT_EQ(match(m, {a1}), destinations{2});
}

TEST(HeadersMatcher, AnswersInTimeWhenBindingsShareAllArgumentsButOne) {
  // Together the messages would last minutes if each were compared with every binding.
  headers_matcher m;
  constexpr destination queues = 30'000;
  for (destination i = 0; i < queues; ++i) {
    EXPECT_TRUE(m.add("", headers{{"format", text("pdf")}, {"kind", nothing}, {"user", number(i)}}, i));
  }
  for (destination i = 0; i < queues; ++i) {
    const headers message{{"user", number(i)}, {"kind", text("bill")}, {"format", text("pdf")}};
    ASSERT_EQ(match(m, message), destinations{i});
  }
  for (destination i = 0; i < queues; ++i) m.remove_all(i);
  EXPECT_EQ(m.size(), 0U);
}

TEST(HeadersMatcher, TellsWhatIsWrongWithArguments) {
  using ::testing::HasSubstr;
  using ::testing::Optional;
  for (const header& how : {all, any, all_with_x, any_with_x})
    EXPECT_EQ(flaw_of(headers{a1, how, b1}), std::nullopt);
  EXPECT_EQ(flaw_of({}), std::nullopt);
  EXPECT_EQ(flaw_of(headers{a1, x1, {"b", nothing}, {"A", number(1)}}), std::nullopt);
  EXPECT_THAT(flaw_of(headers{a1, b1, a2}), Optional(HasSubstr("'a' comes twice")));
  EXPECT_THAT(flaw_of(headers{all, a1, all}), Optional(HasSubstr("'x-match' comes twice")));
  for (const char* const how : {"", "All", "none", "all-with-y", "any "})
    EXPECT_THAT(flaw_of(headers{{"x-match", text(how)}}), Optional(HasSubstr(fmt::format("'{}'", how))));
  for (const header_value& value : {header_value{nothing}, number(1), bytes("all"), header_value{true}})
    EXPECT_THAT(flaw_of(headers{{"x-match", value}}), Optional(HasSubstr("not a text")));
}

/// Bindings as a plain list, matched one by one, straight from the definition.
class naive_matcher {
 public:
  bool add(std::string_view key, const headers& arguments, destination to) {
    if (find(key, arguments, to) != bindings_.end()) return false;
    bindings_.push_back({std::string{key}, arguments, to});
    return true;
  }
  bool remove(std::string_view key, const headers& arguments, destination to) {
    const auto at = find(key, arguments, to);
    if (at == bindings_.end()) return false;
    bindings_.erase(at);
    return true;
  }
  void remove_all(destination to) {
    bindings_.erase(
        std::remove_if(bindings_.begin(), bindings_.end(), [=](const binding& b) { return b.to == to; }),
        bindings_.end());
  }
  [[nodiscard]] destinations match(const headers& message) const {
    std::set<destination> found;
    for (const binding& b : bindings_) {
      if (matches(b.arguments, message)) found.insert(b.to);
    }
    return {found.begin(), found.end()};
  }
  [[nodiscard]] std::size_t size() const { return bindings_.size(); }

 private:
  struct binding {
    std::string key;
    headers arguments;
    destination to;
  };

  static const header* first_of(const headers& all_of_them, std::string_view name) {
    for (const header& h : all_of_them) {
      if (h.name == name) return &h;
    }
    return nullptr;
  }
  static bool same(const headers& a, const headers& b) {
    return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const header& h) {
             const header* const other = first_of(b, h.name);
             return other != nullptr && other->value == h.value;
           });
  }
  std::vector<binding>::iterator find(std::string_view key, const headers& arguments, destination to) {
    return std::find_if(bindings_.begin(), bindings_.end(), [&](const binding& b) {
      return b.key == key && b.to == to && same(b.arguments, arguments);
    });
  }
  static bool matches(const headers& arguments, const headers& message) {
    const header* const how = first_of(arguments, "x-match");
    const std::string mode = how == nullptr ? "all" : std::get<std::string>(how->value);
    const bool with_x = mode.ends_with("-with-x");
    std::size_t wanted = 0;
    std::size_t met = 0;
    for (const header& argument : arguments) {
      if (argument.name == "x-match" || (!with_x && argument.name.substr(0, 2) == "x-")) continue;
      ++wanted;
      const header* const there = first_of(message, argument.name);
      if (there == nullptr) continue;
      if (std::holds_alternative<std::monostate>(argument.value) || argument.value == there->value) ++met;
    }
    return mode.starts_with("all") ? met == wanted : met > 0;
  }

  std::vector<binding> bindings_;
};

TEST(HeadersMatcher, AgreesWithTheDefinitionOverRandomHistories) {
  const auto seed = static_cast<unsigned>(std::random_device{}());
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random{seed};
  const std::vector<std::string> names{"a",   "b",   "c",           "ab",
                                       "x-a", "x-b", "x-match-not", "long-name-of-a-header"};
  const std::vector<header_value> values{nothing,    number(1),  number(2),    1.0,         -0.0,
                                         0.0,        text("1"),  text("long"), bytes("1"),  true,
                                         time_of(1), time_of(2), text(""),     not_a_number};
  const std::vector<std::string> modes{"all", "any", "all-with-x", "any-with-x"};
  const auto one_of = [&](const auto& several) -> const auto& {
    return several[random() % several.size()];
  };

  for (int history = 0; history < 40; ++history) {
    headers_matcher m;
    naive_matcher naive;
    // With few values many match; with all of them few do.
    const std::size_t values_used = history % 2 == 0 ? 3 : values.size();
    const auto some_headers = [&](std::size_t count_max, bool names_repeat, bool equal_to_themselves) {
      headers some;
      for (std::size_t n = random() % (count_max + 1); n > 0; --n) {
        const std::string& name = one_of(names);
        header_value value = values[random() % values_used];
        const bool there =
            std::any_of(some.begin(), some.end(), [&](const header& h) { return h.name == name; });
        if ((there && !names_repeat) || (equal_to_themselves && value != value)) continue;
        some.emplace_back(name, std::move(value));
      }
      return some;
    };
    std::vector<std::tuple<std::string, headers, destination>> known;
    for (int step = 0; step < 300; ++step) {
      const auto what = random() % 100;
      if (what < 30) {
        headers arguments = some_headers(4, false, true);
        if (random() % 4 != 0) arguments.emplace_back("x-match", text(one_of(modes)));
        const std::string key = random() % 2 == 0 ? "" : "k";
        const auto to = static_cast<destination>(random() % 12);
        ASSERT_EQ(m.add(key, arguments, to), naive.add(key, arguments, to));
        known.emplace_back(key, arguments, to);
      } else if (what < 45 && !known.empty()) {
        auto [key, arguments, to] = one_of(known);
        std::shuffle(arguments.begin(), arguments.end(), random);
        ASSERT_EQ(m.remove(key, arguments, to), naive.remove(key, arguments, to));
      } else if (what < 47) {
        const auto to = static_cast<destination>(random() % 12);
        m.remove_all(to);
        naive.remove_all(to);
      } else {
        const headers message = some_headers(8, true, false);
        ASSERT_EQ(match(m, message), naive.match(message));
      }
      ASSERT_EQ(m.size(), naive.size());
    }
  }
}

}  // namespace
}  // namespace levada::routing::test
