#pragma once

/// @file
/// How levada reports failure: one `errc`, one `error` that names operation, object and limit, one `result`.

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

#include <levada/export.hpp>

namespace levada {

/// Every way in which an operation can fail. Published values and spellings never change.
enum class errc : int {
  /// An argument lies outside its documented range.
  invalid_argument = 1,
  /// A name is empty, longer than 255 bytes, not UTF-8, or holds a control character.
  name_invalid = 2,
  /// No topic or exchange has this name.
  unknown_topic = 3,
  /// The topic has no partition of this number.
  unknown_partition = 4,
  /// No exchange has this name, or the name belongs to a plain topic.
  unknown_exchange = 5,
  /// No queue has this name.
  unknown_queue = 6,
  /// No consumer group has this name.
  unknown_group = 7,
  /// The object exists with other properties than the ones asked for (AMQP's PRECONDITION_FAILED).
  inequivalent = 8,
  /// The encoded record is larger than `bus_options::record_bytes_max`.
  record_too_large = 9,
  /// The records of one batch are together larger than `batch_bytes_max`.
  batch_too_large = 10,
  /// A key, a routing key, a header or a property is longer than its limit.
  field_too_long = 11,
  /// No table has this name.
  unknown_table = 12,

  /// Another bus owns the store: in this process, or in the one whose pid the message names.
  store_in_use = 20,
  /// Nothing is at this path, and creating was not asked for.
  store_not_found = 21,
  /// The path exists and is not a levada store.
  not_a_store = 22,
  /// The store was written by a newer version of the format.
  unsupported_format = 23,
  /// Stored bytes do not hold together: wrong size, checksum or structure.
  damaged = 24,
  /// The operating system refuses access to the path.
  permission_denied = 25,
  /// The directory belongs to another user, or its group or everyone may write to it.
  insecure_directory = 26,
  /// The path lies on a network file system, where LMDB's locks and memory map do not work.
  network_filesystem = 27,
  /// The system went down while the store was written in `checkpointed` mode: its owner must open it first,
  /// which takes it back to its last checkpoint.
  recovery_needed = 28,

  /// The file system, a quota or a file-size limit has no room. Nothing was written; retry when room is made.
  disk_full = 30,
  /// The store has reached `bus_options::map_bytes_max`. Nothing was written.
  store_full = 31,
  /// The operating system failed to read or write.
  io_error = 32,
  /// Memory or another resource of the process (descriptors, reader slots) is exhausted.
  out_of_resources = 33,

  /// The bus, or the handle, is closed.
  closed = 40,
  /// An earlier commit failed in flight: reads go on, writes are refused until the store is opened anew.
  failed = 41,
  /// The handle was made by another process and came here through `fork()`.
  forked = 42,
  /// The commit failed in flight; whether it is stored shows only after the store is opened anew.
  outcome_unknown = 43,
  /// The operation was cancelled, or its bus destroyed, before it was begun: nothing has happened.
  operation_aborted = 44,
  /// There is no room for it now, and the call does not wait.
  would_block = 45,
  /// The call would wait for the thread that makes it.
  would_deadlock = 46,
  /// An idempotent producer's record of this sequence, or of a later one, is stored already. Nothing was
  /// stored; who has sent it again has what he wanted.
  duplicate_sequence = 47,
  /// An idempotent producer's record does not follow what was sent before: its sequence is not larger, or a
  /// record before it could not be stored. It is not stored.
  out_of_order_sequence = 48,
  /// The group has members, who alone may say how far it has read.
  group_in_use = 49,

