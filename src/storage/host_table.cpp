#include "storage/host_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "storage/host_piece.hpp"
#include "storage/row.hpp"

namespace levada::storage {
namespace {

std::uint64_t host_checksum(const piece_key& key, std::string_view value) noexcept {
  return records_hash(bytes_of(value)) ^ records_hash(bytes_of(key.without_number()));
}

error damaged_value(std::uint32_t table, const char* what) {
  return {errc::damaged, fmt::format("read value of table {}: {}", table, what)};
}

/// Puts a value together from its pieces, which come in order.
class assembly {
 public:
  assembly(const piece_key& key, std::uint32_t table) noexcept : key_{key}, table_{table} {}

  [[nodiscard]] result<void> begin(bytes first) {
    if (first.size() < sizeof header_) return damaged_value(table_, "its first piece is too small");
    std::memcpy(&header_, first.data(), sizeof header_);
    constexpr std::uint64_t pieces_max = std::uint64_t{1} << (8 * piece_number_bytes);
    if (header_.size > pieces_max * piece_bytes_max) return damaged_value(table_, "its size is impossible");
    return add(first.subspan(sizeof header_));
  }
  [[nodiscard]] result<void> add(bytes piece) {
    const std::size_t wanted = std::min<std::size_t>(header_.size - value_.size(), piece.size());
    value_ += text_of(piece.first(wanted));
    if (value_.size() < header_.size && piece.empty()) return damaged_value(table_, "a piece is empty");
    const bytes padding = piece.subspan(wanted);
    const bool sound = padding.size() < 8 && std::all_of(padding.begin(), padding.end(),
                                                         [](std::byte b) { return b == std::byte{0}; });
    return sound ? result<void>{} : damaged_value(table_, "its end is not padded with zeros");
  }
  [[nodiscard]] bool whole() const noexcept { return value_.size() == header_.size; }
  [[nodiscard]] result<std::string> finish() {
    if (header_.checksum != host_checksum(key_, value_)) return damaged_value(table_, "wrong checksum");
    return std::move(value_);
  }

