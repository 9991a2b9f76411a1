#include "confirmation.hpp"

#include <utility>

namespace transaction_confirm {

confirmation::confirmation(levada::bus& bus, std::string name, confirmed_function is_confirmed)
    : bus_{bus},
      name_{std::move(name)},
      is_confirmed_{std::move(is_confirmed)},
      outcomes_{bus.declare_table(name_ + ".confirmed").value()} {
  bus.declare_queue(given_up_queue()).value();
}

void confirmation::begin() {
  // One at a time: what is not asked for stays where another could take it.
  levada::queue_consumer_options one;
  one.prefetch = 1;
  checks_.emplace(bus_.consume(work_queue(), one).value());
}

std::optional<check> confirmation::check_next(std::chrono::milliseconds timeout) {
  const auto next = checks_->receive(timeout).value();
  if (!next) return std::nullopt;
  check made{std::string{next->record().value()}, number_of(*next), false};
  made.confirmed = is_confirmed_(made.transaction);
  if (made.confirmed) {
    const auto ends = [&](levada::transaction& t) -> levada::result<void> {
      const auto noted = t.put(outcomes_, made.transaction, std::to_string(made.number));
      return noted ? t.ack(*checks_, next->tag()) : noted;
    };
    static_cast<void>(bus_.transact(ends).value());
  } else {
    postpone(*next, made.number);
  }
  return made;
}

std::map<std::string, unsigned> confirmation::confirmed() const {
  std::map<std::string, unsigned> all;
  for (const auto& entry : outcomes_.scan({}).value())
    all.emplace(entry.key.string(0).value_or(""), static_cast<unsigned>(std::stoul(entry.value)));
  return all;
}

std::vector<std::string> confirmation::given_up() const {
  constexpr std::size_t all = 1'000'000;
  std::vector<std::string> names;
  for (const auto& message : bus_.peek(given_up_queue(), all).value()) names.emplace_back(message.value());
  return names;
}

std::uint64_t confirmation::messages_in(const std::string& queue) const {
  return bus_.queue(queue).value().messages;
}

}  // namespace transaction_confirm
