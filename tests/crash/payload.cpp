#include <crash/payload.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace levada::crash {
namespace {

/// The how-manieth eight bytes of the filling (splitmix64).
std::uint64_t filling(serial s, std::uint64_t word) noexcept {
  std::uint64_t x = s + 0x9E3779B97F4A7C15ULL * (word + 1);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// Each step is one-to-one, so that one changed word always shows.
void mix(std::uint64_t& hash, std::uint64_t word) noexcept {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
  hash ^= hash >> 32;
}

void mix(std::uint64_t& hash, std::string_view bytes) noexcept {
  mix(hash, bytes.size());
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), sizeof(std::uint64_t)))) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), std::min(bytes.size(), sizeof word));
    mix(hash, word);
  }
}

}  // namespace

std::string make_payload(serial s, std::size_t bytes) {
  std::string payload = fmt::format("{}:{}:", s, bytes);
  payload.reserve(bytes);
  for (std::uint64_t next = 0; payload.size() < bytes; ++next) {
    const std::uint64_t word = filling(s, next);
    char part[sizeof word];
    std::memcpy(part, &word, sizeof word);
    payload.append(part, std::min(sizeof word, bytes - payload.size()));
  }
  return payload;
}

std::optional<serial> serial_of(std::string_view payload) {
  serial s = 0;
  std::size_t bytes = 0;
  const char* const end = payload.data() + payload.size();
  const auto first = std::from_chars(payload.data(), end, s);
  if (first.ec != std::errc{} || first.ptr == end) return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, bytes);
  // The size is compared first, so that a damaged number cannot ask for more memory than was stored.
  if (second.ec != std::errc{} || bytes > payload.size()) return std::nullopt;
  if (make_payload(s, bytes) != payload) return std::nullopt;
  return s;
}

std::uint64_t fingerprint(std::string_view key, std::string_view routing_key,
                          std::string_view value) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  mix(hash, key);
  mix(hash, routing_key);
  mix(hash, value);
  return hash;
}

}  // namespace levada::crash
