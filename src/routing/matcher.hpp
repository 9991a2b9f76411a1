#pragma once

/// @file
/// Which queues an exchange routes to: pure matching, without storage and without Asio.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <levada/options.hpp>

namespace levada::routing {

/// The bindings of one exchange. Concurrent calls of const members are safe.
class matcher {
 public:
  /// What is bound; the number of a queue.
  using destination = std::uint32_t;

  explicit matcher(exchange_type type) noexcept : type_{type} {}

  /// False when the binding was there already.
  bool add(std::string_view key, destination to);
  /// False when it was not there.
  bool remove(std::string_view key, destination to);
  void remove_all(destination to);

  /// Replaces `out` by the destinations of a message, each once, ascending. For a topic exchange the patterns
  /// are a trie over words, walked with the set of places that the words so far can lead to: time is bounded
  /// by (words of the key) x (nodes of the trie that can match), whatever the number of `#`.
  void match(std::string_view routing_key, std::vector<destination>& out) const;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  /// A place in the trie. Children under "*" and "#" stand apart, so that matching need not look for them.
  struct node {
    std::map<std::string, std::unique_ptr<node>, std::less<>> words;
    std::unique_ptr<node> star;
    std::unique_ptr<node> hash;
    std::vector<destination> here;  // sorted

    [[nodiscard]] bool empty() const noexcept { return words.empty() && !star && !hash && here.empty(); }
  };

  [[nodiscard]] static std::unique_ptr<node>* child(node& parent, std::string_view word, bool create);
  bool remove_path(node& at, const std::vector<std::string_view>& words, std::size_t i, destination to);
  static std::size_t remove_everywhere(node& at, destination to);
  void match_topic(std::string_view routing_key, std::vector<destination>& out) const;

  exchange_type type_;
  std::size_t size_ = 0;
  /// Bindings of direct and fanout exchanges, by key.
  std::map<std::string, std::vector<destination>, std::less<>> by_key_;
  node root_;
};

}  // namespace levada::routing
