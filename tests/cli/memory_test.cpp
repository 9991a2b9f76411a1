#include <algorithm>
#include <cstdint>
#include <string>

#include <support/sanitizers.hpp>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

/// 64 MB of input, far more than the commands may keep. Pages of the store's own files do not count: how many
/// of these are in memory depends on how fast the disk takes them, and the system drops them when it likes.
class Memory : public command_fixture {
 protected:
  static constexpr std::size_t block_bytes = std::size_t{1} << 20;
  static constexpr std::size_t blocks = 64;
  static constexpr std::uint64_t allowed = std::uint64_t{32} << 20;

  void SetUp() override {
    if (levada::test::under_sanitizer) GTEST_SKIP() << "sanitizers keep what was freed";
  }
  static std::string block() {
    std::string lines;
    while (lines.size() < block_bytes) lines.append(lines.size() % 4096 / 41, 'x').append(1, '\n');
    lines.resize(block_bytes);
    lines.back() = '\n';
    return lines;
  }
  void produce_all() const {
    running_program writer{command({"produce", "t"})};
    const auto lines = block();
    for (std::size_t i = 0; i < blocks; ++i) writer.write(lines);
    EXPECT_EQ(writer.finish().status, 0);
  }
};

TEST_F(Memory, OfProduceDoesNotGrowWithItsInput) {
  running_program writer{command({"produce", "t"})};
  const auto lines = block();
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < blocks; ++i) {
    writer.write(lines);
    used = std::max(used, writer.anonymous_memory());
  }
  EXPECT_GT(used, 0U);
  EXPECT_LT(used, allowed);
  EXPECT_EQ(writer.finish().status, 0);
}

TEST_F(Memory, OfTailDoesNotGrowWithTheLog) {
  produce_all();
  running_program reader{command({"tail", "t"})};
  const std::size_t most = (blocks - 1) * block_bytes;
  std::size_t got = 0;
  std::uint64_t used = 0;
  while (got < most) {
    got += reader.skip(block_bytes);
    used = std::max(used, reader.anonymous_memory());
  }
  EXPECT_GT(used, 0U);
  EXPECT_LT(used, allowed);
  const auto done = reader.wait();
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(got + done.out.size(), blocks * block_bytes);
}

TEST_F(Memory, OfTailDoesNotGrowWithJsonEither) {
  produce_all();
  running_program reader{command({"tail", "t", "--json"})};
  std::size_t got = 0;
  std::uint64_t used = 0;
  while (got < blocks * block_bytes) {
    got += reader.skip(block_bytes);
    used = std::max(used, reader.anonymous_memory());
  }
  EXPECT_GT(used, 0U);
  EXPECT_LT(used, allowed);
}

}  // namespace
}  // namespace levada::test
