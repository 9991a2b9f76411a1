#include <levada/replay.hpp>

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "bus/replay_impl.hpp"

namespace levada {

result<std::unique_ptr<replay::impl>> replay::impl::make(std::shared_ptr<replay_source> source,
                                                         std::shared_ptr<const log::log_state> log,
                                                         const replay_options& options) {
  replay_options effective = options;
  const auto& name = log->name();
  if (options.partition && options.partition->value() >= log->partitions()) {
    return error{
        errc::unknown_partition,
        fmt::format("replay topic '{}', partition {}: the topic has {} partition{}", name,
                    options.partition->value(), log->partitions(), log->partitions() == 1 ? "" : "s")};
  }
  if (options.bytes_max == 0) {
    return error{errc::invalid_argument, fmt::format("replay topic '{}': bytes_max is 0", name)};
  }
  if (std::holds_alternative<offset>(options.from) && !options.partition) {
    if (log->partitions() > 1) {
      return error{errc::invalid_argument,
                   fmt::format("replay topic '{}': an offset needs a partition, the topic has {}", name,
                               log->partitions())};
    }
    effective.partition = partition_id{0};
  }
  std::unique_ptr<impl> self{new impl{std::move(source), std::move(log), effective}};
  if (auto started = self->start(); !started) return started.error();
  return self;
}

result<void> replay::impl::start() {
  auto sequence = source_->refresh();
  if (!sequence) return sequence.error();
  const auto* const time = std::get_if<timestamp>(&options_.from);
  const auto* const from = std::get_if<offset>(&options_.from);
  const bool latest = std::holds_alternative<from_latest>(options_.from);
  if (!options_.partition) {
    if (latest) everywhere_.sequence = *sequence;
    if (time != nullptr) {
      not_before_ = time->time_since_epoch().count();
      everywhere_.sequence = log::sequence_before(*log_, not_before_);
    }
    return {};
  }
  const std::uint32_t partition = options_.partition->value();
  position_ = log_->begin(partition);
  if (latest) position_ = log_->end(partition);
  if (from != nullptr) {
    position_ = from->value();
    if (position_ > log_->end(partition)) {
      return error{errc::offset_out_of_range,
                   fmt::format("replay topic '{}', partition {}: offset {} lies beyond the end, {}",
                               log_->name(), partition, position_, log_->end(partition))};
    }
    if (position_ < log_->begin(partition)) {
      return error{
          errc::overtaken,
          fmt::format("replay topic '{}', partition {}: offset {} has been removed, the oldest is {}",
                      log_->name(), partition, position_, log_->begin(partition))};
    }
  }
  if (time != nullptr) {
    return source_->read([&](log::log_reader& reader) -> result<void> {
      auto found = reader.find_time(*log_, partition, time->time_since_epoch().count());
      if (!found) return found.error();
      position_ = *found;
      return {};
    });
  }
  return {};
}

result<record_batch> replay::impl::step(std::uint64_t until) {
  log::batch_builder batch{{.bytes = options_.bytes_max}};
  auto done = source_->read([&](log::log_reader& reader) -> result<void> {
    reader.verify(options_.verify);
    return options_.partition ? reader.read_partition(*log_, options_.partition->value(), position_, batch)
                              : reader.read_log(*log_, everywhere_, until, not_before_, batch);
  });
  if (!done && done.error() == errc::overtaken) position_ = log_->begin(options_.partition->value());
  // What was read before the damage is delivered first; the error comes when nothing stands before it.
  if (!done && batch.records() == 0) return done.error();
  return batch.finish();
}

result<record_batch> replay::impl::next(std::chrono::milliseconds timeout) {
  const auto deadline = deadline_after(source_->time(), timeout);
  for (;;) {
    auto until = source_->refresh();
    if (!until) return until.error();
    auto batch = step(*until);
    if (!batch || !batch->empty() || source_->time().steady() >= deadline) return batch;
    if (auto slept = source_->wait(*until, deadline); !slept) return slept.error();
  }
}

replay::replay(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
replay::replay(replay&&) noexcept = default;
replay& replay::operator=(replay&&) noexcept = default;
replay::~replay() = default;

result<record_batch> replay::next(std::chrono::milliseconds timeout) {
  return impl_->next(timeout);
}

}  // namespace levada
