#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <crash/check.hpp>
#include <crash/evidence.hpp>
#include <crash/kill_nine.hpp>
#include <crash/payload.hpp>
#include <crash/power_cut.hpp>
#include <crash/promises.hpp>
#include <crash/queueing_victim.hpp>
#include <crash/queueing_world.hpp>
#include <crash/recorder.hpp>
#include <crash/victim_tools.hpp>
#include <levada/levada.hpp>
#include <support/result_testing.hpp>
#include <support/sanitizers.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using std::chrono::milliseconds;
using test::ok;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

evidence find_evidence_of_queues(const power_cut_options& options, const power_cut_summary& s) {
  evidence shown;
  shown.need(s.states_in_creation, 0, "cuts while the store is made");
  shown.need(s.segments, 10, "segments");
  shown.need(s.segments_removed, 0, "segments removed");
  shown.need(s.states_in_sealing, 3, "cuts during a sealing");
  shown.need(s.states_in_flush, 1, "cuts during a sync");
  shown.need(s.states_in_recovery, 5, "cuts during a recovery");
  shown.need(s.states_of_death, 1, "deaths of the process alone");
  shown.need(s.states_with_faults, 20, "states with faults");
  shown.need(s.injected.writes_lost, 0, "writes lost");
  shown.need(s.injected.writes_torn, 0, "writes torn");
  shown.need(s.injected.names_lost, 0, "names lost");
  shown.need(s.checked.records, 0, "confirmed messages");
  shown.need(s.checked.settlements, 0, "settled messages");
  shown.need(s.checked.rejections, 0, "rejected messages");
  shown.need(s.checked.cancellations, 0, "cancelled messages");
  shown.need(s.checked.purges, 0, "purges");
  shown.need(s.checked.deletions, 0, "deletions");
  shown.need(s.in_queues.messages, 0, "messages");
  shown.need(s.in_queues.later, 0, "messages that come later");
  shown.need(s.in_queues.redelivered, 0, "messages delivered before");
  shown.need(s.in_queues.rejected, 0, "dead letters of rejected messages");
  shown.need(s.in_queues.expired, 0, "dead letters of expired messages");
  shown.need(s.in_queues.dropped, 0, "dead letters of dropped messages");
  shown.need(s.in_queues.used_up, 0, "dead letters of messages delivered too often");
  if (options.mode == durability::checkpointed) {
    shown.need(s.states_taken_back, 5, "stores taken back");
    shown.need(s.checked.flushes, 0, "syncs");
  }
  return shown;
}

constexpr std::uint64_t states_of_queues = test::under_sanitizer ? 25 : 60;

class QueueingPowerCut : public testing::TestWithParam<std::uint64_t> {};

TEST_P(QueueingPowerCut, LeavesEachMessageInOnePlace) {
  cut_power_until_all_is_shown({.work = workload::queues, .seed = GetParam(), .states = states_of_queues},
                               find_evidence_of_queues);
}
INSTANTIATE_TEST_SUITE_P(Seeds, QueueingPowerCut, testing::Values(1, 3));

class QueueingPowerCutWithCheckpoints : public testing::TestWithParam<std::uint64_t> {};

TEST_P(QueueingPowerCutWithCheckpoints, TakesQueuesBackToOneMomentSinceTheLastCheckpoint) {
  cut_power_until_all_is_shown({.work = workload::queues,
                                .seed = GetParam(),
                                .states = states_of_queues,
                                .mode = durability::checkpointed},
                               find_evidence_of_queues);
}
INSTANTIATE_TEST_SUITE_P(Seeds, QueueingPowerCutWithCheckpoints, testing::Values(1, 3));

