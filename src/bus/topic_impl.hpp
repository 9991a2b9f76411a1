#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "bus/core.hpp"

#include <levada/topic.hpp>

namespace levada {

struct topic::impl {
  /// Without a partition, to that of the key, or the next in turn.
  [[nodiscard]] result<publish_receipt> publish(std::optional<partition_id> partition, const record& r) const;

  std::shared_ptr<core> owner;
  std::shared_ptr<topic_slot> slot;
};

/// Fails with `record_too_large`.
[[nodiscard]] result<void> check_record_size(std::string_view operation, std::size_t size, std::size_t limit);

}  // namespace levada
