#pragma once

/// @file
/// The front door: start reading here.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/backup.hpp>
#include <levada/consumer.hpp>
#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/explanation.hpp>
#include <levada/export.hpp>
#include <levada/inspect.hpp>
#include <levada/ledger.hpp>
#include <levada/options.hpp>
#include <levada/producer.hpp>
#include <levada/publishing.hpp>
#include <levada/queue.hpp>
#include <levada/record.hpp>
#include <levada/replay.hpp>
#include <levada/requester.hpp>
#include <levada/share_consumer.hpp>
#include <levada/space.hpp>
#include <levada/subscription.hpp>
#include <levada/table.hpp>
#include <levada/ticket.hpp>
#include <levada/topic.hpp>
#include <levada/topic_pattern.hpp>
#include <levada/transaction.hpp>
#include <levada/types.hpp>

namespace levada {

/// An event bus inside this process, kept in one directory. One process owns a store at a time; others may
/// look in through `attachment`.
///
/// Names of topics, exchanges, queues, groups, members and producers are 1 to 255 bytes of UTF-8 without
/// control characters; topics and exchanges share one space of names. Declaring what exists with the same
/// options is no error and returns it; with other options it fails with `errc::inequivalent`. Declarations,
/// like everything else, are durable on return.
///
/// Move-only. All members may be called from any thread, except that moving and destroying must not overlap
/// other calls. Every call fails with `errc::closed` after `close`, with `errc::forked` in a child process,
/// and every writing call with `errc::failed` once a commit has failed in flight.
class LEVADA_EXPORT bus {
 public:
  /// Opens the store in `directory`, and makes it first if there is none. Made in a temporary sibling
  /// directory, synced and renamed, so a crash leaves either no store or a whole one. An existing empty
  /// directory is taken over; its parent must be writable.
  ///
  /// Fails with `store_in_use`, `store_not_found`, `not_a_store`, `unsupported_format`, `damaged`,
  /// `permission_denied`, `insecure_directory`, `network_filesystem`, `disk_full`, `io_error`,
  /// `out_of_resources` or `invalid_argument`.
  [[nodiscard]] static result<bus> open(const std::filesystem::path& directory,
                                        const bus_options& options = {});
  /// A bus that keeps nothing: the same code on a private, unlinked file in `options.memory_directory`.
  /// Leaves nothing behind, however the process ends.
  [[nodiscard]] static result<bus> open_in_memory(const bus_options& options = {});

  bus(bus&&) noexcept;
  bus& operator=(bus&&) noexcept;
  /// Closes, but what `async_` calls and producers have submitted or collected, and no commit has begun with,
  /// fails with `errc::operation_aborted`.
  ~bus();

  /// Waits for the commits in flight, commits what has been submitted and what producers have collected,
  /// wakes every waiting call (they fail with `errc::closed`), removes anonymous queues, notes which messages
  /// were delivered, and gives the store up. On return the handlers that were to run in the bus's own thread
  /// have run. Idempotent. Fails when that last note could not be written; the store is given up all the
  /// same, and intact. In a forked child it fails with `errc::forked` and does nothing, as does the
  /// destructor. In the bus's own thread, and in a subscription's handlers and callbacks, it fails with
  /// `errc::would_deadlock`, as it would wait for the one that calls it. Subscriptions are closed first.
  result<void> close();
  /// Where handlers run that ask for no executor of their own: `bus_options::executor`, or that of the bus's
  /// own thread, which is not to be used once the bus is gone.
  [[nodiscard]] boost::asio::any_io_executor get_executor() const;

  // Topics

  [[nodiscard]] result<levada::topic> declare_topic(std::string_view name, const topic_options& options = {});
  /// The topic of that name. Exchanges' logs are not written this way: `unknown_topic`.
  [[nodiscard]] result<levada::topic> topic(std::string_view name) const;
  /// Deletes a topic, its records, the offsets that groups have committed for it and what it knows of
  /// idempotent producers; its name is free at
  /// once, its space once maintenance comes by. Publishing through its handles, polls of its consumers and
  /// replays fail with `unknown_topic` from then on; record batches stay good. Fails with `unknown_topic`,
  /// also for an exchange, or with `access_refused` for the ledger's while the bus keeps one.
  result<void> delete_topic(std::string_view name);
  /// Changes what a topic or exchange keeps, from the next maintenance on. Fails with `unknown_topic` or
  /// `invalid_argument`.
  result<void> set_retention(std::string_view name, const retention_policy& policy);
  /// Begins, changes or ends the compaction of a topic, from the next maintenance on. What is gone stays
  /// gone. Fails with `unknown_topic`, also for an exchange, or `invalid_argument`.
  result<void> set_compaction(std::string_view name, const std::optional<compaction_policy>& policy);
  /// Changes how records of a topic or exchange are stored that are sealed from now on. Fails with
  /// `unknown_topic`.
  result<void> set_compression(std::string_view name, compression how);
  /// Removes the records of a topic's partition before offset `before` (Kafka's DeleteRecords), which becomes
  /// its beginning at once; their space is given back as retention gives it back. A smaller offset than the
  /// beginning changes nothing. Fails with `unknown_topic`, also for an exchange, `unknown_partition`, or
  /// `offset_out_of_range` for one beyond the end.
  result<void> delete_records(const topic_partition& where, offset before);
  /// `topic(name)->publish(r)`.
  [[nodiscard]] result<publish_receipt> publish(std::string_view topic, const record& r);

