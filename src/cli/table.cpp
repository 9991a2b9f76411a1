#include "cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>

#include "cli/output.hpp"
#include "cli/text.hpp"

namespace levada::cli {
namespace {

struct show_cell {
  std::string operator()(std::monostate) const { return "-"; }
  std::string operator()(bool b) const { return b ? "yes" : "no"; }
  std::string operator()(std::uint64_t n) const { return fmt::format("{}", n); }
  std::string operator()(std::int64_t n) const { return fmt::format("{}", n); }
  std::string operator()(double x) const { return fmt::format("{}", x); }
  // An empty name would look like a missing column.
  std::string operator()(const std::string& s) const { return s.empty() ? "\"\"" : printable(s); }
};

std::string heading(std::string_view name) {
  std::string text{name};
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(c == '_' ? ' ' : std::toupper(c)); });
  return text;
}

}  // namespace

void write_aligned(output& out, const table& t) {
  std::vector<std::vector<std::string>> lines;
  lines.reserve(t.rows.size() + 1);
  auto& head = lines.emplace_back();
  for (const auto name : t.columns) head.push_back(heading(name));
  std::vector<bool> numeric(t.columns.size(), false);
  for (const auto& row : t.rows) {
    auto& line = lines.emplace_back();
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (std::holds_alternative<std::uint64_t>(row[c]) || std::holds_alternative<std::int64_t>(row[c]) ||
          std::holds_alternative<double>(row[c])) {
        numeric[c] = true;
      }
      line.push_back(std::visit(show_cell{}, row[c]));
    }
  }
  std::vector<std::size_t> widths(t.columns.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], character_count(line[c]));
  }
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t c = 0; c < line.size(); ++c) {
      const std::size_t padding = widths[c] - character_count(line[c]);
      if (c > 0) text += "  ";
      if (numeric[c]) text.append(padding, ' ');
      text += line[c];
      if (!numeric[c] && c + 1 < line.size()) text.append(padding, ' ');
    }
    out.write(text);
    out.write('\n');
  }
}

}  // namespace levada::cli
