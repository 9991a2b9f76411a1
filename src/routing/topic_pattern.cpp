#include <algorithm>
#include <vector>

#include "routing/words.hpp"

#include <levada/routing.hpp>

namespace levada {

bool topic_matches(std::string_view pattern, std::string_view routing_key) {
  const auto key = routing::split_words(routing_key);
  // reached[i]: the pattern's words so far match the key's first i words.
  std::vector<char> reached(key.size() + 1, 0);
  reached[0] = 1;
  for (const std::string_view word : routing::split_words(pattern)) {
    if (word == "#") {
      const auto first = std::find(reached.begin(), reached.end(), 1);
      std::fill(first, reached.end(), 1);
      continue;
    }
    for (std::size_t i = key.size(); i > 0; --i)
      reached[i] = static_cast<char>(reached[i - 1] != 0 && (word == "*" || word == key[i - 1]));
    reached[0] = 0;
  }
  return reached.back() != 0;
}

}  // namespace levada
