#include <crash/payload.hpp>

#include <fmt/format.h>

#include <charconv>

namespace levada::crash {
namespace {

/// The byte at `at` of the filling (splitmix64, eight bytes a step).
char filling(serial s, std::size_t at) noexcept {
  std::uint64_t x = s + 0x9E3779B97F4A7C15ULL * (at / 8 + 1);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  x ^= x >> 31;
  return static_cast<char>(x >> (8 * (at % 8)));
}

void mix(std::uint64_t& hash, std::string_view bytes) noexcept {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  hash = (hash ^ bytes.size()) * 0x100000001B3ULL;
}

}  // namespace

std::string make_payload(serial s, std::size_t bytes) {
  std::string payload = fmt::format("{}:{}:", s, bytes);
  while (payload.size() < bytes) payload.push_back(filling(s, payload.size()));
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
