#pragma once

/// @file
/// Keys of the host's tables, and ranges of them.

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <levada/export.hpp>

namespace levada {

/// Largest key, encoded: 480 bytes. Of one string of n bytes that is n + 2, and one more for each zero byte
/// in it; a number takes at most 9.
inline constexpr std::size_t table_key_bytes_max = 480;

namespace detail {

template <class T>
concept table_key_number =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

}  // namespace detail

/// A key of a table: one part or several, each a string of any bytes or a number. Keys are in the order of
/// their parts, strings byte by byte before all numbers, and a key before those that go on where it ends.
/// Numbers are equal by value, whatever their type.
///
/// Kept in an encoding whose byte order is that order (after FoundationDB's tuple layer: its codes for byte
/// strings and integers). A value; distinct objects may be used from distinct threads.
class LEVADA_EXPORT table_key {
 public:
  /// Of one part. Implicit, so that `table.get("ada")` and `table.get(42)` read well.
  table_key(std::string_view part) { add(part); }                            // NOLINT: implicit on purpose
  table_key(const char* part) : table_key{std::string_view{part}} {}         // NOLINT
  table_key(const std::string& part) : table_key{std::string_view{part}} {}  // NOLINT
  template <detail::table_key_number Number>
  table_key(Number part) {  // NOLINT
    add(part);
  }
  /// Of several parts: `table_key{"order", 17, "line", 3}`.
  template <class First, class Second, class... Rest>
  table_key(const First& first, const Second& second, const Rest&... rest) {
    add(first);
    add(second);
    (add(rest), ...);
  }

  /// How many parts.
  [[nodiscard]] std::size_t size() const;
  /// A part; nothing where there is none, or none of that type. Parts count from 0.
  [[nodiscard]] std::optional<std::string> string(std::size_t part) const;
  /// A number that does not fit the type is none of that type.
  [[nodiscard]] std::optional<std::int64_t> number(std::size_t part) const;
  [[nodiscard]] std::optional<std::uint64_t> unsigned_number(std::size_t part) const;

  /// For people: `"ada"`, or `("order", 17)`. Bytes that are not printable ASCII stand as `\xNN`.
  [[nodiscard]] std::string text() const;
  /// The encoding.
  [[nodiscard]] const std::string& encoded() const noexcept { return encoded_; }
  /// The key of an encoding; nothing where it is none.
  [[nodiscard]] static std::optional<table_key> decode(std::string_view encoded);

  friend bool operator==(const table_key&, const table_key&) = default;
  friend std::strong_ordering operator<=>(const table_key& a, const table_key& b) noexcept {
    return a.encoded_.compare(b.encoded_) <=> 0;
  }

 private:
  table_key() = default;
  void add(std::string_view part);
  void add(const char* part) { add(std::string_view{part}); }
  void add(const std::string& part) { add(std::string_view{part}); }
  template <detail::table_key_number Number>
  void add(Number part) {
    if constexpr (std::signed_integral<Number>) {
      const bool negative = part < 0;
      const auto bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(part));
      add_number(negative, negative ? 0 - bits : bits);
    } else {
      add_number(false, part);
    }
  }
  void add_number(bool negative, std::uint64_t magnitude);

  std::string encoded_;
};

/// Which keys of a table a scan goes over. A value.
class LEVADA_EXPORT key_range {
 public:
  /// All of them.
  key_range() = default;
  /// Those whose first parts are those of `key`, itself included.
  [[nodiscard]] static key_range prefix(const table_key& key);
  /// Those not before `first` and before `beyond`.
  [[nodiscard]] static key_range between(const table_key& first, const table_key& beyond);

  /// Of these, those not before `key`; those behind it, where a scan goes on; those before it.
  [[nodiscard]] key_range from(const table_key& key) const;
  [[nodiscard]] key_range after(const table_key& key) const;
  [[nodiscard]] key_range before(const table_key& key) const;

  /// The bounds as they are compared with stored keys: the first one, and the first one beyond; empty where
  /// there is none.
  [[nodiscard]] const std::string& lower() const noexcept { return lower_; }
  [[nodiscard]] const std::string& upper() const noexcept { return upper_; }

 private:
  key_range(std::string lower, std::string upper) noexcept
      : lower_{std::move(lower)}, upper_{std::move(upper)} {}
  std::string lower_;
  std::string upper_;
};

}  // namespace levada
