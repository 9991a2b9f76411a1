#include <crash/recording_watch.hpp>

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

namespace levada::crash {
namespace {

using what = operation::what;

/// How many calls before a removal belong to it: the commit that drops the segment, or the checkpoint that
/// does not name it.
constexpr std::size_t calls_before_removal = 15;
constexpr std::uint64_t meta_pages_end = 2 * std::uint64_t{4096};

/// Follows the sealings of a recording, call by call.
class sealing_watch {
 public:
  void see(const operation& o) {
    switch (o.kind) {
      case what::open:
        if (o.path.filename() == "segments") directory_ = o.inode;
        if (o.path.filename() == "data.mdb") data_ = o.inode;
        if ((o.flags & O_CREAT) != 0 && o.path.extension() == ".new" && o.path.stem() != "checkpoint") {
          commits_left_ = commits;
          done_ = sealings_;
        }
        break;
      case what::rename:
        if (o.target.extension() == ".seg") ++named_;
        break;
      case what::sync:
        if (o.inode == directory_ && named_ > 0) {
          ++sealings_;
          segments_ += std::exchange(named_, 0);
        }
        break;
      case what::write:
      case what::durable_write:
        // LMDB ends a commit with its meta page, durable where it flushes at all.
        if (o.kind == what::durable_write || (o.inode == data_ && o.offset < meta_pages_end)) see_commit();
        break;
      default:
        break;
    }
  }
  [[nodiscard]] bool under_way() const noexcept { return commits_left_ > 0; }
  [[nodiscard]] bool erasing() const noexcept { return under_way() && commits_left_ < commits; }
  [[nodiscard]] std::uint64_t sealings() const noexcept { return sealings_; }
  [[nodiscard]] std::uint64_t segments() const noexcept { return segments_; }

 private:
  void see_commit() {
    if (commits_left_ > 0 && named_ == 0 && sealings_ > done_) --commits_left_;
    if (commits_left_ == 0) done_ = sealings_;
  }

  /// That name the segments and erase rows; a large journal takes more.
  static constexpr int commits = 3;
  std::uint64_t directory_ = 0;
  std::optional<std::uint64_t> data_;
  std::uint64_t named_ = 0;  // and not synced
  std::uint64_t sealings_ = 0;
  std::uint64_t done_ = 0;  // whose commits have come
  std::uint64_t segments_ = 0;
  int commits_left_ = 0;
};

/// Follows what the victim tells.
class line_watch {
 public:
  void see(const std::string& line) {
    const event e = from_line(line);
    if (std::holds_alternative<opened>(e)) made_ = true;
    if (std::holds_alternative<opening>(e)) {
      recovering_ = crashed_;
      crashed_ = true;
    } else if (std::holds_alternative<opened>(e)) {
      recovering_ = false;
    } else if (std::holds_alternative<closed>(e)) {
      crashed_ = false;
    } else if (std::holds_alternative<flushing>(e)) {
      flushing_ = true;
    } else if (std::holds_alternative<flushed>(e)) {
      flushing_ = false;
    }
  }
  void end_of_process() noexcept {
    recovering_ = false;
    flushing_ = false;
  }
  [[nodiscard]] bool made() const noexcept { return made_; }
  [[nodiscard]] bool recovering() const noexcept { return recovering_; }
  [[nodiscard]] bool is_flushing() const noexcept { return flushing_; }

 private:
  bool made_ = false;
  bool crashed_ = false;
  bool recovering_ = false;
  bool flushing_ = false;
};

}  // namespace

moments find_moments(const disk& start, const history& earlier, const std::vector<operation>& operations) {
  moments found;
  disk d = start;
  line_watch lines;
  for (const std::string& line : earlier) lines.see(line);
  lines.end_of_process();
  sealing_watch seals;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const operation& o = operations[i];
    d.apply(o);
    found.all.push_back(i);
    const bool writing = i + 1 < operations.size() && operations[i + 1].kind == what::durable_write;
    if (d.pending() > 0 || writing) found.pending.push_back(i);
    if (o.kind == what::line) lines.see(o.data);
    if (!lines.made()) found.in_creation.push_back(i);
    if (lines.is_flushing()) found.in_flush.push_back(i);
    if (lines.recovering() && o.kind != what::line && o.kind != what::open) found.in_recovery.push_back(i);
    seals.see(o);
    if (seals.under_way()) found.in_sealing.push_back(i);
    if (seals.erasing()) found.in_erasing.push_back(i);
    if (o.kind == what::remove && o.path.extension() == ".seg") {
      ++found.segments_removed;
      std::size_t from = i - std::min(i, calls_before_removal);
      if (!found.in_removal.empty()) from = std::max(from, found.in_removal.back() + 1);
      for (; from <= i; ++from) found.in_removal.push_back(from);
    }
  }
  found.sealings = seals.sealings();
  found.segments = seals.segments();
  return found;
}

}  // namespace levada::crash
