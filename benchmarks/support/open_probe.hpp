#pragma once

/// @file
/// What opening a store costs, seen from a process that does nothing else.

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace levada::bench {

/// How a probe ends.
enum class probe_end : std::uint8_t {
  /// The store is closed.
  close,
  /// The process kills itself (SIGKILL) after a publish, with the store open.
  kill,
  /// The store is read from end to end, and closed.
  read,
};

struct open_sample {
  /// Of one pass of pread over main/data.mdb, which the page cache holds; right before the store is opened.
  double read_milliseconds = 0;
  double main_bytes = 0;
  double open_milliseconds = 0;
  /// Anonymous memory of the process (RssAnon) before the store is opened, and at the end.
  double anonymous_bytes_before = 0;
  double anonymous_bytes = 0;
};

/// Runs this program again with `--open-probe`, which opens `store`, publishes one record to its topic
/// "measured" (unless it is to read), and ends as told. Throws std::runtime_error if it does not.
[[nodiscard]] open_sample probe_open(const std::filesystem::path& store, probe_end end);

/// What that other process does. Never returns for `probe_end::kill`. Throws.
int serve_open_probe(const std::filesystem::path& store, std::string_view end);

}  // namespace levada::bench
