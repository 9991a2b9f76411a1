#pragma once

/// @file
/// Encoding of records, and of what stands behind their key: routing key, properties, headers ("extras").

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <levada/detail/record_format.hpp>
#include <levada/error.hpp>
#include <levada/record.hpp>
#include <levada/record_batch.hpp>

namespace levada::detail {

/// Makes record views of encoded records.
struct record_access {
  static void fill(record_batch& batch, std::shared_ptr<const record_batch::content> content) {
    batch.content_ = std::move(content);
  }
  template <class Delivery>
  static void fill(Delivery& delivery, const record_view& record, std::shared_ptr<const void>&& bytes,
                   delivery_tag tag, bool redelivered, std::uint32_t count = 0) {
    delivery.record_ = record;
    delivery.bytes_ = std::move(bytes);
    delivery.tag_ = tag;
    delivery.redelivered_ = redelivered;
    delivery.count_ = count;
  }
  using batch_content = record_batch::content;
  static std::string_view extras_of(const record_view& record) noexcept { return record.encoded_.extras(); }
};

}  // namespace levada::detail

namespace levada::log {

/// The pieces of a record that is to be encoded, borrowed.
struct record_source {
  std::string_view key = {};
  std::string_view value = {};
  std::string_view extras = {};
  bool has_key = false;
  bool is_tombstone = false;
  /// Where the record keeps a time that its publisher gave: microseconds since 1970.
  std::optional<std::int64_t> time = std::nullopt;

  /// Bytes of the encoded record, padding not included.
  [[nodiscard]] std::size_t size() const noexcept {
    return sizeof(detail::record_header) + key.size() + value.size() + extras.size();
  }
};

/// Encodes a record; `time_delta` is its distance to its row's first time in microseconds. `out` has room for
/// `detail::padded(source.size())` bytes and is 8-aligned.
void encode_record(const record_source& source, std::int32_t time_delta, std::byte* out) noexcept;

/// Bytes of the first `count` of consecutive encoded records; nothing where they cannot be told apart or are
/// fewer.
[[nodiscard]] std::optional<std::size_t> size_of_records(std::span<const std::byte> records,
                                                         std::uint64_t count) noexcept;

/// The first ones of consecutive encoded records.
struct records_prefix {
  std::uint64_t count = 0;
  std::size_t bytes = 0;
};
/// The records, of `count` in all, that come before the first one at or after `time`; `time_first` is what
/// their deltas are added to (microseconds). Nothing where they cannot be told apart.
[[nodiscard]] std::optional<records_prefix> records_before(std::span<const std::byte> records,
                                                           std::uint64_t count, std::int64_t time_first,
                                                           std::int64_t time) noexcept;
/// The records, of `count` in all, that take up to `bytes_max` together, but at least the first one. Nothing
/// where they cannot be told apart. Precondition: `count > 0`.
[[nodiscard]] std::optional<records_prefix> records_within(std::span<const std::byte> records,
                                                           std::uint64_t count,
                                                           std::size_t bytes_max) noexcept;

/// The time that rows and batches store as microseconds since 1970.
[[nodiscard]] inline timestamp to_time(std::int64_t microseconds) noexcept {
  return timestamp{std::chrono::microseconds{microseconds}};
}

/// The extras of a record, empty when it has none. Fails with `field_too_long` or `name_invalid`, naming the
/// field.
[[nodiscard]] result<std::string> encode_extras(std::string_view routing_key, const record& r);

/// What extras hold, borrowed from them.
[[nodiscard]] std::vector<header_view> headers_in(std::string_view extras);
[[nodiscard]] properties_view properties_in(std::string_view extras) noexcept;

/// The pieces of `r`, whose extras have been encoded. Fails with `field_too_long` for its key.
[[nodiscard]] result<record_source> source_of(const record& r, std::string_view extras);

/// What a view borrows, owned.
[[nodiscard]] header_value copy_of(const header_value_view& value);
[[nodiscard]] properties copy_of(const properties_view& p);

}  // namespace levada::log
