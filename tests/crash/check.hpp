#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <crash/history.hpp>

namespace levada::crash {

struct check_options {
  /// Also publish, commit and settle something at the end, to see that the store can be written. What the
  /// history promises no longer holds afterwards.
  bool use_afterwards = false;
  /// Also seal: right after opening, so that what is compared comes out of segments, and after each use.
  bool seal = false;
};

/// Opens the store as after a crash at the end of `lines`, and compares it with what they promise. Returns
/// what does not hold, a sentence each; empty when all does. Opening notes on disk that messages were
/// delivered, and removes segments that were not completed; nothing else changes unless asked for. Throws
/// `std::invalid_argument` for a broken history.
[[nodiscard]] std::vector<std::string> check(const std::filesystem::path& directory, const history& lines,
                                             const check_options& options = {});

/// The same in a process of its own, which also survives what kills it: that is a violation as well.
/// Must not be called while other threads run.
[[nodiscard]] std::vector<std::string> check_in_child(const std::filesystem::path& directory,
                                                      const history& lines,
                                                      const check_options& options = {});

}  // namespace levada::crash
