#pragma once

/// @file
/// Routing keys and patterns, as pure functions.

#include <string_view>

#include <levada/export.hpp>

namespace levada {

/// Whether a topic exchange's binding key matches a routing key, by RabbitMQ's rules: both are split at dots;
/// the empty key is no word at all, "." is two empty words; `*` stands for exactly one word, which may be
/// empty;
/// `#` stands for any number of words, anywhere; both are wildcards only as whole words, and only in the
/// pattern. Time is O(words of pattern x words of key), memory O(words of key), whatever the number of `#`.
[[nodiscard]] LEVADA_EXPORT bool topic_matches(std::string_view pattern, std::string_view routing_key);

}  // namespace levada
