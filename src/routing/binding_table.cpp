#include "routing/binding_table.hpp"

namespace levada::routing {
namespace {

std::variant<matcher, headers_matcher, rendezvous> table_for(exchange_type type) {
  switch (type) {
    case exchange_type::headers:
      return headers_matcher{};
    case exchange_type::consistent_hash:
      return rendezvous{};
    default:
      return matcher{type};
  }
}

}  // namespace

binding_table::binding_table(exchange_type type) : table_{table_for(type)} {}

bool binding_table::add(std::string_view key, std::span<const header> arguments, destination to) {
  if (auto* const by_key = std::get_if<matcher>(&table_)) return by_key->add(key, to);
  if (auto* const by_hash = std::get_if<rendezvous>(&table_)) return by_hash->add(key, to);
  return std::get<headers_matcher>(table_).add(key, arguments, to);
}

bool binding_table::remove(std::string_view key, std::span<const header> arguments, destination to) {
  if (auto* const by_key = std::get_if<matcher>(&table_)) return by_key->remove(key, to);
  if (auto* const by_hash = std::get_if<rendezvous>(&table_)) return by_hash->remove(key, to);
  return std::get<headers_matcher>(table_).remove(key, arguments, to);
}

void binding_table::match(const question& asked, std::vector<destination>& out) {
  if (auto* const by_key = std::get_if<matcher>(&table_)) return by_key->match(asked.key, out);
  if (auto* const by_headers = std::get_if<headers_matcher>(&table_))
    return by_headers->match(asked.headers, out);
  out.clear();
  if (const auto to = std::get<rendezvous>(table_).match(asked.key)) out.push_back(*to);
}

}  // namespace levada::routing
