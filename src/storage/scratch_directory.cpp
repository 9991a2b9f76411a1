#include "storage/scratch_directory.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "storage/errors.hpp"

namespace levada::storage {

result<scratch_directory> scratch_directory::make(const std::filesystem::path& name_prefix) {
  std::string name = name_prefix.string() + "XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return system_error(errno, "create directory", name);
  return scratch_directory{name};
}

scratch_directory::~scratch_directory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace levada::storage
