#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include <levada/bus.hpp>

#include "organisation.hpp"
#include "position_mark.hpp"

namespace cache_sync {

/// What licensing needs of an organisation.
struct entitlement {
  /// That of the organisation from which it follows.
  std::uint64_t version = 0;
  /// How many may work at a time: none while the organisation is suspended.
  std::uint32_t seats = 0;

  friend bool operator==(const entitlement&, const entitlement&) = default;
};

[[nodiscard]] entitlement entitlement_of(const organisation& o);
/// As text: "3 25".
[[nodiscard]] std::string to_text(const entitlement& e);
/// Reads such a text; nothing where it is none.
[[nodiscard]] std::optional<entitlement> parse_entitlement(std::string_view text);

/// What licensing says when it is asked.
struct answer {
  /// It does not know yet: ask again, or ask the organisation service.
  bool catching_up = false;
  /// Nothing where there is no such organisation.
  std::optional<entitlement> known;
};

/// What licensing does for each change before it takes note of it: stands for real work. Must not throw.
using work_per_change = std::function<void(const organisation&)>;

/// The licensing service. It answers from a cache: a table of its own in the bus's store, which a consumer
/// group keeps up with the changes of organisations. What it has taken in and the group's offsets are written
/// in one transaction, so the cache is always exactly as of these offsets, also after a crash.
///
/// No stale read: the cache is as old as the moment when licensing was stopped, so after a start it does not
/// answer until it has caught up with the end of the log as of that start. From then on every answer is at
/// least as new as the organisation was then. It follows later changes within the time that it takes to
/// consume them; who must see one of his own calls `wait_for`.
///
/// `ask`, `cached`, `caught_up` and `wait_for` may be called from any thread; `take_in` and `serve` from one
/// at a time. The bus must outlive it. Destroying it leaves the group.
class licensing {
 public:
  /// Throws `levada::exception`; where the topic of the changes is not declared yet, for `unknown_topic`.
  explicit licensing(levada::bus& bus, work_per_change work = nullptr);

  /// May an organisation work, and how many of it?
  [[nodiscard]] levada::result<answer> ask(organisation_id id) const;
  /// Whether it has caught up with the end of the log as of its start.
  [[nodiscard]] bool caught_up() const { return caught_up_; }
  /// Waits until it has taken in everything before `mark`, or can take in no more. Returns whether it has.
  [[nodiscard]] bool wait_for(const position_mark& mark, std::chrono::milliseconds time_max) const;
  /// What the cache holds, however old it is.
  [[nodiscard]] levada::result<std::optional<entitlement>> cached(organisation_id id) const;

  /// Takes in the next changes; waits up to `timeout` for some. Returns how many it were. After an error it
  /// takes in no more: a new licensing service begins where this one was.
  [[nodiscard]] levada::result<std::size_t> take_in(std::chrono::milliseconds timeout);
  /// Takes in changes until it is told to stop, which it does between two batches.
  [[nodiscard]] levada::result<void> serve(const std::stop_token& stop);

 private:
  [[nodiscard]] levada::result<std::size_t> take_in_batch(std::chrono::milliseconds timeout);
  [[nodiscard]] levada::result<void> write(const levada::record_batch& changes);
  [[nodiscard]] levada::result<void> note_position();

  levada::bus& bus_;
  const work_per_change work_;
  levada::table entitlements_;
  const position_mark end_at_start_;
  levada::consumer changes_;

  mutable std::mutex mutex_;
  mutable std::condition_variable moved_;
  position_mark position_;  // of what is in the cache
  bool failed_ = false;
  std::atomic<bool> caught_up_ = false;
};

}  // namespace cache_sync
