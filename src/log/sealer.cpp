#include "log/sealer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <limits>
#include <map>
#include <utility>

#include "log/journal_reader.hpp"
#include "log/sealed_segment.hpp"
#include "storage/errors.hpp"
#include "storage/unique_fd.hpp"

namespace levada::log {
namespace {

using storage::continuation;

/// Rows that are read in one transaction.
constexpr std::uint64_t slice_rows = 1024;

/// The segment under way, and the batch under way of each of its partitions.
class segment_builder {
 public:
  segment_builder(storage::segment_writer writer, storage::segment_entry entry)
      : writer_{std::move(writer)}, entry_{std::move(entry)} {}

  /// Adds the records of a row from the `skip`-th on; a record that is continued comes as one row.
  result<void> add(const storage::row_header& header, std::uint64_t sequence, storage::bytes records,
                   std::uint32_t skip) {
    batch& b = batches_[{header.log, header.partition}];
    const auto skipped = size_of_records(records, skip);
    if (!skipped) return error{errc::damaged, "its records cannot be told apart"};
    records = records.subspan(*skipped);
    const std::uint64_t base = header.base_offset + skip;
    const bool fits = b.size() + sizeof(storage::batch_run) + records.size() <= storage::batch_bytes_max &&
                      base - b.key.base_offset <= std::numeric_limits<std::uint32_t>::max() &&
                      header.epoch == b.header.epoch;
    if (!b.runs.empty() && !fits) {
      if (auto done = flush(b); !done) return done;
    }
    if (b.runs.empty()) {
      b.key = {header.log, header.partition, base};
      b.header.epoch = header.epoch;
    }
    bytes_ += records.size();
    const std::uint32_t count = header.count - skip;
    b.runs.push_back({sequence, header.time_first, static_cast<std::uint32_t>(base - b.key.base_offset),
                      count, static_cast<std::uint32_t>(records.size()), 0});
    b.records.insert(b.records.end(), records.begin(), records.end());
    b.header.end_offset = base + count;
    b.header.sequence_last = sequence;
    b.header.time_max = std::max(b.header.time_max, header.time_last);
    b.header.count += count;
    return {};
  }

  /// Writes what is under way and completes the file, still under its temporary name.
  result<void> finish(bool sync) {
    for (auto& [where, b] : batches_) {
      if (!b.runs.empty()) {
        if (auto done = flush(b); !done) return done;
      }
      if (b.part.records > 0) entry_.parts.push_back(b.part);
    }
    auto size = writer_.finish(sync);
    if (!size) return size.error();
    entry_.file_bytes = *size;
    return {};
  }

  [[nodiscard]] storage::segment_entry& entry() noexcept { return entry_; }
  /// Bytes of records that it has taken.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  struct batch {
    storage::batch_key key;
    storage::batch_header header{};
    std::vector<storage::batch_run> runs;
    std::vector<std::byte> records;
    storage::segment_entry::part part;

    batch() noexcept { header.time_max = std::numeric_limits<std::int64_t>::min(); }
    [[nodiscard]] std::size_t size() const noexcept {
      return sizeof header + runs.size() * sizeof(storage::batch_run) + records.size();
    }
  };

  result<void> flush(batch& b) {
    b.header.runs = static_cast<std::uint32_t>(b.runs.size());
    b.header.records_size = b.header.stored_size = static_cast<std::uint32_t>(b.records.size());
    auto place = writer_.add(b.key, b.size());
    if (!place) return place.error();
    std::byte* to = place->data();
    std::memcpy(to + sizeof b.header, b.runs.data(), b.runs.size() * sizeof b.runs[0]);
    std::memcpy(to + sizeof b.header + b.runs.size() * sizeof b.runs[0], b.records.data(), b.records.size());
    std::memcpy(to, &b.header, sizeof b.header);
    b.header.checksum = storage::batch_checksum(b.key, *place);
    std::memcpy(to, &b.header.checksum, sizeof b.header.checksum);

    auto& part = b.part;
    if (part.records == 0) {
      part.log = b.key.log;
      part.partition = b.key.partition;
      part.base_offset = b.key.base_offset;
      part.sequence_first = b.runs.front().sequence;
    }
    part.end_offset = b.header.end_offset;
    part.records += b.header.count;
    part.bytes += place->size();
    part.sequence_last = b.header.sequence_last;
    part.time_max = b.header.time_max;
    b.runs.clear();
    b.records.clear();
    b.header.count = 0;
    return {};
  }

