#pragma once

/// @file
/// The row: what the journal's entries are. docs/storage-format.md has the picture.

#include <cstddef>
#include <cstdint>

#include "storage/lmdb.hpp"

namespace levada::storage {

/// Largest row. With an 8-byte key two of them fill a page of 4 KiB, and none ever becomes an overflow value.
inline constexpr std::size_t row_bytes_max = 2008;

/// How a row continues a record that is larger than a row.
enum class continuation : std::uint8_t {
  whole = 0,   ///< the row holds `count` complete records
  first = 1,   ///< the beginning of one record
  middle = 2,  ///< a further part
  last = 3,    ///< its end
};

/// What stands before the records of a row. 72 bytes, little-endian, 8-aligned.
struct row_header {
  std::uint64_t checksum;  ///< `row_checksum`
  std::uint32_t log;       ///< id of the topic or exchange
  std::uint32_t partition;
  std::uint64_t base_offset;        ///< offset of the first record
  std::int64_t time_first;          ///< microseconds since 1970; records carry deltas to it
  std::int64_t time_last;           ///< largest time of a record in the row
  std::uint32_t count;              ///< records that begin in the row
  std::uint32_t epoch;              ///< grows when a store is restored to an earlier state
  std::uint64_t producer_id;        ///< 0: no idempotent producer
  std::uint32_t producer_sequence;  ///< of the first record
  std::uint32_t fragment;           ///< number of this part of a continued record, from 0
  std::uint16_t producer_epoch;
  std::uint8_t codec;          ///< 0: records are stored plain
  std::uint8_t continued;      ///< a `continuation`
  std::uint32_t records_size;  ///< bytes that follow the header
};
static_assert(sizeof(row_header) == 72);

/// Most bytes of records in a row.
inline constexpr std::size_t row_records_max = row_bytes_max - sizeof(row_header);
static_assert(row_records_max % 8 == 0);

/// XXH3-64 of the records: taken by the publishing thread, outside of any lock.
[[nodiscard]] std::uint64_t records_hash(bytes records) noexcept;
/// XXH3-64 over the header behind its first field, seeded with the records' hash and the row's sequence:
/// binds the records to log, partition, offset and place in the journal.
[[nodiscard]] std::uint64_t row_checksum(const row_header& header, std::uint64_t sequence,
                                         std::uint64_t hash_of_records) noexcept;

/// A row in the journal, as found.
struct row_view {
  std::uint64_t sequence = 0;
  row_header header{};
  bytes records;
};
/// The sequence that a key of the journal stands for; 0 where it is none.
[[nodiscard]] std::uint64_t sequence_of(bytes key) noexcept;
/// Splits a journal entry. False when its sizes do not hold together. Does not look at the checksum.
[[nodiscard]] bool parse_row(bytes key, bytes value, row_view& row) noexcept;
/// Whether the checksum is right.
[[nodiscard]] bool verify_row(const row_view& row) noexcept;

}  // namespace levada::storage
