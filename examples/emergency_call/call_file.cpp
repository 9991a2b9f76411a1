#include "call_file.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace emergency {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

}  // namespace

malformed_line::malformed_line(std::filesystem::path file, std::size_t number, std::string reason)
    : failure{fmt::format("{}, line {}: {}", file.native(), number, reason)},
      file_{std::move(file)},
      number_{number},
      reason_{std::move(reason)} {}

std::vector<call> read_calls(const std::filesystem::path& file, std::size_t calls_max) {
  if (std::filesystem::is_directory(file)) {
    throw example::failure{fmt::format("cannot read '{}': it is a directory", file.native())};
  }
  std::ifstream in{file, std::ios::binary};
  if (!in) throw example::failure{fmt::format("cannot read '{}': {}", file.native(), std::strerror(errno))};
  std::vector<call> calls;
  std::string line;
  for (std::size_t number = 1; calls.size() < calls_max && std::getline(in, line); ++number) {
    if (number == 1 && line.starts_with(byte_order_mark)) line.erase(0, byte_order_mark.size());
    if (line.ends_with('\r')) line.pop_back();
    try {
      calls.push_back(parse_call(line, number));
    } catch (const example::failure& f) {
      throw malformed_line{file, number, f.what()};
    }
  }
  if (in.bad())
    throw example::failure{fmt::format("cannot read '{}': {}", file.native(), std::strerror(errno))};
  if (calls.empty()) throw example::failure{fmt::format("'{}' holds no calls", file.native())};
  return calls;
}

}  // namespace emergency
