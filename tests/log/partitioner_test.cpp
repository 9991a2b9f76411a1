#include "log/partitioner.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/publishing.hpp>

namespace levada::log::test {
namespace {

std::int32_t hash(std::string_view key) {
  return static_cast<std::int32_t>(murmur2(key));
}

// What Kafka's own tests expect of its hash, as signed numbers.
TEST(Partitioner, HashesAsKafkasJavaClient) {
  EXPECT_EQ(hash("21"), -973932308);
  EXPECT_EQ(hash("foobar"), -790332482);
  EXPECT_EQ(hash("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(hash("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(hash("abc"), 479470107);
}

// Below, an independent reading of the algorithm: bytes are put together one by one and are unsigned.
std::uint32_t slow_murmur2(std::string_view key) {
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(key[i])}; };
  std::uint32_t h = 0x9747b28cU ^ static_cast<std::uint32_t>(key.size());
  const std::size_t whole = key.size() / 4 * 4;
  for (std::size_t i = 0; i < whole; i += 4) {
    std::uint32_t k = byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24;
    k *= 0x5bd1e995U;
    k ^= k >> 24;
    k *= 0x5bd1e995U;
    h *= 0x5bd1e995U;
    h ^= k;
  }
  const std::size_t rest = key.size() - whole;
  if (rest == 3) h ^= byte(whole + 2) << 16;
  if (rest >= 2) h ^= byte(whole + 1) << 8;
  if (rest >= 1) {
    h ^= byte(whole);
    h *= 0x5bd1e995U;
  }
  h ^= h >> 13;
  h *= 0x5bd1e995U;
  h ^= h >> 15;
  return h;
}

TEST(Partitioner, HashesBytesAboveAsciiAndEveryRemainderOfFour) {
  std::string key;
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(murmur2(key), slow_murmur2(key)) << key.size() << " bytes";
    key.push_back(static_cast<char>(250 - 17 * i));
  }
}

TEST(Partitioner, DropsTheSignBeforeItDividesByThePartitions) {
  EXPECT_EQ(partition_for_key("21", 7), partition_id{(std::uint32_t{3321034988U} & 0x7fffffffU) % 7});
  EXPECT_EQ(partition_for_key("foobar", 1000), partition_id{(3504634814U - 2147483648U) % 1000});
  EXPECT_EQ(partition_for_key("abc", 1000), partition_id{107});
  EXPECT_EQ(partition_for_key("anything", 1), partition_id{0});
}

TEST(Partitioner, SpreadsKeysOverAllPartitionsRoughlyEvenly) {
  std::map<std::uint32_t, int> counts;
  for (int i = 0; i < 6000; ++i) ++counts[partition_for_key(fmt::format("order-{}", i), 12).value()];
  ASSERT_EQ(counts.size(), 12U);
  for (const auto& entry : counts) {
    EXPECT_LT(entry.first, 12U);
    EXPECT_GT(entry.second, 350) << "partition " << entry.first << " of 500 expected";
  }
}

}  // namespace
}  // namespace levada::log::test
