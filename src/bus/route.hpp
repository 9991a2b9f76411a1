#pragma once

/// @file
/// Messages on their way through an exchange.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bus/core.hpp"
#include "log/row_encoder.hpp"

#include <levada/publishing.hpp>
#include <levada/record.hpp>

namespace levada {

/// Fails with `field_too_long`.
[[nodiscard]] result<void> check_routing_key(std::string_view operation, std::string_view key);

/// A message, ready to be appended to its exchange's log. Its routing key has been checked.
class routed_append {
 public:
  [[nodiscard]] static result<routed_append> make(const core& owner, const topic_slot& exchange,
                                                  std::string_view operation, std::string_view routing_key,
                                                  const record& r);
  [[nodiscard]] const std::string& routing_key() const noexcept { return routing_key_; }
  [[nodiscard]] log::row_encoder& rows() noexcept { return rows_; }

 private:
  routed_append(std::string_view routing_key, std::uint32_t log, std::uint32_t partition)
      : routing_key_{routing_key}, rows_{log, partition} {}
  std::string routing_key_;
  log::row_encoder rows_;
};

/// Appends a message to its exchange's log and references to the queues that it is routed to.
class route_intent final : public intent {
 public:
  route_intent(topic_slot& exchange, routed_append& message)
      : intent{message.rows().bytes()}, exchange_{exchange}, message_{message} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}
  [[nodiscard]] publish_receipt receipt() const;

 private:
  topic_slot& exchange_;
  routed_append& message_;
  std::vector<routing::matcher::destination> queues_;
  std::uint64_t base_offset_ = 0;
  std::int64_t time_ = 0;
  std::size_t routed_ = 0;
};

}  // namespace levada
