#include <crash/disk.hpp>

#include <fmt/format.h>

#include <fcntl.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace levada::crash {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t sector_bytes = 512;
constexpr std::size_t page_bytes = 4096;
constexpr const char* segments_name = "segments";
constexpr const char* checkpoint_name = "checkpoint";

/// LMDB's lock file and levada's page of wake-ups: of use only while processes run.
bool written_through_a_mapping(const fs::path& path) {
  return path.filename() == "lock.mdb" || path.filename() == "signal";
}

std::string random_bytes(std::size_t size, std::mt19937_64& random) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

}  // namespace

faults& faults::operator+=(const faults& other) noexcept {
  writes_lost += other.writes_lost;
  writes_torn += other.writes_torn;
  writes_left_as_zeros += other.writes_left_as_zeros;
  truncations_lost += other.truncations_lost;
  names_lost += other.names_lost;
  mapped_files_scribbled += other.mapped_files_scribbled;
  return *this;
}

void disk_image::write_to(const fs::path& root) const {
  for (const auto& [path, n] : nodes) {  // sorted, so directories come before what is in them
    if (n.directory) {
      fs::create_directory(root / path);
      fs::permissions(root / path, fs::perms::owner_all);
      continue;
    }
    std::ofstream out{root / path, std::ios::binary | std::ios::trunc};
    out.write(n.content.data(), static_cast<std::streamsize>(n.content.size()));
    if (!out.flush()) throw std::system_error{errno, std::generic_category(), (root / path).string()};
  }
}

disk_image disk_image::read_from(const fs::path& root) {
  disk_image image;
  for (const auto& entry : fs::recursive_directory_iterator{root}) {
    node& n = image.nodes[entry.path().lexically_relative(root)];
    n.directory = entry.is_directory();
    if (n.directory) continue;
    std::ifstream in{entry.path(), std::ios::binary};
    n.content.assign(std::istreambuf_iterator<char>{in}, {});
  }
  return image;
}

std::string disk_image::difference(const disk_image& a, const disk_image& b) {
  for (const auto& [path, n] : b.nodes) {
    if (!a.nodes.contains(path)) return fmt::format("'{}' is in the second only", path.string());
  }
  for (const auto& [path, n] : a.nodes) {
    const auto other = b.nodes.find(path);
    if (other == b.nodes.end()) return fmt::format("'{}' is in the first only", path.string());
    if (n.directory != other->second.directory)
      return fmt::format("'{}' is a directory in one", path.string());
    if (written_through_a_mapping(path) || n.content == other->second.content) continue;
    return fmt::format("'{}' differs: {} and {} bytes", path.string(), n.content.size(),
                       other->second.content.size());
  }
  return {};
}

disk::disk(const disk_image& initial, ignored_syncs ignored) : ignored_{ignored} {
  nodes_.push_back({.directory = true});
  for (const auto& [path, n] : initial.nodes) {
    nodes_[make(path, n.directory)].durable = n.content;
  }
  durable_names_ = names_;
  name_changes_.clear();
}

disk::node_id disk::find(const fs::path& path) const {
  if (path == ".") return 0;
  node_id at = 0;
  for (const fs::path& part : path) {
    const auto found = names_.find({at, part.string()});
    if (found == names_.end()) return nothing;
    at = found->second;
  }
  return at;
}

disk::node_id disk::find_parent(const fs::path& path) const {
  const node_id parent = path.has_parent_path() ? find(path.parent_path()) : 0;
  if (parent == nothing) throw std::logic_error{fmt::format("'{}' has no directory", path.string())};
  return parent;
}

disk::node_id disk::make(const fs::path& path, bool directory) {
  nodes_.push_back({.directory = directory});
  add(name_change{
      .directory = find_parent(path), .name = path.filename().string(), .target = nodes_.size() - 1});
  return nodes_.size() - 1;
}

void disk::add(change c, node_id to) {
  c.sequence = ++sequence_;
  node& n = nodes_[to];
  // Nothing older can come after it, so it need not be kept apart.
  if (c.durable && n.changes.empty()) return apply(c, n.durable);
  n.changes.push_back(std::move(c));
}

void disk::add(name_change c) {
  c.sequence = ++sequence_;
  apply(c, names_);
  name_changes_.push_back(std::move(c));
}

std::pair<disk::node_id, std::string> disk::place_of(node_id what) const {
  const auto found =
      std::find_if(names_.begin(), names_.end(), [&](const auto& entry) { return entry.second == what; });
  return found == names_.end() ? std::pair{nothing, std::string{}} : found->first;
}

