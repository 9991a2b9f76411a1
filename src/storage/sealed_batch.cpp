#include "storage/sealed_batch.hpp"

#include <array>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace levada::storage {

std::uint64_t batch_checksum(const batch_key& key, bytes value) noexcept {
  const std::array<std::uint64_t, 2> identity{(std::uint64_t{key.log} << 32) | key.partition,
                                              key.base_offset};
  const std::uint64_t seed = XXH3_64bits(identity.data(), sizeof identity);
  const bytes covered = value.subspan(sizeof(std::uint64_t));
  return XXH3_64bits_withSeed(covered.data(), covered.size(), seed);
}

bool parse_batch(const batch_key& key, bytes value, batch_view& batch) noexcept {
  if (value.size() < sizeof(batch_header)) return false;
  std::memcpy(&batch.header, value.data(), sizeof batch.header);
  const batch_header& h = batch.header;
  const std::size_t behind_header = value.size() - sizeof h;
  if (h.runs > behind_header / sizeof(batch_run)) return false;
  const std::size_t behind_runs = behind_header - std::size_t{h.runs} * sizeof(batch_run);
  // Padding to a multiple of 8 may follow.
  if (h.stored_size > behind_runs || behind_runs - h.stored_size >= 8) return false;
  if (h.end_offset <= key.base_offset || h.runs == 0) return false;
  batch.key = key;
  batch.value = value;
  batch.runs = {reinterpret_cast<const batch_run*>(value.data() + sizeof h), h.runs};
  batch.stored = value.subspan(value.size() - behind_runs, h.stored_size);
  return true;
}

bool verify_batch(const batch_view& batch) noexcept {
  return batch.header.checksum == batch_checksum(batch.key, batch.value);
}

}  // namespace levada::storage
