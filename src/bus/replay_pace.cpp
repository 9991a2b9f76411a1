#include "bus/replay_pace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "log/record_codec.hpp"

namespace levada {
namespace {

std::int64_t first_time(const record_batch::slice& s) noexcept {
  return s.time_first.time_since_epoch().count() + detail::encoded_record{s.data}.time_delta();
}

}  // namespace

void replay_pace::hold(record_batch batch, clock::steady_time now) {
  held_ = std::move(batch);
  slice_ = 0;
  skipped_ = 0;
  skipped_bytes_ = 0;
  if (first_ || empty()) return;
  first_ = first_time(rest());
  began_ = now;
}

record_batch::slice replay_pace::rest() const {
  record_batch::slice s = held_.slices()[slice_];
  s.base_offset = s.base_offset + skipped_;
  s.count -= skipped_;
  s.data += skipped_bytes_;
  s.size -= skipped_bytes_;
  return s;
}

record_batch replay_pace::take(clock::steady_time now) {
  const double passed = std::chrono::duration<double, std::micro>(now - began_).count() * pace_;
  const double limit = std::min(passed, 9e18 - std::abs(static_cast<double>(*first_)));
  const std::int64_t due = *first_ + static_cast<std::int64_t>(limit);
  auto content = std::make_shared<detail::record_access::batch_content>();
  while (!empty()) {
    const record_batch::slice s = rest();
    const auto before =
        log::records_before({s.data, s.size}, s.count, s.time_first.time_since_epoch().count(),
                            due == std::numeric_limits<std::int64_t>::max() ? due : due + 1)
            .value_or(log::records_prefix{s.count, s.size});
    if (before.count > 0) {
      auto taken = s;
      taken.count = static_cast<std::uint32_t>(before.count);
      taken.size = before.bytes;
      content->records += taken.count;
      content->slices.push_back(taken);
    }
    if (before.count < s.count) {
      skipped_ += static_cast<std::uint32_t>(before.count);
      skipped_bytes_ += before.bytes;
      break;
    }
    ++slice_;
    skipped_ = 0;
    skipped_bytes_ = 0;
  }
  record_batch batch;
  if (content->records > 0) {
    content->owners.push_back(std::make_shared<const record_batch>(held_));
    detail::record_access::fill(batch, std::move(content));
  }
  return batch;
}

clock::steady_time replay_pace::due() const {
  const double after = static_cast<double>(first_time(rest()) - *first_) / pace_;
  const double most = 9e15;  // microseconds: nearly three hundred years
  return began_ + std::chrono::duration_cast<clock::steady_time>(
                      std::chrono::duration<double, std::micro>(std::clamp(after, 0.0, most)));
}

}  // namespace levada
