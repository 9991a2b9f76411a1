#include "log/partitioner.hpp"

#include <cstring>

#include <levada/publishing.hpp>

namespace levada::log {

std::uint32_t murmur2(std::string_view bytes) noexcept {
  constexpr std::uint32_t seed = 0x9747b28c;
  constexpr std::uint32_t m = 0x5bd1e995;
  constexpr unsigned r = 24;
  std::uint32_t h = seed ^ static_cast<std::uint32_t>(bytes.size());
  for (; bytes.size() >= 4; bytes.remove_prefix(4)) {
    std::uint32_t k = 0;
    std::memcpy(&k, bytes.data(), sizeof k);
    k *= m;
    k ^= k >> r;
    h = (h * m) ^ (k * m);
  }
  if (!bytes.empty()) {
    std::uint32_t rest = 0;
    std::memcpy(&rest, bytes.data(), bytes.size());
    h = (h ^ rest) * m;
  }
  h ^= h >> 13;
  h *= m;
  return h ^ (h >> 15);
}

}  // namespace levada::log

namespace levada {

partition_id partition_for_key(std::string_view key, std::uint32_t partitions) noexcept {
  return partition_id{(log::murmur2(key) & 0x7fff'ffffU) % partitions};
}

}  // namespace levada
