#include <levada/consumer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "bus/consumer_impl.hpp"
#include "group/offset_table.hpp"
#include "log/log_reader.hpp"

namespace levada {
namespace {

/// Stores offsets of one group, if the member owns the partitions at the time of the commit.
class offset_intent final : public intent {
 public:
  struct entry {
    topic_partition where;
    std::uint32_t log;
    std::uint64_t next;
  };
  offset_intent(group_slot& group, const std::string& member, std::vector<entry> entries)
      : group_{group}, member_{member}, entries_{std::move(entries)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    {
      const std::lock_guard guard{group_.mutex};
      if (!group_.state.has(member_)) {
        return error{errc::fenced, fmt::format("member '{}' was removed from the group", member_)};
      }
      for (const entry& e : entries_) {
        if (!scope.owner().find_topic(e.log)) {
          return error{errc::unknown_topic, fmt::format("topic '{}' has been deleted", e.where.topic)};
        }
        if (group_.state.owns(member_, e.where)) continue;
        return error{errc::not_assigned, fmt::format("topic '{}' partition {} is not assigned to member '{}'",
                                                     e.where.topic, e.where.partition.value(), member_)};
      }
    }
    for (const entry& e : entries_) {
      auto stored = scope.written(group::write_offset(
          scope.txn(), scope.tables(), {group_.id, e.log, e.where.partition.value(), e.next, scope.now()}));
      if (!stored) return stored;
    }
    return {};
  }
  void applied(commit_scope&) noexcept override {}

 private:
  group_slot& group_;
  const std::string& member_;
  std::vector<entry> entries_;
};

/// Stores who is in a group, for listings.
class members_intent final : public intent {
 public:
  explicit members_intent(group_slot& group) : group_{group} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    storage::group_entry entry{group_.id, group_.name, 0, {}};
    {
      const std::lock_guard guard{group_.mutex};
      entry.generation = group_.state.generation();
      for (const auto& m : group_.state.members()) {
        storage::group_entry::member member{m.id, {}};
        for (const auto& where : m.owned) {
          const auto topic = scope.owner().find_topic(where.topic);
          if (topic) member.assignment.push_back({topic->state.id(), where.partition.value()});
        }
        entry.members.push_back(std::move(member));
      }
    }
    return scope.written(storage::put(scope.txn(), scope.tables(), entry));
  }
  void applied(commit_scope&) noexcept override {}

 private:
  group_slot& group_;
};

}  // namespace

std::string consumer::impl::operation(const char* verb) const {
  return fmt::format("{} as member '{}' of group '{}'", verb, options_.member_id, group_->name);
}

error consumer::impl::fenced(const char* verb) const {
  return {errc::fenced,
          fmt::format("{}: the member held partitions longer than the rebalance time-out of {} ms and was "
                      "removed; join anew",
                      operation(verb), options_.rebalance_timeout.count())};
}

result<core::access> consumer::impl::enter(const char* verb) const {
  if (closed_) return error{errc::closed, fmt::format("{}: the member has left", operation(verb))};
  return owner_->enter(operation(verb));
}

result<std::unique_ptr<consumer::impl>> consumer::impl::join(std::shared_ptr<core> owner,
                                                             std::shared_ptr<group_slot> group,
                                                             std::vector<std::shared_ptr<topic_slot>> topics,
                                                             const consumer_options& options) {
  std::unique_ptr<impl> self{new impl{std::move(owner), std::move(group), std::move(topics), options}};
  if (self->options_.member_id.empty()) {
    self->options_.member_id = fmt::format("member-{}", self->owner_->next_member_number());
  }
  std::vector<std::string> names;
  std::map<std::string, std::uint32_t> sizes;
  for (const auto& topic : self->topics_) {
    names.push_back(topic->state.name());
    sizes[topic->state.name()] = topic->state.partitions();
  }
  {
    const std::lock_guard guard{self->group_->mutex};
    if (self->group_->state.has(self->options_.member_id)) {
      return error{errc::invalid_argument, fmt::format("join group '{}': it has a member '{}' already",
                                                       self->group_->name, self->options_.member_id)};
    }
    self->group_->state.join(self->options_.member_id, names, self->options_.rebalance_timeout, sizes,
                             self->owner_->time().steady());
  }
  self->joined_ = true;
  self->group_->members.add(self->waiter_);
  for (const auto& topic : self->topics_) topic->readers.add(self->waiter_);
  self->group_->members.signal();
  if (auto synced = self->sync_membership(); !synced) return synced.error();
  if (auto placed = self->place_acquired(); !placed) return placed.error();
  if (self->owned_.empty()) self->store_members();
  return self;
}

