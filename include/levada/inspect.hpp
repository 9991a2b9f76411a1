#pragma once

/// @file
/// What a bus and an attachment tell about the objects in a store. Snapshots: plain values, as of one commit.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <levada/latency_histogram.hpp>
#include <levada/options.hpp>
#include <levada/policy.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

struct partition_info {
  partition_id id;
  /// The oldest record's offset; equal to `end` when there is none.
  offset begin;
  /// One beyond the newest record: the offset that the next one gets.
  offset end;
};

struct topic_info {
  std::string name;
  /// Whether the log belongs to an exchange.
  bool is_exchange = false;
  timestamp_type timestamps = timestamp_type::append_time;
  retention_policy retention;
  /// How it is compacted; nothing where it is not.
  std::optional<compaction_policy> compaction;
  levada::compression compression = levada::compression::none;
  std::vector<partition_info> partitions;
};

struct group_partition_info {
  topic_partition where;
  /// The next offset to read, or nothing when the group has committed none.
  std::optional<offset> committed;
  /// The log's end.
  offset end;
  /// Records between the two; all that are in the log when nothing is committed.
  std::uint64_t lag = 0;
  /// The member that owns the partition; empty when nobody does.
  std::string member;
};

struct group_info {
  std::string name;
  /// Grows with every change of membership.
  std::uint32_t generation = 0;
  /// Member ids, sorted. Always empty when no process owns the store.
  std::vector<std::string> members;
  /// Partitions with a committed offset or an owner, sorted.
  std::vector<group_partition_info> partitions;
  /// Records that members had polled and not committed when they were fenced: what may have been delivered
  /// twice. Counted since the bus was opened; 0 through an attachment.
  std::uint64_t possible_duplicates = 0;
  /// Of a share group, which has no such members: records that have been acquired, or returned, and are not
  /// settled. What it has committed for a partition is where it acquires next. Nothing of other groups.
  std::optional<std::uint64_t> in_flight = std::nullopt;
};

/// What `bus::reset_offsets` has done, or would do, to one partition.
struct offset_change {
  topic_partition where;
  /// What was committed; nothing where nothing was.
  std::optional<offset> from;
  offset to;
};

struct exchange_info {
  std::string name;
  /// As it was declared; retention and compression as they are now.
  exchange_options options = {};
  /// How many bindings lead from it.
  std::uint64_t bindings = 0;
  /// What holds now, as policies have it; and the name of the policy, empty where none matches.
  exchange_options effective = {};
  std::string policy = {};
};

struct queue_info {
  std::string name;
  /// Whether it belongs to an `exclusive_queue`, and goes with that.
  bool exclusive = false;
  /// Messages not settled: ready or delivered.
  std::uint64_t messages = 0;
  /// Of these, with a consumer, be it received or fetched ahead within its prefetch; or waiting. Known to the
  /// owning process only; 0 through an attachment.
  std::uint64_t unacked = 0;
  /// Consumers. Known to the owning process only; 0 through an attachment.
  std::uint32_t consumers = 0;
  /// Of the values of `messages`.
  std::uint64_t bytes = 0;
  /// Of `messages`, those that would be handed out now, or once one that has expired has left before them.
  /// Known to the owning process only; 0 through an attachment.
  std::uint64_t ready = 0;
  /// Of `unacked`, those that have been returned, and wait as the queue's `redelivery_delay` says. Known to
  /// the owning process only; 0 through an attachment.
  std::uint64_t waiting = 0;
  /// How many offsets of exchanges' logs are still to be looked at for what of the past is being entered
  /// (`binding_options::from`, `bus::replay_into`). While there are some, messages that came since are among
  /// those that are `ready`, but not handed out yet.
  std::uint64_t backfill = 0;
  /// As it was declared.
  queue_options options = {};
  /// What holds now, as policies have it; and their names, empty where none matches.
  queue_options effective = {};
  std::string policy = {};
  std::string operator_policy = {};
};