  /// A producer to a topic. Where the options have an id this is a commit, which fences an earlier producer
  /// of the same id and topic, in this process or before: what that has not had committed by then fails with
  /// `errc::fenced`. Fails with `unknown_topic`, also for an exchange, `name_invalid` for the id, or
  /// `invalid_argument`.
  [[nodiscard]] result<producer> make_producer(std::string_view topic, const producer_options& options = {});

  // Consumer groups

  /// Joins a group, which is made if it is new, to read the given topics (or exchanges' logs). Fails with
  /// `unknown_topic`, `name_invalid`, `inequivalent` where the group's members use another assignor or it is
  /// a share group, or `invalid_argument` for an empty list, an option out of its range, or a member id that
  /// is taken.
  [[nodiscard]] result<consumer> join(std::string_view group, const std::vector<std::string>& topics,
                                      const consumer_options& options = {});
  /// The same for all topics whose name the pattern matches: those that there are, and those that are
  /// declared later; of topics that are deleted it takes no notice. Exchanges' logs are not among them.
  [[nodiscard]] result<consumer> join(std::string_view group, const topic_pattern& topics,
                                      const consumer_options& options = {});
  /// Reads exactly these partitions, in the name of a group and without joining it (Kafka's `assign`):
  /// nothing is ever taken away or added, and whoever wants the same gets it too. Its commits fail with
  /// `group_in_use` while the group has members. Of `options`, what is about membership counts for nothing.
  /// Fails with `unknown_topic`, `unknown_partition`, `name_invalid`, `inequivalent` for a share group, or
  /// `invalid_argument` for an empty list or an option out of its range.
  [[nodiscard]] result<consumer> assign(std::string_view group,
                                        const std::vector<topic_partition>& partitions,
                                        const consumer_options& options = {});
  /// Joins a group, and has each record handled by `handler`, up to `subscription_options::workers` at a
  /// time: see `subscription`. Fails as `join` does, and with `invalid_argument` for an empty handler.
  [[nodiscard]] result<subscription> subscribe(std::string_view group, const std::vector<std::string>& topics,
                                               record_handler handler,
                                               const subscription_options& options = {});
  /// The same with a handler that answers later.
  [[nodiscard]] result<subscription> subscribe(std::string_view group, const std::vector<std::string>& topics,
                                               async_record_handler handler,
                                               const subscription_options& options = {});
  /// The same for topics chosen by a pattern.
  [[nodiscard]] result<subscription> subscribe(std::string_view group, const topic_pattern& topics,
                                               record_handler handler,
                                               const subscription_options& options = {});
  [[nodiscard]] result<subscription> subscribe(std::string_view group, const topic_pattern& topics,
                                               async_record_handler handler,
                                               const subscription_options& options = {});
  /// Forgets a group and what it has committed. Fails with `unknown_group`, and with `group_in_use` while it
  /// has members. Consumers from `assign` go on reading, but their commits fail with `unknown_group`.
  result<void> delete_group(std::string_view name, const group_deletion_options& options = {});
  /// Sets how far a group has read a topic (or an exchange's log), and returns what that changes, by
  /// partition; with `dry_run`, which is the default, only the latter. An offset outside of a partition is
  /// moved to the nearer end of it (as Kafka's tool does). Fails with `unknown_group`, `unknown_topic`,
  /// `unknown_partition`, `group_in_use` while the group has members, or `invalid_argument` for a negative
  /// duration. Of a share group, it sets where the group acquires next, and what it has in flight of these
  /// partitions counts as done.
  [[nodiscard]] result<std::vector<offset_change>> reset_offsets(std::string_view group,
                                                                 std::string_view topic,
                                                                 const offset_reset_options& options);

  /// Joins a share group, which is made if it is new, to acquire records of the given topics one by one: see
  /// `share_consumer`. In partitions that the group has not met before it begins where the options say; that
  /// is durable on return. Fails with `unknown_topic`, also for an exchange, `name_invalid`, `inequivalent`
  /// where the group is a consumer group, or its members have other options, or `invalid_argument` for an
  /// empty list or an option out of its range.
  [[nodiscard]] result<share_consumer> share_consume(std::string_view group,
                                                     const std::vector<std::string>& topics,
                                                     const share_consumer_options& options = {});

