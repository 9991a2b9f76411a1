#include "storage/flow_event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <support/result_testing.hpp>

namespace levada::storage::test {
namespace {

using levada::test::fails_with;
using levada::test::ok;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A copy that begins at a multiple of 8 bytes, as values of records do.
class aligned {
 public:
  explicit aligned(const std::string& bytes) : words_((bytes.size() + 7) / 8), size_{bytes.size()} {
    if (!bytes.empty()) std::memcpy(words_.data(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::string_view view() const {
    return {reinterpret_cast<const char*>(words_.data()), size_};
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

TEST(FlowEvent, OfWhatIsPublishedComesBackWhole) {
  flow_event event;
  event.where = {"orders", 3, 1'000'000'000'000};
  event.routing_key = "eu.new";
  event.message_id = "m";
  event.correlation_id = std::string_view{"correlation", 4};  // not followed by a zero
  event.due = -5;
  event.because = {{"other", 1, 2}, "queue", 4};
  const std::vector<std::string> names(300, std::string(100, 'q'));  // more than fits into the scratch space
  event.queues.assign(names.begin(), names.end());
  const aligned stored{encode(event)};
  const auto found = ok(decode_flow_event(stored.view()));
  EXPECT_EQ(found.what, flow_event::published);
  EXPECT_EQ(found.where.exchange, "orders");
  EXPECT_EQ(found.where.partition, 3U);
  EXPECT_EQ(found.where.offset, 1'000'000'000'000U);
  EXPECT_EQ(found.routing_key, "eu.new");
  EXPECT_EQ(found.message_id, "m");
  EXPECT_EQ(found.correlation_id, "corr");
  EXPECT_EQ(found.due, -5);
  ASSERT_TRUE(found.because.has_value());
  EXPECT_EQ(found.because->where.exchange, "other");
  EXPECT_EQ(found.because->where.partition, 1U);
  EXPECT_EQ(found.because->where.offset, 2U);
  EXPECT_EQ(found.because->queue, "queue");
  EXPECT_EQ(found.because->death, 4);
  EXPECT_EQ(found.queues.size(), 300U);
  EXPECT_EQ(found.queues.back(), names.back());
}

TEST(FlowEvent, OfAStepComesBackWhole) {
  flow_event event;
  event.what = flow_event::first_step + 2;
  event.where = {"", 0, 7};
  event.queue = "q";
  event.delivered = 99;
  const aligned stored{encode(event)};
  const auto found = ok(decode_flow_event(stored.view()));
  EXPECT_EQ(found.what, flow_event::first_step + 2);
  EXPECT_EQ(found.where.exchange, "");
  EXPECT_EQ(found.where.offset, 7U);
  EXPECT_EQ(found.queue, "q");
  EXPECT_EQ(found.delivered, 99);
  EXPECT_EQ(found.because, std::nullopt);
  EXPECT_THAT(found.queues, IsEmpty());
}

TEST(FlowEvent, OfWhatIsRoutedNamesTheQueues) {
  flow_event event;
  event.what = flow_event::routed;
  event.queues = {"a", "b"};
  const aligned stored{encode(event)};
  EXPECT_THAT(ok(decode_flow_event(stored.view())).queues, ElementsAre("a", "b"));
}

TEST(FlowEvent, IsNotMadeOfAnything) {
  flow_event event;
  event.where = {"orders", 3, 4};
  event.routing_key = "a routing key";
  const std::string whole = encode(event);
  for (const std::string& bytes : {std::string{}, std::string{"nonsense"}, std::string(64, '\xff')})
    EXPECT_THAT(decode_flow_event(aligned{bytes}.view()), fails_with(errc::damaged)) << bytes.size();
  // What is cut off may still say less, but never anything beyond its end.
  for (std::size_t size = 0; size < whole.size(); ++size)
    static_cast<void>(decode_flow_event(aligned{whole.substr(0, size)}.view()));
}

}  // namespace
}  // namespace levada::storage::test
