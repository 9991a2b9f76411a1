#pragma once

#include <memory>
#include <optional>

#include "bus/core.hpp"

#include <levada/topic.hpp>

namespace levada {

struct topic::impl {
  /// Without a partition, to that of the key, or the next in turn.
  [[nodiscard]] result<publish_receipt> publish(std::optional<partition_id> partition, const record& r) const;

  std::shared_ptr<core> owner;
  std::shared_ptr<topic_slot> slot;
};

}  // namespace levada
