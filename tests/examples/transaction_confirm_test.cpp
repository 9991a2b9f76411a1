#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include <transaction_confirm/backoff_confirmation.hpp>
#include <transaction_confirm/chain.hpp>
#include <transaction_confirm/classic_confirmation.hpp>

#include "program.hpp"

namespace transaction_confirm {
namespace {

using levada::test::ok;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr milliseconds wait{5'000};
/// Ends a test that hangs, when it comes to that; the clock does not move while a test waits.
constexpr milliseconds until_it_comes = std::chrono::hours{1};

template <class Way>
class TransactionConfirm : public ::testing::Test {
 protected:
  TransactionConfirm() { open(); }
  void open() {
    levada::bus_options options;
    options.clock = clock_;
    options.maintenance = levada::maintenance_mode::on_call;
    bus_.emplace(ok(levada::bus::open(directory_ / "store", options)));
    way_.emplace(*bus_, wait, [this](const std::string& t) { return outside_.is_confirmed(t); });
  }
  /// As if the host was started anew; the chain goes on.
  void reopen() {
    way_.reset();
    bus_.reset();
    open();
  }
  [[nodiscard]] confirmation& way() { return *way_; }
  [[nodiscard]] levada::manual_clock& clock() { return *clock_; }
  static std::string name_of(std::size_t n) { return "tx-" + std::to_string(n); }
  void send(std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) {
      outside_.send(name_of(n));
      way().submit(name_of(n));
    }
  }
  /// How many are checked for the n-th time, of so many, with so much time from check to check.
  static std::size_t due_at(unsigned number, std::size_t count, milliseconds every = wait) {
    const milliseconds last_check = (number - 1) * every;
    std::size_t due = 0;
    for (std::size_t n = 0; n < count; ++n) {
      const auto thousandths = chain::takes(n);
      due += !thousandths || wait * *thousandths / 1'000 > last_check ? 1 : 0;
    }
    return due;
  }
  /// Those that come now, which are so many.
  std::vector<check> take(std::size_t count) {
    std::vector<check> made;
    while (made.size() < count) {
      auto next = way().check_next(until_it_comes);
      if (!next) {
        ADD_FAILURE() << "nothing comes";
        break;
      }
      made.push_back(std::move(*next));
    }
    EXPECT_FALSE(way().check_next(milliseconds{0})) << "no other is due";
    return made;
  }
  /// What has been given up leaves its queue by itself.
  void wait_until_closed() {
    while (way().open() > 0) std::this_thread::yield();
  }

 private:
  levada::test::temporary_directory directory_;
  std::shared_ptr<levada::manual_clock> clock_ = std::make_shared<levada::manual_clock>();
  chain outside_{clock_, wait};
  std::optional<levada::bus> bus_;
  std::optional<Way> way_;
};
using ways = ::testing::Types<classic_confirmation, backoff_confirmation>;
TYPED_TEST_SUITE(TransactionConfirm, ways);

TYPED_TEST(TransactionConfirm, ChecksEachAfterTheWaitAndNotBefore) {
  this->send(1);
  this->clock().advance(wait - milliseconds{1});
  EXPECT_FALSE(this->way().check_next(milliseconds{0}));
  this->clock().advance(milliseconds{1});
  const auto made = this->take(1);
  EXPECT_EQ(made[0].transaction, "tx-0");
  EXPECT_EQ(made[0].number, 1U);
  EXPECT_TRUE(made[0].confirmed);
  EXPECT_THAT(this->way().confirmed(), ElementsAre(Pair("tx-0", 1U)));
  EXPECT_EQ(this->way().open(), 0U);
}

TYPED_TEST(TransactionConfirm, ChecksAgainUpToThreeTimesAndGivesUpThen) {
  constexpr std::size_t count = 16;
  this->send(count);
  for (unsigned number = 1; number <= 1 + retries; ++number) {
    this->clock().advance(wait);
    for (const check& made : this->take(this->due_at(number, count))) EXPECT_EQ(made.number, number);
  }
  this->wait_until_closed();
  std::map<std::string, unsigned> expected;
  std::vector<std::string> never;
  for (std::size_t n = 0; n < count; ++n) {
    if (const auto number = chain::check_of(n)) {
      expected.emplace(this->name_of(n), *number);
    } else {
      never.push_back(this->name_of(n));
    }
  }
  EXPECT_EQ(this->way().confirmed(), expected);
  EXPECT_EQ(this->way().given_up(), never);
  this->clock().advance(10 * wait);
  EXPECT_FALSE(this->way().check_next(milliseconds{0}));
}

TYPED_TEST(TransactionConfirm, GoesOnWhenTheHostIsStartedAnew) {
  this->send(8);
  this->reopen();
  EXPECT_EQ(this->way().open(), 8U);
  this->clock().advance(wait);
  static_cast<void>(this->take(8));
  const auto left = this->way().open();
  EXPECT_EQ(left, this->due_at(2, 8));
  this->reopen();
  EXPECT_EQ(this->way().open(), left);
  // A wait that the host has not seen to its end may last until the next full second.
  this->clock().advance(wait + std::chrono::seconds{1});
  for (const check& made : this->take(left)) EXPECT_EQ(made.number, 2U);
}

TYPED_TEST(TransactionConfirm, GivesUpAlsoWhenTheHostIsStartedAnewAfterEachCheck) {
  constexpr milliseconds every = wait + std::chrono::seconds{1};
  this->send(7);
  for (unsigned number = 1; number <= 1 + retries; ++number) {
    this->clock().advance(every);
    static_cast<void>(this->take(this->due_at(number, 7, every)));
    this->reopen();
  }
  this->wait_until_closed();
  EXPECT_THAT(this->way().given_up(), ElementsAre("tx-6"));
  EXPECT_EQ(this->way().confirmed().size(), 6U);
}

TEST(TransactionConfirmProgram, ProvesThatBothWaysComeToTheSame) {
  const auto end = levada::test::run({TRANSACTION_CONFIRM_PROGRAM, "--wait", "60"});
  EXPECT_EQ(end.status, 0) << end.said;
  EXPECT_THAT(end.said, HasSubstr("PROVED: each transaction has ended once, in both ways alike"));
}

TEST(TransactionConfirmProgram, RefusesAWrongCommandLine) {
  EXPECT_EQ(levada::test::run({TRANSACTION_CONFIRM_PROGRAM, "--wait", "5"}).status, 2);
  EXPECT_EQ(levada::test::run({TRANSACTION_CONFIRM_PROGRAM, "--transactions", "0"}).status, 2);
  EXPECT_EQ(levada::test::run({TRANSACTION_CONFIRM_PROGRAM, "more"}).status, 2);
  EXPECT_THAT(levada::test::run({TRANSACTION_CONFIRM_PROGRAM, "--help"}).said, HasSubstr("--transactions"));
}

}  // namespace
}  // namespace transaction_confirm
