#include "bus/delayed_routing.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "bus/core.hpp"
#include "bus/dispatch.hpp"
#include "bus/messages.hpp"
#include "queue/schedule.hpp"

namespace levada {
namespace {

/// How many messages are routed with one commit.
constexpr std::size_t routed_in_commit = 128;
/// After a commit that failed.
constexpr std::int64_t pause_after_failure = 1'000'000;

/// Routes a message whose time has come. What cannot be read any more, or has no exchange any more, is passed
/// over.
result<void> route_now(commit_scope& scope, const queue::scheduled_message& message) {
  core& owner = scope.owner();
  const queue::message_place place{message.log, message.partition, message.offset};
  topic_slot* const exchange = owner.exchange_of_binding(message.log);
  if (exchange == nullptr) return owner.tickets().routed(scope, place, {}, 0);
  queue::reference where;
  where.log = message.log;
  where.partition = static_cast<std::uint16_t>(message.partition);
  where.offset = message.offset;
  const auto read = read_messages(owner, owner.main(), "route delayed message", {&where, 1}, SIZE_MAX);
  if (read.read == 0) {
    return is_lost(read.ended.error().code()) ? owner.tickets().routed(scope, place, {}, 0) : read.ended;
  }
  const record_view view = *read.messages.begin();
  where.bytes = static_cast<std::uint32_t>(view.value().size());
  routed_message facts{view};
  reached_queues queues;
  owner.routes().route(*exchange, facts, queues.takers);
  std::erase_if(queues.takers, [&](const queue_slot* queue) {
    return !queue->backfills.empty() && owner.backfills().will_enter(*queue, message, facts);
  });
  set_refusers_apart(scope, queues, where.bytes);
  auto entered = enter_queues(
      scope, {where, view.properties().expiration, view.properties().priority.value_or(0), nullptr}, queues);
  if (!entered) return entered;
  owner.ledger().note_routed(scope, *exchange, message.partition, message.offset, queues.takers);
  return owner.tickets().routed(scope, place, queues.takers, queues.refusers.size());
}

}  // namespace

/// Routes what is due.
class delayed_routing::delivery final : public intent {
 public:
  explicit delivery(std::shared_ptr<core> owner) : owner_{std::move(owner)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    next_.reset();
    auto some = queue::read_schedule(scope.txn(), scope.tables(), {}, routed_in_commit + 1);
    if (!some) return some.error();
    for (std::size_t i = 0; i < some->size(); ++i) {
      const queue::scheduled_message& message = (*some)[i];
      if (message.due > scope.now() || i == routed_in_commit) {
        next_ = message.due;
        break;
      }
      auto erased = scope.written(queue::erase(scope.txn(), scope.tables(), message));
      if (!erased) return erased.error();
      if (auto routed = route_now(scope, message); !routed) return scope.undo(routed.error());
    }
    return bury(scope);
  }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    failure_notice& failures = owner_->delays().failures_;
    if (outcome) {
      failures.succeeded(owner_->logger(), "delayed routing of", owner_->store_name());
    } else {
      next_ = owner_->bus_time() + pause_after_failure;
      if (outcome.error() != errc::closed) failures.failed(owner_->logger(), outcome.error());
    }
    if (next_) owner_->delays().expect(*next_);
  }

 private:
  const std::shared_ptr<core> owner_;
  std::optional<std::int64_t> next_;
};

result<void> delayed_routing::start() {
  auto txn = storage::read_transaction::begin(owner_.main().env());
  if (!txn) return txn.error();
  auto first = queue::read_schedule(*txn, owner_.main().tables(), {}, 1);
  // One that is damaged keeps nobody from the rest of the store; who looks then, is told.
  if (!first && first.error() != errc::damaged) return first.error();
  if (!first) {
    expect(owner_.bus_time());
  } else if (!first->empty()) {
    expect(first->front().due);
  }
  return {};
}

void delayed_routing::expect(std::int64_t due) {
  next_look_.set(owner_, due, [owner = owner_.weak_from_this()] {
    if (const auto bus = owner.lock()) bus->delays().look();
  });
}

void delayed_routing::look() {
  next_look_.rang();
  owner_.submit("route delayed messages", std::make_unique<delivery>(owner_.shared_from_this()));
}

}  // namespace levada
