#include "backoff_confirmation.hpp"

#include <utility>

namespace transaction_confirm {

backoff_confirmation::backoff_confirmation(levada::bus& bus, std::chrono::milliseconds wait,
                                           confirmed_function is_confirmed)
    : confirmation{bus, "backoff", std::move(is_confirmed)}, wait_{wait} {
  levada::queue_options work;
  work.redelivery_delay = levada::redelivery_delay{.first = wait};
  work.delivery_limit = retries;
  work.dead_letter_exchange = "";
  work.dead_letter_routing_key = given_up_queue();
  bus.declare_queue(work_queue(), work).value();
  begin();
}

void backoff_confirmation::submit(const std::string& transaction) {
  static_cast<void>(bus().publish("", work_queue(), levada::record{transaction}, {.delay = wait_}).value());
}

unsigned backoff_confirmation::number_of(const levada::delivery& d) const {
  return d.delivery_count().value_or(0);
}

void backoff_confirmation::postpone(const levada::delivery& d, unsigned /*number*/) {
  checks().nack(d, levada::requeue::yes).value();
}

std::uint64_t backoff_confirmation::open() const {
  std::uint64_t delayed = 0;
  constexpr std::size_t all = 1'000'000;
  for (const auto& message : bus().delayed(all).value()) delayed += message.exchange.empty() ? 1 : 0;
  return delayed + messages_in(work_queue());
}

}  // namespace transaction_confirm
