#pragma once

/// @file
/// Compression of sealed batches, by lz4 and zstd.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace levada::storage {

/// How the records of a batch are stored. The numbers are stored.
enum class codec : std::uint8_t { none = 0, lz4 = 1, zstd = 2 };

/// Compresses `plain` into `to`, whose content is replaced. False where that makes it no smaller: it is to be
/// stored plain then.
[[nodiscard]] bool compress(codec how, std::span<const std::byte> plain, std::vector<std::byte>& to);
/// Fills `plain`, whose size is known, exactly. False for bytes that are no such compression.
[[nodiscard]] bool decompress(codec how, std::span<const std::byte> stored,
                              std::span<std::byte> plain) noexcept;

}  // namespace levada::storage
