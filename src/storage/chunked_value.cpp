#include "storage/chunked_value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "storage/row.hpp"
#include "storage/value_pieces.hpp"

namespace levada::storage {
namespace {

struct chunk_key {
  std::uint64_t key_big_endian;
  std::uint64_t chunk_big_endian;

  [[nodiscard]] bytes view() const noexcept { return std::as_bytes(std::span{this, 1}); }
};
static_assert(sizeof(chunk_key) == 16);

constexpr std::size_t chunk_bytes = row_bytes_max;

std::uint64_t checksum_of(std::uint64_t key, bytes value) noexcept {
  return records_hash(value) ^ (key * 0x9e37'79b9'7f4a'7c15U);
}

error damaged(std::uint64_t key, const char* what) {
  return {errc::damaged, fmt::format("read value {:#x} of main environment: {}", key, what)};
}

}  // namespace

result<void> put_chunked(write_transaction& txn, MDB_dbi table, std::uint64_t key, bytes value) {
  if (auto erased = erase_chunked(txn, table, key); !erased) return erased;
  return cut_value<chunk_bytes>(value, checksum_of(key, value), chunk_bytes,
                                [&](std::uint64_t number, bytes chunk) {
                                  const chunk_key k{big_endian(key), big_endian(number)};
                                  return txn.put(table, k.view(), chunk);
                                });
}

result<void> erase_chunked(write_transaction& txn, MDB_dbi table, std::uint64_t key) {
  for (std::uint64_t number = 0;; ++number) {
    const chunk_key k{big_endian(key), big_endian(number)};
    auto erased = txn.erase(table, k.view());
    if (!erased) return erased.error();
    if (!*erased) return {};
  }
}

result<chunked_reader> chunked_reader::open(const transaction& txn, MDB_dbi table,
                                            std::optional<std::uint64_t> passed_over) {
  auto c = cursor::open(txn, table);
  if (!c) return c.error();
  return chunked_reader{std::move(*c), passed_over};
}

result<std::optional<chunked_reader::entry>> chunked_reader::next() {
  auto at = cursor_.move(started_ ? MDB_NEXT : MDB_FIRST);
  started_ = true;
  if (chunk_key key{}; passed_over_ && at && *at && (*at)->key.size() == sizeof key) {
    std::memcpy(&key, (*at)->key.data(), sizeof key);
    if (big_endian(key.key_big_endian) == *passed_over_) {
      const chunk_key behind{big_endian(*passed_over_ + 1), 0};
      at = cursor_.move(MDB_SET_RANGE, behind.view());
    }
  }
  return read(std::move(at));
}

result<std::optional<chunked_reader::entry>> chunked_reader::find(std::uint64_t wanted) {
  const chunk_key first{big_endian(wanted), 0};
  started_ = true;
  auto at = cursor_.move(MDB_SET_RANGE, first.view());
  if (!at) return at.error();
  chunk_key key{};
  if (!*at || (*at)->key.size() != sizeof key) return std::optional<entry>{};
  std::memcpy(&key, (*at)->key.data(), sizeof key);
  if (big_endian(key.key_big_endian) != wanted) return std::optional<entry>{};
  return read(std::move(at));
}

result<std::optional<chunked_reader::entry>> chunked_reader::read(result<std::optional<cursor::entry>> at) {
  if (!at) return at.error();
  if (!*at) return std::optional<entry>{};

  entry found;
  chunk_key key{};
  value_header header{};
  if ((*at)->key.size() != sizeof key || (*at)->value.size() < sizeof header) {
    return damaged(0, "an entry of the wrong size");
  }
  std::memcpy(&key, (*at)->key.data(), sizeof key);
  std::memcpy(&header, (*at)->value.data(), sizeof header);
  found.key = big_endian(key.key_big_endian);
  if (key.chunk_big_endian != 0) return damaged(found.key, "its first chunk is missing");
  if (header.size > (std::size_t{1} << 30)) return damaged(found.key, "an impossible size");
  found.size = header.size;
  found.words.assign((header.size + 7) / 8, 0);
  auto* const out = reinterpret_cast<std::byte*>(found.words.data());
  std::size_t filled = 0;
  bytes part = (*at)->value.subspan(sizeof header);
  for (std::uint64_t number = 1;; ++number) {
    const std::size_t n = std::min(part.size(), found.size - filled);
    if (n > 0) std::memcpy(out + filled, part.data(), n);
    filled += n;
    if (filled == found.size) break;
    auto following = cursor_.move(MDB_NEXT);
    if (!following) return following.error();
    if (!*following || (*following)->key.size() != sizeof key)
      return damaged(found.key, "a chunk is missing");
    std::memcpy(&key, (*following)->key.data(), sizeof key);
    if (big_endian(key.key_big_endian) != found.key || big_endian(key.chunk_big_endian) != number) {
      return damaged(found.key, "a chunk is missing");
    }
    part = (*following)->value;
  }
  if (checksum_of(found.key, {out, found.size}) != header.checksum)
    return damaged(found.key, "wrong checksum");
  return std::optional<entry>{std::move(found)};
}

}  // namespace levada::storage
