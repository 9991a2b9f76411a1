#pragma once

/// @file
/// Which queues an exchange routes to: pure matching, without storage and without Asio.

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/open_table.hpp"
#include "routing/walk_memo.hpp"
#include "routing/word_table.hpp"

#include <levada/options.hpp>

namespace levada::routing {

/// The bindings of one direct, fanout or topic exchange: any number of them. Adding or removing one costs
/// what its key has of words, the logarithm of the number of bindings, and, for a topic exchange, that
/// matching remembers nothing afterwards. One thread at a time, but concurrent calls of const members are
/// safe.
class matcher {
 public:
  /// What is bound; the number of a queue.
  using destination = std::uint32_t;

  explicit matcher(exchange_type type) : type_{type} {}

  /// False when the binding was there already.
  bool add(std::string_view key, destination to);
  /// False when it was not there.
  bool remove(std::string_view key, destination to);
  /// Removes each binding of a destination, at the cost of removing these alone.
  void remove_all(destination to);

  /// Replaces `out` by the destinations of a message, each once, ascending. For a topic exchange, what words
  /// lead to is remembered, in at most about 1 MiB and 512 bytes a binding, so that most keys cost two
  /// look-ups a word.
  void match(std::string_view routing_key, std::vector<destination>& out);

  /// The same without a memory. For a topic exchange the patterns are a trie over words, walked with the set
  /// of places that the words so far can lead to: time is bounded by (words of the key) x (nodes of the trie
  /// that can match), whatever the number of `#`.
  void match_afresh(std::string_view routing_key, std::vector<destination>& out) const;

  [[nodiscard]] std::size_t size() const noexcept { return bindings_.size(); }

 private:
  class walk;

  using node_id = std::uint32_t;
  static constexpr node_id root = 0;
  static constexpr node_id none = root;  // the root is nobody's child
  // Steps that are no word.
  static constexpr word_id star = 0xFFFF'FFFE;
  static constexpr word_id hash = 0xFFFF'FFFF;

  /// A place in the trie; a cache line. Children under "*" and "#" stand apart, so that matching need not
  /// look for them, and so does one of the others: most nodes have no more.
  struct alignas(64) node {
    node_id parent = none;
    word_id step = word_table::unknown;  // from the parent to here
    node_id under_star = none;
    node_id under_hash = none;
    word_id word = word_table::unknown;  // the step to the child below
    node_id under_word = none;
    std::uint32_t children_elsewhere = 0;  // under further words, in edges_
    /// Whether a "#" stands before it in the pattern; without one it is reached once at most.
    bool behind_hash = false;
    std::vector<destination> here;  // sorted

    [[nodiscard]] std::uint32_t children() const noexcept {
      return children_elsewhere + (under_star != none ? 1U : 0U) + (under_word != none ? 1U : 0U);
    }
    [[nodiscard]] bool empty() const noexcept {
      return here.empty() && under_hash == none && children() == 0;
    }
  };

  struct edge {
    node_id parent = none;
    word_id word = word_table::unknown;
    node_id child = none;

    [[nodiscard]] static std::uint64_t hash_of(node_id parent, word_id word) noexcept {
      return std::uint64_t{parent} << 32U | word;
    }
    [[nodiscard]] bool vacant() const noexcept { return child == none; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_of(parent, word); }
  };

  [[nodiscard]] node_id child(node_id parent, word_id step) const;
  /// Makes it where there is none. `text` is the step's.
  [[nodiscard]] node_id make_child(node_id parent, word_id step, std::string_view text);
  [[nodiscard]] const edge* find_edge(node_id parent, word_id word) const;
  /// Calls `each(step, text)` for the steps from the root to where a binding stands.
  template <class Each>
  void for_each_step(std::string_view key, Each each) const;
  /// Removes what is left at a node of a binding that is no longer among bindings_.
  void withdraw(node_id at, destination to);
  /// Removes nodes that lead nowhere, from this one up.
  void prune(node_id at);
  void detach(node_id at);
  [[nodiscard]] bool bound(destination to) const;
  void match_topic(std::string_view routing_key, std::vector<destination>& out) const;
  /// False when the key leads to something too large to be remembered.
  [[nodiscard]] bool match_by_memo(std::string_view routing_key, std::vector<destination>& out);
  [[nodiscard]] walk_memo::state_id learn_start();
  /// Where the word leads from a state; to be walked for the first time. `too_large` also when there is too
  /// much to remember: then all is forgotten.
  [[nodiscard]] walk_memo::state_id learn(walk_memo::state_id from, word_id word);
  /// Where a walk stands that has found `found` so far; ends it.
  [[nodiscard]] walk_memo::state_id remember(walk& w, std::vector<destination>& found);

  static constexpr std::size_t description_max = 96;  // numbers; beyond, making a state costs too much
  static constexpr std::size_t memo_bytes_min = std::size_t{1} << 20;
  static constexpr std::size_t memo_bytes_per_binding = 512;

  exchange_type type_;
  /// Where each destination's bindings stand.
  std::set<std::pair<destination, node_id>> bindings_;
  std::vector<destination> everyone_;  // of a fanout exchange, sorted
  word_table words_;
  std::vector<node> nodes_{1};
  std::vector<node_id> free_;
  open_table<edge> edges_;
  walk_memo memo_;  // of a topic exchange, since the last change
};

}  // namespace levada::routing
