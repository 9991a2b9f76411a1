#pragma once

/// @file
/// The sealed batch: what the entries of a segment are. docs/storage-format.md has the picture.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

#include "storage/lmdb.hpp"

namespace levada::storage {

/// Largest batch of several records: with LMDB's page header it fills 16 pages exactly. A single larger
/// record gets a larger batch of its own.
inline constexpr std::size_t batch_bytes_max = 65'520;

/// Which records a batch holds. Log ids begin at 1; the key of zeros belongs to the segment itself.
struct batch_key {
  std::uint32_t log = 0;
  std::uint32_t partition = 0;
  std::uint64_t base_offset = 0;
  auto operator<=>(const batch_key&) const = default;
};

/// What a batch begins with. 56 bytes, little-endian, 8-aligned.
struct batch_header {
  std::uint64_t checksum;       ///< `batch_checksum`
  std::uint64_t end_offset;     ///< one beyond the last record
  std::uint64_t sequence_last;  ///< of the journal row that held the last record
  std::int64_t time_max;        ///< largest time of the partition's records in the segment up to here
  std::uint32_t count;          ///< records
  std::uint32_t runs;           ///< descriptions of runs that follow the header
  std::uint32_t records_size;   ///< bytes of the records, decompressed
  std::uint32_t stored_size;    ///< bytes of the records as they stand behind the runs, padding not included
  std::uint32_t epoch;          ///< of the rows
  std::uint8_t codec;           ///< 0: records are stored plain
  std::uint8_t zero[3];
};
static_assert(sizeof(batch_header) == 56);

/// Records with consecutive offsets that stood in one journal row. 32 bytes.
struct batch_run {
  std::uint64_t sequence;      ///< of the row: the place of the run in the total order of the bus
  std::int64_t time_first;     ///< records carry deltas to it
  std::uint32_t offset_delta;  ///< of the first record, to the batch's first
  std::uint32_t count;         ///< records
  std::uint32_t size;          ///< bytes of them
  std::uint32_t zero;
};
static_assert(sizeof(batch_run) == 32);

/// XXH3-64 over everything behind the checksum, seeded with the key: binds the records to log, partition and
/// offset.
[[nodiscard]] std::uint64_t batch_checksum(const batch_key& key, bytes value) noexcept;

/// A batch as found; borrows from the mapped segment.
struct batch_view {
  batch_key key;
  bytes value;
  batch_header header{};
  std::span<const batch_run> runs;
  bytes stored;  ///< the records as they are stored
};

/// Splits a batch. False when its sizes do not hold together. Does not look at the checksum; `value` is
/// 8-aligned.
[[nodiscard]] bool parse_batch(const batch_key& key, bytes value, batch_view& batch) noexcept;
/// Whether the checksum is right.
[[nodiscard]] bool verify_batch(const batch_view& batch) noexcept;

}  // namespace levada::storage
