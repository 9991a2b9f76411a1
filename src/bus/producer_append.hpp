#pragma once

/// @file
/// What a producer has committed as one.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bus/append.hpp"
#include "bus/pending.hpp"

#include <levada/publishing.hpp>
#include <levada/types.hpp>

namespace levada {

/// Records of one producer on their way. Belongs to whoever collects it, then to its intent, in the end to
/// who waits for it.
struct producer_batch : std::enable_shared_from_this<producer_batch> {
  /// Where a record stands: the `index`-th of one of the row encoders.
  struct place {
    std::size_t encoder = 0;
    std::uint64_t index = 0;
    partition_id partition;
    std::optional<std::int64_t> time = std::nullopt;  // where the record keeps its own
  };
  struct awaited_record {
    pending<publish_receipt> answer;
    place where;
  };
  /// The sequences of an idempotent producer; 0 where there are none.
  struct sequence_range {
    std::uint64_t previous = 0;  // of the record before the first
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };

  std::uint64_t number = 0;  // in the order of submission, from 1
  sequence_range sequences;
  std::size_t bytes = 0;  // of encoded records
  clock::steady_time since{};

  std::vector<log::row_encoder> encoders;  // of what was collected
  std::vector<awaited_record> awaited;
  std::uint64_t unawaited = 0;  // records

  std::optional<publish_batch> whole;  // keeps the rows, where these are not the encoders'
  std::vector<log::row_encoder*> whole_rows;
  std::optional<pending<batch_receipt>> whole_answer;

  std::optional<append_intent> append;  // once it is complete

  result<void> outcome;
  bool answered = false;  // under the producer's lock

  [[nodiscard]] publish_receipt receipt(const log::log_state& log, const place& of) const;
  [[nodiscard]] batch_receipt receipt(const log::log_state& log) const;
};

/// Which producer the store knows.
struct producer_identity {
  std::string id;  // empty: none
  std::uint64_t epoch = 0;
};

/// Appends the records of a batch, if they follow what is stored of their producer.
class producer_append final : public intent {
 public:
  using finished_function = std::function<void(const std::shared_ptr<producer_batch>&, result<void>)>;
  /// `finished` must not throw.
  producer_append(std::shared_ptr<topic_slot> topic, producer_identity producer,
                  std::shared_ptr<producer_batch> batch, finished_function finished)
      : intent{batch->bytes},
        topic_{std::move(topic)},
        producer_{std::move(producer)},
        batch_{std::move(batch)},
        finished_{std::move(finished)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override;
  void applied(commit_scope&) noexcept override {}
  void finished(result<void> outcome) noexcept override { finished_(batch_, std::move(outcome)); }

 private:
  const std::shared_ptr<topic_slot> topic_;
  const producer_identity producer_;
  const std::shared_ptr<producer_batch> batch_;
  const finished_function finished_;
};

}  // namespace levada
