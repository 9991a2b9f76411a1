#pragma once

/// @file
/// The inside of a bus, where all modules meet: what exists, the commit pipeline, and who waits for what.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "bus/attendant.hpp"
#include "bus/backfill.hpp"
#include "bus/binding_set.hpp"
#include "bus/checkpointer.hpp"
#include "bus/collector.hpp"
#include "bus/commit_scope.hpp"
#include "bus/counters.hpp"
#include "bus/courier.hpp"
#include "bus/delayed_routing.hpp"
#include "bus/executor_threads.hpp"
#include "bus/flow_ledger.hpp"
#include "bus/group_commit.hpp"
#include "bus/maintenance.hpp"
#include "bus/reader_watch.hpp"
#include "bus/router.hpp"
#include "bus/segment_set.hpp"
#include "bus/shared_indexes.hpp"
#include "bus/slots.hpp"
#include "bus/ticket_desk.hpp"
#include "bus/wake_list.hpp"
#include "log/sealer.hpp"
#include "storage/catalog.hpp"
#include "storage/codec.hpp"
#include "storage/store_directory.hpp"

#include <levada/clock.hpp>
#include <levada/error.hpp>
#include <levada/inspect.hpp>
#include <levada/options.hpp>

namespace levada {

class control_socket;

class core final : public commit_engine, public std::enable_shared_from_this<core> {
 public:
  /// Takes over an opened store: reads the catalogue and the journal, and clears away what belonged to an
  /// earlier owner. `store_name` is for messages.
  [[nodiscard]] static result<std::shared_ptr<core>> start(storage::owned_store store,
                                                           storage::fork_guard guard, bus_options options,
                                                           std::string store_name);
  core(storage::owned_store store, storage::fork_guard guard, bus_options options, std::string store_name);
  ~core() override;

  /// Held by every operation while it uses the store, but never while it waits: closing waits for it.
  class [[nodiscard]] access {
   public:
    [[nodiscard]] const storage::main_environment& main() const noexcept { return *main_; }

   private:
    friend class core;
    access(std::shared_lock<std::shared_mutex> lock, const storage::main_environment& main) noexcept
        : lock_{std::move(lock)}, main_{&main} {}
    std::shared_lock<std::shared_mutex> lock_;
    const storage::main_environment* main_;
  };
  /// Fails with `closed` or `forked`, and with `would_deadlock` in a thread that is in the middle of a
  /// commit; `operation` is for the message.
  [[nodiscard]] result<access> enter(std::string_view operation) const;
  /// As `enter`, once there is room in the store for what an intent costs, if anything. Notes that it is
  /// waited for from now on.
  [[nodiscard]] result<access> enter_with_room(std::string_view operation, intent& i);
  /// While it lives, the calling thread runs code of the host in the middle of a commit: whatever would enter
  /// fails with `would_deadlock`.
  class [[nodiscard]] mid_commit {
   public:
    explicit mid_commit(const core& owner) noexcept;
    ~mid_commit();
    mid_commit(const mid_commit&) = delete;
    mid_commit& operator=(const mid_commit&) = delete;

   private:
    const core* const before_;
  };
  /// Fails with `would_deadlock` in a thread that is in the middle of a commit.
  [[nodiscard]] result<void> may_wait(std::string_view operation) const;
  /// Fails as `enter` would now, which may be otherwise in a moment.
  [[nodiscard]] result<void> check_open(std::string_view operation) const;
  /// Runs an intent to its end. Fails also with `failed`.
  [[nodiscard]] result<void> run(const access& entered, std::string_view operation, intent& i);
  [[nodiscard]] result<void> run(std::string_view operation, intent& i);

  /// Has an intent committed some time; it is told the outcome, also when the bus takes nothing more.
  /// The thread in which calls are made that wait, for callers that do not.
  [[nodiscard]] executor_threads& calls() noexcept { return calls_; }
  void submit(std::string operation, std::unique_ptr<intent> i,
              group_commit::led_by who = group_commit::led_by::any);
  /// `group_commit::lead_some`, while the bus is open.
  void lead_some();
  /// Where handlers run that ask for no executor of their own: the host's, or the bus's own thread.
  [[nodiscard]] boost::asio::any_io_executor executor();
  /// For what shall happen at a time.
  [[nodiscard]] courier& errands() noexcept { return courier_; }

