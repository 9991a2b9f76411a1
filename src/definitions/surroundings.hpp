#pragma once

/// @file
/// What a bus has already that definitions are imported into.

#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <levada/bus.hpp>

namespace levada::definitions {

/// What is there already.
struct surroundings {
  std::map<std::string, exchange_options, std::less<>> exchanges;
  std::map<std::string, queue_info, std::less<>> queues;
  std::set<std::string, std::less<>> topics;
};
[[nodiscard]] result<surroundings> surroundings_of(const bus& of);

/// The first member in which what is there is not what is wanted, as words.
[[nodiscard]] std::optional<std::string> difference(const boost::json::object& is,
                                                    const boost::json::object& wanted);

}  // namespace levada::definitions