  storage::segment_writer writer_;
  storage::segment_entry entry_;
  std::uint64_t bytes_ = 0;
  std::map<std::pair<std::uint32_t, std::uint32_t>, batch> batches_;
};

/// Files that are removed again unless they are kept.
class new_files {
 public:
  new_files() = default;
  new_files(const new_files&) = delete;
  new_files& operator=(const new_files&) = delete;
  ~new_files() {
    for (const auto& file : files_) ::unlink(file.c_str());
  }
  void add(std::filesystem::path file) { files_.push_back(std::move(file)); }
  void keep() noexcept { files_.clear(); }

 private:
  std::vector<std::filesystem::path> files_;
};

/// Calls `each(row)` for rows `first` to `last`, in short transactions; it returns what went wrong.
template <class Each>
result<void> for_each_row(const storage::main_environment& main, std::uint64_t first, std::uint64_t last,
                          Each each) {
  for (std::uint64_t next = first; next <= last;) {
    auto reader = journal_reader::open(main);
    if (!reader) return reader.error();
    const std::uint64_t end = std::min(last, next + slice_rows - 1);
    const std::uint64_t begin = next;
    std::size_t bytes = 0;
    result<void> outcome{};
    auto walked = reader->for_each_row(begin, [&](const storage::row_view& row) {
      if (row.sequence > end) return false;
      outcome = row.sequence == next
                    ? each(row)
                    : result<void>{error{errc::damaged, fmt::format("seal journal: rows {} to {} are missing",
                                                                    next, row.sequence - 1)}};
      next = row.sequence + 1;
      bytes += sizeof row.header + row.records.size();
      return outcome.has_value();
    });
    main.env().pages().written(bytes);  // nobody reads these rows again
    if (!walked) return walked;
    if (!outcome) return outcome;
    if (next <= end) {
      return error{errc::damaged, fmt::format("seal journal: rows from {} to {} are missing", next, end)};
    }
  }
  return {};
}

/// One sealing.
class sealing {
 public:
  sealing(const storage::main_environment& main, const seal_request& request)
      : main_{main}, request_{request} {}

  result<sealed_prefix> run() {
    if (auto measured = measure(); !measured) return measured.error();
    if (auto written = write(); !written) return written.error();
    sealed_prefix prefix;
    prefix.sequence_last = last_;
    prefix.bytes = bytes_;
    new_files named;
    for (auto& builder : builders_) {
      const std::uint32_t id = builder.entry().id;
      const auto temporary = temporary_path(id);
      if (auto done = builder.finish(request_.sync); !done) return done.error();
      named.add(temporary);
    }
    for (auto& builder : builders_) {
      auto& entry = builder.entry();
      const auto file = segment_path(request_.directory, entry.id);
      if (::rename(temporary_path(entry.id).c_str(), file.c_str()) != 0) {
        return storage::system_error(errno, "name segment", file);
      }
      named.add(file);
      prefix.segments.push_back(std::move(entry));
    }
    if (request_.sync && !builders_.empty()) {
      const storage::unique_fd fd{::open(request_.directory.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY)};
      if (!fd) return storage::system_error(errno, "open", request_.directory);
      if (::fsync(fd.get()) != 0) return storage::system_error(errno, "sync", request_.directory);
    }
    named.keep();
    return prefix;
  }

 private:
  [[nodiscard]] std::filesystem::path temporary_path(std::uint32_t id) const {
    return request_.directory / fmt::format("{:08x}.new", id);
  }

