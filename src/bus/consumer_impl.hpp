#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bus/core.hpp"

#include <levada/consumer.hpp>

namespace levada {

class consumer::impl {
 public:
  /// Enters the group; `topics` is not empty.
  [[nodiscard]] static result<std::unique_ptr<impl>> join(std::shared_ptr<core> owner,
                                                          std::shared_ptr<group_slot> group,
                                                          std::vector<std::shared_ptr<topic_slot>> topics,
                                                          const consumer_options& options);
  ~impl();

  result<record_batch> poll(std::chrono::milliseconds timeout);
  result<void> commit();
  result<void> commit(const topic_partition& where, offset next);
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
  /// One offset to be committed.
  struct offset_note {
    owned_partition* partition;
    std::uint64_t next;
  };

  impl(std::shared_ptr<core> owner, std::shared_ptr<group_slot> group,
       std::vector<std::shared_ptr<topic_slot>> topics, consumer_options options)
      : owner_{std::move(owner)},
        group_{std::move(group)},
        topics_{std::move(topics)},
        options_{std::move(options)} {}

  [[nodiscard]] std::string operation(const char* verb) const;
  [[nodiscard]] error fenced(const char* verb) const;
  [[nodiscard]] result<core::access> enter(const char* verb) const;
  [[nodiscard]] result<void> sync_membership();
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
  void store_members();
  [[nodiscard]] result<record_batch> read();
  [[nodiscard]] result<owned_partition*> find(const char* verb, const topic_partition& where);
  [[nodiscard]] result<void> commit_offsets(const std::vector<offset_note>& notes);

  std::shared_ptr<core> owner_;
  std::shared_ptr<group_slot> group_;
  std::vector<std::shared_ptr<topic_slot>> topics_;
  consumer_options options_;
  std::shared_ptr<waiter> waiter_ = std::make_shared<waiter>();
  std::vector<owned_partition> owned_;  // sorted
  std::size_t turn_ = 0;                // the partition that the next poll begins with
  bool joined_ = false;
  bool closed_ = false;
};

}  // namespace levada
