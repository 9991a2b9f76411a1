#include "bus/backfill.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>
#include <variant>

#include "bus/add_intent.hpp"
#include "bus/core.hpp"
#include "bus/dispatch.hpp"
#include "bus/simple_intent.hpp"
#include "bus/with_operation.hpp"

namespace levada {
namespace {

/// How much is read for one commit: what takes no more than some milliseconds.
constexpr std::size_t backfilled_records = 2'048;
constexpr std::size_t backfilled_bytes = std::size_t{1} << 20;
/// The same where the queue may have no room for more.
constexpr std::size_t backfilled_records_within_limits = 256;
/// After a commit that failed.
constexpr std::int64_t pause_after_refusal = 1'000'000;

/// Ends the first backfill of a queue: what follows it may be handed out, up to the next one.
result<void> end_first(commit_scope& scope, queue_slot& queue, const storage::backfill_entry& first,
                       const storage::backfill_entry* next) {
  for (std::size_t lane = 0; lane < first.lanes.size(); ++lane) {
    auto completed = scope.written(queue::complete_block(scope.txn(), scope.tables(), queue.state.id(), lane,
                                                         first.lanes[lane].begin + first.lanes[lane].filled));
    if (!completed) return completed;
  }
  auto erased = scope.written(storage::erase_backfill(scope.txn(), scope.tables(), first.id));
  if (!erased) return erased;
  scope.row_of(queue).bars = next != nullptr ? bars_of(*next) : std::vector<std::uint64_t>{};
  scope.release(queue);
  return {};
}

}  // namespace

std::vector<std::uint64_t> bars_of(const storage::backfill_entry& first) {
  std::vector<std::uint64_t> bars;
  bars.reserve(first.lanes.size());
  for (const auto& lane : first.lanes) bars.push_back(lane.begin + lane.filled);
  return bars;
}

result<beginnings> positions_of(core& owner, const std::string& operation, const topic_slot& log,
                                const start_position& from) {
  beginnings at;
  log::log_reader reader{owner.main()};
  const std::uint32_t partitions = log.state.partitions();
  for (std::uint32_t p = 0; p < partitions; ++p) {
    const std::uint64_t begin = log.state.begin(p);
    const std::uint64_t end = log.state.end(p);
    if (std::holds_alternative<from_earliest>(from)) {
      at.push_back(begin);
    } else if (const auto* const time = std::get_if<timestamp>(&from)) {
      auto found = reader.find_time(log.state, p, time->time_since_epoch().count());
      if (!found) return found.error();
      at.push_back(*found);
    } else if (const auto* const wanted = std::get_if<offset>(&from)) {
      if (partitions > 1) {
        return error{errc::invalid_argument,
                     fmt::format("{}: an offset is of one partition, the exchange's log has {}", operation,
                                 partitions)};
      }
      if (wanted->value() > end) {
        return error{errc::offset_out_of_range,
                     fmt::format("{}: offset {} lies beyond the end, {}", operation, wanted->value(), end)};
      }
      if (wanted->value() < begin) {
        return error{errc::overtaken, fmt::format("{}: offset {} has been removed, the oldest is {}",
                                                  operation, wanted->value(), begin)};
      }
      at.push_back(wanted->value());
    } else {
      at.push_back(end);
    }
  }
  return at;
}

result<void> backfill_beginning::write(commit_scope& scope) {
  const std::uint64_t most = what_.left();
  something_ = most > 0;
  if (!something_) return {};
  auto id = scope.owner().take_id(scope);
  if (!id) return id.error();
  what_.id = *id;
  what_.queue = queue_.state.id();
  what_.room = queue::block_begin_from(most);
  what_.lanes.clear();
  // Positions are kept free in blocks of its own.
  if (auto left = scope.owner().shared().leave(scope, queue_); !left) return left;
  queue::queue_row& row = scope.row_of(queue_);
  for (std::size_t lane = 0; lane < row.lanes(); ++lane) {
    queue::lane_row state = row.lane(lane);
    auto completed = scope.written(
        queue::complete_block(scope.txn(), scope.tables(), queue_.state.id(), lane, state.tail));
    if (!completed) return completed;
    const std::uint64_t begin = queue::block_begin_from(state.tail);
    what_.lanes.push_back({begin, 0});
    // Positions that nothing stands in count as settled.
    row.settled += begin + what_.room - state.tail;
    state.tail = begin + what_.room;
    row.set_lane(lane, state);
  }
  if (row.bars.empty()) row.bars = bars_of(what_);
  return scope.written(storage::put(scope.txn(), scope.tables(), what_));
}

void backfill_beginning::apply(core& owner) {
  if (!something_) return;
  owner.put(queue_, what_);
  owner.backfills().look_soon(queue_);
}

result<void> end_backfills(core& owner, const std::string& operation, queue_slot& queue) {
  if (queue.backfill_left == 0) return {};
  class ending final : public catalog_intent {
   public:
    explicit ending(queue_slot& of) : queue_{of} {}
    [[nodiscard]] result<void> execute(commit_scope& scope) override {
      if (queue_.state.deleted) return {};
      const auto& all = queue_.backfills;
      for (std::size_t i = 0; i < all.size(); ++i) {
        auto ended = end_first(scope, queue_, all[i], i + 1 < all.size() ? &all[i + 1] : nullptr);
        if (!ended) return ended;
      }
      return {};
    }
    void applied(commit_scope& scope) noexcept override {
      while (!queue_.backfills.empty()) {
        scope.owner().backfills().forget(queue_.backfills.front().id);
        scope.owner().remove_first_backfill(queue_);
      }
    }

   private:
    queue_slot& queue_;
  } intent{queue};
  return owner.run(operation, intent);
}

result<void> replay_into(core& owner, queue_slot& queue, const start_position& from) {
  const std::string operation = fmt::format("replay into queue '{}'", queue.state.name());
  if (std::holds_alternative<offset>(from)) {
    return error{
        errc::invalid_argument,
        fmt::format("{}: an offset is of one log, and a queue may have messages of several", operation)};
  }
  class beginning final : public catalog_intent {
   public:
    beginning(const std::string& operation, queue_slot& queue, const start_position& from)
        : operation_{operation}, queue_{queue}, from_{from} {}
    [[nodiscard]] result<void> execute(commit_scope& scope) override {
      core& owner = scope.owner();
      if (queue_.state.deleted) return error{errc::unknown_queue, "it has been deleted"};
      storage::backfill_entry what;
      std::vector<const topic_slot*> exchanges;
      const auto add = [&](const topic_slot* exchange) {
        if (exchange != nullptr && std::find(exchanges.begin(), exchanges.end(), exchange) == exchanges.end())
          exchanges.push_back(exchange);
      };
      add(owner.exchange_named(""));
      for (const std::uint32_t id : owner.bindings().to(queue_.state.id()))
        add(owner.exchange_of_binding(owner.bindings().find(id)->exchange));
      for (const topic_slot* const exchange : exchanges) {
        if (exchange->type() == exchange_type::consistent_hash) {
          return error{
              errc::invalid_argument,
              fmt::format("which messages of the consistent-hash exchange '{}' it has had is not known",
                          exchange->state.name())};
        }
        auto& log = what.logs.emplace_back();
        log.id = exchange->state.id();
        auto begins = positions_of(owner, operation_, *exchange, from_);
        auto ends = positions_of(owner, operation_, *exchange, from_latest{});
        if (!begins) return begins.error();
        if (!ends) return ends.error();
        // Before there was the queue, its name meant another.
        if (exchange->state.name().empty()) {
          auto born = positions_of(owner, operation_, *exchange,
                                   timestamp{std::chrono::microseconds{queue_.created}});
          if (!born) return born.error();
          for (std::size_t p = 0; p < begins->size(); ++p) (*begins)[p] = std::max((*begins)[p], (*born)[p]);
        }
        log.next = std::move(*begins);
        log.end = std::move(*ends);
      }
      begun_.emplace(queue_, std::move(what));
      return begun_->write(scope);
    }
    void applied(commit_scope& scope) noexcept override { begun_->apply(scope.owner()); }

   private:
    const std::string& operation_;
    queue_slot& queue_;
    const start_position from_;
    std::optional<backfill_beginning> begun_;
  } intent{operation, queue, from};
  return owner.run(operation, intent);
}

backfill_selection::backfill_selection(const core& owner, const queue_slot& queue,
                                       const storage::backfill_entry& what)
    : queue_name_{queue.state.name()} {
  for (const auto& log : what.logs) {
    const topic_slot* const exchange = owner.exchange_of_binding(log.id);
    if (exchange == nullptr) continue;
    of_log all;
    all.exchange = exchange;
    for (const std::uint32_t id : owner.bindings().to(queue.state.id())) {
      const storage::binding_entry& binding = *owner.bindings().find(id);
      // What was bound later sees to its own past.
      if (binding.exchange != log.id || id > (what.binding != 0 ? what.binding : what.id)) continue;
      auto& bound = what.binding == 0 || id == what.binding ? all.wanted : all.known;
      bound.push_back({binding.since, routing::binding_table{exchange->type()}});
      bound.back().table.add(binding.key, binding.arguments, queue.state.id());
    }
    if (!all.wanted.empty() || (exchange->state.name().empty() && what.binding == 0))
      logs_.emplace(log.id, std::move(all));
  }
}

bool backfill_selection::matches(const topic_slot& exchange, one_binding& binding, routed_message& m) {
  match_bindings(exchange, binding.table, m, found_);
  return !found_.empty();
}

bool backfill_selection::takes(std::uint32_t log, std::uint32_t partition, std::uint64_t offset,
                               routed_message& m) {
  const auto found = logs_.find(log);
  if (found == logs_.end()) return false;
  of_log& of = found->second;
  if (of.exchange->state.name().empty()) return m.routing_key() == queue_name_;
  const auto brings = [&](one_binding& binding) {
    return binding.is_for(partition, offset) && matches(*of.exchange, binding, m);
  };
  return std::any_of(of.wanted.begin(), of.wanted.end(), brings) &&
         std::none_of(of.known.begin(), of.known.end(), brings);
}

/// Enters the next of the first backfill of a queue.
class backfiller::slice final : public intent {
 public:
  slice(std::shared_ptr<core> owner, std::shared_ptr<queue_slot> queue)
      : owner_{std::move(owner)}, queue_{std::move(queue)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    waits_ = false;
    ends_ = false;
    changed_.reset();
    queue_->backfill_look_wanted = false;
    if (queue_->state.deleted || queue_->backfills.empty()) return {};
    changed_ = queue_->backfills.front();
    if (auto entered = enter_next(scope); !entered) return entered;
    if (waits_ && *changed_ == queue_->backfills.front()) {
      changed_.reset();
      return {};
    }
    ends_ = changed_->left() == 0;
    if (!ends_) return scope.written(storage::put(scope.txn(), scope.tables(), *changed_));
    const auto& all = queue_->backfills;
    return end_first(scope, *queue_, *changed_, all.size() > 1 ? &all[1] : nullptr);
  }
  void applied(commit_scope&) noexcept override {
    if (!changed_) return;
    if (ends_) {
      owner_->backfills().forget(changed_->id);
      owner_->remove_first_backfill(*queue_);
    } else {
      owner_->put(*queue_, *changed_);
    }
  }
  void finished(result<void> outcome) noexcept override {
    queue_->backfill_looked_after = false;
    if (!outcome) {
      if (outcome.error() == errc::closed || outcome.error() == errc::operation_aborted) return;
      queue_->backfill_failures.failed(owner_->logger(), with_operation(what_it_does(), outcome.error()));
      return owner_->backfills().look_at(queue_, owner_->bus_time() + pause_after_refusal);
    }
    queue_->backfill_failures.succeeded(owner_->logger(), "what is past for queue", queue_->state.name());
    if (needs_trimming(*queue_)) owner_->attends().look_soon(queue_);
    if (ends_ || !waits_ || queue_->backfill_look_wanted) owner_->backfills().look_soon(*queue_);
  }
  [[nodiscard]] bool alone() const noexcept override { return true; }

