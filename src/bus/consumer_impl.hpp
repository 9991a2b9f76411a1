#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "bus/group_change.hpp"
#include "bus/offset_intent.hpp"
#include "bus/transaction_part.hpp"

#include <levada/consumer.hpp>
#include <levada/rebalancing.hpp>
#include <levada/topic_pattern.hpp>

namespace levada {

class consumer::impl {
 public:
  /// What it reads.
  struct subscription {
    std::vector<std::shared_ptr<topic_slot>> topics;
    std::optional<topic_pattern> pattern = std::nullopt;  // then `topics` follow it
  };

  /// Enters the group, which is made if it is new.
  [[nodiscard]] static result<std::shared_ptr<impl>> join(std::shared_ptr<core> owner, std::string_view group,
                                                          const std::vector<std::string>& topics,
                                                          const consumer_options& options);
  [[nodiscard]] static result<std::shared_ptr<impl>> join(std::shared_ptr<core> owner, std::string_view group,
                                                          const topic_pattern& topics,
                                                          const consumer_options& options);
  /// Reads in the group's name without entering it.
  [[nodiscard]] static result<std::shared_ptr<impl>> assign(std::shared_ptr<core> owner,
                                                            std::string_view group,
                                                            const std::vector<topic_partition>& partitions,
                                                            const consumer_options& options);
  ~impl();

  result<record_batch> poll(std::chrono::milliseconds timeout);
  void wakeup() noexcept;
  static void start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                         detail::completion<record_batch> done);
  /// Some offsets, or all positions.
  using offset_choice = std::optional<std::vector<offset_commit>>;
  result<void> commit(const offset_choice& what);
  static void start_commit(const std::shared_ptr<impl>& self, const offset_choice& what,
                           detail::completion<void> done);
  /// The same, with a transaction.
  [[nodiscard]] static result<std::unique_ptr<transaction_part>> make_part(const std::shared_ptr<impl>& self,
                                                                           const offset_choice& what);
  result<void> seek(const topic_partition& where, const start_position& to);
  result<void> set_paused(const char* verb, std::span<const topic_partition> partitions, bool paused);
  [[nodiscard]] std::vector<topic_partition> paused() const;
  [[nodiscard]] std::vector<topic_partition> assignment() const;
  [[nodiscard]] result<std::optional<offset>> position(const topic_partition& where);
  [[nodiscard]] result<std::optional<committed_offset>> committed(const topic_partition& where) const;
  [[nodiscard]] result<std::optional<std::uint64_t>> lag(const topic_partition& where);
  [[nodiscard]] result<std::uint64_t> lag() const;
  [[nodiscard]] result<offset> end_of_log(const char* verb, const topic_partition& where,
                                          bool beginning) const;
  [[nodiscard]] const std::shared_ptr<core>& owner() const noexcept { return owner_; }
  [[nodiscard]] const std::string& group() const noexcept { return group_->name; }
  [[nodiscard]] const std::string& member_id() const noexcept { return options_.member_id; }
  void close() noexcept;

  /// The entry that says so, or why it may not be committed.
  [[nodiscard]] result<offset_entry> entry_for(const offset_commit& what);

 private:
  friend class revocation::impl;
  friend class new_assignment::impl;

  struct owned_partition {
    topic_partition where;
    std::shared_ptr<topic_slot> topic;
    std::optional<std::uint64_t> position;   // none: the reset policy is `none` and nobody has sought
    std::optional<std::uint64_t> committed;  // as far as this member knows
    std::uint64_t committed_by = 0;  // the commit of the group's that has stored it; older ones are no matter
    std::uint64_t begun = 0;         // where it began to read
    bool placed = false;             // whether `position` has been found out
    bool announced = false;          // whether the host knows of it
    bool paused = false;
  };
  class submitted_offsets;
  class unattended_offsets;
  /// What a change of the group means for this member.
  struct change_effect {
    std::vector<topic_partition> revoked = {};    // not its own any more; sorted
    std::vector<std::uint32_t> subscribed = {};   // the logs that it reads from then on, sorted
    std::optional<std::uint64_t> topics_version;  // as of which it does; none: it reads what it did
  };
  /// A change of the group that a poll has submitted.
  struct change_under_way;
  class submitted_change;
  /// Whether a call may wait for a commit.
  enum class waiting : bool { no, yes };
  /// What a look at the group shows.
  struct group_view {
    bool unchanged = false;  // since the last one; then the rest is empty
    bool member = false;
    bool overdue = false;  // somebody is
    std::uint64_t version = 0;
    std::uint64_t offset_commits = 0;
    std::vector<topic_partition> owned;
    std::vector<topic_partition> owed;
    result<void> broken;
  };

  impl(std::shared_ptr<core> owner, std::shared_ptr<group_slot> group, subscription what,
       consumer_options options);

  [[nodiscard]] std::string operation(const char* verb) const;
  [[nodiscard]] member_identity identity() const { return {options_.member_id, held_}; }
  [[nodiscard]] result<core::access> enter(const char* verb) const;

  // Membership

