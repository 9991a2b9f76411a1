#pragma once

#include <compare>
#include <concepts>
#include <functional>

namespace levada::detail {

/// A number with a meaning of its own: explicit in, `.value()` out, no silent conversion.
/// Distinct objects may be used from distinct threads; a shared one like a plain integer.
template <class Tag, std::integral Rep>
class strong {
 public:
  using rep = Rep;

  constexpr strong() noexcept = default;
  constexpr explicit strong(Rep value) noexcept : value_{value} {}

  [[nodiscard]] constexpr Rep value() const noexcept { return value_; }

  friend constexpr auto operator<=>(strong, strong) noexcept = default;

 private:
  Rep value_{};
};

}  // namespace levada::detail

template <class Tag, class Rep>
struct std::hash<levada::detail::strong<Tag, Rep>> {
  std::size_t operator()(levada::detail::strong<Tag, Rep> v) const noexcept {
    return std::hash<Rep>{}(v.value());
  }
};
