#include "bus/schedule.hpp"

#include <algorithm>
#include <chrono>

#include "bus/simple_intent.hpp"

namespace levada {
namespace {

/// How many messages are cancelled with one commit.
constexpr std::size_t cancelled_in_commit = 256;

queue::message_place place_of(const queue::scheduled_message& m) noexcept {
  return {m.log, m.partition, m.offset};
}

}  // namespace

result<std::int64_t> schedule(commit_scope& scope, const topic_slot& exchange, std::uint32_t partition,
                              std::uint64_t offset, std::int64_t delay_microseconds) {
  const std::int64_t due = scope.now() + delay_microseconds;
  auto stored =
      scope.written(queue::put(scope.txn(), scope.tables(), {due, exchange.state.id(), partition, offset}));
  if (!stored) return stored.error();
  scope.expect(due);
  return due;
}

result<std::vector<delayed_message>> list_delayed(const core& owner, const core::access& access,
                                                  std::size_t most) {
  std::vector<delayed_message> all;
  auto txn = storage::read_transaction::begin(access.main().env());
  if (!txn) return txn.error();
  for (queue::scheduled_message from; all.size() < most;) {
    auto found = queue::read_schedule(*txn, access.main().tables(), from, most - all.size());
    if (!found) return found.error();
    if (found->empty()) break;
    for (const queue::scheduled_message& m : *found) {
      const auto exchange = owner.find_topic(m.log);
      if (!exchange || exchange->orphan) continue;
      all.push_back({exchange->state.name(), partition_id{m.partition}, offset{m.offset},
                     timestamp{std::chrono::microseconds{m.due}}});
    }
    from = found->back();
    ++from.offset;
  }
  return all;
}

result<bool> cancel_delayed(core& owner, const queue::scheduled_message& message) {
  bool there = false;
  simple_intent cancelling{[&](commit_scope& scope) -> result<void> {
                             auto erased = scope.written(queue::erase(scope.txn(), scope.tables(), message));
                             if (!erased) return erased.error();
                             there = *erased;
                             if (!there) return {};
                             scope.owner().ledger().note_cancelled(scope, place_of(message));
                             return scope.owner().tickets().routed(scope, place_of(message), {}, 0);
                           },
                           nothing_to_apply};
  if (auto done = owner.run("cancel delayed message", cancelling); !done) return done.error();
  return there;
}

result<void> cancel_delayed(core& owner, const core::access& access,
                            std::span<const std::uint32_t> exchanges) {
  std::vector<queue::scheduled_message> left;
  auto found = queue::for_each_scheduled(access.main(), [&](const queue::scheduled_message& m) {
    if (std::find(exchanges.begin(), exchanges.end(), m.log) != exchanges.end()) left.push_back(m);
  });
  if (!found) return found;
  while (!left.empty()) {
    const std::size_t n = std::min(cancelled_in_commit, left.size());
    simple_intent erasing{[&](commit_scope& scope) -> result<void> {
                            for (std::size_t i = left.size() - n; i < left.size(); ++i) {
                              auto erased = scope.written(queue::erase(scope.txn(), scope.tables(), left[i]));
                              if (!erased) return erased.error();
                              auto noted = scope.owner().tickets().routed(scope, place_of(left[i]), {}, 0);
                              if (!noted) return noted;
                            }
                            return {};
                          },
                          nothing_to_apply};
    if (auto done = owner.run(access, "cancel delayed messages", erasing); !done) return done;
    left.resize(left.size() - n);
  }
  return {};
}

}  // namespace levada
