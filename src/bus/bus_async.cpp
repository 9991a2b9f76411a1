// The asynchronous twins of a bus's own calls.

#include <fmt/format.h>

#include <utility>

#include "bus/bus_impl.hpp"
#include "bus/calls.hpp"
#include "bus/route.hpp"

namespace levada {
namespace {

/// A message that nobody waits for.
class submitted_route final : public intent {
 public:
  submitted_route(std::shared_ptr<topic_slot> exchange, routed_append message,
                  pending<publish_receipt> answer)
      : intent{message.rows().bytes()},
        exchange_{std::move(exchange)},
        message_{std::move(message)},
        route_{*exchange_, message_},
        answer_{std::move(answer)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override { return route_.execute(scope); }
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override {
    answer_.answer(outcome ? result<publish_receipt>{route_.receipt()} : outcome.error());
  }

 private:
  const std::shared_ptr<topic_slot> exchange_;
  routed_append message_;
  route_intent route_;
  pending<publish_receipt> answer_;
};

}  // namespace

void bus::start_publish(const std::shared_ptr<impl>& self, std::string_view exchange,
                        std::string_view routing_key, const record& r,
                        detail::completion<publish_receipt> done) {
  const std::string operation = fmt::format("publish to exchange '{}'", exchange);
  pending<publish_receipt> answer{std::move(done), *self->owner};
  auto slot = self->exchange_of(operation, exchange);
  if (!slot) return answer.answer(slot.error());
  if (auto checked = check_routing_key(operation, routing_key); !checked)
    return answer.answer(checked.error());
  auto message = routed_append::make(*self->owner, **slot, operation, routing_key, r);
  if (!message) return answer.answer(message.error());
  self->owner->submit(
      operation, std::make_unique<submitted_route>(std::move(*slot), std::move(*message), std::move(answer)));
}

void bus::start_close(const std::shared_ptr<impl>& self, detail::completion<void> done) {
  const auto answer = std::make_shared<pending<void>>(std::move(done), *self->owner);
  self->owner->start_close([answer](result<void> closed) { answer->answer(std::move(closed)); });
}

template <class T>
void bus::start_call(const std::shared_ptr<impl>& self, std::function<result<T>(bus&)> call,
                     detail::completion<T> done) {
  make_call<T>(
      self->owner,
      [self, call = std::move(call)] {
        bus handle{self};
        auto outcome = call(handle);
        handle.impl_.reset();  // the host's handle closes the bus, not this one
        return outcome;
      },
      std::move(done));
}

template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<void>(bus&)>,
                              detail::completion<void>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<levada::topic>(bus&)>,
                              detail::completion<levada::topic>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<consumer>(bus&)>,
                              detail::completion<consumer>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<queue_consumer>(bus&)>,
                              detail::completion<queue_consumer>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<anonymous_queue>(bus&)>,
                              detail::completion<anonymous_queue>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<levada::table>(bus&)>,
                              detail::completion<levada::table>);
template void bus::start_call(const std::shared_ptr<impl>&, std::function<result<backup_report>(bus&)>,
                              detail::completion<backup_report>);

}  // namespace levada
