#pragma once

/// @file
/// The layout of LMDB's data file, version 1, on a 64-bit little-endian machine, as lmdb.h and mdb.c of 0.9
/// define it. Every page begins with its number (8 bytes), 2 bytes of padding, flags (2) and the bounds of
/// its free space (2 + 2), which in an overflow page are its number of pages (4).

#include <fmt/format.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace levada::storage::lmdb_format {

inline constexpr std::size_t page_header_size = 16;
inline constexpr std::size_t node_header_size = 8;
inline constexpr std::size_t page_size_min = 512;
inline constexpr std::size_t page_size_max = 65'536;
inline constexpr std::uint32_t meta_magic = 0xBEEFC0DE;
inline constexpr std::uint32_t meta_version = 1;
inline constexpr std::uint64_t no_page = ~std::uint64_t{0};
/// The first two pages of a file. Transaction n is on record in page n modulo 2, and nowhere else once the
/// next but one has been.
inline constexpr std::uint64_t meta_pages = 2;
inline constexpr std::size_t key_size_max = 511;
inline constexpr std::size_t depth_max = 32;

enum page_flags : std::uint16_t { branch = 0x01, leaf = 0x02, overflow = 0x04, meta = 0x08 };
enum node_flags : std::uint16_t { big_data = 0x01, sub_tree = 0x02 };
inline constexpr std::uint16_t integer_keys = 0x08;

template <class T>
[[nodiscard]] T load(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// LMDB's record of one tree.
struct tree {
  std::uint32_t pad;  ///< of the tree of free pages: the page size
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages;
  std::uint64_t leaf_pages;
  std::uint64_t overflow_pages;
  std::uint64_t entries;
  std::uint64_t root;
};
static_assert(sizeof(tree) == 48);

/// What a meta page holds behind its header. A commit writes all but the first 16 bytes, in one go.
struct meta_page {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_size;
  tree free;
  tree main;
  std::uint64_t last_page;
  std::uint64_t transaction;
};
static_assert(sizeof(meta_page) == 136);

/// All of a meta page that has a meaning.
inline constexpr std::size_t meta_page_head_size = page_header_size + sizeof(meta_page);
using meta_page_head = std::span<const std::byte, meta_page_head_size>;

[[nodiscard]] inline meta_page meta_of(meta_page_head head) noexcept {
  return load<meta_page>(head.data() + page_header_size);
}

/// Why these bytes cannot be the beginning of a meta page; empty where they can.
[[nodiscard]] inline std::string fault_of(meta_page_head head) {
  const meta_page m = meta_of(head);
  if (m.magic != meta_magic || (load<std::uint16_t>(head.data() + 10) & meta) == 0) {
    return "it is no LMDB data file";
  }
  if (m.version != meta_version) return fmt::format("LMDB's data format {} is not known", m.version);
  if (!std::has_single_bit(m.free.pad) || m.free.pad < page_size_min || m.free.pad > page_size_max) {
    return fmt::format("pages of {} bytes are impossible", m.free.pad);
  }
  return {};
}

}  // namespace levada::storage::lmdb_format
