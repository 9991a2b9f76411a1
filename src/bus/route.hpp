#pragma once

/// @file
/// Messages on their way through an exchange.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "bus/dispatch.hpp"
#include "log/row_encoder.hpp"
#include "queue/queue_blocks.hpp"

#include <levada/explanation.hpp>
#include <levada/options.hpp>
#include <levada/publishing.hpp>
#include <levada/record.hpp>

namespace levada {

/// Fails with `field_too_long`.
[[nodiscard]] result<void> check_routing_key(std::string_view operation, std::string_view key);

/// A message, ready to be appended to its exchange's log. Its routing key has been checked.
class routed_append {
 public:
  /// Fails with `record_too_large` beyond `bytes_max`.
  [[nodiscard]] static result<routed_append> make(const topic_slot& exchange, std::string_view operation,
                                                  std::string_view routing_key, const record& r,
                                                  std::optional<std::size_t> bytes_max);
  [[nodiscard]] const std::string& routing_key() const noexcept { return routing_key_; }
  /// As encoded.
  [[nodiscard]] const std::string& extras() const noexcept { return extras_; }
  [[nodiscard]] log::row_encoder& rows() noexcept { return rows_; }
  /// What limits of queues count.
  [[nodiscard]] std::uint32_t value_bytes() const noexcept { return value_bytes_; }
  [[nodiscard]] const std::optional<std::chrono::milliseconds>& expiration() const noexcept {
    return expiration_;
  }
  [[nodiscard]] std::uint8_t priority() const noexcept { return priority_; }
  /// Under which there is to be a ticket; empty: none.
  [[nodiscard]] const std::string& tracked_as() const noexcept { return tracked_as_; }
  void track_as(const std::string& message_id) { tracked_as_ = message_id; }
  /// Why it is published, for the flow ledger; null: not known.
  [[nodiscard]] const flow_cause* cause() const noexcept { return cause_.get(); }
  void set_cause(std::shared_ptr<const flow_cause> cause) noexcept { cause_ = std::move(cause); }
  /// The entry of queues that it is routed to, once it stands at this offset.
  [[nodiscard]] queue::reference reference_at(std::uint64_t offset) const noexcept {
    return {rows_.log(), static_cast<std::uint16_t>(rows_.partition()), 0, offset, 0, value_bytes_};
  }

 private:
  routed_append(std::string_view routing_key, std::string extras, log::row_encoder rows, const record& r);
  std::string routing_key_;
  std::string extras_;
  std::string tracked_as_;
  std::shared_ptr<const flow_cause> cause_;
  log::row_encoder rows_;
  std::uint32_t value_bytes_ = 0;
  std::optional<std::chrono::milliseconds> expiration_;
  std::uint8_t priority_ = 0;
};

/// A message, and where it goes.
struct addressed_message {
  std::shared_ptr<topic_slot> exchange;
  routed_append content;
};
/// For who has entered the bus. Fails with all that can be known before a commit.
[[nodiscard]] result<addressed_message> address(const core& owner, std::string_view operation,
                                                std::string_view exchange, std::string_view routing_key,
                                                const record& r, const publish_options& options);

/// Appends a message to its exchange's log and references to the queues that it is routed to.
class route_intent final : public intent {
 public:
  route_intent(topic_slot& exchange, routed_append& message, const publish_options& options)
      : intent{message.rows().bytes()}, exchange_{exchange}, message_{message}, options_{options} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}
  [[nodiscard]] publish_receipt receipt() const;
  /// What `execute` would do now; writes nothing.
  [[nodiscard]] explanation explain(commit_scope& scope);

 private:
  // These write nothing.
  [[nodiscard]] result<void> plan(commit_scope& scope, std::vector<routing_step>* steps = nullptr);
  [[nodiscard]] result<std::int64_t> delay(routed_message& facts) const;  // in milliseconds

  [[nodiscard]] result<void> write(commit_scope& scope);
  [[nodiscard]] result<void> note(commit_scope& scope, std::int64_t due);

  topic_slot& exchange_;
  routed_append& message_;
  const publish_options options_;
  reached_queues queues_;
  std::int64_t delay_ = 0;  // in milliseconds
  std::optional<timestamp> due_;
  std::uint64_t base_offset_ = 0;
  std::int64_t time_ = 0;
};

/// Several messages, all of which are routed or none.
class routed_messages {
 public:
  [[nodiscard]] static result<routed_messages> make(const core& owner, const std::string& operation,
                                                    std::span<const message> messages,
                                                    const publish_options& options);
  routed_messages(routed_messages&&) noexcept = default;

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] result<void> execute(commit_scope& scope);
  [[nodiscard]] std::vector<publish_receipt> receipts() const;

 private:
  struct one {
    addressed_message what;
    route_intent route;

    one(addressed_message m, const publish_options& options)
        : what{std::move(m)}, route{*what.exchange, what.content, options} {}
  };
  routed_messages() = default;
  [[nodiscard]] result<void> add(const core& owner, const std::string& operation, const message& m,
                                 const publish_options& options);
  std::vector<std::unique_ptr<one>> all_;
  std::size_t bytes_ = 0;
};

class routed_messages_intent final : public intent {
 public:
  explicit routed_messages_intent(routed_messages& messages)
      : intent{messages.bytes()}, messages_{messages} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return messages_.execute(scope); }
  void applied(commit_scope&) noexcept override {}

 private:
  routed_messages& messages_;
};

}  // namespace levada
