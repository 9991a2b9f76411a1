#include "storage/codec.hpp"

#include <lz4.h>
#include <zstd.h>

#include <limits>

namespace levada::storage {
namespace {

/// zstd's own default: more takes several times as long for a few per cent.
constexpr int zstd_level = 3;

constexpr std::size_t lz4_bytes_max = LZ4_MAX_INPUT_SIZE;

char* chars(std::byte* p) noexcept {
  return reinterpret_cast<char*>(p);
}
const char* chars(const std::byte* p) noexcept {
  return reinterpret_cast<const char*>(p);
}

}  // namespace

bool compress(codec how, std::span<const std::byte> plain, std::vector<std::byte>& to) {
  if (plain.empty()) return false;
  // One byte less than before, or it is not worth while.
  to.resize(plain.size() - 1);
  std::size_t size = 0;
  switch (how) {
    case codec::none:
      return false;
    case codec::lz4: {
      if (plain.size() > lz4_bytes_max) return false;
      const int written = LZ4_compress_default(chars(plain.data()), chars(to.data()),
                                               static_cast<int>(plain.size()), static_cast<int>(to.size()));
      if (written <= 0) return false;
      size = static_cast<std::size_t>(written);
      break;
    }
    case codec::zstd: {
      size = ZSTD_compress(to.data(), to.size(), plain.data(), plain.size(), zstd_level);
      if (ZSTD_isError(size) != 0U) return false;
      break;
    }
  }
  to.resize(size);
  return true;
}

bool decompress(codec how, std::span<const std::byte> stored, std::span<std::byte> plain) noexcept {
  constexpr std::size_t int_max = std::numeric_limits<int>::max();
  switch (how) {
    case codec::lz4:
      return stored.size() <= int_max && plain.size() <= int_max &&
             LZ4_decompress_safe(chars(stored.data()), chars(plain.data()), static_cast<int>(stored.size()),
                                 static_cast<int>(plain.size())) == static_cast<int>(plain.size());
    case codec::zstd:
      return ZSTD_decompress(plain.data(), plain.size(), stored.data(), stored.size()) == plain.size();
    case codec::none:
      break;
  }
  return false;
}

}  // namespace levada::storage
