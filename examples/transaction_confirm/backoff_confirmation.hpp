#pragma once

#include "confirmation.hpp"

namespace transaction_confirm {

/// The same with what levada's queues do by themselves: the first check comes by a delay of the message, the
/// others by the queue's redelivery delay, and its delivery limit gives up. It takes no exchange, no second
/// queue, no reading of deaths and no moving by hand; the message keeps its place in one queue.
class backoff_confirmation final : public confirmation {
 public:
  backoff_confirmation(levada::bus& bus, std::chrono::milliseconds wait, confirmed_function is_confirmed);

  void submit(const std::string& transaction) override;
  [[nodiscard]] std::uint64_t open() const override;

 private:
  [[nodiscard]] unsigned number_of(const levada::delivery& d) const override;
  void postpone(const levada::delivery& d, unsigned number) override;

  const std::chrono::milliseconds wait_;
};

}  // namespace transaction_confirm
