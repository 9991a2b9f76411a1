#include "bus/core.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <new>
#include <utility>

#include "bus/queue_consumer_state.hpp"
#include "log/journal_index.hpp"
#include "log/journal_reader.hpp"
#include "log/saved_index.hpp"
#include "storage/errors.hpp"

namespace levada {
namespace {

/// How far the journal grows between two calls for sealing.
constexpr std::uint64_t seal_step = std::uint64_t{64} << 10;

/// Segments that are kept open: consumers read the same ones one after the other.
constexpr std::size_t segments_open_max = 64;

/// A journal that is smaller is read in no time when the store is opened.
constexpr std::uint64_t index_worth_saving = std::uint64_t{1} << 20;

/// Rows that are erased or changed in one commit of a larger job, so that others wait no longer than a few
/// milliseconds for it.
constexpr std::size_t slice_rows = 256;

/// An intent made of two functions.
template <class Execute, class Applied>
class simple_intent final : public intent {
 public:
  simple_intent(Execute execute, Applied applied)
      : execute_{std::move(execute)}, applied_{std::move(applied)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return execute_(scope); }
  void applied(commit_scope& scope) noexcept override { applied_(scope); }
  [[nodiscard]] bool alone() const noexcept override { return true; }

 private:
  Execute execute_;
  Applied applied_;
};
constexpr auto nothing_to_apply = [](commit_scope&) noexcept {};

}  // namespace

topic_slot::topic_slot(const storage::log_entry& stored) : state{stored}, entry{stored} {
  state.set_policy(stored.policy);
  if (stored.exchange != 0) {
    bindings = std::make_unique<routing::matcher>(static_cast<exchange_type>(stored.exchange));
  }
}

// commit_scope

const storage::main_tables& commit_scope::tables() const noexcept {
  return core_.store_->main.tables();
}

result<std::uint64_t> commit_scope::append(topic_slot& topic, log::row_encoder& rows) {
  if (topic.staged_ends.empty()) {
    topic.staged_ends.resize(topic.state.partitions());
    for (std::uint32_t p = 0; p < topic.state.partitions(); ++p) topic.staged_ends[p] = topic.state.end(p);
    topics_.push_back(&topic);
  }
  if (!journal_) {
    auto c = written(storage::cursor::open(txn_, tables().journal));
    if (!c) return c.error();
    journal_.emplace(std::move(*c));
  }
  const log::row_encoder::stamp at{core_.next_sequence() + rows_appended_,
                                   topic.staged_ends[rows.partition()], now_, core_.store_entry_.epoch};
  std::uint64_t base = at.base_offset;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const std::uint64_t sequence = at.sequence + i;
    const std::uint64_t key = storage::big_endian(sequence);
    if (const int rc = journal_->append(std::as_bytes(std::span{&key, 1}), rows.stamped_row(i, at));
        rc != 0) {
      broken_ = true;
      return storage::lmdb_error(
          rc, fmt::format("append to topic '{}' partition {}", topic.state.name(), rows.partition()));
    }
    if (const std::uint32_t count = rows.records_in(i); count > 0) {
      added_rows_.push_back({&topic, sequence, base, rows.time_last(i, at), rows.partition(), count});
      base += count;
    }
  }
  rows_appended_ += rows.rows();
  bytes_appended_ += rows.bytes();
  topic.staged_ends[rows.partition()] = base;
  return at.base_offset;
}

queue::queue_row& commit_scope::row_of(queue_slot& queue) {
  if (!queue.staged_row) {
    queue.staged_row = queue.state.row();
    queues_.push_back(&queue);
  }
  return *queue.staged_row;
}

void commit_scope::enqueue(queue_slot& queue, const queue::reference& where) {
  static_cast<void>(row_of(queue));
  queue.staged_entries.push_back(where);
}

result<void> commit_scope::settle(queue_slot& queue, const std::vector<std::uint64_t>& positions) {
  auto settled = written(queue::settle(txn_, tables(), queue.state.id(), positions));
  if (settled) row_of(queue).settled += positions.size();
  return settled;
}

storage::store_entry& commit_scope::store() {
  if (!store_) store_ = core_.store_entry_;
  return *store_;
}

