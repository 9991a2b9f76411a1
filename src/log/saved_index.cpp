#include "log/saved_index.hpp"

#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <type_traits>
#include <utility>

namespace levada::log {
namespace {

constexpr std::uint64_t version = 2;

struct header {
  std::uint64_t version;
  index_stamp stamp;
  std::uint64_t next_sequence;
  std::int64_t time_last;
  std::uint64_t bytes;
  std::uint64_t partitions;  // that follow
};
static_assert(sizeof(header) == 64);

/// Before the entries of each partition.
struct partition_header {
  std::uint32_t log;
  std::uint32_t partition;
  std::uint64_t end;
  std::uint64_t log_bytes;  // of the log's rows; 0 but in its first partition
  std::uint64_t entries;    // that follow
};
static_assert(sizeof(partition_header) == 32 && sizeof(log_index::entry) == 32);

template <class T>
void put(std::vector<std::byte>& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(out.data() + at, &value, sizeof value);
}

/// Takes values off the front.
class reader {
 public:
  explicit reader(std::span<const std::byte> bytes) noexcept : left_{bytes} {}
  template <class T>
  bool take(T& value) noexcept {
    if (left_.size() < sizeof value) return false;
    std::memcpy(&value, left_.data(), sizeof value);
    left_ = left_.subspan(sizeof value);
    return true;
  }
  [[nodiscard]] std::size_t size() const noexcept { return left_.size(); }

 private:
  std::span<const std::byte> left_;
};

struct loaded_partition {
  log_state* log = nullptr;
  partition_header head{};
  std::vector<log_index::entry> entries;
};

}  // namespace

std::vector<std::byte> save_index(const std::vector<const log_state*>& logs, const journal_extent& extent,
                                  const index_stamp& stamp) {
  std::vector<std::byte> out;
  header head{version, stamp, extent.next_sequence, extent.time_last, extent.bytes, 0};
  for (const auto* const log : logs) head.partitions += log->partitions();
  put(out, head);
  for (const auto* const log : logs) {
    const std::shared_lock guard{log->mutex()};
    for (std::uint32_t p = 0; p < log->partitions(); ++p) {
      const log_index& index = log->index(p);
      put(out, partition_header{log->id(), p, log->end(p), p == 0 ? log->journal_bytes() : 0, index.size()});
      for (std::size_t i = 0; i < index.size(); ++i) put(out, index[i]);
    }
  }
  return out;
}

std::vector<saved_end> saved_ends(std::span<const std::byte> saved) {
  std::vector<saved_end> ends;
  reader in{saved};
  header head{};
  if (!in.take(head) || head.version != version) return ends;
  for (std::uint64_t i = 0; i < head.partitions; ++i) {
    partition_header p{};
    if (!in.take(p)) return ends;
    ends.push_back({p.log, p.partition, p.end});
    log_index::entry passed_over;
    for (std::uint64_t e = 0; e < p.entries; ++e) {
      if (!in.take(passed_over)) return ends;
    }
  }
  return ends;
}

std::optional<journal_extent> load_index(std::span<const std::byte> saved, const index_stamp& stamp,
                                         const find_log_function& find) {
  reader in{saved};
  header head{};
  if (!in.take(head) || head.version != version || !(head.stamp == stamp)) return std::nullopt;
  std::vector<loaded_partition> all;
  for (std::uint64_t i = 0; i < head.partitions; ++i) {
    loaded_partition p;
    if (!in.take(p.head) || p.head.entries > in.size() / sizeof(log_index::entry)) return std::nullopt;
    const auto log = find(p.head.log);
    if (!log || *log == nullptr || p.head.partition >= (*log)->partitions()) return std::nullopt;
    p.log = *log;
    p.entries.resize(p.head.entries);
    for (auto& entry : p.entries) {
      if (!in.take(entry)) return std::nullopt;
    }
    all.push_back(std::move(p));
  }
  if (in.size() != 0) return std::nullopt;
  for (auto& p : all) {
    const std::lock_guard guard{p.log->mutex()};
    p.log->restore_index(p.head.partition, log_index{std::move(p.entries)}, p.head.end);
    p.log->add_journal_bytes(p.head.log_bytes);
  }
  return journal_extent{head.next_sequence, head.time_last, head.bytes};
}

}  // namespace levada::log
