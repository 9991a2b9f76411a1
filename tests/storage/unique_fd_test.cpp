#include "storage/unique_fd.hpp"

#include <gtest/gtest.h>

#include <type_traits>

#include <fcntl.h>
#include <unistd.h>

namespace levada::test {
namespace {

using storage::unique_fd;

static_assert(!std::is_copy_constructible_v<unique_fd> && !std::is_copy_assignable_v<unique_fd>);

int fresh() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}
bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

TEST(UniqueFd, ClosesOnDestruction) {
  int fd = -1;
  {
    const unique_fd owner{fd = fresh()};
    EXPECT_TRUE(owner);
    EXPECT_EQ(owner.get(), fd);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, OwnsNothingUnlessGivenSomething) {
  EXPECT_FALSE(unique_fd{});
  EXPECT_FALSE(unique_fd{-1});
}

TEST(UniqueFd, GivesUpWhatItOwns) {
  int fd = -1;
  {
    unique_fd owner{fresh()};
    fd = owner.release();
    EXPECT_FALSE(owner);
  }
  EXPECT_TRUE(is_open(fd));
  ::close(fd);
}

TEST(UniqueFd, HandsOverWhenMoved) {
  unique_fd first{fresh()};
  const int fd = first.get();
  unique_fd second{std::move(first)};
  EXPECT_EQ(second.get(), fd);
  first.reset();  // NOLINT(bugprone-use-after-move): a moved-from owner owns nothing
  EXPECT_TRUE(is_open(fd));
  unique_fd third{fresh()};
  const int replaced = third.get();
  third = std::move(second);
  EXPECT_EQ(third.get(), fd);
  EXPECT_TRUE(is_open(fd));
  EXPECT_FALSE(is_open(replaced));
}

TEST(UniqueFd, KeepsWhatItHasWhenMovedToItself) {
  unique_fd owner{fresh()};
  unique_fd& same = owner;
  owner = std::move(same);
  EXPECT_TRUE(owner);
  EXPECT_TRUE(is_open(owner.get()));
}

}  // namespace
}  // namespace levada::test
