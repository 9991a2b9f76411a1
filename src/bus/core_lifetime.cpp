// The inside of a bus: opening a store, and closing it.

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

#include "bus/control_socket.hpp"
#include "bus/core.hpp"
#include "bus/queue_consumer_state.hpp"
#include "bus/removal.hpp"
#include "bus/simple_intent.hpp"
#include "bus/with_operation.hpp"
#include "log/journal_index.hpp"
#include "log/journal_reader.hpp"
#include "log/saved_index.hpp"
#include "storage/host_table.hpp"

namespace levada {
namespace {

/// A journal that is smaller is read in no time when the store is opened.
constexpr std::uint64_t index_worth_saving = std::uint64_t{1} << 20;

/// Rows that are erased or changed in one commit of a larger job, so that others wait no longer than a few
/// milliseconds for it.
constexpr std::size_t rows_in_commit = 256;

}  // namespace

result<void> core::load() {
  store_->main.env().clear_dead_readers();
  storage::catalog found;
  {
    auto txn = storage::read_transaction::begin(store_->main.env());
    if (!txn) return txn.error();
    auto all = storage::read_catalog(*txn, store_->main.tables());
    if (!all) return all.error();
    found = std::move(*all);
  }
  store_entry_ = found.store;
  epoch_ = found.store.epoch;
  if (auto known = load_logs(found); !known) return known;
  wall_at_open_ = time().wall().time_since_epoch().count();
  steady_at_open_ = time().steady();

  for (const auto& entry : found.groups) {
    const auto in_flight = std::find_if(found.queues.begin(), found.queues.end(),
                                        [&](const auto& q) { return q.share_group == entry.id; });
    add(entry, in_flight == found.queues.end() ? nullptr : &*in_flight);
  }
  for (const auto& entry : found.tables) add(entry);
  for (const auto& entry : found.policies) policies_.put(entry);
  apply_policies();
  for (const auto& entry : found.queues) {
    if (entry.share_group == 0) add(entry);
  }
  for (const auto& entry : found.bindings) add(entry);
  for (const auto& entry : found.backfills) {
    if (queue_slot* const queue = queue_of_binding(entry.queue)) put(*queue, entry);
  }
  {
    auto txn = storage::read_transaction::begin(store_->main.env());
    if (!txn) return txn.error();
    for (const auto& [id, queue] : queues_by_id_) {
      auto bars = queue->backfills.empty() ? std::vector<std::uint64_t>{} : bars_of(queue->backfills.front());
      auto loaded = queue->state.load(*txn, store_->main.tables(), std::move(bars));
      if (!loaded) return loaded;
      if (queue->rules().redelivery) {
        auto waiting = queue->state.load_waiting(*txn, store_->main.tables(), bus_time());
        // What is damaged, a consumer is told when he comes to it.
        if (!waiting && waiting.error() != errc::damaged) return waiting;
      }
      if (!queue->of_share_group && queue->state.ready().messages > 0) queue->attended = true;
    }
    if (auto shared = shared_.load(*txn, store_->main.tables()); !shared) return shared;
  }
  if (auto begun = begin_epoch(); !begun) return begun;
  if (!in_memory()) {
    // Only now: a checkpoint that there was before may have named files that the catalogue does not.
    auto above = remove_stray_segments(store_->segments, found.segments);
    if (!above) return above.error();
    store_entry_.next_segment = std::max(store_entry_.next_segment, *above);
  }
  next_segment_ = store_entry_.next_segment;
  if (auto known = tickets_.start(); !known) return known;
  if (auto cleared = clear_earlier_owner(found); !cleared) return cleared;
  for (const auto& queue : all_queues()) {
    attendant_.look_after(*queue);
    attendant_.note_use(*queue);
    if (queue->rules().expires) attendant_.look_soon(queue);
    backfiller_.look_soon(*queue);
  }
  if (auto kept = ledger_.start(); !kept) return kept;
  if (auto looked = delayed_routing_.start(); !looked) return looked;
  const bool ages = std::any_of(found.logs.begin(), found.logs.end(),
                                [](const auto& log) { return log.policy.retention_milliseconds > 0; });
  if (ages) maintenance_.watch();
  if (journal_bytes() >= options_.journal_bytes_seal) maintenance_.wake();
  if (!in_memory() && options_.maintenance == maintenance_mode::background) watch_.start();
  if (logger() != nullptr) {
    logger()->info("levada: opened '{}': {} topics, {} queues, {} groups, journal up to row {}", store_name_,
                   topics_.size(), queues_.size(), groups_.size(), next_sequence() - 1);
  }
  return {};
}

result<void> core::listen() {
  if (!options_.control_socket) return {};
  auto socket = control_socket::listen(*this, store_->segments.parent_path());
  if (!socket) return with_operation(fmt::format("open store '{}'", store_name_), socket.error());
  control_ = std::move(*socket);
  return {};
}

/// Leaves what an opening in another durability mode, or a crash, has left behind.
result<void> core::begin_epoch() {
  if (store_->restored) {
    storage::epoch_entry begun;
    for (const auto& [id, topic] : topics_by_id_) {
      auto& log = begun.logs.emplace_back();
      log.id = id;
      for (std::uint32_t p = 0; p < topic->state.partitions(); ++p) log.ends.push_back(topic->state.end(p));
    }
    simple_intent growing{[&](commit_scope& scope) -> result<void> {
                            begun.number = ++scope.store().epoch;
                            ++scope.store().layout;
                            return scope.written(storage::put(scope.txn(), scope.tables(), begun));
                          },
                          nothing_to_apply};
    if (auto done = commits_.run(growing); !done) return done;
    if (logger() != nullptr) {
      logger()->warn("levada: the system went down; '{}' is back at its last checkpoint, epoch {}",
                     store_name_, store_entry_.epoch);
    }
  }
  if (in_memory()) return {};
  // A second crash must not take the new epoch away from whoever has seen it.
  if (checkpointer_) return store_->restored ? checkpointer_->run() : result<void>{};
  return storage::end_checkpoints(store_->main, main_directory());
}

result<void> core::load_logs(const storage::catalog& found) {
  for (const auto& entry : found.logs) add(entry);
  std::vector<log::log_state*> logs;
  for (const auto& [id, topic] : topics_by_id_) logs.push_back(&topic->state);
  segments_.load(found.segments, found.store.sealed, logs);
  for (const auto& entry : found.logs) {
    log::log_state& log = topics_by_id_.at(entry.id)->state;
    const std::lock_guard guard{log.mutex()};
    log.set_begins(entry.begins);
    log.set_compacted(entry.compacted);
  }
  const bool all_needed =
      std::all_of(found.segments.begin(), found.segments.end(), [this](const auto& segment) {
        return is_needed(
            segment, [this](std::uint32_t log, std::uint32_t partition) { return begin_of(log, partition); });
      });
  if (!all_needed) ask_for_sweep();

  auto journal = log::journal_reader::open(store_->main);
  if (!journal) return journal.error();
  sealed_ = found.store.sealed;
  first_row_ = found.store.sealed + 1;
  auto looked = journal->for_each_row(0, [this](const storage::row_view& row) {
    first_row_ = row.sequence;
    return false;
  });
  if (!looked) return looked;
  const log::find_log_function find = [&](std::uint32_t id) -> std::optional<log::log_state*> {
    const auto slot = topics_by_id_.find(id);
    if (slot != topics_by_id_.end()) return &slot->second->state;
    return id < found.store.next_id ? std::optional<log::log_state*>{nullptr} : std::nullopt;
  };
  auto saved = storage::read_saved_index(journal->snapshot(), store_->main.tables());
  // One that is damaged is as good as none: the rows say the same.
  if (!saved && saved.error() != errc::damaged) return saved.error();
  result<log::journal_extent> extent{log::journal_extent{}};
  auto last = journal->last_sequence();
  if (!last) return last.error();
  const auto loaded = saved && *saved ? log::load_index(**saved, {sealed(), found.store.layout, *last}, find)
                                      : std::optional<log::journal_extent>{};
  extent = loaded ? *loaded : log::index_journal(*journal, sealed() + 1, find);
  if (!extent) {
    return error{extent.error().code(),
                 fmt::format("open store '{}': {}", store_name_, extent.error().message())};
  }
  store_->main.env().pages().keep_read();
  next_sequence_ = extent->next_sequence;
  journal_bytes_ = extent->bytes;
  time_floor_ = std::max(extent->time_last, found.store.time_floor);
  return {};
}

/// Exclusive queues and group members belong to a process; what an earlier one left is removed.
result<void> core::clear_earlier_owner(const storage::catalog& found) {
  removal going{*this};
  for (const auto& q : found.queues) {
    if (q.exclusive || (q.traits.transient && q.share_group == 0)) going.queue(q.id);
  }
  for (const auto& log : found.logs) {
    if (log.traits.transient && !log.orphan) going.exchange(log.id);
  }
  const bool had_members =
      std::any_of(found.groups.begin(), found.groups.end(), [](const auto& g) { return !g.members.empty(); });
  if (had_members || !going.empty()) {
    simple_intent clearing{[&](commit_scope& scope) -> result<void> {
                             for (auto g : found.groups) {
                               if (g.members.empty()) continue;
                               g.members.clear();
                               auto stored = scope.written(storage::put(scope.txn(), scope.tables(), g));
                               if (!stored) return stored;
                             }
                             for (const auto& b : found.backfills) {
                               if (!going.has_queue(b.queue)) continue;
                               auto erased =
                                   scope.written(storage::erase_backfill(scope.txn(), scope.tables(), b.id));
                               if (!erased) return erased;
                             }
                             return going.erase(scope);
                           },
                           [&](commit_scope& scope) { going.apply(scope.owner()); }};
    if (auto done = commits_.run(clearing); !done) return done;
  }
  return erase_left_rows();
}

/// Erases rows of queues and tables that are no more.
result<void> core::erase_left_rows() {
  std::vector<std::uint32_t> queues;
  std::vector<std::uint32_t> tables;
  {
    auto txn = storage::read_transaction::begin(store_->main.env());
    if (!txn) return txn.error();
    auto stored = queue::stored_queues(*txn, store_->main.tables());
    if (!stored) return stored.error();
    for (const std::uint32_t id : *stored) {
      if (!queues_by_id_.contains(id) && !queue::is_shared_index(id)) queues.push_back(id);
    }
    auto stored_tables = storage::stored_host_tables(*txn, store_->main.tables());
    if (!stored_tables) return stored_tables.error();
    for (const std::uint32_t id : *stored_tables) {
      const bool known = std::any_of(tables_.begin(), tables_.end(),
                                     [id](const auto& table) { return table.second->id == id; });
      if (!known) tables.push_back(id);
    }
  }
  for (const std::uint32_t id : queues) {
    if (auto erased = erase_queue_rows(id); !erased) return erased;
  }
  for (const std::uint32_t id : tables) {
    if (auto erased = erase_table_rows(id); !erased) return erased;
  }
  return {};
}

result<void> core::erase_slices(const std::function<result<bool>(commit_scope&)>& erase_some) {
  for (bool done = false; !done;) {
    simple_intent slice{[&](commit_scope& scope) -> result<void> {
                          auto erased = scope.written(erase_some(scope));
                          if (!erased) return erased.error();
                          done = *erased;
                          return {};
                        },
                        nothing_to_apply};
    if (auto ran = commits_.run(slice); !ran) return ran;
  }
  return {};
}

result<void> core::erase_queue_rows(std::uint32_t id) {
  // First, so that as long as there is anything of the queue left, the next opening goes on with it.
  auto discarded = erase_slices(
      [this, id](commit_scope& scope) { return tickets_.discard_some(scope, id, rows_in_commit); });
  if (!discarded) return discarded;
  return erase_slices([this, id](commit_scope& scope) {
    auto erased = queue::erase_some(scope.txn(), scope.tables(), id, rows_in_commit);
    if (erased && *erased) shared_.note_erased(id);
    return erased;
  });
}

result<void> core::erase_table_rows(std::uint32_t id) {
  return erase_slices([id](commit_scope& scope) {
    return storage::erase_some_host_rows(scope.txn(), scope.tables(), id, rows_in_commit);
  });
}

/// Saves what opening would otherwise have to read the whole journal for.
result<void> core::save_index() {
  if (in_memory() || journal_bytes() < index_worth_saving) return {};
  std::vector<const log::log_state*> logs;
  for (const auto& [id, topic] : topics_by_id_) logs.push_back(&topic->state);
  const auto bytes = log::save_index(logs, {next_sequence(), time_floor_, journal_bytes()},
                                     {sealed(), store_entry_.layout, next_sequence() - 1});
  simple_intent saving{[&](commit_scope& scope) -> result<void> {
                         return scope.written(storage::put_saved_index(scope.txn(), scope.tables(), bytes));
                       },
                       nothing_to_apply};
  return commits_.run(saving);
}

/// Which messages are delivered and not settled is known in memory only: written down, so that they, and no
/// others, come back flagged.
result<void> core::note_deliveries() {
  for (const auto& queue : all_queues()) {
    {
      const std::lock_guard guard{queue->consumers_mutex};
      for (const auto& consumer : queue->consumers) static_cast<void>(consumer->give_back());
    }
    const auto redelivered = queue->state.redelivered_positions();
    auto row = queue->state.row();
    if (!queue->state.take_exposed_back(row) && redelivered.empty()) continue;
    for (std::size_t done = 0; done <= redelivered.size(); done += rows_in_commit) {
      const std::size_t n = std::min(rows_in_commit, redelivered.size() - done);
      const bool last = done + n == redelivered.size();
      simple_intent slice{
          [&](commit_scope& scope) -> result<void> {
            auto marked = scope.written(queue::mark_delivered(scope.txn(), scope.tables(), queue->state.id(),
                                                              std::span{redelivered}.subspan(done, n)));
            if (!marked) return marked;
            if (last) queue->state.take_exposed_back(scope.row_of(*queue));
            return {};
          },
          nothing_to_apply};
      if (auto ran = commits_.run(slice); !ran) return ran;
      if (last) break;
    }
  }
  return {};
}

result<void> core::close(leftovers what) {
  bool first = false;
  auto given_up = give_up(what, first);
  if (first) end_threads();
  return given_up;
}

void core::start_close(std::function<void(result<void>)> answer) {
  const auto closes = [self = shared_from_this(), answer] {
    bool first = false;
    answer(self->give_up(leftovers::commit, first));
    if (first) self->end_threads();
  };
  if (!calls_.post(closes)) answer({});
}

void core::end_threads() noexcept {
  calls_.end();  // first: it answers through the other
  own_.end();
}

result<void> core::give_up(leftovers what, bool& first) {
  if (auto allowed = may_wait("close"); !allowed) return allowed;
  if (fork_guard_.forked()) {
    return error{errc::forked,
                 fmt::format("close: the bus of '{}' belongs to the parent process", store_name_)};
  }
  if (what == leftovers::commit && !closed_) {
    for (const auto& c : collectors()) c->hand_over();
    courier_.wait_until_let_in();
  }
  if (closed_.exchange(true)) return {};
  first = true;
  // What it serves is done by now, or refused; it needs those who are stopped next.
  if (control_) control_->stop();
  maintenance_.stop();
  watch_.stop();
  if (checkpointer_) checkpointer_->stop();
  courier_.stop({errc::closed, fmt::format("the bus of '{}' is closed", store_name_)});
  // From here on nothing new enters; wake who waits, and wait for who is inside.
  {
    const std::shared_lock guard{names_};
    for (const auto& [name, topic] : topics_) topic->readers.signal();
    readers_.signal();
    topic_watchers_.signal();
    tickets_.tell_all();
    for (const auto& [name, queue] : queues_) queue->waiting.signal();
    for (const auto& [name, group] : groups_) group->members.signal();
  }
  std::unique_lock alone{life_};
  if (what == leftovers::commit) commits_.lead();
  // Before it is noted what was delivered and not settled.
  for (const auto& i : commits_.take_back())
    i->finished(error{errc::operation_aborted, fmt::format("the bus of '{}' was destroyed", store_name_)});
  const error why =
      what == leftovers::commit
          ? error{errc::closed, fmt::format("the bus of '{}' is closed", store_name_)}
          : error{errc::operation_aborted, fmt::format("the bus of '{}' was destroyed", store_name_)};
  for (const auto& c : collectors()) c->end(why);
  result<void> noted{};
  if (!failed_) {
    noted = note_deliveries();
    std::vector<std::uint32_t> exclusive;
    for (const auto& queue : all_queues()) {
      if (queue->state.exclusive()) exclusive.push_back(queue->state.id());
    }
    storage::catalog stale;
    {
      auto txn = storage::read_transaction::begin(store_->main.env());
      auto all =
          txn ? storage::read_catalog(*txn, store_->main.tables()) : result<storage::catalog>{txn.error()};
      if (all) {
        stale = std::move(*all);
      } else if (noted) {
        noted = all.error();
      }
    }
    for (const std::uint32_t id : exclusive) remove_queue(id);
    if (auto cleared = clear_earlier_owner(stale); noted && !cleared) noted = cleared;
    if (auto saved = save_index(); noted && !saved) noted = saved;
  }
  if (checkpointer_ && !failed_) {
    auto finished = checkpointer_->finish();
    if (noted && !finished) noted = finished;
    for (const auto& file : take_dropped()) {
      std::error_code ignored;
      if (finished) std::filesystem::remove(file, ignored);
    }
  }
  if (store_->lock && !failed_ && noted) store_->lock->note_clean(store_->main.env().last_transaction());
  tell_closed();
  store_.reset();
  return noted;
}

void core::tell_closed() const {
  if (logger() == nullptr) return;
  const auto& made = counted_.commits;
  logger()->info(
      "levada: closed '{}' after {} commits, {} failed: {} records appended, {} polled, {} messages "
      "delivered, "
      "{} settled",
      store_name_, made.commits.value(), made.failures.value(), made.records.value(),
      counted_.reads.records.value(), counted_.queues.delivered.value(), made.settled.value());
}

}  // namespace levada
