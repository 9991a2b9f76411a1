#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace emergency {

/// Cuts one line, without its line end, into fields. A field may stand in double quotes, and then hold commas
/// and doubled quotes. Throws `failure` for a quote that is not closed, or that stands where none may.
[[nodiscard]] std::vector<std::string> split_csv_line(std::string_view line);

/// Joins fields into a line, quoting where it is needed.
[[nodiscard]] std::string join_csv_line(const std::vector<std::string>& fields);

}  // namespace emergency