  /// A pass over a topic or an exchange's log, outside of any group. Fails with `unknown_topic`,
  /// `unknown_partition`, `offset_out_of_range`, `overtaken` for an offset that has been removed, or
  /// `invalid_argument`, for an offset without a partition among others.
  [[nodiscard]] result<levada::replay> replay(std::string_view topic,
                                              const replay_options& options = {}) const;
  /// A pass over all topics and exchanges' logs, also those that are declared while it goes on, in the order
  /// in which records were committed. Fails with `invalid_argument`, for an offset or a partition among
  /// others.
  [[nodiscard]] result<levada::replay> replay_all(const replay_options& options = {}) const;

  // Routing

  // Topology. What is said of an exchange or a binding holds from the next commit on. The default exchange,
  // whose name is empty, is always there: it routes a message to the queue that the routing key names.

  /// Declares an exchange. Names that begin with "amq." are reserved: `name_invalid`. Fails with
  /// `inequivalent` where it exists with other options, and names the first that differs; retention and
  /// compression are not compared.
  result<void> declare_exchange(std::string_view name, const exchange_options& options = {});
  /// The exchange of that name; fails with `unknown_exchange` (AMQP's passive declaration).
  [[nodiscard]] result<exchange_info> exchange(std::string_view name) const;
  /// Deletes an exchange with its bindings, from it and to it, and, of what these came from, auto-delete
  /// exchanges that have none left. Its log goes as soon as no queue refers to it; messages in queues stay.
  /// Fails with `unknown_exchange`, `in_use`, or `access_refused` for the default exchange.
  result<void> delete_exchange(std::string_view name, const exchange_deletion_options& options = {});
  /// Declares a queue. Names that begin with "amq." are reserved: `name_invalid`. Fails with `inequivalent`
  /// where it exists with other options, and names the first that differs, or with `invalid_argument`.
  result<void> declare_queue(std::string_view name, const queue_options& options = {});
  /// The queue of that name; fails with `unknown_queue` (AMQP's passive declaration).
  [[nodiscard]] result<queue_info> queue(std::string_view name) const;
  /// A queue of one owner, which is not durable in any case: see `exclusive_queue`. For others, `consume`,
  /// `purge_queue`, `delete_queue` and declaring it fail with `resource_locked`. Fails so itself where it
  /// exists already.
  [[nodiscard]] result<exclusive_queue> declare_exclusive_queue(std::string_view name,
                                                                const queue_options& options = {});
  /// The same with a made-up name, "amq.gen-" and a number.
  [[nodiscard]] result<exclusive_queue> declare_anonymous_queue(const queue_options& options = {});
  /// Deletes a queue, its bindings and its entries, and auto-delete exchanges that have no binding left; its
  /// consumers end with `errc::closed`. The messages stay in their exchanges' logs. Fails with
  /// `unknown_queue`, `in_use`, `not_empty`, or `resource_locked` for an exclusive one.
  result<void> delete_queue(std::string_view name, const queue_deletion_options& options = {});
  /// Removes all ready messages of a queue, in slices, and returns how many (AMQP's queue.purge); unsettled
  /// deliveries stay, and nothing becomes a dead letter. Messages that come meanwhile may go or stay. Fails
  /// with `unknown_queue` or `resource_locked`.
  result<std::uint64_t> purge_queue(std::string_view name);
  /// Copies of up to `most` ready messages, those first that would be handed out first; nothing happens to
  /// them. Fails with `unknown_queue`.
  [[nodiscard]] result<record_batch> peek(std::string_view queue, std::size_t most) const;
  /// Routes messages of `exchange` that match to `queue`. What `key` and `arguments` mean depends on the
  /// exchange's type. Binding again changes nothing; bindings that differ in key or arguments are several; a
  /// message goes to a queue once, however many of its bindings match. Fails with `unknown_exchange`,
  /// `unknown_queue`, `field_too_long` for a key above 255 bytes or arguments above 64 KiB,
  /// `invalid_argument` for what means nothing to the exchange, `access_refused` for the default exchange.
  ///
  /// With `options.from` the queue is bound *from the past*: the call commits the binding, and what has been
  /// published before is entered by and by, in slices of some milliseconds that survive crashes, in the order
  /// of its commits. It comes behind what the queue holds, and before all that comes to the queue from now
  /// on, which is not handed out until then: no gap, and nothing twice, also where the queue has had a
  /// message by another binding to the same exchange. For times to live and limits, messages come at the
  /// moment when they are entered; where the queue refuses them, they wait for room, but for one at a time
  /// once all that the queue can hand out is handed out. What waits for its time (`publish_options::delay`)
  /// comes when that is over; what was cancelled stands in the log all the same, and comes. Records that
  /// retention has given up are gone; those that are still to come are kept, unless `retention_policy::force`
  /// has them go. `queue_info::backfill` tells how much is left; `unbind` and `purge_queue` end it. Fails
  /// also with `invalid_argument` for a consistent-hash exchange, which gives each message to one of those
  /// who are bound then, and for an offset where there are several partitions, with `offset_out_of_range`,
  /// and with `overtaken`.
  result<void> bind(std::string_view exchange, std::string_view queue, std::string_view key,
                    const binding_arguments& arguments = {}, const binding_options& options = {});
  /// Enters once more what has been routed to a queue by bindings that it has, directly, and by its name: as
  /// `bind` does from the past, in the order of commits. What is still in the queue comes a second time,
  /// unless it is purged before. Fails with `unknown_queue`, `resource_locked`, and with `invalid_argument`
  /// for an offset, and where the queue is bound to a consistent-hash exchange.
  result<void> replay_into(std::string_view queue, const start_position& from);
  /// Removes one binding. One that does not exist is no error (as in AMQP 0-9-1 under RabbitMQ).
  result<void> unbind(std::string_view exchange, std::string_view queue, std::string_view key,
                      const binding_arguments& arguments = {});
  /// The same from one exchange to another (RabbitMQ's exchange-to-exchange bindings): what matches is routed
  /// by `destination` as well, with the same routing key. Circles do no harm.
  result<void> bind_exchange(std::string_view source, std::string_view destination, std::string_view key,
                             const binding_arguments& arguments = {});
  result<void> unbind_exchange(std::string_view source, std::string_view destination, std::string_view key,
                               const binding_arguments& arguments = {});

