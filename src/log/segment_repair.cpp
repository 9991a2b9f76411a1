#include "log/segment_repair.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "log/record_codec.hpp"
#include "log/sealed_segment.hpp"
#include "storage/codec.hpp"

#include <levada/detail/record_format.hpp>

namespace levada::log {
namespace {

using storage::batch_view;

/// Decompresses a batch whose checksum is right, and looks whether its records can be told apart.
class batch_reader {
 public:
  /// Why the records cannot be read; empty where they can.
  std::string read(const batch_view& batch) {
    std::uint64_t size = 0;
    std::uint64_t count = 0;
    std::uint64_t end = batch.key.base_offset;
    for (const auto& run : batch.runs) {
      const std::uint64_t base = batch.key.base_offset + run.offset_delta;
      if (base < end || run.count == 0 || run.size % 8 != 0) return "its runs do not fit";
      end = base + run.count;
      size += run.size;
      count += run.count;
    }
    if (size != batch.header.records_size || count != batch.header.count || end != batch.header.end_offset) {
      return "its runs do not add up";
    }
    const auto codec = static_cast<storage::codec>(batch.header.codec);
    if (codec == storage::codec::none) {
      if (batch.header.stored_size != size) return "its size is wrong";
      records_ = batch.stored;
    } else {
      plain_.resize((size + 7) / 8);
      auto* const to = reinterpret_cast<std::byte*>(plain_.data());
      if (!storage::decompress(codec, batch.stored, {to, size})) return "its records cannot be decompressed";
      records_ = {to, size};
    }
    storage::bytes left = records_;
    for (const auto& run : batch.runs) {
      if (size_of_records(left.first(run.size), run.count) != run.size) {
        return "its records cannot be told apart";
      }
      left = left.subspan(run.size);
    }
    return {};
  }
  [[nodiscard]] storage::bytes records() const noexcept { return records_; }

 private:
  std::vector<std::uint64_t> plain_;  // aligned as records are
  storage::bytes records_;
};

/// What is wrong with a segment whose tree holds together; empty where nothing is.
result<std::string> fault_of(const std::shared_ptr<const storage::segment_file>& file,
                             const storage::segment_entry& entry) {
  auto reader = storage::segment_reader::open(file);
  if (!reader) return reader.error();
  batch_reader records;
  for (const auto& part : entry.parts) {
    std::uint64_t count = 0;
    std::uint64_t end = part.base_offset;
    for (auto batch = reader->find({part.log, part.partition, part.base_offset});;
         batch = reader->next_in_partition()) {
      if (!batch) {
        if (batch.error() != errc::damaged) return batch.error();
        return std::string{"a batch has impossible sizes"};
      }
      // A segment may hold several parts of one partition.
      if (!*batch || (*batch)->key.base_offset >= part.end_offset) break;
      if (!storage::verify_batch(**batch)) return std::string{"wrong checksum"};
      if (auto fault = records.read(**batch); !fault.empty()) return fault;
      const std::uint64_t begin = (*batch)->key.base_offset;
      if (begin < end || (begin > end && !part.sparse)) return std::string{"batches are missing"};
      end = (*batch)->header.end_offset;
      count += (*batch)->header.count;
    }
    if ((end != part.end_offset && !part.sparse) || end > part.end_offset || count != part.records) {
      return std::string{"batches are missing"};
    }
  }
  return std::string{};
}

/// Adds the records of a run that are not before offset `begin`.
result<void> add_run(segment_builder& to, storage::codec how, record_run run, std::uint64_t begin) {
  if (run.base_offset + run.count <= begin) return {};
  const std::uint64_t skip = begin > run.base_offset ? begin - run.base_offset : 0;
  const auto skipped = size_of_records(run.records, skip);
  if (!skipped) return error{errc::damaged, "repair segment: its records cannot be told apart"};
  run.records = run.records.subspan(*skipped);
  run.base_offset += skip;
  run.count -= static_cast<std::uint32_t>(skip);
  run.time_last = std::numeric_limits<std::int64_t>::min();
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < run.count; ++i) {
    const detail::encoded_record record{run.records.data() + at};
    run.time_last = std::max(run.time_last, run.time_first + record.time_delta());
    at += detail::size_of_record(run.records.data() + at, run.records.size() - at);
  }
  return to.add(run, how);
}

}  // namespace

result<std::optional<damaged_segment>> damaged_segment::examine(const std::filesystem::path& directory,
                                                                const storage::segment_entry& entry,
                                                                const begin_function& begin_of) {
  const auto path = segment_path(directory, entry.id);
  const auto opened = storage::segment_file::open(path, entry.id);
  const auto named = [&path](std::string_view what) {
    return fmt::format("segment '{}': {}", path.string(), what);
  };
  std::string why;
  if (!opened) {
    if (opened.error() != errc::damaged && opened.error() != errc::unsupported_format) return opened.error();
    why = opened.error().message();
  } else if (!*opened) {
    why = named("the file is missing");
  } else {
    auto fault = fault_of(*opened, entry);
    if (!fault) return fault.error();
    if (fault->empty()) return std::optional<damaged_segment>{};
    why = named(*fault);
  }
  damaged_segment self{entry, std::move(why)};
  if (auto done = self.salvage(path, opened.has_value(), begin_of); !done) return done.error();
  // Of a segment that a newer version has written, nothing is given up.
  const bool something = std::any_of(self.wanted_.begin(), self.wanted_.end(),
                                     [](const wanted_part& part) { return !part.batches.empty(); });
  if (!opened && opened.error() == errc::unsupported_format && !something) return opened.error();
  return std::optional{std::move(self)};
}

