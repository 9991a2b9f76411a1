#include "bus/ticket_desk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "bus/core.hpp"
#include "bus/simple_intent.hpp"

namespace levada {
namespace {

/// How many settled messages are forgotten with one commit.
constexpr std::size_t forgotten_in_commit = 256;
/// After a commit that failed.
constexpr std::int64_t pause_after_failed_commit = 1'000'000;

/// Forgets what has been settled for long enough, a few at a time.
class forgetting final : public intent {
 public:
  forgetting(std::shared_ptr<core> owner, std::int64_t history)
      : owner_{std::move(owner)}, history_{history} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    next_.reset();
    auto gone = scope.written(
        queue::forget_settled(scope.txn(), scope.tables(), scope.now() - history_, forgotten_in_commit));
    if (!gone) return gone.error();
    auto first = queue::first_settled(scope.txn(), scope.tables());
    if (!first) return first.error();
    if (*first) next_ = **first + history_ + 1;
    return {};
  }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    if (!outcome && (outcome.error() == errc::closed || outcome.error() == errc::operation_aborted)) return;
    if (!outcome) next_ = owner_->bus_time() + pause_after_failed_commit;
    if (next_) owner_->tickets().expect_to_forget(*next_);
  }

 private:
  const std::shared_ptr<core> owner_;
  const std::int64_t history_;
  std::optional<std::int64_t> next_;
};