 private:
  /// What is entered into each lane.
  using entries_by_lane = std::vector<std::vector<queue::reference>>;

  result<void> enter_next(commit_scope& scope) {
    backfill_selection selection{*owner_, *queue_, *changed_};
    std::vector<std::shared_ptr<topic_slot>> logs;
    log::log_pass pass = begin_pass(selection, logs);
    if (pass.ended()) return {};
    if (would_refuse(scope, *queue_, {}, 0)) {
      // Not to be read in vain for each message that is taken.
      auto others = something_ready();
      if (!others) return others.error();
      waits_ = *others;
      if (waits_) return {};
    }
    auto batch = read(pass);
    if (!batch) return batch.error();
    auto waiting = know_scheduled(scope);
    if (!waiting) return waiting.error();

    entries_by_lane entries(changed_->lanes.size());
    queue::amount added;
    auto at = batch->begin();
    for (; at != batch->end(); ++at) {
      const record_view m = *at;
      const topic_slot& exchange = *log_of(logs, m.topic());
      routed_message facts{m};
      const std::uint32_t partition = m.partition().value();
      if (!selection.takes(exchange.state.id(), partition, m.offset().value(), facts)) continue;
      auto later = is_scheduled(scope, **waiting, exchange.state.id(), m);
      if (!later) return later.error();
      if (*later) continue;
      queue::reference where;
      where.log = exchange.state.id();
      where.partition = static_cast<std::uint16_t>(partition);
      where.offset = m.offset().value();
      where.bytes = static_cast<std::uint32_t>(m.value().size());
      if (would_refuse(scope, *queue_, added, where.bytes)) {
        waits_ = true;
        // What stands behind the past may take all the room, and is not handed out: one comes in any case.
        if (added.messages > 0) break;
        auto others = something_ready();
        if (!others) return others.error();
        if (*others) break;
      }
      where.expires = expiry_of(*queue_, m.properties().expiration, scope.now());
      if (where.expires != 0) queue_->attended = true;
      ++added.messages;
      added.bytes += where.bytes;
      entries[queue_->lane_for(m.properties().priority.value_or(0))].push_back(where);
    }
    note_positions(pass, logs, at, batch->end());
    return enter(scope, entries);
  }

