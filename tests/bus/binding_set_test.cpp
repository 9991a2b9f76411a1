#include "bus/binding_set.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <support/result_testing.hpp>

namespace levada::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using entry = binding_set::entry;

constexpr std::uint32_t orders = 1;
constexpr std::uint32_t events = 2;
constexpr std::uint32_t desk = 7;
constexpr std::uint32_t archive = 8;

const binding_arguments urgent{{"level", std::int64_t{1}}, {"x-match", std::string{"all"}}};

bool same(const entry& a, const entry& b) {
  return a.exchange == b.exchange && a.destination == b.destination && a.key == b.key &&
         a.arguments == b.arguments;
}

TEST(BindingSet, HoldsNothingAtFirst) {
  binding_set set;
  EXPECT_EQ(set.find(1), nullptr);
  EXPECT_EQ(set.find(entry{0, orders, desk, "k"}), std::nullopt);
  EXPECT_FALSE(set.has_key({0, orders, desk, "k"}));
  EXPECT_THAT(set.from(orders), IsEmpty());
  EXPECT_THAT(set.to(desk), IsEmpty());
  EXPECT_EQ(set.count_from(orders), 0U);
  EXPECT_EQ(set.remove(1), std::nullopt);
}

TEST(BindingSet, FindsABindingByItsNumber) {
  binding_set set;
  set.add({5, orders, desk, "k", urgent});
  ASSERT_NE(set.find(5), nullptr);
  EXPECT_EQ(set.find(5)->id, 5U);
  EXPECT_TRUE(same(*set.find(5), {5, orders, desk, "k", urgent}));
  EXPECT_EQ(set.find(4), nullptr);
}

TEST(BindingSet, FindsABindingByItsEndsAndItsKey) {
  binding_set set;
  set.add({5, orders, desk, "k"});
  EXPECT_EQ(set.find(entry{0, orders, desk, "k"}), 5U) << "its number says nothing";
  EXPECT_EQ(set.find(entry{0, events, desk, "k"}), std::nullopt);
  EXPECT_EQ(set.find(entry{0, orders, archive, "k"}), std::nullopt);
  EXPECT_EQ(set.find(entry{0, desk, orders, "k"}), std::nullopt) << "from where to where matters";
  EXPECT_EQ(set.find(entry{0, orders, desk, "K"}), std::nullopt);
  EXPECT_EQ(set.find(entry{0, orders, desk, ""}), std::nullopt);
  EXPECT_EQ(set.find(entry{0, orders, desk, std::string("k\0", 2)}), std::nullopt);
}

TEST(BindingSet, TellsBindingsApartByTheirArguments) {
  binding_set set;
  const binding_arguments any{{"level", std::int64_t{1}}, {"x-match", std::string{"any"}}};
  const binding_arguments as_double{{"level", 1.0}, {"x-match", std::string{"all"}}};
  const binding_arguments fewer{{"level", std::int64_t{1}}};
  set.add({5, orders, desk, "k"});
  set.add({6, orders, desk, "k", urgent});
  set.add({9, orders, desk, "k", any});
  EXPECT_EQ(set.find(entry{0, orders, desk, "k"}), 5U);
  EXPECT_EQ(set.find(entry{0, orders, desk, "k", urgent}), 6U);
  EXPECT_EQ(set.find(entry{0, orders, desk, "k", any}), 9U);
  EXPECT_EQ(set.find(entry{0, orders, desk, "k", as_double}), std::nullopt) << "types matter";
  EXPECT_EQ(set.find(entry{0, orders, desk, "k", fewer}), std::nullopt);
  EXPECT_EQ(set.find(entry{0, orders, desk, "", urgent}), std::nullopt);
}

TEST(BindingSet, TellsWhetherAKeyIsBoundWhateverItsArguments) {
  binding_set set;
  set.add({6, orders, desk, "k", urgent});
  EXPECT_TRUE(set.has_key({0, orders, desk, "k"}));
  EXPECT_TRUE(set.has_key({0, orders, desk, "k", {{"other", true}}}));
  EXPECT_FALSE(set.has_key({0, orders, desk, "l", urgent}));
  EXPECT_FALSE(set.has_key({0, orders, archive, "k", urgent}));
  EXPECT_FALSE(set.has_key({0, events, desk, "k", urgent}));
  set.add({5, orders, desk, "k"});
  static_cast<void>(set.remove(6));
  EXPECT_TRUE(set.has_key({0, orders, desk, "k"})) << "the other one is left";
  static_cast<void>(set.remove(5));
  EXPECT_FALSE(set.has_key({0, orders, desk, "k"}));
}

TEST(BindingSet, TellsWhatLeadsFromAndToWhere) {
  binding_set set;
  set.add({9, orders, desk, "a"});
  set.add({3, orders, archive, "a"});
  set.add({5, orders, desk, "b"});
  set.add({4, events, desk, "a"});
  set.add({6, orders, events, "a"});  // from exchange to exchange
  EXPECT_THAT(set.from(orders), UnorderedElementsAre(3, 5, 6, 9));
  EXPECT_THAT(set.from(events), ElementsAre(4));
  EXPECT_THAT(set.from(desk), IsEmpty());
  EXPECT_THAT(set.to(desk), UnorderedElementsAre(4, 5, 9));
  EXPECT_THAT(set.to(archive), ElementsAre(3));
  EXPECT_THAT(set.to(events), ElementsAre(6));
  EXPECT_THAT(set.to(orders), IsEmpty());
  EXPECT_EQ(set.count_from(orders), 4U);
  EXPECT_EQ(set.count_from(events), 1U);
  EXPECT_EQ(set.count_from(desk), 0U);
}

