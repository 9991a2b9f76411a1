#include <levada/consumer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "bus/consumer_impl.hpp"
#include "bus/pending.hpp"
#include "bus/waiting_call.hpp"
#include "group/offset_table.hpp"
#include "log/log_reader.hpp"

namespace levada {
namespace {

/// Stores who is in a group, for listings.
class members_intent final : public intent {
 public:
  explicit members_intent(std::shared_ptr<group_slot> group) : group_{std::move(group)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    storage::group_entry entry{group_->id, group_->name, 0, {}};
    {
      const std::lock_guard guard{group_->mutex};
      entry.generation = group_->state.generation();
      for (const auto& m : group_->state.members()) {
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
  const std::shared_ptr<group_slot> group_;
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

result<std::shared_ptr<consumer::impl>> consumer::impl::join(std::shared_ptr<core> owner,
                                                             std::shared_ptr<group_slot> group,
                                                             std::vector<std::shared_ptr<topic_slot>> topics,
                                                             const consumer_options& options) {
  std::shared_ptr<impl> self{new impl{std::move(owner), std::move(group), std::move(topics), options}};
  if (self->options_.member_id.empty()) {
    self->options_.member_id = fmt::format("member-{}", self->owner_->next_member_number());
  }
  if (!self->options_.assignor) self->options_.assignor = cooperative_sticky_assignor();
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
    auto joined = self->group_->state.join(self->options_.member_id, names, self->options_.rebalance_timeout,
                                           sizes, self->options_.assignor, self->owner_->time().steady());
    if (!joined) {
      return error{joined.error().code(),
                   fmt::format("join group '{}': {}", self->group_->name, joined.error().message())};
    }
  }
  self->joined_ = true;
  self->group_->members.add(self->waiter_);
  for (const auto& topic : self->topics_) topic->readers.add(self->waiter_);
  self->group_->members.signal();
  if (auto synced = self->sync_membership(waiting::yes); !synced) return synced.error();
  if (auto placed = self->place_acquired(); !placed) return placed.error();
  if (self->owned_.empty()) self->store_members(waiting::yes);
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
  waiter_->signal();
  store_members(waiting::yes);
}

void consumer::impl::store_members(waiting may) {
  // The listing is a convenience: where it cannot be written, reading goes on all the same.
  if (may == waiting::no) {
    owner_->submit("store members", std::make_unique<members_intent>(group_));
    return;
  }
  members_intent members{group_};
  static_cast<void>(owner_->run("store members", members));
}

result<void> consumer::impl::sync_membership(waiting may) {
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
  if (!changes.revoked.empty() || !changes.acquired.empty()) store_members(may);
  if (changes.broken) return {};
  return error{changes.broken.error().code(),
               fmt::format("{}: {}", operation("poll"), changes.broken.error().message())};
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

std::optional<result<record_batch>> consumer::impl::look(clock::steady_time deadline, waiting may,
                                                         clock::steady_time& next_look) {
  if (auto entered = enter("poll"); !entered) return entered.error();
  if (auto there = check_topics(); !there) return there.error();
  if (auto synced = sync_membership(may); !synced) return synced.error();
  if (auto placed = place_acquired(); !placed) return placed.error();
  auto batch = read();
  if (!batch || !batch->empty() || owner_->time().steady() >= deadline || woken_.exchange(false))
    return batch;
  const std::lock_guard guard{group_->mutex};
  next_look = std::min(next_look, group_->state.next_deadline());
  return std::nullopt;
}

void consumer::impl::wakeup() noexcept {
  woken_ = true;
  waiter_->signal();
}

result<record_batch> consumer::impl::poll(std::chrono::milliseconds timeout) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  for (;;) {
    const std::uint64_t seen = waiter_->signals();
    clock::steady_time next_look = deadline;
    if (auto found = look(deadline, waiting::yes, next_look)) return std::move(*found);
    waiter_->wait(owner_->time(), seen, next_look);
  }
}

void consumer::impl::start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                                detail::completion<record_batch> done) {
  const auto deadline = deadline_after(self->owner_->time(), timeout);
  waiting_call<record_batch>::start(
      self->owner_, self->waiter_, deadline,
      [self, deadline](clock::steady_time& next_look) {
        return self->look(deadline, waiting::no, next_look);
      },
      std::move(done));
}

result<consumer::impl::owned_partition*> consumer::impl::find(const char* verb,
                                                              const topic_partition& where) {
  const auto found =
      std::find_if(owned_.begin(), owned_.end(), [&](const owned_partition& p) { return p.where == where; });
  if (found != owned_.end()) return &*found;
  return error{errc::not_assigned, fmt::format("{}: topic '{}' partition {} is not assigned to it",
                                               operation(verb), where.topic, where.partition.value())};
}

result<std::vector<offset_entry>> consumer::impl::choose(const offset_choice& what) {
  std::vector<offset_entry> notes;
  if (!what) {
    for (const auto& p : owned_) {
      if (p.position && p.position != p.committed)
        notes.push_back({p.where, p.topic->state.id(), *p.position});
    }
    return notes;
  }
  const auto& [where, next] = *what;
  auto p = find("commit", where);
  if (!p) return p.error();
  const std::uint64_t end = (*p)->topic->state.end(where.partition.value());
  if (next.value() > end) {
    return error{errc::offset_out_of_range,
                 fmt::format("{}: offset {} of topic '{}' partition {} lies beyond the end, {}",
                             operation("commit"), next.value(), where.topic, where.partition.value(), end)};
  }
  notes.push_back({where, (*p)->topic->state.id(), next.value()});
  return notes;
}

void consumer::impl::note_committed(const std::vector<offset_entry>& notes) {
  for (const auto& note : notes) {
    const auto p = std::find_if(owned_.begin(), owned_.end(), [&](const owned_partition& owned) {
      return owned.where == note.where && owned.topic->state.id() == note.log;
    });
    if (p != owned_.end()) p->committed = note.next;
  }
}

result<void> consumer::impl::commit(const offset_choice& what) {
  if (auto entered = enter("commit"); !entered) return entered.error();
  auto notes = choose(what);
  if (!notes) return notes.error();
  if (notes->empty()) return {};
  offset_intent commits{group_, options_.member_id, *notes};
  auto done = owner_->run(operation("commit"), commits);
  if (done) note_committed(*notes);
  return done;
}

/// An offset commit that nobody waits for: answered within the handler's executor, to which the member
/// belongs.
class consumer::impl::submitted_offsets final : public offset_intent {
 public:
  submitted_offsets(std::shared_ptr<impl> member, std::vector<offset_entry> notes, pending<void> answer)
      : offset_intent{member->group_, member->options_.member_id, notes},
        member_{std::move(member)},
        notes_{std::move(notes)},
        answer_{std::move(answer)} {}
  void finished(result<void> outcome) noexcept override {
    auto executor = answer_.executor();
    post_to(std::move(executor), [member = std::move(member_), notes = std::move(notes_),
                                  answer = std::move(answer_), outcome = std::move(outcome)]() mutable {
      if (outcome) member->note_committed(notes);
      answer.answer_here(std::move(outcome));
    });
  }

 private:
  std::shared_ptr<impl> member_;
  std::vector<offset_entry> notes_;
  pending<void> answer_;
};

void consumer::impl::start_commit(const std::shared_ptr<impl>& self, const offset_choice& what,
                                  detail::completion<void> done) {
  pending<void> answer{std::move(done), *self->owner_};
  auto entered = self->enter("commit");
  auto notes = entered ? self->choose(what) : result<std::vector<offset_entry>>{entered.error()};
  if (!notes || notes->empty()) {
    answer.answer(notes ? result<void>{} : notes.error());
    return;
  }
  self->owner_->submit(self->operation("commit"),
                       std::make_unique<submitted_offsets>(self, std::move(*notes), std::move(answer)));
}

/// Offsets that a transaction commits.
class consumer::impl::offset_part final : public transaction_part {
 public:
  offset_part(std::shared_ptr<impl> member, std::vector<offset_entry> notes)
      : member_{std::move(member)},
        notes_{std::move(notes)},
        intent_{member_->group_, member_->options_.member_id, notes_} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return intent_.execute(scope); }
  void noted() override { member_->note_committed(notes_); }

 private:
  std::shared_ptr<impl> member_;
  std::vector<offset_entry> notes_;
  offset_intent intent_;
};

result<std::unique_ptr<transaction_part>> consumer::impl::make_part(const std::shared_ptr<impl>& self,
                                                                    const offset_choice& what) {
  auto notes = self->choose(what);
  if (!notes) return notes.error();
  return std::unique_ptr<transaction_part>{std::make_unique<offset_part>(self, std::move(*notes))};
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

consumer::consumer(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
consumer::consumer(consumer&&) noexcept = default;
consumer& consumer::operator=(consumer&& other) noexcept {
  if (this != &other) {
    close();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
consumer::~consumer() {
  close();
}

result<record_batch> consumer::poll(std::chrono::milliseconds timeout) {
  return impl_->poll(timeout);
}
void consumer::wakeup() noexcept {
  impl_->wakeup();
}
result<void> consumer::commit() {
  return impl_->commit(std::nullopt);
}
result<void> consumer::commit(const topic_partition& where, offset next) {
  return impl_->commit(std::pair{where, next});
}
void consumer::start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                          detail::completion<record_batch> done) {
  impl::start_poll(self, timeout, std::move(done));
}
void consumer::start_commit(const std::shared_ptr<impl>& self,
                            const std::optional<std::pair<topic_partition, offset>>& what,
                            detail::completion<void> done) {
  impl::start_commit(self, what, std::move(done));
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
  if (impl_) impl_->close();
}

}  // namespace levada
