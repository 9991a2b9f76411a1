#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "bus/offset_intent.hpp"
#include "bus/transaction_part.hpp"

#include <levada/consumer.hpp>

namespace levada {

class consumer::impl {
 public:
  /// Enters the group; `topics` is not empty.
  [[nodiscard]] static result<std::shared_ptr<impl>> join(std::shared_ptr<core> owner,
                                                          std::shared_ptr<group_slot> group,
                                                          std::vector<std::shared_ptr<topic_slot>> topics,
                                                          const consumer_options& options);
  ~impl();

  result<record_batch> poll(std::chrono::milliseconds timeout);
  void wakeup() noexcept;
  static void start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                         detail::completion<record_batch> done);
  /// One offset, or all positions.
  using offset_choice = std::optional<std::pair<topic_partition, offset>>;
  result<void> commit(const offset_choice& what);
  static void start_commit(const std::shared_ptr<impl>& self, const offset_choice& what,
                           detail::completion<void> done);
  /// The same, with a transaction.
  [[nodiscard]] static result<std::unique_ptr<transaction_part>> make_part(const std::shared_ptr<impl>& self,
                                                                           const offset_choice& what);
  result<void> seek(const topic_partition& where, const start_position& to);
  [[nodiscard]] std::vector<topic_partition> assignment() const;
  [[nodiscard]] result<std::optional<offset>> position(const topic_partition& where) const;
  [[nodiscard]] result<std::optional<offset>> committed(const topic_partition& where) const;
  [[nodiscard]] const std::string& group() const noexcept { return group_->name; }
  [[nodiscard]] const std::string& member_id() const noexcept { return options_.member_id; }
  void close() noexcept;

 private:
  struct owned_partition {
    topic_partition where;
    std::shared_ptr<topic_slot> topic;
    std::optional<std::uint64_t> position;   // none: the reset policy is `none` and nobody has sought
    std::optional<std::uint64_t> committed;  // as far as this member knows
    bool placed = false;                     // whether `position` has been found out
  };
  class submitted_offsets;
  /// Whether a call may wait for a commit.
  enum class waiting : bool { no, yes };

  impl(std::shared_ptr<core> owner, std::shared_ptr<group_slot> group,
       std::vector<std::shared_ptr<topic_slot>> topics, consumer_options options)
      : owner_{std::move(owner)},
        group_{std::move(group)},
        topics_{std::move(topics)},
        options_{std::move(options)} {}

  [[nodiscard]] std::string operation(const char* verb) const;
  [[nodiscard]] error fenced(const char* verb) const;
  [[nodiscard]] result<core::access> enter(const char* verb) const;
  [[nodiscard]] result<void> sync_membership(waiting may);
  /// Fails with `unknown_topic`, once, where a topic has been deleted; the others are read on.
  [[nodiscard]] result<void> check_topics();
  void acquire(const topic_partition& where);
  /// Finds out where the partitions that came since the last time start. Where that fails, the next call
  /// tries again.
  [[nodiscard]] result<void> place_acquired();
  [[nodiscard]] result<void> place(owned_partition& p) const;
  /// Fails with `overtaken`, once the position has been moved as the reset policy says, where the log does
  /// not go back so far any more.
  [[nodiscard]] result<void> check_overtaken(owned_partition& p) const;
  /// Stores members and assignment, for listings. A failure costs nothing but an outdated listing.
  void store_members(waiting may);
  [[nodiscard]] result<record_batch> read();
  /// What a poll returns now; nothing where it has to wait, at most until `next_look`.
  [[nodiscard]] std::optional<result<record_batch>> look(clock::steady_time deadline, waiting may,
                                                         clock::steady_time& next_look);
  [[nodiscard]] result<owned_partition*> find(const char* verb, const topic_partition& where);
  class offset_part;
  [[nodiscard]] result<std::vector<offset_entry>> choose(const offset_choice& what);
  void note_committed(const std::vector<offset_entry>& notes);

  std::shared_ptr<core> owner_;
  std::shared_ptr<group_slot> group_;
  std::vector<std::shared_ptr<topic_slot>> topics_;
  consumer_options options_;
  std::shared_ptr<waiter> waiter_ = std::make_shared<waiter>();
  std::vector<owned_partition> owned_;  // sorted
  std::size_t turn_ = 0;                // the partition that the next poll begins with
  bool joined_ = false;
  bool closed_ = false;
  std::atomic<bool> woken_{false};
};

}  // namespace levada