TEST(BindingSet, TakesTheSmallestAndTheLargestNumbersForEnds) {
  constexpr std::uint32_t last = ~std::uint32_t{0};
  binding_set set;
  set.add({0, last, 0, ""});
  set.add({last, last, last, ""});
  set.add({1, 0, last, ""});
  EXPECT_THAT(set.from(last), UnorderedElementsAre(0, last));
  EXPECT_THAT(set.to(last), UnorderedElementsAre(1, last));
  EXPECT_THAT(set.from(0), ElementsAre(1));
  EXPECT_THAT(set.to(0), ElementsAre(0));
  EXPECT_EQ(set.find(entry{0, last, last, ""}), last);
}

TEST(BindingSet, GivesBackWhatItRemovesOnce) {
  binding_set set;
  set.add({5, orders, desk, "k", urgent});
  set.add({6, orders, desk, "k"});
  const auto removed = set.remove(5);
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->id, 5U);
  EXPECT_TRUE(same(*removed, {5, orders, desk, "k", urgent}));
  EXPECT_EQ(set.remove(5), std::nullopt);
  EXPECT_EQ(set.find(5), nullptr);
  EXPECT_EQ(set.find(entry{0, orders, desk, "k", urgent}), std::nullopt);
  EXPECT_EQ(set.find(entry{0, orders, desk, "k"}), 6U);
  EXPECT_THAT(set.from(orders), ElementsAre(6));
  EXPECT_THAT(set.to(desk), ElementsAre(6));
  EXPECT_EQ(set.count_from(orders), 1U);
}

/// What it shall be: a list.
class naive_bindings {
 public:
  void add(const entry& e) { all_.push_back(e); }
  std::optional<entry> remove(std::uint32_t id) {
    for (auto at = all_.begin(); at != all_.end(); ++at) {
      if (at->id != id) continue;
      entry e = *at;
      all_.erase(at);
      return e;
    }
    return std::nullopt;
  }
  [[nodiscard]] const entry* find(std::uint32_t id) const {
    for (const entry& e : all_) {
      if (e.id == id) return &e;
    }
    return nullptr;
  }
  [[nodiscard]] std::optional<std::uint32_t> find(const entry& wanted) const {
    for (const entry& e : all_) {
      if (same(e, wanted)) return e.id;
    }
    return std::nullopt;
  }
  [[nodiscard]] bool has_key(const entry& wanted) const {
    return std::any_of(all_.begin(), all_.end(), [&](const entry& e) {
      return e.exchange == wanted.exchange && e.destination == wanted.destination && e.key == wanted.key;
    });
  }
  [[nodiscard]] std::vector<std::uint32_t> from(std::uint32_t exchange) const {
    return ids_of([=](const entry& e) { return e.exchange == exchange; });
  }
  [[nodiscard]] std::vector<std::uint32_t> to(std::uint32_t destination) const {
    return ids_of([=](const entry& e) { return e.destination == destination; });
  }

 private:
  template <class Wanted>
  [[nodiscard]] std::vector<std::uint32_t> ids_of(Wanted wanted) const {
    std::vector<std::uint32_t> ids;
    for (const entry& e : all_) {
      if (wanted(e)) ids.push_back(e.id);
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  std::vector<entry> all_;
};

std::vector<std::uint32_t> sorted(std::vector<std::uint32_t> ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEST(BindingSet, BehavesLikeAPlainListUnderRandomOperations) {
  constexpr std::uint32_t ends = 5;
  const std::vector<std::string> keys{"", "a", "a.b", std::string("\0", 1)};
  const std::vector<binding_arguments> arguments{
      {}, urgent, {{"level", 1.0}}, {{"level", std::int64_t{1}}}, {{"level", std::monostate{}}}};
  for (unsigned seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    const auto below = [&](std::size_t n) {
      return std::uniform_int_distribution<std::size_t>{0, n - 1}(random);
    };
    const auto any_entry = [&] {
      return entry{0, static_cast<std::uint32_t>(below(ends)), static_cast<std::uint32_t>(below(ends)),
                   keys[below(keys.size())], arguments[below(arguments.size())]};
    };
    binding_set set;
    naive_bindings model;
    std::vector<std::uint32_t> ids;
    for (std::uint32_t step = 1; step <= 400; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      if (below(5) < 3) {
        entry e = any_entry();
        e.id = step;
        if (!set.find(e)) {  // none comes twice
          set.add(e);
          model.add(e);
          ids.push_back(e.id);
        }
      } else {
        const std::uint32_t id = ids.empty() || below(10) == 0 ? step : ids[below(ids.size())];
        std::erase(ids, id);
        const auto removed = set.remove(id);
        const auto expected = model.remove(id);
        ASSERT_EQ(removed.has_value(), expected.has_value());
        if (removed) {
          EXPECT_EQ(removed->id, id);
          EXPECT_TRUE(same(*removed, *expected));
        }
        EXPECT_EQ(set.find(id), nullptr);
      }
      for (int i = 0; i < 5; ++i) {
        const entry e = any_entry();
        ASSERT_EQ(set.find(e), model.find(e));
        ASSERT_EQ(set.has_key(e), model.has_key(e));
      }
      for (std::uint32_t end = 0; end <= ends; ++end) {
        ASSERT_EQ(sorted(set.from(end)), model.from(end));
        ASSERT_EQ(sorted(set.to(end)), model.to(end));
        ASSERT_EQ(set.count_from(end), model.from(end).size());
      }
      for (const std::uint32_t id : ids) {
        const entry* const found = set.find(id);
        ASSERT_NE(found, nullptr);
        ASSERT_TRUE(same(*found, *model.find(id)));
      }
    }
  }
}

}  // namespace
}  // namespace levada::test
