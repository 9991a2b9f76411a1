// A consumer as a member of its group: how it comes, what it gives up and takes up, and how it goes.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>

#include "bus/catalog_intents.hpp"
#include "bus/consumer_impl.hpp"
#include "bus/names.hpp"
#include "bus/with_operation.hpp"

namespace levada {
namespace {

result<void> check_consumer_options(const std::string& operation, const consumer_options& options) {
  if (!options.member_id.empty()) {
    if (auto checked = check_name(operation, "member", options.member_id); !checked) return checked;
  }
  if (options.poll_records_max == 0 || options.poll_bytes_max == 0) {
    return error{errc::invalid_argument,
                 fmt::format("{}: poll_records_max and poll_bytes_max are at least 1", operation)};
  }
  if (options.reset_duration.count() < 0 || (options.auto_commit && options.auto_commit->count() < 0)) {
    return error{errc::invalid_argument,
                 fmt::format("{}: reset_duration and auto_commit are not negative", operation)};
  }
  return {};
}

error no_topic(const std::string& operation, const std::string& name) {
  return {errc::unknown_topic, fmt::format("{}: there is no topic '{}'", operation, name)};
}

error is_share_group(const std::string& operation) {
  return {errc::inequivalent, fmt::format("{}: it is a share group", operation)};
}

/// The topics that a pattern matches now, by id.
result<std::vector<std::shared_ptr<topic_slot>>> matching_topics(const core& owner,
                                                                 const topic_pattern& pattern) {
  auto all = owner.all_topics();
  std::vector<std::shared_ptr<topic_slot>> matching;
  for (auto& topic : all) {
    if (topic->state.exchange() != 0) continue;
    auto matches = pattern.matches(topic->state.name());
    if (!matches) return matches.error();
    if (*matches) matching.push_back(std::move(topic));
  }
  return matching;
}

std::vector<std::uint32_t> ids_of(const std::vector<std::shared_ptr<topic_slot>>& topics) {
  std::vector<std::uint32_t> ids;
  for (const auto& topic : topics) ids.push_back(topic->state.id());
  return ids;
}

/// The topics that are still there. What is deleted, a group has forgotten, and must not learn of again.
struct topic_names {
  explicit topic_names(const std::vector<std::shared_ptr<topic_slot>>& topics) {
    for (const auto& topic : topics) {
      if (topic->state.deleted()) continue;
      names.push_back(topic->state.name());
      sizes[topic->state.name()] = topic->state.partitions();
    }
  }
  std::vector<std::string> names;
  group::group_state::topic_sizes sizes;
};

}  // namespace

struct consumer::impl::change_under_way {
  change_under_way(std::shared_ptr<group_slot> group, group_change::change_function change,
                   member_identity member, std::vector<offset_entry> offsets, change_effect what,
                   std::shared_ptr<waiter> whom)
      : intent{std::move(group), std::move(change), std::move(member), std::move(offsets)},
        effect{std::move(what)},
        member_waiter{std::move(whom)} {}

  [[nodiscard]] bool is_over() {
    const std::lock_guard guard{mutex};
    return outcome.has_value();
  }

