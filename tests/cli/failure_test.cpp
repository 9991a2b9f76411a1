#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

using words = std::vector<std::string>;

const std::vector<words>& reading_commands() {
  static const std::vector<words> all{{"topics"},
                                      {"groups"},
                                      {"queues"},
                                      {"exchanges"},
                                      {"bindings"},
                                      {"check"},
                                      {"tail", "t"},
                                      {"tail", "t", "--json"},
                                      {"topics", "--json"},
                                      {"tail", "t", "-f", "--from", "earliest"},
                                      {"replay", "t"},
                                      {"replay", "--all"},
                                      {"definitions", "export"}};
  return all;
}

class Failure : public command_fixture {};

TEST_F(Failure, IsOneLineWhereThereIsNoStore) {
  for (const auto& command : reading_commands()) {
    EXPECT_THAT(levada(command), fails_saying(1, "open store '" + store() + "'")) << command[0];
  }
  EXPECT_FALSE(std::filesystem::exists(store())) << "looking for a store must not make one";
}

TEST_F(Failure, IsOneLineWhereTheDirectoryIsNoStore) {
  std::filesystem::create_directory(store());
  std::ofstream{std::filesystem::path{store()} / "letter"} << "dear";
  for (const auto& command : reading_commands()) {
    EXPECT_THAT(levada(command), fails_saying(1, "open store '" + store() + "'")) << command[0];
  }
  EXPECT_THAT(levada({"produce", "t"}, "a\n"), fails_saying(1, "open store '" + store() + "'"));
  const std::filesystem::directory_iterator left{store()};
  EXPECT_EQ(std::distance(begin(left), end(left)), 1) << "somebody else's directory was written to";
}

TEST_F(Failure, IsOneLineWhereTheDirectoryIsAFile) {
  std::ofstream{store()} << "dear";
  for (const auto& command : reading_commands()) {
    EXPECT_THAT(levada(command), fails_saying(1, store())) << command[0];
  }
  EXPECT_THAT(levada({"produce", "t"}, "a\n"), fails_saying(1, store()));
}

TEST_F(Failure, IsOneLineWhereNoDirectoryCanBeMade) {
  EXPECT_THAT(run(levada_command({"produce", "t", "--dir", store() + "/no/parent"}), "a\n"),
              fails_saying(1, "create directory"));
}

TEST_F(Failure, IsOneLineWhereTheTopicIsUnknown) {
  produce("other", "");
  EXPECT_THAT(levada({"tail", "t"}), fails_saying(1, "topic 't'"));
  EXPECT_THAT(levada({"tail", "t", "-f"}), fails_saying(1, "topic 't'"));
}

TEST_F(Failure, IsOneLineWhereANameIsNotAllowed) {
  EXPECT_THAT(levada({"produce", ""}), fails_saying(1, "name"));
  EXPECT_THAT(levada({"produce", "two\nlines"}), fails_saying(1, "name"));
  EXPECT_THAT(levada({"produce", std::string(256, 'x')}), fails_saying(1, "name"));
  EXPECT_THAT(levada({"tail", "two\nlines"}), fails_saying(1, "two\\x0alines"));
}

TEST_F(Failure, IsOneLineWhereStandardOutputIsFull) {
  produce("t", "a\n");
  auto commands = reading_commands();
  commands.push_back({"topics", "--help"});
  for (const auto& each : commands) {
    auto what = command(each);
    what.output = "/dev/full";
    EXPECT_THAT(run(what), fails_saying(1, "write to standard output: No space left on device")) << each[0];
  }
}

TEST_F(Failure, IsOneLineWhereStandardOutputIsClosed) {
  produce("t", "a\n");
  for (const auto& each : reading_commands()) {
    auto what = command(each);
    what.before = [] { ::close(STDOUT_FILENO); };
    EXPECT_THAT(run(what), fails_saying(1, "write to standard output: Bad file descriptor")) << each[0];
  }
}

TEST_F(Failure, IsOneLineWhereTheFilePrintedToMayNotGrow) {
  produce("t", numbered_lines(50'000));
  const auto file = directory() / "out";
  std::ofstream{file}.flush();
  auto what = command({"tail", "t"});
  what.output = file;
  what.before = [] {
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  EXPECT_THAT(run(what), fails_saying(1, "write to standard output: File too large"));
  EXPECT_EQ(std::filesystem::file_size(file), 100'000U);
}

TEST_F(Failure, DoesNotLetAFileOfTheStoreTakeThePlaceOfAStandardStream) {
  auto what = command({"produce", "t"});
  what.before = [] {
    ::close(STDIN_FILENO);
    ::close(STDOUT_FILENO);
    ::close(STDERR_FILENO);
  };
  EXPECT_EQ(run(what).status, 1);
  EXPECT_THAT(print({"check"}), ::testing::HasSubstr("no problems found"));
}

TEST_F(Failure, IsOneLineWhereStandardInputCannotBeRead) {
  auto what = command({"produce", "t"});
  what.before = [] { ::close(STDIN_FILENO); };
  EXPECT_THAT(run(what), fails_saying(1, "read standard input after line 0: Bad file descriptor"));
}

TEST_F(Failure, TellsHowMuchProduceStoredBeforeTheDiskWasFull) {
  produce("t", "");
  auto what = command({"produce", "t"});
  what.before = [] {
    const rlimit limit{6 << 20, 6 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  const auto lines = numbered_lines(2'000'000);
  const auto done = run(what, lines);
  EXPECT_THAT(done, fails_saying(1, " records stored before that\n"));
  const auto stored = print({"tail", "t"});
  const auto count = static_cast<std::size_t>(std::count(stored.begin(), stored.end(), '\n'));
  EXPECT_GT(count, 0U);
  EXPECT_TRUE(lines.starts_with(stored)) << "something else than the first lines is stored";
  EXPECT_THAT(done.err, ::testing::HasSubstr(fmt::format("; {} records stored before that", count)));
}

}  // namespace
}  // namespace levada::test