  [[nodiscard]] static result<std::shared_ptr<impl>> join(std::shared_ptr<core> owner, std::string_view group,
                                                          subscription what, const consumer_options& options);
  [[nodiscard]] result<void> enter_group();
  /// Starts and stops being woken.
  void listen();
  void stop_listening();
  /// Does what the group demands: gives up, takes up. False while a change is under way, which signals the
  /// waiter when it is over.
  [[nodiscard]] result<bool> follow_group(waiting may);
  [[nodiscard]] group_view look_at_group();
  /// Subscribes to topics that have come.
  [[nodiscard]] result<void> follow_pattern(waiting may);
  /// Makes a change, or begins with it.
  [[nodiscard]] result<void> change_group(waiting may, group_change::change_function change,
                                          change_effect effect, std::vector<offset_entry> offsets = {});
  /// Takes note of how the change under way has ended; false while it has not.
  [[nodiscard]] result<bool> conclude_change();
  void note_change(change_effect effect);
  /// Whether a partition is being handed over, by a change under way.
  [[nodiscard]] bool hands_over(const topic_partition& where) const;
  /// Fails with `unknown_topic`, once, where a topic has been deleted that was asked for by name; the others
  /// are read on.
  [[nodiscard]] result<void> check_topics();
  /// Asks the host how far it came with what is to be given up.
  [[nodiscard]] std::vector<offset_entry> revoke(const std::vector<topic_partition>& what);
  /// Tells the host what has come.
  void announce();
  /// Tells the host what is gone, and forgets it.
  template <class Predicate>
  void lose_if(Predicate gone);
  void take_up(const group_view& seen);
  /// Calls the host; what it forbids meanwhile is refused.
  template <class Function>
  void call_back(Function&& call);
  [[nodiscard]] error fenced(const char* verb) const;

  // Positions

  /// Finds out where the partitions that came since the last time start. Where that fails, the next call
  /// tries again.
  [[nodiscard]] result<void> place_acquired();
  [[nodiscard]] result<void> place(owned_partition& p, const core::access& access) const;
  /// Where the reset policy has reading start; nothing where it says nothing.
  [[nodiscard]] result<std::optional<std::uint64_t>> reset_position(const owned_partition& p,
                                                                    const core::access& access) const;
  /// Fails with `overtaken`, once the position has been moved as the reset policy says, where the log does
  /// not go back so far any more.
  [[nodiscard]] result<void> check_overtaken(owned_partition& p, const core::access& access) const;
  [[nodiscard]] result<owned_partition*> find(const char* verb, const topic_partition& where);
  /// Tells the group how much would be read again if this member were fenced.
  void note_held() noexcept;

  // Commits

  class offset_part;
  /// Which of all positions are looked at when they are committed.
  enum class positions { changed, all };
  /// What is to be committed; null where there is nothing.
  [[nodiscard]] result<std::shared_ptr<offsets_under_way>> choose(const offset_choice& what,
                                                                  positions which = positions::changed);
  /// Whether the position is, whatever becomes of the commits under way.
  [[nodiscard]] bool is_committed(const owned_partition& p) const noexcept;
  /// Takes note of the commits that have ended.
  void note_commits();
  void note_commit(const offsets_under_way& commit) noexcept;
  /// Commits positions when it is time to.
  void auto_commit();

  // Reading

  [[nodiscard]] result<record_batch> read();
  /// What a poll returns now; nothing where it has to wait, at most until `next_look`.
  [[nodiscard]] std::optional<result<record_batch>> look(clock::steady_time deadline, waiting may,
                                                         clock::steady_time& next_look);

  std::shared_ptr<core> owner_;
  std::shared_ptr<group_slot> group_;
  std::vector<std::shared_ptr<topic_slot>> topics_;
  std::optional<topic_pattern> pattern_;
  std::uint64_t topics_version_ = 0;       // of which the pattern has been tried
  std::vector<std::uint32_t> subscribed_;  // logs, sorted; where there is a pattern
  consumer_options options_;
  std::shared_ptr<waiter> waiter_ = std::make_shared<waiter>();
  std::vector<owned_partition> owned_;  // sorted
  std::size_t turn_ = 0;                // the partition that the next poll begins with
  std::shared_ptr<std::atomic<std::uint64_t>> held_ = std::make_shared<std::atomic<std::uint64_t>>(0);
  std::uint64_t group_version_ = 0;  // of which everything has been done
  std::shared_ptr<change_under_way> change_;
  std::vector<std::shared_ptr<offsets_under_way>> commits_;  // that were begun, and have not been noted
  clock::steady_time next_auto_commit_{};
  std::shared_ptr<const offsets_under_way> unattended_;
  bool joined_ = false;
  bool fenced_ = false;
  bool calls_back_ = false;
  bool close_afterwards_ = false;
  bool closes_ = false;
  bool closed_ = false;
  std::atomic<bool> woken_{false};
};

/// What a revocation writes to.
class revocation::impl {
 public:
  impl(consumer::impl& owner, std::vector<topic_partition> revoked)
      : member{owner}, partitions{std::move(revoked)} {}

  [[nodiscard]] result<void> check(const char* verb, const topic_partition& where) const;
  [[nodiscard]] result<std::optional<offset>> position(const topic_partition& where) const;
  [[nodiscard]] result<void> commit(const offset_commit& what);
  void commit_positions();

  consumer::impl& member;
  const std::vector<topic_partition> partitions;
  std::vector<offset_entry> offsets;

 private:
  void set(offset_entry entry);
};

class new_assignment::impl {
 public:
  impl(consumer::impl& owner, std::vector<topic_partition> assigned)
      : member{owner}, partitions{std::move(assigned)} {}

  [[nodiscard]] result<void> seek(const topic_partition& where, const start_position& to);

  consumer::impl& member;
  const std::vector<topic_partition> partitions;
};

}  // namespace levada
