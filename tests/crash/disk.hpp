#pragma once

/// @file
/// A disk with a cache in front: replays recorded calls, and tells what a power cut may leave of them.
///
/// What is promised is what POSIX and Linux promise, and no more:
/// - A file's changes last from its sync on, or from the return of a write through a descriptor that syncs.
/// - A name made, renamed or removed lasts from the sync of its directory on; syncing the file does nothing
///   for it. A rename happens wholly or not at all.
/// - Before that, changes survive in any order and any selection. Of a write, sectors of 512 bytes survive
///   wholly or not at all, and a file may have grown without its data, which then reads as zeros.
/// - Files that are written through mappings hold anything, in their right size.
///
/// What is not modelled: damage to what was synced (lying disks, rotten bits), syncs that fail, sectors torn
/// within, names of one directory that a file system happens to order, and permissions.

#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <crash/recorder.hpp>

namespace levada::crash {

/// What has become of the changes that were not yet durable, by kind.
struct faults {
  std::uint64_t writes_lost = 0;
  /// Of a write, some sectors are there and some are not.
  std::uint64_t writes_torn = 0;
  /// A file has grown, and has zeros where the data should be.
  std::uint64_t writes_left_as_zeros = 0;
  std::uint64_t truncations_lost = 0;
  /// Names made, renamed or removed.
  std::uint64_t names_lost = 0;
  /// Files written through a mapping, filled with anything.
  std::uint64_t mapped_files_scribbled = 0;

  [[nodiscard]] std::uint64_t total() const noexcept {
    return writes_lost + writes_torn + writes_left_as_zeros + truncations_lost + names_lost;
  }
  faults& operator+=(const faults& other) noexcept;
};

/// Files and directories by path below the root; a directory's content is not used.
struct disk_image {
  struct node {
    bool directory = false;
    std::string content = {};
  };
  std::map<std::filesystem::path, node> nodes;

  /// Makes it all in an existing directory.
  void write_to(const std::filesystem::path& root) const;
  [[nodiscard]] static disk_image read_from(const std::filesystem::path& root);
  /// The first difference, as a sentence; empty when there is none. Files that are written through mappings,
  /// which no call shows, are not compared.
  [[nodiscard]] static std::string difference(const disk_image& a, const disk_image& b);
};

/// Which of the pending changes survive.
enum class survival {
  none,
  all,
  /// Those that were made first.
  oldest,
  /// Any.
  some,
  /// Any, and those cut at sectors.
  torn,
};

/// Calls that are taken for nothing, to see that their absence is found out.
enum class ignored_syncs {
  none,
  of_files,
  of_directories,
  /// Files in a directory named "segments".
  of_segments,
  /// Such a directory itself.
  of_segment_names,
  /// Files named "checkpoint".
  of_checkpoints,
};

class disk {
 public:
  /// With the durable content `initial`.
  explicit disk(const disk_image& initial, ignored_syncs ignored = ignored_syncs::none);

  /// Throws `std::logic_error` for a call that it does not know how to replay.
  void apply(const operation& o);

  /// How many changes a power cut now may undo.
  [[nodiscard]] std::size_t pending() const noexcept;

  /// A state that a power cut now may leave, adding to `done` what it undoes. `under_way` is a call that has
  /// begun, or null.
  [[nodiscard]] disk_image cut(survival what, const operation* under_way, std::mt19937_64& random,
                               faults& done) const;

 private:
  struct change {
    std::uint64_t sequence = 0;
    std::uint64_t offset = 0;
    std::string data = {};
    bool truncation = false;
    bool durable = false;
  };
  struct node {
    bool directory = false;
    std::string durable = {};
    std::vector<change> changes = {};  // in order, with a pending one at the front
  };
  using node_id = std::size_t;
  static constexpr node_id nothing = static_cast<node_id>(-1);
  /// `name` in `directory` becomes `target`; in a rename another name goes with it.
  struct name_change {
    std::uint64_t sequence = 0;
    node_id directory = nothing;
    std::string name = {};
    node_id target = nothing;
    node_id old_directory = nothing;
    std::string old_name = {};
  };
  /// By directory and name.
  using names = std::map<std::pair<node_id, std::string>, node_id>;

  class choice;

  [[nodiscard]] node_id find(const std::filesystem::path& path) const;
  [[nodiscard]] node_id find_parent(const std::filesystem::path& path) const;
  node_id make(const std::filesystem::path& path, bool directory);
  void add(change c, node_id to);
  void add(name_change c);
  void sync(node_id what);
  /// Whether its syncs are taken for nothing.
  [[nodiscard]] bool ignores(node_id what) const;
  /// The name that it has now, and the directory that this is in; nothing if it has none.
  [[nodiscard]] std::pair<node_id, std::string> place_of(node_id what) const;
  static void apply(const change& c, std::string& content);
  static void apply(const name_change& c, names& to);
  void collect(const names& which, node_id from, const std::filesystem::path& path,
               const std::map<node_id, std::string>& contents, disk_image& image) const;

  ignored_syncs ignored_;
  std::vector<node> nodes_;
  names durable_names_;
  names names_;
  std::vector<name_change> name_changes_;
  std::map<std::uint64_t, node_id> by_inode_;
  std::uint64_t sequence_ = 0;
};

}  // namespace levada::crash
