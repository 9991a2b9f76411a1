#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bus/collector.hpp"
#include "bus/core.hpp"
#include "bus/producer_append.hpp"

#include <levada/partitioner.hpp>
#include <levada/producer.hpp>

namespace levada {

/// Records are encoded under the producer's own lock into the batch that collects. A batch that is complete
/// is sealed: nothing more is added, and it waits among the sealed ones until it is submitted, which is done
/// without the lock by one thread at a time, so that batches are submitted in the order of their numbers.
class producer::impl final : public collector, public std::enable_shared_from_this<impl> {
 public:
  [[nodiscard]] static result<std::shared_ptr<impl>> make(std::shared_ptr<core> owner,
                                                          std::shared_ptr<topic_slot> topic,
                                                          const producer_options& options);
  impl(std::shared_ptr<core> owner, std::shared_ptr<topic_slot> topic, const producer_options& options);

  /// What happens where there is no room.
  enum class when_full : bool { wait, refuse };
  result<void> send(std::optional<producer_sequence> sequence, const record& r, when_full full);
  void start_send(std::optional<producer_sequence> sequence, const record& r,
                  detail::completion<publish_receipt> done);
  result<publish_receipt> publish(std::optional<producer_sequence> sequence, const record& r);
  result<batch_receipt> publish(publish_batch& batch);
  void start_publish(publish_batch batch, detail::completion<batch_receipt> done);
  result<void> flush();
  void start_flush(detail::completion<void> done);
  [[nodiscard]] const std::shared_ptr<core>& owner() const noexcept { return owner_; }
  result<void> close();
  /// Nobody has the producer any more.
  void leave();

  [[nodiscard]] producer_sequence last_sequence() const;
  [[nodiscard]] const std::string& id() const noexcept { return producer_.id; }
  [[nodiscard]] const std::string& topic() const noexcept { return topic_->state.name(); }

  void hand_over() override;
  void end(const error& why) noexcept override;

 private:
  using unique_lock = std::unique_lock<std::mutex>;
  using batch_pointer = std::shared_ptr<producer_batch>;
  class prepared_record;
  /// Where a record has been put. The batch is there as long as the lock is held.
  struct added_record {
    producer_batch* batch = nullptr;
    producer_batch::place where;
  };
  struct failure {
    std::uint64_t batch = 0;
    error why;
  };
  struct waiting_flush {
    std::uint64_t last;  // batch that it waits for
    pending<void> answer;
  };

  /// Whether it takes records, and by the bus.
  [[nodiscard]] result<void> check_usable() const;
  [[nodiscard]] result<void> check_open() const;
  [[nodiscard]] error refuse(errc code, const std::string& why) const;
  [[nodiscard]] result<void> check_waiting() const;
  /// The sequence that a record gets now, 0 where there are none.
  [[nodiscard]] result<std::uint64_t> next_sequence(std::optional<producer_sequence> wanted) const;
  [[nodiscard]] bool fits(std::size_t bytes) const noexcept {
    return bytes_ == 0 || bytes_ + bytes <= options_.buffer_bytes_max;
  }
  /// Returns `next_sequence` when `bytes` fit; the lock may have been given up meanwhile.
  [[nodiscard]] result<std::uint64_t> make_room(unique_lock& lock, std::size_t bytes,
                                                std::optional<producer_sequence> wanted, when_full full);
  [[nodiscard]] result<partition_id> choose(const record& r);
  [[nodiscard]] result<added_record> add(unique_lock& lock, std::optional<producer_sequence> sequence,
                                         const prepared_record& r, when_full full);
  /// Puts a batch of the caller's among the sealed ones.
  [[nodiscard]] result<batch_pointer> add(unique_lock& lock, publish_batch& batch, when_full full);
  /// A batch behind all others.
  [[nodiscard]] batch_pointer begin_batch();
  void seal();
  void submit_sealed(unique_lock& lock, group_commit::led_by who = group_commit::led_by::any);
  void ring_when_due();
  void linger_passed();
  /// Submits what is collected, and leads until `done` or somebody else does.
  template <class Done>
  void wait(unique_lock& lock, Done done);

  void finish(const batch_pointer& batch, result<void> outcome) noexcept;
  void note(const producer_batch& batch);
  void answer(producer_batch& batch);
  void reuse(producer_batch& batch);
  [[nodiscard]] std::uint64_t oldest_under_way() const noexcept {
    return under_way_.empty() ? UINT64_MAX : *under_way_.begin();
  }
  [[nodiscard]] result<void> take_failure();

  const std::shared_ptr<core> owner_;
  const std::shared_ptr<topic_slot> topic_;
  const producer_options options_;
  const std::shared_ptr<levada::partitioner> partitioner_;
  const std::string operation_;
  producer_identity producer_;  // does not change once it is made

  mutable std::mutex mutex_;  // guards what follows, and the partitioner
  std::condition_variable changed_;
  bool closed_ = false;
  std::optional<error> ended_;   // why the bus takes nothing more
  std::optional<error> fenced_;  // once it is known
  batch_pointer collecting_;
  std::vector<std::size_t> places_;  // of partitions in its encoders, from 1; 0 for none
  std::vector<log::row_encoder> spare_;
  std::size_t spare_bytes_ = 0;
  std::deque<batch_pointer> sealed_;
  bool submitting_ = false;
  bool bell_ = false;  // whether it will ring
  std::uint64_t last_number_ = 0;
  std::set<std::uint64_t> under_way_;     // begun and not answered
  std::size_t unfinished_ = 0;            // those of them whose outcome is not known
  std::size_t bytes_ = 0;                 // of these
  std::deque<waiting_flush> flushes_;     // in the order of their batches
  std::optional<failure> first_failure_;  // that no flush has told

  std::uint64_t stored_ = 0;                  // the last sequence that is
  std::uint64_t sent_ = 0;                    // the last one that was given
  bool broken_ = false;                       // something before what is under way has failed
  std::optional<std::uint64_t> failed_from_;  // the first sequence that failed, until it is sent again
};

}  // namespace levada
