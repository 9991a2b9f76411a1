#pragma once

/// @file
/// Replaying at the speed at which records came, or a multiple of it.

#include <cstddef>
#include <cstdint>
#include <optional>

#include <levada/clock.hpp>
#include <levada/record_batch.hpp>

namespace levada {

/// Holds records back until they are due: so long after the first one as they came after it, divided by the
/// pace. Not safe to share.
class replay_pace {
 public:
  /// A pace of 0 holds nothing back.
  explicit replay_pace(double pace) noexcept : pace_{pace} {}

  [[nodiscard]] bool paced() const noexcept { return pace_ > 0; }
  /// Whether nothing is held back.
  [[nodiscard]] bool empty() const noexcept { return slice_ >= held_.slices().size(); }
  /// Takes records over. Precondition: `empty()`.
  void hold(record_batch batch, clock::steady_time now);
  /// Those that are due, up to the first one that is not.
  [[nodiscard]] record_batch take(clock::steady_time now);
  /// When the next one is due. Precondition: not `empty()`.
  [[nodiscard]] clock::steady_time due() const;

 private:
  [[nodiscard]] record_batch::slice rest() const;

  double pace_;
  record_batch held_;
  std::size_t slice_ = 0;      // the first that is held
  std::uint32_t skipped_ = 0;  // records of it that are not, and their bytes
  std::size_t skipped_bytes_ = 0;
  std::optional<std::int64_t> first_;  // the time of the first record of all
  clock::steady_time began_{};         // when it was there
};

}  // namespace levada
