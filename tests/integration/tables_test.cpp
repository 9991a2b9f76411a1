// The host's own tables, without transactions.

#include <support/bus_fixture.hpp>

#include <string>
#include <vector>

namespace levada::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

class Tables : public bus_fixture {
 protected:
  table accounts() { return ok(the_bus().declare_table("accounts")); }
  static std::vector<std::string> values(const std::vector<table_entry>& entries) {
    std::vector<std::string> all;
    for (const auto& e : entries) all.push_back(e.value);
    return all;
  }
};

TEST_F(Tables, KeepWhatIsPutAcrossReopening) {
  {
    const auto t = accounts();
    EXPECT_EQ(t.name(), "accounts");
    ok(t.put("ada", "1"));
    ok(t.put(42, std::string(table_value_bytes_max, 'v')));
    ok(t.put("ada", "2"));
    EXPECT_THAT(ok(t.get("ada")), Optional(std::string{"2"}));
  }
  reopen();
  const auto t = ok(the_bus().table("accounts"));
  EXPECT_THAT(ok(t.get("ada")), Optional(std::string{"2"}));
  EXPECT_EQ(ok(t.get(42))->size(), table_value_bytes_max);
  EXPECT_EQ(ok(t.get("eve")), std::nullopt);
  EXPECT_TRUE(ok(t.erase("ada")));
  EXPECT_FALSE(ok(t.erase("ada")));
  EXPECT_EQ(ok(t.get("ada")), std::nullopt);
  expect_sound();
}

TEST_F(Tables, AreScannedInOrderAndInParts) {
  const auto t = accounts();
  for (int n = 9; n >= 0; --n) ok(t.put(table_key{"line", n}, std::to_string(n)));
  ok(t.put("other", "x"));
  const auto lines = key_range::prefix("line");
  EXPECT_THAT(values(ok(t.scan(lines))), ElementsAre("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"));
  EXPECT_THAT(values(ok(t.scan(lines.before({"line", 2})))), ElementsAre("0", "1"));
  const auto first = ok(t.scan(lines, {.entries_max = 3}));
  EXPECT_THAT(values(first), ElementsAre("0", "1", "2"));
  EXPECT_THAT(first.back().key.number(1), Optional(2));
  EXPECT_THAT(values(ok(t.scan(lines.after(first.back().key), {.entries_max = 2}))), ElementsAre("3", "4"));
  EXPECT_THAT(values(ok(t.scan(lines, {.entries_max = 2, .reverse = true}))), ElementsAre("9", "8"));
  EXPECT_THAT(values(ok(t.scan({}, {.bytes_max = 1}))), ElementsAre("0")) << "a larger one comes alone";
  EXPECT_THAT(t.scan({}, {.entries_max = 0}), fails_with(errc::invalid_argument));
}

TEST_F(Tables, RefuseWhatIsTooLarge) {
  const auto t = accounts();
  ok(t.put(std::string(table_key_bytes_max - 2, 'k'), "x"));
  const auto long_key = t.put(std::string(table_key_bytes_max - 1, 'k'), "x");
  ASSERT_THAT(long_key, fails_with(errc::field_too_long));
  EXPECT_THAT(long_key.error().message(), HasSubstr("put into table 'accounts': the key has 481 bytes"));
  EXPECT_THAT(t.put("k", std::string(table_value_bytes_max + 1, 'v')), fails_with(errc::field_too_long));
  EXPECT_THAT(t.get(std::string(1000, 'k')), fails_with(errc::field_too_long));
  EXPECT_THAT(t.erase(std::string(1000, 'k')), fails_with(errc::field_too_long));
}

TEST_F(Tables, AreDeclaredListedAndDeleted) {
  EXPECT_THAT(the_bus().table("accounts"), fails_with(errc::unknown_table));
  EXPECT_THAT(the_bus().declare_table(""), fails_with(errc::name_invalid));
  const auto t = accounts();
  ok(the_bus().declare_table("zoo"));
  EXPECT_THAT(ok(the_bus().tables()), ElementsAre("accounts", "zoo"));
  for (int n = 0; n < 1000; ++n) ok(t.put(n, "x"));
  ok(the_bus().delete_table("accounts"));
  EXPECT_THAT(ok(the_bus().tables()), ElementsAre("zoo"));
  EXPECT_THAT(t.get(1), fails_with(errc::unknown_table));
  EXPECT_THAT(t.put(1, "x"), fails_with(errc::unknown_table));
  EXPECT_THAT(t.erase(1), fails_with(errc::unknown_table));
  EXPECT_THAT(t.scan({}), fails_with(errc::unknown_table));
  EXPECT_THAT(the_bus().delete_table("accounts"), fails_with(errc::unknown_table));
  const auto again = accounts();
  EXPECT_THAT(ok(again.scan({})), IsEmpty()) << "another table of the same name";
  expect_sound();
}

TEST_F(Tables, EndWithTheBus) {
  const auto t = accounts();
  ok(the_bus().close());
  EXPECT_THAT(t.get("x"), fails_with(errc::closed));
  EXPECT_THAT(t.put("x", "y"), fails_with(errc::closed));
  EXPECT_THAT(t.scan({}), fails_with(errc::closed));
}

}  // namespace
}  // namespace levada::test
