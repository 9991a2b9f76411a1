#pragma once

/// @file
/// Tickets of messages: kept within the commits that change what they tell, and watched by who waits.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/alarm.hpp"
#include "bus/commit_scope.hpp"
#include "bus/wake_list.hpp"
#include "queue/tickets.hpp"

namespace levada {

class core;

/// How a message has left a queue.
enum class departure : std::uint8_t { acknowledged, expired, dead_lettered, discarded };

/// Costs nothing until the first ticket is asked for; then one look-up for each message that is settled.
class ticket_desk {
 public:
  explicit ticket_desk(core& owner) noexcept : owner_{owner} {}

  /// Once, before use: whether there are any.
  [[nodiscard]] result<void> start();

  // Within a commit:

  /// Fails with `message_id_in_use`.
  [[nodiscard]] result<void> check_free(commit_scope& scope, std::string_view message_id) const;
  /// A message has been stored, and is in these queues; or it waits to be routed, where `row.due` says so.
  [[nodiscard]] result<void> open(commit_scope& scope, const std::string& message_id, queue::ticket_row row,
                                  const std::vector<queue_slot*>& queues);
  /// One that has waited is routed, or will not be.
  [[nodiscard]] result<void> routed(commit_scope& scope, const queue::message_place& where,
                                    const std::vector<queue_slot*>& queues, std::size_t refused);
  /// A message has left a queue, whether there is a ticket for it or not.
  [[nodiscard]] result<void> note(commit_scope& scope, std::uint32_t queue, const queue::reference& where,
                                  departure how) {
    return any_ ? note(scope, queue, queue::message_place{where.log, where.partition, where.offset}, how)
                : result<void>{};
  }
  /// Up to `most` of the messages of a queue that is gone; whether that were all.
  [[nodiscard]] result<bool> discard_some(commit_scope& scope, std::uint32_t queue, std::size_t most);

  /// A commit of its own: nothing is known of a message any more. Whether there was.
  [[nodiscard]] result<bool> forget(const std::string& message_id);

  /// After a commit that has settled these.
  void tell(const std::vector<std::string>& message_ids);
  /// Something has happened to this one.
  void tell(std::string_view message_id);
  /// Wakes all who wait.
  void tell_all() noexcept;

  /// Who waits for something to happen to a message, from now until its end. For any thread.
  class watcher {
   public:
    watcher(std::shared_ptr<core> owner, std::string message_id);
    watcher(const watcher&) = delete;
    watcher& operator=(const watcher&) = delete;
    ~watcher();
    [[nodiscard]] const std::shared_ptr<waiter>& signalled() const noexcept { return waiter_; }

   private:
    const std::shared_ptr<core> owner_;
    const std::string message_id_;
    const std::shared_ptr<waiter> waiter_ = std::make_shared<waiter>();
  };

  /// Something will have been settled for long enough by then.
  void expect_to_forget(std::int64_t due);

 private:
  [[nodiscard]] result<void> note(commit_scope& scope, std::uint32_t queue, const queue::message_place& where,
                                  departure how);
  [[nodiscard]] result<void> enter(commit_scope& scope, const std::string& message_id, queue::ticket_row& row,
                                   const std::vector<queue_slot*>& queues);
  [[nodiscard]] static result<std::optional<queue::ticket_row>> read(commit_scope& scope,
                                                                     const std::string& message_id);
  [[nodiscard]] static result<void> store(commit_scope& scope, const std::string& message_id,
                                          queue::ticket_row& row);
  /// How long something settled is known, in microseconds.
  [[nodiscard]] std::int64_t history() const noexcept;

  core& owner_;
  std::atomic<bool> any_{false};  // never becomes false again
  alarm forgets_;
  std::mutex mutex_;  // guards what follows
  std::multimap<std::string, std::shared_ptr<waiter>, std::less<>> waiting_;
};

}  // namespace levada
