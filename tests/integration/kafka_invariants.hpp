#pragma once

/// @file
/// What must hold of everything that was ever sent and polled, however many did so at a time: the invariants
/// of Jepsen's Kafka workload (jepsen.tests.kafka), which it names so.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <levada/record_batch.hpp>
#include <levada/types.hpp>

namespace levada::test {

/// A way in which a history cannot be.
enum class anomaly {
  /// A record is stored, and somebody has read beyond it, but nobody has read it.
  lost_write,
  /// A value stands at several offsets.
  duplicate,
  /// An offset has several values.
  inconsistent_offsets,
  /// From one poll to the next, a reader has passed over a record; `internal_` is within one poll.
  poll_skip,
  internal_poll_skip,
  /// From one poll to the next, a reader has gone back, or stayed where it was.
  nonmonotonic_poll,
  internal_nonmonotonic_poll,
  /// Offsets of one sender's records fall; `internal_` is within one commit.
  nonmonotonic_send,
  internal_nonmonotonic_send,
  /// A record of a send or a transaction that has come to nothing was read (Adya's G1a).
  aborted_read,
  /// A record was read that nobody has sent. Jepsen has no name for it.
  unsent_read,
};
[[nodiscard]] std::string_view name_of(anomaly a) noexcept;

/// What has become of what was sent.
enum class sending : std::uint8_t {
  stored,
  undone,
  /// Nobody was told: it may be either.
  unknown,
};

/// What several processes have sent and polled. Of each process, calls are in the order in which it did so;
/// of different ones, in none. A value: to be written by one thread, and merged.
class kafka_history {
 public:
  /// Whoever sends, or reads, one thing after the other.
  using process = std::uint64_t;
  /// Values are given to one record each.
  struct message {
    std::uint64_t value = 0;
    /// Absent where the sender was not told.
    std::optional<std::uint64_t> offset;
  };

  /// Records of one partition that belong to one commit, in the order in which they were sent.
  void sent(process who, const topic_partition& log, sending outcome, std::vector<message> what);
  /// Records of one partition that came together.
  void polled(process who, const topic_partition& log, std::vector<message> what);
  /// A whole batch; `value_of` gives a record's value.
  template <class ValueOf>
  void polled(process who, const record_batch& batch, const ValueOf& value_of) {
    std::map<topic_partition, std::vector<message>> runs;
    for (const auto& r : batch) {
      runs[{std::string{r.topic()}, r.partition()}].push_back({value_of(r), r.offset().value()});
    }
    for (auto& run : runs) polled(who, run.first, std::move(run.second));
  }
  /// The coming poll may begin anywhere: the partition was assigned anew, or sought in.
  void repositioned(process who, const topic_partition& log);
  /// A reader has found nothing behind what was polled, when all was sent.
  void read_to_end(const topic_partition& log);
  /// Adds another history, of other processes.
  void merge(kafka_history other);

 private:
  friend class kafka_check;
  enum class kind : std::uint8_t { sent, polled, repositioned, read_to_end };
  struct event {
    kind what;
    sending outcome;
    process who;
    std::uint32_t log;
    std::vector<message> messages;
  };

  std::uint32_t number_of(const topic_partition& log);

  std::map<topic_partition, std::uint32_t> numbers_;
  std::vector<topic_partition> logs_;  // by number
  std::vector<event> events_;
};

struct finding {
  anomaly what;
  /// Where, and of which values, for people.
  std::string text;
};

/// Everything that is wrong with a history.
[[nodiscard]] std::vector<finding> anomalies_in(const kafka_history& history);
/// The first of them, a line each; empty where there are none.
[[nodiscard]] std::string to_text(const std::vector<finding>& findings);

}  // namespace levada::test