consumer::impl::~impl() {
  close();
}

void consumer::impl::close() noexcept {
  if (closed_) return;
  closed_ = true;
  if (!joined_) return;
  group_->members.remove(waiter_);
  for (const auto& topic : topics_) topic->readers.remove(waiter_);
  {
    const std::lock_guard guard{group_->mutex};
    group_->state.leave(options_.member_id, owner_->time().steady());
  }
  owned_.clear();
  group_->members.signal();
  store_members();
}

void consumer::impl::store_members() {
  members_intent members{*group_};
  // The listing is a convenience: where it cannot be written, reading goes on all the same.
  static_cast<void>(owner_->run("store members", members));
}

result<void> consumer::impl::sync_membership() {
  group::group_state::sync_result changes;
  {
    const std::lock_guard guard{group_->mutex};
    if (!group_->state.pending(options_.member_id) &&
        group_->state.next_deadline() > owner_->time().steady()) {
      return {};
    }
    changes = group_->state.sync(options_.member_id, owner_->time().steady());
  }
  if (!changes.member) {
    owned_.clear();
    group_->members.signal();
    return fenced("poll");
  }
  owned_.erase(std::remove_if(owned_.begin(), owned_.end(),
                              [&](const owned_partition& p) {
                                return std::binary_search(changes.revoked.begin(), changes.revoked.end(),
                                                          p.where);
                              }),
               owned_.end());
  for (const auto& where : changes.acquired) acquire(where);
  if (!changes.revoked.empty()) group_->members.signal();
  if (!changes.revoked.empty() || !changes.acquired.empty()) store_members();
  return {};
}

result<void> consumer::impl::check_topics() {
  const auto gone =
      std::find_if(topics_.begin(), topics_.end(), [](const auto& topic) { return topic->state.deleted(); });
  if (gone == topics_.end()) return {};
  const std::shared_ptr<topic_slot> topic = *gone;
  topics_.erase(gone);
  topic->readers.remove(waiter_);
  std::erase_if(owned_, [&](const owned_partition& p) { return p.topic == topic; });
  return error{errc::unknown_topic,
               fmt::format("{}: topic '{}' has been deleted", operation("poll"), topic->state.name())};
}

void consumer::impl::acquire(const topic_partition& where) {
  const auto at =
      std::lower_bound(owned_.begin(), owned_.end(), where,
                       [](const owned_partition& a, const topic_partition& b) { return a.where < b; });
  const auto topic = std::find_if(topics_.begin(), topics_.end(),
                                  [&](const auto& t) { return t->state.name() == where.topic; });
  if (topic == topics_.end()) return;
  owned_.insert(at, {where, *topic, {}, {}, false});
}

result<void> consumer::impl::place_acquired() {
  for (auto& p : owned_) {
    if (p.placed) continue;
    if (auto done = place(p); !done) return done;
  }
  return {};
}

result<void> consumer::impl::place(owned_partition& p) const {
  const std::uint64_t end = p.topic->state.end(p.where.partition.value());
  auto found = committed(p.where);
  if (!found) return found.error();
  if (*found) p.committed = p.position = (*found)->value();
  if (!p.position || *p.position > end) {
    switch (options_.reset) {
      case offset_reset::earliest:
        p.position = p.topic->state.begin(p.where.partition.value());
        break;
      case offset_reset::latest:
        p.position = end;
        break;
      case offset_reset::none:
        p.position.reset();
        break;
    }
  }
  p.placed = true;
  return {};
}

