#pragma once

/// @file
/// Processes that live until they are killed.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <random>
#include <string>

#include <levada/bus.hpp>

namespace levada::crash {

using saying = std::function<void(const std::string&)>;

/// Keeps a processor busy for so long: sleeping would be coarser than what is to be hit.
void stay_busy(std::chrono::microseconds how_long);

/// When a process is killed: so long after it has said so many lines.
struct kill_moment {
  std::size_t lines = 0;
  std::chrono::microseconds delay{};
};
/// A moment within the first `lines_max` lines.
[[nodiscard]] kill_moment draw_moment(std::mt19937_64& random, std::size_t lines_max);

/// Runs `live` in a process of its own until that moment and kills it by SIGKILL. Each line that it says goes
/// to `heard`, with whether it was said before that moment. Returns an empty string, or what was wrong: the
/// process ended by itself.
[[nodiscard]] std::string run_and_kill(const kill_moment& when, const std::function<int(const saying&)>& live,
                                       const std::function<void(const std::string&, bool)>& heard);
/// Runs `live` to its end. Returns an empty string, or what was wrong: `what` ended with another code than 0.
[[nodiscard]] std::string run_to_end(const char* what, const std::function<int(const saying&)>& live,
                                     const saying& heard);

/// A store that seals often, and now and then has checkpoints so often.
[[nodiscard]] bus open_store(const std::filesystem::path& store, bool checkpoints,
                             std::chrono::milliseconds between);

}  // namespace levada::crash
