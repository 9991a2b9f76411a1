#pragma once

/// @file
/// What becomes of segments after they have been sealed: small topics' are merged, compacted topics' lose
/// what is superseded, and those of which little is needed are written anew.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "bus/core.hpp"
#include "bus/retention.hpp"
#include "log/rewriter.hpp"

namespace levada {

/// Decides which segments are written anew, and does it, piece by piece, so that sealing never waits long.
/// Not safe to share: used by maintenance alone.
class rewriting {
 public:
  explicit rewriting(core& owner) noexcept : owner_{owner} {}

  /// Does a piece of what is due; false when nothing is. `held` is what retention could not give up;
  /// `cancelled` is asked now and then; what is under way then leaves nothing behind.
  [[nodiscard]] result<bool> run_some(const core::access& access, const std::vector<held_back>& held,
                                      const std::function<bool()>& cancelled);

 private:
  using segment_pointer = std::shared_ptr<const log::sealed_segment>;
  using segment_list = std::vector<segment_pointer>;
  using filter_map = decltype(log::rewrite_request::filters);
  struct piece;

  [[nodiscard]] segment_list readable_segments() const;
  [[nodiscard]] std::uint64_t live_bytes(const storage::segment_entry& segment) const;
  [[nodiscard]] segment_list mostly_dead() const;
  [[nodiscard]] segment_list to_be_merged() const;
  [[nodiscard]] result<bool> compact(const piece& p, const std::shared_ptr<topic_slot>& topic);
  [[nodiscard]] result<bool> thin_out(const piece& p, const held_back& held);
  /// Writes `sources` anew. False where that could not be done: they have changed, or cannot be read, or it
  /// was cancelled; or, where `backfills_begun` says as of when `filters` know what queues need, they need
  /// something else by now.
  [[nodiscard]] result<bool> rewrite(const piece& p, const segment_list& sources, std::uint32_t generation,
                                     const filter_map& filters,
                                     std::optional<std::uint64_t> backfills_begun = std::nullopt);

  core& owner_;
  // What is left as it is, because it is damaged:
  std::set<std::uint32_t> unreadable_;     // segments
  std::set<std::uint32_t> uncompactable_;  // topics
};

}  // namespace levada
