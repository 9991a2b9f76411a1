#include "cli/line_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <support/result_testing.hpp>

namespace levada::cli {
namespace {

using namespace std::string_literals;
using test::fails_with;
using test::succeeds;

/// A pipe, and a reader of lines at its end.
class LineReader : public ::testing::Test {
 protected:
  static constexpr std::size_t longest = 8;

  LineReader() {
    if (::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error{"pipe"};
  }
  ~LineReader() override {
    close_input();
    ::close(ends_[0]);
  }

  void write(std::string_view text) {
    ASSERT_EQ(::write(ends_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close_input() {
    if (ends_[1] >= 0) ::close(std::exchange(ends_[1], -1));
  }
  /// All lines that are here in whole.
  std::vector<std::string> take_all(line_reader& from) {
    std::vector<std::string> lines;
    while (const auto line = from.take()) lines.emplace_back(*line);
    return lines;
  }
  /// All lines up to the input's end.
  std::vector<std::string> read_all(line_reader& from) {
    std::vector<std::string> lines = take_all(from);
    while (!from.at_end()) {
      const auto got = from.read();
      if (!got) throw std::runtime_error{got.error().message()};
      for (auto& line : take_all(from)) lines.push_back(std::move(line));
    }
    return lines;
  }
  [[nodiscard]] int input() const { return ends_[0]; }

 private:
  std::array<int, 2> ends_{-1, -1};
};

using lines = std::vector<std::string>;

TEST_F(LineReader, CutsAtNewlinesAndKeepsEveryOtherByte) {
  line_reader reader{input(), longest};
  write("a\n\n\0\r\xff\n\n"s);
  close_input();
  EXPECT_EQ(read_all(reader), (lines{"a", "", "\0\r\xff"s, ""}));
  EXPECT_EQ(reader.line_number(), 4U);
}

TEST_F(LineReader, TakesALastLineWithoutNewline) {
  line_reader reader{input(), longest};
  write("a\nb");
  close_input();
  EXPECT_EQ(read_all(reader), (lines{"a", "b"}));
}

TEST_F(LineReader, FindsNoLineInAnEmptyInput) {
  line_reader reader{input(), longest};
  close_input();
  EXPECT_EQ(read_all(reader), lines{});
  EXPECT_EQ(reader.line_number(), 0U);
}

TEST_F(LineReader, WaitsForTheRestOfALine) {
  line_reader reader{input(), longest};
  write("a\nbe");
  ASSERT_THAT(reader.read(), succeeds());
  EXPECT_EQ(take_all(reader), lines{"a"});
  write("g");
  ASSERT_THAT(reader.read(), succeeds());
  EXPECT_EQ(take_all(reader), lines{});
  write("in\nc");
  ASSERT_THAT(reader.read(), succeeds());
  EXPECT_EQ(take_all(reader), lines{"begin"});
  EXPECT_FALSE(reader.at_end());
}

TEST_F(LineReader, FindsTheSameLinesWhereverReadsEnd) {
  const std::string text = "12345678\n\nab\nc\n\n\n1234567\n87654321";
  for (std::size_t first = 0; first <= text.size(); ++first) {
    std::array<int, 2> ends{-1, -1};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    line_reader reader{ends[0], longest};
    lines got;
    const auto feed = [&](std::string_view part) {
      for (const char c : part) {
        EXPECT_EQ(::write(ends[1], &c, 1), 1);
        ASSERT_THAT(reader.read(), succeeds());
        for (auto& line : take_all(reader)) got.push_back(std::move(line));
      }
    };
    feed(std::string_view{text}.substr(0, first));
    const std::string_view rest = std::string_view{text}.substr(first);
    EXPECT_EQ(::write(ends[1], rest.data(), rest.size()), static_cast<ssize_t>(rest.size()));
    ::close(ends[1]);
    for (auto& line : read_all(reader)) got.push_back(std::move(line));
    ::close(ends[0]);
    EXPECT_EQ(got, (lines{"12345678", "", "ab", "c", "", "", "1234567", "87654321"})) << "cut at " << first;
  }
}

TEST_F(LineReader, RefusesALineThatIsTooLongAndNamesIt) {
  line_reader reader{input(), longest};
  write("12345678\n123456789\n");
  close_input();
  EXPECT_THAT(reader.read(), succeeds());
  EXPECT_EQ(take_all(reader), lines{"12345678"});
  result<void> got;
  for (int i = 0; i < 3 && got; ++i) {
    got = reader.read();
    EXPECT_EQ(take_all(reader), lines{});
  }
  EXPECT_THAT(got, fails_with(errc::record_too_large));
  EXPECT_NE(got.error().message().find("line 2 is longer than 8 bytes"), std::string::npos)
      << got.error().message();
}

TEST_F(LineReader, RefusesALongLastLineToo) {
  line_reader reader{input(), longest};
  write("123456789");
  close_input();
  EXPECT_THAT(reader.read(), succeeds());
  EXPECT_EQ(take_all(reader), lines{});
  EXPECT_THAT(reader.read(), fails_with(errc::record_too_large));
}

TEST_F(LineReader, TakesNothingFromAnInputThatHasNothingYet) {
  line_reader reader{input(), longest};
  EXPECT_THAT(reader.read(), succeeds());
  EXPECT_EQ(take_all(reader), lines{});
  EXPECT_FALSE(reader.at_end());
}

TEST_F(LineReader, TellsWhyItCannotRead) {
  line_reader reader{-1, longest};
  EXPECT_THAT(reader.read(), fails_with(errc::io_error));
}

}  // namespace
}  // namespace levada::cli