struct binding_info {
  std::string exchange;
  /// What messages are routed to: a queue, or an exchange.
  std::string destination;
  bool to_exchange = false;
  /// The routing key, pattern or weight.
  std::string key;
  binding_arguments arguments = {};
};

struct job_partition_info {
  topic_partition where;
  /// The offset that it reads next if it is opened anew: that of its last checkpoint.
  offset next;
  /// The log's end.
  offset end;
  /// Records between the two.
  std::uint64_t lag = 0;
};

/// A job of another process, as of its last checkpoint.
struct job_info {
  std::string name;
  /// The process that runs it now; nothing where none does.
  std::optional<int> pid;
  /// Whether that process is stopped, by a signal or a debugger.
  bool stopped = false;
  /// When the checkpoint was made, by the clock of the job.
  timestamp time;
  /// The store's epoch then; if it has grown since, what the job read may have been lost.
  std::uint32_t epoch = 0;
  /// Sorted; topics that have been deleted are left out.
  std::vector<job_partition_info> partitions;
};

enum class reader_state : std::uint8_t {
  running,
  /// Stopped by a signal or a debugger: what it holds, it holds until it goes on or dies.
  stopped,
  /// It has died, and what it held has just been let go of.
  gone,
};

/// Another process that holds a snapshot of the store at this moment. Pages that commits have freed since
/// cannot be used again while it does, so the main file grows. It never makes anybody wait.
struct reader_info {
  int pid = 0;
  /// The job that it runs, if it does.
  std::string job = {};
  reader_state state = reader_state::running;
  /// For how long, as far as it has been watched: each second in a bus with background maintenance.
  std::chrono::milliseconds held_for{0};
};

/// Whether a bus can be written to.
struct bus_health {
  /// False once a commit or a checkpoint has failed in flight: reads go on, writes are refused until the
  /// store is opened anew.
  bool writable = true;
  /// Why not; empty while it can be written to.
  std::string reason;
};

// What a bus has done since it was opened. Counters never fall, and count what has been committed: nothing of
// a call that was refused, or of a transaction that was undone, but where it says so. Durations are by the
// steady clock of the bus.

/// Commits: what all writing comes to.
struct commit_stats {
  /// Transactions that have changed the store, what the bus does for itself included.
  std::uint64_t commits = 0;
  /// Transactions in which a write or the commit failed, as where the disk is full. What several calls share
  /// is then tried again for each of them, so one fault may count twice.
  std::uint64_t failures = 0;
  /// Calls that the commits carried out: `requests / commits` is how many share one.
  std::uint64_t requests = 0;
  /// Records appended, to topics and exchanges, and the bytes of the journal's rows that they took.
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  /// Bytes of records that wait to be committed now, or are being committed. What a producer still collects,
  /// or an `async_` call holds back while the journal has no room, is not among them.
  std::uint64_t pending_bytes = 0;
  /// How long a commit took, its flushes included.
  latency_histogram duration;
  /// How long callers that published, or made a transaction, waited, from their call until it was committed,
  /// for room included. Calls that do not wait are not among them.
  latency_histogram publish_wait;
};

/// Reading by consumers of groups, subscriptions included.
struct consumer_stats {
  /// Polls that returned records, and what they returned: bytes of encoded records.
  std::uint64_t polls = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  /// Members now, of all groups.
  std::uint64_t members = 0;
  /// Offsets committed: one for each partition, each time. Those that `bus::reset_offsets` sets are among
  /// them.
  std::uint64_t offsets_committed = 0;
  /// How often a group's partitions were assigned anew: as a member came, went or was fenced, or topics
  /// changed.
  std::uint64_t rebalances = 0;
  /// Members removed as they did not give up partitions in time.
  std::uint64_t fenced = 0;
  /// As `group_info::possible_duplicates`, of all groups, deleted ones included.
  std::uint64_t possible_duplicates = 0;
};

