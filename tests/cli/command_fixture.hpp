#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include "levada_command.hpp"

#include <levada/levada.hpp>

namespace levada::test {

/// Matches the outcome of a command that ended with `status` by itself, printed nothing, and gave its reason,
/// with `words` in it, in one line.
MATCHER_P2(fails_saying, status, words, "") {
  *result_listener << "status " << arg.status << ", standard error: " << arg.err;
  return arg.status == status && !arg.signaled && arg.out.empty() && arg.err.starts_with("levada: ") &&
         std::count(arg.err.begin(), arg.err.end(), '\n') == 1 && arg.err.back() == '\n' &&
         arg.err.find(words) != std::string::npos;
}

/// Matches the outcome of a command that a signal ended, after it said `err`.
MATCHER_P2(ended_by, signal_number, err, "") {
  *result_listener << "status " << arg.status << ", standard error: " << arg.err;
  return arg.signaled && arg.status == 128 + signal_number && arg.err == err;
}

/// A place for one store, and the command at work on it.
class command_fixture : public ::testing::Test {
 protected:
  [[nodiscard]] std::string store() const { return (directory_ / "store").string(); }
  [[nodiscard]] std::filesystem::path main_file() const { return directory_ / "store" / "main" / "data.mdb"; }
  [[nodiscard]] const temporary_directory& directory() const { return directory_; }

  /// The command with `--dir` added.
  [[nodiscard]] launch command(std::vector<std::string> words) const {
    words.insert(words.begin() + 1, {"--dir", store()});
    return levada_command(std::move(words));
  }
  /// Runs that to its end.
  [[nodiscard]] outcome levada(std::vector<std::string> words, std::string_view input = {}) const {
    return run(command(std::move(words)), input);
  }
  /// Stores lines, which must succeed and say nothing.
  void produce(const std::string& topic, std::string_view input, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"produce", topic});
    const auto done = levada(std::move(more), input);
    EXPECT_EQ(done.status, 0);
    EXPECT_EQ(done.out, "");
    EXPECT_EQ(done.err, "");
  }
  /// What the command prints, which must succeed and complain about nothing.
  [[nodiscard]] std::string print(std::vector<std::string> words) const {
    auto done = levada(std::move(words));
    EXPECT_EQ(done.status, 0);
    EXPECT_EQ(done.err, "");
    return std::move(done.out);
  }

  /// The topic's partitions; none where there is no such topic.
  [[nodiscard]] std::vector<partition_info> partitions(const std::string& topic) const {
    const auto topics = ok(ok(attachment::open(store())).topics());
    for (const auto& t : topics) {
      if (t.name == topic) return t.partitions;
    }
    return {};
  }

 private:
  temporary_directory directory_;
};

/// "0\n1\n2\n" and so on, up to `count` numbers.
inline std::string numbered_lines(std::size_t count) {
  std::string lines;
  for (std::size_t i = 0; i < count; ++i) fmt::format_to(std::back_inserter(lines), "{}\n", i);
  return lines;
}

}  // namespace levada::test
