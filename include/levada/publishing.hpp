#pragma once

/// @file
/// Publishing: what comes back, and many records as one.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// Largest batch, in bytes of encoded records: 64 MiB.
inline constexpr std::size_t batch_bytes_max = std::size_t{64} << 20;
/// Largest record key: 65,535 bytes.
inline constexpr std::size_t key_bytes_max = 65'535;
/// Largest routing key: 255 bytes, as AMQP's.
inline constexpr std::size_t routing_key_bytes_max = 255;

/// Where a record went. It exists only for records that are durable.
struct publish_receipt {
  /// The topic, or the exchange, whose log holds the record.
  std::string topic;
  partition_id partition;
  levada::offset offset;
  /// The time that the record carries.
  timestamp time;
  /// For an exchange: how many queues hold a reference to the message. 0 means that no binding matched; the
  /// message stands in the exchange's log all the same. Always 0 for a plain topic.
  std::size_t routed = 0;
  /// How many further queues have refused it as they are full (`overflow_scope::queue`): where RabbitMQ would
  /// answer with basic.nack.
  std::size_t refused = 0;
  /// Of a message that waits before it is routed: until when.
  std::optional<timestamp> due = std::nullopt;
};

/// A message that waits to be routed; see `publish_options::delay`.
struct delayed_message {
  std::string exchange;
  partition_id partition;
  levada::offset offset;
  timestamp due;
};

/// A message on its way to an exchange. Owns its bytes.
struct message {
  message(std::string to, std::string key, record what)
      : exchange{std::move(to)}, routing_key{std::move(key)}, content{std::move(what)} {}

  std::string exchange;
  std::string routing_key;
  record content;
};

/// Where the records of a batch went: in each partition a run without gaps.
struct batch_receipt {
  struct range {
    partition_id partition;
    offset base_offset;
    std::uint64_t count = 0;
  };
  std::string topic;
  /// One range for each partition that the batch touches, by partition number.
  std::vector<range> ranges;
  /// When they were appended, by the clock of the bus.
  timestamp time;
};

/// The partition of a keyed record, the same as Kafka's Java client would choose:
/// `(murmur2(key) & 0x7fffffff) % partitions`. Never changes, so records of one key stay in one partition.
/// Precondition: `partitions > 0`.
[[nodiscard]] LEVADA_EXPORT partition_id partition_for_key(std::string_view key,
                                                           std::uint32_t partitions) noexcept;

/// Records collected for one topic and published as one: all of them or none, in one commit. Records are
/// encoded as they are added, outside of any lock. From `topic::make_batch`. Move-only; one thread at a time.
class LEVADA_EXPORT publish_batch {
 public:
  /// Where an added record will stand: the `index`-th of this batch in `partition`, hence at offset
  /// `base_offset + index` of that partition's range in the receipt.
  struct slot {
    partition_id partition;
    std::uint64_t index = 0;
  };

  publish_batch(publish_batch&&) noexcept;
  publish_batch& operator=(publish_batch&&) noexcept;
  ~publish_batch();

  /// Adds a record, to the partition of its key, or without a key to the batch's next partition in turn.
  /// Fails with `record_too_large`, `batch_too_large` or `field_too_long`, and then adds nothing.
  [[nodiscard]] result<slot> add(const record& r);
  /// Adds a record to a partition of the caller's choice; may also fail with `unknown_partition`.
  [[nodiscard]] result<slot> add(partition_id partition, const record& r);
  /// Adds a value without a key: the fast way, nothing is copied but the bytes.
  [[nodiscard]] result<slot> add(std::string_view value);
  /// Adds a value under a key: the fast way, nothing is copied but the bytes.
  [[nodiscard]] result<slot> add(std::string_view key, std::string_view value);
  /// Adds a value without a key to a partition of the caller's choice.
  [[nodiscard]] result<slot> add(partition_id partition, std::string_view value);

  /// How many records.
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// Encoded bytes so far.
  [[nodiscard]] std::size_t bytes() const noexcept;
  /// Forgets the records and keeps the memory.
  void clear() noexcept;

 private:
  friend class producer;
  friend class topic;
  class impl;
  explicit publish_batch(std::unique_ptr<impl> self) noexcept;
  std::unique_ptr<impl> impl_;
};

}  // namespace levada
