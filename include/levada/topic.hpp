#pragma once

/// @file
/// A handle to one topic.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <levada/detail/completion.hpp>
#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/publishing.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada {

/// A topic of an open bus: the way to append to its log. From `bus::declare_topic` or `bus::topic`. Cheap to
/// copy; copies and one shared object may be used from any thread. Operations fail with `errc::closed` once
/// the bus is closed.
class LEVADA_EXPORT topic {
 public:
  topic(const topic&) noexcept;
  topic(topic&&) noexcept;
  topic& operator=(const topic&) noexcept;
  topic& operator=(topic&&) noexcept;
  ~topic();

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] std::uint32_t partitions() const noexcept;

  /// Appends a record and returns when it is durable. The partition follows from the key
  /// (`partition_for_key`); records without a key go to the partitions in turn.
  ///
  /// After success the record survives power loss. After `outcome_unknown` it may or may not be stored. After
  /// any other error it is not stored.
  [[nodiscard]] result<publish_receipt> publish(const record& r) const;
  /// Appends to a partition of the caller's choice.
  [[nodiscard]] result<publish_receipt> publish(partition_id partition, const record& r) const;
  /// Appends all records of the batch in one commit, or none; the batch is empty afterwards if and only if
  /// that succeeded. Fails with `invalid_argument` for a batch of another topic. An empty batch succeeds.
  [[nodiscard]] result<batch_receipt> publish(publish_batch& batch) const;

  /// Asynchronous twins, for any completion token of the signature `void(result<publish_receipt>)` or
  /// `void(result<batch_receipt>)`: they return at once, and have no bound on how much waits; a `producer`
  /// has. Records of one thread keep their order. See <levada/async.hpp>, which defines them.
  template <class Token>
  auto async_publish(record r, Token&& token) const;
  template <class Token>
  auto async_publish(partition_id partition, record r, Token&& token) const;
  /// The batch is empty afterwards, and comes back to nobody.
  template <class Token>
  auto async_publish(publish_batch batch, Token&& token) const;

  /// A batch for this topic, to be filled and published as often as wanted.
  [[nodiscard]] publish_batch make_batch() const;

 private:
  friend class bus;
  friend class transaction;
  struct impl;
  static void start_publish(const std::shared_ptr<const impl>& self, std::optional<partition_id> partition,
                            const record& r, detail::completion<publish_receipt> done);
  static void start_publish(const std::shared_ptr<const impl>& self, publish_batch batch,
                            detail::completion<batch_receipt> done);
  explicit topic(std::shared_ptr<const impl> self) noexcept;
  std::shared_ptr<const impl> impl_;
};

}  // namespace levada
