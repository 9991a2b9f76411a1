#include <levada/job.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bus/job_impl.hpp"
#include "bus/job_position.hpp"

namespace levada {

result<std::unique_ptr<job::impl>> job::impl::make(setting where, storage::job_file file, std::string name,
                                                   std::optional<std::string> topic,
                                                   const job_options& options) {
  auto last = file.read();
  if (!last) return last.error();
  std::unique_ptr<impl> self{new impl{std::move(where), std::move(file), std::move(name), std::move(topic)}};
  if (*last && (*last)->topic != self->topic_.value_or("")) {
    const auto what = [](const std::string& read) {
      return read.empty() ? std::string{"all topics"} : fmt::format("topic '{}'", read);
    };
    return error{errc::inequivalent, fmt::format("open job '{}' of {}: it reads {}", self->name_,
                                                 what(self->topic_.value_or("")), what((*last)->topic))};
  }
  std::optional<pass_positions> from;
  if (*last) from = self->resume(**last);
  auto pass = replay::impl::make(
      self->where_.source, self->topic_,
      {.from = options.from, .bytes_max = options.bytes_max, .verify = options.verify}, std::move(from));
  if (!pass) return pass.error();
  self->pass_ = std::move(*pass);
  self->move_to_pass();
  // From now on it is known to the owner, and begins nowhere else.
  if (!*last) {
    if (auto noted = self->checkpoint(); !noted) return noted.error();
  }
  return self;
}

/// Where it goes on: behind what it has read, unless that has been lost since.
pass_positions job::impl::resume(const storage::job_checkpoint& last) {
  pass_positions positions;
  std::string example;
  std::size_t partitions = 0;
  for (const auto& log : where_.source->logs()) {
    auto next = position_of(last, *log, where_.epochs);
    if (!next) continue;
    const auto saved =
        std::find_if(last.logs.begin(), last.logs.end(), [&](const auto& l) { return l.id == log->id(); });
    for (std::uint32_t p = 0; p < log->partitions(); ++p) {
      if ((*next)[p] == saved->next[p]) continue;
      if (partitions++ == 0) {
        example = fmt::format("topic '{}' partition {} goes on at offset {} instead of {}", log->name(), p,
                              (*next)[p], saved->next[p]);
      }
    }
    positions[log->id()] = std::move(*next);
  }
  if (partitions > 0) {
    truncated_ = error{
        errc::log_truncated,
        fmt::format("job '{}': the store was taken back to a checkpoint, its epoch is {}: {}{}", name_,
                    where_.epoch(), example,
                    partitions == 1 ? std::string{}
                                    : fmt::format(", and {} more partitions likewise", partitions - 1))};
  }
  return positions;
}

void job::impl::learn_logs() {
  std::map<std::uint32_t, log_position> known;
  for (const auto& part : pass_->parts()) {
    auto& position = known[part.log->id()];
    if (const auto found = positions_.find(part.log->id()); found != positions_.end()) {
      position = std::move(found->second);
    } else {
      position = {part.log->name(), std::vector<std::uint64_t>(part.log->partitions(), 0)};
    }
  }
  positions_ = std::move(known);
}

void job::impl::move_to_pass() {
  learn_logs();
  for (const auto& part : pass_->parts()) positions_.at(part.log->id()).next = part.next;
}

void job::impl::move_behind(const record_batch& batch) {
  std::string_view topic;
  log_position* position = nullptr;
  const auto find = [this](std::string_view name) -> log_position* {
    const auto found = std::find_if(positions_.begin(), positions_.end(),
                                    [&](const auto& p) { return p.second.topic == name; });
    return found == positions_.end() ? nullptr : &found->second;
  };
  for (const auto& slice : batch.slices()) {
    if (topic != slice.topic) {
      topic = slice.topic;
      position = find(topic);
      if (position == nullptr) {
        learn_logs();
        position = find(topic);
      }
    }
    // A topic that has been deleted since it was read needs no position.
    if (position != nullptr)
      position->next[slice.partition.value()] = (slice.base_offset + slice.count).value();
  }
}

result<record_batch> job::impl::next(std::chrono::milliseconds timeout) {
  if (truncated_) return *std::exchange(truncated_, std::nullopt);
  auto batch = pass_->next(timeout);
  if (batch) {
    move_behind(*batch);
  } else if (batch.error() == errc::damaged || batch.error() == errc::overtaken) {
    // It has been told of what cannot be read, so it need not be told again.
    move_to_pass();
  }
  return batch;
}

result<void> job::impl::checkpoint() {
  learn_logs();
  storage::job_checkpoint now{.name = name_,
                              .epoch = where_.epoch(),
                              .time = where_.source->time().wall().time_since_epoch().count(),
                              .topic = topic_.value_or(""),
                              .logs = {}};
  for (const auto& [id, position] : positions_) now.logs.push_back({id, position.topic, position.next});
  return file_.write(now);
}

std::vector<job_position> job::impl::positions() const {
  std::vector<job_position> all;
  for (const auto& [id, position] : positions_) {
    for (std::uint32_t p = 0; p < position.next.size(); ++p)
      all.push_back({{position.topic, partition_id{p}}, offset{position.next[p]}});
  }
  std::sort(all.begin(), all.end(),
            [](const job_position& a, const job_position& b) { return a.where < b.where; });
  return all;
}

job::job(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
job::job(job&&) noexcept = default;
job& job::operator=(job&&) noexcept = default;
job::~job() = default;

const std::string& job::name() const noexcept {
  return impl_->name();
}

result<record_batch> job::next(std::chrono::milliseconds timeout) {
  return impl_->next(timeout);
}

result<void> job::checkpoint() {
  return impl_->checkpoint();
}

std::vector<job_position> job::positions() const {
  return impl_->positions();
}

}  // namespace levada
