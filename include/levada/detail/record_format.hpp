#pragma once

/// @file
/// The encoding of one record, inline because every read passes through it. docs/storage-format.md has the
/// picture. No promise: the format belongs to the store, not to the interface.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace levada::detail {

static_assert(std::endian::native == std::endian::little,
              "levada stores little-endian numbers and maps them");

/// What stands before each record. Records start at multiples of 8; the value follows at +16, so it is
/// aligned too; then key and extras (routing key, properties, headers), then zero bytes up to the next
/// multiple of 8.
struct record_header {
  std::uint32_t size;         ///< bytes of the whole record, this header included, padding not
  std::uint16_t key_size;     ///< bytes of the key
  std::uint16_t flags;        ///< record_flag values
  std::int32_t time_delta;    ///< microseconds after the row's first time
  std::uint32_t extras_size;  ///< bytes of the extras
};
static_assert(sizeof(record_header) == 16);

enum record_flag : std::uint16_t {
  record_has_key = 1,
  record_is_tombstone = 2,
};

[[nodiscard]] constexpr std::size_t padded(std::size_t size) noexcept {
  return (size + 7) & ~std::size_t{7};
}

/// An encoded record whose sizes have been found to fit, read where it stands: nothing is copied, and what
/// nobody asks for is not looked at. Without one, everything is empty.
class encoded_record {
 public:
  encoded_record() = default;
  explicit encoded_record(const std::byte* data) noexcept : data_{data} {}

  [[nodiscard]] bool has_key() const noexcept { return (header().flags & record_has_key) != 0; }
  [[nodiscard]] bool is_tombstone() const noexcept { return (header().flags & record_is_tombstone) != 0; }
  [[nodiscard]] std::int32_t time_delta() const noexcept { return header().time_delta; }
  [[nodiscard]] std::string_view value() const noexcept {
    const record_header h = header();
    return {bytes(sizeof h), value_size(h)};
  }
  [[nodiscard]] std::string_view key() const noexcept {
    const record_header h = header();
    return {bytes(sizeof h + value_size(h)), h.key_size};
  }
  [[nodiscard]] std::string_view extras() const noexcept {
    const record_header h = header();
    return {bytes(sizeof h + value_size(h) + h.key_size), h.extras_size};
  }

 private:
  static constexpr record_header nothing{sizeof(record_header), 0, 0, 0, 0};

  [[nodiscard]] record_header header() const noexcept {
    record_header h = nothing;
    if (data_ != nullptr) std::memcpy(&h, data_, sizeof h);
    return h;
  }
  [[nodiscard]] static std::size_t value_size(const record_header& h) noexcept {
    return h.size - sizeof h - h.key_size - h.extras_size;
  }
  [[nodiscard]] const char* bytes(std::size_t at) const noexcept {
    return data_ == nullptr ? nullptr : reinterpret_cast<const char*>(data_) + at;
  }

  const std::byte* data_ = nullptr;
};

/// The padded size of the record at `data`, of which `available` bytes may be read; 0 when the bytes are no
/// record.
[[nodiscard]] inline std::size_t size_of_record(const std::byte* data, std::size_t available) noexcept {
  record_header h;
  if (available < sizeof h) return 0;
  std::memcpy(&h, data, sizeof h);
  const std::size_t fixed = sizeof h + h.key_size + std::size_t{h.extras_size};
  return h.size < fixed || h.size > available ? 0 : padded(h.size);
}

/// Grants the library's own code what only it may do with a `record_view`.
struct record_access;

}  // namespace levada::detail
