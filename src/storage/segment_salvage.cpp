#include "storage/segment_salvage.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

#include "storage/errors.hpp"
#include "storage/file_io.hpp"
#include "storage/lmdb_format.hpp"

namespace levada::storage {
namespace {

using namespace lmdb_format;

/// What is read at once while leaves are looked for.
constexpr std::size_t read_block_bytes = std::size_t{256} << 10;

}  // namespace

result<std::optional<segment_salvage>> segment_salvage::open(const std::filesystem::path& file) {
  unique_fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) {
    if (errno == ENOENT) return std::optional<segment_salvage>{};
    return system_error(errno, "open segment", file);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error(errno, "examine", file);
  segment_salvage self{std::move(fd), file, static_cast<std::uint64_t>(info.st_size)};
  if (!S_ISREG(info.st_mode)) return std::optional{std::move(self)};
  if (auto done = self.find_page_size(); !done) return done.error();
  if (auto done = self.find_places(); !done) return done.error();
  if (auto done = self.judge(); !done) return done.error();
  return std::optional{std::move(self)};
}

/// A meta page tells it; where both are lost, the file was written with pages of the system's size.
result<void> segment_salvage::find_page_size() {
  page_size_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (std::uint64_t at = 0; at <= page_size_max; at = at == 0 ? page_size_min : 2 * at) {
    std::array<std::byte, meta_page_head_size> head{};
    if (at + head.size() > size_) break;
    if (const int failure = read_at(fd_.get(), at, head.data(), head.size()); failure > 0) {
      return system_error(failure, "read", file_);
    }
    if (!fault_of(head).empty()) continue;
    const std::size_t found = meta_of(head).free.pad;
    if (at != 0 && at != found) continue;
    page_size_ = found;
    break;
  }
  return {};
}

result<void> segment_salvage::find_places() {
  std::vector<std::byte> block(std::max(read_block_bytes, page_size_));
  const std::uint64_t pages = size_ / page_size_;
  const std::size_t pages_in_block = block.size() / page_size_;
  for (std::uint64_t first = 0; first < pages; first += pages_in_block) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(pages_in_block, pages - first));
    const int failure = read_at(fd_.get(), first * page_size_, block.data(), count * page_size_);
    if (failure > 0) return system_error(failure, "read", file_);
    if (failure < 0) return {};
    for (std::size_t i = 0; i < count; ++i) take_leaf(block.data() + i * page_size_, first + i);
  }
  return {};
}

/// Notes the values that a page names, if it is a leaf.
void segment_salvage::take_leaf(const std::byte* page, std::uint64_t number) {
  if (load<std::uint64_t>(page) != number || load<std::uint16_t>(page + 10) != leaf) return;
  const std::size_t lower = load<std::uint16_t>(page + 12);
  const std::size_t upper = load<std::uint16_t>(page + 14);
  if (lower < page_header_size || lower > upper || upper > page_size_) return;
  for (std::size_t i = 0; i < (lower - page_header_size) / 2; ++i) {
    const std::size_t at = load<std::uint16_t>(page + page_header_size + 2 * i);
    std::array<std::uint64_t, 2> words{};
    const std::size_t behind_key = at + node_header_size + sizeof words;
    if (at < lower || behind_key > page_size_) continue;
    if (load<std::uint16_t>(page + at + 6) != sizeof words) continue;
    std::memcpy(words.data(), page + at + node_header_size, sizeof words);
    const std::uint64_t first = big_endian(words[0]);
    place p{
        {static_cast<std::uint32_t>(first >> 32), static_cast<std::uint32_t>(first), big_endian(words[1])},
        0,
        load<std::uint16_t>(page + at) | std::size_t{load<std::uint16_t>(page + at + 2)} << 16,
        number};
    if ((load<std::uint16_t>(page + at + 4) & big_data) == 0) {
      p.begin = number * page_size_ + behind_key;
    } else if (behind_key + sizeof(std::uint64_t) <= page_size_) {
      const auto page_of_value = load<std::uint64_t>(page + behind_key);
      // Such a number cannot be told from a damaged one by multiplying it.
      p.begin = page_of_value < size_ / page_size_ ? page_of_value * page_size_ + page_header_size : size_;
    } else {
      p.begin = size_;
    }
    places_.push_back(p);
  }
}

