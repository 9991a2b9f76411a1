#include "storage/signal_page.hpp"

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <type_traits>

#include <support/child_process.hpp>

#include "storage_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::signal_page;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<signal_page> && std::is_move_constructible_v<signal_page> &&
              std::is_move_assignable_v<signal_page>);

/// Far beyond what a wake-up takes: a wait that lasts so long was never woken.
constexpr std::chrono::milliseconds never = 60s;

class SignalPage : public ::testing::Test {
 protected:
  SignalPage() { ok(signal_page::create(file())); }

  [[nodiscard]] fs::path file() const { return directory_ / "signal"; }
  [[nodiscard]] signal_page open() const { return ok(signal_page::open(file())); }

  /// Takes turns with somebody who does the same with the other parity: announces its own commits and waits
  /// for the other's in between. Returns false when a wait ran out.
  static bool take_turns(signal_page& page, std::uint32_t parity, std::uint32_t commits) {
    const auto start = std::chrono::steady_clock::now();
    for (std::uint32_t now = page.commits(); now < commits; now = page.commits()) {
      if (now % 2 == parity) {
        page.announce();
      } else {
        page.wait(now, never);
        if (std::chrono::steady_clock::now() - start > never) return false;
      }
    }
    return true;
  }

 private:
  temporary_directory directory_;
};

TEST_F(SignalPage, CountsAnnouncedCommits) {
  auto page = open();
  EXPECT_EQ(page.commits(), 0U);
  page.announce();
  page.announce();
  EXPECT_EQ(page.commits(), 2U);
  EXPECT_EQ(open().commits(), 2U) << "shared by all who have it open";
}

TEST_F(SignalPage, CountsOnBehindTheLargestNumber) {
  const std::uint32_t largest = ~std::uint32_t{0};
  std::fstream out{file(), std::ios::in | std::ios::out | std::ios::binary};
  out.write(reinterpret_cast<const char*>(&largest), sizeof largest);
  out.close();
  auto page = open();
  EXPECT_EQ(page.commits(), largest);
  page.announce();
  EXPECT_EQ(page.commits(), 0U);
  page.wait(largest, never);
}

TEST_F(SignalPage, ReturnsAtOnceWhenThereIsSomethingNew) {
  auto page = open();
  page.announce();
  const auto start = std::chrono::steady_clock::now();
  page.wait(0, never);
  page.wait(17, never);
  EXPECT_LT(std::chrono::steady_clock::now() - start, never);
}

TEST_F(SignalPage, WaitsNoLongerThanItsTimeOut) {
  auto page = open();
  const auto start = std::chrono::steady_clock::now();
  page.wait(0, 0ms);
  EXPECT_LT(std::chrono::steady_clock::now() - start, never);
  for (int i = 0; i < 3; ++i) {  // it may return early, but hardly thrice
    const auto begin = std::chrono::steady_clock::now();
    page.wait(0, 30ms);
    if (std::chrono::steady_clock::now() - begin >= 30ms) return;
  }
  FAIL() << "it does not wait at all";
}

TEST_F(SignalPage, WakesAnotherThread) {
  auto page = open();
  constexpr std::uint32_t commits = 4000;
  std::atomic<bool> woken = false;
  std::thread other{[&] { woken = take_turns(page, 1, commits); }};
  EXPECT_TRUE(take_turns(page, 0, commits));
  other.join();
  EXPECT_TRUE(woken);
}

TEST_F(SignalPage, WakesAnotherProcess) {
  constexpr std::uint32_t commits = 4000;
  child_process other{[&](const auto&) {
    auto page = open();
    return take_turns(page, 1, commits) ? 0 : 1;
  }};
  auto page = open();
  EXPECT_TRUE(take_turns(page, 0, commits));
  EXPECT_EQ(other.wait(), 0);
}

TEST_F(SignalPage, WakesAllWhoWait) {
  auto page = open();
  constexpr std::uint32_t commits = 500;
  std::atomic<std::uint32_t> seen[3] = {0, 0, 0};
  std::atomic<bool> late = false;
  std::vector<std::thread> waiters;
  for (auto& mine : seen) {
    waiters.emplace_back([&] {
      const auto start = std::chrono::steady_clock::now();
      while (mine < commits) {
        page.wait(mine, never);
        mine = page.commits();
      }
      if (std::chrono::steady_clock::now() - start > never) late = true;
    });
  }
  for (std::uint32_t n = 1; n <= commits; ++n) {
    page.announce();
    for (auto& one : seen) {
      while (one < n) std::this_thread::yield();
    }
  }
  for (auto& w : waiters) w.join();
  EXPECT_FALSE(late);
}

TEST_F(SignalPage, IsAWholePrivatePageFromTheBeginning) {
  EXPECT_EQ(fs::file_size(file()), 4096U);
  EXPECT_EQ(fs::status(file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  std::ifstream in{file(), std::ios::binary};
  const std::string content{std::istreambuf_iterator<char>{in}, {}};
  EXPECT_EQ(content, std::string(4096, '\0'));
}

TEST_F(SignalPage, IsMadeOnce) {
  EXPECT_THAT(signal_page::create(file()), fails_with(errc::io_error));
}

TEST_F(SignalPage, IsMadeWholeAgainWhenAPowerCutLeftItShort) {
  for (const std::uintmax_t size : {0U, 3U, 4095U}) {
    fs::resize_file(file(), size);
    auto page = open();
    page.announce();
    EXPECT_EQ(page.commits(), 1U);
    EXPECT_EQ(fs::file_size(file()), 4096U);
  }
}

TEST_F(SignalPage, KeepsItsCountWhenOpenedAgain) {
  open().announce();
  EXPECT_EQ(open().commits(), 1U);
}

TEST_F(SignalPage, NamesTheFileThatIsMissing) {
  const auto refused = signal_page::open(file().string() + "-missing");
  ASSERT_THAT(refused, fails_with(errc::io_error));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("signal-missing"));
}

TEST_F(SignalPage, MovesWithItsMapping) {
  auto first = open();
  first.announce();
  auto second = std::move(first);
  EXPECT_EQ(second.commits(), 1U);
  auto third = open();
  third = std::move(second);
  third.announce();
  EXPECT_EQ(third.commits(), 2U);
}

}  // namespace
}  // namespace levada::test
