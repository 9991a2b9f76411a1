#pragma once

/// @file
/// The rows that values of the host's tables are cut into: keys, and how much goes into one.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "storage/lmdb.hpp"
#include "storage/value_pieces.hpp"

namespace levada::storage {

inline constexpr std::size_t host_id_bytes = 4;
inline constexpr std::size_t piece_number_bytes = 2;

/// Key and value of a piece together.
inline constexpr std::size_t piece_bytes_max = 2024;

[[nodiscard]] inline bytes bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span{text.data(), text.size()});
}
[[nodiscard]] inline std::string_view text_of(bytes b) noexcept {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

/// What all rows of a table begin with.
[[nodiscard]] inline std::string id_prefix(std::uint32_t table) {
  std::string prefix(host_id_bytes, '\0');
  for (std::size_t i = 0; i < host_id_bytes; ++i)
    prefix[i] = static_cast<char>((table >> (8 * (host_id_bytes - 1 - i))) & 0xff);
  return prefix;
}
[[nodiscard]] inline std::uint32_t table_of(std::string_view row_key) noexcept {
  std::uint32_t id = 0;
  for (std::size_t i = 0; i < host_id_bytes; ++i) id = (id << 8) | static_cast<unsigned char>(row_key[i]);
  return id;
}

/// The key of a value's piece.
class piece_key {
 public:
  piece_key(std::uint32_t table, std::string_view key) : text_{id_prefix(table)} {
    text_ += key;
    text_.append(piece_number_bytes, '\0');
  }
  void number(std::size_t n) noexcept {
    text_[text_.size() - 2] = static_cast<char>(n >> 8 & 0xff);
    text_[text_.size() - 1] = static_cast<char>(n & 0xff);
  }
  [[nodiscard]] bytes view() const noexcept { return bytes_of(text_); }
  [[nodiscard]] std::string_view without_number() const noexcept {
    return std::string_view{text_}.substr(0, text_.size() - piece_number_bytes);
  }
  /// What goes into one piece beside its key, in whole words.
  [[nodiscard]] std::size_t room() const noexcept { return (piece_bytes_max - text_.size()) / 8 * 8; }

 private:
  std::string text_;
};

[[nodiscard]] inline std::size_t pieces_of(const piece_key& key, std::uint64_t size) noexcept {
  return (sizeof(value_header) + size + key.room() - 1) / key.room();
}

}  // namespace levada::storage
