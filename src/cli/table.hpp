#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace levada::cli {

class output;

/// Rows of named values, to be shown to people as aligned columns and to programs as JSON.
struct table {
  /// `monostate` stands for what is not there.
  using cell = std::variant<std::monostate, bool, std::uint64_t, std::int64_t, double, std::string>;

  /// Names of the columns: the fields of JSON objects, and in capitals the heading.
  std::vector<std::string_view> columns;
  /// Each as long as `columns`.
  std::vector<std::vector<cell>> rows;
};

/// Writes a heading and the rows, in columns that are as wide as what they hold; numbers end at the right.
void write_aligned(output& out, const table& t);

}  // namespace levada::cli
