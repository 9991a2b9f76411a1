#include "group/assignment_check.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assignor_testing.hpp"
#include "support/result_testing.hpp"

namespace levada::test {
namespace {

using ::testing::HasSubstr;

class own final : public assignor {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "own"; }
  [[nodiscard]] assignment assign(std::span<const assignor_member>,
                                  std::span<const assignor_topic>) const override {
    return {};
  }
};

/// A group of "a", who reads "t", and "b", who reads "t" and "u"; nobody reads "v".
class AssignmentCheck : public ::testing::Test {
 protected:
  [[nodiscard]] result<void> check(const assignment& assigned) const {
    return levada::group::check_assignment(own{}, group_.members, group_.topics, assigned);
  }
  void expect_refusal(const assignment& assigned, const std::string& why) const {
    const auto checked = check(assigned);
    ASSERT_THAT(checked, fails_with(errc::invalid_argument));
    EXPECT_EQ(checked.error().message(), "assign partitions by assignor 'own': " + why);
  }

  group group_{{{"a", {"t"}}, {"b", {"u", "t"}}}, {{"t", 2}, {"u", 2}, {"v", 1}}};
};

TEST(Assignor, IsCooperativeUnlessItSaysOtherwise) {
  EXPECT_TRUE(own{}.cooperative());
}

TEST_F(AssignmentCheck, AcceptsEveryPartitionThatIsReadWithOneReader) {
  EXPECT_THAT(check({of("t", {0}), of("t", {1}) + of("u", {0, 1})}), succeeds());
  EXPECT_THAT(check({{}, of("t", {1, 0}) + of("u", {1, 0})}), succeeds());
  EXPECT_THAT(check({of("t", {1, 0}), of("u", {1, 0})}), succeeds()) << "in any order";
}

TEST_F(AssignmentCheck, RefusesOtherThanOneElementAMember) {
  expect_refusal({of("t", {0, 1})}, "1 elements for 2 members");
  expect_refusal({of("t", {0}), of("t", {1}) + of("u", {0, 1}), {}}, "3 elements for 2 members");
  expect_refusal({}, "0 elements for 2 members");
}

TEST_F(AssignmentCheck, RefusesAPartitionThatNobodyGets) {
  expect_refusal({of("t", {0, 1}), of("u", {0})}, "topic 'u', partition 1 goes to nobody");
  expect_refusal({of("t", {1}), of("u", {0, 1})}, "topic 't', partition 0 goes to nobody");
}

TEST_F(AssignmentCheck, RefusesAPartitionThatTwoGet) {
  expect_refusal({of("t", {0, 1}), of("t", {1}) + of("u", {0, 1})},
                 "topic 't', partition 1 goes to members 'a' and 'b'");
}

TEST_F(AssignmentCheck, RefusesAPartitionGivenTwiceToOne) {
  expect_refusal({of("t", {0, 1, 0}), of("u", {0, 1})}, "topic 't', partition 0 goes to member 'a' twice");
}

TEST_F(AssignmentCheck, RefusesAPartitionOfATopicThatTheMemberDoesNotRead) {
  expect_refusal({of("t", {0, 1}) + of("u", {1}), of("u", {0})},
                 "topic 'u', partition 1 goes to member 'a', which does not read the topic");
  expect_refusal({of("t", {0, 1}), of("u", {0, 1}) + of("v", {0})},
                 "topic 'v', partition 0 goes to member 'b', which does not read the topic");
}

TEST_F(AssignmentCheck, RefusesAPartitionThatDoesNotExist) {
  expect_refusal({of("t", {0, 1, 2}), of("u", {0, 1})},
                 "topic 't', partition 2 goes to member 'a': the topic has 2 partitions");
}

TEST_F(AssignmentCheck, RefusesATopicThatTheGroupDoesNotRead) {
  expect_refusal({of("t", {0, 1}), of("u", {0, 1}) + of("w", {7})},
                 "topic 'w', partition 7 goes to member 'b': the group reads no such topic");
}

TEST_F(AssignmentCheck, AcceptsNothingForAnEmptyGroup) {
  group_.members.clear();
  EXPECT_THAT(check({}), succeeds());
}

TEST_F(AssignmentCheck, NoticesEveryPartitionThatIsLostOrDoubledWhateverTheGroup) {
  std::size_t tried = 0;
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    group_ = random_groups{seed}.make({.members_max = 5, .topics_max = 4, .partitions_max = 4});
    const auto assigned = assign(*round_robin_assignor(), group_);
    ASSERT_THAT(check(assigned), succeeds());
    for (std::size_t m = 0; m < assigned.size(); ++m) {
      for (const auto& where : assigned[m]) {
        const std::string named =
            fmt::format("topic '{}', partition {} ", where.topic, where.partition.value());
        auto lost = assigned;
        std::erase(lost[m], where);
        ASSERT_THAT(check(lost), fails_with(errc::invalid_argument));
        EXPECT_THAT(check(lost).error().message(), HasSubstr(named));
        for (std::size_t other = 0; other < assigned.size(); ++other) {
          auto doubled = assigned;
          doubled[other].push_back(where);
          ASSERT_THAT(check(doubled), fails_with(errc::invalid_argument));
          EXPECT_THAT(check(doubled).error().message(), HasSubstr(named));
          ++tried;
        }
      }
    }
  }
  EXPECT_GT(tried, 1000U);
}

}  // namespace
}  // namespace levada::test
