#pragma once

/// @file
/// The members of JSON objects, each looked at once, so that what nobody has looked at can be told.

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "definitions/values.hpp"

namespace levada::definitions {

[[nodiscard]] inline std::string_view view_of(boost::json::string_view text) noexcept {
  return {text.data(), text.size()};
}

/// The members of one object, or of the definitions themselves, each of which is looked at once.
class members {
 public:
  members(const boost::json::object& of, std::string where) : of_{of}, where_{std::move(where)} {}

  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  void rename(std::string where) { where_ = std::move(where); }

  [[nodiscard]] const boost::json::value* find(std::string_view name) {
    looked_at_.insert(name);
    return of_.if_contains(name);
  }
  [[nodiscard]] result<std::string> text(std::string_view name) {
    const auto* const value = find(name);
    if (value == nullptr) return invalid(where_, fmt::format("member '{}' is missing", name));
    return take_text(place(name), *value, std::numeric_limits<std::size_t>::max());
  }
  [[nodiscard]] result<bool> boolean(std::string_view name, bool otherwise) {
    const auto* const value = find(name);
    return value == nullptr ? otherwise : take_boolean(place(name), *value);
  }
  [[nodiscard]] result<const boost::json::object*> object(std::string_view name) {
    static const boost::json::object none;
    const auto* const value = find(name);
    // RabbitMQ's own writer makes an empty list of an empty table.
    if (value == nullptr || (value->is_array() && value->get_array().empty())) return &none;
    if (const auto* const object = value->if_object()) return object;
    return invalid(place(name), fmt::format("{} is no object", shown(*value)));
  }
  [[nodiscard]] std::string place(std::string_view name) const {
    return fmt::format("{}, member '{}'", where_, shown_name(name));
  }
  /// Calls `use` with the names of those that have not been looked at.
  template <class Use>
  void for_each_left(Use use) const {
    for (const auto& member : of_) {
      if (!looked_at_.contains(view_of(member.key()))) use(view_of(member.key()));
    }
  }

 private:
  const boost::json::object& of_;
  std::string where_;
  std::set<std::string_view> looked_at_;
};

}  // namespace levada::definitions
