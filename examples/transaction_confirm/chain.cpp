#include "chain.hpp"

namespace transaction_confirm {

std::optional<std::int64_t> chain::takes(std::size_t n) {
  switch (n % 8) {
    case 3:
      return 1'500;
    case 5:
      return 3'500;
    case 6:
      return std::nullopt;
    case 7:
      return 2'500;
    default:
      return 200;
  }
}

std::optional<unsigned> chain::check_of(std::size_t n) {
  const auto thousandths = takes(n);
  if (!thousandths) return std::nullopt;
  return static_cast<unsigned>(*thousandths / 1'000 + 1);
}

void chain::send(const std::string& transaction) {
  const auto thousandths = takes(confirmed_at_.size());
  auto& when = confirmed_at_[transaction];
  if (thousandths) when = time_->steady() + wait_ * *thousandths / 1'000;
}

bool chain::is_confirmed(const std::string& transaction) const {
  const auto found = confirmed_at_.find(transaction);
  return found != confirmed_at_.end() && found->second && *found->second <= time_->steady();
}

}  // namespace transaction_confirm
