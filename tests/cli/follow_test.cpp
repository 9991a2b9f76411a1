#include <unistd.h>

#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

/// `tail -f` beside a process, this one, that owns the store and writes.
class Follow : public command_fixture {
 protected:
  Follow() : owner_{ok(bus::open(store()))}, topic_{ok(owner_.declare_topic("t", {.partitions = 2}))} {}

  void publish(const std::string& value) { ok(topic_.publish(record{value})); }
  [[nodiscard]] bus& owner() { return owner_; }

 private:
  bus owner_;
  topic topic_;
};

TEST_F(Follow, PrintsEachRecordAsSoonAsItIsCommitted) {
  publish("before");
  running_program reader{command({"tail", "t", "-f", "--from", "earliest"})};
  EXPECT_EQ(reader.read_line(), "before");
  for (int i = 0; i < 10; ++i) {
    publish(std::to_string(i));
    EXPECT_EQ(reader.read_line(), std::to_string(i));
  }
}

TEST_F(Follow, PrintsOnlyWhatComesFromNowOn) {
  publish("old");
  running_program reader{command({"tail", "t", "-f"})};
  // When it has begun to follow, it shows by the first record that it prints.
  int count = 0;
  do {
    publish(std::to_string(count++));
  } while (!reader.says_something(10));
  const int first = std::stoi(reader.read_line());
  EXPECT_LT(first, count);
  for (int i = first + 1; i < count; ++i) EXPECT_EQ(reader.read_line(), std::to_string(i));
}

TEST_F(Follow, PrintsJsonAtOnceToo) {
  running_program reader{command({"tail", "t", "-f", "--json", "--from", "earliest"})};
  publish("a");
  EXPECT_THAT(reader.read_line(), ::testing::HasSubstr(R"("value":"a")"));
  publish("b");
  EXPECT_THAT(reader.read_line(), ::testing::HasSubstr(R"("value":"b")"));
}

TEST_F(Follow, EndsAfterTheCountAskedFor) {
  running_program reader{command({"tail", "t", "-f", "--from", "earliest", "-n", "2"})};
  publish("a");
  EXPECT_EQ(reader.read_line(), "a");
  publish("b");
  publish("c");
  const auto done = reader.wait();
  EXPECT_EQ(done.status, 0);
  EXPECT_EQ(done.out, "b\n");
}

TEST_F(Follow, GoesOnWhenOneOwnerGivesWayToTheNext) {
  publish("a");
  running_program reader{command({"tail", "t", "-f", "--from", "earliest"})};
  EXPECT_EQ(reader.read_line(), "a");
  ok(owner().close());
  produce("t", "b\n");
  EXPECT_EQ(reader.read_line(), "b");
  produce("t", "c\n");
  EXPECT_EQ(reader.read_line(), "c");
}

TEST_F(Follow, LetsOnlyOneProcessProduce) {
  EXPECT_THAT(levada({"produce", "t"}, "a\n"), fails_saying(1, std::to_string(::getpid())));
  EXPECT_EQ(print({"tail", "t"}), "");
}

TEST_F(Follow, SharesTheStoreWithCheck) {
  publish("a");
  EXPECT_THAT(print({"check"}), ::testing::HasSubstr("no problems found\n"));
}

}  // namespace
}  // namespace levada::test
