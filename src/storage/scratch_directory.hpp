#pragma once

/// @file
/// A directory that exists for a while.

#include <filesystem>
#include <utility>

#include <levada/error.hpp>

namespace levada::storage {

/// A directory with a name that nothing else has. Removed with its content on destruction, unless kept.
/// Move-only.
class scratch_directory {
 public:
  /// Makes it: `name_prefix` is a path, to which six characters are added.
  [[nodiscard]] static result<scratch_directory> make(const std::filesystem::path& name_prefix);
  scratch_directory(scratch_directory&& other) noexcept : path_{std::exchange(other.path_, {})} {}
  scratch_directory& operator=(scratch_directory&&) = delete;
  ~scratch_directory();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  void keep() noexcept { path_.clear(); }

 private:
  explicit scratch_directory(std::filesystem::path path) noexcept : path_{std::move(path)} {}
  std::filesystem::path path_;
};

}  // namespace levada::storage
