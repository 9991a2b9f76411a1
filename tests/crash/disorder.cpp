#include <crash/disorder.hpp>

#include <crash/history.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace levada::crash {
namespace {

using what = operation::what;
using operations = std::vector<operation>;

bool removes_segment(const operation& o) {
  return o.kind == what::remove && o.path.extension() == ".seg";
}

/// The inode under which a file was opened last before `until`.
std::optional<std::uint64_t> inode_of(const operations& in, std::size_t until,
                                      const std::filesystem::path& name) {
  for (std::size_t i = until; i > 0; --i) {
    const operation& o = in[i - 1];
    if (o.kind == what::open && o.path.filename() == name) return o.inode;
  }
  return std::nullopt;
}

/// Moves a removal up to `to`, with a sync of its directory behind it; not before its file had its name. Who
/// opens the file between the two finds none.
void move_up(operations& in, std::size_t from, std::size_t to) {
  for (std::size_t i = to; i < from; ++i) {
    if (in[i].kind == what::rename && in[i].target == in[from].path) return;
  }
  const auto directory = inode_of(in, to, "segments");
  operation removal = std::move(in[from]);
  const auto place = in.begin() + static_cast<std::ptrdiff_t>(to);
  const auto behind = in.begin() + static_cast<std::ptrdiff_t>(from) + 1;
  in[from].path = removal.path;
  in.erase(std::remove_if(place, behind, [&](const operation& o) { return o.path == removal.path; }), behind);
  if (directory) {
    operation lasting;
    lasting.kind = what::sync;
    lasting.inode = *directory;
    in.insert(in.insert(place, std::move(lasting)), std::move(removal));
  } else {
    in.insert(place, std::move(removal));
  }
}

/// Where the commit before `at` begins: behind the end of the one before it.
std::size_t begin_of_commit(const operations& in, std::size_t at) {
  int ends = 0;
  for (std::size_t i = at; i > 0; --i) {
    if (in[i - 1].kind == what::durable_write && ++ends == 2) return i;
  }
  return at;
}

std::size_t end_of_maintenance(const operations& in, std::size_t at) {
  const std::string line = to_line(maintained{});
  for (std::size_t i = at; i > 0; --i) {
    if (in[i - 1].kind == what::line && in[i - 1].data == line) return i;
  }
  return at;
}

void sync_data_late(operations& in) {
  std::optional<std::uint64_t> checkpoint;
  std::optional<std::uint64_t> data;
  std::optional<std::size_t> synced;  // the data, the last time
  for (std::size_t i = 0; i < in.size(); ++i) {
    const operation& o = in[i];
    if (o.kind == what::open && o.path.filename() == "checkpoint") checkpoint = o.inode;
    if (o.kind == what::open && o.path.filename() == "data.mdb") data = o.inode;
    if (o.kind == what::sync && o.inode == data) synced = i;
    if (o.kind != what::write || o.inode != checkpoint || !synced) continue;
    std::size_t late = i + 1;
    while (late < in.size() && !(in[late].kind == what::sync && in[late].inode == checkpoint)) ++late;
    if (late == in.size()) return;
    const auto begin = in.begin();
    std::rotate(begin + static_cast<std::ptrdiff_t>(*synced),
                begin + static_cast<std::ptrdiff_t>(*synced) + 1,
                begin + static_cast<std::ptrdiff_t>(late) + 1);
    synced.reset();
    i = late;
  }
}

}  // namespace

operations reorder(operations recorded, disorder how) {
  switch (how) {
    case disorder::none:
      break;
    case disorder::removals_before_commits:
    case disorder::removals_before_checkpoints:
      for (std::size_t i = 0; i < recorded.size(); ++i) {
        if (!removes_segment(recorded[i])) continue;
        const std::size_t to = how == disorder::removals_before_commits ? begin_of_commit(recorded, i)
                                                                        : end_of_maintenance(recorded, i);
        if (to == i) continue;
        const std::size_t before = recorded.size();
        move_up(recorded, i, to);
        i = i + recorded.size() - before;
      }
      break;
    case disorder::checkpoints_before_data:
      sync_data_late(recorded);
      break;
  }
  return recorded;
}

}  // namespace levada::crash