result<void> consumer::impl::check_overtaken(owned_partition& p) const {
  const log::log_state& log = p.topic->state;
  const std::uint64_t begin = log.begin(p.where.partition.value());
  if (*p.position >= begin) return {};
  error e{errc::overtaken,
          fmt::format("{}: offsets {} to {} of topic '{}' partition {} have been removed", operation("poll"),
                      *p.position, begin - 1, p.where.topic, p.where.partition.value())};
  if (options_.reset == offset_reset::earliest) p.position = begin;
  if (options_.reset == offset_reset::latest) p.position = log.end(p.where.partition.value());
  return e;
}

result<record_batch> consumer::impl::read() {
  auto access = enter("poll");
  if (!access) return access.error();
  for (auto& p : owned_) {
    // Before anything is read: what is read moves a position, and must be returned.
    if (p.position) {
      if (auto there = check_overtaken(p); !there) return there.error();
      continue;
    }
    return error{
        errc::no_committed_offset,
        fmt::format("{}: topic '{}' partition {} has no committed offset and the reset policy is none",
                    operation("poll"), p.where.topic, p.where.partition.value())};
  }
  log::batch_builder batch{{options_.poll_records_max, options_.poll_bytes_max}};
  log::log_reader reader{access->main()};
  for (std::size_t i = 0; i < owned_.size() && !batch.full(); ++i) {
    owned_partition& p = owned_[(turn_ + i) % owned_.size()];
    if (*p.position >= p.topic->state.end(p.where.partition.value())) continue;
    auto done = reader.read_partition(p.topic->state, p.where.partition.value(), *p.position, batch);
    if (!done) {
      // What was read before the damage is delivered first; the error comes when nothing stands before it.
      if (batch.records() > 0) break;
      if (done.error() == errc::overtaken) return check_overtaken(p).error();
      return done.error();
    }
  }
  if (!owned_.empty()) turn_ = (turn_ + 1) % owned_.size();
  return batch.finish();
}

result<record_batch> consumer::impl::poll(std::chrono::milliseconds timeout) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  for (;;) {
    const std::uint64_t seen = waiter_->signals();
    if (auto entered = enter("poll"); !entered) return entered.error();
    if (auto there = check_topics(); !there) return there.error();
    if (auto synced = sync_membership(); !synced) return synced.error();
    if (auto placed = place_acquired(); !placed) return placed.error();
    auto batch = read();
    if (!batch || !batch->empty() || owner_->time().steady() >= deadline) return batch;
    clock::steady_time until = deadline;
    {
      const std::lock_guard guard{group_->mutex};
      until = std::min(until, group_->state.next_deadline());
    }
    waiter_->wait(owner_->time(), seen, until);
  }
}

result<consumer::impl::owned_partition*> consumer::impl::find(const char* verb,
                                                              const topic_partition& where) {
  const auto found =
      std::find_if(owned_.begin(), owned_.end(), [&](const owned_partition& p) { return p.where == where; });
  if (found != owned_.end()) return &*found;
  return error{errc::not_assigned, fmt::format("{}: topic '{}' partition {} is not assigned to it",
                                               operation(verb), where.topic, where.partition.value())};
}

result<void> consumer::impl::commit_offsets(const std::vector<offset_note>& notes) {
  std::vector<offset_intent::entry> entries;
  entries.reserve(notes.size());
  for (const auto& note : notes) {
    entries.push_back({note.partition->where, note.partition->topic->state.id(), note.next});
  }
  if (entries.empty()) return {};
  offset_intent commits{*group_, options_.member_id, std::move(entries)};
  if (auto done = owner_->run(operation("commit"), commits); !done) return done;
  for (const auto& note : notes) note.partition->committed = note.next;
  return {};
}

result<void> consumer::impl::commit() {
  if (auto entered = enter("commit"); !entered) return entered.error();
  std::vector<offset_note> notes;
  for (auto& p : owned_) {
    if (p.position && p.position != p.committed) notes.push_back({&p, *p.position});
  }
  return commit_offsets(notes);
}

result<void> consumer::impl::commit(const topic_partition& where, offset next) {
  if (auto entered = enter("commit"); !entered) return entered.error();
  auto p = find("commit", where);
  if (!p) return p.error();
  const std::uint64_t end = (*p)->topic->state.end(where.partition.value());
  if (next.value() > end) {
    return error{errc::offset_out_of_range,
                 fmt::format("{}: offset {} of topic '{}' partition {} lies beyond the end, {}",
                             operation("commit"), next.value(), where.topic, where.partition.value(), end)};
  }
  return commit_offsets({{*p, next.value()}});
}

