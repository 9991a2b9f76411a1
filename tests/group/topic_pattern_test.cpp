#include <levada/topic_pattern.hpp>

#include <string>

#include <support/result_testing.hpp>

namespace levada::test {
namespace {

TEST(TopicSubscription, MatchesTheWholeName) {
  const auto pattern = ok(topic_pattern::make(R"(orders\.(eu|us))"));
  EXPECT_EQ(pattern.text(), R"(orders\.(eu|us))");
  EXPECT_TRUE(ok(pattern.matches("orders.eu")));
  EXPECT_TRUE(ok(pattern.matches("orders.us")));
  EXPECT_FALSE(ok(pattern.matches("orders.eu.old")));
  EXPECT_FALSE(ok(pattern.matches("my.orders.eu")));
  EXPECT_FALSE(ok(pattern.matches("ordersxeu")));
  EXPECT_TRUE(ok(ok(topic_pattern::make(".*")).matches("bestellungen-größe")));
}

TEST(TopicSubscription, RefusesWhatIsNoRegularExpression) {
  EXPECT_THAT(topic_pattern::make("a("), fails_with(errc::invalid_argument));
  EXPECT_THAT(topic_pattern::make("*"), fails_with(errc::invalid_argument));
  EXPECT_THAT(topic_pattern::make(std::string(1025, 'a')), fails_with(errc::invalid_argument));
  EXPECT_THAT(topic_pattern::make(std::string(1024, 'a')), succeeds());
}

TEST(TopicSubscription, GivesUpWhereMatchingGoesBackAndForthWithoutEnd) {
  const auto pattern = ok(topic_pattern::make("(a+)+(b+)+(c*)*(a+)+b"));
  std::string text(200, 'a');
  text.back() = 'c';
  EXPECT_THAT(pattern.matches(text), fails_with(errc::out_of_resources));
}

}  // namespace
}  // namespace levada::test
