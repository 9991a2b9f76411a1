// Histories that cannot be, made by hand: each anomaly is found, and nothing else.

#include <gmock/gmock.h>

#include <vector>

#include "kafka_invariants.hpp"

namespace levada::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class KafkaInvariants : public ::testing::Test {
 protected:
  const topic_partition log_{"orders", partition_id{0}};
  const topic_partition other_{"orders", partition_id{1}};
  kafka_history history_;

  /// Values 10, 11 and so on, stored at 0, 1 and so on, by process 1.
  void store(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) history_.sent(1, log_, sending::stored, {{10 + i, i}});
  }
  [[nodiscard]] std::vector<anomaly> found() const {
    std::vector<anomaly> all;
    for (const auto& f : anomalies_in(history_)) all.push_back(f.what);
    return all;
  }
};

TEST_F(KafkaInvariants, HoldInAGoodHistory) {
  store(4);
  history_.sent(2, other_, sending::undone, {{90, {}}});
  history_.sent(2, other_, sending::unknown, {{91, {}}, {92, {}}});
  history_.sent(2, other_, sending::stored, {{93, 1}, {94, 2}});
  history_.polled(3, log_, {{10, 0}, {11, 1}});
  history_.polled(3, log_, {{12, 2}});
  history_.repositioned(3, log_);
  history_.polled(3, log_, {{10, 0}, {11, 1}});
  history_.polled(4, log_, {{13, 3}});
  history_.polled(4, other_, {{91, 0}, {93, 1}, {94, 2}});
  history_.read_to_end(log_);
  history_.read_to_end(other_);
  EXPECT_THAT(found(), IsEmpty());
  EXPECT_EQ(to_text(anomalies_in(history_)), "");
}

TEST_F(KafkaInvariants, DoNotMissWhatNobodyHasComeToYet) {
  store(3);
  history_.polled(2, log_, {{10, 0}});
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(KafkaInvariants, PassOverOffsetsThatNobodyHasSeenARecordAt) {
  history_.sent(1, log_, sending::stored, {{10, 0}, {11, 5}});
  history_.polled(2, log_, {{10, 0}, {11, 5}});
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(KafkaInvariants, FindALostWriteThatSomebodyHasReadBeyond) {
  store(3);
  history_.polled(2, log_, {{10, 0}});
  history_.polled(3, log_, {{12, 2}});
  EXPECT_THAT(found(), ElementsAre(anomaly::lost_write));
}

TEST_F(KafkaInvariants, FindALostWriteAtTheEnd) {
  store(2);
  history_.polled(2, log_, {{10, 0}});
  history_.read_to_end(log_);
  EXPECT_THAT(found(), ElementsAre(anomaly::lost_write));
}

TEST_F(KafkaInvariants, FindALostWriteWhoseOffsetNobodyKnows) {
  history_.sent(1, log_, sending::stored, {{10, {}}});
  EXPECT_THAT(found(), IsEmpty());
  history_.read_to_end(log_);
  EXPECT_THAT(found(), ElementsAre(anomaly::lost_write));
}

TEST_F(KafkaInvariants, FindADuplicate) {
  store(1);
  history_.polled(2, log_, {{10, 0}, {10, 1}});
  EXPECT_THAT(found(), ElementsAre(anomaly::duplicate));
}

TEST_F(KafkaInvariants, FindADuplicateInAnotherPartition) {
  store(1);
  history_.polled(2, other_, {{10, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::duplicate));
}

TEST_F(KafkaInvariants, FindInconsistentOffsets) {
  store(1);
  history_.sent(2, log_, sending::stored, {{20, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::inconsistent_offsets));
}

TEST_F(KafkaInvariants, FindARecordThatReadsOtherwiseThanItWasSent) {
  store(1);
  history_.sent(2, other_, sending::unknown, {{20, {}}});
  history_.polled(3, log_, {{20, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::inconsistent_offsets));
}

TEST_F(KafkaInvariants, FindASkipBetweenPolls) {
  store(3);
  history_.polled(2, log_, {{11, 1}});
  history_.polled(3, log_, {{10, 0}});
  history_.polled(3, log_, {{12, 2}});
  EXPECT_THAT(found(), ElementsAre(anomaly::poll_skip));
}

TEST_F(KafkaInvariants, FindASkipWithinAPoll) {
  store(3);
  history_.polled(2, log_, {{11, 1}});
  history_.polled(3, log_, {{10, 0}, {12, 2}});
  EXPECT_THAT(found(), ElementsAre(anomaly::internal_poll_skip));
}

TEST_F(KafkaInvariants, FindAPollThatGoesBack) {
  store(2);
  history_.polled(2, log_, {{10, 0}, {11, 1}});
  history_.polled(2, log_, {{10, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::nonmonotonic_poll));
}

TEST_F(KafkaInvariants, FindAPollThatGoesBackWithin) {
  store(2);
  history_.polled(2, log_, {{11, 1}, {10, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::internal_nonmonotonic_poll));
}

TEST_F(KafkaInvariants, FindASenderWhoseOffsetsFall) {
  history_.sent(1, log_, sending::stored, {{10, 1}});
  history_.sent(1, log_, sending::stored, {{11, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::nonmonotonic_send));
}

TEST_F(KafkaInvariants, FindACommitWhoseOffsetsFall) {
  history_.sent(1, log_, sending::stored, {{10, 1}, {11, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::internal_nonmonotonic_send));
}

TEST_F(KafkaInvariants, FindAnAbortedRead) {
  history_.sent(1, log_, sending::undone, {{10, {}}});
  history_.polled(2, log_, {{10, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::aborted_read));
}

TEST_F(KafkaInvariants, FindARecordThatNobodyHasSent) {
  history_.polled(2, log_, {{10, 0}});
  EXPECT_THAT(found(), ElementsAre(anomaly::unsent_read));
}

TEST_F(KafkaInvariants, HoldOfHistoriesTogether) {
  kafka_history theirs;
  theirs.polled(2, other_, {{50, 0}});
  theirs.polled(2, log_, {{10, 0}, {12, 2}});
  store(3);
  history_.sent(7, other_, sending::stored, {{50, 0}});
  history_.merge(std::move(theirs));
  EXPECT_THAT(found(), ElementsAre(anomaly::lost_write, anomaly::internal_poll_skip));
  EXPECT_EQ(to_text(anomalies_in(history_)),
            "lost write: topic 'orders' partition 0: value 11\n"
            "internal poll skip: topic 'orders' partition 0: process 2: offset 2 after 0, without 1\n");
}

}  // namespace
}  // namespace levada::test
