#pragma once

/// @file
/// How a value larger than a row is cut into in-page pieces, whatever they are stored under.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "storage/lmdb.hpp"

namespace levada::storage {

/// What the first piece begins with.
struct value_header {
  std::uint64_t size;      ///< of the whole
  std::uint64_t checksum;  ///< as its table has it
};

/// Calls `put(number, piece)` for each piece, from 0; the last one is padded with zeros to whole words.
/// `room` is the size of a piece, a multiple of 8 and at most `PieceBytesMax`. Stops at the first failure.
template <std::size_t PieceBytesMax, class Put>
result<void> cut_value(bytes value, std::uint64_t checksum, std::size_t room, Put put) {
  const value_header header{value.size(), checksum};
  std::array<std::byte, PieceBytesMax> piece;
  std::memcpy(piece.data(), &header, sizeof header);
  std::size_t filled = sizeof header;
  std::uint64_t number = 0;
  do {
    const std::size_t n = std::min(value.size(), room - filled);
    if (n > 0) std::memcpy(piece.data() + filled, value.data(), n);
    value = value.subspan(n);
    filled += n;
    while (filled % 8 != 0) piece[filled++] = std::byte{0};
    if (result<void> done = put(number++, bytes{piece.data(), filled}); !done) return done;
    filled = 0;
  } while (!value.empty());
  return {};
}

}  // namespace levada::storage
