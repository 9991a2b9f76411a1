#include <support/result_testing.hpp>

namespace levada {

void PrintTo(const error& e, std::ostream* out) {
  *out << e.error_code().to_string() << " (" << e.message() << ")";
}

}  // namespace levada
