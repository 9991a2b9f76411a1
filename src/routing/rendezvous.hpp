#pragma once

/// @file
/// Which queue a consistent-hash exchange routes to: pure matching, without storage and without Asio.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace levada::routing {

/// The weight that the key of a binding states, in decimal digits and nothing else: 1 to 1,000,000. Nothing
/// for other keys. Leading zeros are allowed.
[[nodiscard]] std::optional<std::uint32_t> weight_of(std::string_view key);

/// The bindings of one consistent-hash exchange. Each text goes to one destination, each destination gets as
/// large a share of the texts as it has of the weights, and a change of bindings moves only texts to or from
/// the destination that it is about.
///
/// That is rendezvous hashing (Thaler, Ravishankar: Using name-based mappings to increase hit rates, 1998)
/// with the logarithmic weights of Schindelhauer and Schomaker (Weighted distributed hash tables, 2005): a
/// destination scores -weight / ln(h), where h, from 0 to 1, is a hash of text and destination; the highest
/// score wins, of equal ones that of the smallest destination.
///
/// The outcome depends on nothing but the bindings and the text, and stays the same in every process and
/// version: the hash is XXH3-64, of the text, then of the result and the destination as two 64-bit
/// little-endian numbers; the logarithm is taken in integers, since libraries differ in the last bits of
/// theirs. A match costs the hash of the text and some nanoseconds for each destination.
///
/// One thread at a time, but concurrent calls of const members are safe.
class rendezvous {
 public:
  /// What is bound; the number of a queue.
  using destination = std::uint32_t;

  /// False when the binding was there already. `key` is the binding's weight; bindings of one destination
  /// with different keys add up, even if these state the same weight. Precondition: `weight_of(key)`.
  bool add(std::string_view key, destination to);
  /// False when it was not there.
  bool remove(std::string_view key, destination to);
  /// Removes each binding of a destination.
  void remove_all(destination to);

  /// The destination of a text; nothing without bindings.
  [[nodiscard]] std::optional<destination> match(std::string_view hashed) const;

  [[nodiscard]] std::size_t size() const noexcept { return bindings_.size(); }

 private:
  struct share {
    destination to = 0;
    std::uint64_t weight = 0;  // of all its bindings
  };

  [[nodiscard]] std::vector<share>::iterator share_of(destination to);

  std::set<std::pair<destination, std::string>> bindings_;  // with keys
  std::vector<share> shares_;                               // sorted by destination
};

}  // namespace levada::routing
