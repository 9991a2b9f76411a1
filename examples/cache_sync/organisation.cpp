#include "organisation.hpp"

#include <utility>

#include <fmt/core.h>

#include <common/text.hpp>

namespace cache_sync {
namespace {

constexpr std::string_view active_word = "active";
constexpr std::string_view suspended_word = "suspended";

/// Takes the first word off a text; the space behind it goes, too.
std::string_view take_word(std::string_view& text) {
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size() == text.size() ? word.size() : word.size() + 1);
  return word;
}

}  // namespace

std::string to_text(const organisation& o) {
  return fmt::format("{} {} {} {} {}", o.id, o.version, o.seats, o.active ? active_word : suspended_word,
                     o.name);
}

std::optional<organisation> parse_organisation(std::string_view text) {
  const auto id = example::parse_number<organisation_id>(take_word(text));
  const auto version = example::parse_number<std::uint64_t>(take_word(text));
  const auto seats = example::parse_number<std::uint32_t>(take_word(text));
  const auto state = take_word(text);
  if (!id || !version || !seats || (state != active_word && state != suspended_word)) return std::nullopt;
  return organisation{*id, *version, *seats, state == active_word, std::string{text}};
}

levada::record to_event(const organisation& o) {
  return levada::record{std::to_string(o.id), to_text(o)};
}

levada::result<organisation> organisation_in(const levada::record_view& event) {
  if (auto o = parse_organisation(event.value())) return *std::move(o);
  return levada::error{levada::errc::invalid_argument,
                       fmt::format("'{}' partition {} offset {}: '{}' is not an organisation", event.topic(),
                                   event.partition().value(), event.offset().value(), event.value())};
}

}  // namespace cache_sync
