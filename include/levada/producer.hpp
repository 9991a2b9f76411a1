#pragma once

/// @file
/// Publishing to one topic at length: records are collected and committed together, retries are told apart
/// from new records.

#include <memory>
#include <optional>
#include <string>

#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/options.hpp>
#include <levada/publishing.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// Publishes to one plain topic. Records that are sent are collected, and committed as one when they are many
/// enough or the first of them has waited long enough (`producer_options`), or when `publish`, `flush` or
/// `close` is called. Records of one thread keep their order within a partition. What is collected is
/// in memory only: it is durable when it has been answered, by a receipt or by `flush`, and lost if the
/// process ends before.
///
/// With a `producer_options::id` it is *idempotent*: each record has a sequence, and the store remembers the
/// last one that is stored, in the same commit as the record (after Kafka's KIP-98, but across restarts and
/// for as long as the topic exists). So a program that does not know what became of its records, as after a
/// crash or `outcome_unknown`, makes the producer anew, and asks `last_sequence`, or sends them again with
/// the same sequences: what is stored is refused with `duplicate_sequence`, which it takes for success.
/// Sequences may skip numbers; the number of a line of input is a good one. Nothing is passed over silently:
/// when a record cannot be stored, as on a full disk, those sent behind it fail with `out_of_order_sequence`
/// until all that is under way has been answered. From then on the producer goes on behind what is stored;
/// with sequences of the caller's own only once the first record that failed has been sent again, or one
/// before it, or a flush has ended, which tells of what has failed by then.
///
/// One producer of an id and topic lives at a time: making another one fences this one.
///
/// Move-only. All members may be called from any thread, except that moving and destroying must not overlap
/// other calls. Destroying it has what is collected committed, and does not wait for that; in the function of
/// `bus::transact`, when that has ended. Once the bus is destroyed there is nothing to hand over. Calls fail
/// with `closed` once bus or producer is closed, with `fenced` once another one has taken over, and with
/// `unknown_topic` once the topic is deleted. Members that wait fail with `would_deadlock` in the bus's own
/// thread, where handlers run that have no executor; `send` there only fails so where there is no room.
class LEVADA_EXPORT producer {
 public:
  producer(producer&&) noexcept;
  /// What was assigned to before is destroyed.
  producer& operator=(producer&&) noexcept;
  ~producer();

  /// Collects a record; what becomes of it is told by `flush` and `producer_options::on_failure`. Waits
  /// for room while `buffer_bytes_max` is reached. Fails with `record_too_large`, `field_too_long`,
  /// `name_invalid` for a header, `unknown_partition`, `invalid_argument`, and of an idempotent producer with
  /// `out_of_order_sequence`; a record that is refused here has never had a sequence.
  [[nodiscard]] result<void> send(const record& r);
  /// The same with a sequence of the caller's choice, larger than all before; without one it is the next
  /// number. May also fail with `duplicate_sequence`. `invalid_argument` for 0, or without an id.
  [[nodiscard]] result<void> send(producer_sequence sequence, const record& r);
  /// `send`, but where there is no room it fails with `errc::would_block` and has done nothing.
  [[nodiscard]] result<void> try_send(const record& r);
  [[nodiscard]] result<void> try_send(producer_sequence sequence, const record& r);
  /// `try_send` with an answer for the record, for any completion token of the signature
  /// `void(result<publish_receipt>)`, once it is durable or refused. See <levada/async.hpp>, which defines it
  /// and its like.
  template <class Token>
  auto async_send(record r, Token&& token);
  template <class Token>
  auto async_send(producer_sequence sequence, record r, Token&& token);

  /// Collects a record, waiting for room, has all that is collected committed at once, and returns when the
  /// record is durable. Fails as `send` and `topic::publish` do.
  [[nodiscard]] result<publish_receipt> publish(const record& r);
  [[nodiscard]] result<publish_receipt> publish(producer_sequence sequence, const record& r);
  /// Publishes a batch (`topic::make_batch`) as one commit, behind all that was sent before. Of an idempotent
  /// producer its records have consecutive sequences in the order in which they were added. The batch is
  /// empty afterwards if and only if that succeeded. Neither interceptors nor partitioner see it. Waits for
  /// room. An empty batch succeeds.
  [[nodiscard]] result<batch_receipt> publish(publish_batch& batch);
  /// The same without waiting, for `void(result<batch_receipt>)`; `errc::would_block` where there is no room.
  /// The batch comes back to nobody.
  template <class Token>
  auto async_publish(publish_batch batch, Token&& token);

  /// Has all that is collected committed, and returns when everything that was sent before has been
  /// answered. Fails with what the first record sent by `send` or `try_send` has failed with since a flush
  /// has last told; later ones may have failed too.
  result<void> flush();
  /// The same without waiting, for `void(result<void>)`.
  template <class Token>
  auto async_flush(Token&& token);
  /// Flushes, and ends the producer: nothing is taken any more. Idempotent.
  result<void> close();
  /// The same without waiting, for `void(result<void>)`.
  template <class Token>
  auto async_close(Token&& token);

  /// The sequence of the last record that is known to be stored, of this producer or, right after making
  /// it, of an earlier one of the same id; 0 where there is none, or no id.
  [[nodiscard]] producer_sequence last_sequence() const noexcept;
  /// `producer_options::id`.
  [[nodiscard]] const std::string& id() const noexcept;
  /// The name of the topic.
  [[nodiscard]] const std::string& topic() const noexcept;

 private:
  friend class bus;
  class impl;
  static void start_send(const std::shared_ptr<impl>& self, std::optional<producer_sequence> sequence,
                         const record& r, detail::completion<publish_receipt> done);
  static void start_publish(const std::shared_ptr<impl>& self, publish_batch batch,
                            detail::completion<batch_receipt> done);
  static void start_flush(const std::shared_ptr<impl>& self, detail::completion<void> done);
  static void start_close(const std::shared_ptr<impl>& self, detail::completion<void> done);
  explicit producer(std::shared_ptr<impl> self) noexcept;
  std::shared_ptr<impl> impl_;
};

}  // namespace levada