  [[nodiscard]] result<bool> something_ready() const {
    auto first = queue_->state.look_at(owner_->main(), 1, owner_->bus_time());
    if (!first) return first.error();
    return !first->empty();
  }

  /// A pass over what is left. Gives up what nothing selects from any more, and what has been removed.
  log::log_pass begin_pass(const backfill_selection& selection,
                           std::vector<std::shared_ptr<topic_slot>>& logs) {
    std::vector<log::log_pass::part> parts;
    for (auto& log : changed_->logs) {
      const auto exchange = owner_->find_topic(log.id);
      if (!exchange || !selection.any_from(log.id)) {
        log.next = log.end;
        continue;
      }
      for (std::uint32_t p = 0; p < log.next.size(); ++p)
        log.next[p] = std::clamp(exchange->state.begin(p), log.next[p], log.end[p]);
      parts.push_back({&exchange->state, log.next, log.end});
      logs.push_back(exchange);
    }
    return log::make_pass(std::move(parts));
  }

  /// What cannot be read is passed over, and told.
  result<record_batch> read(log::log_pass& pass) {
    const queue_rules& rules = queue_->rules();
    const bool may_refuse = (rules.max_length || rules.max_length_bytes) &&
                            rules.overflow != static_cast<std::uint8_t>(overflow::drop_head);
    const std::size_t records = may_refuse ? backfilled_records_within_limits : backfilled_records;
    for (;;) {
      log::batch_builder builder{{.records = records, .bytes = backfilled_bytes}};
      log::log_reader reader{owner_->main()};
      auto done = reader.read_pass(pass, owner_->next_sequence(), builder);
      if (!done && done.error() != errc::overtaken && done.error() != errc::damaged) {
        if (done.error() != errc::unknown_topic) return done.error();
        for (auto& p : pass.parts) p.next = p.until;
      }
      if (!done && owner_->logger() != nullptr)
        owner_->logger()->warn("levada: {}: {}", what_it_does(), done.error().message());
      // What is left then has been given up, and never comes.
      if (done && builder.records() == 0) {
        for (auto& p : pass.parts) p.next = p.until;
      }
      if (done || builder.records() > 0 || pass.ended()) return builder.finish();
    }
  }

