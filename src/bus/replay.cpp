#include <levada/replay.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <variant>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>

#include "bus/replay_impl.hpp"
#include "bus/waiting_call.hpp"

#include <levada/async.hpp>

namespace levada {

result<std::unique_ptr<replay::impl>> replay::impl::make(std::shared_ptr<replay_source> source,
                                                         std::optional<std::string> topic,
                                                         const replay_options& options,
                                                         std::optional<pass_positions> resume) {
  std::unique_ptr<impl> self{new impl{std::move(source), std::move(topic), options, std::move(resume)}};
  if (auto started = self->start(); !started) return started.error();
  return self;
}

error replay::impl::refusal(errc code, const std::string& why) const {
  return {code,
          fmt::format("replay {}: {}", topic_ ? fmt::format("topic '{}'", *topic_) : "all topics", why)};
}

result<void> replay::impl::check() {
  if (options_.bytes_max == 0) return refusal(errc::invalid_argument, "bytes_max is 0");
  if (!(options_.pace >= 0) || std::isinf(options_.pace)) {
    return refusal(errc::invalid_argument,
                   fmt::format("a pace of {} is given, the least is 0", options_.pace));
  }
  const bool with_offset =
      std::holds_alternative<offset>(options_.from) || std::holds_alternative<offset>(options_.until);
  if (!topic_) {
    if (with_offset || options_.partition) {
      return refusal(errc::invalid_argument, "offsets and partitions belong to one topic");
    }
    return {};
  }
  const std::uint32_t partitions = logs_.front()->partitions();
  if (options_.partition && options_.partition->value() >= partitions) {
    return refusal(errc::unknown_partition, fmt::format("there is no partition {}, the topic has {}",
                                                        options_.partition->value(), partitions));
  }
  if (with_offset && !options_.partition) {
    if (partitions > 1) {
      return refusal(errc::invalid_argument,
                     fmt::format("an offset needs a partition, the topic has {}", partitions));
    }
    options_.partition = partition_id{0};
  }
  return {};
}

result<void> replay::impl::start() {
  auto sequence = source_->refresh();
  if (!sequence) return sequence.error();
  logs_version_ = source_->logs_version();
  logs_ = source_->logs();
  if (auto checked = check(); !checked) return checked;
  std::vector<part> parts;
  for (const auto& log : logs_) {
    auto placed = place(*log);
    if (!placed) return placed.error();
    parts.push_back(std::move(*placed));
  }
  pass_ = log::make_pass(std::move(parts));
  return {};
}

result<replay::impl::part> replay::impl::place(const log::log_state& log) {
  part p{&log, std::vector<std::uint64_t>(log.partitions(), 0),
         std::vector<std::uint64_t>(log.partitions(), log::log_pass::no_end)};
  auto placed = source_->read([&](log::log_reader& reader) -> result<void> {
    for (std::uint32_t i = 0; i < log.partitions(); ++i) {
      if (options_.partition && options_.partition->value() != i) {
        p.until[i] = 0;
        continue;
      }
      if (auto begin = place_begin(reader, p, i); !begin) return begin;
      if (auto end = place_end(reader, p, i); !end) return end;
    }
    return {};
  });
  if (!placed) return placed.error();
  return p;
}

result<void> replay::impl::place_begin(log::log_reader& reader, part& p, std::uint32_t partition) const {
  std::uint64_t& next = p.next[partition];
  const std::uint64_t begin = p.log->begin(partition);
  const std::uint64_t end = p.log->end(partition);
  next = begin;
  if (resume_) {
    if (const auto saved = resume_->find(p.log->id()); saved != resume_->end()) {
      next = std::min(saved->second.at(partition), end);
    }
    return {};
  }
  if (std::holds_alternative<from_latest>(options_.from)) next = end;
  if (const auto* const time = std::get_if<timestamp>(&options_.from)) {
    auto found = reader.find_time(*p.log, partition, time->time_since_epoch().count());
    if (!found) return found.error();
    next = *found;
  }
  if (const auto* const from = std::get_if<offset>(&options_.from)) {
    next = from->value();
    if (next > end) {
      return refusal(errc::offset_out_of_range,
                     fmt::format("partition {}, offset {} lies beyond the end, {}", partition, next, end));
    }
    if (next < begin) {
      return refusal(
          errc::overtaken,
          fmt::format("partition {}, offset {} has been removed, the oldest is {}", partition, next, begin));
    }
  }
  return {};
}

result<void> replay::impl::place_end(log::log_reader& reader, part& p, std::uint32_t partition) const {
  std::uint64_t& until = p.until[partition];
  if (std::holds_alternative<until_latest>(options_.until)) until = p.log->end(partition);
  if (const auto* const end = std::get_if<offset>(&options_.until)) until = end->value();
  if (const auto* const time = std::get_if<timestamp>(&options_.until)) {
    auto found = reader.find_time(*p.log, partition, time->time_since_epoch().count());
    if (!found) return found.error();
    until = *found;
  }
  return {};
}

void replay::impl::sync_logs() {
  const std::uint64_t version = source_->logs_version();
  if (topic_ || version == logs_version_) return;
  logs_version_ = version;
  const bool bounded = !std::holds_alternative<until_closed>(options_.until);
  auto logs = source_->logs();
  std::map<std::uint32_t, part> known;
  for (auto& p : pass_.parts) known.emplace(p.log->id(), std::move(p));
  pass_.parts.clear();
  pass_.sealed.reset();
  for (const auto& log : logs) {
    if (const auto found = known.find(log->id()); found != known.end()) {
      pass_.parts.push_back(std::move(found->second));
    } else {
      // What is declared later is read from its beginning, unless the pass ends with what was there.
      pass_.parts.push_back(
          {log.get(), std::vector<std::uint64_t>(log->partitions(), 0),
           std::vector<std::uint64_t>(log->partitions(), bounded ? 0 : log::log_pass::no_end)});
    }
  }
  logs_ = std::move(logs);  // the last to let go of those that are gone
}

result<void> replay::impl::read_one(log::log_reader& reader, log::batch_builder& batch) {
  const std::uint32_t partition = options_.partition->value();
  part& p = pass_.parts.front();
  auto done = reader.read_partition(*p.log, partition, p.next[partition], batch, p.until[partition]);
  if (!done && done.error() == errc::overtaken) p.next[partition] = p.log->begin(partition);
  if (!done && done.error() == errc::damaged) {
    p.next[partition] = std::max(p.next[partition], reader.behind_damage());
  }
  return done;
}

result<record_batch> replay::impl::step(std::uint64_t until) {
  if (failure_) {
    const error e = std::move(*failure_);
    failure_.reset();
    return e;
  }
  sync_logs();
  log::batch_builder batch{{.bytes = std::min(options_.bytes_max, source_->slice_bytes_max())}};
  auto done = source_->read([&](log::log_reader& reader) -> result<void> {
    reader.verify(options_.verify);
    return options_.partition ? read_one(reader, batch) : reader.read_pass(pass_, until, batch);
  });
  // A topic that has been deleted meanwhile is no concern of a pass over all: it goes on without.
  const bool without = !done && !topic_ && done.error() == errc::unknown_topic;
  if (without && batch.records() == 0) return step(until);
  if (without) return batch.finish();
  if (!done && batch.records() == 0) return done.error();
  // What was read before the failure is delivered first.
  if (!done) failure_ = done.error();
  return batch.finish();
}

std::optional<result<record_batch>> replay::impl::look(clock::steady_time deadline, std::uint64_t& seen,
                                                       clock::steady_time& next_look) {
  auto until = source_->refresh();
  if (!until) return until.error();
  seen = *until;
  if (pace_.empty()) {
    auto batch = step(*until);
    if (!batch || !pace_.paced()) {
      if (!batch || !batch->empty()) return batch;
    } else {
      pace_.hold(std::move(*batch), source_->time().steady());
    }
  }
  if (!pace_.empty()) {
    auto due = pace_.take(source_->time().steady());
    if (!due.empty()) return due;
    next_look = std::min(next_look, pace_.due());
  }
  if (ended() || source_->time().steady() >= deadline) return record_batch{};
  return std::nullopt;
}

result<record_batch> replay::impl::next(std::chrono::milliseconds timeout) {
  const auto deadline = deadline_after(source_->time(), timeout);
  for (;;) {
    std::uint64_t seen = 0;
    auto next_look = deadline;
    if (auto found = look(deadline, seen, next_look)) return std::move(*found);
    if (auto slept = source_->wait(seen, next_look); !slept) return slept.error();
  }
}

void replay::impl::start_next(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                              detail::completion<record_batch> done) {
  auto [owner, signalled] = self->source_->wakes();
  if (!owner) {
    // The system's executor, as of a bus that has ended, where the handler has none of its own.
    const auto to =
        done.executor() ? done.executor() : boost::asio::any_io_executor{boost::asio::system_executor{}};
    boost::asio::post(to, boost::asio::append(std::move(done).take(),
                                              result<record_batch>{self->refusal(
                                                  errc::invalid_argument, "without a bus nobody wakes it")}));
    return;
  }
  const auto deadline = deadline_after(self->source_->time(), timeout);
  waiting_call<record_batch>::start(
      std::move(owner), std::move(signalled), deadline,
      [self, deadline](clock::steady_time& next_look) -> std::optional<result<record_batch>> {
        if (self->left_) return self->refusal(errc::closed, "it has been destroyed");
        std::uint64_t seen = 0;
        return self->look(deadline, seen, next_look);
      },
      std::move(done));
}

void replay::impl::leave() noexcept {
  left_ = true;
  if (const auto waking = source_->wakes(); waking.signalled) waking.signalled->signal();
}

bool replay::impl::ended() const noexcept {
  if (failure_ || !pace_.empty() || std::holds_alternative<until_closed>(options_.until)) return false;
  return pass_.ended();
}

replay::replay(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
replay::replay(replay&&) noexcept = default;
replay& replay::operator=(replay&& other) noexcept {
  const replay before{std::exchange(impl_, std::move(other.impl_))};
  return *this;
}
// Asynchronous calls may hold what is inside.
replay::~replay() {
  if (impl_) impl_->leave();
}

result<record_batch> replay::next(std::chrono::milliseconds timeout) {
  return impl_->next(timeout);
}

void replay::start_next(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                        detail::completion<record_batch> done) {
  impl::start_next(self, timeout, std::move(done));
}

bool replay::ended() const noexcept {
  return impl_->ended();
}

}  // namespace levada