std::uint32_t counted(std::size_t n) noexcept {
  return static_cast<std::uint32_t>(std::min<std::size_t>(n, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

std::int64_t ticket_desk::history() const noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(owner_.options().ticket_history).count();
}

result<void> ticket_desk::start() {
  auto txn = storage::read_transaction::begin(owner_.main().env());
  if (!txn) return txn.error();
  auto tickets = txn->count(owner_.main().tables().tickets);
  auto open = txn->count(owner_.main().tables().unsettled);
  auto first = queue::first_settled(*txn, owner_.main().tables());
  if (!tickets) return tickets.error();
  if (!open) return open.error();
  if (!first) return first.error();
  any_ = *tickets > 0 || *open > 0;
  if (*first) expect_to_forget(**first + history() + 1);
  return {};
}

result<void> ticket_desk::check_free(commit_scope& scope, std::string_view message_id) const {
  auto known = queue::read_ticket(scope.txn(), scope.tables(), message_id);
  if (!known) return known.error();
  if (!*known) return {};
  return error{errc::message_id_in_use,
               fmt::format("there is a ticket for the message id '{}' already", message_id)};
}

result<void> ticket_desk::open(commit_scope& scope, const std::string& message_id, queue::ticket_row row,
                               const std::vector<queue_slot*>& queues) {
  any_ = true;
  row.published = scope.now();
  if (row.due != 0) {
    auto stored = scope.written(
        queue::put_open(scope.txn(), scope.tables(), queue::not_routed_yet, row.where, message_id));
    if (!stored) return stored;
    row.unsettled = 1;
    return store(scope, message_id, row);
  }
  return enter(scope, message_id, row, queues);
}

result<void> ticket_desk::routed(commit_scope& scope, const queue::message_place& where,
                                 const std::vector<queue_slot*>& queues, std::size_t refused) {
  if (!any_) return {};
  auto id = scope.written(queue::take_open(scope.txn(), scope.tables(), queue::not_routed_yet, where));
  if (!id) return id.error();
  if (!*id) return {};
  auto row = read(scope, **id);
  if (!row) return row.error();
  if (!*row || (*row)->where != where) return {};  // forgotten; perhaps another message has its id now
  (*row)->due = 0;
  (*row)->refused = counted(refused);
  return enter(scope, **id, **row, queues);
}

/// It is in these queues, and nowhere else.
result<void> ticket_desk::enter(commit_scope& scope, const std::string& message_id, queue::ticket_row& row,
                                const std::vector<queue_slot*>& queues) {
  for (const queue_slot* const queue : queues) {
    auto stored =
        scope.written(queue::put_open(scope.txn(), scope.tables(), queue->state.id(), row.where, message_id));
    if (!stored) return stored;
  }
  row.routed = counted(queues.size());
  row.unsettled = row.routed;
  return store(scope, message_id, row);
}

result<void> ticket_desk::note(commit_scope& scope, std::uint32_t queue, const queue::message_place& where,
                               departure how) {
  auto id = scope.written(queue::take_open(scope.txn(), scope.tables(), queue, where));
  if (!id) return id.error();
  if (!*id) return {};
  auto row = read(scope, **id);
  if (!row) return row.error();
  if (!*row || (*row)->where != where) return {};  // forgotten; perhaps another message has its id now
  switch (how) {
    case departure::acknowledged:
      ++(*row)->acknowledged;
      break;
    case departure::expired:
      ++(*row)->expired;
      break;
    case departure::dead_lettered:
      ++(*row)->dead_lettered;
      break;
    case departure::discarded:
      ++(*row)->discarded;
      break;
  }
  if ((*row)->unsettled > 0) --(*row)->unsettled;
  return store(scope, **id, **row);
}

/// Nothing where it has been forgotten. One that is damaged keeps nobody from settling the message.
result<std::optional<queue::ticket_row>> ticket_desk::read(commit_scope& scope,
                                                           const std::string& message_id) {
  auto row = queue::read_ticket(scope.txn(), scope.tables(), message_id);
  if (!row && row.error() == errc::damaged) return std::optional<queue::ticket_row>{};
  return row;
}

result<void> ticket_desk::store(commit_scope& scope, const std::string& message_id, queue::ticket_row& row) {
  if (row.unsettled == 0) {
    row.settled = scope.now();
    scope.note_settled(message_id);
  }
  return scope.written(queue::put_ticket(scope.txn(), scope.tables(), message_id, row));
}

result<bool> ticket_desk::discard_some(commit_scope& scope, std::uint32_t queue, std::size_t most) {
  if (!any_) return true;
  auto some = queue::read_open(scope.txn(), scope.tables(), queue, most);
  if (!some) return some.error();
  for (const queue::message_place& where : *some) {
    if (auto noted = note(scope, queue, where, departure::discarded); !noted) return noted.error();
  }
  return some->size() < most;
}

result<bool> ticket_desk::forget(const std::string& message_id) {
  bool there = false;
  const auto forget_all = [&](commit_scope& scope) -> result<void> {
    auto row = read(scope, message_id);
    if (!row) return row.error();
    if (*row && (*row)->unsettled > 0) {
      std::vector<std::uint32_t> queues{queue::not_routed_yet};
      for (const auto& queue : owner_.all_queues()) queues.push_back(queue->state.id());
      for (const std::uint32_t id : queues) {
        auto taken = scope.written(queue::take_open(scope.txn(), scope.tables(), id, (*row)->where));
        if (!taken) return taken.error();
      }
    }
    auto erased = scope.written(queue::erase_ticket(scope.txn(), scope.tables(), message_id));
    if (!erased) return erased.error();
    there = *erased;
    scope.note_settled(message_id);
    return {};
  };
  simple_intent forgetting_one{forget_all, nothing_to_apply};
  auto done = owner_.run(fmt::format("forget ticket '{}'", message_id), forgetting_one);
  if (!done) return done.error();
  return there;
}

void ticket_desk::tell(const std::vector<std::string>& message_ids) {
  for (const std::string& id : message_ids) tell(id);
  expect_to_forget(owner_.bus_time() + history() + 1);
}

void ticket_desk::tell(std::string_view message_id) {
  std::vector<std::shared_ptr<waiter>> all;
  {
    const std::lock_guard guard{mutex_};
    const auto [begin, end] = waiting_.equal_range(message_id);
    for (auto w = begin; w != end; ++w) all.push_back(w->second);
  }
  for (const auto& w : all) w->signal();
}

void ticket_desk::tell_all() noexcept {
  std::vector<std::shared_ptr<waiter>> all;
  {
    const std::lock_guard guard{mutex_};
    for (const auto& [id, w] : waiting_) all.push_back(w);
  }
  for (const auto& w : all) w->signal();
}

void ticket_desk::expect_to_forget(std::int64_t due) {
  forgets_.set(owner_, due, [owner = owner_.weak_from_this()] {
    const auto bus = owner.lock();
    if (!bus) return;
    bus->tickets().forgets_.rang();
    bus->submit("forget tickets", std::make_unique<forgetting>(bus, bus->tickets().history()));
  });
}

ticket_desk::watcher::watcher(std::shared_ptr<core> owner, std::string message_id)
    : owner_{std::move(owner)}, message_id_{std::move(message_id)} {
  ticket_desk& desk = owner_->tickets();
  const std::lock_guard guard{desk.mutex_};
  desk.waiting_.emplace(message_id_, waiter_);
}

ticket_desk::watcher::~watcher() {
  ticket_desk& desk = owner_->tickets();
  const std::lock_guard guard{desk.mutex_};
  const auto [begin, end] = desk.waiting_.equal_range(message_id_);
  const auto own = std::find_if(begin, end, [this](const auto& w) { return w.second == waiter_; });
  if (own != end) desk.waiting_.erase(own);
}

}  // namespace levada
