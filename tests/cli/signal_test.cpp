#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

using namespace std::chrono_literals;

class Signal : public command_fixture {
 protected:
  /// A topic whose lines fill a pipe many times over.
  void produce_much() const { produce("t", numbered_lines(300'000)); }
};

TEST_F(Signal, EndsAProgramThatFollows) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    produce("t", "a\n");
    running_program reader{command({"tail", "t", "-f", "--from", "earliest", "--partition", "0"})};
    EXPECT_EQ(reader.read_line(), "a");
    reader.signal(number);
    const auto done = reader.wait();
    EXPECT_THAT(done, ended_by(number, ""));
  }
}

TEST_F(Signal, EndsAProgramWhoseReaderDoesNotRead) {
  produce_much();
  running_program reader{command({"tail", "t"})};
  reader.wait_until_output_is_full();
  reader.signal(SIGINT);
  EXPECT_THAT(reader.wait_unread(), ended_by(SIGINT, ""));
}

// A write that has handed over a part returns at a signal in any case; one that has not might go on waiting.
TEST_F(Signal, EndsAProgramThatWaitsAtTheBeginningOfAWrite) {
  // The command writes 128 KiB at a time, and lines of 64 bytes fill that exactly.
  const std::size_t written_at_once = std::size_t{128} << 10;
  std::string lines;
  while (lines.size() < 16 * written_at_once) lines.append(63, 'x').append(1, '\n');
  produce("t", lines);
  running_program reader{command({"tail", "t"})};
  std::size_t taken = 0;
  std::size_t waiting = reader.wait_until_output_is_full();
  while ((taken + waiting) % written_at_once != 0) {
    taken += reader.skip(waiting);
    waiting = reader.wait_until_output_is_full();
  }
  reader.signal(SIGINT);
  EXPECT_THAT(reader.wait_unread(), ended_by(SIGINT, ""));
}

TEST_F(Signal, LeavesWholeLinesBehindWhereTheReaderReads) {
  // Of a length that neither pages nor buffers are a multiple of.
  std::string lines = "first\n";
  while (lines.size() < std::size_t{2} << 20) lines.append(100, 'x').append(1, '\n');
  produce("t", lines);
  running_program reader{command({"tail", "t"})};
  // The signal comes when a part of a line is in the pipe, and is heard when there is room again.
  reader.wait_until_output_is_full();
  reader.halt();
  reader.signal(SIGINT);
  EXPECT_EQ(reader.read_line(), "first");
  reader.signal(SIGCONT);
  const auto done = reader.wait();
  EXPECT_TRUE(lines.starts_with("first\n" + done.out)) << "lines are missing";
  EXPECT_TRUE(done.out.ends_with('\n')) << "the last line is cut";
  EXPECT_THAT(done, ended_by(SIGINT, ""));
}

TEST_F(Signal, IsHeardOnlyWhereItWasNotIgnored) {
  produce("t", "a\n");
  auto what = command({"tail", "t", "-f", "--from", "earliest"});
  what.before = [] { ::signal(SIGHUP, SIG_IGN); };
  running_program reader{what};
  EXPECT_EQ(reader.read_line(), "a");
  reader.signal(SIGHUP);
  produce("t", "b\n");
  EXPECT_EQ(reader.read_line(), "b");
  reader.signal(SIGTERM);
  EXPECT_THAT(reader.wait(), ended_by(SIGTERM, ""));
}

TEST_F(Signal, LetsProduceStoreTheWholeLinesItHasRead) {
  produce("t", "");
  for (const int number : {SIGINT, SIGTERM}) {
    auto reading = ok(ok(attachment::open(store())).replay("t", {.from = from_latest{}}));
    running_program writer{command({"produce", "t"})};
    writer.write("a\nb\nhalf a li");
    ASSERT_EQ(ok(reading.next(60s)).size(), 2U);
    writer.signal(number);
    EXPECT_THAT(writer.wait(), ended_by(number, "levada: interrupted; 2 records stored\n"));
  }
  EXPECT_EQ(print({"tail", "t"}), "a\nb\na\nb\n");
}

TEST_F(Signal, MakesProduceStoreNeitherMoreNorLessThanItHasRead) {
  produce("t", "");
  const auto lines = numbered_lines(100'000);
  running_program writer{command({"produce", "t"})};
  writer.write(lines);
  writer.signal(SIGINT);
  // Goes on writing until the command reads no more.
  while (writer.takes_input()) writer.write(lines);
  const auto done = writer.wait();
  const std::size_t rest = writer.bytes_read() % lines.size();
  const auto whole = writer.bytes_read() / lines.size() * 100'000 +
                     static_cast<std::uint64_t>(
                         std::count(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(rest), '\n'));
  EXPECT_THAT(done, ended_by(SIGINT, fmt::format("levada: interrupted; {} records stored\n", whole)));
  EXPECT_EQ(partitions("t").at(0).end, offset{whole});
}

TEST_F(Signal, OfAClosedPipeEndsTailQuietly) {
  produce_much();
  running_program reader{command({"tail", "t"})};
  EXPECT_EQ(reader.read_line(), "0");
  reader.close_output();
  EXPECT_THAT(reader.wait(), ended_by(SIGPIPE, ""));
}

TEST_F(Signal, OfAClosedPipeIsNoticedWhereNothingIsLeftToPrint) {
  produce("t", "a\n");
  running_program reader{command({"tail", "t", "-f", "--from", "earliest"})};
  EXPECT_EQ(reader.read_line(), "a");
  reader.close_output();
  EXPECT_THAT(reader.wait(), ended_by(SIGPIPE, ""));
}

TEST_F(Signal, OfAClosedPipeEndsListingsQuietly) {
  produce("t", "a\n");
  for (const char* const name : {"topics", "check"}) {
    auto what = command({name});
    // The reader has gone before the command prints anything.
    what.before = [] {
      int ends[2];
      if (::pipe(ends) != 0 || ::dup2(ends[1], STDOUT_FILENO) < 0) ::_exit(122);
      ::close(ends[0]);
      ::close(ends[1]);
    };
    EXPECT_THAT(run(what), ended_by(SIGPIPE, "")) << name;
  }
}

}  // namespace
}  // namespace levada::test
