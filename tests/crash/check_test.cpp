#include <crash/check.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <crash/payload.hpp>
#include <crash/promises.hpp>
#include <crash/recorder.hpp>
#include <crash/victim.hpp>
#include <levada/levada.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr serial nobodys = make_serial(9, 200, 1);

/// A sound store and its history, which is then altered.
class Check : public testing::Test {
 protected:
  Check() {
    recorder::skip_syncs();
    victim_options options;
    options.directory = directory_ / "store";
    options.operations = 80;
    run_victim(options, [this](const std::string& line) { lines_.push_back(line); });
  }
  ~Check() override { static_cast<void>(recorder::stop()); }

  [[nodiscard]] std::vector<std::string> violations() const {
    return check_in_child(directory_ / "store", lines_).violations;
  }
  [[nodiscard]] check_outcome after_power_cut() const {
    return check_in_child(directory_ / "store", lines_, {.of = aftermath::power_cut, .boot_id = "boot 2"});
  }
  /// As if the store had been opened once more, with checkpoints, and then used.
  void go_on_with_checkpoints() {
    tell(opening{durability::checkpointed});
    tell(opened{durability::checkpointed, 0});
  }
  void tell(const event& e) { lines_.push_back(to_line(e)); }
  template <class Condition>
  void forget(Condition condition) {
    const auto end = std::remove_if(lines_.begin(), lines_.end(),
                                    [&](const std::string& line) { return condition(from_line(line)); });
    ASSERT_NE(end, lines_.end());
    lines_.erase(end, lines_.end());
  }
  /// The first of the promised things that fit.
  template <class Things, class Condition>
  static auto first(const Things& things, Condition condition) {
    const auto found = std::find_if(things.begin(), things.end(),
                                    [&](const auto& entry) { return condition(entry.second); });
    if (found == things.end()) throw std::logic_error{"the victim did nothing of that kind"};
    return *found;
  }
  [[nodiscard]] promises promised() const { return read_promises(lines_); }
  [[nodiscard]] std::pair<serial, sent_record> some_record() const {
    return first(promised().records,
                 [](const sent_record& r) { return r.acknowledged && r.log == "ledger"; });
  }
  /// Of a queue whose exchange keeps everything.
  [[nodiscard]] auto some_message(const std::function<bool(const message_state&)>& condition) const {
    auto messages = promised().messages;
    std::erase_if(messages, [](const auto& entry) { return entry.first.first == "desk"; });
    return first(messages, condition).first;
  }
  /// What the group committed last in some partition.
  [[nodiscard]] committed some_commit() const {
    const auto [where, commits] =
        first(promised().commits, [](const offset_commits& c) { return c.acknowledged.value_or(0) > 1; });
    const auto& [group, log, partition] = where;
    return {group, log, partition, *commits.acknowledged};
  }
  void publish(const std::string& value) {
    bus b = bus::open(directory_ / "store").value();
    static_cast<void>(b.topic("ledger")->publish(record{value}).value());
  }

  test::temporary_directory directory_;
  history lines_;
};

TEST_F(Check, SoundStoreHolds) {
  EXPECT_THAT(violations(), IsEmpty());
  EXPECT_THAT(check_in_child(directory_ / "store", lines_, {.use_afterwards = true}).violations, IsEmpty());
}

TEST_F(Check, FindsAnAcknowledgedRecordLost) {
  tell(sending{nobodys, nobodys, "ledger", "-", "-", false, 1});
  tell(stored{nobodys, "ledger", 0, 999});
  EXPECT_THAT(violations(), Contains(HasSubstr("partition 0 offset 999 was acknowledged")));
}

TEST_F(Check, AllowsARecordWithoutAcknowledgementToBeMissing) {
  tell(sending{nobodys, nobodys, "ledger", "-", "-", false, 1});
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Check, FindsADeliveredRecordLost) {
  tell(sending{nobodys, nobodys, "events", "work", "-", false, 1});
  tell(received{"work", nobodys});
  EXPECT_THAT(violations(), Contains(HasSubstr("is lost: it was delivered")));
}