/// Exchanges and queues.
struct queue_stats {
  /// References that were put into queues.
  std::uint64_t routed = 0;
  /// Messages that no queue got.
  std::uint64_t unroutable = 0;
  /// Messages received, each time anew.
  std::uint64_t delivered = 0;
  /// Acknowledged, or discarded.
  std::uint64_t settled = 0;
  /// Received, and then returned to their queue: by `nack`, or as their consumer went.
  std::uint64_t requeued = 0;
  /// Published with a delay, and waiting to be routed now.
  std::uint64_t delayed = 0;
  /// Of messages that are tracked (`publish_options::track`): how many queues still have to settle one now,
  /// and how many wait to be routed.
  std::uint64_t tracked = 0;
};

/// Share groups. A record is counted each time that it happens to it.
struct share_stats {
  /// Records acquired, by polls.
  std::uint64_t acquired = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  /// Given back by `acknowledge`, or as their member went.
  std::uint64_t released = 0;
  std::uint64_t renewed = 0;
  /// Taken from their member, as their time was over.
  std::uint64_t expired = 0;
  /// Counted as done since they had been handed out as often as they may.
  std::uint64_t exhausted = 0;
  /// Passed over, as their topic had given them up: offsets, compacted ones not included.
  std::uint64_t removed = 0;
};

struct transaction_stats {
  std::uint64_t committed = 0;
  /// Refused because something had changed that they had read.
  std::uint64_t conflicts = 0;
  /// Those of `bus::transact`, and `bus::process`, that were undone because their function failed, aborted or
  /// took too long.
  std::uint64_t undone = 0;
};

/// What goes on behind.
struct upkeep_stats {
  /// Sealings, and pieces of merging and compaction.
  std::uint64_t runs = 0;
  /// Looks for something to do that ended with an error; in the background, each second while it lasts.
  std::uint64_t failures = 0;
  std::uint64_t records_sealed = 0;
  std::uint64_t segments_written = 0;
  /// Segments that were replaced, or of which nothing was needed any more. Their files may be there a while.
  std::uint64_t segments_removed = 0;
  /// How long each run took.
  latency_histogram duration;
  /// Checkpoints made, and how long each took.
  std::uint64_t checkpoints = 0;
  latency_histogram checkpoint_duration;
};

/// What a bus tells of itself, of one moment. Its parts are read one after the other, while others go on.
struct bus_stats {
  /// Whether the durability mode is `checkpointed`.
  bool checkpointed = false;
  /// When the state was committed that power loss would take the store back to; nothing where acknowledged
  /// means durable, or, in memory, nothing is.
  std::optional<timestamp> last_checkpoint;
  /// How much would be lost: the time since the oldest commit that is behind the last checkpoint; zero where
  /// there is none.
  std::chrono::milliseconds loss_window{0};
  /// Bytes of rows in the journal that are not sealed yet.
  std::uint64_t journal_bytes = 0;
  std::uint64_t segments = 0;
  std::uint64_t segment_bytes = 0;
  /// Grows each time the store is taken back to a checkpoint.
  std::uint32_t epoch = 0;

  commit_stats commits;
  consumer_stats consumers;
  queue_stats queues;
  share_stats shares;
  transaction_stats transactions;
  upkeep_stats upkeep;
};

/// Something that does not hold together, found by `check_store`.
struct store_problem {
  /// Which object: "main", "topic 'orders' partition 3 offset 17", "queue 'desk' position 4".
  std::string where;
  /// What is wrong with it, as a sentence.
  std::string what;
};

/// The outcome of `check_store`.
struct check_report {
  std::uint64_t pages = 0;
  std::uint64_t segments = 0;
  /// Rows of the journal.
  std::uint64_t rows = 0;
  std::uint64_t records = 0;
  std::uint64_t queue_entries = 0;
  /// Empty when the store is sound; at most the first 1,000.
  std::vector<store_problem> problems;
};

}  // namespace levada
