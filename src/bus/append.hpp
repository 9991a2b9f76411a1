#pragma once

/// @file
/// Records on their way into a topic's log.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/core.hpp"
#include "log/record_codec.hpp"
#include "log/row_encoder.hpp"

#include <levada/publishing.hpp>
#include <levada/record.hpp>

namespace levada {

[[nodiscard]] std::string append_operation(const log::log_state& log);
/// Fails with `record_too_large`.
[[nodiscard]] result<void> check_record_size(std::string_view operation, std::size_t size, std::size_t limit);
[[nodiscard]] error unknown_partition(const log::log_state& log, partition_id partition);
[[nodiscard]] error topic_is_deleted(const log::log_state& log);
/// Gives a record the time that it keeps, where its topic keeps such.
void set_time(const core& owner, const log::log_state& log, log::record_source& source);

/// Appends the rows of several partitions of one topic.
class append_intent final : public intent {
 public:
  append_intent(topic_slot& topic, std::vector<log::row_encoder*> rows, std::size_t cost)
      : intent{cost}, topic_{topic}, rows_{std::move(rows)}, base_offsets_(rows_.size()) {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}

  [[nodiscard]] offset base_offset(std::size_t i) const noexcept { return offset{base_offsets_[i]}; }
  [[nodiscard]] timestamp time() const noexcept { return timestamp{std::chrono::microseconds{time_}}; }

 private:
  topic_slot& topic_;
  std::vector<log::row_encoder*> rows_;
  std::vector<std::uint64_t> base_offsets_;
  std::int64_t time_ = 0;
};

/// A record, ready to be appended.
class single_append {
 public:
  /// Without a partition, to that of the key, or the next in turn.
  [[nodiscard]] static result<single_append> make(const core& owner, topic_slot& topic,
                                                  std::optional<partition_id> partition, const record& r);

  [[nodiscard]] std::vector<log::row_encoder*> rows() { return {&rows_}; }
  [[nodiscard]] std::size_t bytes() const noexcept { return rows_.bytes(); }
  [[nodiscard]] publish_receipt receipt(const append_intent& done) const;

 private:
  single_append(const log::log_state& log, partition_id partition, std::optional<std::int64_t> time)
      : log_{&log}, time_{time}, rows_{log.id(), partition.value()} {}

  const log::log_state* log_;
  std::optional<std::int64_t> time_;
  log::row_encoder rows_;
};

}  // namespace levada