TEST_F(Check, FindsARecordWithOtherBytes) {
  const auto [s, r] = some_record();
  tell(sending{s, r.batch, r.log, "-", "-", false, r.hash + 1});
  EXPECT_THAT(violations(), Contains(HasSubstr("does not have the bytes that were sent")));
}

TEST_F(Check, FindsARecordElsewhereThanAcknowledged) {
  const auto [s, r] = some_record();
  tell(stored{s, r.log, r.partition, r.offset + 1});
  EXPECT_THAT(violations(), Contains(HasSubstr("was acknowledged at partition")));
}

TEST_F(Check, FindsARecordThatNobodySent) {
  publish(make_payload(nobodys, 10));
  EXPECT_THAT(violations(), Contains(HasSubstr("was never sent")));
}

TEST_F(Check, FindsBytesThatNobodySent) {
  publish("stray bytes");
  EXPECT_THAT(violations(), Contains(HasSubstr("nobody sent these 11 bytes")));
}

TEST_F(Check, FindsARecordStoredTwiceAndOutOfOrder) {
  publish(make_payload(some_record().first, 10));
  const auto found = violations();
  EXPECT_THAT(found, Contains(HasSubstr("is stored twice")));
  EXPECT_THAT(found, Contains(HasSubstr("stands behind record")));
}

TEST_F(Check, FindsHalfABatch) {
  const auto [s, r] = some_record();
  tell(sending{nobodys, r.batch, r.log, "-", "-", false, 1});
  EXPECT_THAT(violations(), Contains(HasSubstr("of the batch that begins with record")));
}

TEST_F(Check, FindsACommittedOffsetGoneBack) {
  committed c = some_commit();
  ++c.next;
  tell(c);
  EXPECT_THAT(violations(), Contains(HasSubstr("has gone back to")));
}

TEST_F(Check, FindsAnOffsetThatNobodyCommitted) {
  committed c = some_commit();
  --c.next;
  tell(c);
  EXPECT_THAT(violations(), Contains(HasSubstr("nobody committed offset")));
}

TEST_F(Check, AllowsACommitUnderWayToHaveHappened) {
  committed c = some_commit();
  --c.next;
  tell(c);
  ++c.next;
  tell(committing{c.group, c.log, c.partition, c.next});
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Check, FindsACommittedOffsetGone) {
  tell(committed{"forgotten", "ledger", 0, 1});
  EXPECT_THAT(violations(), Contains(HasSubstr("offset 1 was committed and is gone")));
}

TEST_F(Check, FindsASettledMessageBack) {
  const auto [queue, s] = some_message([](const message_state& m) { return !m.settling; });
  tell(settled{queue, s});
  EXPECT_THAT(violations(), Contains(HasSubstr("was settled and has come back")));
}

TEST_F(Check, FindsAnUnsettledMessageMissing) {
  const auto message = some_message([](const message_state& m) { return m.settled; });
  forget([&](const event& e) {
    const auto* const begun = std::get_if<settling>(&e);
    const auto* const done = std::get_if<settled>(&e);
    return (begun != nullptr && std::pair{begun->queue, begun->record} == message) ||
           (done != nullptr && std::pair{done->queue, done->record} == message);
  });
  EXPECT_THAT(violations(), Contains(HasSubstr("is not delivered again")));
}

