#include "bus/log_policies.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

namespace levada {
namespace {

constexpr double dirty_unit = 1'000'000;

}  // namespace

result<void> store_retention(std::string_view operation, std::string_view name,
                             const retention_policy& policy, storage::log_policy& to) {
  const auto refuse = [&](const char* what) {
    return error{errc::invalid_argument,
                 fmt::format("{} '{}': a retention of {} is given, the least is 1", operation, name, what)};
  };
  if (policy.age && policy.age->count() < 1) return refuse("less than 1 ms");
  if (policy.bytes == 0) return refuse("0 bytes");
  if (policy.records == 0) return refuse("0 records");
  to.retention_milliseconds = policy.age ? static_cast<std::uint64_t>(policy.age->count()) : 0;
  to.retention_bytes = policy.bytes.value_or(0);
  to.retention_records = policy.records.value_or(0);
  to.force = policy.force;
  to.wait_for_readers = policy.wait_for_readers;
  return {};
}

result<void> store_compaction(std::string_view operation, std::string_view name,
                              const std::optional<compaction_policy>& policy, storage::log_policy& to) {
  if (policy && policy->tombstone_age.count() < 0) {
    return error{errc::invalid_argument,
                 fmt::format("{} '{}': a tombstone age of {} ms is given, the least is 0", operation, name,
                             policy->tombstone_age.count())};
  }
  if (policy && !(policy->dirty_ratio >= 0 && policy->dirty_ratio <= 1)) {
    return error{errc::invalid_argument,
                 fmt::format("{} '{}': a dirty ratio of {} is given, allowed is 0 to 1", operation, name,
                             policy->dirty_ratio)};
  }
  const compaction_policy chosen = policy.value_or(compaction_policy{});
  to.compact = policy.has_value();
  to.tombstone_milliseconds = static_cast<std::uint64_t>(chosen.tombstone_age.count());
  to.dirty_millionths = static_cast<std::uint32_t>(std::lround(chosen.dirty_ratio * dirty_unit));
  return {};
}

result<void> store_compression(std::string_view operation, std::string_view name, compression how,
                               storage::log_policy& to) {
  switch (how) {
    case compression::none:
    case compression::lz4:
    case compression::zstd:
      to.codec = static_cast<std::uint8_t>(how);
      return {};
  }
  return error{errc::invalid_argument, fmt::format("{} '{}': compression {} does not exist", operation, name,
                                                   static_cast<unsigned>(how))};
}

retention_policy retention_of(const storage::log_policy& policy) {
  retention_policy r;
  if (policy.retention_milliseconds > 0) r.age = std::chrono::milliseconds{policy.retention_milliseconds};
  if (policy.retention_bytes > 0) r.bytes = policy.retention_bytes;
  if (policy.retention_records > 0) r.records = policy.retention_records;
  r.force = policy.force;
  r.wait_for_readers = policy.wait_for_readers;
  return r;
}

std::optional<compaction_policy> compaction_of(const storage::log_policy& policy) {
  if (!policy.compact) return std::nullopt;
  return compaction_policy{std::chrono::milliseconds{policy.tombstone_milliseconds},
                           policy.dirty_millionths / dirty_unit};
}

compression compression_of(const storage::log_policy& policy) {
  return static_cast<compression>(policy.codec);
}

}  // namespace levada
