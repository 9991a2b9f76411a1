#include "storage/row.hpp"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace levada::storage {

std::uint64_t records_hash(bytes records) noexcept {
  return XXH3_64bits(records.data(), records.size());
}

std::uint64_t row_checksum(const row_header& header, std::uint64_t sequence,
                           std::uint64_t hash_of_records) noexcept {
  const auto* const begin = reinterpret_cast<const std::byte*>(&header) + sizeof header.checksum;
  // The multiplication spreads small sequences over all bits, so that neighbours do not cancel out.
  const std::uint64_t seed = hash_of_records ^ (sequence * 0x9e37'79b9'7f4a'7c15U);
  return XXH3_64bits_withSeed(begin, sizeof header - sizeof header.checksum, seed);
}

std::uint64_t sequence_of(bytes key) noexcept {
  std::uint64_t big = 0;
  if (key.size() != sizeof big) return 0;
  std::memcpy(&big, key.data(), sizeof big);
  return big_endian(big);
}

bool parse_row(bytes key, bytes value, row_view& row) noexcept {
  if (key.size() != sizeof row.sequence || value.size() < sizeof(row_header) ||
      value.size() > row_bytes_max) {
    return false;
  }
  row.sequence = sequence_of(key);
  std::memcpy(&row.header, value.data(), sizeof row.header);
  row.records = value.subspan(sizeof row.header);
  return row.records.size() == row.header.records_size && row.records.size() % 8 == 0;
}

bool verify_row(const row_view& row) noexcept {
  return row.header.checksum == row_checksum(row.header, row.sequence, records_hash(row.records));
}

}  // namespace levada::storage
