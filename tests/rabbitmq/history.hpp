#pragma once

/// @file
/// Random topologies and histories as plain data, which know neither RabbitMQ nor levada.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <rabbitmq/message.hpp>

namespace levada::rabbit {

enum class exchange_kind : std::uint8_t { direct, fanout, topic, headers };

struct declare_exchange {
  std::string name;
  exchange_kind kind = exchange_kind::direct;
  std::optional<std::string> alternate;
  bool auto_delete = false;
  bool internal = false;
  /// Asks only whether it exists; all else is ignored.
  bool passive = false;
};

struct delete_exchange {
  std::string name;
  bool if_unused = false;
};

enum class overflow : std::uint8_t { drop_head, reject_publish, reject_publish_dlx };

/// What is not set is not sent.
struct queue_arguments {
  std::optional<std::uint32_t> length_max;
  /// Of bodies.
  std::optional<std::uint32_t> bytes_max;
  std::optional<overflow> when_full;
  /// `x-message-ttl` 0: without a consumer that waits, every message expires on arrival.
  bool expire_at_once = false;
  std::optional<std::string> dead_letter_exchange;
  std::optional<std::string> dead_letter_key;
  std::optional<std::uint8_t> priority_max;
};

/// A durable queue that is neither exclusive nor deletes itself.
struct declare_queue {
  std::string name;
  queue_arguments arguments;
  bool passive = false;
};

struct delete_queue {
  std::string name;
  bool if_unused = false;
  bool if_empty = false;
};

/// From the exchange `source` to the queue, or exchange, `target`.
struct bind {
  std::string source;
  std::string target;
  bool to_exchange = false;
  std::string key;
  field_table arguments;
};

struct unbind {
  std::string source;
  std::string target;
  bool to_exchange = false;
  std::string key;
  field_table arguments;
};

/// With a confirm that is waited for. Not persistent: histories do not restart the server.
struct publish {
  /// Empty for the default exchange.
  std::string exchange;
  std::string key;
  field_table headers;
  std::optional<std::uint8_t> priority;
  /// With the expiration "0".
  bool expire_at_once = false;
  bool mandatory = false;
  std::string body;
};

struct get {
  std::string queue;
  /// Settled as it is delivered.
  bool auto_ack = false;
};

enum class settlement : std::uint8_t { ack, nack, reject };

/// Settles a delivery that `get` took from the queue and left unsettled. Of the n of them, in the order of
/// their delivery, it is number `position` modulo n; with `multiple` all before it too, of this queue only.
struct settle {
  std::string queue;
  std::uint32_t position = 0;
  settlement how = settlement::ack;
  /// Not with `reject`.
  bool multiple = false;
  /// Not with `ack`. Otherwise the message is dead-lettered or dropped.
  bool requeue = false;
};

struct purge {
  std::string queue;
};

using operation = std::variant<declare_exchange, delete_exchange, declare_queue, delete_queue, bind, unbind,
                               publish, get, settle, purge>;
using history = std::vector<operation>;

[[nodiscard]] const char* to_text(exchange_kind kind) noexcept;
[[nodiscard]] const char* to_text(overflow when_full) noexcept;
[[nodiscard]] std::string to_text(const operation& op);

/// What a history is about. Two dead letters that set out at the same time from different queues, or a copy
/// of a message and the dead letter of another, may reach a queue in either order: RabbitMQ promises nothing,
/// and about one in a hundred histories that let it happen comes out differently when it is repeated. So each
/// theme keeps them apart in its own way.
enum class theme : std::uint8_t {
  /// All kinds of exchanges and bindings, limits and TTL, with any number of copies. No dead letters.
  routing,
  /// Dead-letter exchanges on nearly all queues, chains and circles of them. Every message, also as a dead
  /// letter, is routed to one queue at most.
  dead_letters,
  /// All of `routing` for half of the queues. Each of them dead-letters to its own one of the other half.
  mixed,
};
[[nodiscard]] const char* to_text(theme what) noexcept;

/// The names of all queues that histories use.
[[nodiscard]] const std::vector<std::string>& queue_names();

/// `operations` operations, the first of which make a topology. The same seed gives the same history on every
/// platform. Bodies are unique within a history.
[[nodiscard]] history make_history(std::uint64_t seed, theme what, std::size_t operations);

}  // namespace levada::rabbit
