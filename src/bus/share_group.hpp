#pragma once

/// @file
/// A share group: which records are in flight, who has acquired them and until when.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "log/log_reader.hpp"

#include <levada/delivery.hpp>
#include <levada/options.hpp>
#include <levada/share_consumer.hpp>

namespace levada {

/// A member, as its group sees it. What is in it is the group's to guard.
struct share_member {
  share_member(std::vector<std::shared_ptr<topic_slot>> what, std::size_t records, std::size_t bytes)
      : topics{std::move(what)}, records_max{records}, bytes_max{bytes} {}

  const std::shared_ptr<waiter> wakes = std::make_shared<waiter>();
  std::vector<std::shared_ptr<topic_slot>> topics;
  const std::size_t records_max;
  const std::size_t bytes_max;
  std::size_t turn = 0;            // the partition that it looks at first
  std::vector<delivery> acquired;  // and not returned by a poll yet
  std::optional<error> failed;     // of its last acquisition, which nobody waited for
  bool gone = false;
};

/// The records of a share group that have been acquired and are not settled. On the disk they are entries of
/// a queue of the group's own, which names each with how often it has been handed out, while the group's
/// committed offset tells where the next are acquired: both change in one commit, before anybody sees the
/// records. So a record is in flight, or settled, or yet to be acquired, whatever happens. Who has acquired
/// it, and until when, is known in memory alone; what a crash leaves is available again.
///
/// One acquisition is under way at a time. Safe to share; `member` is one of this group's throughout.
class share_group : public std::enable_shared_from_this<share_group> {
 public:
  struct settings {
    std::chrono::milliseconds lock_duration{};
    std::uint32_t delivery_limit = 0;
    std::size_t in_flight_max = 0;
    friend bool operator==(const settings&, const settings&) = default;
  };

  /// What is acquired with one commit.
  struct acquisition;
  class acquire_intent;
  class enter_intent;

  share_group(std::shared_ptr<core> owner, std::shared_ptr<group_slot> group, const settings& how)
      : owner_{std::move(owner)}, group_{std::move(group)}, settings_{how} {}

  /// Enters the group of that name, which is made if it is new.
  [[nodiscard]] static result<std::shared_ptr<share_group>> enter(const std::shared_ptr<core>& owner,
                                                                  std::string_view name,
                                                                  const std::shared_ptr<share_member>& member,
                                                                  const share_consumer_options& options);
  void leave(share_member& member) noexcept;

  /// What a look has found out.
  struct finding {
    /// What the poll returns, if it is to return.
    std::optional<result<std::vector<delivery>>> answer;
    /// Else what to acquire; nothing where there is nothing to be acquired now.
    std::shared_ptr<acquisition> next;
    /// Whether an acquisition is under way: its end signals all members.
    bool under_way = false;
    /// When something comes back, if nothing happens before.
    clock::steady_time comes_back = clock::steady_time::max();
  };
  [[nodiscard]] finding look(const std::shared_ptr<share_member>& member, const core::access& access);
  /// Carries out what a look has found; it waits for the commit.
  [[nodiscard]] result<void> acquire(const core::access& access, const std::string& operation,
                                     const std::shared_ptr<acquisition>& what);
  void start_acquire(std::string operation, std::shared_ptr<acquisition> what);

  using tags = std::vector<delivery_tag>;
  /// Locked records on their way to be settled; and those that are given back once the others are.
  struct settlement {
    tags settled;
    tags released;
    std::vector<std::uint64_t> positions;  // of the former, sorted
    acknowledge_type how = acknowledge_type::accept;
  };
  /// Takes records out of the reach of time, to be settled; `renew` and, mostly, `release` leave nothing to
  /// be settled. Fails with `unknown_delivery`.
  [[nodiscard]] result<settlement> begin(const std::string& operation, const share_member& member,
                                         std::span<const delivery_tag> which, acknowledge_type how);
  /// After the commit, or where there is none.
  void decided(const share_member& member, const settlement& what, bool committed) noexcept;
  /// Fails with `unknown_delivery`.
  [[nodiscard]] result<void> check(const std::string& operation, const share_member& member,
                                   std::span<const delivery_tag> which);

  [[nodiscard]] queue_slot& in_flight() const noexcept { return *group_->in_flight; }
  [[nodiscard]] const std::shared_ptr<group_slot>& group() const noexcept { return group_; }
  /// Whether it has members, or a commit of theirs is under way.
  [[nodiscard]] bool in_use() const;

 private:
  struct entry {
    std::uint64_t position = 0;
    queue::reference where;
  };
  struct lock {
    entry what;
    const share_member* holder = nullptr;
    clock::steady_time until{};
    bool settling = false;
  };
  /// By log and partition.
  using partition_key = std::pair<std::uint32_t, std::uint32_t>;
  struct partition {
    std::optional<std::uint64_t> next;  // to be acquired; nothing until a member brings the topic
    std::size_t in_flight = 0;
  };

  // With `mutex_` held:
  void expire();
  /// Makes a record available, or exhausts it.
  void give_back(const entry& e);
  void forget(const entry& e);
  [[nodiscard]] result<std::shared_ptr<acquisition>> prepare(const std::shared_ptr<share_member>& member,
                                                             const core::access& access);
  void take_returned(acquisition& a, log::log_reader& reader, log::batch_builder& batch);
  void take_new(acquisition& a, log::log_reader& reader, log::batch_builder& batch);
  [[nodiscard]] result<void> check_locks(const std::string& operation, const share_member& member,
                                         std::span<const delivery_tag> which);

  /// After the commit, by the committing thread.
  void acquired(acquisition& a);
  void not_acquired(acquisition& a, const error& why, bool waited_for);

  const std::shared_ptr<core> owner_;
  const std::shared_ptr<group_slot> group_;

  mutable std::mutex mutex_;  // guards what follows
  settings settings_;
  std::size_t members_ = 0;
  std::size_t settling_ = 0;  // commits under way
  bool acquiring_ = false;
  std::map<partition_key, partition> partitions_;
  std::map<std::uint64_t, queue::reference> available_;  // by position
  std::map<std::uint64_t, queue::reference> exhausted_;  // to be settled by and by
  std::map<delivery_tag, lock> locks_;
  std::set<std::pair<clock::steady_time, delivery_tag>> deadlines_;  // of what is not settling
};

}  // namespace levada