TEST(QueueingKillNine, LeavesEachMessageInOnePlace) {
  // When a kill comes is chance: there are more of them until they have met everything.
  constexpr std::uint64_t rounds_max = 10;
  bool shown = false;
  for (std::uint64_t seed = 1; seed <= rounds_max && !shown; ++seed) {
    const auto summary =
        run_kills({.work = workload::queues, .seed = seed, .kills = 10, .kills_per_store = 5});
    ASSERT_EQ(summary.kills_in_violation, 0U) << to_text(summary);
    shown = summary.kills_in_operation > 0 && summary.segments > 0 && summary.checked.settlements > 0 &&
            summary.checked.rejections > 0;
  }
  EXPECT_TRUE(shown);
}

/// Cuts until a violation says this.
power_cut_summary cut_until(const std::string& says, power_cut_options options) {
  options.work = workload::queues;
  options.states = 2'000;
  options.until_violation_says = says;
  return run_power_cuts(options);
}

TEST(QueueingPlantedFault, MessagesNeverAckedHaveComeBack) {
  const auto summary =
      cut_until("was settled and has come back", {.planted = planted_fault::settle_without_ack});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("was settled and has come back"))) << to_text(summary);
}

TEST(QueueingPlantedFault, MessagesNeverPublishedAreLost) {
  const auto summary = cut_until(": message", {.planted = planted_fault::ack_without_publish});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("is lost"))) << to_text(summary);
}

TEST(QueueingPlantedFault, DeadLettersMadeInTwoStepsAreDoubledByAPowerCut) {
  const std::string doubled = "is there 1 times, and 1 times as a dead letter";
  const auto summary = cut_until(doubled, {.planted = planted_fault::dead_letter_in_two_steps});
  EXPECT_THAT(summary.violations, Contains(HasSubstr(doubled))) << to_text(summary);
}

TEST(QueueingPlantedFault, IgnoredSyncsOfFilesDamageTheStore) {
  const auto summary =
      run_power_cuts({.work = workload::queues, .states = 50, .ignored = ignored_syncs::of_files});
  EXPECT_GT(summary.states_in_violation, 5U) << to_text(summary);
}

TEST(QueueingPlantedFault, IgnoredSyncsOfSegmentsLoseMessages) {
  const auto summary = cut_until("segment", {.ignored = ignored_syncs::of_segments});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("segment"))) << to_text(summary);
}

TEST(QueueingPlantedFault, IgnoredSyncsOfCheckpointsTakeQueuesBackTooFar) {
  const auto summary = run_power_cuts({.work = workload::queues,
                                       .states = 60,
                                       .mode = durability::checkpointed,
                                       .ignored = ignored_syncs::of_checkpoints});
  EXPECT_GT(summary.states_in_violation, 3U) << to_text(summary);
}

TEST(QueueingPlantedFault, SegmentsRemovedBeforeTheCommitThatDropsThemAreMissing) {
  const auto summary = cut_until("is missing", {.wrong_order = disorder::removals_before_commits});
  EXPECT_THAT(summary.violations, Contains(HasSubstr("is missing"))) << to_text(summary);
}

TEST(QueueingPlantedFault, CheckpointsWrittenBeforeTheirDataAreRefused) {
  const std::string refused_as = "does not hold the snapshot";
  const auto summary = cut_until(
      refused_as, {.mode = durability::checkpointed, .wrong_order = disorder::checkpoints_before_data});
  EXPECT_THAT(summary.violations, Contains(HasSubstr(refused_as))) << to_text(summary);
}

/// A short history, told by hand: truly or not.
class QueueingCheck : public testing::Test {
 protected:
  QueueingCheck() {
    recorder::skip_syncs();
    out_.tell(clock_at{0});
    out_.tell(opening{});
    bus_options o;
    o.maintenance = maintenance_mode::on_call;
    o.clock = clock_;
    bus_.emplace(ok(bus::open(directory_ / "store", o)));
    out_.tell(opened{});
    declare_world(*bus_, out_);
  }
  ~QueueingCheck() override { static_cast<void>(recorder::stop()); }

  /// Closes, which is not told, and checks.
  [[nodiscard]] std::vector<std::string> violations() {
    bus_.reset();
    return check_in_child(directory_ / "store", lines_, {.use_afterwards = true}).violations;
  }