  /// The group has no committed offset for a partition, and its reset policy is `none`.
  no_committed_offset = 50,
  /// The offset lies outside the partition's log.
  offset_out_of_range = 51,
  /// The member does not own the partition.
  not_assigned = 52,
  /// Somebody else has taken over: a member that overstayed a rebalance was removed from its group, or an
  /// idempotent producer was made anew elsewhere.
  fenced = 53,
  /// Records that were to be read have been removed: by retention, or because their topic was told to.
  /// Reading goes on with what is still there.
  overtaken = 54,
  /// The store was taken back to a checkpoint, to before records that had been read: they may never have been
  /// (Kafka's LOG_TRUNCATION).
  log_truncated = 55,
  /// A job of this name runs already, in the process that the message names.
  job_in_use = 56,
  /// No job has this name.
  unknown_job = 57,
  /// A handler of the host's threw something, or dropped what it was to answer.
  handler_failed = 58,

  /// An exclusive queue belongs to another connection (AMQP's RESOURCE_LOCKED).
  resource_locked = 60,
  /// No unsettled delivery has this tag (AMQP's "unknown delivery tag").
  unknown_delivery = 61,
  /// No queue takes the message (AMQP's NO_ROUTE).
  unroutable = 62,
  /// What was waited for did not come in time.
  timed_out = 63,
  /// Not for clients: publishing to an internal exchange, or binding or deleting the default one (AMQP's
  /// ACCESS_REFUSED).
  access_refused = 64,
  /// The queue has consumers, or the exchange bindings, and it was to be deleted only if unused (AMQP's
  /// PRECONDITION_FAILED).
  in_use = 65,
  /// The queue holds messages, and was to be deleted only if empty (AMQP's PRECONDITION_FAILED).
  not_empty = 66,
  /// A queue that the message was routed to is full, and refuses what comes (RabbitMQ's basic.nack under
  /// `reject-publish`).
  queue_full = 67,
  /// A consumer has left a delivery unsettled for longer than it may, and was closed (RabbitMQ's
  /// `consumer_timeout`).
  consumer_timed_out = 68,
  /// No policy has this name.
  unknown_policy = 69,

  /// Nothing is known, or known any more, of a message of this id.
  unknown_ticket = 72,
  /// There is a ticket for a message of this id already.
  message_id_in_use = 73,

  /// What a transaction has read has changed since; it may be done again.
  conflict = 70,
  /// A transaction's function took longer than it may.
  transaction_expired = 71,
};

/// The category of `errc`: name "levada", one sentence per value.
LEVADA_EXPORT const boost::system::error_category& error_category() noexcept;

/// Found by argument-dependent lookup: makes `errc` an error code for Asio and the standard library.
inline boost::system::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), error_category()};
}

/// What failed, in full: the code to branch on, and a message that names operation, object and limit,
/// such as "publish to topic 'orders', partition 9: the topic has 4 partitions".
class error {
 public:
  /// No failure: what `result::error()` returns where there is none.
  error() = default;
  error(errc code, std::string message) : code_{code}, message_{std::move(message)} {}

  [[nodiscard]] errc code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] boost::system::error_code error_code() const noexcept { return make_error_code(code_); }

  friend bool operator==(const error& e, errc c) noexcept { return e.code_ == c; }

 private:
  errc code_{};
  std::string message_;
};

/// Thrown by `result::value()` on a failed result, and by nothing else in levada.
class exception : public std::runtime_error {
 public:
  explicit exception(error e) : std::runtime_error{e.message()}, error_{std::move(e)} {}
  /// The failure that was not checked for.
  [[nodiscard]] const error& reason() const noexcept { return error_; }

 private:
  error error_;
};

/// Found by argument-dependent lookup when `value()` is called on a failed result.
[[noreturn]] inline void throw_exception_from_error(const error& e, const boost::source_location&) {
  throw exception{e};
}

/// A value or an `error`. `has_value()` or `operator bool` asks, `*r` and `r->` take unchecked,
/// `r.value()` takes or throws `exception`, `r.error()` tells why. Absence (no record yet, end of the log) is
/// a value, never an error. See Boost.System's documentation of `result` for the rest of its interface.
template <class T>
using result = boost::system::result<T, error>;

}  // namespace levada

template <>
struct boost::system::is_error_code_enum<levada::errc> : std::true_type {};
