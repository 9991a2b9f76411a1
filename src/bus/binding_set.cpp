#include "bus/binding_set.hpp"

#include <algorithm>
#include <functional>
#include <iterator>

namespace levada {

std::size_t binding_set::hash_of(const entry& e) noexcept {
  const std::size_t ends = std::uint64_t{e.exchange} << 32 | e.destination;
  return std::hash<std::string_view>{}(e.key) ^ ends * 0x9E37'79B9'7F4A'7C15U;
}

template <class Same>
std::optional<std::uint32_t> binding_set::find_alike(const entry& wanted, Same same) const {
  const auto [first, last] = alike_.equal_range(hash_of(wanted));
  const auto found = std::find_if(first, last, [&](const auto& alike) {
    const entry& e = by_id_.at(alike.second);
    return e.exchange == wanted.exchange && e.destination == wanted.destination && e.key == wanted.key &&
           same(e);
  });
  return found == last ? std::nullopt : std::optional{found->second};
}

void binding_set::add(const entry& e) {
  alike_.emplace(hash_of(e), e.id);
  from_.emplace(e.exchange, e.id);
  to_.emplace(e.destination, e.id);
  ++counts_from_[e.exchange];
  by_id_.emplace(e.id, e);
}

std::optional<binding_set::entry> binding_set::remove(std::uint32_t id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  entry e = std::move(found->second);
  by_id_.erase(found);
  const auto [first, last] = alike_.equal_range(hash_of(e));
  alike_.erase(std::find_if(first, last, [id](const auto& alike) { return alike.second == id; }));
  from_.erase({e.exchange, id});
  to_.erase({e.destination, id});
  const auto count = counts_from_.find(e.exchange);
  if (--count->second == 0) counts_from_.erase(count);
  return e;
}

const binding_set::entry* binding_set::find(std::uint32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

std::optional<std::uint32_t> binding_set::find(const entry& wanted) const {
  return find_alike(wanted, [&](const entry& e) { return e.arguments == wanted.arguments; });
}

bool binding_set::has_key(const entry& wanted) const {
  return find_alike(wanted, [](const entry&) { return true; }).has_value();
}

std::vector<std::uint32_t> binding_set::of(const std::set<end_and_id>& all, std::uint32_t end) {
  std::vector<std::uint32_t> ids;
  for (auto at = all.lower_bound({end, 0}); at != all.end() && at->first == end; ++at)
    ids.push_back(at->second);
  return ids;
}

std::vector<std::uint32_t> binding_set::from(std::uint32_t exchange) const {
  return of(from_, exchange);
}

std::vector<std::uint32_t> binding_set::to(std::uint32_t destination) const {
  return of(to_, destination);
}

std::size_t binding_set::count_from(std::uint32_t exchange) const {
  const auto found = counts_from_.find(exchange);
  return found == counts_from_.end() ? 0 : found->second;
}

}  // namespace levada