result<void> commit_scope::write_staged() {
  if (store_) {
    if (auto stored = written(storage::put(txn_, tables(), *store_)); !stored) return stored;
  }
  for (queue_slot* const queue : queues_) {
    queue::queue_row& row = *queue->staged_row;
    if (!queue->staged_entries.empty()) {
      auto appended = written(queue::append(txn_, tables(), queue->state.id(), row, queue->staged_entries));
      if (!appended) return appended;
      if (queue->state.consumers.load(std::memory_order_acquire) > 0) row.exposed = row.tail;
    }
    auto stored = written(queue::write_row(txn_, tables(), queue->state.id(), row));
    if (!stored) return stored;
  }
  return {};
}

void commit_scope::forget() noexcept {
  for (topic_slot* const topic : topics_) topic->staged_ends.clear();
  for (queue_slot* const queue : queues_) {
    queue->staged_row.reset();
    queue->staged_entries.clear();
  }
  store_.reset();
}

void commit_scope::publish() {
  // Neighbouring rows of one topic share one locking.
  for (std::size_t i = 0; i < added_rows_.size();) {
    topic_slot& topic = *added_rows_[i].topic;
    const std::lock_guard guard{topic.state.mutex()};
    for (; i < added_rows_.size() && added_rows_[i].topic == &topic; ++i) {
      const added_row& row = added_rows_[i];
      topic.state.add_row(row.sequence, row.partition, row.base_offset, row.count, row.time_last);
    }
  }
  if (rows_appended_ > 0) core_.next_sequence_.fetch_add(rows_appended_, std::memory_order_release);
  const std::uint64_t before = core_.journal_bytes_.fetch_add(bytes_appended_, std::memory_order_acq_rel);
  const std::uint64_t after = before + bytes_appended_;
  // Not with every commit, as sealing may fail for a while.
  if (after >= core_.options().journal_bytes_seal && before / seal_step != after / seal_step) {
    core_.maintenance_.wake();
  }
  for (queue_slot* const queue : queues_) queue->state.committed(*queue->staged_row);
  for (topic_slot* const topic : topics_) topic->readers.signal();
  if (!topics_.empty()) core_.readers_.signal();
  for (queue_slot* const queue : queues_) {
    if (!queue->staged_entries.empty()) queue->waiting.signal();
  }
}

// core

core::core(storage::owned_store store, storage::fork_guard guard, bus_options options, std::string store_name)
    : store_{std::move(store)},
      fork_guard_{std::move(guard)},
      options_{std::move(options)},
      store_name_{std::move(store_name)},
      commits_{*this, options_.pending_bytes_max},
      segments_{std::make_shared<log::segment_cache>(store_->segments, segments_open_max, true)} {
  if (!store_->checkpoints) return;
  checkpointer_ = std::make_unique<checkpointer>(*this, *store_->checkpoints,
                                                 std::get<checkpointed>(options_.durability));
}

core::~core() {
  if (fork_guard_.forked()) {
    maintenance_.abandon();
    if (checkpointer_) checkpointer_->abandon();
    // Closing LMDB here would clear the reader slots of the process that this one was forked from.
    static_cast<void>(new storage::owned_store{std::move(*store_)});  // NOLINT: given up on purpose
    return;
  }
  close();
}

result<std::shared_ptr<core>> core::start(storage::owned_store store, storage::fork_guard guard,
                                          bus_options options, std::string store_name) {
  auto self =
      std::make_shared<core>(std::move(store), std::move(guard), std::move(options), std::move(store_name));
  if (auto loaded = self->load(); !loaded) {
    self->closed_ = true;  // nothing to note on the way out
    return loaded.error();
  }
  return self;
}

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

  for (const auto& entry : found.groups) add(entry);
  for (const auto& entry : found.queues) {
    if (!entry.exclusive) add(entry);
  }
  for (const auto& entry : found.bindings) {
    if (queues_by_id_.contains(entry.queue)) add(entry);
  }
  {
    auto txn = storage::read_transaction::begin(store_->main.env());
    if (!txn) return txn.error();
    for (const auto& [id, queue] : queues_by_id_) {
      if (auto loaded = queue->state.load(*txn, store_->main.tables()); !loaded) return loaded;
    }
  }
  if (auto begun = begin_epoch(); !begun) return begun;
  if (!in_memory()) {
    // Only now: a checkpoint that there was before may have named files that the catalogue does not.
    auto above = remove_stray_segments(store_->segments, found.segments);
    if (!above) return above.error();
    store_entry_.next_segment = std::max(store_entry_.next_segment, *above);
    next_segment_ = store_entry_.next_segment;
  }
  if (auto cleared = clear_earlier_owner(found); !cleared) return cleared;
  const bool ages = std::any_of(found.logs.begin(), found.logs.end(),
                                [](const auto& log) { return log.policy.retention_milliseconds > 0; });
  if (ages) maintenance_.watch();
  if (journal_bytes() >= options_.journal_bytes_seal) maintenance_.wake();
  if (options_.logger) {
    options_.logger->info("levada: opened '{}': {} topics, {} queues, {} groups, journal up to row {}",
                          store_name_, topics_.size(), queues_.size(), groups_.size(), next_sequence() - 1);
  }
  return {};
}

