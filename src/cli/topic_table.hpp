#pragma once

#include <vector>

#include "cli/table.hpp"

#include <levada/inspect.hpp>

namespace levada::cli {

/// Topics, one row a partition. What a topic keeps, and how, stands in one column of words for people, and in
/// a column for each setting for programs.
[[nodiscard]] table topic_table(const std::vector<topic_info>& topics, bool for_programs);

}  // namespace levada::cli
