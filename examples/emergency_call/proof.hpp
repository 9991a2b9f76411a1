#pragma once

#include <string>
#include <vector>

#include "store_contents.hpp"
#include "witness.hpp"

namespace emergency {

/// Something promised, and what was counted to see whether it was kept.
struct claim {
  std::string promise;
  std::string evidence;
  /// What contradicts it, a sentence each. Empty when the promise was kept.
  std::vector<std::string> violations;
};

/// Compares what the witness saw with what stands in the store after the end. All promises were kept if and
/// only if no claim has a violation.
[[nodiscard]] std::vector<claim> prove(const witness& seen, const store_contents& stored);

/// Whether no claim has a violation.
[[nodiscard]] bool all_hold(const std::vector<claim>& proof);

/// The proof for people, at most 100 columns wide where nothing is wrong: a line for each claim, the first
/// few violations below it, and the verdict.
[[nodiscard]] std::vector<std::string> render(const std::vector<claim>& proof);

}  // namespace emergency
