#pragma once

#include <memory>
#include <string_view>

#include "bus/core.hpp"

#include <levada/topic.hpp>

namespace levada {

struct topic::impl {
  std::shared_ptr<core> owner;
  std::shared_ptr<topic_slot> slot;
};

/// Fails with `record_too_large`.
[[nodiscard]] result<void> check_record_size(std::string_view operation, std::size_t size, std::size_t limit);

}  // namespace levada
