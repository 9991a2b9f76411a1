#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace example {

/// Something promised, and what was counted to see whether it was kept.
struct claim {
  std::string promise;
  std::string evidence;
  /// What contradicts it, a sentence each. Empty when the promise was kept.
  std::vector<std::string> violations;
};

/// Whether no claim has a violation.
[[nodiscard]] bool all_hold(const std::vector<claim>& proof);

/// The proof for people: a line for each claim, the first few violations below it, and the verdict, which is
/// "PROVED: " and `proved` where all hold.
[[nodiscard]] std::vector<std::string> render(const std::vector<claim>& proof, std::string_view proved);

}  // namespace example