  // Policies

  /// Sets a policy, or replaces the one of that name: what it says holds for queues and exchanges that match,
  /// from now on, and for those that are declared later. Messages that are in queues keep the time to live
  /// that they came with; where a queue is too long now, what is too much leaves by and by. Durable on
  /// return. Fails with `invalid_argument` for what is no regular expression, for a policy that sets nothing,
  /// and for what no queue can be declared with, and with `name_invalid`.
  result<void> set_policy(std::string_view name, const policy_options& options);
  /// What was declared holds again. Fails with `unknown_policy`.
  result<void> delete_policy(std::string_view name);
  /// The same for what an operator limits. The names are others than those of policies.
  result<void> set_operator_policy(std::string_view name, const operator_policy_options& options);
  result<void> delete_operator_policy(std::string_view name);

  /// Publishes a message: appends the record once to the exchange's log and, in the same commit, a reference
  /// to every queue that the bindings select. Returns when that is durable (AMQP's publisher confirm).
  /// Messages of one routing key keep their order. Fails with `unknown_exchange`, `access_refused`,
  /// `unroutable`, `queue_full`, `record_too_large`, `field_too_long` or `invalid_argument`.
  [[nodiscard]] result<publish_receipt> publish(std::string_view exchange, std::string_view routing_key,
                                                const record& r, const publish_options& options = {});
  /// Publishes several messages in one commit, all of them or none; receipts are in their order. Fails also
  /// with `batch_too_large`.
  [[nodiscard]] result<std::vector<publish_receipt>> publish(std::span<const message> messages,
                                                             const publish_options& options = {});
  /// Publishes a message without waiting, and hands out what to wait with: for its commit, and for every
  /// queue to settle it. As `publish` with `publish_options::track`; a record without a message id gets one,
  /// a random UUID. Fails with what can be told before a commit; what else publishing fails with, the ticket
  /// tells. Waits only while `bus_options::pending_bytes_max` has been reached.
  [[nodiscard]] result<ticket> publish_tracked(std::string_view exchange, std::string_view routing_key,
                                               record r, publish_options options = {});
  /// The ticket for a message that was tracked, by its id, also where another process has published it. Fails
  /// with `unknown_ticket`.
  [[nodiscard]] result<ticket> find_ticket(std::string_view message_id) const;
  /// Has the bus forget what has become of a message, settled or not, and so frees its id; the message itself
  /// stays where it is. Returns whether anything was known. Durable on return.
  result<bool> forget_ticket(std::string_view message_id);
  /// What the flow ledger (`bus_options::ledger`) knows of the messages with this message id or correlation
  /// id, and of what was published on their account: as dead letters, by handlers while they handled them, or
  /// with `record::caused_by`. Reads the whole ledger once; what that has given up is missing. Fails with
  /// `invalid_argument` for an empty id, `unknown_topic` where no ledger was ever kept, and `damaged`.
  [[nodiscard]] result<message_trace> trace(std::string_view id, const trace_options& options = {}) const;
  /// What `publish` would do with this message now, and why; nothing is published. Fails with
  /// `unknown_exchange`, `record_too_large`, `field_too_long` or `invalid_argument`; what else publishing
  /// would fail with stands in the explanation.
  [[nodiscard]] result<explanation> explain(std::string_view exchange, std::string_view routing_key,
                                            const record& r, const publish_options& options = {}) const;
  /// Has a message that was published with a delay never be routed; it stays in its exchange's log. Returns
  /// whether it has come in time. Takes a receipt with `due`, or what `delayed` returns, also after the store
  /// was opened anew. Fails with `unknown_exchange`.
  result<bool> cancel(const delayed_message& message);
  result<bool> cancel(const publish_receipt& receipt);
  /// Up to `most` of the messages that wait to be routed, those first that are due first.
  [[nodiscard]] result<std::vector<delayed_message>> delayed(std::size_t most) const;
  /// Starts consuming a queue. Fails with `unknown_queue`, `resource_locked` for an exclusive one, or
  /// `invalid_argument`.
  [[nodiscard]] result<queue_consumer> consume(std::string_view queue,
                                               const queue_consumer_options& options = {});
  /// Has each message of a queue handled by `handler`, up to `push_consumer_options::workers` at a time: see
  /// `push_consumer`. Fails as the above, and with `invalid_argument` for an empty handler.
  /// `Handler` is a `delivery_handler`, or an `async_delivery_handler`, which answers later.
  template <class Handler>
  requires detail::handles_deliveries<Handler>
  [[nodiscard]] result<push_consumer> consume(std::string_view queue, Handler handler,
                                              const push_consumer_options& options = {}) {
    return start_consuming(queue, std::move(handler), options);
  }

