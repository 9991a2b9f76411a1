#pragma once

/// @file
/// What walks through a trie have found, so that the next ones need not look again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "routing/open_table.hpp"
#include "routing/word_table.hpp"

namespace levada::routing {

/// A finite automaton that is made as keys come. A state is all that the words so far have led to, whichever
/// words these were; and all words that no binding has are one. So keys that were never seen cost no more,
/// and there are about as many states as nodes of the trie that keys meet. One thread at a time.
class walk_memo {
 public:
  using state_id = std::uint32_t;
  /// No state.
  static constexpr state_id unknown = 0;
  /// Stands for all states that are too large to be remembered; no step leads on from there.
  static constexpr state_id too_large = 0xFFFF'FFFF;

  [[nodiscard]] std::size_t bytes() const noexcept {
    return (results_.size() + descriptions_.size()) * sizeof(std::uint32_t) + states_.bytes() +
           steps_.bytes();
  }
  /// The state before the first word; `unknown` while nothing is remembered.
  [[nodiscard]] state_id start() const noexcept { return start_; }
  void set_start(state_id at) noexcept { start_ = at; }
  /// `unknown` when nobody has come by yet.
  [[nodiscard]] state_id next(state_id from, word_id word) const {
    const step* const found = steps_.find(step::hash_of(from, word),
                                          [=](const step& s) { return s.from == from && s.word == word; });
    return found == nullptr ? unknown : found->to;
  }
  /// The destinations of keys that end here. Until the next change.
  [[nodiscard]] std::span<const std::uint32_t> result(state_id at) const {
    return {&results_[at] + 2, results_[at + 1]};
  }
  /// What `add_state` was given. Until the next change.
  [[nodiscard]] std::span<const std::uint32_t> description(state_id at) const {
    const std::uint32_t* const begin = &descriptions_[results_[at]];
    return {begin + 1, *begin};
  }

  /// The state of this description, which tells it from all others.
  state_id add_state(std::span<const std::uint32_t> description, std::span<const std::uint32_t> result) {
    std::uint64_t hash = description.size();
    for (const std::uint32_t number : description) hash = (hash ^ number) * 0x9E37'79B9'7F4A'7C15;
    const auto mixed = static_cast<std::uint32_t>(hash >> 32U);
    const auto* const found = states_.find(mixed, [&](const state& s) {
      const auto known = this->description(s.id);
      return s.hash_bits == mixed &&
             std::equal(known.begin(), known.end(), description.begin(), description.end());
    });
    if (found != nullptr) return found->id;
    const auto id = static_cast<state_id>(results_.size());
    results_.push_back(static_cast<std::uint32_t>(descriptions_.size()));
    results_.push_back(static_cast<std::uint32_t>(result.size()));
    results_.insert(results_.end(), result.begin(), result.end());
    descriptions_.push_back(static_cast<std::uint32_t>(description.size()));
    descriptions_.insert(descriptions_.end(), description.begin(), description.end());
    states_.insert({mixed, id});
    return id;
  }
  /// Precondition: `next(from, word)` is unknown.
  void add_step(state_id from, word_id word, state_id to) { steps_.insert({from, word, to}); }

  /// Forgets everything, at about the same cost however much it is.
  void clear() {
    if (start_ != unknown) *this = {};
  }

 private:
  struct state {
    std::uint32_t hash_bits = 0;
    state_id id = unknown;

    [[nodiscard]] bool vacant() const noexcept { return id == unknown; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_bits; }
  };
  struct step {
    state_id from = unknown;
    word_id word = word_table::unknown;
    state_id to = unknown;

    [[nodiscard]] static std::uint64_t hash_of(state_id from, word_id word) noexcept {
      return std::uint64_t{from} << 32U | word;
    }
    [[nodiscard]] bool vacant() const noexcept { return to == unknown; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_of(from, word); }
  };

  /// At each state's number: where its description is, how many destinations it has, and these. They stand
  /// by themselves since they are all that most keys need.
  std::vector<std::uint32_t> results_{0};
  /// One after the other, each after its length.
  std::vector<std::uint32_t> descriptions_;
  open_table<state> states_;
  open_table<step> steps_;
  state_id start_ = unknown;
};

}  // namespace levada::routing
