#include "routing/headers_matcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <type_traits>
#include <variant>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace levada::routing {
namespace {

constexpr std::string_view x_match_name = "x-match";

struct x_match {
  bool any = false;
  bool with_x = false;
};

std::optional<x_match> parse_x_match(std::string_view text) {
  if (text == "all") return x_match{false, false};
  if (text == "any") return x_match{true, false};
  if (text == "all-with-x") return x_match{false, true};
  if (text == "any-with-x") return x_match{true, true};
  return std::nullopt;
}

x_match x_match_of(std::span<const header* const> arguments) {
  for (const header* const argument : arguments) {
    if (argument->name != x_match_name) continue;
    if (const auto* const text = std::get_if<std::string>(&argument->value))
      return parse_x_match(*text).value_or(x_match{});
  }
  return {};
}

bool counts(const header& argument, x_match how) {
  return argument.name != x_match_name && (how.with_x || !argument.name.starts_with("x-"));
}

std::vector<const header*> arguments_by_name(std::span<const header> arguments) {
  std::vector<const header*> sorted;
  sorted.reserve(arguments.size());
  for (const header& argument : arguments) sorted.push_back(&argument);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const header* a, const header* b) { return a->name < b->name; });
  return sorted;
}

header_value_view borrowed(const header_value& value) {
  return std::visit([](const auto& v) { return header_value_view{v}; }, value);
}

/// Calls `use(data, size)` with bytes that are the same for equal values of a type, and for all NaN.
template <class Use>
auto with_bytes(const header_value_view& value, Use use) {
  return std::visit(
      [&](const auto& v) {
        using type = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<type, std::monostate>) {
          return use(nullptr, std::size_t{0});
        } else if constexpr (std::is_same_v<type, std::string_view> ||
                             std::is_same_v<type, std::span<const std::byte>>) {
          return use(static_cast<const void*>(v.data()), v.size());
        } else if constexpr (std::is_same_v<type, double>) {
          const double one_of_equals =
              std::isnan(v) ? std::numeric_limits<double>::quiet_NaN() : v + 0.0;  // -0.0 + 0.0 is 0.0
          return use(static_cast<const void*>(&one_of_equals), sizeof one_of_equals);
        } else {
          return use(static_cast<const void*>(&v), sizeof v);
        }
      },
      value);
}

std::uint64_t hash_of_argument(std::string_view name, const header_value_view& value) {
  const std::uint64_t seed = XXH3_64bits_withSeed(name.data(), name.size(), value.index());
  return with_bytes(value, [=](const void* data, std::size_t size) -> std::uint64_t {
    return XXH3_64bits_withSeed(data, size, seed);
  });
}

/// No header has an empty name; were it otherwise, comparing would still tell.
std::uint64_t hash_of_nothing() {
  return hash_of_argument({}, std::monostate{});
}

bool meets(const header_value& wanted, const header_value_view& value) {
  return std::visit(
      [&](const auto& w) {
        using type = std::decay_t<decltype(w)>;
        if constexpr (std::is_same_v<type, std::monostate>) {
          return true;
        } else if constexpr (std::is_same_v<type, binary>) {
          const auto* const v = std::get_if<std::span<const std::byte>>(&value);
          return v != nullptr && std::equal(v->begin(), v->end(), w.begin(), w.end());
        } else if constexpr (std::is_same_v<type, std::string>) {
          const auto* const v = std::get_if<std::string_view>(&value);
          return v != nullptr && *v == w;
        } else {
          const auto* const v = std::get_if<type>(&value);
          return v != nullptr && *v == w;
        }
      },
      wanted);
}

void put_sized(std::string& out, const void* data, std::size_t size) {
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  if (size > 0) out.append(static_cast<const char*>(data), size);
}

std::string identity_of(std::string_view key, std::span<const header* const> arguments) {
  std::string identity;
  put_sized(identity, key.data(), key.size());
  for (const header* const argument : arguments) {
    put_sized(identity, argument->name.data(), argument->name.size());
    identity.push_back(static_cast<char>(argument->value.index()));
    with_bytes(borrowed(argument->value),
               [&](const void* data, std::size_t size) { put_sized(identity, data, size); });
  }
  return identity;
}

}  // namespace