  group_change intent;
  change_effect effect;
  const std::shared_ptr<waiter> member_waiter;
  std::mutex mutex;  // guards what follows
  std::optional<result<void>> outcome;
};

/// Such a change on its way to the disk; the member may be gone when it is there.
class consumer::impl::submitted_change final : public intent {
 public:
  explicit submitted_change(std::shared_ptr<change_under_way> change) : change_{std::move(change)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override { return change_->intent.execute(scope); }
  void applied(commit_scope& scope) noexcept override { change_->intent.applied(scope); }
  [[nodiscard]] bool alone() const noexcept override { return true; }
  void finished(result<void> outcome) noexcept override {
    {
      const std::lock_guard guard{change_->mutex};
      change_->outcome = std::move(outcome);
    }
    change_->member_waiter->signal();
  }

 private:
  const std::shared_ptr<change_under_way> change_;
};

consumer::impl::impl(std::shared_ptr<core> owner, std::shared_ptr<group_slot> group, subscription what,
                     consumer_options options)
    : owner_{std::move(owner)},
      group_{std::move(group)},
      topics_{std::move(what.topics)},
      pattern_{std::move(what.pattern)},
      options_{std::move(options)} {
  if (options_.auto_commit) next_auto_commit_ = deadline_after(owner_->time(), *options_.auto_commit);
}

consumer::impl::~impl() {
  close();
}

std::string consumer::impl::operation(const char* verb) const {
  if (options_.member_id.empty()) return fmt::format("{} for group '{}'", verb, group_->name);
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
  auto entered = owner_->enter(operation(verb));
  if (entered && fenced_) return fenced(verb);
  return entered;
}

template <class Function>
void consumer::impl::call_back(Function&& call) {
  const struct marker {
    bool& on;
    explicit marker(bool& what) : on{what} { on = true; }
    ~marker() { on = false; }
  } calling{calls_back_};
  call();
}

// Coming

result<std::shared_ptr<consumer::impl>> consumer::impl::join(std::shared_ptr<core> owner,
                                                             std::string_view group,
                                                             const std::vector<std::string>& topics,
                                                             const consumer_options& options) {
  const std::string operation = fmt::format("join group '{}'", group);
  if (auto entered = owner->enter(operation); !entered) return entered.error();
  if (topics.empty()) return error{errc::invalid_argument, fmt::format("{}: no topics are given", operation)};
  subscription what;
  for (const auto& name : topics) {
    auto slot = owner->find_topic(name);
    if (!slot) return no_topic(operation, name);
    if (std::find(what.topics.begin(), what.topics.end(), slot) == what.topics.end())
      what.topics.push_back(std::move(slot));
  }
  return join(std::move(owner), group, std::move(what), options);
}

result<std::shared_ptr<consumer::impl>> consumer::impl::join(std::shared_ptr<core> owner,
                                                             std::string_view group,
                                                             const topic_pattern& topics,
                                                             const consumer_options& options) {
  if (auto entered = owner->enter(fmt::format("join group '{}'", group)); !entered) return entered.error();
  return join(std::move(owner), group, subscription{{}, topics}, options);
}

result<std::shared_ptr<consumer::impl>> consumer::impl::join(std::shared_ptr<core> owner,
                                                             std::string_view group, subscription what,
                                                             const consumer_options& options) {
  const std::string operation = fmt::format("join group '{}'", group);
  if (auto checked = check_name("join group", "group", group); !checked) return checked.error();
  if (auto checked = check_consumer_options(operation, options); !checked) return checked.error();
  for (;;) {
    auto slot = declare_group(*owner, group, group_kind::consumer);
    if (!slot) return slot.error();
    if ((*slot)->in_flight) return is_share_group(operation);
    std::shared_ptr<impl> self{new impl{owner, std::move(*slot), what, options}};
    if (self->options_.member_id.empty()) {
      self->options_.member_id = fmt::format("member-{}", owner->next_member_number());
    }
    if (!self->options_.assignor) self->options_.assignor = cooperative_sticky_assignor();
    auto entered = self->enter_group();
    if (entered) return self;
    // Where it has been deleted between the two, it is new once more.
    if (entered.error() != errc::unknown_group) return entered.error();
  }
}

result<void> consumer::impl::enter_group() {
  const std::string joining = fmt::format("join group '{}'", group_->name);
  // Before the topics are looked up: what comes meanwhile is found by the first poll.
  topics_version_ = owner_->topics_version();
  if (pattern_) {
    auto matching = matching_topics(*owner_, *pattern_);
    if (!matching) return matching.error();
    topics_ = std::move(*matching);
    subscribed_ = ids_of(topics_);
  }
  group_change change{group_, [&, now = owner_->time().steady()](group::group_state& state) -> result<void> {
                        topic_names what{topics_};
                        if (!pattern_ && what.names.size() < topics_.size())
                          return error{errc::unknown_topic, "a topic was deleted at the same time"};
                        state.fence_overdue(now);
                        return state.join(options_.member_id, std::move(what.names),
                                          options_.rebalance_timeout, what.sizes, options_.assignor, now,
                                          held_);
                      }};
  if (auto done = group_change::make(*owner_, joining, change); !done) return done;
  joined_ = true;
  listen();
  take_up(look_at_group());
  return place_acquired();
}

result<std::shared_ptr<consumer::impl>> consumer::impl::assign(std::shared_ptr<core> owner,
                                                               std::string_view group,
                                                               const std::vector<topic_partition>& partitions,
                                                               const consumer_options& options) {
  const std::string operation = fmt::format("assign partitions for group '{}'", group);
  if (auto entered = owner->enter(operation); !entered) return entered.error();
  if (auto checked = check_name("assign partitions", "group", group); !checked) return checked.error();
  if (auto checked = check_consumer_options(operation, options); !checked) return checked.error();
  if (partitions.empty())
    return error{errc::invalid_argument, fmt::format("{}: no partitions are given", operation)};
  subscription what;
  for (const auto& where : partitions) {
    auto slot = owner->find_topic(where.topic);
    if (!slot) return no_topic(operation, where.topic);
    if (where.partition.value() >= slot->state.partitions()) {
      return error{errc::unknown_partition,
                   fmt::format("{}: topic '{}' has {} partitions, not number {}", operation, where.topic,
                               slot->state.partitions(), where.partition.value())};
    }
    if (std::find(what.topics.begin(), what.topics.end(), slot) == what.topics.end())
      what.topics.push_back(std::move(slot));
  }
  auto slot = declare_group(*owner, group, group_kind::consumer);
  if (!slot) return slot.error();
  if ((*slot)->in_flight) return is_share_group(operation);
  std::shared_ptr<impl> self{new impl{std::move(owner), std::move(*slot), std::move(what), options}};
  self->options_.member_id.clear();
  self->listen();
  group_view given;
  given.owned = partitions;
  self->take_up(given);
  if (auto placed = self->place_acquired(); !placed) return placed.error();
  return self;
}

void consumer::impl::listen() {
  group_->members.add(waiter_);
  for (const auto& topic : topics_) topic->readers.add(waiter_);
  if (pattern_) owner_->topic_watchers().add(waiter_);
}

void consumer::impl::stop_listening() {
  group_->members.remove(waiter_);
  for (const auto& topic : topics_) topic->readers.remove(waiter_);
  if (pattern_) owner_->topic_watchers().remove(waiter_);
}

// Following

consumer::impl::group_view consumer::impl::look_at_group() {
  const std::lock_guard guard{group_->mutex};
  const group::group_state& state = group_->state;
  group_view seen;
  seen.overdue = state.next_deadline() <= owner_->time().steady();
  seen.version = state.version();
  seen.unchanged = seen.version == group_version_ && !seen.overdue && state.broken();
  if (seen.unchanged) return seen;
  seen.member = identity().is_in(state);
  seen.offset_commits = group_->offset_commits;
  seen.owned = state.owned_by(options_.member_id);
  seen.owed = state.owed_by(options_.member_id);
  seen.broken = state.broken();
  return seen;
}

result<bool> consumer::impl::follow_group(waiting may) {
  for (;;) {
    auto over = conclude_change();
    if (over && !*over) return false;
    if (!over && over.error() != errc::fenced) return over;
    if (!joined_) return true;
    const group_view seen = look_at_group();
    if (!seen.unchanged && !seen.member) {
      fenced_ = true;
      lose_if([](const owned_partition&) { return true; });
      return fenced("poll");
    }
    result<void> done;
    const auto now = owner_->time().steady();
    if (pattern_ && topics_version_ != owner_->topics_version()) {
      done = follow_pattern(may);
    } else if (seen.unchanged) {
      return true;
    } else if (seen.overdue) {
      done = change_group(may,
                          [now](group::group_state& state) -> result<void> {
                            state.fence_overdue(now);
                            return {};
                          },
                          {});
    } else if (!seen.owed.empty()) {
      auto offsets = revoke(seen.owed);
      if (close_afterwards_) return true;
      done = change_group(
          may,
          [member = identity(), what = seen.owed, now](group::group_state& state) -> result<void> {
            if (!member.is_in(state)) return error{errc::fenced, "it was removed from the group"};
            state.give_up(member.id, what, now);
            return {};
          },
          {seen.owed, {}, std::nullopt}, std::move(offsets));
    } else {
      take_up(seen);
      group_version_ = seen.version;
      if (seen.broken) return true;
      return with_operation(operation("poll"), seen.broken.error());
    }
    // A fenced member is told so when it looks again.
    if (!done && done.error() != errc::fenced) return done.error();
  }
}

result<void> consumer::impl::follow_pattern(waiting may) {
  const std::uint64_t version = owner_->topics_version();
  auto matching = matching_topics(*owner_, *pattern_);
  if (!matching) return with_operation(operation("poll"), matching.error());
  auto ids = ids_of(*matching);
  // What was deleted, the group has forgotten by itself.
  if (std::includes(subscribed_.begin(), subscribed_.end(), ids.begin(), ids.end())) {
    note_change({{}, std::move(ids), version});
    return {};
  }
  for (const auto& topic : *matching) {
    if (std::find(topics_.begin(), topics_.end(), topic) != topics_.end()) continue;
    topics_.push_back(topic);
    topic->readers.add(waiter_);
  }
  return change_group(may,
                      [member = identity(), topics = std::move(*matching),
                       now = owner_->time().steady()](group::group_state& state) -> result<void> {
                        if (!member.is_in(state)) return error{errc::fenced, "it was removed from the group"};
                        topic_names what{topics};
                        return state.subscribe(member.id, std::move(what.names), what.sizes, now);
                      },
                      {{}, std::move(ids), version});
}

result<void> consumer::impl::change_group(waiting may, group_change::change_function change,
                                          change_effect effect, std::vector<offset_entry> offsets) {
  if (may == waiting::no) {
    change_ = std::make_shared<change_under_way>(group_, std::move(change), identity(), std::move(offsets),
                                                 std::move(effect), waiter_);
    owner_->submit(operation("poll"), std::make_unique<submitted_change>(change_));
    return {};
  }
  group_change made{group_, std::move(change), identity(), std::move(offsets)};
  if (auto done = group_change::make(*owner_, operation("poll"), made); !done) return done;
  note_change(std::move(effect));
  return {};
}

result<bool> consumer::impl::conclude_change() {
  if (!change_) return true;
  if (!change_->is_over()) return false;
  const auto over = std::exchange(change_, nullptr);
  if (!*over->outcome) {
    if (over->intent.refused() || over->intent.has_offsets()) return over->outcome->error();
    if (auto changed = over->intent.do_without(*owner_); !changed) return changed.error();
  }
  note_change(std::move(over->effect));
  return true;
}

void consumer::impl::note_change(change_effect effect) {
  std::erase_if(owned_, [&](const owned_partition& p) {
    return std::binary_search(effect.revoked.begin(), effect.revoked.end(), p.where);
  });
  note_held();
  if (!effect.topics_version) return;
  topics_version_ = *effect.topics_version;
  subscribed_ = std::move(effect.subscribed);
}

bool consumer::impl::hands_over(const topic_partition& where) const {
  return change_ && std::binary_search(change_->effect.revoked.begin(), change_->effect.revoked.end(), where);
}

result<void> consumer::impl::check_topics() {
  for (;;) {
    const auto gone = std::find_if(topics_.begin(), topics_.end(),
                                   [](const auto& topic) { return topic->state.deleted(); });
    if (gone == topics_.end()) return {};
    const std::shared_ptr<topic_slot> topic = *gone;
    topics_.erase(gone);
    topic->readers.remove(waiter_);
    lose_if([&](const owned_partition& p) { return p.topic == topic; });
    // What it owns of another one of that name was not taken up where this one's stood in its place.
    group_version_ = 0;
    if (pattern_) continue;
    return error{errc::unknown_topic,
                 fmt::format("{}: topic '{}' has been deleted", operation("poll"), topic->state.name())};
  }
}

void consumer::impl::take_up(const group_view& seen) {
  for (const auto& where : seen.owned) {
    const auto at =
        std::lower_bound(owned_.begin(), owned_.end(), where,
                         [](const owned_partition& a, const topic_partition& b) { return a.where < b; });
    if (at != owned_.end() && at->where == where) continue;
    // Not one that is deleted, and has been replaced by another of its name, which may have more partitions.
    const auto topic = std::find_if(topics_.begin(), topics_.end(), [&](const auto& t) {
      return !t->state.deleted() && t->state.name() == where.topic;
    });
    if (topic == topics_.end()) continue;
    owned_partition fresh;
    fresh.where = where;
    fresh.topic = *topic;
    fresh.committed_by = seen.offset_commits + 1;  // placing it finds what those before have stored
    owned_.insert(at, std::move(fresh));
  }
}

// What the host is told

void consumer::impl::announce() {
  std::vector<topic_partition> fresh;
  for (auto& p : owned_) {
    if (!std::exchange(p.announced, true)) fresh.push_back(p.where);
  }
  if (fresh.empty() || !joined_ || !options_.on_assigned) return;
  new_assignment::impl what{*this, std::move(fresh)};
  new_assignment told{what};
  call_back([&] { options_.on_assigned(told); });
}

std::vector<offset_entry> consumer::impl::revoke(const std::vector<topic_partition>& what) {
  std::vector<topic_partition> known;
  for (const auto& p : owned_) {
    if (p.announced && std::binary_search(what.begin(), what.end(), p.where)) known.push_back(p.where);
  }
  if (known.empty()) return {};
  revocation::impl asked{*this, std::move(known)};
  if (options_.auto_commit) asked.commit_positions();
  if (options_.on_revoked) {
    revocation told{asked};
    call_back([&] { options_.on_revoked(told); });
  }
  return std::move(asked.offsets);
}

template <class Predicate>
void consumer::impl::lose_if(Predicate gone) {
  std::vector<topic_partition> lost;
  std::erase_if(owned_, [&](const owned_partition& p) {
    if (!gone(p)) return false;
    if (p.announced) lost.push_back(p.where);
    return true;
  });
  note_held();
  if (lost.empty() || !joined_ || !options_.on_lost) return;
  call_back([&] { options_.on_lost(lost); });
}

result<void> revocation::impl::check(const char* verb, const topic_partition& where) const {
  if (std::binary_search(partitions.begin(), partitions.end(), where)) return {};
  return error{errc::not_assigned,
               fmt::format("{}: topic '{}' partition {} is not among those that are revoked",
                           member.operation(verb), where.topic, where.partition.value())};
}

result<std::optional<offset>> revocation::impl::position(const topic_partition& where) const {
  if (auto may = check("ask position", where); !may) return may.error();
  return member.position(where);
}

result<void> new_assignment::impl::seek(const topic_partition& where, const start_position& to) {
  if (std::binary_search(partitions.begin(), partitions.end(), where)) return member.seek(where, to);
  return error{errc::not_assigned,
               fmt::format("{}: topic '{}' partition {} is not among those that have come",
                           member.operation("seek"), where.topic, where.partition.value())};
}

void revocation::impl::set(offset_entry entry) {
  std::erase_if(offsets, [&](const offset_entry& e) { return e.where == entry.where; });
  offsets.push_back(std::move(entry));
}

result<void> revocation::impl::commit(const offset_commit& what) {
  if (auto may = check("commit", what.where()); !may) return may;
  auto entry = member.entry_for(what);
  if (!entry) return entry.error();
  set(std::move(*entry));
  return {};
}

void revocation::impl::commit_positions() {
  for (const auto& p : member.owned_) {
    if (!p.position || !std::binary_search(partitions.begin(), partitions.end(), p.where)) continue;
    std::erase_if(offsets, [&](const offset_entry& e) { return e.where == p.where; });
    if (!member.is_committed(p)) offsets.push_back({p.where, p.topic->state.id(), *p.position, {}, true});
  }
}

// Going

void consumer::impl::close() noexcept {
  if (closed_ || closes_) return;
  if (calls_back_) {
    close_afterwards_ = true;
    return;
  }
  closes_ = true;
  errc why_not{};
  if (const auto entered = owner_->enter("leave"); !entered) why_not = entered.error().code();
  if (why_not == errc::forked) {  // nothing here is this process's
    closed_ = true;
    return;
  }
  while (change_) {
    const std::uint64_t seen = waiter_->signals();
    if (change_->is_over()) {
      static_cast<void>(conclude_change());
    } else {
      waiter_->wait(owner_->time(), seen, clock::steady_time::max());
    }
  }
  if (joined_) {
    bool member = false;
    {
      const std::lock_guard guard{group_->mutex};
      member = identity().is_in(group_->state);
    }
    if (!member || why_not != errc{}) lose_if([](const owned_partition&) { return true; });
    if (member) {
      group_change leaving{
          group_,
          [who = identity(), now = owner_->time().steady()](group::group_state& state) -> result<void> {
            if (who.is_in(state)) state.leave(who.id, now);
            return {};
          },
          identity(), revoke(assignment())};
      if (!owner_->run(operation("leave"), leaving)) static_cast<void>(leaving.do_without(*owner_));
    }
  } else if (options_.auto_commit && why_not == errc{}) {
    static_cast<void>(commit(std::nullopt));
  }
  closed_ = true;
  owned_.clear();
  stop_listening();
  waiter_->signal();
}

}  // namespace levada
