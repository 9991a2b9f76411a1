#pragma once

#include <string>
#include <vector>

#include <crash/promises.hpp>
#include <crash/store_content.hpp>

namespace levada::crash {

/// What does not hold of what is promised, a sentence each, the first of them; empty when all does.
[[nodiscard]] std::vector<std::string> compare(const store_content& found, const promises& promised);

}  // namespace levada::crash
