#include "queue/shared_index.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "queue/block_codec.hpp"

namespace levada::queue {
namespace {

struct shares_header {
  std::uint64_t checksum;
};

}  // namespace

shared_span* shared_spans::find(std::uint64_t number) noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    if (number >= all_[i].from && number < all_[i].until) return &all_[i];
  }
  return nullptr;
}

const shared_span* shared_spans::find(std::uint64_t number) const noexcept {
  const auto* const found = std::find_if(
      begin(), end(), [number](const shared_span& s) { return number >= s.from && number < s.until; });
  return found == end() ? nullptr : found;
}

shared_span* shared_spans::open() noexcept {
  return count_ > 0 && all_[count_ - 1].until == shared_span::open ? &all_[count_ - 1] : nullptr;
}

void shared_spans::erase(const shared_span* span) noexcept {
  const auto at = static_cast<std::size_t>(span - all_.data());
  std::copy(all_.begin() + static_cast<std::ptrdiff_t>(at) + 1,
            all_.begin() + static_cast<std::ptrdiff_t>(count_),
            all_.begin() + static_cast<std::ptrdiff_t>(at));
  --count_;
}

std::optional<std::uint64_t> shared_spans::needed_of(std::uint32_t index) const noexcept {
  std::optional<std::uint64_t> first;
  for (const shared_span& s : *this) {
    if (s.index != index) continue;
    const std::uint64_t at = s.from + s.shift;
    first = std::min(first.value_or(at), at);
  }
  return first;
}

result<shared_spans> read_shares(const storage::transaction& txn, const storage::main_tables& tables,
                                 std::uint32_t queue) {
  const block_key key{queue, shares_number};
  auto value = txn.get(tables.queues, key.view());
  if (!value) return value.error();
  shared_spans spans;
  if (!*value) return spans;
  shares_header header{};
  const std::size_t size = (*value)->size();
  const std::size_t count = size < sizeof header ? 0 : (size - sizeof header) / sizeof(shared_span);
  if (count == 0 || count > shared_spans::most || size != sizeof header + count * sizeof(shared_span))
    return damaged_queue_error(queue, "what it shares has an impossible size");
  std::memcpy(&header, (*value)->data(), sizeof header);
  if (header.checksum != checksum_of(key, **value))
    return damaged_queue_error(queue, "what it shares has a wrong checksum");
  for (std::size_t i = 0; i < count; ++i) {
    shared_span span;
    std::memcpy(&span, (*value)->data() + sizeof header + i * sizeof span, sizeof span);
    spans.add(span);
  }
  return spans;
}

result<void> write_shares(storage::write_transaction& txn, const storage::main_tables& tables,
                          std::uint32_t queue, const shared_spans& spans) {
  const block_key key{queue, shares_number};
  if (spans.size() == 0) {
    if (auto erased = txn.erase(tables.queues, key.view()); !erased) return erased.error();
    return {};
  }
  std::array<std::byte, sizeof(shares_header) + shared_spans::most * sizeof(shared_span)> buffer{};
  const std::size_t spans_size = spans.size() * sizeof(shared_span);
  std::memcpy(buffer.data() + sizeof(shares_header), spans.begin(), spans_size);
  const storage::bytes value{buffer.data(), sizeof(shares_header) + spans_size};
  const shares_header header{checksum_of(key, value)};
  std::memcpy(buffer.data(), &header, sizeof header);
  return txn.put(tables.queues, key.view(), value);
}

result<bool> start_sharing(storage::write_transaction& txn, const storage::main_tables& tables,
                           std::uint32_t queue, queue_row& row, std::uint32_t index,
                           std::uint64_t index_block) {
  auto spans = read_shares(txn, tables, queue);
  if (!spans) return spans.error();
  if (spans->full()) return false;
  if (auto completed = complete_block(txn, tables, queue, 0, row.tail); !completed) return completed.error();
  const std::uint64_t begin = block_begin_from(row.tail);
  row.settled += begin - row.tail;
  row.tail = begin;
  row.index = index;
  const std::uint64_t from = begin / block_entries;
  spans->add({index, 0, from, shared_span::open, index_block - from});
  if (auto written = write_shares(txn, tables, queue, *spans); !written) return written.error();
  return true;
}

result<void> stop_sharing(storage::write_transaction& txn, const storage::main_tables& tables,
                          std::uint32_t queue, queue_row& row) {
  if (row.index == 0) return {};
  row.index = 0;
  row.exposes = false;
  auto spans = read_shares(txn, tables, queue);
  if (!spans) return spans.error();
  shared_span* const last = spans->open();
  if (last == nullptr) return damaged_queue_error(queue, "it has lost its shared index");
  // Where it goes on, it has the block itself.
  const std::uint64_t until = row.tail / block_entries;
  if (row.tail % block_entries != 0) {
    auto begun = read_block(txn, tables, queue, until);
    if (!begun) return begun.error();
    if (!*begun || (*begun)->entries.size() != row.tail % block_entries)
      return damaged_queue_error(queue, "its last block is not where it ends");
    if (auto written = write_own_block(txn, tables, queue, **begun); !written) return written;
  }
  last->until = until;
  if (last->from >= until) spans->erase(last);
  return write_shares(txn, tables, queue, *spans);
}

result<void> own_all(storage::write_transaction& txn, const storage::main_tables& tables, std::uint32_t queue,
                     const std::function<bool(std::uint64_t)>& skip) {
  auto spans = read_shares(txn, tables, queue);
  // Then nobody knows what it had there.
  if (!spans && spans.error() != errc::damaged) return spans.error();
  if (spans) {
    for (const shared_span& span : *spans) {
      for (std::uint64_t from = span.from;;) {
        auto number = first_block(txn, tables, queue, from);
        if (!number) return number.error();
        if (!*number || **number >= span.until) break;
        from = **number + 1;
        if (skip(**number)) continue;
        auto shared = read_block(txn, tables, queue, **number);
        if (!shared) return shared.error();
        const bool done = !*shared || (*shared)->settled.count() == block_entries;
        auto kept =
            done ? erase_block(txn, tables, queue, **number) : write_own_block(txn, tables, queue, **shared);
        if (!kept) return kept;
      }
    }
  }
  return write_shares(txn, tables, queue, {});
}

}  // namespace levada::queue
