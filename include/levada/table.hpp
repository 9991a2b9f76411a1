#pragma once

/// @file
/// The host's own tables: keys and values beside the logs, in the same commits.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/table_key.hpp>

namespace levada {

/// Largest value of a table: 1 MiB.
inline constexpr std::size_t table_value_bytes_max = std::size_t{1} << 20;

/// A key and its value.
struct table_entry {
  table_key key;
  std::string value;
};

/// How a table is scanned.
struct scan_options {
  /// Most entries that one call returns. Default: 10,000. At least 1.
  std::size_t entries_max = 10'000;
  /// Most bytes of keys and values that one call returns; a single larger entry is returned alone. Default:
  /// 16 MiB.
  std::size_t bytes_max = std::size_t{16} << 20;
  /// From the last key to the first. Default: no.
  bool reverse = false;
};

/// A table of the host's own data, ordered by key. From `bus::declare_table` or `bus::table`. What is written
/// here commits by itself; what belongs together, and with what is published, goes through a `transaction`.
/// Durable as records are.
///
/// Cheap to copy; copies and one shared object may be used from any thread. Operations fail with
/// `errc::closed` once the bus is closed, with `unknown_table` once the table is deleted, with
/// `field_too_long` for keys or values beyond their limits, and with `damaged` where stored bytes fail their
/// checksum.
class LEVADA_EXPORT table {
 public:
  table(const table&) noexcept;
  table(table&&) noexcept;
  table& operator=(const table&) noexcept;
  table& operator=(table&&) noexcept;
  ~table();

  [[nodiscard]] const std::string& name() const noexcept;

  /// The value under a key, as of the newest commit; nothing where there is none.
  [[nodiscard]] result<std::optional<std::string>> get(const table_key& key) const;
  /// Writes a value, in place of what was there.
  [[nodiscard]] result<void> put(const table_key& key, std::string_view value) const;
  /// Erases a value. Returns whether there was one.
  [[nodiscard]] result<bool> erase(const table_key& key) const;
  /// The same without waiting, for `void(result<void>)` and `void(result<bool>)`. See <levada/async.hpp>.
  template <class Token>
  auto async_put(table_key key, std::string value, Token&& token) const;
  template <class Token>
  auto async_erase(table_key key, Token&& token) const;
  /// The entries of a range, in order, all as of one commit. Where the options cut it short, the next call
  /// goes on behind the last key (`key_range::after`, or `before` in reverse).
  [[nodiscard]] result<std::vector<table_entry>> scan(const key_range& range,
                                                      const scan_options& options = {}) const;

 private:
  friend class bus;
  friend class transaction;
  struct impl;
  static void start_put(const std::shared_ptr<const impl>& self, const table_key& key, std::string value,
                        detail::completion<void> done);
  static void start_erase(const std::shared_ptr<const impl>& self, const table_key& key,
                          detail::completion<bool> done);
  explicit table(std::shared_ptr<const impl> self) noexcept;
  std::shared_ptr<const impl> impl_;
};

}  // namespace levada