  /// A private queue for replies, and who waits for them: see `requester`.
  [[nodiscard]] result<requester> make_requester();
  /// Answers a request: publishes `r` to where the request has asked for, with the request's correlation id
  /// in place of its own. Where the requester is gone, `routed` is 0. Fails with `invalid_argument` for a
  /// record that asks for no reply.
  result<publish_receipt> reply(const record_view& request, record r);

  // Tables and transactions

  /// Declares a table of the host's own data.
  [[nodiscard]] result<levada::table> declare_table(std::string_view name);
  /// The table of that name. Fails with `unknown_table`.
  [[nodiscard]] result<levada::table> table(std::string_view name) const;
  /// Deletes a table and what it holds; its name is free at once. Erases in small commits, so that others
  /// hardly wait; after a crash meanwhile the next opening goes on with it. Fails with `unknown_table`.
  result<void> delete_table(std::string_view name);
  /// The names of all tables, sorted.
  [[nodiscard]] result<std::vector<std::string>> tables() const;

  /// Runs `function`, in the calling thread, as one commit: see `transaction`. All other writing waits
  /// meanwhile. When the function returns an error, or throws, everything is undone, and transact returns
  /// that error or throws that. Within it, every other call of this bus, its topics, consumers and tables
  /// fails with `would_deadlock`. Fails also with `transaction_expired` when the function took too long.
  [[nodiscard]] result<transaction_receipt> transact(
      const std::function<result<void>(transaction&)>& function, const transact_options& options = {});
  /// Begins a transaction that collects, and keeps nobody waiting.
  [[nodiscard]] result<transaction> begin() const;
  /// Consumes, transforms and produces, effectively-once: polls `from`, hands each batch to `handler` within
  /// `transact`, and commits its offsets in the same commit, until the options end it. Whatever the handler
  /// does with its transaction happens once for each record, crashes notwithstanding. When the handler
  /// returns an error, or throws, that batch is undone, and the loop ends with it; called again, it begins
  /// with that batch. Fails with what `consumer::poll` and `transact` fail with.
  [[nodiscard]] result<process_report> process(
      consumer& from, const std::function<result<void>(transaction&, const record_batch&)>& handler,
      const process_options& options = {});

  // Upkeep

  /// Returns when everything that calls have done before it survives power loss: at once, except in the
  /// `checkpointed` mode, where it makes a checkpoint. Fails with `failed` or `io_error`.
  result<void> sync();
  [[nodiscard]] bus_health health() const;
  [[nodiscard]] result<bus_stats> stats() const;

