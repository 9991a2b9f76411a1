#pragma once

/// @file
/// What a transaction consists of, beside table writes: publishing, offsets, settlements.

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "bus/core.hpp"

#include <levada/publishing.hpp>

namespace levada {

/// One thing that a transaction does. Made when it is called for, and executed within the commit.
class transaction_part {
 public:
  transaction_part() = default;
  virtual ~transaction_part() = default;
  transaction_part(const transaction_part&) = delete;
  transaction_part& operator=(const transaction_part&) = delete;

  /// Once it is about to be executed, with the bus in use until it is decided.
  [[nodiscard]] virtual result<void> prepare() { return {}; }
  /// As an intent's.
  [[nodiscard]] virtual result<void> execute(commit_scope& scope) = 0;
  /// Once it is decided, in whatever thread; also where it was never prepared.
  virtual void decided(bool /*committed*/) noexcept {}
  /// After a commit, in the thread of the transaction.
  virtual void noted() {}
  /// After a commit, where it has published.
  [[nodiscard]] virtual std::optional<publish_receipt> receipt() const { return std::nullopt; }
  /// Bytes that it adds to the store.
  [[nodiscard]] virtual std::size_t bytes() const noexcept { return 0; }
};

/// A record for a topic.
[[nodiscard]] result<std::unique_ptr<transaction_part>> make_append_part(
    const core& owner, std::shared_ptr<topic_slot> topic, std::optional<partition_id> partition,
    const record& r);
/// A message for an exchange.
[[nodiscard]] result<std::unique_ptr<transaction_part>> make_route_part(const core& owner,
                                                                        std::string_view exchange,
                                                                        std::string_view routing_key,
                                                                        const record& r,
                                                                        const publish_options& options);

}  // namespace levada
