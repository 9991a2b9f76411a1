#pragma once

/// @file
/// Every options struct. Each member has a default, so `{.partitions = 8}` is enough. None holds running
/// state.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include <levada/prefetch_scope.hpp>
#include <levada/types.hpp>

namespace spdlog {
class logger;
}

namespace levada {

class assignor;
class clock;
class delivery;
class error;
class new_assignment;
class partitioner;
class record;
class record_view;
class revocation;

/// Who moves records from the journal into segments, and removes what retention gives up.
enum class maintenance_mode : std::uint8_t {
  /// A thread of the bus, which starts when there is something to do for the first time.
  background,
  /// The host, by `bus::maintain`. A publisher that finds the journal full does it first.
  on_call,
};

/// Durability: what a call has done when it returns survives power loss. Two flushes a commit, shared by all
/// that are waiting.
struct synced {};
/// Durability: what a call has done when it returns survives the death of the process. When the system goes
/// down, the store opens intact as of its last checkpoint: what came after it is lost, so at most `interval`
/// and the time that one checkpoint takes; what was read of it by other programs may then never have been. A
/// checkpoint is also made after 64 MiB, and publishers wait for it at 256 MiB. See `bus::sync`.
///
/// That the system went down is told by the kernel's boot id; see `bus_options::boot_id`.
struct checkpointed {
  /// Default: 1 s. At least 1 ms.
  std::chrono::milliseconds interval = std::chrono::seconds{1};
};

/// What a topic gives up, oldest records first (Kafka's retention): whatever any of the limits says. Applied
/// by maintenance, so a while after it is due. Committed offsets, jobs and replays pin nothing, unless it
/// waits for readers: whoever is overtaken gets `errc::overtaken`.
struct retention_policy {
  /// Records that are older go. At least 1 ms.
  std::optional<std::chrono::milliseconds> age = std::nullopt;
  /// Of all partitions together, at least this many bytes stay, the journal's rows included; what is older
  /// goes, a segment at a time, once it is sealed. At least 1.
  std::optional<std::uint64_t> bytes = std::nullopt;
  /// Of all partitions together, at least this many records stay; what is older goes, a segment at a time. At
  /// least 1.
  std::optional<std::uint64_t> records = std::nullopt;
  /// Whether messages go that queues still refer to. Default: no. Their queues fail with `errc::overtaken`.
  bool force = false;
  /// Whether records stay that a group with a committed offset in their partition, or a job of another
  /// process, has not read yet, however long that takes. Default: no. `force` has no say in it; nor has this
  /// in what `bus::delete_records` and `bus::delete_topic` remove, or in compaction.
  bool wait_for_readers = false;

