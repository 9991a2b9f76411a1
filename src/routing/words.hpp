#pragma once

#include <string_view>
#include <vector>

namespace levada::routing {

/// Calls `each(word)` for the words of a routing or binding key, which are parted by dots. The empty key has
/// none;
/// "." has two empty ones.
template <class Each>
void for_each_word(std::string_view key, Each each) {
  if (key.empty()) return;
  for (;;) {
    const auto dot = key.find('.');
    each(key.substr(0, dot));
    if (dot == std::string_view::npos) return;
    key.remove_prefix(dot + 1);
  }
}

[[nodiscard]] inline std::vector<std::string_view> split_words(std::string_view key) {
  std::vector<std::string_view> words;
  for_each_word(key, [&](std::string_view word) { words.push_back(word); });
  return words;
}

}  // namespace levada::routing
