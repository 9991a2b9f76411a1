#include "log/sealer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "log/journal_reader.hpp"

namespace levada::log {
namespace {

using storage::continuation;

/// Rows that are read in one transaction.
constexpr std::uint64_t slice_rows = 1024;

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
    auto target = request_.target;
    target.sequence_last = last_;
    target.bytes_max = bytes_;
    segments_.emplace(std::move(target));
    if (auto written = write(); !written) return written.error();
    auto entries = segments_->finish();
    if (!entries) return entries.error();
    return sealed_prefix{std::move(*entries), last_, bytes_, std::move(sealed_bytes_)};
  }

 private:
  /// How many bytes each log has, and where the last complete record ends.
  result<void> measure() {
    last_ = request_.target.sequence_first - 1;
    std::uint64_t bytes = 0;
    return for_each_row(main_, request_.target.sequence_first, request_.target.sequence_last,
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
    return for_each_row(main_, request_.target.sequence_first, last_,
                        [&](const storage::row_view& row) { return write_row(row); });
  }

  result<void> write_row(const storage::row_view& row) {
    const auto& header = row.header;
    sealed_bytes_[header.log] += sizeof header + row.records.size();
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

  /// Adds the records of a row from the `skip`-th on; a record that is continued comes as one row.
  result<void> add(std::uint64_t sequence, const storage::row_header& header, storage::bytes records,
                   std::uint32_t skip) {
    auto segment =
        segments_->segment_of(log_bytes_[header.log] >= request_.own_segment_bytes ? header.log : 0);
    if (!segment) return segment.error();
    const auto skipped = size_of_records(records, skip);
    if (!skipped) {
      return error{errc::damaged,
                   fmt::format("seal journal row {}: its records cannot be told apart", sequence)};
    }
    return (*segment)->add(run_of_row(sequence, header, skip, records.subspan(*skipped)),
                           request_.codec_of ? request_.codec_of(header.log) : storage::codec::none);
  }

  const storage::main_environment& main_;
  const seal_request& request_;
  std::uint64_t last_ = 0;
  std::uint64_t bytes_ = 0;
  std::map<std::uint32_t, std::uint64_t> log_bytes_;     // of what was asked for
  std::map<std::uint32_t, std::uint64_t> sealed_bytes_;  // of what is sealed
  std::optional<new_segments> segments_;  // in the group of a log its own, in that of 0 shared ones
  std::vector<std::byte> large_;          // a continued record under way
  storage::row_header large_header_{};
  std::uint64_t large_sequence_ = 0;
};

}  // namespace

result<sealed_prefix> seal(const storage::main_environment& main, const seal_request& request) {
  return sealing{main, request}.run();
}

}  // namespace levada::log
