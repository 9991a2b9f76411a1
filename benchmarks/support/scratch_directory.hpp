#pragma once

#include <filesystem>

namespace levada::bench {

/// A fresh directory below a given one, removed with all that is in it on destruction. Not movable.
class scratch_directory {
 public:
  explicit scratch_directory(const std::filesystem::path& parent);
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  ~scratch_directory();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace levada::bench