std::optional<std::string> flaw_of(std::span<const header> arguments) {
  const auto sorted = arguments_by_name(arguments);
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end(),
                                        [](const header* a, const header* b) { return a->name == b->name; });
  if (twice != sorted.end()) return fmt::format("argument '{}' comes twice", (*twice)->name);
  for (const header& argument : arguments) {
    if (argument.name != x_match_name) continue;
    const auto* const text = std::get_if<std::string>(&argument.value);
    if (text == nullptr) return "argument 'x-match' is not a text";
    if (!parse_x_match(*text))
      return fmt::format("argument 'x-match' is '{}', not all, any, all-with-x or any-with-x", *text);
  }
  return std::nullopt;
}

bool headers_matcher::add(std::string_view key, std::span<const header> arguments, destination to) {
  const auto sorted = arguments_by_name(arguments);
  const auto [at, added] = bindings_.try_emplace({to, identity_of(key, sorted)});
  if (!added) return false;
  const x_match how = x_match_of(sorted);
  binding& b = at->second;
  b.to = to;
  b.any = how.any;
  for (const header* const argument : sorted) {
    if (counts(*argument, how)) b.wanted.push_back(*argument);
  }
  enter(b);
  return true;
}

bool headers_matcher::remove(std::string_view key, std::span<const header> arguments, destination to) {
  const auto at = bindings_.find({to, identity_of(key, arguments_by_name(arguments))});
  if (at == bindings_.end()) return false;
  withdraw(at->second);
  bindings_.erase(at);
  return true;
}

void headers_matcher::remove_all(destination to) {
  const auto first = bindings_.lower_bound({to, {}});
  auto last = first;
  for (; last != bindings_.end() && last->first.first == to; ++last) withdraw(last->second);
  bindings_.erase(first, last);
}

void headers_matcher::enter(binding& b) {
  for (const header& w : b.wanted) b.places.push_back(hash_of_argument(w.name, borrowed(w.value)));
  if (!b.any) {
    // One place is enough for what needs them all. Few bindings there, and a value rather than any, make it
    // likely that messages pass it by.
    std::uint64_t best = hash_of_nothing();
    std::pair<std::size_t, bool> least{std::numeric_limits<std::size_t>::max(), true};
    for (std::size_t i = 0; i < b.wanted.size(); ++i) {
      const auto there = index_.find(b.places[i]);
      const std::pair<std::size_t, bool> burden{there == index_.end() ? 0 : there->second.size(),
                                                std::holds_alternative<std::monostate>(b.wanted[i].value)};
      if (burden >= least) continue;
      least = burden;
      best = b.places[i];
    }
    b.places = {best};
  }
  for (const std::uint64_t place : b.places) index_[place].push_back(&b);
}

void headers_matcher::withdraw(const binding& b) {
  for (const std::uint64_t place : b.places) {
    const auto at = index_.find(place);
    auto& there = at->second;
    *std::find(there.begin(), there.end(), &b) = there.back();
    there.pop_back();
    if (there.empty()) index_.erase(at);
  }
}

bool headers_matcher::matches(const binding& b, std::span<const header_view* const> present) {
  auto at = present.begin();
  for (const header& w : b.wanted) {
    while (at != present.end() && (*at)->name < w.name) ++at;
    const bool met = at != present.end() && (*at)->name == w.name && meets(w.value, (*at)->value);
    if (met == b.any) return b.any;
  }
  return !b.any;
}

void headers_matcher::match(std::span<const header_view> headers, std::vector<destination>& out) const {
  out.clear();
  if (bindings_.empty()) return;
  boost::container::small_vector<const header_view*, 32> present;
  for (const header_view& h : headers) present.push_back(&h);
  std::sort(present.begin(), present.end(), [](const header_view* a, const header_view* b) {
    const int order = a->name.compare(b->name);
    return order != 0 ? order < 0 : std::less<>{}(a, b);  // of one name the first one stays first
  });
  present.erase(std::unique(present.begin(), present.end(),
                            [](const header_view* a, const header_view* b) { return a->name == b->name; }),
                present.end());

  const std::span<const header_view* const> sorted{present.data(), present.size()};
  const auto match_those_at = [&](std::uint64_t place) {
    const auto at = index_.find(place);
    if (at == index_.end()) return;
    for (const binding* const b : at->second) {
      if (matches(*b, sorted)) out.push_back(b->to);
    }
  };
  match_those_at(hash_of_nothing());
  for (const header_view* const h : sorted) {
    match_those_at(hash_of_argument(h->name, std::monostate{}));
    // No binding asks for a void value.
    if (!std::holds_alternative<std::monostate>(h->value))
      match_those_at(hash_of_argument(h->name, h->value));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

}  // namespace levada::routing
