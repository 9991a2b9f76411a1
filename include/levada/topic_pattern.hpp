#pragma once

/// @file
/// Topics chosen by their names.

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <levada/error.hpp>
#include <levada/export.hpp>

namespace levada {

/// A regular expression for names of topics, in Perl's syntax as Boost.Regex knows it: `orders\..*`. It
/// matches a name as a whole, byte by byte. See `bus::join`.
///
/// A value: cheap to copy, and safe to share.
class LEVADA_EXPORT topic_pattern {
 public:
  /// Fails with `invalid_argument` for what is no regular expression, or has more than 1,024 bytes.
  [[nodiscard]] static result<topic_pattern> make(std::string_view regex);

  /// Whether it matches the whole of `name`. Fails with `out_of_resources` where finding out takes more steps
  /// than Boost.Regex allows: such a pattern goes back and forth without end, like `(a+)+b`.
  [[nodiscard]] result<bool> matches(std::string_view name) const;
  /// As it was given.
  [[nodiscard]] const std::string& text() const noexcept;

 private:
  class impl;
  explicit topic_pattern(std::shared_ptr<const impl> self) noexcept : impl_{std::move(self)} {}
  std::shared_ptr<const impl> impl_;
};

}  // namespace levada
