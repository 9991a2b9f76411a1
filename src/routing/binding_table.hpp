#pragma once

/// @file
/// The bindings of one exchange, whatever its type.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "routing/headers_matcher.hpp"
#include "routing/matcher.hpp"
#include "routing/rendezvous.hpp"

#include <levada/options.hpp>
#include <levada/record.hpp>

namespace levada::routing {

/// As each kind of matcher is: one thread at a time.
class binding_table {
 public:
  /// The number of a queue or an exchange.
  using destination = std::uint32_t;

  explicit binding_table(exchange_type type);

  /// False when the binding was there already.
  bool add(std::string_view key, std::span<const header> arguments, destination to);
  /// False when it was not there.
  bool remove(std::string_view key, std::span<const header> arguments, destination to);

  /// What is asked of a message. `headers` are looked at by a headers exchange alone; `key` is what a
  /// consistent-hash exchange hashes, to others the routing key.
  struct question {
    std::string_view key;
    std::span<const header_view> headers;
  };
  /// Replaces `out` by the destinations of a message, each once, ascending.
  void match(const question& asked, std::vector<destination>& out);

 private:
  std::variant<matcher, headers_matcher, rendezvous> table_;
};

}  // namespace levada::routing
