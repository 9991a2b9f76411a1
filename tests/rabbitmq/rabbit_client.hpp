#pragma once

/// @file
/// One AMQP 0-9-1 connection, synchronously: every call returns when the server has answered.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <rabbitmq/broker.hpp>
#include <rabbitmq/message.hpp>

namespace levada::rabbit {

/// What the server said to a call. An error closed its channel, which is open again on return: that returned
/// the channel's unsettled deliveries to their queues.
struct reply {
  /// 0 for success, otherwise AMQP's code, such as 404 or 406.
  std::uint16_t code = 0;
  std::string text;
  /// Of messages, where the call counts any.
  std::uint32_t count = 0;
};

/// A number that the caller chooses for a channel, from 1 to 2047. It is opened when it is first used.
using channel = std::uint16_t;

struct exchange_properties {
  bool durable = true;
  bool auto_delete = false;
  bool internal = false;
  bool passive = false;
};

struct queue_properties {
  bool durable = true;
  bool exclusive = false;
  bool auto_delete = false;
  bool passive = false;
};

struct outgoing {
  field_table headers;
  std::optional<std::uint8_t> priority;
  /// In milliseconds, as text.
  std::optional<std::string> expiration;
  bool persistent = false;
  std::string body;
};

struct publish_reply {
  reply result;
  verdict confirm = verdict::none;
  /// What was returned before the confirm.
  std::vector<rabbit::returned> returned;
};

struct get_reply {
  reply result;
  /// Nothing where the queue is empty, or after an error.
  std::optional<rabbit::delivered> delivered;
  std::uint64_t tag = 0;
};

/// Throws `std::runtime_error` where no reply of AMQP's tells what happened: no connection, no answer within
/// 60 s, a frame that nobody waits for. Not thread-safe.
class rabbit_client {
 public:
  /// To 127.0.0.1, as the user "guest".
  rabbit_client(std::uint16_t port, const std::string& virtual_host);
  ~rabbit_client();
  rabbit_client(const rabbit_client&) = delete;
  rabbit_client& operator=(const rabbit_client&) = delete;

  [[nodiscard]] reply declare_exchange(channel on, const std::string& name, const std::string& type,
                                       exchange_properties properties = {},
                                       const field_table& arguments = {});
  [[nodiscard]] reply delete_exchange(channel on, const std::string& name, bool if_unused = false);
  /// Counts the ready messages. They may be fewer than have been sent to it.
  [[nodiscard]] reply declare_queue(channel on, const std::string& name, queue_properties properties = {},
                                    const field_table& arguments = {});
  /// Counts the messages that were deleted with it.
  [[nodiscard]] reply delete_queue(channel on, const std::string& name, bool if_unused = false,
                                   bool if_empty = false);
  /// Counts them.
  [[nodiscard]] reply purge_queue(channel on, const std::string& name);
  [[nodiscard]] reply bind_queue(channel on, const std::string& queue, const std::string& exchange,
                                 const std::string& key, const field_table& arguments = {});
  [[nodiscard]] reply unbind_queue(channel on, const std::string& queue, const std::string& exchange,
                                   const std::string& key, const field_table& arguments = {});
  [[nodiscard]] reply bind_exchange(channel on, const std::string& destination, const std::string& source,
                                    const std::string& key, const field_table& arguments = {});
  [[nodiscard]] reply unbind_exchange(channel on, const std::string& destination, const std::string& source,
                                      const std::string& key, const field_table& arguments = {});
  /// Waits for the confirm. The channel is for publishing only.
  [[nodiscard]] publish_reply publish(channel on, const std::string& exchange, const std::string& key,
                                      const outgoing& what, bool mandatory = false);
  [[nodiscard]] get_reply get(channel on, const std::string& queue, bool auto_ack);
  /// These have no answer of their own, so another call on the channel fetches the error.
  [[nodiscard]] reply ack(channel on, std::uint64_t tag, bool multiple = false);
  [[nodiscard]] reply nack(channel on, std::uint64_t tag, bool multiple, bool requeue);
  [[nodiscard]] reply reject(channel on, std::uint64_t tag, bool requeue);

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace levada::rabbit
