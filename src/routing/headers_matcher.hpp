#pragma once

/// @file
/// Which queues a headers exchange routes to: pure matching, without storage and without Asio.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <levada/record.hpp>

namespace levada::routing {

/// What is wrong with a binding's arguments, as a text for messages, or nothing. `x-match` must be a text,
/// one of all, any, all-with-x and any-with-x; no name may come twice.
[[nodiscard]] std::optional<std::string> flaw_of(std::span<const header> arguments);

/// The bindings of one headers exchange, with RabbitMQ's semantics (rabbit_exchange_type_headers.erl):
///
/// - `x-match` says whether all of the other arguments must be met, or any; without it, all. `all` and `any`
///   skip arguments whose names start with "x-"; `all-with-x` and `any-with-x` skip none but `x-match`.
/// - A message meets an argument by a header of the same name and the same value, or of any value where the
///   argument's is void. Where a name comes again in a message, the first one counts.
/// - `all` of no arguments matches everything, `any` of none nothing.
///
/// Values are equal when type and value are: neither 1 and 1.0 nor a text and the same bytes as binary. -0.0
/// equals 0.0, NaN nothing.
///
/// A message costs a look-up or two for each of its headers, and a comparison with those bindings only that
/// want `any` and find it, or want `all` and find that one of their arguments which is the rarest among the
/// bindings. One thread at a time, but concurrent calls of const members are safe.
class headers_matcher {
 public:
  /// What is bound; the number of a queue.
  using destination = std::uint32_t;

  headers_matcher() = default;
  headers_matcher(headers_matcher&&) noexcept = default;
  headers_matcher& operator=(headers_matcher&&) noexcept = default;
  headers_matcher(const headers_matcher&) = delete;
  headers_matcher& operator=(const headers_matcher&) = delete;
  ~headers_matcher() = default;

  /// False when the binding was there already. Its identity is (key, arguments in any order, destination):
  /// the key decides nothing else. Here NaN is NaN. Precondition: `flaw_of(arguments)` is nothing.
  bool add(std::string_view key, std::span<const header> arguments, destination to);
  /// False when it was not there.
  bool remove(std::string_view key, std::span<const header> arguments, destination to);
  /// Removes each binding of a destination.
  void remove_all(destination to);

  /// Replaces `out` by the destinations of a message, each once, ascending.
  void match(std::span<const header_view> headers, std::vector<destination>& out) const;

  [[nodiscard]] std::size_t size() const noexcept { return bindings_.size(); }

 private:
  struct binding {
    destination to = 0;
    bool any = false;
    std::vector<header> wanted;         // the arguments that count, sorted by name
    std::vector<std::uint64_t> places;  // where it stands in index_
  };

  /// `present` is sorted by name, each name once.
  [[nodiscard]] static bool matches(const binding& b, std::span<const header_view* const> present);
  void enter(binding& b);
  void withdraw(const binding& b);

  /// By destination and the rest of the identity, written as bytes.
  std::map<std::pair<destination, std::string>, binding> bindings_;
  /// By the hash of an argument: the bindings to be compared with a message that meets it. Under the argument
  /// of no name are those that every message meets.
  std::unordered_map<std::uint64_t, std::vector<const binding*>> index_;
};

}  // namespace levada::routing
