#pragma once

/// @file
/// What both sides of the comparison answer to each operation of a history.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <rabbitmq/history.hpp>
#include <rabbitmq/message.hpp>

namespace levada::rabbit {

/// How an operation ended.
enum class outcome : std::uint8_t {
  ok,
  /// The queue had nothing to get.
  empty,
  /// The queue has no unsettled deliveries.
  nothing_to_settle,
  /// AMQP's 404: an exchange or a queue is missing.
  not_found,
  /// AMQP's 403: it may not be done to an object of this kind.
  refused,
  /// AMQP's 405: the object is exclusive to another.
  locked,
  /// AMQP's 406: other arguments than the existing object's, still in use, not empty, or an argument that
  /// makes no sense.
  precondition_failed,
};

enum class verdict : std::uint8_t {
  /// It was no publishing, or it failed.
  none,
  confirmed,
  nacked,
};

/// A message that was mandatory and found no queue. It comes before its confirm.
struct returned {
  std::uint16_t code = 0;
  std::string exchange;
  std::string key;
  std::string body;

  friend bool operator==(const returned&, const returned&) = default;
};

struct delivered {
  std::string queue;
  rabbit::message message;
  bool redelivered = false;
  /// How many are ready after it, when all that the delivery causes has happened.
  std::uint32_t remaining = 0;

  friend bool operator==(const delivered&, const delivered&) = default;
};

struct answer {
  outcome result = outcome::ok;
  verdict confirm = verdict::none;
  std::optional<rabbit::returned> returned;
  std::optional<rabbit::delivered> delivered;
  /// Ready messages: of a declared queue, those purged, those that a deleted queue still held.
  std::optional<std::uint32_t> ready;

  friend bool operator==(const answer&, const answer&) = default;
};

[[nodiscard]] const char* to_text(outcome result) noexcept;
[[nodiscard]] const char* to_text(verdict confirm) noexcept;
[[nodiscard]] std::string to_text(const answer& a);

/// One side of the comparison, empty when it is made. Answers come when all that the operation causes has
/// happened, dead letters of dead letters included. Deliveries are taken as if by one consumer for each
/// queue. What a history cannot cause (a lost connection, an unknown code) is thrown as `std::runtime_error`.
/// Not thread-safe.
class broker {
 public:
  broker() = default;
  virtual ~broker() = default;
  broker(const broker&) = delete;
  broker& operator=(const broker&) = delete;

  /// The older deaths of a delivered message, all but the first entry of `x-death`, come in the order of
  /// their texts: RabbitMQ 3.10 turns the order of the older ones round with each death, where later versions
  /// and levada keep the newest first.
  [[nodiscard]] answer perform(const operation& op);
  /// The number of ready messages, or nothing where there is no such queue.
  [[nodiscard]] virtual std::optional<std::uint32_t> depth(const std::string& queue) = 0;

 private:
  virtual answer apply(const declare_exchange& op) = 0;
  virtual answer apply(const delete_exchange& op) = 0;
  virtual answer apply(const declare_queue& op) = 0;
  virtual answer apply(const delete_queue& op) = 0;
  virtual answer apply(const bind& op) = 0;
  virtual answer apply(const unbind& op) = 0;
  virtual answer apply(const publish& op) = 0;
  virtual answer apply(const get& op) = 0;
  virtual answer apply(const settle& op) = 0;
  virtual answer apply(const purge& op) = 0;
};

struct step {
  operation what;
  answer result;
};

/// What happened, and then what each queue still held: for every queue of `queue_names()` a `get` until it is
/// empty or missing.
using transcript = std::vector<step>;

[[nodiscard]] transcript run(broker& b, const history& h);

/// Nothing when both are equal. Otherwise the first step at which they differ with both answers, and the
/// `context` steps before it.
[[nodiscard]] std::optional<std::string> first_difference(const transcript& left, const transcript& right,
                                                          std::size_t context = 20);

}  // namespace levada::rabbit