  friend bool operator==(const retention_policy&, const retention_policy&) = default;
};

/// What the flow ledger keeps.
struct ledger_options {
  /// How long. Default: 24 h, and of these the newest GiB. What is set here holds from the opening on.
  retention_policy retention = {.age = std::chrono::hours{24}, .bytes = std::uint64_t{1} << 30};
};

/// How a bus is opened. Of this only the bytes that it writes reach the disk.
struct bus_options {
  /// Make the store when the path does not exist or is an empty directory. Default: yes.
  bool create = true;
  /// Upper bound of the store's main file in bytes, fixed while it is open. Address space of this size is
  /// reserved, memory is not; lower it under a small `RLIMIT_AS`. Reaching it fails with `errc::store_full`.
  /// Default: 64 GiB. At least 1 MiB.
  std::size_t map_bytes_max = std::size_t{64} << 30;
  /// Largest record accepted, encoded, in bytes. Default: 16 MiB. At most 1 GiB - 1.
  std::size_t record_bytes_max = std::size_t{16} << 20;
  /// Records waiting to be committed, in bytes over all threads. Publishers beyond it wait until there is
  /// room; settlements, offset commits and declarations do not. Default: 64 MiB.
  std::size_t pending_bytes_max = std::size_t{64} << 20;
  /// Default: background.
  maintenance_mode maintenance = maintenance_mode::background;
  /// Bytes of rows in the journal, from which on its records are moved into segments: immutable files, which
  /// are read without copying and deleted as a whole. Default: 64 MiB.
  std::size_t journal_bytes_seal = std::size_t{64} << 20;
  /// Bytes of rows in the journal at which publishers wait until it has been sealed; it bounds the size of
  /// the main file. Default: 128 MiB. At least `journal_bytes_seal`.
  std::size_t journal_bytes_max = std::size_t{128} << 20;
  /// Bytes of rows from which on a topic gets segments of its own; others share them. Default: 4 MiB.
  std::size_t segment_bytes_min = std::size_t{4} << 20;
  /// What is certain when a call returns. May differ from opening to opening. An in-memory bus keeps nothing
  /// in any case. Default: `synced`.
  std::variant<synced, checkpointed> durability = synced{};
  /// What names this run of the system: when it differs from the one in which a store was written in
  /// `checkpointed` mode, the store is taken back to its last checkpoint. At most 63 bytes. Containers that
  /// outlive a crash of their host but report another id need one of their own here. Default: the kernel's.
  std::string boot_id = {};
  /// Called once, from the thread that noticed, when a commit or a checkpoint has failed in flight and the
  /// bus refuses further writes; must not call the bus. Default: none.
  std::function<void(const error&)> on_failure = nullptr;
  /// Where the handlers of `async_` calls run that have no associated executor. Its context must outlive the
  /// bus, and the handlers that are then still to run. Default: a thread of the bus's own, which starts when
  /// it is needed for the first time.
  boost::asio::any_io_executor executor = {};
  /// Source of all time. Default: the operating system's clocks.
  std::shared_ptr<levada::clock> clock = nullptr;
  /// Receives what an operator should know, by level. Critical: the bus refuses to write from now on. Error:
  /// something on the disk is damaged. Warning: the store went back to a checkpoint, members were fenced, a
  /// subscription has failed, upkeep or checkpoints fail (once, not at each try), another process holds on to
  /// old pages. Info: opening; closing, with totals; upkeep or checkpoints go on again. Debug: rebalances,
  /// sealing, merging and compaction, what retention gives up, topics deleted. Nothing, at any level, for a
  /// single record, or for a call that publishes, polls, commits or settles. Called in whatever thread it
  /// happens, perhaps in the middle of a commit: a slow sink slows the bus down. Default: none.
  std::shared_ptr<spdlog::logger> logger = nullptr;
  /// Whether the owner listens at `control`, a Unix socket in the store's directory, so that other processes
  /// can reset the offsets of groups and delete groups while this one owns the store: `levada groups reset`,
  /// `levada groups delete`, and the functions of <levada/control.hpp>. It has mode 0600, and serves
  /// processes of the same user and of root only. It is removed when the bus closes; what a crash has left is
  /// replaced by the next opening. Requests are served one after the other, in threads of their own, which
  /// exist with this option alone; who sends nothing sensible within 10 s is sent away. A bus in memory
  /// cannot have it: `errc::invalid_argument`. Default: no.
  bool control_socket = false;
  /// Keeps a ledger of what happens to messages in exchanges and queues, in the commits in which it happens:
  /// see `bus::trace`, and <levada/ledger.hpp>. May differ from opening to opening. Default: none.
  std::optional<ledger_options> ledger = std::nullopt;
  /// How long the bus knows of tracked messages (`publish_options::track`) once they are settled by all their
  /// queues. Not negative, at most 10,000 days. Default: 24 h.
  std::chrono::milliseconds ticket_history = std::chrono::hours{24};
  /// Where an in-memory bus keeps its unlinked file: a tmpfs with enough room. Default: /dev/shm.
  std::filesystem::path memory_directory = "/dev/shm";
};

/// Which time the records of a topic carry (Kafka's `message.timestamp.type`).
enum class timestamp_type : std::uint8_t {
  /// When they were appended, by the clock of the bus. Never falls within a partition.
  append_time = 0,
  /// What the publisher gave with `record::time`; where it gave none, when they were published.
  create_time = 1,
};

/// How sealed records are stored. The journal holds them plain.
enum class compression : std::uint8_t {
  /// Plain: read without copying.
  none = 0,
  /// Little work, for data that repeats itself a little.
  lz4 = 1,
  /// More work, and about half the size of lz4.
  zstd = 2,
};

/// Log compaction (Kafka's `cleanup.policy=compact`): of the records with the same key, at least the latest
/// stays, with its offset, in its order; older ones go by and by. Records without a key all stay. Done by
/// maintenance with what is sealed; readers see the log before or after, nothing in between.
struct compaction_policy {
  /// How long a tombstone stays at least, so that readers learn of it (Kafka's `delete.retention.ms`),
  /// counted from the record's time. Default: 24 h. Not negative.
  std::chrono::milliseconds tombstone_age = std::chrono::hours{24};
  /// Compacted again when at least this share of the sealed bytes has come since (Kafka's
  /// `min.cleanable.dirty.ratio`). Default: 0.5. From 0 to 1.
  double dirty_ratio = 0.5;