result<void> damaged_segment::salvage(const std::filesystem::path& file, bool whole_tree,
                                      const begin_function& begin_of) {
  auto found = storage::segment_salvage::open(file);
  if (!found) return found.error();
  // What another segment's file holds under this one's name is no rest of this one.
  const auto is_foreign = [this](const storage::segment_identity& of) {
    return of.id != entry_.id && of.sequence_first != entry_.sequence_first &&
           of.sequence_last != entry_.sequence_last;
  };
  if (*found && !((*found)->identity() && is_foreign(*(*found)->identity()))) file_ = std::move(*found);
  for (const auto& part : entry_.parts) {
    const auto begin = begin_of(part.log, part.partition);
    if (!begin || part.end_offset <= *begin) continue;
    if (auto done = take_part(part, std::max(*begin, part.base_offset), whole_tree); !done) return done;
  }
  if (file_) file_->rest();
  return {};
}

void damaged_segment::lose(const wanted_part& of, std::uint64_t first, std::uint64_t end) {
  first = std::max(first, of.where.base_offset);
  if (first < end) lost_.push_back({of.where.log, of.where.partition, first, end, why_});
}

/// Finds the batches that are left of a part, and between them the records that are not.
result<void> damaged_segment::take_part(const storage::segment_entry::part& part, std::uint64_t begin,
                                        bool whole_tree) {
  wanted_part& taken = wanted_.emplace_back();
  taken.where = part;
  taken.where.base_offset = begin;
  struct gap {
    std::uint64_t first;
    std::uint64_t end;
  };
  std::vector<gap> gaps;
  std::uint64_t end = part.base_offset;
  std::uint64_t count = 0;
  const auto in_part = [&part](const storage::batch_key& key) {
    return key.log == part.log && key.partition == part.partition && key.base_offset >= part.base_offset &&
           key.base_offset < part.end_offset;
  };
  if (file_) {
    batch_reader records;
    const auto& keys = file_->good();
    const auto first = std::lower_bound(keys.begin(), keys.end(),
                                        storage::batch_key{part.log, part.partition, part.base_offset});
    for (auto i = static_cast<std::size_t>(first - keys.begin()); i < keys.size() && in_part(keys[i]); ++i) {
      auto batch = file_->read(i);
      if (!batch) return batch.error();
      if (!*batch || keys[i].base_offset < end || (*batch)->header.end_offset > part.end_offset ||
          !records.read(**batch).empty()) {
        continue;
      }
      if (keys[i].base_offset > end) gaps.push_back({end, keys[i].base_offset});
      end = (*batch)->header.end_offset;
      count += (*batch)->header.count;
      if (end <= begin) continue;
      taken.batches.push_back(i);
      bytes_ += (*batch)->header.records_size;
    }
  }
  if (end < part.end_offset) gaps.push_back({end, part.end_offset});
  if (part.sparse && count == part.records) return {};  // nothing but what has been given up before
  taken.incomplete = !gaps.empty();
  if (part.sparse && whole_tree && file_) {
    // The tree names all batches, so a gap without one that is bad has been there before.
    std::vector<std::size_t> hit;
    const bool placed = std::all_of(file_->bad().begin(), file_->bad().end(), [&](const auto& key) {
      if (!in_part(key)) return true;
      const auto at = std::find_if(gaps.begin(), gaps.end(), [&key](const gap& g) {
        return key.base_offset >= g.first && key.base_offset < g.end;
      });
      if (at != gaps.end()) hit.push_back(static_cast<std::size_t>(at - gaps.begin()));
      return at != gaps.end();
    });
    if (placed && !hit.empty()) {
      std::vector<gap> of_damage;
      for (std::size_t i = 0; i < gaps.size(); ++i) {
        if (std::find(hit.begin(), hit.end(), i) != hit.end()) of_damage.push_back(gaps[i]);
      }
      gaps = std::move(of_damage);
    }
  }
  for (const gap& g : gaps) lose(taken, g.first, g.end);
  return {};
}

result<std::vector<storage::segment_entry>> damaged_segment::write(new_segments::options target) {
  target.sequence_first = entry_.sequence_first;
  target.sequence_last = entry_.sequence_last;
  target.generation = entry_.generation;
  target.segment_bytes_max = std::numeric_limits<std::uint64_t>::max();
  // Batches are cut anew, so a few may be larger than they were.
  target.bytes_max = 2 * bytes_;
  new_segments segments{std::move(target)};
  auto to = segments.segment_of(0);
  if (!to) return to.error();
  batch_reader records;
  for (const auto& part : wanted_) {
    if (auto begun = (*to)->begin_part(part.where, part.where.sparse || part.incomplete); !begun)
      return begun.error();
    for (const std::size_t index : part.batches) {
      auto batch = file_->read(index);
      if (!batch) return batch.error();
      if (!*batch || !records.read(**batch).empty()) {
        return error{errc::io_error,
                     fmt::format("repair segment {}: its file has changed meanwhile", entry_.id)};
      }
      storage::bytes left = records.records();
      for (const auto& run : (*batch)->runs) {
        auto added = add_run(**to, static_cast<storage::codec>((*batch)->header.codec),
                             {.log = part.where.log,
                              .partition = part.where.partition,
                              .base_offset = (*batch)->key.base_offset + run.offset_delta,
                              .count = run.count,
                              .epoch = (*batch)->header.epoch,
                              .sequence = run.sequence,
                              .time_first = run.time_first,
                              .time_last = 0,
                              .records = left.first(run.size)},
                             part.where.base_offset);
        if (!added) return added.error();
        left = left.subspan(run.size);
      }
    }
  }
  if (file_) file_->rest();
  return segments.finish();
}

}  // namespace levada::log