  /// Copies the bus as of now to a store of its own: `backup_store` for the owner. Everything that has been
  /// acknowledged is in it; publishing goes on meanwhile. An in-memory bus cannot be copied:
  /// `invalid_argument`.
  [[nodiscard]] result<backup_report> backup(const std::filesystem::path& to,
                                             const backup_options& options = {}) const;
  /// Does all maintenance that is due, in the calling thread: moves records into segments once the journal
  /// holds `bus_options::journal_bytes_seal`, applies retention, and gives back the space of what has been
  /// removed. Other threads
  /// go on meanwhile. Fails with `disk_full`, `io_error` or `damaged` where that cannot be done now; nothing
  /// is lost then, and it may be called again.
  result<void> maintain();

  // Asynchronous twins of what is above, for any completion token of the signature `void(result<T>)` of their
  // results; see <levada/async.hpp>, which defines them. `async_publish` is submitted as those of topics are.
  // The others, which are rare, are made in a thread of the bus's, one after the other. Options that own
  // something are taken from named objects alone: see <levada/async.hpp> for why.

  template <class Token>
  auto async_publish(std::string exchange, std::string routing_key, record r, Token&& token);
  template <class Token>
  auto async_publish(std::string exchange, std::string routing_key, record r, publish_options options,
                     Token&& token);
  template <class Token>
  auto async_publish(std::vector<message> messages, publish_options options, Token&& token);
  template <class Token>
  auto async_trace(std::string id, trace_options options, Token&& token) const;
  template <class Token>
  auto async_find_ticket(std::string message_id, Token&& token) const;
  template <class Token>
  auto async_forget_ticket(std::string message_id, Token&& token);
  template <class Token>
  auto async_reply(const record_view& request, record r, Token&& token);
  template <class Token>
  auto async_explain(std::string exchange, std::string routing_key, record r, publish_options options,
                     Token&& token) const;
  template <class Token>
  auto async_cancel(delayed_message message, Token&& token);
  template <class Token>
  auto async_delayed(std::size_t most, Token&& token) const;
  template <class Token>
  auto async_declare_topic(std::string name, topic_options options, Token&& token);
  template <class Token>
  auto async_delete_topic(std::string name, Token&& token);
  template <class Token>
  auto async_set_retention(std::string name, retention_policy policy, Token&& token);
  template <class Token>
  auto async_set_compaction(std::string name, std::optional<compaction_policy> policy, Token&& token);
  template <class Token>
  auto async_set_compression(std::string name, levada::compression how, Token&& token);
  template <class Token>
  auto async_delete_records(topic_partition where, offset before, Token&& token);
  template <class Token>
  auto async_join(std::string group, std::vector<std::string> topics, const consumer_options& options,
                  Token&& token);
  template <class Token>
  void async_join(std::string group, std::vector<std::string> topics, const consumer_options&& options,
                  Token&& token) = delete;
  template <class Token>
  auto async_join(std::string group, topic_pattern topics, const consumer_options& options, Token&& token);
  template <class Token>
  void async_join(std::string group, topic_pattern topics, const consumer_options&& options,
                  Token&& token) = delete;
  template <class Token>
  auto async_assign(std::string group, std::vector<topic_partition> partitions,
                    const consumer_options& options, Token&& token);
  template <class Token>
  void async_assign(std::string group, std::vector<topic_partition> partitions,
                    const consumer_options&& options, Token&& token) = delete;
  /// `Topics` is a vector of names, or a `topic_pattern`; `Handler` a `record_handler` or an
  /// `async_record_handler`.
  template <class Topics, class Handler, class Token>
  auto async_subscribe(std::string group, Topics topics, Handler handler, const subscription_options& options,
                       Token&& token);
  template <class Topics, class Handler, class Token>
  void async_subscribe(std::string group, Topics topics, Handler handler,
                       const subscription_options&& options, Token&& token) = delete;
  template <class Token>
  auto async_share_consume(std::string group, std::vector<std::string> topics, share_consumer_options options,
                           Token&& token);
  template <class Token>
  auto async_delete_group(std::string name, Token&& token);
  template <class Token>
  auto async_reset_offsets(std::string group, std::string topic, const offset_reset_options& options,
                           Token&& token);
  template <class Token>
  void async_reset_offsets(std::string group, std::string topic, const offset_reset_options&& options,
                           Token&& token) = delete;
  template <class Token>
  auto async_make_producer(std::string topic, const producer_options& options, Token&& token);
  template <class Token>
  void async_make_producer(std::string topic, const producer_options&& options, Token&& token) = delete;
  template <class Token>
  auto async_make_requester(Token&& token);
  template <class Token>
  auto async_declare_exchange(std::string name, const exchange_options& options, Token&& token);
  template <class Token>
  void async_declare_exchange(std::string name, const exchange_options&& options, Token&& token) = delete;
  template <class Token>
  auto async_exchange(std::string name, Token&& token) const;
  template <class Token>
  auto async_delete_exchange(std::string name, exchange_deletion_options options, Token&& token);
  template <class Token>
  auto async_queue(std::string name, Token&& token) const;
  template <class Token>
  auto async_declare_queue(std::string name, Token&& token);
  template <class Token>
  auto async_declare_queue(std::string name, const queue_options& options, Token&& token);
  template <class Token>
  void async_declare_queue(std::string name, const queue_options&& options, Token&& token) = delete;
  template <class Token>
  auto async_purge_queue(std::string name, Token&& token);
  template <class Token>
  auto async_peek(std::string queue, std::size_t most, Token&& token) const;
  template <class Token>
  auto async_declare_exclusive_queue(std::string name, const queue_options& options, Token&& token);
  template <class Token>
  void async_declare_exclusive_queue(std::string name, const queue_options&& options, Token&& token) = delete;
  template <class Token>
  auto async_declare_anonymous_queue(Token&& token);
  template <class Token>
  auto async_delete_queue(std::string name, Token&& token);
  template <class Token>
  auto async_delete_queue(std::string name, queue_deletion_options options, Token&& token);
  template <class Token>
  auto async_bind(std::string exchange, std::string queue, std::string key, Token&& token);
  template <class Token>
  auto async_bind(std::string exchange, std::string queue, std::string key,
                  const binding_arguments& arguments, Token&& token);
  template <class Token>
  void async_bind(std::string exchange, std::string queue, std::string key,
                  const binding_arguments&& arguments, Token&& token) = delete;
  template <class Token>
  auto async_bind(std::string exchange, std::string queue, std::string key,
                  const binding_arguments& arguments, binding_options options, Token&& token);
  template <class Token>
  void async_bind(std::string exchange, std::string queue, std::string key,
                  const binding_arguments&& arguments, binding_options options, Token&& token) = delete;
  template <class Token>
  auto async_replay_into(std::string queue, start_position from, Token&& token);
  template <class Token>
  auto async_unbind(std::string exchange, std::string queue, std::string key, Token&& token);
  template <class Token>
  auto async_unbind(std::string exchange, std::string queue, std::string key,
                    const binding_arguments& arguments, Token&& token);
  template <class Token>
  void async_unbind(std::string exchange, std::string queue, std::string key,
                    const binding_arguments&& arguments, Token&& token) = delete;
  template <class Token>
  auto async_bind_exchange(std::string source, std::string destination, std::string key,
                           const binding_arguments& arguments, Token&& token);
  template <class Token>
  void async_bind_exchange(std::string source, std::string destination, std::string key,
                           const binding_arguments&& arguments, Token&& token) = delete;
  template <class Token>
  auto async_unbind_exchange(std::string source, std::string destination, std::string key,
                             const binding_arguments& arguments, Token&& token);
  template <class Token>
  void async_unbind_exchange(std::string source, std::string destination, std::string key,
                             const binding_arguments&& arguments, Token&& token) = delete;
  template <class Token>
  auto async_set_policy(std::string name, const policy_options& options, Token&& token);
  template <class Token>
  void async_set_policy(std::string name, const policy_options&& options, Token&& token) = delete;
  template <class Token>
  auto async_delete_policy(std::string name, Token&& token);
  template <class Token>
  auto async_set_operator_policy(std::string name, const operator_policy_options& options, Token&& token);
  template <class Token>
  void async_set_operator_policy(std::string name, const operator_policy_options&& options,
                                 Token&& token) = delete;
  template <class Token>
  auto async_delete_operator_policy(std::string name, Token&& token);
  template <class Token>
  auto async_consume(std::string queue, const queue_consumer_options& options, Token&& token);
  template <class Token>
  void async_consume(std::string queue, const queue_consumer_options&& options, Token&& token) = delete;
  /// `Handler` is a `delivery_handler` or an `async_delivery_handler`.
  template <class Handler, class Token>
  auto async_consume(std::string queue, Handler handler, const push_consumer_options& options, Token&& token);
  template <class Handler, class Token>
  void async_consume(std::string queue, Handler handler, const push_consumer_options&& options,
                     Token&& token) = delete;
  template <class Token>
  auto async_declare_table(std::string name, Token&& token);
  template <class Token>
  auto async_delete_table(std::string name, Token&& token);
  /// The function runs in that thread, so captures must be safe there.
  template <class Token>
  auto async_transact(std::function<result<void>(transaction&)> function, transact_options options,
                      Token&& token);
  /// `from` must outlive it, and be left alone meanwhile. The handler runs in that thread; polling keeps
  /// nobody from it.
  template <class Token>
  auto async_process(consumer& from, std::function<result<void>(transaction&, const record_batch&)> handler,
                     const process_options& options, Token&& token);
  template <class Token>
  void async_process(consumer& from, std::function<result<void>(transaction&, const record_batch&)> handler,
                     const process_options&& options, Token&& token) = delete;
  template <class Token>
  auto async_sync(Token&& token);
  template <class Token>
  auto async_maintain(Token&& token);
  template <class Token>
  auto async_backup(std::filesystem::path to, const backup_options& options, Token&& token);
  template <class Token>
  void async_backup(std::filesystem::path to, const backup_options&& options, Token&& token) = delete;
  /// `close`, from anywhere, a handler in the bus's own thread included. Its own handler, unless it has
  /// another executor, is the last that runs there. It may destroy the bus.
  template <class Token>
  auto async_close(Token&& token);
  /// What comes of it is read by `replay::async_next`.
  template <class Token>
  auto async_replay(std::string topic, replay_options options, Token&& token) const;
  template <class Token>
  auto async_replay_all(replay_options options, Token&& token) const;

