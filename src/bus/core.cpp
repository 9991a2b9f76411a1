#include "bus/core.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <new>
#include <utility>

#include "bus/control_socket.hpp"
#include "bus/with_operation.hpp"
#include "storage/errors.hpp"

namespace levada {
namespace {

/// Segments that are kept open: consumers read the same ones one after the other.
constexpr std::size_t segments_open_max = 64;

/// The bus in the middle of whose commit the thread runs code of the host.
thread_local const core* committing = nullptr;

}  // namespace

core::core(storage::owned_store store, storage::fork_guard guard, bus_options options, std::string store_name)
    : store_{std::move(store)},
      fork_guard_{std::move(guard)},
      options_{std::move(options)},
      store_name_{std::move(store_name)},
      commits_{*this, options_.pending_bytes_max, [this] { courier_.lead(); }},
      segments_{std::make_shared<log::segment_cache>(store_->segments, segments_open_max, true)},
      courier_{*options_.clock,
               commits_,
               {.is_short = [this] { return room_is_short(); }, .wait = [this] { return wait_for_room(); }}} {
  if (!store_->checkpoints) return;
  checkpointer_ = std::make_unique<checkpointer>(*this, *store_->checkpoints,
                                                 std::get<checkpointed>(options_.durability));
}

core::~core() {
  if (fork_guard_.forked()) {
    maintenance_.abandon();
    watch_.abandon();
    if (checkpointer_) checkpointer_->abandon();
    courier_.abandon();
    static_cast<void>(control_.release());  // NOLINT: given up on purpose, with the name of its file
    own_.abandon();
    calls_.abandon();
    // Closing LMDB here would clear the reader slots of the process that this one was forked from.
    if (store_)
      static_cast<void>(new storage::owned_store{std::move(*store_)});  // NOLINT: given up on purpose
    return;
  }
  static_cast<void>(close(leftovers::abort));
}

result<std::shared_ptr<core>> core::start(storage::owned_store store, storage::fork_guard guard,
                                          bus_options options, std::string store_name) {
  auto self =
      std::make_shared<core>(std::move(store), std::move(guard), std::move(options), std::move(store_name));
  if (auto loaded = self->load(); !loaded) {
    self->closed_ = true;  // nothing to note on the way out
    return loaded.error();
  }
  if (auto listening = self->listen(); !listening) return listening.error();
  return self;
}

core::mid_commit::mid_commit(const core& owner) noexcept : before_{std::exchange(committing, &owner)} {}
core::mid_commit::~mid_commit() {
  committing = before_;
}

result<void> core::may_wait(std::string_view operation) const {
  if (committing != this) return {};
  return error{
      errc::would_deadlock,
      fmt::format("{}: within a transaction's function, only the transaction may be used", operation)};
}

result<void> core::check_open(std::string_view operation) const {
  if (fork_guard_.forked()) {
    return error{errc::forked,
                 fmt::format("{}: the bus of '{}' belongs to the parent process", operation, store_name_)};
  }
  if (auto allowed = may_wait(operation); !allowed) return allowed;
  if (closed_)
    return error{errc::closed, fmt::format("{}: the bus of '{}' is closed", operation, store_name_)};
  return {};
}

result<core::access> core::enter(std::string_view operation) const {
  // Not the lock in a forked child, where a thread that does not exist may hold it.
  if (auto open = check_open(operation); !open) return open.error();
  std::shared_lock lock{life_};
  if (auto open = check_open(operation); !open) return open.error();
  return access{std::move(lock), store_->main};
}

bool core::room_is_short() const noexcept {
  return journal_bytes() >= options_.journal_bytes_max || (checkpointer_ && checkpointer_->full());
}

result<void> core::wait_for_room() {
  if (journal_bytes() >= options_.journal_bytes_max) {
    if (auto room = maintenance_.wait_for_room(); !room) {
      return error{room.error().code(), fmt::format("the journal holds {} bytes and cannot be sealed: {}",
                                                    journal_bytes(), room.error().message())};
    }
  }
  if (checkpointer_ && checkpointer_->full()) {
    if (auto room = checkpointer_->wait_for_room(); !room) {
      return error{room.error().code(), fmt::format("waiting for a checkpoint: {}", room.error().message())};
    }
  }
  return {};
}

void core::submit(std::string operation, std::unique_ptr<intent> i, group_commit::led_by who) {
  auto entered = enter(operation);
  if (entered && failed_) {
    entered = error{errc::failed, fmt::format("{}: an earlier commit to '{}' failed; open it anew", operation,
                                              store_name_)};
  }
  if (!entered) {
    i->finished(entered.error());
    return;
  }
  courier_.submit(std::move(operation), std::move(i), who);
}

void core::lead_some() {
  if (const auto entered = enter("lead")) commits_.lead_some();
}

void core::add(const std::shared_ptr<collector>& who) {
  const std::lock_guard guard{collectors_mutex_};
  std::erase_if(collectors_, [](const auto& known) { return known.expired(); });
  collectors_.push_back(who);
}

void core::leave(std::shared_ptr<collector> who) {
  const std::lock_guard guard{collectors_mutex_};
  left_.push_back(std::move(who));
}

void core::hand_over_left() {
  std::vector<std::shared_ptr<collector>> left;
  {
    const std::lock_guard guard{collectors_mutex_};
    left.swap(left_);
  }
  for (const auto& c : left) c->hand_over();
}

std::vector<std::shared_ptr<collector>> core::collectors() {
  const std::lock_guard guard{collectors_mutex_};
  std::vector<std::shared_ptr<collector>> all;
  for (const auto& known : collectors_) {
    if (auto there = known.lock()) all.push_back(std::move(there));
  }
  return all;
}

boost::asio::any_io_executor core::executor() {
  return options_.executor ? options_.executor : own_.executor();
}

result<core::access> core::enter_with_room(std::string_view operation, intent& i) {
  if (auto allowed = may_wait(operation); !allowed) return allowed.error();
  if (i.cost() > 0) {
    i.set_since(time().steady());
    if (room_is_short()) {
      if (auto open = enter(operation); !open) return open.error();
      if (auto room = wait_for_room(); !room) return with_operation(operation, room.error());
    }
    courier_.wait_until_let_in();
  }
  return enter(operation);
}

result<void> core::run(std::string_view operation, intent& i) {
  auto entered = enter_with_room(operation, i);
  if (!entered) return entered.error();
  return run(*entered, operation, i);
}

result<void> core::run(const access&, std::string_view operation, intent& i) {
  if (failed_) {
    return error{errc::failed,
                 fmt::format("{}: an earlier commit to '{}' failed; open it anew", operation, store_name_)};
  }
  auto outcome = commits_.run(i);
  if (!outcome) return with_operation(operation, outcome.error());
  return {};
}

std::int64_t core::bus_time(clock::steady_time now) const {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  // Wall time at open, advanced by the steady clock: a jump of the wall clock does not reach the records.
  const std::int64_t elapsed = duration_cast<microseconds>(now - steady_at_open_).count();
  return std::max(wall_at_open_ + elapsed, time_floor_.load());
}

void core::commit(std::span<intent* const> group) noexcept {
  try {
    attempt(group);
  } catch (const std::bad_alloc&) {
    counted_.commits.failures.add_alone();
    for (intent* const i : group) set_outcome(*i, error{errc::out_of_resources, "commit: out of memory"});
  } catch (const std::exception& e) {
    counted_.commits.failures.add_alone();
    for (intent* const i : group) set_outcome(*i, error{errc::io_error, fmt::format("commit: {}", e.what())});
  }
}

void core::attempt(std::span<intent* const> group) {
  const auto fail_all = [&](const error& e) {
    for (intent* const i : group) set_outcome(*i, e);
  };
  if (failed_) {
    fail_all({errc::failed, "an earlier commit failed; open the store anew"});
    return;
  }
  const std::uint64_t transaction_before = store_->main.env().last_transaction();
  const auto begun = time().steady();
  auto txn = storage::write_transaction::begin(store_->main.env());
  if (!txn) {
    counted_.commits.failures.add_alone();
    fail_all(txn.error());
    return;
  }
  commit_scope scope{*this, *txn, bus_time(begun)};
  const struct forget_staged {
    commit_scope& scope;
    ~forget_staged() { scope.forget(); }
  } forget_at_end{scope};

  std::vector<intent*> executed;
  executed.reserve(group.size());
  error broken{errc::io_error, ""};
  for (intent* const i : group) {
    auto done = i->execute(scope);
    if (done) {
      executed.push_back(i);
    } else {
      if (scope.broken_) broken = done.error();
      set_outcome(*i, std::move(done));
    }
    if (scope.broken_) break;
  }
  if (!scope.broken_) {
    if (auto stored = scope.write_staged(); !stored) broken = stored.error();
  }
  if (scope.broken_) {
    if (!scope.undone_) counted_.commits.failures.add_alone();
    // The transaction is void. One by one, so that the one at fault does not take its neighbours with it.
    scope.journal_.reset();
    { const auto abandoned = std::move(*txn); }
    scope.forget();
    if (group.size() == 1) {
      set_outcome(*group[0], broken);
    } else {
      for (intent* const& i : group) attempt({&i, 1});
    }
    return;
  }
  if (executed.empty()) return;

  scope.journal_.reset();  // LMDB wants cursors closed before their transaction ends
  if (const int rc = txn->commit(); rc != 0) {
    counted_.commits.failures.add_alone();
    const error why = classify_commit_failure(rc, transaction_before);
    for (intent* const i : executed) set_outcome(*i, why);
    return;
  }
  time_floor_ = scope.now();
  if (scope.store_) store_entry_ = *scope.store_;
  epoch_ = store_entry_.epoch;
  const bool changed = store_->main.env().last_transaction() != transaction_before;
  // Before anybody learns of it.
  if (changed) count(scope, executed, begun);
  for (intent* const i : executed) {
    set_outcome(*i, {});
    i->applied(scope);
  }
  try {
    scope.publish();
  } catch (const std::bad_alloc&) {
    // It is stored, but memory could not follow: only a new opening brings the two together again.
    counted_.commits.failures.add_alone();
    const error why{errc::outcome_unknown, "commit: out of memory"};
    fail(why);
    for (intent* const i : executed) set_outcome(*i, why);
    return;
  }
  if (checkpointer_ && changed) checkpointer_->committed(scope.bytes_appended_);
  if (store_->signal) store_->signal->announce();
}

void core::count(const commit_scope& scope, std::span<intent* const> executed,
                 clock::steady_time begun) noexcept {
  const auto now = time().steady();
  auto& all = counted_.commits;
  all.commits.add_alone();
  all.requests.add_alone(executed.size());
  all.records.add_alone(scope.counts_.records);
  all.bytes.add_alone(scope.bytes_appended_);
  all.offsets.add_alone(scope.counts_.offsets);
  all.routed.add_alone(scope.counts_.routed);
  all.unroutable.add_alone(scope.counts_.unroutable);
  all.settled.add_alone(scope.counts_.settled);
  all.duration.add_alone(now - begun);
  for (const intent* const i : executed) {
    if (i->since() != intent::not_waited_for) all.publish_wait.add_alone(now - i->since());
  }
}

error core::classify_commit_failure(int code, std::uint64_t transaction_before) {
  error e = storage::lmdb_error(code, fmt::format("commit to '{}'", store_name_));
  const bool meta_written = store_->main.env().last_transaction() != transaction_before;
  // LMDB reports a short write as EIO. When there is no room, nothing but pages of this transaction was
  // written, which no later one relies on: the store is as it was, and goes on when there is room again.
  const bool no_room = e == errc::disk_full || (code == EIO && store_->main.env().no_room());
  if (!meta_written && no_room) {
    return {errc::disk_full,
            fmt::format("commit to '{}': the file system, a quota or a limit of file size has no room",
                        store_name_)};
  }
  // Refused before anything was written.
  if (!meta_written && (e == errc::store_full || e == errc::out_of_resources)) return e;
  fail(e);
  return {errc::outcome_unknown, e.message()};
}

void core::fail(const error& why) noexcept {
  {
    const std::lock_guard guard{failure_mutex_};
    if (failed_.exchange(true)) return;
    failure_ = why.message();
  }
  if (logger() != nullptr)
    logger()->critical("levada: {}; writing is refused until it is opened anew", why.message());
  if (options_.on_failure) options_.on_failure(why);
}

bus_health core::health() const {
  const std::lock_guard guard{failure_mutex_};
  return {!failed_, failure_};
}

result<void> core::sync() {
  // Not held: a checkpoint enters by itself.
  if (auto entered = enter("sync"); !entered) return entered.error();
  if (failed_) {
    return error{errc::failed,
                 fmt::format("sync: an earlier commit to '{}' failed; open it anew", store_name_)};
  }
  return checkpointer_ ? checkpointer_->run() : result<void>{};
}

result<bus_stats> core::stats() const {
  auto entered = enter("stats");
  if (!entered) return entered.error();
  auto txn = storage::read_transaction::begin(entered->main().env());
  if (!txn) return txn.error();
  auto delayed = txn->count(entered->main().tables().schedule);
  if (!delayed) return delayed.error();
  auto tracked = txn->count(entered->main().tables().unsettled);
  if (!tracked) return tracked.error();
  bus_stats s;
  s.journal_bytes = journal_bytes();
  for (const auto& segment : segments_.all()) {
    ++s.segments;
    s.segment_bytes += segment->entry().file_bytes;
  }
  s.epoch = epoch_;
  const auto& made = counted_.commits;
  s.commits = {made.commits.value(), made.failures.value(),   made.requests.value(),
               made.records.value(), made.bytes.value(),      commits_.pending_bytes(),
               made.duration.read(), made.publish_wait.read()};
  s.consumers = group_stats();
  s.consumers.polls = counted_.reads.polls.value();
  s.consumers.records = counted_.reads.records.value();
  s.consumers.bytes = counted_.reads.bytes.value();
  s.consumers.offsets_committed = made.offsets.value();
  s.queues = {made.routed.value(),
              made.unroutable.value(),
              counted_.queues.delivered.value(),
              made.settled.value(),
              counted_.queues.requeued.value(),
              *delayed,
              *tracked};
  const auto& shares = counted_.shares;
  s.shares = {shares.acquired.value(),  shares.accepted.value(), shares.rejected.value(),
              shares.released.value(),  shares.renewed.value(),  shares.expired.value(),
              shares.exhausted.value(), shares.removed.value()};
  const auto& others = counted_.others;
  s.transactions = {made.transactions.value(), others.conflicts.value(), made.undone.value()};
  s.upkeep = {others.upkeep_runs.value(),    others.upkeep_failures.value(),   made.records_sealed.value(),
              made.segments_written.value(), made.segments_removed.value(),    others.upkeep_duration.read(),
              others.checkpoints.value(),    others.checkpoint_duration.read()};
  if (!checkpointer_) return s;
  s.checkpointed = true;
  s.last_checkpoint = log::to_time(checkpointer_->last_time());
  if (const auto first = checkpointer_->first_unsafe()) {
    s.loss_window = std::chrono::ceil<std::chrono::milliseconds>(time().steady() - *first);
  }
  return s;
}

/// What the groups know of themselves.
consumer_stats core::group_stats() const {
  consumer_stats all;
  std::vector<std::shared_ptr<group_slot>> groups;
  {
    const std::shared_lock guard{names_};
    all = deleted_groups_;
    for (const auto& [name, group] : groups_) groups.push_back(group);
  }
  // Not under the lock of names, which others take while they hold a group's.
  for (const auto& group : groups) {
    const std::lock_guard guard{group->mutex};
    all.members += group->state.size();
    all.rebalances += group->state.rebalances();
    all.fenced += group->state.fenced();
    all.possible_duplicates += group->state.possible_duplicates();
  }
  return all;
}

}  // namespace levada
