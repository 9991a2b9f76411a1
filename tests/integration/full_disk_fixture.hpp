#pragma once

/// @file
/// A disk of one's own that can be full, and what is done there.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>

#include <support/child_process.hpp>
#include <support/result_testing.hpp>
#include <support/scarce_disk.hpp>
#include <support/temporary_directory.hpp>

#include <levada/levada.hpp>

#include "witnessed_bus.hpp"

namespace levada::test {

inline constexpr std::uint64_t kib = 1024;

// How a bus is opened.
inline void as_ever(bus_options&) {}
inline void with_checkpoints(bus_options& o) {
  o.durability = checkpointed{std::chrono::hours{1}};
}

/// Values of many sizes: within a row, a row's, and of several rows.
inline std::string value_of(std::size_t i) {
  static constexpr std::size_t sizes[] = {20, 700, 60, 1'900, 5'000, 300, 2'100, 9'000};
  std::string value = fmt::format("{} ", i);
  value.resize(sizes[i % std::size(sizes)], static_cast<char>('a' + i % 26));
  return value;
}

/// Something of everything that a store in use goes on with; `judge` gets each outcome.
inline void do_small_things(witnessed_bus& w, void (*judge)(const result<void>&)) {
  if (w.the_bus().topic("orders")) {
    judge(w.publish("orders", "small", "thing"));
    judge(w.read_on());
  }
  if (w.the_bus().topic("facts")) {
    std::size_t stored = 0;
    judge(w.produce({"a small thing"}, stored));
  }
  if (w.the_bus().exchange("events")) {
    judge(w.send("a small thing"));
    judge(w.settle());
  }
  judge(w.the_bus().maintain());
  judge(w.the_bus().sync());
}
inline void must_succeed(const result<void>& done) {
  ok(done);
}

class full_disk_fixture : public ::testing::Test {
 protected:
  /// `body(disk)` in a child, on a disk of its own; its result is the exit code.
  void on_a_disk(const std::function<int(scarce_disk&)>& body) {
    child_process child{[&](const auto&) {
      const auto disk = scarce_disk::mount(directory_.path(), disk_bytes);
      return disk ? body(*disk) : exit_not_permitted;
    }};
    const int code = child.wait();
    if (code == exit_not_permitted) GTEST_SKIP() << "the system permits no file system of one's own";
    EXPECT_EQ(code, 0);
  }
  void under_a_limit(const std::function<int(scarce_disk&)>& body) {
    child_process child{[&](const auto&) { return body(*scarce_disk::limit_files(directory_.path())); }};
    EXPECT_EQ(child.wait(), 0);
  }

 private:
  static constexpr std::uint64_t disk_bytes = std::uint64_t{48} << 20;
  static constexpr int exit_not_permitted = 77;

  temporary_directory directory_;
};

}  // namespace levada::test
