#pragma once

/// @file
/// Who else reads the store, and who holds on to an old snapshot of it.

#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "bus/worker.hpp"

#include <levada/inspect.hpp>

namespace levada {

class core;

/// Looks at LMDB's table of readers, each second in a thread of its own, and whenever it is asked. What dead
/// processes have left there is cleared. Safe to share.
class reader_watch {
 public:
  explicit reader_watch(core& owner);
  void start() noexcept { worker_.start(); }
  /// As a worker's.
  void stop() { worker_.stop(); }
  void abandon() noexcept { worker_.abandon(); }

  [[nodiscard]] result<std::vector<reader_info>> look();

 private:
  void tell_of(const reader_info& reader) const;

  using held = std::pair<int, std::uint64_t>;  // process, transaction

  core& owner_;
  std::mutex mutex_;                          // guards what follows
  std::map<held, clock::steady_time> since_;  // when it was first seen
  std::map<held, reader_state> told_;         // what the logger was told of it
  clock::steady_time next_{};
  worker worker_;
};

}  // namespace levada
