#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

TEST(InMemory, BehavesLikeAStoreAndLeavesNothing) {
  const temporary_directory parent;
  bus_options options;
  options.memory_directory = parent.path();
  {
    auto memory = ok(bus::open_in_memory(options));
    EXPECT_TRUE(std::filesystem::is_empty(parent.path()))
        << "unlinked at once, so that a crash leaves nothing either";
    auto orders = ok(memory.declare_topic("orders", {.partitions = 2}));
    for (int i = 0; i < 100; ++i) ok(orders.publish(record{std::to_string(i)}));
    consumer_options from_start;
    from_start.reset = offset_reset::earliest;
    auto reader = ok(memory.join("g", {"orders"}, from_start));
    EXPECT_EQ(ok(reader.poll(std::chrono::milliseconds{0})).size(), 100U);
    ok(reader.commit());
    ok(memory.close());
  }
  EXPECT_TRUE(std::filesystem::is_empty(parent.path()));
}

TEST(InMemory, SeveralLiveSideBySide) {
  auto a = ok(bus::open_in_memory());
  auto b = ok(bus::open_in_memory());
  ok(a.declare_topic("only-a"));
  EXPECT_TRUE(ok(b.topics()).empty());
}

TEST(InMemory, FailsTypedWithoutADirectory) {
  bus_options options;
  options.memory_directory = "/nonexistent-levada";
  EXPECT_FALSE(bus::open_in_memory(options));
}

}  // namespace
}  // namespace levada::test
