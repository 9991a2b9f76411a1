#include <support/file_bytes.hpp>

#include <fmt/format.h>

#include <fstream>
#include <ios>
#include <iterator>
#include <stdexcept>

namespace levada::test {
namespace {

namespace fs = std::filesystem;

void require(bool done, const char* what, const fs::path& file) {
  if (!done) throw std::runtime_error{fmt::format("{} '{}' failed", what, file.string())};
}

}  // namespace

std::string read_file(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  require(in.is_open(), "opening", file);
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write_file(const fs::path& file, std::string_view bytes) {
  std::ofstream out{file, std::ios::binary | std::ios::trunc};
  out << bytes;
  require(out.flush().good(), "writing", file);
}

void patch_file(const fs::path& file, std::size_t at, std::string_view bytes) {
  std::ofstream out{file, std::ios::binary | std::ios::in | std::ios::out};
  out.seekp(static_cast<std::streamoff>(at)) << bytes;
  require(out.flush().good(), "changing", file);
}

void spoil_text(const fs::path& file, std::string_view text) {
  const std::string bytes = read_file(file);
  auto at = bytes.find(text);
  if (at == std::string::npos) {
    throw std::runtime_error{fmt::format("'{}' does not hold '{}'", file.string(), text)};
  }
  for (; at != std::string::npos; at = bytes.find(text, at + 1)) {
    const char other = static_cast<char>(bytes[at] ^ 1);
    patch_file(file, at, {&other, 1});
  }
}

}  // namespace levada::test
