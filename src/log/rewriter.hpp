#pragma once

/// @file
/// Writing segments anew: several as one, or without records that nobody needs any more.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "log/sealed_segment.hpp"
#include "log/segment_builder.hpp"

#include <levada/detail/record_format.hpp>

namespace levada::log {

class log_state;

/// A record that may stay or go.
struct record_in_question {
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  std::int64_t time = 0;  ///< microseconds since 1970
  detail::encoded_record record;
};

/// Which segments are to be written anew, and how.
struct rewrite_request {
  std::vector<std::shared_ptr<const sealed_segment>> sources;
  /// Where segments stand, and the rest of what is needed for new ones; rows and size follow from the
  /// sources.
  new_segments::options target;
  /// Bytes from which on a log gets a segment of its own; others share one.
  std::uint64_t own_segment_bytes = 0;
  /// A log by its id; null for one that has been deleted, of which nothing stays.
  std::function<std::shared_ptr<const log_state>(std::uint32_t log)> find_log;
  /// How a log's records are stored.
  std::function<storage::codec(std::uint32_t log)> codec_of;
  /// By log: whether a record stays. Of logs that have none, all that are not before the beginning.
  std::map<std::uint32_t, std::function<bool(const record_in_question&)>> filters;
  /// Asked now and then; empty: never.
  std::function<bool()> cancelled;
};

/// Writes the new segments, which hold the same offsets, or some of them, in the same order; they stand under
/// their names, but in no catalogue yet. A failure leaves no file behind: `damaged` where a source cannot be
/// read. Nothing where a source's file is gone, or it was cancelled.
[[nodiscard]] result<std::optional<std::vector<storage::segment_entry>>> rewrite(
    const rewrite_request& request);

}  // namespace levada::log