  /// Has somebody told when the bus closes; he need not be there any more then.
  void add(const std::shared_ptr<collector>& who);
  /// Keeps one that is left in the middle of a commit, and cannot hand over there.
  void leave(std::shared_ptr<collector> who);
  /// Has those hand over, once the commit is over.
  void hand_over_left();
  /// What becomes of what was submitted and has not been begun.
  enum class leftovers { commit, abort };
  result<void> close(leftovers what);
  /// Closes in the thread for calls that wait, and answers before the bus's own thread ends.
  void start_close(std::function<void(result<void>)> answer);
  /// Whether the calling thread is the bus's own.
  [[nodiscard]] bool inside_own_thread() const noexcept { return own_.inside(); }

  [[nodiscard]] const bus_options& options() const noexcept { return options_; }
  [[nodiscard]] clock& time() const noexcept { return *options_.clock; }
  [[nodiscard]] const std::string& store_name() const noexcept { return store_name_; }

  // What exists. Found objects stay valid as long as their pointer, and know when they are deleted.
  [[nodiscard]] std::shared_ptr<topic_slot> find_topic(std::string_view name) const;
  [[nodiscard]] std::shared_ptr<topic_slot> find_topic(std::uint32_t id) const;
  [[nodiscard]] std::shared_ptr<queue_slot> find_queue(std::string_view name) const;
  [[nodiscard]] std::shared_ptr<group_slot> find_group(std::string_view name) const;
  [[nodiscard]] std::shared_ptr<table_slot> find_table(std::string_view name) const;
  [[nodiscard]] std::vector<std::shared_ptr<table_slot>> all_tables() const;
  [[nodiscard]] std::vector<std::shared_ptr<queue_slot>> all_queues() const;
  [[nodiscard]] std::vector<std::shared_ptr<topic_slot>> all_topics() const;
  /// How many bindings lead from an exchange.
  [[nodiscard]] std::uint64_t bindings_from(std::uint32_t exchange) const;
  /// Differs whenever topics or exchanges have been added or removed.
  [[nodiscard]] std::uint64_t topics_version() const noexcept {
    return topics_version_.load(std::memory_order_acquire);
  }
  /// Who waits for topics or exchanges to be added.
  [[nodiscard]] wake_list& topic_watchers() noexcept { return topic_watchers_; }
  /// Who waits for records of any topic.
  [[nodiscard]] wake_list& readers() noexcept { return readers_; }
  /// The oldest offset that is wanted of a partition; nothing where there is no such log.
  [[nodiscard]] std::optional<std::uint64_t> begin_of(std::uint32_t log, std::uint32_t partition) const;
  /// How records of a log are sealed.
  [[nodiscard]] storage::codec codec_of(std::uint32_t log) const;
  // For intents, in `execute`:
  [[nodiscard]] queue_slot* queue_of_binding(std::uint32_t id) const;
  [[nodiscard]] topic_slot* exchange_of_binding(std::uint32_t id) const;
  [[nodiscard]] queue_slot* queue_named(std::string_view name) const;
  [[nodiscard]] topic_slot* exchange_named(std::string_view name) const;
  [[nodiscard]] const binding_set& bindings() const noexcept { return bindings_; }
  [[nodiscard]] const policy_set& policies() const noexcept { return policies_; }
  [[nodiscard]] router& routes() noexcept { return router_; }
  [[nodiscard]] attendant& attends() noexcept { return attendant_; }
  [[nodiscard]] delayed_routing& delays() noexcept { return delayed_routing_; }
  /// How many backfills have begun since the store was opened: who has looked what queues need, and finds it
  /// changed, looks again.
  [[nodiscard]] std::uint64_t backfills_begun() const noexcept { return backfills_begun_; }
  [[nodiscard]] ticket_desk& tickets() noexcept { return tickets_; }
  [[nodiscard]] shared_indexes& shared() noexcept { return shared_; }
  [[nodiscard]] flow_ledger& ledger() noexcept { return ledger_; }
  [[nodiscard]] const flow_ledger& ledger() const noexcept { return ledger_; }
  [[nodiscard]] backfiller& backfills() noexcept { return backfiller_; }
  /// What of a log is still to be entered into queues.
  [[nodiscard]] std::vector<storage::backfill_entry::log> backfills_from(std::uint32_t log) const;
  /// The sequence that the next committed row gets.
  [[nodiscard]] std::uint64_t next_sequence() const noexcept {
    return next_sequence_.load(std::memory_order_acquire);
  }
  /// The last row whose records are in segments.
  [[nodiscard]] std::uint64_t sealed() const noexcept { return sealed_.load(std::memory_order_acquire); }
  /// Bytes of the rows behind it.
  [[nodiscard]] std::uint64_t journal_bytes() const noexcept {
    return journal_bytes_.load(std::memory_order_acquire);
  }
  /// The first row that the journal still has, sealed or not.
  [[nodiscard]] std::uint64_t first_row() const noexcept {
    return first_row_.load(std::memory_order_acquire);
  }
  /// The id of the next segment. For maintenance, which alone makes segments.
  [[nodiscard]] std::uint32_t next_segment() const noexcept {
    return next_segment_.load(std::memory_order_acquire);
  }
  [[nodiscard]] const std::filesystem::path& segments_directory() const noexcept { return store_->segments; }
  /// As `storage::owned_store::nameless_bytes`.
  [[nodiscard]] std::uint64_t nameless_bytes() const noexcept { return store_->nameless_bytes; }
  [[nodiscard]] std::filesystem::path main_directory() const {
    return store_->segments.parent_path() / storage::main_directory_name;
  }
  [[nodiscard]] std::filesystem::path jobs_directory() const {
    return store_->segments.parent_path() / storage::jobs_directory_name;
  }
  [[nodiscard]] storage::main_environment& main() noexcept { return store_->main; }
  /// Whether files may be deleted only after a checkpoint.
  [[nodiscard]] bool has_checkpoints() const noexcept { return checkpointer_ != nullptr; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  /// Refuses writing from now on.
  void fail(const error& why) noexcept;
  [[nodiscard]] bus_health health() const;
  [[nodiscard]] result<bus_stats> stats() const;
  [[nodiscard]] result<void> sync();
  [[nodiscard]] bool in_memory() const noexcept { return !store_->lock; }
  [[nodiscard]] levada::maintenance& upkeep() noexcept { return maintenance_; }
  [[nodiscard]] reader_watch& watch() noexcept { return watch_; }
  [[nodiscard]] counters& counted() noexcept { return counted_; }
  /// May be null.
  [[nodiscard]] spdlog::logger* logger() const noexcept { return options_.logger.get(); }
  [[nodiscard]] std::uint64_t next_member_number() noexcept { return ++member_number_; }

  // For intents that change the catalogue, in `execute`: takes an id and stores the counter.
  [[nodiscard]] result<std::uint32_t> take_id(commit_scope& scope);
  // For intents that change the catalogue, in `applied`.
  void add(const storage::log_entry& entry);
  /// A share group comes with the queue of what it has in flight.
  void add(const storage::group_entry& entry, const storage::queue_entry* in_flight);
  void add(const storage::queue_entry& entry);
  void add(const storage::binding_entry& entry);
  void add(const storage::table_entry& entry);
  /// A policy, in place of the one of the same id; like the next, returns the queues for which other rules
  /// hold now.
  std::vector<std::shared_ptr<queue_slot>> put(const storage::policy_entry& entry);
  std::vector<std::shared_ptr<queue_slot>> remove_policy(std::uint32_t id);
  /// A backfill of a queue, in place of the one of the same id, or behind all that it has.
  void put(queue_slot& queue, const storage::backfill_entry& entry);
  void remove_first_backfill(queue_slot& queue);
  void remove_queue(std::uint32_t id);
  void remove_topic(std::uint32_t id);
  /// Takes an exchange's name away; its log stays.
  void orphan_exchange(std::uint32_t id);
  void remove_table(const std::string& name);
  void remove_group(const std::string& name);
  void remove_binding(std::uint32_t id);
  /// Takes over what has been sealed; `files` as for `segment_set::add`.
  void add_sealed(const log::sealed_prefix& sealed,
                  const std::vector<std::shared_ptr<const storage::segment_file>>& files);
  /// Takes over what has been written anew; `files` as for `segment_set::add`.
  void replace_segments(const std::vector<std::uint32_t>& old,
                        const std::vector<storage::segment_entry>& segments,
                        const std::vector<std::shared_ptr<const storage::segment_file>>& files);
  /// Forgets segments that the catalogue does not name any more.
  void remove_segments(const std::vector<std::uint32_t>& ids);
  /// The files of segments that have been forgotten since this was last asked.
  [[nodiscard]] std::vector<std::filesystem::path> take_dropped();
  /// The segments in the catalogue.
  [[nodiscard]] const segment_set& segments() const noexcept { return segments_; }
  /// The time of the bus, in microseconds since 1970.
  [[nodiscard]] std::int64_t bus_time() const { return bus_time(time().steady()); }
  /// Whether segments may have become needless since this was last asked.
  [[nodiscard]] bool take_sweep() noexcept { return sweep_.exchange(false); }
  void ask_for_sweep() noexcept { sweep_ = true; }
  void set_first_row(std::uint64_t sequence) noexcept { first_row_ = sequence; }
  /// Erases what a deleted queue has left, in slices.
  result<void> erase_queue_rows(std::uint32_t id);
  /// The same of a deleted table.
  result<void> erase_table_rows(std::uint32_t id);

  void commit(std::span<intent* const> group) noexcept override;

 private:
  friend class commit_scope;

  /// `first` says whether it was this call that did it.
  result<void> give_up(leftovers what, bool& first);
  void end_threads() noexcept;
  /// After a topic has lost its name.
  void tell_gone(topic_slot& topic);
  [[nodiscard]] std::vector<std::shared_ptr<collector>> collectors();
  [[nodiscard]] bool room_is_short() const noexcept;
  [[nodiscard]] result<void> wait_for_room();
  [[nodiscard]] result<void> listen();
  [[nodiscard]] result<void> load();
  [[nodiscard]] result<void> begin_epoch();
  [[nodiscard]] result<void> load_logs(const storage::catalog& found);
  [[nodiscard]] result<void> clear_earlier_owner(const storage::catalog& found);
  [[nodiscard]] result<void> erase_left_rows();
  void attempt(std::span<intent* const> group);
  void note_dropped(const std::vector<std::uint32_t>& ids);
  [[nodiscard]] std::int64_t bus_time(clock::steady_time now) const;
  std::vector<std::shared_ptr<queue_slot>> apply_policies();
  void count(const commit_scope& scope, std::span<intent* const> executed, clock::steady_time begun) noexcept;
  [[nodiscard]] consumer_stats group_stats() const;
  void tell_closed() const;
  [[nodiscard]] error classify_commit_failure(int code, std::uint64_t transaction_before);
  [[nodiscard]] result<void> note_deliveries();
  [[nodiscard]] result<void> save_index();
  /// Calls it, in a commit each time, until it says that nothing is left.
  result<void> erase_slices(const std::function<result<bool>(commit_scope&)>& erase_some);

  std::optional<storage::owned_store> store_;
  storage::fork_guard fork_guard_;
  bus_options options_;
  std::string store_name_;

  mutable std::shared_mutex life_;  // shared: the store is in use; unique: it is being given up
  std::atomic<bool> closed_{false};
  std::atomic<bool> failed_{false};
  mutable std::mutex failure_mutex_;
  std::string failure_;  // why
  std::atomic<std::uint32_t> epoch_{0};
  group_commit commits_;
  executor_threads own_;
  executor_threads calls_;
  std::mutex collectors_mutex_;
  std::vector<std::weak_ptr<collector>> collectors_;
  std::vector<std::shared_ptr<collector>> left_;  // in the middle of a commit; guarded by the same

  mutable std::shared_mutex names_;  // guards the maps below; changed by the committing thread alone
  std::map<std::string, std::shared_ptr<topic_slot>, std::less<>> topics_;
  std::map<std::string, std::shared_ptr<queue_slot>, std::less<>> queues_;
  std::map<std::string, std::shared_ptr<group_slot>, std::less<>> groups_;
  std::map<std::string, std::shared_ptr<table_slot>, std::less<>> tables_;
  std::map<std::uint32_t, std::shared_ptr<topic_slot>> topics_by_id_;
  std::map<std::uint32_t, std::shared_ptr<queue_slot>> queues_by_id_;
  policy_set policies_;
  binding_set bindings_;
  consumer_stats deleted_groups_;  // what was counted of them; guarded by `names_`
  std::atomic<std::uint64_t> topics_version_{0};
  wake_list readers_;
  wake_list topic_watchers_;

  counters counted_;
  router router_{*this};
  attendant attendant_{*this};
  delayed_routing delayed_routing_{*this};
  backfiller backfiller_{*this};
  std::atomic<std::uint64_t> backfills_begun_{0};
  ticket_desk tickets_{*this};
  shared_indexes shared_{*this};
  flow_ledger ledger_{*this};
  segment_set segments_;
  std::atomic<std::uint64_t> next_sequence_{1};
  std::atomic<std::uint64_t> first_row_{1};
  std::atomic<std::uint64_t> sealed_{0};
  std::atomic<std::uint32_t> next_segment_{1};
  std::mutex dropped_mutex_;
  std::vector<std::filesystem::path> dropped_;
  std::atomic<bool> sweep_{false};
  std::atomic<std::uint64_t> journal_bytes_{0};
  std::atomic<std::uint64_t> member_number_{0};
  std::atomic<std::int64_t> time_floor_{0};
  std::int64_t wall_at_open_ = 0;
  clock::steady_time steady_at_open_{};
  storage::store_entry store_entry_;  // the committing thread alone
  maintenance maintenance_{*this};
  reader_watch watch_{*this};
  std::unique_ptr<checkpointer> checkpointer_;  // where the durability mode has checkpoints
  std::unique_ptr<control_socket> control_;     // where the host wants it
  courier courier_;
};

}  // namespace levada
