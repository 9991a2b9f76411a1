#include "definitions/parse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace levada::definitions {
namespace {

namespace json = boost::json;

/// Makes a value of what the parser finds, and refuses what Boost.JSON would take.
class value_maker {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = max_object_size;
  static constexpr std::size_t max_key_size = max_object_size;
  static constexpr std::size_t max_string_size = max_object_size;

  value_maker() { stack_.reset(); }

  [[nodiscard]] json::value release() { return stack_.release(); }
  /// Why it has refused something; empty where it has not.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    members_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t n, json::error_code&) {
    members_.pop_back();
    stack_.push_object(n);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t n, json::error_code&) {
    stack_.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    text_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view last, std::size_t, json::error_code& ec) {
    text_.append(last.data(), last.size());
    stack_.push_key(last);
    if (!members_.back().insert(text_).second) {
      return refuse(fmt::format("member '{}' comes twice", text_.substr(0, 64)), ec);
    }
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view last, std::size_t, json::error_code&) {
    stack_.push_string(last);
    return true;
  }
  bool on_number_part(json::string_view part, json::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(std::int64_t number, json::string_view, json::error_code&) {
    text_.clear();
    stack_.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, json::error_code&) {
    text_.clear();
    stack_.push_uint64(number);
    return true;
  }
  /// The parser's own number may differ in its last digits, and an integer beyond 64 bits has become one.
  bool on_double(double, json::string_view last, json::error_code& ec) {
    text_.append(last.data(), last.size());
    double number = 0;
    const char* const end = text_.data() + text_.size();
    const auto [stop, failure] = std::from_chars(text_.data(), end, number);
    const bool is_integer = text_.find_first_of(".eE") == std::string::npos;
    if (is_integer || failure != std::errc{} || stop != end) {
      return refuse(fmt::format("the number {} is out of range", text_.substr(0, 40)), ec);
    }
    text_.clear();
    stack_.push_double(number);
    return true;
  }
  bool on_bool(bool value, json::error_code&) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(json::error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  bool refuse(std::string why, json::error_code& ec) {
    refusal_ = std::move(why);
    ec = json::error::exception;
    return false;
  }

  json::value_stack stack_;
  /// Of the objects that are open, the innermost last.
  std::vector<std::set<std::string>> members_;
  /// The name or number that is being read.
  std::string text_;
  std::string refusal_;
};

error not_json(std::string_view text, std::size_t at, std::string_view why) {
  const std::string_view before = text.substr(0, std::min(at, text.size()));
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_begin = before.rfind('\n') + 1;  // 0 where there is none
  return {errc::invalid_argument, fmt::format("read definitions: line {}, column {}: {}", lines + 1,
                                              before.size() - line_begin + 1, why)};
}

}  // namespace

result<json::value> parse(std::string_view text) {
  if (text.size() > text_bytes_max) {
    return error{errc::invalid_argument, fmt::format("read definitions: they have {} bytes, the limit is {}",
                                                     text.size(), text_bytes_max)};
  }
  json::parse_options options;
  options.max_depth = depth_max;
  json::basic_parser<value_maker> parser{options};
  json::error_code ec;
  const std::size_t at = parser.write_some(false, text.data(), text.size(), ec);
  if (const std::string& refusal = parser.handler().refusal(); ec && !refusal.empty()) {
    return not_json(text, at, refusal);
  }
  if (ec == json::error::too_deep) {
    return not_json(text, at, fmt::format("it is more than {} levels deep", depth_max));
  }
  if (ec) return not_json(text, at, ec.message());
  if (at < text.size()) return not_json(text, at, "something stands behind the end");
  return parser.handler().release();
}

}  // namespace levada::definitions
