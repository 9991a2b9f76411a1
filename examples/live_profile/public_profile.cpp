#include "public_profile.hpp"

#include <fmt/core.h>

#include <common/text.hpp>

#include "plain_text.hpp"

namespace live_profile {
namespace {

constexpr std::size_t name_bytes_max = 100;
constexpr std::size_t status_bytes_max = 200;

}  // namespace

levada::result<void> check(const details& d) {
  if (d.name.empty()) return levada::error{levada::errc::invalid_argument, "a user needs a name"};
  if (const auto name = check_plain_text("name", d.name, name_bytes_max); !name) return name;
  return check_plain_text("status", d.status, status_bytes_max);
}

std::string to_text(const public_profile& p) {
  return fmt::format("{}\t{}\t{}\t{}", p.id, p.version, p.name, p.status);
}

std::optional<public_profile> parse_public_profile(std::string_view text) {
  const auto fields = example::split(text, '\t');
  if (fields.size() != 4) return std::nullopt;
  const auto id = example::parse_number<user_id>(fields[0]);
  const auto version = example::parse_number<std::uint64_t>(fields[1]);
  if (!id || !version) return std::nullopt;
  return public_profile{*id, *version, std::string{fields[2]}, std::string{fields[3]}};
}

}  // namespace live_profile