TEST_F(Check, AllowsAMessageBeingSettledToBeMissing) {
  const auto message = some_message([](const message_state& m) { return m.settled; });
  forget([&](const event& e) {
    const auto* const done = std::get_if<settled>(&e);
    return done != nullptr && std::pair{done->queue, done->record} == message;
  });
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Check, FindsARedeliveryWithoutItsFlag) {
  const std::string value = make_payload(nobodys, 10);
  {
    bus b = bus::open(directory_ / "store").value();
    static_cast<void>(b.publish("events", "note.1", record{value}).value());
  }
  tell(sending{nobodys, nobodys, "events", "audit", "-", false, fingerprint("", "note.1", value)});
  tell(received{"audit", nobodys});
  EXPECT_THAT(violations(), Contains(HasSubstr("was delivered before and is not flagged")));
}

TEST_F(Check, FindsDeclarationsLostAndDeletionsUndone) {
  tell(declared{topic_object("ghost", 1)});
  tell(deleted{queue_object("work")});
  const auto found = violations();
  EXPECT_THAT(found, Contains("'topic:ghost:1' is gone"));
  EXPECT_THAT(found, Contains("'queue:work' has come back"));
}

TEST_F(Check, FindsRecordsBackWithATopicThatWasDeleted) {
  tell(deleted{topic_object("ledger", 1)});
  EXPECT_THAT(violations(), Contains(HasSubstr("has come back with a topic that was deleted")));
}

TEST_F(Check, FindsAnObjectThatNobodyDeclared) {
  {
    bus b = bus::open(directory_ / "store").value();
    b.declare_queue("stranger").value();
  }
  EXPECT_THAT(violations(), Contains("'queue:stranger' was never declared"));
}

