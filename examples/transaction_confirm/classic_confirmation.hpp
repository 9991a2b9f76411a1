#pragma once

#include "confirmation.hpp"

namespace transaction_confirm {

/// The way that is well known from RabbitMQ: a direct exchange, a work queue, and a waiting queue that nobody
/// consumes. In that, messages expire after one wait and go, as dead letters, to the work queue; from there,
/// rejected, back to the waiting queue. A message remembers how often it has expired: so often it has been
/// checked. After the last check the program itself moves it to where given-up ones are.
class classic_confirmation final : public confirmation {
 public:
  classic_confirmation(levada::bus& bus, std::chrono::milliseconds wait, confirmed_function is_confirmed);

  void submit(const std::string& transaction) override;
  [[nodiscard]] std::uint64_t open() const override;

 private:
  [[nodiscard]] unsigned number_of(const levada::delivery& d) const override;
  void postpone(const levada::delivery& d, unsigned number) override;
};

}  // namespace transaction_confirm