/// Leaves what an opening in another durability mode, or a crash, has left behind.
result<void> core::begin_epoch() {
  if (store_->restored) {
    simple_intent growing{[](commit_scope& scope) -> result<void> {
                            ++scope.store().epoch;
                            return {};
                          },
                          nothing_to_apply};
    if (auto done = commits_.run(growing); !done) return done;
    if (options_.logger) {
      options_.logger->warn("levada: the system went down; '{}' is back at its last checkpoint, epoch {}",
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
  next_segment_ = store_entry_.next_segment;

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
  if (!saved) return saved.error();
  result<log::journal_extent> extent{log::journal_extent{}};
  auto last = journal->last_sequence();
  if (!last) return last.error();
  const auto loaded = *saved ? log::load_index(**saved, {sealed(), found.store.layout, *last}, find)
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

/// Anonymous queues and group members belong to a process; what an earlier one left is removed.
result<void> core::clear_earlier_owner(const storage::catalog& found) {
  std::vector<std::uint32_t> orphans;
  {
    auto txn = storage::read_transaction::begin(store_->main.env());
    if (!txn) return txn.error();
    auto stored = queue::stored_queues(*txn, store_->main.tables());
    if (!stored) return stored.error();
    for (const std::uint32_t id : *stored) {
      if (!queues_by_id_.contains(id)) orphans.push_back(id);
    }
  }
  const bool stale_entries =
      std::any_of(found.queues.begin(), found.queues.end(), [](const auto& q) { return q.exclusive; }) ||
      std::any_of(found.groups.begin(), found.groups.end(),
                  [](const auto& g) { return !g.members.empty(); }) ||
      std::any_of(found.bindings.begin(), found.bindings.end(),
                  [this](const auto& b) { return !queues_by_id_.contains(b.queue); });
  if (stale_entries) {
    simple_intent clearing{
        [&](commit_scope& scope) -> result<void> {
          for (const auto& q : found.queues) {
            if (!q.exclusive) continue;
            auto erased = scope.written(storage::erase_queue(scope.txn(), scope.tables(), q.id));
            if (!erased) return erased;
          }
          for (const auto& b : found.bindings) {
            if (queues_by_id_.contains(b.queue)) continue;
            auto erased = scope.written(storage::erase_binding(scope.txn(), scope.tables(), b.id));
            if (!erased) return erased;
          }
          for (auto g : found.groups) {
            if (g.members.empty()) continue;
            g.members.clear();
            auto stored = scope.written(storage::put(scope.txn(), scope.tables(), g));
            if (!stored) return stored;
          }
          return {};
        },
        nothing_to_apply};
    if (auto done = commits_.run(clearing); !done) return done;
  }
  for (const std::uint32_t id : orphans) {
    if (auto erased = erase_queue_rows(id); !erased) return erased;
  }
  return {};
}

result<void> core::erase_queue_rows(std::uint32_t id) {
  for (bool done = false; !done;) {
    simple_intent slice{[&](commit_scope& scope) -> result<void> {
                          auto erased =
                              scope.written(queue::erase_some(scope.txn(), scope.tables(), id, slice_rows));
                          if (!erased) return erased.error();
                          done = *erased;
                          return {};
                        },
                        nothing_to_apply};
    if (auto ran = commits_.run(slice); !ran) return ran;
  }
  return {};
}

result<core::access> core::enter(std::string_view operation) const {
  if (fork_guard_.forked()) {
    return error{errc::forked,
                 fmt::format("{}: the bus of '{}' belongs to the parent process", operation, store_name_)};
  }
  std::shared_lock lock{life_};
  if (closed_)
    return error{errc::closed, fmt::format("{}: the bus of '{}' is closed", operation, store_name_)};
  return access{std::move(lock), store_->main};
}

result<void> core::run(std::string_view operation, intent& i) {
  if (i.cost() > 0 && journal_bytes() >= options_.journal_bytes_max) {
    if (auto open = enter(operation); !open) return open.error();
    if (auto room = maintenance_.wait_for_room(); !room) {
      return error{room.error().code(), fmt::format("{}: the journal holds {} bytes and cannot be sealed: {}",
                                                    operation, journal_bytes(), room.error().message())};
    }
  }
  if (checkpointer_ && i.cost() > 0 && checkpointer_->full()) {
    if (auto room = checkpointer_->wait_for_room(); !room) {
      return error{room.error().code(),
                   fmt::format("{}: waiting for a checkpoint: {}", operation, room.error().message())};
    }
  }
  auto entered = enter(operation);
  if (!entered) return entered.error();
  return run(*entered, operation, i);
}

result<void> core::run(const access&, std::string_view operation, intent& i) {
  if (failed_) {
    return error{errc::failed,
                 fmt::format("{}: an earlier commit to '{}' failed; open it anew", operation, store_name_)};
  }
  auto outcome = commits_.run(i);
  if (!outcome)
    return error{outcome.error().code(), fmt::format("{}: {}", operation, outcome.error().message())};
  return {};
}

std::int64_t core::bus_time() const {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  // Wall time at open, advanced by the steady clock: a jump of the wall clock does not reach the records.
  const std::int64_t elapsed =
      duration_cast<microseconds>(options_.clock->steady() - steady_at_open_).count();
  return std::max(wall_at_open_ + elapsed, time_floor_.load());
}

void core::commit(std::span<intent* const> group) noexcept {
  try {
    attempt(group);
  } catch (const std::bad_alloc&) {
    for (intent* const i : group) set_outcome(*i, error{errc::out_of_resources, "commit: out of memory"});
  } catch (const std::exception& e) {
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
  auto txn = storage::write_transaction::begin(store_->main.env());
  if (!txn) {
    fail_all(txn.error());
    return;
  }
  commit_scope scope{*this, *txn, bus_time()};
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
    const error why = classify_commit_failure(rc, transaction_before);
    for (intent* const i : executed) set_outcome(*i, why);
    return;
  }
  time_floor_ = scope.now();
  if (scope.store_) store_entry_ = *scope.store_;
  epoch_ = store_entry_.epoch;
  for (intent* const i : executed) {
    set_outcome(*i, {});
    i->applied(scope);
  }
  try {
    scope.publish();
  } catch (const std::bad_alloc&) {
    // It is stored, but memory could not follow: only a new opening brings the two together again.
    const error why{errc::outcome_unknown, "commit: out of memory"};
    fail(why);
    for (intent* const i : executed) set_outcome(*i, why);
    return;
  }
  if (checkpointer_ && store_->main.env().last_transaction() != transaction_before) {
    checkpointer_->committed(scope.bytes_appended_);
  }
  if (store_->signal) store_->signal->announce();
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
  if (options_.logger)
    options_.logger->critical("levada: {}; writing is refused until it is opened anew", why.message());
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
  bus_stats s;
  s.journal_bytes = journal_bytes();
  for (const auto& segment : segments_.all()) {
    ++s.segments;
    s.segment_bytes += segment->entry().file_bytes;
  }
  s.epoch = epoch_;
  if (!checkpointer_) return s;
  s.checkpointed = true;
  s.last_checkpoint = log::to_time(checkpointer_->last_time());
  if (const auto first = checkpointer_->first_unsafe()) {
    s.loss_window = std::chrono::ceil<std::chrono::milliseconds>(time().steady() - *first);
  }
  return s;
}

// Names

std::shared_ptr<topic_slot> core::find_topic(std::string_view name) const {
  const std::shared_lock guard{names_};
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : found->second;
}

std::shared_ptr<topic_slot> core::find_topic(std::uint32_t id) const {
  const std::shared_lock guard{names_};
  const auto found = topics_by_id_.find(id);
  return found == topics_by_id_.end() ? nullptr : found->second;
}

std::optional<std::uint64_t> core::begin_of(std::uint32_t log, std::uint32_t partition) const {
  const auto topic = find_topic(log);
  if (!topic || partition >= topic->state.partitions()) return std::nullopt;
  return topic->state.begin(partition);
}

storage::codec core::codec_of(std::uint32_t log) const {
  const auto topic = find_topic(log);
  if (!topic) return storage::codec::none;
  const std::shared_lock guard{topic->state.mutex()};
  return static_cast<storage::codec>(topic->state.policy().codec);
}

std::shared_ptr<queue_slot> core::find_queue(std::string_view name) const {
  const std::shared_lock guard{names_};
  const auto found = queues_.find(name);
  return found == queues_.end() ? nullptr : found->second;
}

std::shared_ptr<group_slot> core::find_group(std::string_view name) const {
  const std::shared_lock guard{names_};
  const auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<queue_slot>> core::all_queues() const {
  const std::shared_lock guard{names_};
  std::vector<std::shared_ptr<queue_slot>> all;
  for (const auto& [id, queue] : queues_by_id_) all.push_back(queue);
  return all;
}

std::vector<std::shared_ptr<topic_slot>> core::all_topics() const {
  const std::shared_lock guard{names_};
  std::vector<std::shared_ptr<topic_slot>> all;
  for (const auto& [id, topic] : topics_by_id_) all.push_back(topic);
  return all;
}

queue_slot* core::queue_of_binding(std::uint32_t id) const {
  // Read without the lock: only the committing thread, which this is, changes the map.
  const auto found = queues_by_id_.find(id);
  return found == queues_by_id_.end() ? nullptr : found->second.get();
}

result<std::uint32_t> core::take_id(commit_scope& scope) {
  storage::store_entry& next = scope.store();
  ++next.layout;
  return next.next_id++;
}

void core::add(const storage::log_entry& entry) {
  const std::lock_guard guard{names_};
  auto slot = std::make_shared<topic_slot>(entry);
  // None of the rows before are its own: a pass over all logs finds them where the others have them.
  slot->state.drop_rows_through(sealed());
  topics_.emplace(entry.name, slot);
  topics_by_id_.emplace(entry.id, std::move(slot));
  ++topics_version_;
}

void core::add(const storage::group_entry& entry) {
  const std::lock_guard guard{names_};
  auto slot = std::make_shared<group_slot>(entry.id, entry.name);
  slot->state.set_generation(entry.generation);
  groups_.emplace(entry.name, std::move(slot));
}

void core::add(const storage::queue_entry& entry) {
  const std::lock_guard guard{names_};
  auto slot = std::make_shared<queue_slot>(entry);
  queues_.emplace(entry.name, slot);
  queues_by_id_.emplace(entry.id, std::move(slot));
}

void core::add(const storage::binding_entry& entry) {
  const std::lock_guard guard{names_};
  const auto exchange = topics_by_id_.find(entry.exchange);
  if (exchange == topics_by_id_.end() || !exchange->second->bindings) return;
  exchange->second->bindings->add(entry.key, entry.queue);
  bindings_.push_back(entry);
}

void core::add_sealed(const std::vector<storage::segment_entry>& segments,
                      const std::vector<std::shared_ptr<const storage::segment_file>>& files,
                      std::uint64_t sequence_last, std::uint64_t bytes) {
  std::vector<log::log_state*> logs;
  for (const auto& [id, topic] : topics_by_id_) logs.push_back(&topic->state);
  segments_.add(segments, files, sequence_last, logs);
  for (const auto& segment : segments) next_segment_ = std::max(next_segment_.load(), segment.id + 1);
  sealed_ = sequence_last;
  journal_bytes_ -= bytes;
}

void core::replace_segments(const std::vector<std::uint32_t>& old,
                            const std::vector<storage::segment_entry>& segments,
                            const std::vector<std::shared_ptr<const storage::segment_file>>& files) {
  std::vector<log::log_state*> logs;
  for (const auto& [id, topic] : topics_by_id_) logs.push_back(&topic->state);
  segments_.replace(old, segments, files, logs);
  for (const auto& segment : segments) next_segment_ = std::max(next_segment_.load(), segment.id + 1);
  note_dropped(old);
}

void core::note_dropped(const std::vector<std::uint32_t>& ids) {
  const std::lock_guard guard{dropped_mutex_};
  for (const std::uint32_t id : ids) dropped_.push_back(log::segment_path(store_->segments, id));
}

void core::remove_segments(const std::vector<std::uint32_t>& ids) {
  segments_.remove(ids);
  note_dropped(ids);
}

std::vector<std::filesystem::path> core::take_dropped() {
  const std::lock_guard guard{dropped_mutex_};
  return std::exchange(dropped_, {});
}

void core::remove_topic(std::uint32_t id) {
  std::shared_ptr<topic_slot> topic;
  {
    const std::lock_guard guard{names_};
    const auto found = topics_by_id_.find(id);
    if (found == topics_by_id_.end()) return;
    topic = std::move(found->second);
    topics_by_id_.erase(found);
    topics_.erase(topic->state.name());
    // Before anybody sees that it is deleted: whoever does then finds it gone.
    ++topics_version_;
  }
  topic->state.set_deleted();
  std::vector<std::shared_ptr<group_slot>> groups;
  {
    const std::shared_lock guard{names_};
    for (const auto& [name, group] : groups_) groups.push_back(group);
  }
  // Not under the lock of names, which others take while they hold a group's.
  for (const auto& group : groups) {
    const std::lock_guard guard{group->mutex};
    group->state.forget_topic(topic->state.name(), time().steady());
  }
  topic->readers.signal();
  readers_.signal();
  ask_for_sweep();
}

void core::remove_binding(std::uint32_t id) {
  const std::lock_guard guard{names_};
  const auto found =
      std::find_if(bindings_.begin(), bindings_.end(), [id](const auto& b) { return b.id == id; });
  if (found == bindings_.end()) return;
  topics_by_id_.at(found->exchange)->bindings->remove(found->key, found->queue);
  bindings_.erase(found);
}

void core::remove_queue(std::uint32_t id) {
  std::shared_ptr<queue_slot> queue;
  {
    const std::lock_guard guard{names_};
    const auto found = queues_by_id_.find(id);
    if (found == queues_by_id_.end()) return;
    queue = std::move(found->second);
    queues_by_id_.erase(found);
    queues_.erase(queue->state.name());
    for (const auto& [topic_id, topic] : topics_by_id_) {
      if (topic->bindings) topic->bindings->remove_all(id);
    }
    bindings_.erase(
        std::remove_if(bindings_.begin(), bindings_.end(), [id](const auto& b) { return b.queue == id; }),
        bindings_.end());
  }
  queue->state.deleted = true;
  queue->waiting.signal();
}

// Closing

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
      for (const auto& consumer : queue->consumers) consumer->give_back();
    }
    const auto redelivered = queue->state.redelivered_positions();
    if (redelivered.empty() && queue->state.row().exposed == queue->state.exposed_at_open()) continue;
    for (std::size_t done = 0; done <= redelivered.size(); done += slice_rows) {
      const std::size_t n = std::min(slice_rows, redelivered.size() - done);
      const bool last = done + n == redelivered.size();
      simple_intent slice{
          [&](commit_scope& scope) -> result<void> {
            auto marked = scope.written(queue::mark_delivered(scope.txn(), scope.tables(), queue->state.id(),
                                                              std::span{redelivered}.subspan(done, n)));
            if (!marked) return marked;
            if (last) scope.row_of(*queue).exposed = queue->state.exposed_at_open();
            return {};
          },
          nothing_to_apply};
      if (auto ran = commits_.run(slice); !ran) return ran;
      if (last) break;
    }
  }
  return {};
}

result<void> core::close() {
  if (closed_.exchange(true)) return {};
  maintenance_.stop();
  if (checkpointer_) checkpointer_->stop();
  // From here on nothing new enters; wake who waits, and wait for who is inside.
  {
    const std::shared_lock guard{names_};
    for (const auto& [name, topic] : topics_) topic->readers.signal();
    readers_.signal();
    for (const auto& [name, queue] : queues_) queue->waiting.signal();
    for (const auto& [name, group] : groups_) group->members.signal();
  }
  const std::lock_guard alone{life_};
  result<void> noted{};
  if (!failed_) {
    noted = note_deliveries();
    std::vector<std::uint32_t> anonymous;
    for (const auto& queue : all_queues()) {
      if (queue->state.exclusive()) anonymous.push_back(queue->state.id());
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
    for (const std::uint32_t id : anonymous) remove_queue(id);
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
  if (options_.logger) options_.logger->info("levada: closed '{}'", store_name_);
  store_.reset();
  return noted;
}

}  // namespace levada
