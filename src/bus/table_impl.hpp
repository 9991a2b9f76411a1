#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "bus/core.hpp"

#include <levada/table.hpp>

namespace levada {

struct table::impl {
  std::shared_ptr<core> owner;
  std::shared_ptr<table_slot> slot;
};

/// Fails with `field_too_long`.
[[nodiscard]] result<void> check_table_key(std::string_view operation, const table_key& key);
[[nodiscard]] result<void> check_table_value(std::string_view operation, std::string_view value);
[[nodiscard]] result<void> check_scan(std::string_view operation, const scan_options& options);
/// "get from table 'accounts'"
[[nodiscard]] std::string table_operation(std::string_view verb, const table_slot& table);

}  // namespace levada
