#include "reporter.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <unistd.h>

#include <common/failure.hpp>

namespace emergency {

void reporter::tell(const event& e) {
  const std::string text = to_text(e) + '\n';
  const std::lock_guard lock{mutex_};
  for (std::string_view rest = text; !rest.empty();) {
    const auto written = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      throw example::failure{fmt::format("cannot write to standard output: {}", std::strerror(errno))};
    }
  }
}

}  // namespace emergency
