#include "credentials.hpp"

#include <fmt/core.h>

#include <common/text.hpp>

#include "plain_text.hpp"

namespace live_profile {
namespace {

constexpr std::size_t mail_address_bytes_max = 254;
constexpr std::size_t password_hash_bytes_max = 500;

levada::result<void> check_secret(std::string_view field, const secret& s, std::size_t bytes_max) {
  if (s.reveal().empty()) {
    return levada::error{levada::errc::invalid_argument, fmt::format("{}: empty", field)};
  }
  return check_plain_text(field, s.reveal(), bytes_max);
}

}  // namespace

levada::result<void> check(const credentials& c) {
  if (const auto mail = check_secret("mail address", c.mail_address, mail_address_bytes_max); !mail) {
    return mail;
  }
  return check_secret("password hash", c.password_hash, password_hash_bytes_max);
}

std::string reveal_entry(const credentials& c) {
  return fmt::format("{}\t{}", c.mail_address.reveal(), c.password_hash.reveal());
}

std::optional<credentials> parse_credentials(std::string_view text) {
  const auto fields = example::split(text, '\t');
  if (fields.size() != 2) return std::nullopt;
  return credentials{secret{std::string{fields[0]}}, secret{std::string{fields[1]}}};
}

}  // namespace live_profile
