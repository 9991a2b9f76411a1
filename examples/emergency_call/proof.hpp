#pragma once

#include <string>
#include <vector>

#include <common/claim.hpp>

#include "store_contents.hpp"
#include "witness.hpp"

namespace emergency {

using example::claim;

/// Compares what the witness saw with what stands in the store after the end. All promises were kept if and
/// only if no claim has a violation.
[[nodiscard]] std::vector<claim> prove(const witness& seen, const store_contents& stored);

/// The proof for people, at most 100 columns wide where nothing is wrong: a line for each claim, the first
/// few violations below it, and the verdict.
[[nodiscard]] std::vector<std::string> render(const std::vector<claim>& proof);

}  // namespace emergency
