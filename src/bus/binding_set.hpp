#pragma once

/// @file
/// The bindings of a bus: which there are, and from where to where.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage/catalog.hpp"

namespace levada {

/// Bindings by number. Adding, finding and removing one costs no more with many others. One thread at a time,
/// but concurrent calls of const members are safe.
class binding_set {
 public:
  using entry = storage::binding_entry;

  void add(const entry& e);
  /// What was of that number.
  std::optional<entry> remove(std::uint32_t id);

  [[nodiscard]] const entry* find(std::uint32_t id) const;
  /// The number of the binding with the same ends, key and arguments, which are sorted by name.
  [[nodiscard]] std::optional<std::uint32_t> find(const entry& wanted) const;
  /// Whether there is one with the same ends and key, whatever its arguments.
  [[nodiscard]] bool has_key(const entry& wanted) const;

  /// The numbers of what leads from an exchange.
  [[nodiscard]] std::vector<std::uint32_t> from(std::uint32_t exchange) const;
  /// The numbers of what leads to a queue or an exchange.
  [[nodiscard]] std::vector<std::uint32_t> to(std::uint32_t destination) const;
  [[nodiscard]] std::size_t count_from(std::uint32_t exchange) const;

 private:
  using end_and_id = std::pair<std::uint32_t, std::uint32_t>;
  [[nodiscard]] static std::size_t hash_of(const entry& e) noexcept;
  template <class Same>
  [[nodiscard]] std::optional<std::uint32_t> find_alike(const entry& wanted, Same same) const;
  [[nodiscard]] static std::vector<std::uint32_t> of(const std::set<end_and_id>& all, std::uint32_t end);

  std::unordered_map<std::uint32_t, entry> by_id_;
  std::unordered_multimap<std::size_t, std::uint32_t> alike_;  // by hash of ends and key
  std::set<end_and_id> from_;
  std::set<end_and_id> to_;
  std::unordered_map<std::uint32_t, std::size_t> counts_from_;
};

}  // namespace levada
