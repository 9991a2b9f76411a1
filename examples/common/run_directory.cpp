#include "run_directory.hpp"

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace example {

run_directory::run_directory(const std::optional<std::filesystem::path>& chosen, const std::string& name) {
  if (chosen) {
    path_ = *chosen;
    std::filesystem::create_directories(path_);
  } else {
    std::string made = std::filesystem::temp_directory_path() / (name + "-XXXXXX");
    if (::mkdtemp(made.data()) == nullptr) throw std::system_error{errno, std::generic_category(), made};
    path_ = made;
    is_temporary_ = true;
  }
}

run_directory::~run_directory() {
  std::error_code ignored;
  if (is_temporary_) std::filesystem::remove_all(path_, ignored);
}

}  // namespace example
