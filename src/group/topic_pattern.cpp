#include <levada/topic_pattern.hpp>

#include <fmt/format.h>
#include <boost/regex.hpp>

#include <stdexcept>

namespace levada {
namespace {

constexpr std::size_t pattern_bytes_max = 1024;

}  // namespace

class topic_pattern::impl {
 public:
  explicit impl(std::string_view regex) : text{regex}, expression{text} {}

  const std::string text;
  const boost::regex expression;
};

result<topic_pattern> topic_pattern::make(std::string_view regex) {
  if (regex.size() > pattern_bytes_max) {
    return error{errc::invalid_argument, fmt::format("make topic pattern: it has {} bytes, the limit is {}",
                                                     regex.size(), pattern_bytes_max)};
  }
  try {
    return topic_pattern{std::make_shared<const impl>(regex)};
  } catch (const boost::regex_error& e) {
    return error{errc::invalid_argument, fmt::format("make topic pattern '{}': {}", regex, e.what())};
  }
}

result<bool> topic_pattern::matches(std::string_view name) const {
  try {
    return boost::regex_match(name.begin(), name.end(), impl_->expression);
  } catch (const std::runtime_error& e) {
    return error{errc::out_of_resources,
                 fmt::format("match topic pattern '{}' with '{}': {}", text(), name, e.what())};
  }
}

const std::string& topic_pattern::text() const noexcept {
  return impl_->text;
}

}  // namespace levada
