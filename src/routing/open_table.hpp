#pragma once

/// @file
/// A hash table for small, plain entries that are looked up far more often than they change.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace levada::routing {

/// Entries side by side in one block, at most half full, so that looking one up touches one or two cache
/// lines. `Entry` is copyable, has `bool vacant() const`, true of `Entry{}` alone, and `std::uint64_t hash()
/// const`, whose bits need not be mixed. Concurrent calls of const members are safe.
template <class Entry>
class open_table {
 public:
  /// The entry with this hash that `is(entry)`, or nullptr; until the next change.
  template <class Is>
  [[nodiscard]] const Entry* find(std::uint64_t hash, Is is) const {
    if (entries_.empty()) return nullptr;
    for (std::size_t i = home(hash); !entries_[i].vacant(); i = after(i)) {
      if (is(entries_[i])) return &entries_[i];
    }
    return nullptr;
  }

  /// What it takes.
  [[nodiscard]] std::size_t bytes() const noexcept { return entries_.size() * sizeof(Entry); }

  template <class Each>
  void for_each(Each each) const {
    for (const Entry& entry : entries_) {
      if (!entry.vacant()) each(entry);
    }
  }

  /// Precondition: it is not there.
  void insert(const Entry& entry) {
    if (2 * (size_ + 1) > entries_.size()) grow();
    put(entry);
    ++size_;
  }

  /// Precondition: `entry` is what `find` returned.
  void erase(const Entry* entry) {
    auto hole = static_cast<std::size_t>(entry - entries_.data());
    // What stands behind the hole moves up, unless it would then stand before its home.
    for (std::size_t i = after(hole); !entries_[i].vacant(); i = after(i)) {
      const std::size_t wanted = home(entries_[i].hash());
      if (((i - wanted) & mask()) < ((i - hole) & mask())) continue;
      entries_[hole] = entries_[i];
      hole = i;
    }
    entries_[hole] = Entry{};
    --size_;
  }

 private:
  [[nodiscard]] std::size_t mask() const noexcept { return entries_.size() - 1; }
  [[nodiscard]] std::size_t after(std::size_t i) const noexcept { return (i + 1) & mask(); }
  [[nodiscard]] std::size_t home(std::uint64_t hash) const noexcept {
    constexpr std::uint64_t golden = 0x9E37'79B9'7F4A'7C15;
    return static_cast<std::size_t>((hash * golden) >> shift_);
  }
  void put(const Entry& entry) {
    std::size_t i = home(entry.hash());
    while (!entries_[i].vacant()) i = after(i);
    entries_[i] = entry;
  }
  void grow() {
    std::vector<Entry> old(entries_.empty() ? 8 : 2 * entries_.size());
    old.swap(entries_);
    shift_ = 64;
    for (std::size_t n = entries_.size(); n > 1; n /= 2) --shift_;
    for (const Entry& entry : old) {
      if (!entry.vacant()) put(entry);
    }
  }

  std::vector<Entry> entries_;  // a power of two of them, or none
  std::size_t size_ = 0;
  int shift_ = 64;
};

}  // namespace levada::routing