result<void> consumer::impl::seek(const topic_partition& where, const start_position& to) {
  auto access = enter("seek");
  if (!access) return access.error();
  auto p = find("seek", where);
  if (!p) return p.error();
  const log::log_state& log = (*p)->topic->state;
  const std::uint64_t begin = log.begin(where.partition.value());
  const std::uint64_t end = log.end(where.partition.value());
  if (std::holds_alternative<from_earliest>(to)) {
    (*p)->position = begin;
  } else if (std::holds_alternative<from_latest>(to)) {
    (*p)->position = end;
  } else if (const auto* const next = std::get_if<offset>(&to)) {
    if (next->value() > end) {
      return error{errc::offset_out_of_range,
                   fmt::format("{}: offset {} of topic '{}' partition {} lies beyond the end, {}",
                               operation("seek"), next->value(), where.topic, where.partition.value(), end)};
    }
    if (next->value() < begin) {
      return error{
          errc::overtaken,
          fmt::format("{}: offset {} of topic '{}' partition {} has been removed, the oldest is {}",
                      operation("seek"), next->value(), where.topic, where.partition.value(), begin)};
    }
    (*p)->position = next->value();
  } else {
    log::log_reader reader{access->main()};
    auto found =
        reader.find_time(log, where.partition.value(), std::get<timestamp>(to).time_since_epoch().count());
    if (!found) return found.error();
    (*p)->position = *found;
  }
  (*p)->placed = true;
  return {};
}

std::vector<topic_partition> consumer::impl::assignment() const {
  std::vector<topic_partition> all;
  for (const auto& p : owned_) all.push_back(p.where);
  return all;
}

result<std::optional<offset>> consumer::impl::position(const topic_partition& where) const {
  if (auto entered = enter("ask position"); !entered) return entered.error();
  for (const auto& p : owned_) {
    if (p.where == where) return p.position ? std::optional{offset{*p.position}} : std::nullopt;
  }
  return error{errc::not_assigned,
               fmt::format("{}: topic '{}' partition {} is not assigned to it", operation("ask position"),
                           where.topic, where.partition.value())};
}

result<std::optional<offset>> consumer::impl::committed(const topic_partition& where) const {
  auto access = enter("ask committed offset");
  if (!access) return access.error();
  const auto topic = owner_->find_topic(where.topic);
  if (!topic) {
    return error{errc::unknown_topic,
                 fmt::format("{}: there is no topic '{}'", operation("ask committed offset"), where.topic)};
  }
  auto txn = storage::read_transaction::begin(access->main().env());
  if (!txn) return txn.error();
  auto found = group::read_offset(*txn, access->main().tables(), group_->id, topic->state.id(),
                                  where.partition.value());
  if (!found) return found.error();
  return *found ? std::optional{offset{(*found)->next}} : std::nullopt;
}

consumer::consumer(std::unique_ptr<impl> self) noexcept : impl_{std::move(self)} {}
consumer::consumer(consumer&&) noexcept = default;
consumer& consumer::operator=(consumer&&) noexcept = default;
consumer::~consumer() = default;

result<record_batch> consumer::poll(std::chrono::milliseconds timeout) {
  return impl_->poll(timeout);
}
result<void> consumer::commit() {
  return impl_->commit();
}
result<void> consumer::commit(const topic_partition& where, offset next) {
  return impl_->commit(where, next);
}
result<void> consumer::seek(const topic_partition& where, const start_position& to) {
  return impl_->seek(where, to);
}
std::vector<topic_partition> consumer::assignment() const {
  return impl_->assignment();
}
result<std::optional<offset>> consumer::position(const topic_partition& where) const {
  return impl_->position(where);
}
result<std::optional<offset>> consumer::committed(const topic_partition& where) const {
  return impl_->committed(where);
}
const std::string& consumer::group() const noexcept {
  return impl_->group();
}
const std::string& consumer::member_id() const noexcept {
  return impl_->member_id();
}
void consumer::close() noexcept {
  impl_->close();
}

}  // namespace levada
