#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example {

/// What an option's value may be.
struct bounds {
  std::uint64_t least = 0;
  std::uint64_t most = UINT64_MAX;
};

/// The value of an option, as it was given. Throws `usage_error` for what it cannot be.
class option_value {
 public:
  option_value(std::string name, std::string_view text) : name_{std::move(name)}, text_{text} {}

  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  [[nodiscard]] std::uint64_t count(bounds within = {}) const;
  [[nodiscard]] std::chrono::milliseconds milliseconds(bounds within) const;
  /// Not empty.
  [[nodiscard]] std::filesystem::path path() const;

 private:
  std::string name_;
  std::string_view text_;
};

/// A long option, and what it does.
class known_option {
 public:
  enum class then : bool { read_on, leave_the_rest };

  /// One with a value.
  known_option(std::string name, std::function<void(const option_value&)> set)
      : name_{std::move(name)}, set_{std::move(set)} {}
  /// One without.
  known_option(std::string name, std::function<void()> set, then what = then::read_on)
      : name_{std::move(name)}, set_{[set = std::move(set)](const option_value&) { set(); }}, then_{what} {
    has_value_ = false;
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool has_value() const noexcept { return has_value_; }
  then apply(std::string_view value) const {
    set_({name_, value});
    return then_;
  }

 private:
  std::string name_;
  std::function<void(const option_value&)> set_;
  bool has_value_ = true;
  then then_ = then::read_on;
};

/// Reads a command line of long options alone. Throws `usage_error`.
void read_options(int argc, char** argv, const std::vector<known_option>& known);

}  // namespace example