bool disk::ignores(node_id what) const {
  const bool directory = nodes_[what].directory;
  switch (ignored_) {
    case ignored_syncs::none:
      return false;
    case ignored_syncs::of_files:
      return !directory;
    case ignored_syncs::of_directories:
      return directory;
    case ignored_syncs::of_segments:
      return !directory && place_of(place_of(what).first).second == segments_name;
    case ignored_syncs::of_segment_names:
      return directory && place_of(what).second == segments_name;
    case ignored_syncs::of_checkpoints:
      return !directory && place_of(what).second == checkpoint_name;
  }
  return false;
}

void disk::sync(node_id what) {
  if (ignores(what)) return;
  node& n = nodes_[what];
  if (n.directory) {
    const auto lasts = [&](const name_change& c) { return c.directory == what || c.old_directory == what; };
    for (const name_change& c : name_changes_) {
      if (lasts(c)) apply(c, durable_names_);
    }
    name_changes_.erase(std::remove_if(name_changes_.begin(), name_changes_.end(), lasts),
                        name_changes_.end());
  } else {
    for (const change& c : n.changes) apply(c, n.durable);
    n.changes.clear();
  }
}

void disk::apply(const change& c, std::string& content) {
  if (c.truncation) return content.resize(c.offset, '\0');
  if (content.size() < c.offset + c.data.size()) content.resize(c.offset + c.data.size(), '\0');
  std::copy(c.data.begin(), c.data.end(), content.begin() + static_cast<std::ptrdiff_t>(c.offset));
}

void disk::apply(const name_change& c, names& to) {
  if (c.old_directory != nothing) {
    const auto old = to.find({c.old_directory, c.old_name});
    if (old != to.end() && old->second == c.target) to.erase(old);
  }
  if (c.target == nothing) {
    to.erase({c.directory, c.name});
  } else {
    to[{c.directory, c.name}] = c.target;
  }
}

void disk::apply(const operation& o) {
  const auto by_inode = [&] {
    const auto found = by_inode_.find(o.inode);
    if (found == by_inode_.end()) throw std::logic_error{fmt::format("inode {} was never opened", o.inode)};
    return found->second;
  };
  switch (o.kind) {
    case operation::what::open: {
      node_id n = find(o.path);
      if (n == nothing) {
        if ((o.flags & O_CREAT) == 0)
          throw std::logic_error{fmt::format("nobody made '{}'", o.path.string())};
        n = make(o.path, false);
      } else if ((o.flags & O_TRUNC) != 0) {
        add(change{.truncation = true}, n);
      }
      by_inode_[o.inode] = n;
      return;
    }
    case operation::what::make_directory:
      make(o.path, true);
      return;
    case operation::what::rename:
      return add(name_change{.directory = find_parent(o.target),
                             .name = o.target.filename().string(),
                             .target = find(o.path),
                             .old_directory = find_parent(o.path),
                             .old_name = o.path.filename().string()});
    case operation::what::remove:
      return add(name_change{.directory = find_parent(o.path), .name = o.path.filename().string()});
    case operation::what::write:
      return add(change{.offset = o.offset, .data = o.data}, by_inode());
    case operation::what::durable_write:
      return add(change{.offset = o.offset, .data = o.data, .durable = !ignores(by_inode())}, by_inode());
    case operation::what::truncate:
      return add(change{.offset = o.offset, .truncation = true}, by_inode());
    case operation::what::sync:
      return sync(by_inode());
    case operation::what::line:
      return;
    case operation::what::unknown:
      break;
  }
  throw std::logic_error{fmt::format("the simulated disk does not know '{}'", o.data)};
}

std::size_t disk::pending() const noexcept {
  std::size_t count = name_changes_.size();
  for (const node& n : nodes_) {
    count += static_cast<std::size_t>(
        std::count_if(n.changes.begin(), n.changes.end(), [](const change& c) { return !c.durable; }));
  }
  return count;
}

/// Decides what survives one power cut.
class disk::choice {
 public:
  /// What is pending has sequence numbers from `first` to `last`.
  choice(survival what, std::uint64_t first, std::uint64_t last, std::mt19937_64& random)
      : what_{what}, random_{random} {
    constexpr std::uint64_t chances[] = {10, 50, 90};
    percent_ = chances[random() % std::size(chances)];
    oldest_until_ = first - 1 + random() % (last - first + 2);
  }

