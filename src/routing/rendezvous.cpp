#include "routing/rendezvous.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <charconv>
#include <system_error>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace levada::routing {
namespace {

__extension__ typedef unsigned __int128 uint128;  // NOLINT(modernize-use-using): pedantic about the type

constexpr std::uint32_t weight_max = 1'000'000;
constexpr unsigned cost_bits = 52;
constexpr std::uint64_t ln_2 = 3'121'657'384'082'679;  // in units of 2^-52

// For calculations in units of 2^-62.
constexpr unsigned unit_bits = 62;
/// 1, 1/3, 1/5 and so on: enough for a series in powers of 1/9.
constexpr auto odd_inverses = [] {
  std::array<std::uint64_t, 17> inverses{};
  for (std::size_t i = 0; i < inverses.size(); ++i)
    inverses[i] = (std::uint64_t{1} << unit_bits) / (2 * i + 1);
  return inverses;
}();

std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::uint64_t>(uint128{a} * b >> unit_bits);
}

/// -ln(hash / 2^64) in units of 2^-52: 1 to 2^58. A hash of 0 counts as 1. The score of a destination is its
/// weight divided by this, so the lowest cost for the weight wins.
std::uint64_t cost_of(std::uint64_t hash) {
  if (hash == 0) hash = 1;
  const auto zeros = static_cast<unsigned>(std::countl_zero(hash));
  // h = f / 2^zeros, where f is from 1/2 up to 1, in units of 2^-64; then
  // -ln f = 2 (s + s^3/3 + s^5/5 + ...), where s = (1 - f) / (1 + f) is from 0 to 1/3.
  const std::uint64_t f = hash << zeros;
  const std::uint64_t one_plus_f = (f >> 1U) + (std::uint64_t{1} << 63U);  // in units of 2^-63
  const auto s = static_cast<std::uint64_t>((uint128{0 - f} << (unit_bits - 1)) / one_plus_f);
  const std::uint64_t square = product(s, s);
  std::uint64_t sum = 0;
  for (std::size_t i = odd_inverses.size(); i-- > 0;) sum = product(sum, square) + odd_inverses[i];
  return zeros * ln_2 + (2 * product(sum, s) >> (unit_bits - cost_bits)) + 1;
}

/// At most `cost_of(hash)`, at hardly any cost: -ln h >= 1 - h.
std::uint64_t cost_at_least(std::uint64_t hash) {
  return ~hash >> (64U - cost_bits);
}

}  // namespace

std::optional<std::uint32_t> weight_of(std::string_view key) {
  std::uint32_t weight = 0;
  const auto [end, failure] = std::from_chars(key.data(), key.data() + key.size(), weight);
  if (failure != std::errc{} || end != key.data() + key.size()) return std::nullopt;
  if (weight < 1 || weight > weight_max) return std::nullopt;
  return weight;
}

std::vector<rendezvous::share>::iterator rendezvous::share_of(destination to) {
  return std::lower_bound(shares_.begin(), shares_.end(), to,
                          [](const share& s, destination d) { return s.to < d; });
}

bool rendezvous::add(std::string_view key, destination to) {
  const auto weight = weight_of(key);
  assert(weight);
  if (!bindings_.emplace(to, key).second) return false;
  auto at = share_of(to);
  if (at == shares_.end() || at->to != to) at = shares_.insert(at, {to, 0});
  at->weight += *weight;
  return true;
}

bool rendezvous::remove(std::string_view key, destination to) {
  if (bindings_.erase({to, std::string{key}}) == 0) return false;
  const auto at = share_of(to);
  at->weight -= *weight_of(key);
  if (at->weight == 0) shares_.erase(at);
  return true;
}

void rendezvous::remove_all(destination to) {
  const auto first = bindings_.lower_bound({to, {}});
  auto last = first;
  while (last != bindings_.end() && last->first == to) ++last;
  if (first == last) return;
  bindings_.erase(first, last);
  shares_.erase(share_of(to));
}

std::optional<rendezvous::destination> rendezvous::match(std::string_view hashed) const {
  const std::uint64_t text = XXH3_64bits(hashed.data(), hashed.size());
  share best;
  std::uint64_t best_cost = 0;
  // Whether a cost divided by a weight is less than the best so far; anything is less than none.
  const auto better = [&](std::uint64_t cost, std::uint64_t weight) {
    return best.weight == 0 || uint128{cost} * best.weight < uint128{best_cost} * weight;
  };
  for (const share& s : shares_) {
    const std::array<std::uint64_t, 2> both{text, s.to};
    const std::uint64_t hash = XXH3_64bits(both.data(), sizeof both);
    // Few of many need the logarithm.
    if (!better(cost_at_least(hash), s.weight)) continue;
    const std::uint64_t cost = cost_of(hash);
    if (!better(cost, s.weight)) continue;
    best = s;
    best_cost = cost;
  }
  if (best.weight == 0) return std::nullopt;
  return best.to;
}

}  // namespace levada::routing