  /// How many bytes each log has, and where the last complete record ends.
  result<void> measure() {
    last_ = request_.sequence_first - 1;
    std::uint64_t bytes = 0;
    return for_each_row(main_, request_.sequence_first, request_.sequence_last,
                        [&](const storage::row_view& row) -> result<void> {
                          const std::size_t size = sizeof row.header + row.records.size();
                          log_bytes_[row.header.log] += size;
                          bytes += size;
                          const auto c = static_cast<continuation>(row.header.continued);
                          if (c == continuation::whole || c == continuation::last) {
                            last_ = row.sequence;
                            bytes_ = bytes;
                          }
                          return {};
                        });
  }

  result<void> write() {
    return for_each_row(main_, request_.sequence_first, last_,
                        [&](const storage::row_view& row) { return write_row(row); });
  }

  result<void> write_row(const storage::row_view& row) {
    const auto& header = row.header;
    const auto damaged = [&](const char* what) {
      return error{errc::damaged,
                   fmt::format("seal journal row {} (log {} partition {} offset {}): {}", row.sequence,
                               header.log, header.partition, header.base_offset, what)};
    };
    if (!storage::verify_row(row)) return damaged("wrong checksum");
    const auto begin = request_.begin_of(header.log, header.partition);
    if (!begin) return {};
    const auto continued = static_cast<continuation>(header.continued);
    if (continued == continuation::whole) {
      if (header.base_offset + header.count <= *begin) return {};
      const std::uint64_t skip = *begin > header.base_offset ? *begin - header.base_offset : 0;
      return add(row.sequence, header, row.records, static_cast<std::uint32_t>(skip));
    }
    if (continued == continuation::first) {
      detail::record_header record{};
      if (row.records.size() < sizeof record) return damaged("its record cannot be read");
      std::memcpy(&record, row.records.data(), sizeof record);
      large_.clear();
      large_.reserve(detail::padded(record.size));
      large_header_ = header;
      large_sequence_ = row.sequence;
    } else if (header.log != large_header_.log || header.partition != large_header_.partition ||
               header.base_offset != large_header_.base_offset) {
      return damaged("a part of its record is missing");
    }
    large_.insert(large_.end(), row.records.begin(), row.records.end());
    if (continued != continuation::last || header.base_offset < *begin) return {};
    return add(large_sequence_, large_header_, large_, 0);
  }

  result<void> add(std::uint64_t sequence, const storage::row_header& header, storage::bytes records,
                   std::uint32_t skip) {
    auto builder = builder_of(header.log);
    if (!builder) return builder.error();
    auto added = (*builder)->add(header, sequence, records, skip);
    if (added) return {};
    return error{added.error().code(),
                 fmt::format("seal journal row {}: {}", sequence, added.error().message())};
  }

  result<segment_builder*> builder_of(std::uint32_t log) {
    const std::uint32_t key = log_bytes_[log] >= request_.own_segment_bytes ? log : 0;
    const auto found = current_.find(key);
    if (found != current_.end() && builders_[found->second].bytes() < request_.segment_bytes_max) {
      return &builders_[found->second];
    }
    const auto id = request_.next_id + static_cast<std::uint32_t>(builders_.size());
    auto writer = storage::segment_writer::create(
        temporary_path(id), {.id = id, .sequence_first = request_.sequence_first, .sequence_last = last_},
        bytes_);
    if (!writer) return writer.error();
    storage::segment_entry entry{id, request_.sequence_first, last_, request_.now, 0, {}};
    current_[key] = builders_.size();
    return &builders_.emplace_back(std::move(*writer), std::move(entry));
  }

  const storage::main_environment& main_;
  const seal_request& request_;
  std::uint64_t last_ = 0;
  std::uint64_t bytes_ = 0;
  std::map<std::uint32_t, std::uint64_t> log_bytes_;
  std::deque<segment_builder> builders_;
  std::map<std::uint32_t, std::size_t> current_;  // the log's place in `builders_`; that of 0 is shared
  std::vector<std::byte> large_;                  // a continued record under way
  storage::row_header large_header_{};
  std::uint64_t large_sequence_ = 0;
};

}  // namespace

result<sealed_prefix> seal(const storage::main_environment& main, const seal_request& request) {
  return sealing{main, request}.run();
}

}  // namespace levada::log
