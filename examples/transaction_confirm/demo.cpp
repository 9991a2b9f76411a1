#include "demo.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include <common/claim.hpp>
#include <common/run_directory.hpp>

#include "backoff_confirmation.hpp"
#include "chain.hpp"
#include "classic_confirmation.hpp"

namespace transaction_confirm {
namespace {

using example::claim;
using std::chrono::milliseconds;

void tell(std::string_view text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

std::string name_of(std::size_t n) {
  return fmt::format("tx-{}", n + 1);
}

class story {
 public:
  story(const std::filesystem::path& store, const options& o)
      : count_{o.transactions}, wait_{o.wait}, bus_{levada::bus::open(store).value()} {}

  /// Returns the exit status.
  int tell_all() {
    tell(fmt::format("{} transactions are sent; each is checked after {} ms, and up to {} times again.",
                     count_, wait_.count(), retries));
    for (std::size_t n = 0; n < count_; ++n) {
      outside_.send(name_of(n));
      for (confirmation* const way : ways_) way->submit(name_of(n));
    }
    while (classic_.open() + backoff_.open() > 0) {
      for (confirmation* const way : ways_) take_checks(*way);
    }
    for (confirmation* const way : ways_) conclude(*way);
    proof_.push_back(std::move(early_));
    for (const auto& line : render(proof_, "each transaction has ended once, in both ways alike")) tell(line);
    return all_hold(proof_) ? 0 : 1;
  }

 private:
  void take_checks(confirmation& way) {
    constexpr milliseconds turn{20};
    while (const auto made = way.check_next(turn)) {
      const auto since = std::chrono::steady_clock::now() - begun_;
      tell(fmt::format("{:6.2f} s  {:<8} {:<6} {}", std::chrono::duration<double>(since).count(), way.name(),
                       made->transaction,
                       made->confirmed           ? fmt::format("confirmed, check {}", made->number)
                       : made->number <= retries ? fmt::format("not yet, check {}", made->number)
                                                 : "given up"));
      ++checks_;
      // All were sent after it began.
      if (since < made->number * wait_)
        early_.violations.push_back(fmt::format("{}, check {}", made->transaction, made->number));
    }
  }

  void conclude(const confirmation& way) {
    claim c{fmt::format("{}: confirmed is what the chain confirms in time, the rest given up", way.name()),
            {},
            {}};
    const auto confirmed = way.confirmed();
    const auto left = way.given_up();
    const std::set<std::string> given_up{left.begin(), left.end()};
    for (std::size_t n = 0; n < count_; ++n) {
      const std::string name = name_of(n);
      const auto expected = chain::check_of(n);
      const auto found = confirmed.find(name);
      if (found == confirmed.end() ? expected.has_value() : !expected || found->second > *expected)
        c.violations.push_back(fmt::format("{} was confirmed, or not, against expectation", name));
      if (given_up.contains(name) != !expected)
        c.violations.push_back(fmt::format("{} was given up, or not", name));
    }
    if (left.size() != given_up.size()) c.violations.emplace_back("one was given up twice");
    c.evidence = fmt::format("{} confirmed, {} given up", confirmed.size(), given_up.size());
    proof_.push_back(std::move(c));
    early_.evidence = fmt::format("{} checks", checks_);
  }

  const std::size_t count_;
  const milliseconds wait_;
  levada::bus bus_;
  chain outside_{levada::clock::system(), wait_};
  const confirmed_function asks_{[this](const std::string& t) { return outside_.is_confirmed(t); }};
  classic_confirmation classic_{bus_, wait_, asks_};
  backoff_confirmation backoff_{bus_, wait_, asks_};
  confirmation* const ways_[2] = {&classic_, &backoff_};
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::uint64_t checks_ = 0;
  claim early_{"nothing was checked before its time", {}, {}};
  std::vector<claim> proof_;
};

}  // namespace

int run_demo(const options& o) {
  const example::run_directory directory{o.directory, "transaction-confirm"};
  return story{directory.path() / "store", o}.tell_all();
}

}  // namespace transaction_confirm