  // Listings, as of the newest commit, sorted by name

  [[nodiscard]] result<std::vector<topic_info>> topics() const;
  [[nodiscard]] result<std::vector<group_info>> groups() const;
  [[nodiscard]] result<std::vector<exchange_info>> exchanges() const;
  [[nodiscard]] result<std::vector<queue_info>> queues() const;
  [[nodiscard]] result<std::vector<binding_info>> bindings() const;
  [[nodiscard]] result<std::vector<policy_info>> policies() const;
  [[nodiscard]] result<std::vector<operator_policy_info>> operator_policies() const;
  /// The jobs of other processes, with what they have noted: how far each has come, and how far it lags.
  /// Fails with `damaged` where a job's file cannot be read, and names it. None in memory.
  [[nodiscard]] result<std::vector<job_info>> jobs() const;

  /// The other processes that hold a snapshot of the store at this moment; what dead ones held is let go of.
  /// With background maintenance this is done each second as well, and the logger told of who died, is
  /// stopped, or holds on. None in memory.
  [[nodiscard]] result<std::vector<reader_info>> readers() const;
  /// What takes the store's room on the disk, and why it is not given back: see `space_report`. Reads the
  /// headers of what the journal holds, and what queues refer to. Fails with `damaged` where these, or a
  /// job's file, cannot be read.
  [[nodiscard]] result<space_report> space() const;
  /// Forgets a job's checkpoint. Fails with `unknown_job`, and with `job_in_use` while it runs.
  [[nodiscard]] result<void> remove_job(std::string_view name);

