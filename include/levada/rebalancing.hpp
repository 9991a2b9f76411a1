#pragma once

/// @file
/// What a member of a consumer group is told, and may do, while partitions change hands.

#include <optional>
#include <span>
#include <string>

#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/options.hpp>
#include <levada/types.hpp>

namespace levada {

/// Partitions that a member is about to give up, and still owns (onPartitionsRevoked of Kafka's
/// ConsumerRebalanceListener). What is committed through it is stored in the same commit in which the
/// partitions go to their next owners: so nobody reads a record twice, or misses one.
///
/// Only to be used within `consumer_options::on_revoked`, and in its thread.
class LEVADA_EXPORT revocation {
 public:
  class impl;
  explicit revocation(impl& self) noexcept : impl_{self} {}
  revocation(const revocation&) = delete;
  revocation& operator=(const revocation&) = delete;

  /// Sorted, and never empty.
  [[nodiscard]] std::span<const topic_partition> partitions() const noexcept;
  /// The offset that the next poll would have started with: what polls have returned lies before it. Nothing
  /// where no policy has set one. Fails with `not_assigned` for other partitions.
  [[nodiscard]] result<std::optional<offset>> position(const topic_partition& where) const;
  /// Has an offset stored with the handover, as `consumer::commit` would; the last one for a partition
  /// counts. Writes nothing by itself. Fails with `not_assigned` for other partitions, `offset_out_of_range`
  /// or `field_too_long`.
  [[nodiscard]] result<void> commit(const topic_partition& where, offset next, std::string metadata = {});
  /// The same with the positions of all of them: what polls have returned counts as done.
  void commit_positions();

 private:
  impl& impl_;
};

/// Partitions that a member has just come to own (onPartitionsAssigned of Kafka's
/// ConsumerRebalanceListener). Only to be used within `consumer_options::on_assigned`, and in its thread.
class LEVADA_EXPORT new_assignment {
 public:
  class impl;
  explicit new_assignment(impl& self) noexcept : impl_{self} {}
  new_assignment(const new_assignment&) = delete;
  new_assignment& operator=(const new_assignment&) = delete;

  /// Sorted, and never empty.
  [[nodiscard]] std::span<const topic_partition> partitions() const noexcept;
  /// Sets where reading starts, as `consumer::seek` does. Fails with `not_assigned` for other partitions, and
  /// as that does.
  [[nodiscard]] result<void> seek(const topic_partition& where, const start_position& to);

 private:
  impl& impl_;
};

}  // namespace levada
