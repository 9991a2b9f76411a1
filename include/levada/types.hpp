#pragma once

/// @file
/// The small types that every other header speaks in.

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include <levada/detail/strong.hpp>

namespace levada {

/// The place of a record in its partition. Offsets start at 0 and are never used twice; they are dense but
/// where records have been given up from among others, as by compaction.
class offset : public detail::strong<struct offset_tag, std::uint64_t> {
 public:
  using strong::strong;
  /// The offset `n` records further on.
  [[nodiscard]] friend constexpr offset operator+(offset o, std::uint64_t n) noexcept {
    return offset{o.value() + n};
  }
  /// How many records lie between two offsets. Precondition: `b <= a`.
  [[nodiscard]] friend constexpr std::uint64_t operator-(offset a, offset b) noexcept {
    return a.value() - b.value();
  }
};

/// The number of a partition within its topic: 0 to partitions - 1.
using partition_id = detail::strong<struct partition_id_tag, std::uint32_t>;

/// The number under which one delivery of a queue's message is settled; unique per queue consumer
/// (AMQP's delivery tag), or, of a record, per share group. The first delivery has tag 1.
using delivery_tag = detail::strong<struct delivery_tag_tag, std::uint64_t>;

/// The number that an idempotent producer gives a record (see `producer`): 1 for the first, and growing.
using producer_sequence = detail::strong<struct producer_sequence_tag, std::uint64_t>;

/// Wall-clock time in microseconds since 1970-01-01 00:00 UTC.
using timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// One partition of one topic. With a constructor, so that it is safe inside a `co_await` expression.
struct topic_partition {
  topic_partition() = default;
  topic_partition(std::string of, partition_id which) : topic{std::move(of)}, partition{which} {}

  std::string topic;
  partition_id partition;

  friend auto operator<=>(const topic_partition&, const topic_partition&) = default;
};

}  // namespace levada

template <>
struct std::hash<levada::offset> {
  std::size_t operator()(levada::offset o) const noexcept { return std::hash<std::uint64_t>{}(o.value()); }
};
