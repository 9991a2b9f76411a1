#pragma once

/// @file
/// Where a store's room has gone: found out by a bus or an attachment from the catalogue, the files, and what
/// retention goes by.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "log/log_reader.hpp"
#include "log/log_state.hpp"
#include "log/sealed_segment.hpp"
#include "storage/main_environment.hpp"

#include <levada/error.hpp>
#include <levada/space.hpp>

namespace levada {

/// A store as those see it who have it open.
struct space_source {
  const storage::main_environment& main;
  /// Empty in memory.
  std::filesystem::path directory;
  /// The time of the bus, in microseconds since 1970.
  std::int64_t now = 0;
  /// The log of this id; null where there is none.
  std::function<std::shared_ptr<const log::log_state>(std::uint32_t id)> find_log;
  log::log_reader::catch_up_function catch_up = {};
  /// Files of segments that this process has open, named or not.
  std::vector<log::segment_cache::open_file> open_files;
  /// Processes that hold snapshots for reasons of their own: this one, and the owner.
  std::vector<int> own_processes;
  /// The room of files without a name that nothing else here tells of.
  std::uint64_t nameless_bytes = 0;
};

/// Nothing is held while it is found out, so bytes that move meanwhile are told at one of their places; the
/// sum is right all the same. Fails with `damaged` for what cannot be read, and with `io_error`.
[[nodiscard]] result<space_report> measure_space(const space_source& source);

}  // namespace levada
