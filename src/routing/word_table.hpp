#pragma once

/// @file
/// Words as numbers, so that comparing them costs nothing.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/open_table.hpp"

namespace levada::routing {

/// The number of a word.
using word_id = std::uint32_t;

/// The words that somebody uses. Concurrent calls of const members are safe.
class word_table {
 public:
  /// The number of no word.
  static constexpr word_id unknown = 0;

  /// `unknown` for a word that nobody uses.
  [[nodiscard]] word_id find(std::string_view word) const {
    const entry* const found = lookup(word, digest::of(word));
    return found == nullptr ? unknown : found->id;
  }

  /// The word's number, to be released once.
  word_id acquire(std::string_view word) {
    const digest d = digest::of(word);
    if (const entry* const found = lookup(word, d)) {
      ++words_[found->id].uses;
      return found->id;
    }
    auto id = static_cast<word_id>(words_.size());
    if (free_.empty()) {
      words_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    words_[id] = {std::string{word}, 1};
    entries_.insert({d, id});
    return id;
  }

  void release(word_id id) {
    if (--words_[id].uses > 0) return;
    const std::string& text = words_[id].text;
    entries_.erase(lookup(text, digest::of(text)));
    words_[id] = {};
    free_.push_back(id);
  }

 private:
  /// A word in two machine words, if it has no more than 16 bytes; else its first 8 and a hash.
  struct digest {
    std::uint64_t front = 0;
    std::uint64_t back = 0;
    std::uint32_t bytes = 0;

    [[nodiscard]] static digest of(std::string_view word) {
      const char* const p = word.data();
      const std::size_t n = word.size();
      const auto bytes = static_cast<std::uint32_t>(n);
      // Where reads overlap, the length tells by how much.
      if (n > 16) return {read<std::uint64_t>(p), std::hash<std::string_view>{}(word), bytes};
      if (n >= 8) return {read<std::uint64_t>(p), read<std::uint64_t>(p + n - 8), bytes};
      if (n >= 4) return {read<std::uint32_t>(p), read<std::uint32_t>(p + n - 4), bytes};
      if (n == 0) return {};
      return {read<std::uint8_t>(p), read<std::uint8_t>(p + n / 2) << 8U | read<std::uint8_t>(p + n - 1),
              bytes};
    }
    [[nodiscard]] bool is_whole() const noexcept { return bytes <= 16; }
    [[nodiscard]] std::uint64_t hash() const noexcept {
      return (front + bytes) * 0xC2B2'AE3D'27D4'EB4F ^ std::rotl(back * 0x9E37'79B9'7F4A'7C15, 32);
    }
    friend bool operator==(const digest&, const digest&) = default;

   private:
    template <class Number>
    [[nodiscard]] static std::uint64_t read(const char* from) {
      Number number;
      std::memcpy(&number, from, sizeof(number));
      return number;
    }
  };
  struct entry {
    digest word;
    word_id id = unknown;

    [[nodiscard]] bool vacant() const noexcept { return id == unknown; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return word.hash(); }
  };
  struct used_word {
    std::string text;
    std::size_t uses = 0;
  };

  [[nodiscard]] const entry* lookup(std::string_view word, const digest& d) const {
    return entries_.find(
        d.hash(), [&](const entry& e) { return e.word == d && (d.is_whole() || words_[e.id].text == word); });
  }

  open_table<entry> entries_;
  std::vector<used_word> words_{1};  // by number
  std::vector<word_id> free_;
};

}  // namespace levada::routing