result<bool> segment_salvage::is_good(const place& p, batch_view& batch) {
  if (p.begin >= size_ || p.size > size_ - p.begin || p.size < sizeof(batch_header)) return false;
  value_.resize((p.size + 7) / 8);
  auto* const to = reinterpret_cast<std::byte*>(value_.data());
  const int failure = read_at(fd_.get(), p.begin, to, p.size);
  if (failure > 0) return system_error(failure, "read", file_);
  return failure == 0 && parse_batch(p.key, {to, p.size}, batch) && verify_batch(batch);
}

/// Whether pages of their own, from `page` on, say themselves that they are those of the value.
result<bool> segment_salvage::is_one_run(const place& p, std::uint64_t page) {
  std::array<std::byte, page_header_size> head{};
  const int failure = read_at(fd_.get(), page * page_size_, head.data(), head.size());
  if (failure > 0) return system_error(failure, "read", file_);
  return failure == 0 && load<std::uint64_t>(head.data()) == page &&
         load<std::uint16_t>(head.data() + 10) == overflow &&
         load<std::uint32_t>(head.data() + 12) == (page_header_size + p.size + page_size_ - 1) / page_size_;
}

/// Parts good batches from others. What lies within the pages of a value is a publisher's bytes, whatever
/// they look like.
result<void> segment_salvage::judge() {
  std::vector<extent> values;
  std::vector<bool> good(places_.size());
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const place& p = places_[i];
    if (p.key == batch_key{}) continue;
    batch_view batch;
    auto sound = is_good(p, batch);
    if (!sound) return sound.error();
    good[i] = *sound;
    if (p.begin >= size_ || p.begin / page_size_ == p.leaf) continue;
    const std::uint64_t page = p.begin / page_size_;
    auto own = is_one_run(p, page);
    if (!own) return own.error();
    if (*sound || *own)
      values.push_back({page, page + (page_header_size + p.size + page_size_ - 1) / page_size_});
  }
  std::sort(values.begin(), values.end(), [](const extent& a, const extent& b) { return a.begin < b.begin; });
  const auto within_value = [&values](std::uint64_t page) {
    const auto behind = std::upper_bound(values.begin(), values.end(), page,
                                         [](std::uint64_t n, const extent& e) { return n < e.begin; });
    return behind != values.begin() && page < std::prev(behind)->end;
  };
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const place& p = places_[i];
    if (within_value(p.leaf)) continue;
    if (good[i]) {
      good_.push_back(p);
    } else if (!(p.key == batch_key{})) {
      bad_.push_back(p.key);
    } else if (!identity_ && p.size == sizeof(segment_identity) + 8 && p.begin + p.size <= size_) {
      // The magic number stands before the fields.
      segment_identity stored;
      std::array<std::byte, sizeof(segment_identity) + 8> value{};
      if (read_at(fd_.get(), p.begin, value.data(), value.size()) != 0) continue;
      std::memcpy(&stored, value.data() + 8, sizeof stored);
      identity_ = stored;
    }
  }
  // Leaves that were replaced while the segment was written name the same batches again.
  std::sort(good_.begin(), good_.end(), [](const place& a, const place& b) { return a.key < b.key; });
  good_.erase(
      std::unique(good_.begin(), good_.end(), [](const place& a, const place& b) { return a.key == b.key; }),
      good_.end());
  for (const place& p : good_) good_keys_.push_back(p.key);
  std::sort(bad_.begin(), bad_.end());
  bad_.erase(std::unique(bad_.begin(), bad_.end()), bad_.end());
  std::erase_if(bad_, [this](const batch_key& key) {
    return std::binary_search(good_keys_.begin(), good_keys_.end(), key);
  });
  places_ = {};
  return {};
}

result<std::optional<batch_view>> segment_salvage::read(std::size_t index) {
  if (!fd_) fd_ = unique_fd{::open(file_.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd_) return system_error(errno, "open segment", file_);
  batch_view batch;
  auto sound = is_good(good_[index], batch);
  if (!sound) return sound.error();
  if (!*sound) return std::optional<batch_view>{};
  return std::optional{batch};
}

}  // namespace levada::storage
