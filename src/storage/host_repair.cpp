#include "storage/host_repair.hpp"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <string_view>

#include "storage/host_piece.hpp"
#include "storage/host_table.hpp"

namespace levada::storage {
namespace {

/// The rows of one key.
struct row_group {
  std::string key;
  std::size_t rows = 0;
};

/// Says what is wrong with them, if anything is.
result<std::optional<std::string>> examine(const transaction& txn, const main_tables& tables,
                                           std::uint32_t table, const row_group& group) {
  if (group.key.empty()) return std::optional<std::string>{"it has no key"};
  auto value = get_host_value(txn, tables, table, group.key);
  if (!value && value.error() != errc::damaged) return value.error();
  if (!value) return std::optional{value.error().message()};
  if (!*value) return std::optional<std::string>{"its first piece is missing"};
  const std::size_t wanted = pieces_of(piece_key{table, group.key}, (*value)->size());
  if (group.rows == wanted) return std::optional<std::string>{};
  return std::optional{fmt::format("it has {} pieces instead of {}", group.rows, wanted)};
}

std::string key_in(std::string_view row_key) {
  if (row_key.size() < host_id_bytes + piece_number_bytes) return {};
  return std::string{row_key.substr(host_id_bytes, row_key.size() - host_id_bytes - piece_number_bytes)};
}

bool is_of(std::string_view row_key, std::uint32_t table) noexcept {
  return row_key.size() >= host_id_bytes && table_of(row_key) == table;
}

}  // namespace

result<std::vector<damaged_host_value>> find_damaged_host_values(const transaction& txn,
                                                                 const main_tables& tables,
                                                                 std::uint32_t table) {
  auto c = cursor::open(txn, tables.host);
  if (!c) return c.error();
  std::vector<damaged_host_value> damaged;
  std::optional<row_group> group;
  const auto close_group = [&]() -> result<void> {
    if (!group) return {};
    auto wrong = examine(txn, tables, table, *group);
    if (!wrong) return wrong.error();
    if (*wrong) damaged.push_back({std::move(group->key), std::move(**wrong)});
    group.reset();
    return {};
  };
  for (auto row = c->move(MDB_SET_RANGE, bytes_of(id_prefix(table)));; row = c->move(MDB_NEXT)) {
    if (!row) return row.error();
    const bool more = *row && is_of(text_of((*row)->key), table);
    std::string key = more ? key_in(text_of((*row)->key)) : std::string{};
    if (more && group && group->key == key) {
      ++group->rows;
      continue;
    }
    if (auto closed = close_group(); !closed) return closed.error();
    if (!more) return damaged;
    group = row_group{std::move(key), 1};
  }
}

result<void> give_up_host_value(write_transaction& txn, const main_tables& tables, std::uint32_t table,
                                const std::string& key) {
  auto c = cursor::open(txn, tables.host);
  if (!c) return c.error();
  std::string from = id_prefix(table) + key;
  for (;;) {
    auto row = c->move(MDB_SET_RANGE, bytes_of(from));
    if (!row) return row.error();
    if (!*row || !is_of(text_of((*row)->key), table)) return {};
    std::string at{text_of((*row)->key)};
    if (key_in(at) == key) {
      if (auto erased = c->erase(); !erased) return erased;
    } else if (!key.empty()) {
      return {};
    } else {
      from = std::move(at) + '\0';  // rows without a key stand anywhere
    }
  }
}

}  // namespace levada::storage
