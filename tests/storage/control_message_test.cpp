#include "storage/control_message.hpp"

#include <chrono>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include <support/result_testing.hpp>

namespace levada::storage {
namespace {

using test::fails_with;
using test::ok;
using test::succeeds;

/// What the other side sees of it.
control_words message_of(const std::vector<std::byte>& bytes) {
  control_header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  EXPECT_THAT(header.check(), succeeds());
  EXPECT_EQ(bytes.size(), sizeof header + header.size);
  control_words words(header.size / sizeof(std::uint64_t));
  std::memcpy(words.data(), bytes.data() + sizeof header, header.size);
  return words;
}

control_request there(const control_request& request) {
  return ok(decode_control_request(message_of(ok(encode(request)))));
}

control_answer back(const control_answer& answer) {
  return decode_control_answer(message_of(encode(answer)));
}

reset_request a_reset() {
  return {"group", "topic", {.to = offset{7}, .partitions = {partition_id{3}}, .dry_run = false}};
}

TEST(ControlMessages, CarryResetsToEveryTarget) {
  const std::vector<decltype(offset_reset_options::to)> targets{
      from_earliest{}, from_latest{}, offset{~std::uint64_t{0}}, timestamp{std::chrono::microseconds{-5}},
      std::chrono::milliseconds{-1}};
  for (const auto& to : targets) {
    const auto request = there(reset_request{"group", "t\xC3\xBC", {.to = to}});
    const auto& reset = std::get<reset_request>(request);
    EXPECT_EQ(reset.group, "group");
    EXPECT_EQ(reset.topic, "t\xC3\xBC");
    EXPECT_EQ(reset.options.to.index(), to.index());
    EXPECT_TRUE(reset.options.partitions.empty());
    EXPECT_TRUE(reset.options.dry_run);
  }
  const auto request = there(a_reset());
  const auto& reset = std::get<reset_request>(request);
  EXPECT_EQ(std::get<offset>(reset.options.to), offset{7});
  EXPECT_EQ(reset.options.partitions, std::vector{partition_id{3}});
  EXPECT_FALSE(reset.options.dry_run);
}

TEST(ControlMessages, CarryDeletions) {
  const auto request = there(deletion_request{"group", {.dry_run = true}});
  EXPECT_EQ(std::get<deletion_request>(request).group, "group");
  EXPECT_TRUE(std::get<deletion_request>(request).options.dry_run);
}

TEST(ControlMessages, CarryChangesAndErrorsBack) {
  const auto changes = ok(back(std::vector<offset_change>{{{"t", partition_id{0}}, std::nullopt, offset{5}},
                                                          {{"t", partition_id{9}}, offset{0}, offset{6}}}));
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].from, std::nullopt);
  EXPECT_EQ(changes[0].to, offset{5});
  EXPECT_EQ(changes[1].where.partition, partition_id{9});
  EXPECT_EQ(changes[1].from, offset{0});
  const auto failed = back(error{errc::group_in_use, "it has members"});
  ASSERT_THAT(failed, fails_with(errc::group_in_use));
  EXPECT_EQ(failed.error().message(), "it has members");
  EXPECT_EQ(back(error{errc::unknown_group, std::string(100'000, 'x')}).error().message().size(), 4096U);
}

TEST(ControlMessages, KeepWithinTheirLimit) {
  EXPECT_THAT(encode(deletion_request{std::string(control_bytes_max, 'x'), {}}),
              fails_with(errc::invalid_argument));
  const auto most = encode(deletion_request{std::string(control_bytes_max - 256, 'x'), {}});
  ASSERT_THAT(most, succeeds());
  EXPECT_THAT(decode_control_request(message_of(*most)), succeeds());
  const std::vector<offset_change> all(4096, {{"t", partition_id{1}}, offset{1}, offset{2}});
  EXPECT_EQ(ok(back(all)).size(), 4096U);
}

TEST(ControlMessages, RefuseForeignHeaders) {
  control_header header;
  EXPECT_THAT(header.check(), fails_with(errc::invalid_argument));
  std::memcpy(&header, encode(control_answer{std::vector<offset_change>{}}).data(), sizeof header);
  EXPECT_THAT(header.check(), succeeds());
  auto newer = header;
  ++newer.version;
  EXPECT_THAT(newer.check(), fails_with(errc::unsupported_format));
  for (const std::uint32_t size : {0U, 7U, 12U, (1U << 20) + 8, ~7U}) {
    auto wrong = header;
    wrong.size = size;
    EXPECT_THAT(wrong.check(), fails_with(errc::invalid_argument)) << size;
  }
}

TEST(ControlMessages, RefuseWhatDoesNotHoldTogether) {
  EXPECT_THAT(decode_control_request({}), fails_with(errc::invalid_argument));
  EXPECT_THAT(decode_control_request(control_words(100, ~std::uint64_t{0})),
              fails_with(errc::invalid_argument));
  EXPECT_THAT(decode_control_request(control_words(100, 0)), fails_with(errc::invalid_argument));
  // Whatever a message becomes on the way, reading it ends, and refuses or yields some request.
  const auto sound = message_of(ok(encode(a_reset())));
  std::mt19937_64 random{42};
  for (int round = 0; round < 20'000; ++round) {
    auto words = sound;
    for (int flips = 1 + round % 3; flips > 0; --flips)
      words[random() % words.size()] ^= std::uint64_t{1} << (random() % 64);
    if (round % 5 == 0) words.resize(random() % words.size());
    static_cast<void>(decode_control_request(words));
    static_cast<void>(decode_control_answer(words));
  }
}

}  // namespace
}  // namespace levada::storage