TEST_F(Check, FindsDeletedRecordsBack) {
  tell(trimmed{"trimmed", 0, 1'000});
  EXPECT_THAT(violations(), Contains(HasSubstr("again, after it had begun at 1000")));
}

TEST_F(Check, FindsABeginningThatHasGoneBack) {
  tell(began{"recent", 0, 1'000});
  EXPECT_THAT(violations(), Contains(HasSubstr("again, after it had begun at 1000")));
}

TEST_F(Check, FindsRecordsGoneThatNobodyDeleted) {
  {
    bus b = bus::open(directory_ / "store").value();
    b.delete_records({"orders", partition_id{0}}, offset{1}).value();
  }
  EXPECT_THAT(violations(), Contains("orders partition 0: it begins at 1, and nobody removed so much"));
}

TEST_F(Check, AllowsADeletionOfRecordsUnderWayToHaveHappened) {
  // Of a topic that the victim never trims, so that there is something to delete.
  const auto some =
      first(promised().records, [](const sent_record& r) { return r.log == "orders" && r.acknowledged; });
  std::uint64_t begin = 0;
  {
    bus b = bus::open(directory_ / "store").value();
    for (const topic_info& t : b.topics().value()) {
      if (t.name == "orders") begin = t.partitions[some.second.partition].end.value();
    }
    b.delete_records({"orders", partition_id{some.second.partition}}, offset{begin}).value();
  }
  EXPECT_THAT(violations(), Contains(HasSubstr("and nobody removed so much")));
  tell(trimming{"orders", some.second.partition, begin});
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Check, FindsTheLatestRecordOfAKeyMissing) {
  tell(sending{nobodys, nobodys, "state", "-", "k99", false, 1});
  tell(stored{nobodys, "state", 0, 0});
  EXPECT_THAT(violations(), Contains(HasSubstr("is lost: state partition 0 offset 0")));
}

TEST_F(Check, AllowsARecordToBeMissingThatALaterOneOfItsKeyFollows) {
  const auto later = first(promised().records, [](const sent_record& r) {
    return r.log == "state" && r.acknowledged && r.key && !r.tombstone && r.offset > 0;
  });
  tell(sending{nobodys, nobodys, "state", "-", *later.second.key, false, 1});
  tell(stored{nobodys, "state", later.second.partition, later.second.offset - 1});
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Check, FindsAnUnsettledMessageMissingFromAThinnedLog) {
  tell(sending{nobodys, nobodys, "news", "desk", "-", false, 1});
  tell(stored{nobodys, "news", 0, 0});
  EXPECT_THAT(violations(), Contains(HasSubstr("is lost: news partition 0 offset 0")));
}

TEST_F(Check, FindsTheMomentThatAStoreWasTakenBackTo) {
  go_on_with_checkpoints();
  const std::size_t moment = lines_.size();
  tell(sending{nobodys, nobodys, "ledger", "-", "-", false, 1});
  tell(stored{nobodys, "ledger", 0, 999});
  tell(closing{});
  EXPECT_THAT(violations(), Contains(HasSubstr("is lost"))) << "when only the process has died";
  const auto outcome = after_power_cut();
  EXPECT_THAT(outcome.violations, IsEmpty());
  EXPECT_EQ(outcome.lines, moment);
}

TEST_F(Check, FindsAStoreTakenBackBeforeItsLastCheckpoint) {
  go_on_with_checkpoints();
  tell(sending{nobodys, nobodys, "ledger", "-", "-", false, 1});
  tell(stored{nobodys, "ledger", 0, 999});
  tell(flushing{});
  tell(flushed{});
  tell(closing{});
  EXPECT_THAT(after_power_cut().violations, Contains(HasSubstr("is lost")));
}

TEST_F(Check, FindsAStoreOfNoMoment) {
  const std::string value = make_payload(nobodys, 10);
  publish(value);
  go_on_with_checkpoints();
  // The first of two commits is lost and the second is there.
  tell(sending{nobodys - 1, nobodys - 1, "ledger", "-", "-", false, 1});
  tell(stored{nobodys - 1, "ledger", 0, 999});
  tell(sending{nobodys, nobodys, "ledger", "-", "-", false, fingerprint({}, {}, value)});
  tell(closing{});
  EXPECT_THAT(after_power_cut().violations, Contains(HasSubstr("is lost")));
}

TEST_F(Check, FindsAnEpochThatWasNotBegun) {
  go_on_with_checkpoints();
  EXPECT_THAT(after_power_cut().violations,
              Contains(HasSubstr("the epoch is 0; it was 0, so 1 was to come")));
}

TEST_F(Check, SealsWhatItComparesAndUses) {
  const auto files = [&] {
    const std::filesystem::directory_iterator all{directory_ / "store" / "segments"};
    return std::distance(begin(all), end(all));
  };
  const auto before = files();
  EXPECT_GT(before, 0);
  EXPECT_THAT(check_in_child(directory_ / "store", lines_, {.use_afterwards = true, .seal = true}).violations,
              IsEmpty());
  EXPECT_NE(files(), before);
}

TEST_F(Check, FindsASegmentGone) {
  std::filesystem::remove(directory_ / "store" / "segments" / "00000001.seg");
  EXPECT_THAT(violations(), Contains(HasSubstr("the file of its segment is missing")));
}

TEST_F(Check, AllowsWhatASealingCutShortHasLeft) {
  std::ofstream{directory_ / "store" / "segments" / "000000aa.new"} << "half";
  std::ofstream{directory_ / "store" / "segments" / "000000ab.seg"} << "half";
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Check, FindsAFileLeftAmongTheSegments) {
  std::ofstream{directory_ / "store" / "segments" / "notes"} << "half";
  EXPECT_THAT(violations(), Contains("'notes' is left among the segments"));
}

TEST_F(Check, FindsAStoreGone) {
  std::filesystem::remove_all(directory_ / "store");
  EXPECT_THAT(violations(), Contains(HasSubstr("there is none")));
}

TEST_F(Check, AllowsNoStoreBeforeItWasOpened) {
  std::filesystem::remove_all(directory_ / "store");
  lines_ = {to_line(opening{})};
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Check, FindsThatItsProcessDidNotFinish) {
  lines_.emplace_back("no line of a history");
  EXPECT_THAT(violations(), Contains(HasSubstr("ended with code")));
}

}  // namespace
}  // namespace levada::crash
