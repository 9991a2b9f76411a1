#include "cli/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <limits>

namespace levada::cli {
namespace {

namespace chr = std::chrono;

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

/// The whole text as a decimal number, without sign.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stop != end) return std::nullopt;
  return number;
}

/// Takes texts of a fixed shape apart from the front; once something does not fit, nothing does.
class scanner {
 public:
  explicit scanner(std::string_view text) : rest_{text} {}

  /// A number of exactly `digits` digits.
  int number(std::size_t digits) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (i >= rest_.size() || !is_digit(rest_[i])) return fail();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  /// One of these characters, or 0.
  char one_of(std::string_view choice) {
    if (rest_.empty() || choice.find(rest_.front()) == std::string_view::npos) {
      fail();
      return 0;
    }
    const char found = rest_.front();
    rest_.remove_prefix(1);
    return found;
  }
  /// A point and digits, in microseconds; 0 where there is no point.
  chr::microseconds fraction() {
    if (rest_.empty() || rest_.front() != '.') return {};
    rest_.remove_prefix(1);
    if (rest_.empty() || !is_digit(rest_.front())) fail();
    int value = 0;
    for (int unit = 100'000; !rest_.empty() && is_digit(rest_.front()); unit /= 10) {
      value += unit * (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return chr::microseconds{value};
  }
  /// Whether everything fitted and nothing is left.
  [[nodiscard]] bool done() const noexcept { return fits_ && rest_.empty(); }

 private:
  int fail() noexcept {
    fits_ = false;
    rest_ = {};
    return 0;
  }

  std::string_view rest_;
  bool fits_ = true;
};

/// "1700000000" or "1700000000.25".
std::optional<timestamp> parse_unix_seconds(std::string_view text) {
  constexpr auto most =
      static_cast<std::uint64_t>(chr::floor<chr::seconds>(timestamp::duration::max()).count());
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto seconds = parse_number(text.substr(0, point));
  scanner rest{text.substr(point)};
  const auto fraction = rest.fraction();
  if (!seconds || *seconds >= most || !rest.done()) return std::nullopt;
  return timestamp{chr::seconds{*seconds} + fraction};
}

/// "90s", "10m", "2h" or "7d".
std::optional<chr::microseconds> parse_age(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const char letter = text.back();
  text.remove_suffix(1);
  chr::microseconds unit{};
  switch (letter) {
    case 's':
      unit = chr::seconds{1};
      break;
    case 'm':
      unit = chr::minutes{1};
      break;
    case 'h':
      unit = chr::hours{1};
      break;
    case 'd':
      unit = chr::days{1};
      break;
    default:
      return std::nullopt;
  }
  const auto count = parse_number(text);
  // A quarter of the range, so that subtracting from any present time stays within it.
  const auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 4 / unit.count());
  if (!count || *count > most) return std::nullopt;
  return static_cast<std::int64_t>(*count) * unit;
}

/// An offset or a time, as `parse_start` explains.
template <class Position>
std::optional<Position> parse_position(std::string_view text, timestamp now) {
  if (const auto number = parse_number(text)) return offset{*number};
  if (text.starts_with('@')) {
    if (const auto time = parse_unix_seconds(text.substr(1))) return *time;
    return std::nullopt;
  }
  if (text.starts_with('-')) {
    if (const auto age = parse_age(text.substr(1))) return now - *age;
    return std::nullopt;
  }
  if (const auto time = parse_rfc3339(text)) return *time;
  return std::nullopt;
}

}  // namespace

std::string to_rfc3339(timestamp time) {
  const auto day = chr::floor<chr::days>(time);
  const chr::year_month_day date{day};
  const chr::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<timestamp> parse_rfc3339(std::string_view text) {
  scanner in{text};
  const chr::year year{in.number(4)};
  in.one_of("-");
  const chr::month month{static_cast<unsigned>(in.number(2))};
  in.one_of("-");
  const chr::day day{static_cast<unsigned>(in.number(2))};
  in.one_of("Tt ");
  const int hour = in.number(2);
  in.one_of(":");
  const int minute = in.number(2);
  in.one_of(":");
  const int second = in.number(2);
  const auto fraction = in.fraction();
  chr::minutes ahead_of_utc{};
  const char zone = in.one_of("Zz+-");
  if (zone == '+' || zone == '-') {
    const int hours = in.number(2);
    in.one_of(":");
    const int minutes = in.number(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    ahead_of_utc = chr::hours{hours} + chr::minutes{minutes};
    if (zone == '-') ahead_of_utc = -ahead_of_utc;
  }
  const chr::year_month_day date{year, month, day};
  // A leap second, 60, counts as the first second of the next minute.
  if (!in.done() || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return timestamp{chr::sys_days{date}} + chr::hours{hour} + chr::minutes{minute} + chr::seconds{second} +
         fraction - ahead_of_utc;
}

std::optional<start_position> parse_start(std::string_view text, timestamp now) {
  if (text == "earliest") return from_earliest{};
  if (text == "latest") return from_latest{};
  return parse_position<start_position>(text, now);
}

std::optional<end_position> parse_end(std::string_view text, timestamp now) {
  if (text == "latest") return until_latest{};
  return parse_position<end_position>(text, now);
}

std::optional<chr::milliseconds> parse_length(std::string_view text) {
  const auto length = parse_age(text);
  if (!length) return std::nullopt;
  return chr::duration_cast<chr::milliseconds>(*length);
}

std::string to_age(std::chrono::milliseconds length) {
  if (length % chr::days{1} == length.zero()) return fmt::format("{}d", length / chr::days{1});
  if (length % chr::hours{1} == length.zero()) return fmt::format("{}h", length / chr::hours{1});
  if (length % chr::minutes{1} == length.zero()) return fmt::format("{}m", length / chr::minutes{1});
  if (length % chr::seconds{1} == length.zero()) return fmt::format("{}s", length / chr::seconds{1});
  return fmt::format("{}ms", length.count());
}

}  // namespace levada::cli
