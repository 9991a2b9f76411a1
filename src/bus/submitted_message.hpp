#pragma once

/// @file
/// Messages that nobody waits for.

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "bus/find.hpp"
#include "bus/route.hpp"

namespace levada {

/// Tells `Done`, which must neither wait nor run code of the host, the `result<publish_receipt>`.
template <class Done>
class submitted_message final : public intent {
 public:
  submitted_message(std::shared_ptr<topic_slot> exchange, routed_append message, Done done)
      : intent{message.rows().bytes()},
        exchange_{std::move(exchange)},
        message_{std::move(message)},
        route_{*exchange_, message_},
        done_{std::move(done)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override { return route_.execute(scope); }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    done_(outcome ? result<publish_receipt>{route_.receipt()} : outcome.error());
  }

 private:
  const std::shared_ptr<topic_slot> exchange_;
  routed_append message_;
  route_intent route_;
  Done done_;
};

/// Publishes to an exchange, some time. `done` is told what has become of it, perhaps within the call.
template <class Done>
void submit_message(core& owner, std::string_view exchange, std::string_view routing_key, const record& r,
                    Done done) {
  const std::string operation = fmt::format("publish to exchange '{}'", exchange);
  const auto slot = [&]() -> result<std::shared_ptr<topic_slot>> {
    if (auto entered = owner.enter(operation); !entered) return entered.error();
    return find_exchange(owner, operation, exchange);
  }();
  if (!slot) return done(slot.error());
  if (auto checked = check_routing_key(operation, routing_key); !checked) return done(checked.error());
  auto message = routed_append::make(owner, **slot, operation, routing_key, r);
  if (!message) return done(message.error());
  owner.submit(operation,
               std::make_unique<submitted_message<Done>>(*slot, std::move(*message), std::move(done)));
}

}  // namespace levada
