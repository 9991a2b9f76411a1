#pragma once

/// @file
/// Options of exchanges and queues as members and arguments of definitions, and what policies set: one table
/// for both directions.

#include <optional>
#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

#include <levada/definitions.hpp>
#include <levada/error.hpp>
#include <levada/options.hpp>
#include <levada/policy.hpp>

namespace levada::definitions {

/// Everything that definitions say of an exchange or a queue but its name and virtual host, in the order of
/// RabbitMQ's. What has its default is left out of the arguments.
[[nodiscard]] boost::json::object described(const exchange_options& options);
[[nodiscard]] boost::json::object described(const queue_options& options);

/// What is to be said of a value that has not been taken over.
struct remark {
  definitions_finding::importance weight = definitions_finding::importance::unknown;
  std::string what;
  /// Whether without it nothing is left that could be declared.
  bool whole = false;
};
/// Nothing where a value has been taken over.
using taken = result<std::optional<remark>>;

/// The type of an exchange.
[[nodiscard]] taken take_type(exchange_options& to, std::string_view where, const boost::json::value& value);
/// The type of a queue: it has a member for it, and an argument.
[[nodiscard]] taken take_queue_type(std::string_view where, const boost::json::value& value);

/// Takes over one argument. `where` names it for messages. Fails with `invalid_argument` or `name_invalid`.
[[nodiscard]] taken take_argument(exchange_options& to, std::string_view where, std::string_view name,
                                  const boost::json::value& value);
[[nodiscard]] taken take_argument(queue_options& to, std::string_view where, std::string_view name,
                                  const boost::json::value& value);

/// What a policy sets, as its member "definition".
[[nodiscard]] boost::json::object described(const policy_definition& definition);
/// Takes over one member of that.
[[nodiscard]] taken take_setting(policy_definition& to, std::string_view where, std::string_view name,
                                 const boost::json::value& value);

}  // namespace levada::definitions
