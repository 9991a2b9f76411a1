#pragma once

/// @file
/// What random operations on a bus beside a model of it share: how they disagree, and how to repeat them.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <levada/error.hpp>

namespace levada::test {

/// What disagrees. Thrown, so that a walk ends where it went wrong.
struct disagreement : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void require(bool holds, const std::string& what) {
  if (!holds) throw disagreement{what};
}
template <class T, class U>
void require_equal(const T& got, const U& expected, const std::string& what) {
  if (got == expected) return;
  throw disagreement{fmt::format("{}: got {}, expected {}", what, ::testing::PrintToString(got),
                                 ::testing::PrintToString(expected))};
}
/// `expected` is the error, or nothing for success. Returns whether it succeeded.
template <class Result>
bool require_outcome(const Result& got, std::optional<errc> expected, const std::string& what) {
  if (!expected) {
    if (!got) throw disagreement{fmt::format("{}: failed: {}", what, got.error().message())};
    return true;
  }
  require(!got, what + ": succeeded, a failure was expected");
  require(got.error().code() == *expected,
          fmt::format("{}: failed with another error: {}", what, got.error().message()));
  return false;
}

/// The latest operations, to be told when something disagrees.
class operation_trail {
 public:
  void add(std::string what) {
    operations_.push_back(std::move(what));
    if (operations_.size() > kept) operations_.pop_front();
  }
  [[nodiscard]] const std::string& last() const { return operations_.back(); }
  /// A line each.
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const auto& what : operations_) all += "\n  " + what;
    return all;
  }

 private:
  static constexpr std::size_t kept = 25;
  std::deque<std::string> operations_;
};

/// A setting such as the first seed, to repeat a walk that failed.
inline std::uint32_t number_from_environment(const char* name, std::uint32_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

}  // namespace levada::test