  friend bool operator==(const compaction_policy&, const compaction_policy&) = default;
};

/// How a topic is laid out. Reaches the disk.
struct topic_options {
  /// Number of partitions, 1 to 4,096. Default: 1. Order holds within a partition only. Fixed once the topic
  /// exists.
  std::uint32_t partitions = 1;
  /// Default: append time. Fixed once the topic exists.
  timestamp_type timestamps = timestamp_type::append_time;
  /// Default: everything stays. A topic that exists keeps what it has; see `bus::set_retention`.
  retention_policy retention = {};
  /// Default: none. A topic that exists keeps what it has; see `bus::set_compaction`.
  std::optional<compaction_policy> compaction = std::nullopt;
  /// Default: none. A topic that exists keeps what it has; see `bus::set_compression`.
  levada::compression compression = levada::compression::none;
};

/// How a producer collects records and sends them on. Of this only `id` reaches the disk.
struct producer_options {
  /// Makes the producer idempotent: under this name, 1 to 255 bytes as other names, the store remembers for
  /// the topic which of its records are stored. Default: none, it is not.
  std::string id = {};
  /// How long a record waits for company before what has been collected is committed (Kafka's `linger.ms`),
  /// by the clock of the bus. Default: 5 ms, as in Kafka 4. Not negative, at most a day; 0 collects nothing.
  std::chrono::microseconds linger = std::chrono::milliseconds{5};
  /// Bytes of encoded records at which these go at once (Kafka's `batch.size`, but of all partitions
  /// together); one commit takes no more of this producer's, unless a single record is larger. Default:
  /// 1 MiB. 1 to `batch_bytes_max`.
  std::size_t batch_bytes = std::size_t{1} << 20;
  /// Bytes of encoded records that are sent and not yet answered (Kafka's `buffer.memory`): it bounds the
  /// memory that the producer takes, to about twice as much. A single larger record goes when nothing else
  /// is there. Default: 32 MiB. At least 1.
  std::size_t buffer_bytes_max = std::size_t{32} << 20;
  /// Who chooses partitions; it must not serve another producer. Default: `key_partitioner`.
  std::shared_ptr<levada::partitioner> partitioner = nullptr;
  /// Called with each record in order, before its partition is chosen, in the thread that sends it: to add
  /// headers, such as the context of a trace. Called by several threads at a time if these send. One that
  /// throws fails the sending with `errc::invalid_argument`. Default: none.
  std::vector<std::function<void(record&)>> interceptors = {};
  /// Told of records sent by `send` and `try_send` that were not stored: why, and how many it were. Called in
  /// `bus::get_executor`; may call the bus. Default: none; `producer::flush` tells in any case.
  std::function<void(const error&, std::uint64_t records)> on_failure = nullptr;
};

/// How an exchange chooses queues by routing key (AMQP's exchange types).
enum class exchange_type : std::uint8_t {
  /// The binding key equals the routing key.
  direct = 1,
  /// Every bound queue.
  fanout = 2,
  /// The binding key is a pattern of words parted by dots: `*` stands for one word, `#` for any number.
  topic = 3,
  /// The binding's arguments are compared with the message's headers, by value and type. Its argument
  /// "x-match" says how: "all" (also without one) of them, or "any", where names that begin with "x-" do not
  /// count; "all-with-x" and "any-with-x", where all but "x-match" count. An argument without a value asks
  /// for
  /// the header, whatever its value. The binding key says nothing.
  headers = 4,
  /// One of what is bound, by a hash; the binding key is a weight, 1 to 1,000,000 in decimal digits, to which
  /// its share is in proportion (as of RabbitMQ's plugin). A binding that comes or goes moves only messages
  /// to or from what it binds.
  consistent_hash = 5,
};

/// What a consistent-hash exchange hashes of a message. Where the message has none, the empty text.
enum class hash_source : std::uint8_t {
  routing_key = 0,
  /// The header named by `exchange_options::hash_header`, of whatever type.
  header = 1,
  message_id = 2,
  correlation_id = 3,
};

/// What a full queue's refusal does to a message (see `overflow`).
enum class overflow_scope : std::uint8_t {
  /// The message is stored nowhere, and publishing it fails with `errc::queue_full`: all queues or none.
  publish = 0,
  /// The other queues get it, as in RabbitMQ; the receipt says how many have refused it.
  queue = 1,
};

/// How an exchange routes and keeps its log. Reaches the disk. All but retention and compression is fixed
/// once it exists.
struct exchange_options {
  /// Default: topic.
  exchange_type type = exchange_type::topic;
  /// Partitions of the exchange's log, 1 to 4,096; messages of one routing key share one. Default: 1.
  std::uint32_t partitions = 1;
  /// Whether it is still there when the store is opened again. Default: yes.
  bool durable = true;
  /// Whether it is deleted with the last binding from it, to a queue or an exchange; not before it has had
  /// one. Default: no.
  bool auto_delete = false;
  /// Whether messages come to it from exchanges only: through bindings, as alternate exchange, or as dead
  /// letters. Publishing to it fails with `errc::access_refused`. Default: no.
  bool internal = false;
  /// The name of the exchange that gets messages for which this one finds nothing bound; it need not exist
  /// yet, and where it does not, that is as if there were none. A binding to an exchange counts, wherever
  /// that leads (as in RabbitMQ). Default: none.
  std::string alternate_exchange = {};
  /// Of a consistent-hash exchange. Default: the routing key.
  hash_source hash = hash_source::routing_key;
  /// Under `hash_source::header`: its name.
  std::string hash_header = {};
  /// Default: all queues or none.
  overflow_scope overflow = overflow_scope::publish;
  /// Whether a message waits for as many milliseconds as its header `x-delay` says, a positive integer,
  /// before it is routed: the exchange type `x-delayed-message` of RabbitMQ's plugin.
  /// `publish_options::delay`, which any exchange heeds, goes before it. What comes as a dead letter waits as
  /// well; what comes from another exchange, by a binding or as its alternate, does not. Default: no.
  bool delayed = false;
  /// How long messages can be replayed that every queue has settled. Default: 24 h, and of these the newest
  /// GiB. An exchange that exists keeps what it has; see `bus::set_retention`.
  retention_policy retention = {.age = std::chrono::hours{24}, .bytes = std::uint64_t{1} << 30};
  /// Default: none. An exchange that exists keeps what it has; see `bus::set_compression`.
  levada::compression compression = levada::compression::none;
};

/// What becomes of messages for which a queue has no room (RabbitMQ's `x-overflow`).
enum class overflow : std::uint8_t {
  /// The oldest ready ones go, as dead letters where the queue has a dead-letter exchange.
  drop_head = 0,
  /// New ones are refused; see `overflow_scope`. Those that come as dead letters themselves are dropped.
  reject_publish = 1,
  /// The same, and they become dead letters.
  reject_publish_dlx = 2,
};

/// The longest time to live, delay or wait: 10,000 days.
inline constexpr std::chrono::milliseconds queue_time_max = std::chrono::hours{24 * 10'000};

/// How long a message waits that its consumer has returned with `requeue::yes`, before it is ready again; in
/// place of a second queue in which it expires. It keeps its place in the queue and, while it waits, counts
/// as unacked. After the n-th delivery it waits `first * factor^(n-1)`, but `most` at most. A wait survives a
/// crash; once the store is opened again it ends with a full second. Messages that come back as their
/// consumer was closed, or its host has died, do not wait.
struct redelivery_delay {
  /// 1 ms to 10,000 days. Default: 1 s.
  std::chrono::milliseconds first{1000};
  /// 1: always the same; 2: each wait is twice as long. 1 to 1,000. Default: 1.
  double factor = 1;
  /// At least `first`, at most 10,000 days. Default: 1 day.
  std::chrono::milliseconds most = std::chrono::hours{24};
  /// By which share of itself a wait is made shorter at most, by chance, lest messages come back together.
  /// 0 to 1. Default: 0.
  double jitter = 0;
  bool operator==(const redelivery_delay&) const = default;
};

/// How a queue keeps its messages. Reaches the disk; fixed once the queue exists. Terms and rules are
/// RabbitMQ's; its argument stands beside each.
struct queue_options {
  /// Whether it is still there when the store is opened again. Default: yes.
  bool durable = true;
  /// How long a message is of use in this queue, from when it came (`x-message-ttl`); the smaller of this and
  /// the message's own expiration counts. Expired messages are never handed out; they leave the queue as they
  /// come to its head. Default: for ever. Not negative, at most 10,000 days; 0: it expires at once.
  std::optional<std::chrono::milliseconds> message_ttl = std::nullopt;
  /// Most ready messages (`x-max-length`). Default: any number.
  std::optional<std::uint64_t> max_length = std::nullopt;
  /// Most bytes of values of ready messages (`x-max-length-bytes`). Default: any number.
  std::optional<std::uint64_t> max_length_bytes = std::nullopt;
  /// What happens beyond these. Default: the oldest go.
  levada::overflow overflow = levada::overflow::drop_head;
  /// The exchange to which messages go that are rejected, expire, find no room, or have been delivered too
  /// often (`x-dead-letter-exchange`); empty: the default exchange. They go in the commit in which they leave
  /// the queue; see <levada/dead_letter.hpp> for what they carry. Where there is no such exchange then, they
  /// are dropped. Default: none.
  std::optional<std::string> dead_letter_exchange = std::nullopt;
  /// With which routing key (`x-dead-letter-routing-key`). Default: the one that they were published with.
  std::optional<std::string> dead_letter_routing_key = std::nullopt;
  /// How often a message may come back (`x-delivery-limit` of quorum queues): one that has been handed out
  /// once more than that, and returns, leaves the queue, as a dead letter where it has a dead-letter
  /// exchange. Each handing out is counted on the disk before the consumer sees the message, so one that
  /// brings its host down comes no more often either. Default: any number. At most 65,534.
  std::optional<std::uint32_t> delivery_limit = std::nullopt;
  /// How long returned messages wait. Deliveries are counted as under `delivery_limit`. Default: not at all.
  std::optional<levada::redelivery_delay> redelivery_delay = std::nullopt;
  /// Whether it is deleted when its last consumer is closed; not before it has had one, and not when the bus
  /// is closed. Default: no.
  bool auto_delete = false;
  /// After how long without use it is deleted (`x-expires`): without a consumer, and without being declared
  /// again; opening the store counts as use. What is in it is lost, and makes no dead letters. 1 ms to 10,000
  /// days. Default: never.
  std::optional<std::chrono::milliseconds> expires = std::nullopt;
  /// The highest priority of messages (`x-max-priority`): those of a higher one are handed out first, those
  /// of the same in the order in which they came. A message without a priority has 0; one above this has
  /// this. All else happens at the head of the queue, as where it is full: so messages of a high priority may
  /// go while others stay, and one that has expired stays behind one that has not, whatever their priorities.
  /// 1 to 255; RabbitMQ advises up to 10. Default: all messages are alike.
  std::optional<std::uint8_t> max_priority = std::nullopt;
  /// Whether one consumer alone gets messages, until it is closed; then the next: of those with the highest
  /// priority the one that has waited longest (`x-single-active-consumer`). Default: no.
  bool single_active_consumer = false;
};

/// How `bus::delete_exchange` deletes.
struct exchange_deletion_options {
  /// Only if nothing is bound to it. Default: no.
  bool if_unused = false;
};

/// How `bus::delete_queue` deletes.
struct queue_deletion_options {
  /// Only if it has no consumer. Default: no.
  bool if_unused = false;
  /// Only if it holds no message, unsettled deliveries included. Default: no.
  bool if_empty = false;
};

/// How a message is published.
struct publish_options {
  /// Whether a message that no queue gets is refused, with `errc::unroutable`, and not stored: it stays with
  /// its publisher. (RabbitMQ returns it and confirms it all the same.) Default: no.
  bool mandatory = false;
  /// How long the message waits before it is routed, by the bindings of then; it is stored at once, and the
  /// wait survives a crash. A queue that is full then does not get it, and it becomes a dead letter where
  /// that queue says so (`overflow::reject_publish_dlx`). Not negative, at most 10,000 days; with `mandatory`
  /// it is refused, as nobody waits for the outcome. Default: 0, not at all.
  std::chrono::milliseconds delay{0};
  /// Whether the bus keeps, durably, what becomes of the message in the queues that it is routed to, to be
  /// asked for with `bus::find_ticket` by its message id, which it needs. That takes no commit more, but a
  /// row, and one for each queue until it has settled the message. Fails with `message_id_in_use` while an
  /// earlier message of this id is known. Default: no.
  bool track = false;
};

/// Where a group starts in a partition for which it has no committed offset (Kafka's `auto.offset.reset`).
enum class offset_reset : std::uint8_t {
  /// At the oldest record.
  earliest,
  /// Behind the newest record, as of the assignment.
  latest,
  /// Nowhere: `poll` fails with `errc::no_committed_offset` until the application seeks.
  none,
  /// At the first record that is not older than `consumer_options::reset_duration`, as of the assignment
  /// (Kafka's `by_duration`, KIP-1106).
  by_duration,
};

/// How a member of a consumer group reads.
struct consumer_options {
  /// Default: latest, as Kafka's.
  offset_reset reset = offset_reset::latest;
  /// How far back reading starts under `offset_reset::by_duration`. Default: 0, which is behind the newest
  /// record. Not negative.
  std::chrono::milliseconds reset_duration{0};
  /// Most records that one poll returns. Default: 10,000. At least 1.
  std::size_t poll_records_max = 10'000;
  /// Most bytes of encoded records that one poll returns; a single larger record is returned alone.
  /// Default: 1 MiB.
  std::size_t poll_bytes_max = std::size_t{1} << 20;
  /// The name under which listings show the member. Default: one made up from the bus's counter.
  std::string member_id = {};
  /// Who of the group reads what; the same, by name, for all its members. Default:
  /// `cooperative_sticky_assignor`.
  std::shared_ptr<const levada::assignor> assignor = nullptr;
  /// How long a member may hold partitions that a rebalance gave to another before it is fenced. It gives
  /// them up at its next `poll`. Default: 60 s.
  std::chrono::milliseconds rebalance_timeout = std::chrono::seconds{60};
  /// How often positions are committed without being asked (Kafka's `enable.auto.commit`): what polls have
  /// returned counts as done when the next poll is made. Committed by that poll when so much time has passed,
  /// without waiting for it; with each handover, and when the member leaves. What was polled last may be read
  /// again after a crash. Default: never. Not negative; 0 is at each poll.
  std::optional<std::chrono::milliseconds> auto_commit = std::nullopt;

  // Called within `poll`, or where `async_poll` looks: in the thread, or the executor, of that call; and
  // within `close`. They may call the member, but neither poll nor destroy it: `poll` fails with
  // `errc::would_deadlock`. They must not throw.

  /// Partitions are to be given up; the member still owns them, and may commit how far it came. Where that
  /// commit fails, the poll fails with its error, the member keeps the partitions, and the next poll calls
  /// again. Default: nothing is done.
  std::function<void(revocation&)> on_revoked = nullptr;
  /// Partitions have come, and nothing has been read of them yet. Default: nothing is done.
  std::function<void(new_assignment&)> on_assigned = nullptr;
  /// Partitions are gone without having been given up: the member was fenced, their topic was deleted, or the
  /// bus was closed before the member. Others may read them already. Default: nothing is done.
  std::function<void(std::span<const topic_partition>)> on_lost = nullptr;
};

/// Of which records a subscription handles one at a time, in their order (after Confluent's Parallel
/// Consumer).
enum class handling_order : std::uint8_t {
  /// Of those of a partition that have the same key. Records without a key are in no order.
  key,
  /// Of those of a partition.
  partition,
  /// Of none.
  none,
};

/// What becomes of a record whose handler has failed.
enum class failed_handling : std::uint8_t {
  /// The subscription ends; who subscribes next begins with this record, or with one before it.
  stop,
  /// It counts as done.
  skip,
  /// It is handled again after `subscription_options::retry_delay`; what must not overtake it waits.
  retry,
};

/// How `bus::subscribe` has records handled.
struct subscription_options {
  /// How it reads. Its callbacks are called in the subscription's thread, after what the subscription does
  /// itself. `auto_commit` must be absent, as the subscription commits.
  consumer_options consumer = {};
  /// Most records that are being handled at a time, of all partitions. Default: 1. 1 to 1,024.
  std::size_t workers = 1;
  /// Default: by key.
  handling_order order = handling_order::key;
  /// Most records that have been read and are not done; then reading waits. Default: 10,000. At least 1.
  std::size_t records_max = 10'000;
  /// How often what is done is committed, by the clock of the bus; with each handover, and at the end, it is
  /// in any case. Default: 1 s. Not negative.
  std::chrono::milliseconds commit_interval = std::chrono::seconds{1};
  /// Where handlers are called: an executor of the host's, whose context must outlive the subscription.
  /// Default: threads of the subscription's own, as many as `workers`.
  boost::asio::any_io_executor executor = {};
  /// Asked when a handler has failed: `attempt` is 1 for the first time that the record was handled. Called
  /// where the handler has failed; must not throw. Default: the subscription stops.
  std::function<failed_handling(const record_view&, const error&, std::uint32_t attempt)> on_failed_handling =
      nullptr;
  /// Default: 1 s. Not negative.
  std::chrono::milliseconds retry_delay = std::chrono::seconds{1};
  /// Told of what failed, but for handlers: a commit, which will be tried again; records that were removed
  /// before they were read, and a topic that was deleted, after which it goes on; and last of all, if it was
  /// not closed, why it has ended. Called in the subscription's thread; may close the subscription, but must
  /// not destroy it, or throw. Default: none.
  std::function<void(const error&)> on_failure = nullptr;
};

/// How a consumer of a queue takes deliveries.
struct queue_consumer_options {
  /// Most deliveries unsettled at a time (AMQP's prefetch count); 0 is unlimited. Default: 100.
  std::uint32_t prefetch = 100;
  /// Messages go to the consumers with the highest priority as long as their prefetch limit allows, and only
  /// then to others (`x-priority` of RabbitMQ's basic.consume). Default: 0.
  std::int32_t priority = 0;
  /// How long a delivery may stay unsettled: then the consumer is closed, its deliveries return to the queue,
  /// and its calls fail with `errc::consumer_timed_out` (RabbitMQ's `consumer_timeout`). Those that wait to
  /// be received do not count. At least 1 ms. Default: for ever.
  std::optional<std::chrono::milliseconds> timeout = std::nullopt;
  /// A prefetch limit that it shares with others. Default: none.
  std::optional<prefetch_scope> scope = std::nullopt;
};

/// What happens to a message whose handler has failed.
enum class failed_delivery : std::uint8_t {
  /// It returns to its queue, and is delivered again, at once or as the queue's `redelivery_delay` says; a
  /// `delivery_limit` of the queue ends that.
  requeue,
  /// It becomes a dead letter, or is discarded where its queue has no dead-letter exchange.
  reject,
  /// It returns to its queue, and the consumer ends with that error.
  stop,
};

/// How `bus::consume` has messages handled.
struct push_consumer_options {
  /// How it takes them.
  queue_consumer_options consumer = {};
  /// Most messages that are being handled at a time. Default: 1. 1 to 1,024.
  std::size_t workers = 1;
  /// Where handlers are called, and their answers taken in: an executor of the host's, whose context must
  /// outlive the consumer. Default: threads of the consumer's own, as many as `workers`.
  boost::asio::any_io_executor executor = {};
  /// Asked when a handler has failed, where it has; must not throw. Default: the message is requeued.
  std::function<failed_delivery(const delivery&, const error&)> on_failed_delivery = nullptr;
  /// Told of what failed, but for handlers: taking a message or settling one, where that was not possible and
  /// will be tried again after a second; and last of all, if it was not closed, why the consumer has ended.
  /// May close the consumer, but must not destroy it, or throw. Default: none.
  std::function<void(const error&)> on_failure = nullptr;
};

/// How a member of a share group consumes. What concerns records in flight is the same for all members that
/// the group has at a time.
struct share_consumer_options {
  /// Where a group begins in a partition that it has not met before (Kafka's `share.auto.offset.reset`):
  /// `earliest`, `latest` or `by_duration`, as of the call that brings its topic. Default: latest.
  offset_reset reset = offset_reset::latest;
  /// How far back under `offset_reset::by_duration`. Default: 0. Not negative.
  std::chrono::milliseconds reset_duration{0};
  /// Most records that one poll acquires. Default: 500, as Kafka's `max.poll.records`. At least 1.
  std::size_t poll_records_max = 500;
  /// Most bytes of encoded records that one poll acquires; a single larger record is acquired alone.
  /// Default: 1 MiB. At least 1.
  std::size_t poll_bytes_max = std::size_t{1} << 20;

  // The same for all members:

  /// How long a record stays acquired; then it is available to others (Kafka's `share.record.lock.duration`).
  /// Default: 30 s. At least 1 ms.
  std::chrono::milliseconds lock_duration = std::chrono::seconds{30};
  /// How often a record is handed out at most (Kafka's `group.share.delivery.count.limit`): what is released
  /// then, or not settled in time, counts as done. Default: 5. 1 to 65,535.
  std::uint32_t delivery_limit = 5;
  /// Most records of a partition in flight: acquired, or returned and not settled (Kafka's
  /// `group.share.partition.max.record.locks`). Default: 2,000. At least 1.
  std::size_t in_flight_max = 2'000;
};

/// A start: the oldest record.
struct from_earliest {};
/// A start: behind the newest record.
struct from_latest {};
/// Where reading begins: at the oldest record, behind the newest, at an offset, or in each partition at the
/// first record at or after a time.
using start_position = std::variant<from_earliest, from_latest, offset, timestamp>;

/// A partition's new offset: its beginning, its end, an offset, that of the first record at or after a time,
/// or that of the first record not older than a duration.
using offset_reset_target =
    std::variant<from_earliest, from_latest, offset, timestamp, std::chrono::milliseconds>;

/// How `bus::reset_offsets` sets the offsets of a group.
struct offset_reset_options {
  /// Default: the beginning.
  offset_reset_target to = from_earliest{};
  /// Default: all partitions of the topic.
  std::vector<partition_id> partitions = {};
  /// Whether to tell what would be done, and do nothing. Default: yes.
  bool dry_run = true;
};

/// How `bus::delete_group` deletes a group.
struct group_deletion_options {
  /// Only tell whether it could be done, and do nothing. Default: no.
  bool dry_run = false;
};

/// How `bus::bind` binds.
struct binding_options {
  /// From where on the exchange's log is bound as well: what stands there and matches is entered into the
  /// queue, before anything that comes later. An offset needs an exchange with one partition. Default: what
  /// is published from now on.
  start_position from = from_latest{};
};

/// No end: what is committed later is read as it comes.
struct until_closed {};
/// An end: behind the newest record as of the call.
struct until_latest {};
/// Where reading ends: never, behind what is there now, before an offset, or in each partition before the
/// first record at or after a time (as of the call: what is committed later is not read).
using end_position = std::variant<until_closed, until_latest, offset, timestamp>;

/// How topics are read outside of groups.
struct replay_options {
  /// Default: the oldest record. An offset needs `partition`, unless the topic has only one.
  start_position from = from_earliest{};
  /// Default: never. An offset needs `partition`, unless the topic has only one.
  end_position until = until_closed{};
  /// The one partition to read. Default: all, in the order in which they were committed.
  std::optional<partition_id> partition = std::nullopt;
  /// Most bytes of encoded records that one step returns; a single larger record is returned alone.
  /// Default: 1 MiB.
  std::size_t bytes_max = std::size_t{1} << 20;
  /// Whether checksums of sealed records are verified. Without, what the disk has spoilt comes out as wrong
  /// records; it never makes a program crash. Default: yes.
  bool verify = true;
  /// At which multiple of the speed at which the records came they are returned: 1 as they came, 10 in a
  /// tenth of the time. Default: 0, as fast as they can be read. Not negative.
  double pace = 0;
};

}  // namespace levada
