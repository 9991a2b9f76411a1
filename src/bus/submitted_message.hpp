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
  submitted_message(addressed_message message, const publish_options& options, Done done)
      : intent{message.content.rows().bytes()},
        message_{std::move(message)},
        route_{*message_.exchange, message_.content, options},
        done_{std::move(done)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override { return route_.execute(scope); }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    done_(outcome ? result<publish_receipt>{route_.receipt()} : outcome.error());
  }

 private:
  addressed_message message_;
  route_intent route_;
  Done done_;
};

/// The same of several: `result<std::vector<publish_receipt>>`.
template <class Done>
class submitted_messages final : public intent {
 public:
  submitted_messages(routed_messages messages, Done done)
      : intent{messages.bytes()}, messages_{std::move(messages)}, done_{std::move(done)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override { return messages_.execute(scope); }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    done_(outcome ? result<std::vector<publish_receipt>>{messages_.receipts()} : outcome.error());
  }

 private:
  routed_messages messages_;
  Done done_;
};

/// Publishes to an exchange, some time. `done` is told what has become of it, perhaps within the call.
template <class Done>
void submit_message(core& owner, std::string_view exchange, std::string_view routing_key, const record& r,
                    const publish_options& options, Done done) {
  const std::string operation = fmt::format("publish to exchange '{}'", exchange);
  auto message = [&]() -> result<addressed_message> {
    if (auto entered = owner.enter(operation); !entered) return entered.error();
    return address(owner, operation, exchange, routing_key, r, options);
  }();
  if (!message) return done(message.error());
  owner.submit(operation,
               std::make_unique<submitted_message<Done>>(std::move(*message), options, std::move(done)));
}

template <class Done>
void submit_messages(core& owner, std::span<const message> messages, const publish_options& options,
                     Done done) {
  const std::string operation = "publish messages";
  auto made = [&]() -> result<routed_messages> {
    if (auto entered = owner.enter(operation); !entered) return entered.error();
    return routed_messages::make(owner, operation, messages, options);
  }();
  if (!made) return done(made.error());
  owner.submit(operation, std::make_unique<submitted_messages<Done>>(std::move(*made), std::move(done)));
}

}  // namespace levada
