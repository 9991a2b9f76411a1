#include "bus/transaction_part.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "bus/append.hpp"
#include "bus/find.hpp"
#include "bus/route.hpp"

namespace levada {
namespace {

class append_part final : public transaction_part {
 public:
  append_part(std::shared_ptr<topic_slot> topic, single_append content)
      : topic_{std::move(topic)},
        content_{std::move(content)},
        intent_{*topic_, content_.rows(), content_.bytes()} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return intent_.execute(scope); }
  [[nodiscard]] std::optional<publish_receipt> receipt() const override { return content_.receipt(intent_); }
  [[nodiscard]] std::size_t bytes() const noexcept override { return content_.bytes(); }

 private:
  std::shared_ptr<topic_slot> topic_;
  single_append content_;
  append_intent intent_;
};

class route_part final : public transaction_part {
 public:
  route_part(addressed_message message, const publish_options& options)
      : message_{std::move(message)}, intent_{*message_.exchange, message_.content, options} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return intent_.execute(scope); }
  [[nodiscard]] std::optional<publish_receipt> receipt() const override { return intent_.receipt(); }
  [[nodiscard]] std::size_t bytes() const noexcept override { return intent_.cost(); }

 private:
  addressed_message message_;
  route_intent intent_;
};

}  // namespace

result<std::unique_ptr<transaction_part>> make_append_part(const core& owner,
                                                           std::shared_ptr<topic_slot> topic,
                                                           std::optional<partition_id> partition,
                                                           const record& r) {
  auto content = single_append::make(owner, *topic, partition, r);
  if (!content) return content.error();
  return std::unique_ptr<transaction_part>{
      std::make_unique<append_part>(std::move(topic), std::move(*content))};
}

result<std::unique_ptr<transaction_part>> make_route_part(const core& owner, std::string_view exchange,
                                                          std::string_view routing_key, const record& r,
                                                          const publish_options& options) {
  const std::string operation = fmt::format("publish to exchange '{}'", exchange);
  auto message = address(owner, operation, exchange, routing_key, r, options);
  if (!message) return message.error();
  return std::unique_ptr<transaction_part>{std::make_unique<route_part>(std::move(*message), options)};
}

}  // namespace levada
