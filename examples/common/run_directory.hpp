#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace example {

/// Where a run keeps its things: the user's directory, made if need be, or a temporary one that is removed
/// unless `keep` is called.
class run_directory {
 public:
  /// `name` is the beginning of a temporary one's. Throws `std::system_error`.
  run_directory(const std::optional<std::filesystem::path>& chosen, const std::string& name);
  ~run_directory();
  run_directory(const run_directory&) = delete;
  run_directory& operator=(const run_directory&) = delete;

  void keep() { is_temporary_ = false; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool is_temporary_ = false;
};

}  // namespace example
