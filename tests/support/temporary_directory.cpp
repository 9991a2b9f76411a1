#include <support/temporary_directory.hpp>

#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

namespace levada::test {

temporary_directory::temporary_directory() {
  std::string name = (std::filesystem::temp_directory_path() / "levada-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error{errno, std::generic_category(), name};
  path_ = name;
}

temporary_directory::temporary_directory(temporary_directory&& other) noexcept
    : path_{std::exchange(other.path_, {})} {}

temporary_directory::~temporary_directory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace levada::test
