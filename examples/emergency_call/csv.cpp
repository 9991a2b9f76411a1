#include "csv.hpp"

#include <fmt/core.h>

#include <common/failure.hpp>

namespace emergency {
namespace {

/// Takes the quoted field that `rest` begins with, and leaves what follows its closing quote.
std::string take_quoted(std::string_view& rest, std::size_t number) {
  std::string field;
  rest.remove_prefix(1);
  for (;;) {
    const auto quote = rest.find('"');
    if (quote == std::string_view::npos) {
      throw example::failure{fmt::format("the quotes around field {} are not closed", number)};
    }
    field += rest.substr(0, quote);
    rest.remove_prefix(quote + 1);
    if (!rest.starts_with('"')) break;
    field += '"';
    rest.remove_prefix(1);
  }
  if (!rest.empty() && rest.front() != ',') {
    throw example::failure{fmt::format("field {} goes on behind its closing quote", number)};
  }
  return field;
}

std::string take_plain(std::string_view& rest, std::size_t number) {
  const auto field = rest.substr(0, rest.find(','));
  if (field.find('"') != std::string_view::npos) {
    throw example::failure{fmt::format("field {} has a quote in its middle", number)};
  }
  rest.remove_prefix(field.size());
  return std::string{field};
}

}  // namespace

std::vector<std::string> split_csv_line(std::string_view line) {
  std::vector<std::string> fields;
  for (;;) {
    const auto number = fields.size() + 1;
    fields.push_back(line.starts_with('"') ? take_quoted(line, number) : take_plain(line, number));
    if (line.empty()) return fields;
    line.remove_prefix(1);  // the comma
  }
}

std::string join_csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (const auto& field : fields) {
    if (&field != &fields.front()) line += ',';
    if (field.find_first_of(",\"") == std::string::npos) {
      line += field;
      continue;
    }
    line += '"';
    for (const char c : field) {
      if (c == '"') line += '"';
      line += c;
    }
    line += '"';
  }
  return line;
}

}  // namespace emergency