  [[nodiscard]] bool survives(std::uint64_t sequence) {
    switch (what_) {
      case survival::none:
        return false;
      case survival::all:
        return true;
      case survival::oldest:
        return sequence <= oldest_until_;
      case survival::some:
      case survival::torn:
        break;
    }
    return random_() % 100 < percent_;
  }

  /// What of a pending change gets through, as changes of its parts.
  [[nodiscard]] std::vector<change> parts(const change& c, faults& done) {
    if (!survives(c.sequence)) {
      if (c.truncation) {
        ++done.truncations_lost;
      } else if (what_ == survival::torn && random_() % 4 == 0) {
        ++done.writes_left_as_zeros;
        return {grown(c)};
      } else {
        ++done.writes_lost;
      }
      return {};
    }
    if (c.truncation || what_ != survival::torn || random_() % 4 == 0) return {c};
    return tear(c, done);
  }

 private:
  /// The growth of a file that a write brings with it, without its data.
  static change grown(const change& c) {
    change size = c;
    size.offset += c.data.size();
    size.data.clear();
    return size;
  }

  std::vector<change> tear(const change& c, faults& done) {
    const std::size_t unit = random_() % 2 == 0 ? sector_bytes : page_bytes;
    std::vector<change> torn;
    bool lost = false;
    for (std::size_t at = 0; at < c.data.size();) {
      const std::size_t size = std::min(unit - (c.offset + at) % unit, c.data.size() - at);
      if (random_() % 2 == 0) {
        torn.push_back({.sequence = c.sequence, .offset = c.offset + at, .data = c.data.substr(at, size)});
      } else {
        lost = true;
      }
      at += size;
    }
    if (lost && torn.empty()) {
      ++done.writes_lost;
    } else if (lost) {
      ++done.writes_torn;
      if (random_() % 2 == 0) torn.push_back(grown(c));
    }
    return torn;
  }

  const survival what_;
  std::mt19937_64& random_;
  std::uint64_t percent_ = 0;
  std::uint64_t oldest_until_ = 0;
};

disk_image disk::cut(survival what, const operation* under_way, std::mt19937_64& random, faults& done) const {
  const std::uint64_t next = sequence_ + 1;
  std::uint64_t first = next;
  for (const name_change& c : name_changes_) first = std::min(first, c.sequence);
  for (const node& n : nodes_) {
    if (!n.changes.empty()) first = std::min(first, n.changes.front().sequence);
  }
  choice chosen{what, first, next, random};

  names surviving = durable_names_;
  for (const name_change& c : name_changes_) {
    if (chosen.survives(c.sequence)) {
      apply(c, surviving);
    } else {
      ++done.names_lost;
    }
  }
  node_id being_written = nothing;
  if (under_way != nullptr && under_way->kind == operation::what::durable_write) {
    being_written = by_inode_.at(under_way->inode);
  }
  std::map<node_id, std::string> contents;
  for (node_id id = 0; id < nodes_.size(); ++id) {
    const node& n = nodes_[id];
    if (n.directory) continue;
    std::string& content = contents[id] = n.durable;
    for (const change& c : n.changes) {
      if (c.durable) {
        apply(c, content);
      } else {
        for (const change& part : chosen.parts(c, done)) apply(part, content);
      }
    }
    if (id == being_written) {
      const change c{.sequence = next, .offset = under_way->offset, .data = under_way->data};
      for (const change& part : chosen.parts(c, done)) apply(part, content);
    }
  }
  disk_image image;
  collect(surviving, 0, {}, contents, image);
  if (what == survival::all) return image;
  for (auto& [path, n] : image.nodes) {
    if (n.directory || !written_through_a_mapping(path) || random() % 2 == 0) continue;
    n.content = random_bytes(n.content.size(), random);
    ++done.mapped_files_scribbled;
  }
  return image;
}

void disk::collect(const names& which, node_id from, const fs::path& path,
                   const std::map<node_id, std::string>& contents, disk_image& image) const {
  for (auto at = which.lower_bound({from, {}}); at != which.end() && at->first.first == from; ++at) {
    const fs::path below = path / at->first.second;
    const bool directory = nodes_[at->second].directory;
    image.nodes[below] = {directory, directory ? std::string{} : contents.at(at->second)};
    if (directory) collect(which, at->second, below, contents, image);
  }
}

}  // namespace levada::crash
