#include <support/result_testing.hpp>

namespace levada {

void PrintTo(compression how, std::ostream* out) {
  static constexpr const char* names[] = {"none", "lz4", "zstd"};
  *out << names[static_cast<std::size_t>(how)];
}

void PrintTo(const error& e, std::ostream* out) {
  *out << e.error_code().to_string() << " (" << e.message() << ")";
}

}  // namespace levada
