#pragma once

/// @file
/// Transactions: publishing, settling, committing offsets and writing tables, all or nothing.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <levada/consumer.hpp>
#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/publishing.hpp>
#include <levada/queue.hpp>
#include <levada/record.hpp>
#include <levada/record_batch.hpp>
#include <levada/share_consumer.hpp>
#include <levada/table.hpp>
#include <levada/topic.hpp>
#include <levada/types.hpp>

namespace levada {

/// Most bytes that one transaction publishes and writes: 64 MiB.
inline constexpr std::size_t transaction_bytes_max = std::size_t{64} << 20;

/// What a transaction has published, in the order of its calls.
struct transaction_receipt {
  std::vector<publish_receipt> published;
};

/// Things that happen together, in one commit, or not at all: records and messages are published, offsets
/// committed, deliveries settled, tables written. Whoever reads or consumes sees all of it or nothing; a
/// crash leaves all of it or nothing. Table reads of a transaction see its own writes.
///
/// There are two kinds, with the same calls. `bus::transact` hands one to a function, in the middle of a
/// commit: it sees the newest state, nothing conflicts, and everybody else's writing waits for it.
/// `bus::begin` makes one that collects: it takes nobody's time, and at its commit everything that it has
/// read must still be so, else it fails with `errc::conflict` and may be done again. What it has read was
/// true all at one moment, at every moment (value-based validation: Dalessandro, Spear and Scott, "NOrec",
/// PPoPP 2010).
///
/// A call that fails has added nothing, and the transaction may go on, except after `conflict`,
/// `transaction_expired`, and errors of the disk: then every further call fails in the same way. Destroying
/// it undoes everything.
///
/// Move-only. One thread at a time per object. The consumers named in it must outlive it, and are not to be
/// used by other threads until it has ended.
class LEVADA_EXPORT transaction {
 public:
  transaction(transaction&&) noexcept;
  transaction& operator=(transaction&&) noexcept;
  ~transaction();

  /// Publishes to a topic, as `topic::publish`. Fails also with `batch_too_large` beyond
  /// `transaction_bytes_max`.
  [[nodiscard]] result<void> publish(const topic& to, const record& r);
  [[nodiscard]] result<void> publish(const topic& to, partition_id partition, const record& r);
  /// The same, by name.
  [[nodiscard]] result<void> publish(std::string_view topic, const record& r);
  /// Publishes to an exchange, as `bus::publish`; routed by the bindings as of the commit. A mandatory
  /// message that no queue gets fails the commit.
  [[nodiscard]] result<void> publish(std::string_view exchange, std::string_view routing_key, const record& r,
                                     const publish_options& options = {});

  /// Commits the positions of a group's member, as `consumer::commit` (Kafka's sendOffsetsToTransaction).
  [[nodiscard]] result<void> send_offsets(consumer& of);
  [[nodiscard]] result<void> send_offsets(consumer& of, const topic_partition& where, offset next);

  /// Settles a delivery, as `queue_consumer::ack` and `nack` with `requeue::no`. When the transaction comes
  /// to nothing, the delivery is unsettled as before.
  [[nodiscard]] result<void> ack(queue_consumer& of, delivery_tag tag);
  [[nodiscard]] result<void> reject(queue_consumer& of, delivery_tag tag);
  /// Acknowledges an acquired record, as `share_consumer::acknowledge` with `accept` and `reject`. When the
  /// transaction comes to nothing, it is acquired as before.
  [[nodiscard]] result<void> ack(share_consumer& of, delivery_tag tag);
  [[nodiscard]] result<void> reject(share_consumer& of, delivery_tag tag);

  /// As `table::get`, `put`, `erase` and `scan`.
  [[nodiscard]] result<std::optional<std::string>> get(const table& from, const table_key& key);
  [[nodiscard]] result<void> put(const table& into, const table_key& key, std::string_view value);
  [[nodiscard]] result<bool> erase(const table& from, const table_key& key);
  [[nodiscard]] result<std::vector<table_entry>> scan(const table& of, const key_range& range,
                                                      const scan_options& options = {});

  /// Ends a transaction from `bus::begin`: returns when it is durable. Fails with `conflict`, or as the calls
  /// that it is made of would; then nothing has happened, but after `outcome_unknown`. The transaction is
  /// over either way. Within `bus::transact` it fails with `invalid_argument`: there the function's return
  /// commits.
  [[nodiscard]] result<transaction_receipt> commit();
  /// The same without waiting, for `void(result<transaction_receipt>)`. See <levada/async.hpp>.
  template <class Token>
  auto async_commit(Token&& token);
  /// Undoes everything. Idempotent.
  void abort() noexcept;

 private:
  friend class bus;
  class impl;
  static void start_commit(const std::shared_ptr<impl>& self, detail::completion<transaction_receipt> done);
  explicit transaction(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

/// How `bus::transact` runs a function.
struct transact_options {
  /// How long the function may take, by the clock of the bus, while everybody else's writing waits: past it,
  /// its next call fails with `errc::transaction_expired`, and everything is undone. Default: 1 s. At least
  /// 1 ms.
  std::chrono::milliseconds time_max = std::chrono::seconds{1};
};

/// How `bus::process` runs its loop.
struct process_options {
  /// Ends the loop, without an error, between two batches. Default: never.
  std::stop_token stop = {};
  /// Ends the loop, without an error, when no record has come for so long. Default: never.
  std::optional<std::chrono::milliseconds> idle_max = std::nullopt;
  /// As for `bus::transact`.
  std::chrono::milliseconds time_max = std::chrono::seconds{1};
};

/// What `bus::process` has done.
struct process_report {
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
};

}  // namespace levada
