#include "local_time.hpp"

#include <algorithm>

#include <fmt/core.h>

#include <common/text.hpp>

namespace emergency {
namespace {

constexpr std::string_view form = "dddd-dd-dd dd:dd:dd";  // d: a digit
constexpr std::size_t minute_length = 16;

bool has_form(std::string_view text) {
  if (text.size() != minute_length && text.size() != form.size()) return false;
  return std::equal(text.begin(), text.end(), form.begin(),
                    [](char c, char f) { return f == 'd' ? c >= '0' && c <= '9' : c == f; });
}

}  // namespace

std::optional<local_time> parse_local_time(std::string_view text) {
  if (!has_form(text)) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t length) {
    return *example::parse_number<int>(text.substr(at, length));
  };
  const std::chrono::year_month_day day{std::chrono::year{number(0, 4)},
                                        std::chrono::month{static_cast<unsigned>(number(5, 2))},
                                        std::chrono::day{static_cast<unsigned>(number(8, 2))}};
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = text.size() > minute_length ? number(17, 2) : 0;
  if (!day.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return std::chrono::local_days{day} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
         std::chrono::seconds{second};
}

std::string minute_text(local_time t) {
  return second_text(t).substr(0, minute_length);
}

std::string second_text(local_time t) {
  const auto midnight = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day day{midnight};
  const std::chrono::hh_mm_ss time{t - midnight};
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
}

std::size_t hour_of_day(local_time t) {
  return static_cast<std::size_t>((t - std::chrono::floor<std::chrono::days>(t)) / std::chrono::hours{1});
}

}  // namespace emergency