  // Asynchronous twins of these and of `stats`, for those who must not wait for a disk or a lock. As the
  // others above they are made in a thread of the bus's, one after the other.

  template <class Token>
  auto async_topics(Token&& token) const;
  template <class Token>
  auto async_groups(Token&& token) const;
  template <class Token>
  auto async_exchanges(Token&& token) const;
  template <class Token>
  auto async_queues(Token&& token) const;
  template <class Token>
  auto async_bindings(Token&& token) const;
  template <class Token>
  auto async_policies(Token&& token) const;
  template <class Token>
  auto async_operator_policies(Token&& token) const;
  template <class Token>
  auto async_jobs(Token&& token) const;
  template <class Token>
  auto async_readers(Token&& token) const;
  template <class Token>
  auto async_space(Token&& token) const;
  template <class Token>
  auto async_stats(Token&& token) const;
  template <class Token>
  auto async_remove_job(std::string name, Token&& token);

 private:
  class impl;
  [[nodiscard]] result<push_consumer> start_consuming(std::string_view queue, delivery_handler handler,
                                                      const push_consumer_options& options);
  [[nodiscard]] result<push_consumer> start_consuming(std::string_view queue, async_delivery_handler handler,
                                                      const push_consumer_options& options);
  static void start_publish(const std::shared_ptr<impl>& self, std::string_view exchange,
                            std::string_view routing_key, const record& r, const publish_options& options,
                            detail::completion<publish_receipt> done);
  static void start_publish(const std::shared_ptr<impl>& self, const std::vector<message>& messages,
                            const publish_options& options,
                            detail::completion<std::vector<publish_receipt>> done);
  static void start_close(const std::shared_ptr<impl>& self, detail::completion<void> done);
  static void start_process(const std::shared_ptr<impl>& self, consumer& from,
                            std::function<result<void>(transaction&, const record_batch&)> handler,
                            const process_options& options, detail::completion<process_report> done);
  /// Has `call` made with a handle to this bus.
  template <class T>
  LEVADA_EXPORT static void start_call(const std::shared_ptr<impl>& self, std::function<result<T>(bus&)> call,
                                       detail::completion<T> done);
  template <class T, class Token>
  auto async_call(std::function<result<T>(bus&)> call, Token&& token) const;
  static void start_reply(const std::shared_ptr<impl>& self, std::string_view queue, const record& r,
                          detail::completion<publish_receipt> done);
  explicit bus(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
