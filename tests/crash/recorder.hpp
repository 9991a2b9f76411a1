#pragma once

/// @file
/// Sees the calls of this program, and of the libraries it has loaded, that change the file system: opening,
/// writing, truncating, making, renaming and removing, and syncs. It stands in front of libc by defining the
/// functions anew, so the program must be linked with its symbols exported (ENABLE_EXPORTS).
///
/// What it does not see: writes through mappings, system calls made past libc, and what libc does inside
/// itself, such as `fopen`, and the copying of descriptors. Whoever replays a recording therefore compares
/// the outcome with the real files. Calls that it sees and that `disk` cannot replay, such as `link`, are
/// recorded as unknown. `syncfs`, `sync` and `msync` are taken for nothing, which makes the simulated disk
/// keep less than a real one.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace levada::crash {

/// One call that succeeded, or a line of the history between two.
struct operation {
  enum class what {
    /// `path` was opened with `flags` as `inode`; made, if they say so and it did not exist.
    open,
    make_directory,  ///< `path`
    rename,          ///< `path` to `target`
    remove,          ///< `path`: a file or an empty directory
    write,           ///< `data` at `offset` of `inode`
    durable_write,   ///< the same through a descriptor that syncs: durable on return
    truncate,        ///< `inode` to the size `offset`
    sync,            ///< `inode`
    line,            ///< `data`
    unknown,         ///< the call that `data` names, which nobody expected here
  };
  what kind = what::unknown;
  std::filesystem::path path = {};
  std::filesystem::path target = {};
  std::uint64_t inode = 0;
  std::uint64_t offset = 0;
  int flags = 0;
  std::string data = {};
};

/// The whole process has one. All members may be called from any thread; recorded calls are made one at a
/// time, so their order is that in which they happened.
class recorder {
 public:
  recorder() = delete;

  /// Records calls below `root`, an existing directory, until `stop`. Syncs are recorded and not made,
  /// nor are those that a write brings with it: the disk is a simulated one.
  static void start(const std::filesystem::path& root);
  /// Records a line of the history, between the calls made before and after.
  static void note(const std::string& line);
  static std::vector<operation> stop();

  /// From now on syncs are not made, for what need not outlive a power cut. Ends with `start`.
  static void skip_syncs() noexcept;
};

}  // namespace levada::crash