  void note_positions(const log::log_pass& pass, const std::vector<std::shared_ptr<topic_slot>>& logs,
                      record_batch::const_iterator at, record_batch::const_iterator end) {
    const auto of = [this](std::uint32_t id) -> storage::backfill_entry::log& {
      return *std::find_if(changed_->logs.begin(), changed_->logs.end(),
                           [id](const auto& log) { return log.id == id; });
    };
    for (const auto& part : pass.parts) of(part.log->id()).next = part.next;
    // Each partition goes on with the first of its messages that has not been dealt with.
    for (; at != end; ++at) {
      const record_view m = *at;
      std::uint64_t& next = of(log_of(logs, m.topic())->state.id()).next[m.partition().value()];
      next = std::min(next, m.offset().value());
    }
  }

  result<void> enter(commit_scope& scope, const entries_by_lane& entries) {
    for (std::size_t lane = 0; lane < entries.size(); ++lane) {
      if (entries[lane].empty()) continue;
      auto& positions = changed_->lanes[lane];
      auto filled = scope.fill(*queue_, lane, positions.begin + positions.filled, entries[lane]);
      if (!filled) return filled;
      positions.filled += entries[lane].size();
    }
    scope.row_of(*queue_).bars = bars_of(*changed_);
    return {};
  }

