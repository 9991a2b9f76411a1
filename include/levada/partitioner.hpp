#pragma once

/// @file
/// Which partition a producer's record goes to: Kafka's ways, and your own.

#include <cstdint>
#include <memory>

#include <levada/export.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// Chooses partitions for one producer, which calls it from one thread at a time, with a lock held: it must
/// not call the bus, nor take long.
class LEVADA_EXPORT partitioner {
 public:
  virtual ~partitioner();

  /// Where the record goes, as its interceptors have left it: 0 to `partitions` - 1, else sending it fails
  /// with `errc::unknown_partition`. What is thrown fails it with `errc::invalid_argument`.
  [[nodiscard]] virtual partition_id choose(const record& r, std::uint32_t partitions) = 0;
  /// The records chosen for since the last time are complete, and will be one commit. Some of them may have
  /// been refused.
  virtual void batch_ended() noexcept {}

 protected:
  partitioner() = default;
  partitioner(const partitioner&) = default;
  partitioner& operator=(const partitioner&) = default;
};

/// By key, as `partition_for_key`; records without a key as `sticky_partitioner` has it. Kafka's default, and
/// that of producers.
[[nodiscard]] LEVADA_EXPORT std::shared_ptr<partitioner> key_partitioner();
/// Kafka's RoundRobinPartitioner: one record to each partition in turn, whatever its key.
[[nodiscard]] LEVADA_EXPORT std::shared_ptr<partitioner> round_robin_partitioner();
/// All records of one commit to one partition, whatever their key, and those of the next one to the next
/// (Kafka's UniformStickyPartitioner, KIP-480, but in turn rather than at random): so rows are full.
[[nodiscard]] LEVADA_EXPORT std::shared_ptr<partitioner> sticky_partitioner();

}  // namespace levada