 private:
  const piece_key& key_;
  std::uint32_t table_;
  value_header header_{};
  std::string value_;
};

/// How many pieces a key has now; 0: none.
result<std::size_t> pieces_there(const write_transaction& txn, const main_tables& tables, piece_key& key) {
  key.number(0);
  auto first = txn.get(tables.host, key.view());
  if (!first) return first.error();
  if (!*first) return std::size_t{0};
  value_header header{};
  if ((*first)->size() >= sizeof header) std::memcpy(&header, (*first)->data(), sizeof header);
  return std::min<std::size_t>(pieces_of(key, header.size), std::size_t{1} << (8 * piece_number_bytes));
}

result<void> erase_pieces(write_transaction& txn, const main_tables& tables, piece_key& key,
                          std::size_t first, std::size_t beyond) {
  for (std::size_t n = first; n < beyond; ++n) {
    key.number(n);
    if (auto erased = txn.erase(tables.host, key.view()); !erased) return erased.error();
  }
  return {};
}

}  // namespace

std::string host_key(std::string_view encoded) {
  std::string key{encoded};
  key += '\0';
  return key;
}

std::optional<table_key> key_of_host(std::string_view stored) {
  if (stored.empty() || stored.back() != '\0') return std::nullopt;
  stored.remove_suffix(1);
  return table_key::decode(stored);
}

result<std::optional<std::string>> get_host_value(const transaction& txn, const main_tables& tables,
                                                  std::uint32_t table, std::string_view key) {
  piece_key at{table, key};
  auto first = txn.get(tables.host, at.view());
  if (!first) return first.error();
  if (!*first) return std::optional<std::string>{};
  assembly value{at, table};
  if (auto begun = value.begin(**first); !begun) return begun.error();
  for (std::size_t n = 1; !value.whole(); ++n) {
    at.number(n);
    auto piece = txn.get(tables.host, at.view());
    if (!piece) return piece.error();
    if (!*piece) return damaged_value(table, "a piece is missing");
    if (auto added = value.add(**piece); !added) return added.error();
  }
  auto whole = value.finish();
  if (!whole) return whole.error();
  return std::optional{std::move(*whole)};
}

result<void> put_host_value(write_transaction& txn, const main_tables& tables, std::uint32_t table,
                            std::string_view key, std::string_view value) {
  piece_key at{table, key};
  auto before = pieces_there(txn, tables, at);
  if (!before) return before.error();
  std::size_t pieces = 0;
  auto cut = cut_value<piece_bytes_max>(bytes_of(value), host_checksum(at, value), at.room(),
                                        [&](std::uint64_t number, bytes piece) {
                                          at.number(number);
                                          ++pieces;
                                          return txn.put(tables.host, at.view(), piece);
                                        });
  if (!cut) return cut;
  return erase_pieces(txn, tables, at, pieces, *before);
}

result<bool> erase_host_value(write_transaction& txn, const main_tables& tables, std::uint32_t table,
                              std::string_view key) {
  piece_key at{table, key};
  auto there = pieces_there(txn, tables, at);
  if (!there) return there.error();
  if (auto erased = erase_pieces(txn, tables, at, 0, *there); !erased) return erased.error();
  return *there > 0;
}

host_scanner::host_scanner(cursor c, std::uint32_t table, const bounds& range)
    : cursor_{std::move(c)},
      table_{table},
      lower_{id_prefix(table) + std::string{range.lower}},
      upper_{range.upper.empty() ? id_prefix(table + 1) : id_prefix(table) + std::string{range.upper}},
      reverse_{range.reverse} {}

result<host_scanner> host_scanner::open(const transaction& txn, const main_tables& tables,
                                        std::uint32_t table, const bounds& range) {
  auto c = cursor::open(txn, tables.host);
  if (!c) return c.error();
  return host_scanner{std::move(*c), table, range};
}

result<std::optional<cursor::entry>> host_scanner::step() {
  if (!reverse_) {
    // The cursor stands on the last piece of the value before.
    return at_.empty() ? cursor_.move(MDB_SET_RANGE, bytes_of(lower_)) : cursor_.move(MDB_NEXT);
  }
  auto beyond = cursor_.move(MDB_SET_RANGE, bytes_of(at_.empty() ? upper_ : at_));
  if (!beyond) return beyond;
  auto last = cursor_.move(*beyond ? MDB_PREV : MDB_LAST);
  if (!last || !*last || (*last)->key.size() < host_id_bytes + piece_number_bytes) return last;
  // That is the last piece of a value: on to its first.
  std::string first{text_of((*last)->key)};
  std::fill(first.end() - piece_number_bytes, first.end(), '\0');
  return cursor_.move(MDB_SET_RANGE, bytes_of(first));
}

result<std::optional<host_scanner::entry>> host_scanner::next() {
  auto row = step();
  if (!row) return row.error();
  if (!*row) return std::optional<entry>{};
  at_ = text_of((*row)->key);
  if (at_.size() < host_id_bytes + piece_number_bytes) return damaged_value(table_, "its key is too small");
  // A bound that is a whole row key would not be one: bounds have no number of a piece.
  if (at_ >= upper_ || at_ < lower_) return std::optional<entry>{};
  const std::string_view stored =
      std::string_view{at_}.substr(host_id_bytes, at_.size() - host_id_bytes - piece_number_bytes);
  const piece_key first{table_, stored};
  if (first.view().size() != at_.size() || text_of(first.view()) != at_)
    return damaged_value(table_, "its first piece is missing");
  assembly value{first, table_};
  auto begun = value.begin((*row)->value);
  if (!begun) return begun.error();
  piece_key expected{table_, stored};
  for (std::size_t n = 1; !value.whole(); ++n) {
    auto piece = cursor_.move(MDB_NEXT);
    if (!piece) return piece.error();
    expected.number(n);
    if (!*piece || text_of((*piece)->key) != text_of(expected.view()))
      return damaged_value(table_, "a piece is missing");
    if (auto added = value.add((*piece)->value); !added) return added.error();
  }
  auto whole = value.finish();
  if (!whole) return whole.error();
  return std::optional{entry{std::string{stored}, std::move(*whole)}};
}

result<std::vector<std::uint32_t>> stored_host_tables(const transaction& txn, const main_tables& tables) {
  auto c = cursor::open(txn, tables.host);
  if (!c) return c.error();
  std::vector<std::uint32_t> ids;
  std::string from = id_prefix(0);
  for (;;) {
    auto row = c->move(MDB_SET_RANGE, bytes_of(from));
    if (!row) return row.error();
    if (!*row) return ids;
    if ((*row)->key.size() < host_id_bytes) return error{errc::damaged, "read tables: a key is too small"};
    ids.push_back(table_of(text_of((*row)->key)));
    if (ids.back() == std::numeric_limits<std::uint32_t>::max()) return ids;
    from = id_prefix(ids.back() + 1);
  }
}

result<bool> erase_some_host_rows(write_transaction& txn, const main_tables& tables, std::uint32_t table,
                                  std::size_t rows_max) {
  auto c = cursor::open(txn, tables.host);
  if (!c) return c.error();
  const std::string from = id_prefix(table);
  for (std::size_t erased = 0; erased < rows_max; ++erased) {
    auto row = c->move(MDB_SET_RANGE, bytes_of(from));
    if (!row) return row.error();
    if (!*row || (*row)->key.size() < host_id_bytes || table_of(text_of((*row)->key)) != table) return true;
    if (auto gone = c->erase(); !gone) return gone.error();
  }
  return false;
}

}  // namespace levada::storage
