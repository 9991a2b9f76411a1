#include "classic_confirmation.hpp"

#include <utility>

namespace transaction_confirm {
namespace {

constexpr const char* exchange = "classic";
constexpr const char* waiting_queue = "classic.waiting";
// Routing keys.
constexpr const char* to_wait = "wait";
constexpr const char* to_check = "check";

}  // namespace

classic_confirmation::classic_confirmation(levada::bus& bus, std::chrono::milliseconds wait,
                                           confirmed_function is_confirmed)
    : confirmation{bus, "classic", std::move(is_confirmed)} {
  levada::exchange_options direct;
  direct.type = levada::exchange_type::direct;
  bus.declare_exchange(exchange, direct).value();
  levada::queue_options waiting;
  waiting.message_ttl = wait;
  waiting.dead_letter_exchange = exchange;
  waiting.dead_letter_routing_key = to_check;
  bus.declare_queue(waiting_queue, waiting).value();
  bus.bind(exchange, waiting_queue, to_wait).value();
  levada::queue_options work;
  work.dead_letter_exchange = exchange;
  work.dead_letter_routing_key = to_wait;
  bus.declare_queue(work_queue(), work).value();
  bus.bind(exchange, work_queue(), to_check).value();
  begin();
}

void classic_confirmation::submit(const std::string& transaction) {
  static_cast<void>(bus().publish(exchange, to_wait, levada::record{transaction}).value());
}

unsigned classic_confirmation::number_of(const levada::delivery& d) const {
  for (const levada::death& death : levada::deaths_of(d.record())) {
    if (death.queue == waiting_queue) return static_cast<unsigned>(death.count);
  }
  return 0;
}

void classic_confirmation::postpone(const levada::delivery& d, unsigned number) {
  if (number <= retries) return checks().nack(d, levada::requeue::no).value();
  const auto gives_up = [&](levada::transaction& t) -> levada::result<void> {
    const auto moved = t.publish("", given_up_queue(), levada::record{std::string{d.record().value()}});
    return moved ? t.ack(checks(), d.tag()) : moved;
  };
  static_cast<void>(bus().transact(gives_up).value());
}

std::uint64_t classic_confirmation::open() const {
  return messages_in(waiting_queue) + messages_in(work_queue());
}

}  // namespace transaction_confirm
