#include <support/bus_fixture.hpp>

#include <random>

namespace levada::test {
namespace {

class Reading : public bus_fixture {};

TEST_F(Reading, FollowsTheOrderOfCommitsOverAllPartitions) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 5}));
  auto noise = ok(the_bus().declare_topic("noise"));
  std::vector<std::string> sent;
  for (unsigned i = 0; i < 500; ++i) {
    sent.push_back(std::to_string(i));
    ok(orders.publish(partition_id{(i * i) % 5}, record{sent.back()}));
    if (i % 3 == 0) ok(noise.publish(record{std::string(std::size_t{i} * 20, 'n')}));
  }
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), sent);
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.bytes_max = 1}))), sent);
  reopen();
  EXPECT_EQ(read_all(ok(the_bus().replay("orders"))), sent);
}

TEST_F(Reading, StartsWhereAsked) {
  auto orders = ok(the_bus().declare_topic("orders", {.partitions = 2}));
  std::vector<timestamp> times;
  for (unsigned i = 0; i < 300; ++i) {
    times.push_back(ok(orders.publish(partition_id{i % 2}, record{std::to_string(i)})).time);
    the_clock().advance(std::chrono::milliseconds{10});
  }
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.from = times[250]}))).front(), "250");
  EXPECT_EQ(
      read_all(ok(the_bus().replay("orders", {.from = times[250], .partition = partition_id{1}}))).front(),
      "251");
  EXPECT_EQ(read_all(ok(the_bus().replay("orders", {.from = offset{149}, .partition = partition_id{1}}))),
            (std::vector<std::string>{"299"}));
  EXPECT_TRUE(
      read_all(ok(the_bus().replay("orders", {.from = times[299] + std::chrono::seconds{1}}))).empty());

  auto latest = ok(the_bus().replay("orders", {.from = from_latest{}}));
  EXPECT_TRUE(ok(latest.next()).empty());
  ok(orders.publish(record{"new"}));
  EXPECT_EQ(ok(latest.next()).begin()->value(), "new");
}

TEST_F(Reading, RefusesStartsThatMeanNothing) {
  ok(the_bus().declare_topic("orders", {.partitions = 2}));
  ok(the_bus().declare_topic("single"));
  EXPECT_THAT(the_bus().replay("absent"), fails_with(errc::unknown_topic));
  EXPECT_THAT(the_bus().replay("orders", {.from = offset{0}}), fails_with(errc::invalid_argument));
  EXPECT_THAT(the_bus().replay("single", {.from = offset{0}}), succeeds());
  EXPECT_THAT(the_bus().replay("single", {.from = offset{1}}), fails_with(errc::offset_out_of_range));
  EXPECT_THAT(the_bus().replay("orders", {.partition = partition_id{2}}),
              fails_with(errc::unknown_partition));
  EXPECT_THAT(the_bus().replay("orders", {.bytes_max = 0}), fails_with(errc::invalid_argument));
}

TEST_F(Reading, AgreesWithAModelForRandomHistories) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random{seed};
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>{0, n - 1}(random);
  };
  std::vector<topic> topics;
  std::vector<std::vector<std::vector<std::string>>> model;  // topic, partition, records
  std::vector<std::vector<std::string>> in_order;            // topic, records
  for (unsigned t = 0; t < 3; ++t) {
    topics.push_back(ok(the_bus().declare_topic("t" + std::to_string(t), {.partitions = t + 1})));
    model.emplace_back(t + 1);
    in_order.emplace_back();
  }
  for (int step = 0; step < 300; ++step) {
    const std::size_t t = below(3);
    auto batch = topics[t].make_batch();
    std::vector<std::vector<std::string>> added(t + 1);
    const std::size_t count = below(8) == 0 ? 1 + below(200) : 1;
    for (std::size_t i = 0; i < count; ++i) {
      const auto p = static_cast<unsigned>(below(t + 1));
      added[p].push_back(
          std::string(below(20) == 0 ? below(6000) : below(120), static_cast<char>('a' + below(26))));
      ok(batch.add(partition_id{p}, added[p].back()));
    }
    const auto receipt = ok(topics[t].publish(batch));
    for (const auto& range : receipt.ranges) {
      auto& log = model[t][range.partition.value()];
      EXPECT_EQ(range.base_offset.value(), log.size());
      for (auto& value : added[range.partition.value()]) {
        log.push_back(value);
        in_order[t].push_back(value);
      }
    }
    if (below(60) == 0) {
      reopen();
      for (std::size_t i = 0; i < 3; ++i)
        topics[i] = ok(the_bus().topic(std::string{"t"}.append(std::to_string(i))));
    }
  }
  for (unsigned t = 0; t < 3; ++t) {
    const std::string name = std::string{"t"}.append(std::to_string(t));
    EXPECT_EQ(read_all(ok(the_bus().replay(name, {.bytes_max = 1 + below(5000)}))), in_order[t]);
    for (unsigned p = 0; p <= t; ++p) {
      const auto& log = model[t][p];
      EXPECT_EQ(read_all(ok(the_bus().replay(name, {.partition = partition_id{p}}))), log);
      const std::size_t from = below(log.size() + 1);
      const auto tail = read_all(ok(the_bus().replay(
          name, {.from = offset{from}, .partition = partition_id{p}, .bytes_max = 1 + below(5000)})));
      EXPECT_EQ(tail, (std::vector<std::string>{log.begin() + static_cast<std::ptrdiff_t>(from), log.end()}));
    }
  }
}

TEST_F(Reading, KeepsABatchUsableBeyondTheBus) {
  ok(ok(the_bus().declare_topic("orders")).publish(record{"kept"}));
  auto batch = ok(ok(the_bus().replay("orders")).next());
  close();
  const record_batch copy = batch;
  batch = {};
  EXPECT_EQ(copy.begin()->value(), "kept");
  EXPECT_EQ(copy.slices().size(), 1U);
}

}  // namespace
}  // namespace levada::test
