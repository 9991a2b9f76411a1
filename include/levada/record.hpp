#pragma once

/// @file
/// What is published and what is read: `record` owns its bytes, `record_view` borrows them.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <levada/detail/record_format.hpp>
#include <levada/export.hpp>
#include <levada/types.hpp>

namespace levada {

/// Bytes as a header value, told apart from text.
using binary = std::vector<std::byte>;

/// The value of a header, with AMQP's distinction of types: comparing never converts.
using header_value = std::variant<std::monostate, bool, std::int64_t, double, std::string, binary, timestamp>;

/// A borrowed `header_value`.
using header_value_view = std::variant<std::monostate, bool, std::int64_t, double, std::string_view,
                                       std::span<const std::byte>, timestamp>;

/// A named, typed value that travels with a record. Names are 1 to 255 bytes; they may repeat, as in Kafka.
struct header {
  header(std::string n, header_value v) : name{std::move(n)}, value{std::move(v)} {}

  std::string name;
  header_value value;

  friend bool operator==(const header&, const header&) = default;
};

/// What a binding adds to its key: for a headers exchange, what headers are compared with. No name comes
/// twice; the order says nothing.
using binding_arguments = std::vector<header>;

/// A borrowed `header`.
struct header_view {
  std::string_view name;
  header_value_view value;
};

/// AMQP's message properties. An empty text means that the property is absent. Each text is at most 255
/// bytes.
struct properties {
  properties() = default;  // and no aggregate, as for `record`

  std::string content_type = {};
  std::string message_id = {};
  std::string correlation_id = {};
  std::string reply_to = {};
  std::string type = {};
  /// How long the message is of use, from publishing on, in milliseconds. Carried with the record.
  std::optional<std::chrono::milliseconds> expiration = std::nullopt;
  /// 0 (lowest) to 255. Carried with the record.
  std::optional<std::uint8_t> priority = std::nullopt;
};

/// Borrowed `properties`.
struct properties_view {
  std::string_view content_type = {};
  std::string_view message_id = {};
  std::string_view correlation_id = {};
  std::string_view reply_to = {};
  std::string_view type = {};
  std::optional<std::chrono::milliseconds> expiration = std::nullopt;
  std::optional<std::uint8_t> priority = std::nullopt;
};

/// Where a record, or a message, stands.
struct record_place {
  std::string topic;
  partition_id partition;
  levada::offset offset;
};

class record_view;

/// A record to be published. Owns its bytes. Not safe to share between threads while one of them changes it.
///
/// Limits, checked when it is published: key at most 65,535 bytes; names and texts of headers and properties
/// as stated there; the whole, encoded, at most `bus_options::record_bytes_max` (16 MiB unless configured).
///
/// A class with constructors rather than an aggregate, so that it is safe inside a `co_await` expression.
class LEVADA_EXPORT record {
 public:
  /// An empty value without a key.
  record() = default;
  /// A value without a key.
  explicit record(std::string value) : value_{std::move(value)} {}
  /// A value under a key.
  record(std::string key, std::string value) : key_{std::move(key)}, value_{std::move(value)} {}
  /// A copy of what `view` borrows, headers and properties included; its position is not part of it.
  explicit record(const record_view& view);

  /// A record without a value: in a compacted topic it deletes its key (Kafka's tombstone).
  [[nodiscard]] static record tombstone(std::string key);

  record& key(std::string key) {
    key_ = std::move(key);
    return *this;
  }
  record& value(std::string value) {
    value_ = std::move(value);
    return *this;
  }
  /// Appends a header; earlier ones of the same name stay.
  record& header(std::string name, header_value value) {
    headers_.push_back({std::move(name), std::move(value)});
    return *this;
  }
  /// The time that a topic with create times keeps (`timestamp_type::create_time`); other topics do not. To
  /// the microsecond.
  record& time(timestamp time) noexcept {
    time_ = time;
    return *this;
  }
  record& properties(levada::properties properties) {
    properties_ = std::move(properties);
    return *this;
  }

  /// On what account it is published: for the flow ledger (`bus_options::ledger`), to an exchange; nothing of
  /// it is stored with the record. What a handler of a `push_consumer` publishes before it returns has that
  /// cause by itself.
  record& caused_by(const record_view& cause);

  record& content_type(std::string type) {
    properties_.content_type = std::move(type);
    return *this;
  }
  record& message_id(std::string id) {
    properties_.message_id = std::move(id);
    return *this;
  }
  record& correlation_id(std::string id) {
    properties_.correlation_id = std::move(id);
    return *this;
  }
  record& reply_to(std::string address) {
    properties_.reply_to = std::move(address);
    return *this;
  }
  record& type(std::string type) {
    properties_.type = std::move(type);
    return *this;
  }
  record& expiration(std::chrono::milliseconds time) noexcept {
    properties_.expiration = time;
    return *this;
  }
  record& priority(std::uint8_t priority) noexcept {
    properties_.priority = priority;
    return *this;
  }

  [[nodiscard]] const std::optional<std::string>& key() const noexcept { return key_; }
  /// The value; empty optional for a tombstone.
  [[nodiscard]] const std::optional<std::string>& value() const noexcept { return value_; }
  [[nodiscard]] const std::vector<levada::header>& headers() const noexcept { return headers_; }
  [[nodiscard]] const levada::properties& properties() const noexcept { return properties_; }
  [[nodiscard]] const std::optional<timestamp>& time() const noexcept { return time_; }
  [[nodiscard]] const std::optional<record_place>& cause() const noexcept { return cause_; }

 private:
  std::optional<std::string> key_;
  std::optional<std::string> value_{std::in_place};
  std::optional<timestamp> time_;
  std::vector<levada::header> headers_;
  levada::properties properties_;
  std::optional<record_place> cause_;
};

/// A record as read, borrowed from the batch or delivery that it came with: copy it (`record{view}`) to keep
/// it. Reading one object from several threads is safe.
class LEVADA_EXPORT record_view {
 public:
  record_view() = default;

  /// The topic, or for a message the exchange, whose log holds the record.
  [[nodiscard]] std::string_view topic() const noexcept { return topic_; }
  [[nodiscard]] partition_id partition() const noexcept { return partition_; }
  [[nodiscard]] levada::offset offset() const noexcept { return offset_; }
  /// When the record was appended, by the clock of the bus, which never falls within a partition; in a topic
  /// with create times what its publisher gave.
  [[nodiscard]] timestamp time() const noexcept {
    return time_first_ + std::chrono::microseconds{encoded_.time_delta()};
  }

  [[nodiscard]] bool has_key() const noexcept { return encoded_.has_key(); }
  /// The key; empty when there is none.
  [[nodiscard]] std::string_view key() const noexcept { return encoded_.key(); }
  /// The value; empty for a tombstone. Starts at an address that is a multiple of 8.
  [[nodiscard]] std::string_view value() const noexcept { return encoded_.value(); }
  [[nodiscard]] bool is_tombstone() const noexcept { return encoded_.is_tombstone(); }

  /// The routing key that the record was published with; empty when it was appended to a plain topic.
  [[nodiscard]] std::string_view routing_key() const noexcept;
  /// All headers, in order.
  [[nodiscard]] std::vector<header_view> headers() const;
  /// The first header of that name, or nothing.
  [[nodiscard]] std::optional<header_value_view> header(std::string_view name) const;
  [[nodiscard]] properties_view properties() const noexcept;

 private:
  friend class record_batch;
  friend struct detail::record_access;

  std::string_view topic_;
  partition_id partition_;
  levada::offset offset_;
  timestamp time_first_;  // that of the row
  detail::encoded_record encoded_;
};

}  // namespace levada