  void tell_sending(serial s, const record& r, const char* queue, serial batch) {
    out_.tell(announce(s, batch, default_log, r, {queue, queue}));
  }
  static record make(serial s) { return record{make_payload(s, 40)}; }
  /// Publishes to one queue and tells so.
  void publish(serial s, const char* queue, milliseconds delay = milliseconds{0}) {
    if (delay.count() > 0) out_.tell(terms{s, true, false});
    tell_sending(s, make(s), queue, s);
    publish_options how;
    how.delay = delay;
    const auto receipt = ok(bus_->publish("", queue, make(s), how));
    out_.tell(stored{s, default_log, receipt.partition.value(), receipt.offset.value()});
  }
  /// Takes one message and tells so.
  delivery take(queue_consumer& from, serial s) {
    const auto d = ok(from.receive(milliseconds{0}));
    out_.tell(received{from.queue(), s, d->delivery_count().value_or(0)});
    return *d;
  }

  test::temporary_directory directory_;
  history lines_;
  line_sink sink_ = [this](const std::string& line) { lines_.push_back(line); };
  teller out_{sink_};
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>(timestamp{clock_base});
  std::optional<bus> bus_;
};

TEST_F(QueueingCheck, ATrueHistoryHolds) {
  publish(1, "bounded");
  publish(2, "bounded");
  publish(3, "tries");
  publish(4, "plain", milliseconds{500});
  {
    auto consumer = ok(bus_->consume("bounded"));
    const auto first = take(consumer, 1);
    out_.tell(rejecting{"bounded", 1});
    ok(consumer.nack(first, requeue::no));
    out_.tell(rejected{"bounded", 1});
    const auto second = take(consumer, 2);
    out_.tell(settling{"bounded", 2});
    ok(consumer.ack(second));
    out_.tell(settled{"bounded", 2});
  }
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(QueueingCheck, FindsAnAckThatWasNotMade) {
  publish(1, "plain");
  out_.tell(settling{"plain", 1});
  out_.tell(settled{"plain", 1});
  EXPECT_THAT(violations(), Contains(HasSubstr("plain: message 1 was settled and has come back")));
}

TEST_F(QueueingCheck, FindsAMessageThatIsGone) {
  publish(1, "plain");
  publish(2, "plain");
  auto consumer = ok(bus_->consume("plain"));
  ok(consumer.ack(take(consumer, 1)));
  EXPECT_THAT(violations(), Contains(HasSubstr("plain: message 1 is lost")));
}

TEST_F(QueueingCheck, FindsADelayedMessageThatNeverComes) {
  out_.tell(terms{1, true, false});
  tell_sending(1, make(1), "plain", 1);
  publish_options later;
  later.delay = milliseconds{100};
  const auto receipt = ok(bus_->publish("", "plain", make(1), later));
  out_.tell(stored{1, default_log, receipt.partition.value(), receipt.offset.value()});
  EXPECT_TRUE(ok(bus_->cancel(receipt)));
  EXPECT_THAT(violations(), Contains(HasSubstr("plain: message 1 is lost")));
}

TEST_F(QueueingCheck, FindsACancelledMessageThatComes) {
  publish(1, "plain", milliseconds{100});
  out_.tell(cancelling{1});
  out_.tell(cancelled{1});
  EXPECT_THAT(violations(), Contains(HasSubstr("message 1 was cancelled, and has come")));
}

TEST_F(QueueingCheck, FindsADeadLetterThatHasStayedInItsQueue) {
  publish(1, "bounded");
  record copy = make(1);
  copy.header(died_in_header, std::string{"bounded"});
  out_.tell(rejecting{"bounded", 1});
  static_cast<void>(ok(bus_->publish("", grave_name, copy)));
  EXPECT_THAT(violations(), Contains(HasSubstr("is there 1 times, and 1 times as a dead letter")));
}

TEST_F(QueueingCheck, FindsARejectedMessageThatIsNoDeadLetter) {
  publish(1, "bounded");
  out_.tell(rejecting{"bounded", 1});
  out_.tell(rejected{"bounded", 1});
  EXPECT_THAT(violations(), Contains(HasSubstr("bounded: message 1 was a dead letter and has come back")));
}

TEST_F(QueueingCheck, FindsADeadLetterWithoutReason) {
  publish(1, "bounded");
  auto consumer = ok(bus_->consume("bounded"));
  ok(consumer.nack(take(consumer, 1), requeue::no));
  EXPECT_THAT(
      violations(),
      Contains(HasSubstr("bounded: message 1 is a dead letter as 'rejected', and had no reason to be")));
}

TEST_F(QueueingCheck, FindsHalfOfASettlement) {
  publish(1, "plain");
  publish(2, "plain");
  auto consumer = ok(bus_->consume("plain"));
  const auto first = take(consumer, 1);
  take(consumer, 2);
  out_.tell(settling{"plain", 1});
  out_.tell(settling{"plain", 2});
  ok(consumer.ack(first));
  EXPECT_THAT(violations(), Contains(HasSubstr("of 2 messages that were settled together, 1 are there")));
}

TEST_F(QueueingCheck, LetsMessagesOfASettlementThatACrashHasUndoneGoOneByOne) {
  publish(1, "plain");
  publish(2, "plain");
  out_.tell(settling{"plain", 1});
  out_.tell(settling{"plain", 2});
  out_.tell(opening{});
  out_.tell(opened{});
  auto consumer = ok(bus_->consume("plain"));
  const auto first = take(consumer, 1);
  out_.tell(settling{"plain", 1});
  ok(consumer.ack(first));
  out_.tell(settled{"plain", 1});
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(QueueingCheck, FindsHalfOfABatch) {
  tell_sending(1, make(1), "plain", 1);
  tell_sending(2, make(2), "ranks", 1);
  static_cast<void>(ok(bus_->publish("", "plain", make(1))));
  EXPECT_THAT(violations(), Contains(HasSubstr("ranks: message 2 is lost")));
}

TEST_F(QueueingCheck, FindsMessagesOutOfOrder) {
  tell_sending(1, make(1), "plain", 1);
  publish(2, "plain");
  static_cast<void>(ok(bus_->publish("", "plain", make(1))));
  EXPECT_THAT(violations(), Contains(HasSubstr("plain: message 1 comes behind message 2")));
}

TEST_F(QueueingCheck, FindsAMessageThatIsThereTwice) {
  publish(1, "plain");
  static_cast<void>(ok(bus_->publish("", "plain", make(1))));
  EXPECT_THAT(violations(), Contains(HasSubstr("plain: message 1 is there 2 times")));
}

TEST_F(QueueingCheck, FindsAMessageInAQueueThatWasPurged) {
  publish(1, "plain");
  out_.tell(purging{"plain"});
  out_.tell(purged{"plain"});
  EXPECT_THAT(violations(), Contains(HasSubstr("plain: message 1 was removed and has come back")));
}

TEST_F(QueueingCheck, FindsARefusedMessage) {
  publish(1, "refusing");
  out_.tell(refused{1});
  EXPECT_THAT(violations(), Contains(HasSubstr("message 1 was refused, and is there")));
}

TEST_F(QueueingCheck, FindsAMessageThatNobodySentThere) {
  tell_sending(1, make(1), "plain", 1);
  static_cast<void>(ok(bus_->publish("", "ranks", make(1))));
  EXPECT_THAT(violations(), Contains(HasSubstr("queue 'ranks': message 1 does not belong there")));
}

TEST_F(QueueingCheck, FindsADeliveryThatDoesNotCount) {
  publish(1, "ranks");
  out_.tell(received{"ranks", 1, 1});
  const auto found = violations();
  EXPECT_THAT(found, Contains(HasSubstr("ranks: message 1 was delivered 1 times, and counts 1 now")));
  EXPECT_THAT(found, Contains(HasSubstr("ranks: message 1 was delivered before and is not flagged")));
}

}  // namespace
}  // namespace levada::crash
