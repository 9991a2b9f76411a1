#include <support/result_testing.hpp>

namespace levada {

void PrintTo(compression how, std::ostream* out) {
  static constexpr const char* names[] = {"none", "lz4", "zstd"};
  *out << names[static_cast<std::size_t>(how)];
}

void PrintTo(exchange_type type, std::ostream* out) {
  switch (type) {
    case exchange_type::direct:
      *out << "direct";
      return;
    case exchange_type::fanout:
      *out << "fanout";
      return;
    case exchange_type::topic:
      *out << "topic";
      return;
    case exchange_type::headers:
      *out << "headers";
      return;
    case exchange_type::consistent_hash:
      *out << "consistent hash";
      return;
  }
  *out << "exchange type " << static_cast<int>(type);
}

void PrintTo(const error& e, std::ostream* out) {
  *out << e.error_code().to_string() << " (" << e.message() << ")";
}

}  // namespace levada