  static const topic_slot* log_of(const std::vector<std::shared_ptr<topic_slot>>& logs,
                                  std::string_view name) {
    const auto found =
        std::find_if(logs.begin(), logs.end(), [name](const auto& log) { return log->state.name() == name; });
    return found->get();
  }

  static auto place_of(const queue::scheduled_message& m) noexcept {
    return std::tuple{m.log, m.partition, m.offset};
  }

  /// What waits for its time now, and may be come to.
  result<const std::vector<queue::scheduled_message>*> know_scheduled(commit_scope& scope) {
    auto& all = owner_->backfills().scheduled_;
    if (const auto known = all.find(changed_->id); known != all.end()) return &known->second;
    std::vector<queue::scheduled_message> found;
    constexpr std::size_t at_a_time = 4'096;
    for (queue::scheduled_message from;;) {
      auto some = queue::read_schedule(scope.txn(), scope.tables(), from, at_a_time);
      // What is damaged, nobody will route.
      if (!some && some.error() == errc::damaged) break;
      if (!some) return some.error();
      for (const auto& m : *some) {
        const auto of = std::find_if(changed_->logs.begin(), changed_->logs.end(),
                                     [&m](const auto& log) { return log.id == m.log; });
        if (of != changed_->logs.end() && m.partition < of->end.size() && m.offset < of->end[m.partition])
          found.push_back(m);
      }
      if (some->size() < at_a_time) break;
      from = some->back();
      ++from.offset;
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return place_of(a) < place_of(b); });
    return &(all[changed_->id] = std::move(found));
  }

  /// Whether a message still waits for its time, with which it will come.
  static result<bool> is_scheduled(commit_scope& scope, const std::vector<queue::scheduled_message>& known,
                                   std::uint32_t log, const record_view& m) {
    const queue::scheduled_message wanted{0, log, m.partition().value(), m.offset().value()};
    const auto found = std::lower_bound(known.begin(), known.end(), wanted, [](const auto& a, const auto& b) {
      return place_of(a) < place_of(b);
    });
    if (found == known.end() || place_of(*found) != place_of(wanted)) return false;
    auto there = queue::read_schedule(scope.txn(), scope.tables(), *found, 1);
    if (!there) return there.error() == errc::damaged ? result<bool>{false} : there.error();
    return !there->empty() && there->front() == *found;
  }

  [[nodiscard]] std::string what_it_does() const {
    return fmt::format("enter what is past into queue '{}'", queue_->state.name());
  }

  const std::shared_ptr<core> owner_;
  const std::shared_ptr<queue_slot> queue_;
  std::optional<storage::backfill_entry> changed_;
  bool ends_ = false;
  bool waits_ = false;  // for room in the queue
};

void backfiller::look_soon(queue_slot& queue) {
  if (const auto self = queue.weak_from_this().lock()) look_at(self, owner_.bus_time());
}

void backfiller::look_at(const std::shared_ptr<queue_slot>& queue, std::int64_t when) {
  if (queue->backfill_left == 0) return;
  queue->backfill_look_wanted = true;
  if (queue->backfill_looked_after.exchange(true)) return;
  const auto from_now = std::chrono::microseconds{std::max<std::int64_t>(when - owner_.bus_time(), 0)};
  static_cast<void>(owner_.errands().ring(
      owner_.time().steady() + from_now, [owner = owner_.weak_from_this(), weak = std::weak_ptr{queue}] {
        const auto bus = owner.lock();
        const auto self = weak.lock();
        if (!bus || !self || self->state.deleted) return;
        bus->submit(fmt::format("enter what is past into queue '{}'", self->state.name()),
                    std::make_unique<slice>(bus, self));
      }));
}

bool backfiller::will_enter(const queue_slot& queue, const queue::scheduled_message& message,
                            routed_message& m) const {
  return std::any_of(queue.backfills.begin(), queue.backfills.end(), [&](const auto& what) {
    const auto of = std::find_if(what.logs.begin(), what.logs.end(),
                                 [&message](const auto& log) { return log.id == message.log; });
    if (of == what.logs.end() || message.partition >= of->next.size()) return false;
    if (message.offset < of->next[message.partition] || message.offset >= of->end[message.partition])
      return false;
    return backfill_selection{owner_, queue, what}.takes(message.log, message.partition, message.offset, m);
  });
}

}  // namespace levada
