#include "support/scratch_directory.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace levada::bench {

scratch_directory::scratch_directory(const std::filesystem::path& parent) {
  std::string name = (parent / "levada-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::system_error{errno, std::generic_category(), "make scratch directory '" + name + "'"};
  }
  path_ = name;
}

scratch_directory::~scratch_directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace levada::bench
