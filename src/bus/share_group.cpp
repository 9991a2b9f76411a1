#include "bus/share_group.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bus/catalog_intents.hpp"
#include "bus/find.hpp"
#include "bus/group_tools.hpp"
#include "bus/names.hpp"
#include "group/offset_table.hpp"

namespace levada {

/// Where a group begins in partitions that it has not met.
struct share_start {
  std::shared_ptr<topic_slot> topic;
  std::uint32_t partition = 0;
  std::uint64_t next = 0;
};

namespace {

result<void> check_share_options(const std::string& operation, const share_consumer_options& options) {
  const auto refuse = [&](const char* what) {
    return error{errc::invalid_argument, fmt::format("{}: {}", operation, what)};
  };
  if (options.poll_records_max == 0 || options.poll_bytes_max == 0 || options.in_flight_max == 0)
    return refuse("poll_records_max, poll_bytes_max and in_flight_max are at least 1");
  if (options.lock_duration.count() < 1) return refuse("lock_duration is at least 1 ms");
  if (options.delivery_limit == 0 || options.delivery_limit > std::numeric_limits<std::uint16_t>::max())
    return refuse("delivery_limit is from 1 to 65,535");
  if (options.reset_duration.count() < 0) return refuse("reset_duration is not negative");
  if (options.reset == offset_reset::none) return refuse("a share group begins somewhere: reset is not none");
  return {};
}

result<std::vector<share_start>> starts_of(core& owner, const std::string& operation,
                                           const std::vector<std::shared_ptr<topic_slot>>& topics,
                                           const share_consumer_options& options) {
  const auto access = owner.enter(operation);
  if (!access) return access.error();
  log::log_reader reader{access->main()};
  const auto target = *target_of(options.reset, options.reset_duration);  // it is not none
  std::vector<share_start> starts;
  for (const auto& topic : topics) {
    for (std::uint32_t p = 0; p < topic->state.partitions(); ++p) {
      auto next = offset_of_target(topic->state, p, target, owner.bus_time(), reader);
      if (!next) return next.error();
      starts.push_back({topic, p, *next});
    }
  }
  return starts;
}

}  // namespace

struct share_group::acquisition {
  /// New records of one partition, one after the other.
  struct run {
    partition_key where;
    std::uint64_t count = 0;
  };

  std::shared_ptr<share_member> member;
  std::vector<entry> again;  // that came back; by position
  std::vector<run> runs;
  std::vector<queue::reference> fresh;          // of the runs
  std::vector<group::offset_row> next;          // of the runs: where the following are acquired
  std::vector<entry> exhausted;                 // to be settled; by position
  std::shared_ptr<const record_batch> records;  // of `again`, then of `fresh`
  std::uint64_t removed = 0;
  std::optional<error> damage;
  std::vector<std::uint64_t> positions;  // of `fresh`, once it is executed
};

class share_group::acquire_intent final : public intent {
 public:
  acquire_intent(std::shared_ptr<share_group> group, std::shared_ptr<acquisition> what)
      : group_{std::move(group)}, what_{std::move(what)} {
    for (const entry& e : what_->again) again_.push_back(e.position);
    for (const entry& e : what_->exhausted) exhausted_.push_back(e.position);
  }

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    queue_slot& queue = group_->in_flight();
    for (const auto& row : what_->next) {
      if (!scope.owner().find_topic(row.log)) return error{errc::unknown_topic, "a topic has been deleted"};
    }
    if (!exhausted_.empty()) {
      if (auto settled = scope.settle(queue, exhausted_); !settled) return settled;
    }
    auto counted =
        scope.written(queue::count_deliveries(scope.txn(), scope.tables(), queue.state.id(), again_));
    if (!counted) return counted;
    what_->positions.clear();
    for (const queue::reference& where : what_->fresh)
      what_->positions.push_back(scope.acquire(queue, where));
    for (group::offset_row& row : what_->next) {
      row.time = scope.now();
      if (auto stored = scope.written(group::write_offset(scope.txn(), scope.tables(), row)); !stored)
        return stored;
    }
    return {};
  }
  void applied(commit_scope&) noexcept override { group_->acquired(*what_); }
  void finished(result<void> outcome) noexcept override {
    if (!outcome) group_->not_acquired(*what_, outcome.error(), false);
  }

 private:
  const std::shared_ptr<share_group> group_;
  const std::shared_ptr<acquisition> what_;
  std::vector<std::uint64_t> again_;
  std::vector<std::uint64_t> exhausted_;
};

/// A member comes, and brings topics: where the group has not met them, it begins there. Whoever comes first
/// finds what is in flight.
class share_group::enter_intent final : public intent {
 public:
  enter_intent(std::shared_ptr<core> owner, std::shared_ptr<group_slot> slot, settings how,
               std::vector<share_start> starts)
      : owner_{std::move(owner)}, slot_{std::move(slot)}, settings_{how}, starts_{std::move(starts)} {}

  [[nodiscard]] bool alone() const noexcept override { return true; }
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    entries_.clear();
    partitions_.clear();
    {
      const std::lock_guard guard{slot_->mutex};
      if (slot_->deleted) return error{errc::unknown_group, "the group is deleted"};
      group_ = slot_->share.lock();
    }
    if (group_ && group_->in_use()) {
      const std::lock_guard guard{group_->mutex_};
      if (group_->settings_ != settings_) {
        return error{errc::inequivalent,
                     "the group's members have another lock_duration, delivery_limit or in_flight_max"};
      }
    }
    for (const share_start& start : starts_) {
      if (auto met = meet(scope, start); !met) return met;
    }
    if (group_) return {};
    return queue::for_each_unsettled(scope.txn(), scope.tables(), slot_->in_flight->state.id(),
                                     [this](std::uint64_t position, const queue::reference& where) {
                                       entries_.push_back({position, where});
                                     });
  }
  void applied(commit_scope&) noexcept override {
    if (!group_) group_ = std::make_shared<share_group>(owner_, slot_, settings_);
    {
      const std::lock_guard guard{slot_->mutex};
      slot_->share = group_;
    }
    const std::lock_guard guard{group_->mutex_};
    group_->settings_ = settings_;
    ++group_->members_;
    for (const auto& [where, next] : partitions_) {
      auto& known = group_->partitions_[where].next;
      if (!known) known = next;
    }
    for (const entry& e : entries_) {
      ++group_->partitions_[{e.where.log, e.where.partition}].in_flight;
      group_->available_.emplace(e.position, e.where);
    }
  }
  [[nodiscard]] std::shared_ptr<share_group> group() && { return std::move(group_); }

 private:
  [[nodiscard]] result<void> meet(commit_scope& scope, const share_start& start) {
    const std::uint32_t log = start.topic->state.id();
    if (start.topic->state.deleted()) {
      return error{errc::unknown_topic, fmt::format("there is no topic '{}'", start.topic->state.name())};
    }
    auto known = group::read_offset(scope.txn(), scope.tables(), slot_->id, log, start.partition);
    if (!known) return known.error();
    partitions_.emplace_back(partition_key{log, start.partition}, *known ? (*known)->next : start.next);
    if (*known) return {};
    return scope.written(group::write_offset(scope.txn(), scope.tables(),
                                             {slot_->id, log, start.partition, start.next, scope.now(), {}}));
  }

  const std::shared_ptr<core> owner_;
  const std::shared_ptr<group_slot> slot_;
  const settings settings_;
  const std::vector<share_start> starts_;
  std::shared_ptr<share_group> group_;
  std::vector<entry> entries_;
  std::vector<std::pair<partition_key, std::uint64_t>> partitions_;
};

// Coming and going

result<std::shared_ptr<share_group>> share_group::enter(const std::shared_ptr<core>& owner,
                                                        std::string_view name,
                                                        const std::shared_ptr<share_member>& member,
                                                        const share_consumer_options& options) {
  const std::string operation = fmt::format("join share group '{}'", name);
  if (auto checked = check_name("join share group", "group", name); !checked) return checked.error();
  if (auto checked = check_share_options(operation, options); !checked) return checked.error();
  for (;;) {
    auto slot = declare_group(*owner, name, group_kind::share);
    if (!slot) return slot.error();
    if (!(*slot)->in_flight)
      return error{errc::inequivalent, fmt::format("{}: it is a consumer group", operation)};
    auto starts = starts_of(*owner, operation, member->topics, options);
    if (!starts) return starts.error();
    enter_intent entering{owner,
                          *slot,
                          {options.lock_duration, options.delivery_limit, options.in_flight_max},
                          std::move(*starts)};
    auto entered = owner->run(operation, entering);
    if (entered) {
      (*slot)->members.add(member->wakes);
      for (const auto& topic : member->topics) topic->readers.add(member->wakes);
      return std::move(entering).group();
    }
    // Where it has been deleted between the two, it is new once more.
    if (entered.error() != errc::unknown_group) return entered.error();
  }
}

void share_group::leave(share_member& member) noexcept {
  std::vector<std::shared_ptr<topic_slot>> topics;
  {
    const std::lock_guard guard{mutex_};
    if (std::exchange(member.gone, true)) return;
    --members_;
    for (auto at = locks_.begin(); at != locks_.end();) {
      // What is being settled is decided by that.
      if (at->second.holder != &member || at->second.settling) {
        ++at;
        continue;
      }
      deadlines_.erase({at->second.until, at->first});
      give_back(at->second.what);
      owner_->counted().shares.released.add();
      at = locks_.erase(at);
    }
    topics.swap(member.topics);
  }
  group_->members.remove(member.wakes);
  for (const auto& topic : topics) topic->readers.remove(member.wakes);
  group_->members.signal();
  member.wakes->signal();
}

bool share_group::in_use() const {
  const std::lock_guard guard{mutex_};
  return members_ > 0 || settling_ > 0 || acquiring_;
}

// Records come back

void share_group::give_back(const entry& e) {
  if (e.where.deliveries < settings_.delivery_limit) {
    available_.emplace(e.position, e.where);
  } else {
    exhausted_.emplace(e.position, e.where);
    owner_->counted().shares.exhausted.add();
  }
}

void share_group::forget(const entry& e) {
  const auto found = partitions_.find({e.where.log, e.where.partition});
  if (found != partitions_.end()) --found->second.in_flight;
}

void share_group::expire() {
  const auto now = owner_->time().steady();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto found = locks_.find(deadlines_.begin()->second);
    give_back(found->second.what);
    owner_->counted().shares.expired.add();
    locks_.erase(found);
    deadlines_.erase(deadlines_.begin());
  }
}

// Acquiring

share_group::finding share_group::look(const std::shared_ptr<share_member>& member,
                                       const core::access& access) {
  finding found;
  const std::lock_guard guard{mutex_};
  if (member->failed) {
    found.answer = std::move(*member->failed);
    member->failed.reset();
    return found;
  }
  if (!member->acquired.empty()) {
    found.answer = std::exchange(member->acquired, {});
    return found;
  }
  found.under_way = acquiring_;
  if (acquiring_) return found;
  expire();
  const auto gone = std::find_if(member->topics.begin(), member->topics.end(),
                                 [](const auto& topic) { return topic->state.deleted(); });
  if (gone != member->topics.end()) {
    found.answer =
        error{errc::unknown_topic, fmt::format("poll share group '{}': topic '{}' has been deleted",
                                               group_->name, (*gone)->state.name())};
    (*gone)->readers.remove(member->wakes);
    member->topics.erase(gone);
    return found;
  }
  auto next = prepare(member, access);
  if (!next) {
    found.answer = next.error();
    return found;
  }
  found.next = std::move(*next);
  if (!deadlines_.empty()) found.comes_back = deadlines_.begin()->first;
  return found;
}

result<std::shared_ptr<share_group::acquisition>> share_group::prepare(
    const std::shared_ptr<share_member>& member, const core::access& access) {
  auto a = std::make_shared<acquisition>();
  a->member = member;
  log::batch_builder batch{{member->records_max, member->bytes_max}};
  log::log_reader reader{access.main()};
  take_returned(*a, reader, batch);
  take_new(*a, reader, batch);
  for (const auto& [position, where] : std::exchange(exhausted_, {}))
    a->exhausted.push_back({position, where});
  if (batch.records() == 0 && a->exhausted.empty()) {
    if (a->damage) return std::move(*a->damage);
    return std::shared_ptr<acquisition>{};
  }
  a->records = std::make_shared<const record_batch>(batch.finish());
  auto record = a->records->begin();
  for (std::size_t i = 0; i < a->again.size(); ++i) ++record;
  for (const auto& run : a->runs) {
    for (std::uint64_t i = 0; i < run.count; ++i, ++record) {
      a->fresh.push_back(
          {run.where.first, static_cast<std::uint16_t>(run.where.second), 1, (*record).offset().value()});
    }
  }
  acquiring_ = true;
  return a;
}

void share_group::take_returned(acquisition& a, log::log_reader& reader, log::batch_builder& batch) {
  const auto& topics = a.member->topics;
  for (auto at = available_.begin(); at != available_.end() && a.again.size() < a.member->records_max;) {
    const entry e{at->first, at->second};
    const auto topic = std::find_if(topics.begin(), topics.end(),
                                    [&](const auto& t) { return t->state.id() == e.where.log; });
    const bool there = topic != topics.end() || owner_->find_topic(e.where.log);
    if (there && topic == topics.end()) {  // others read it
      ++at;
      continue;
    }
    if (there && e.where.deliveries < settings_.delivery_limit) {
      const std::size_t before = batch.records();
      batch.limit_records(before + 1);
      std::uint64_t from = e.where.offset;
      auto read = reader.read_partition((*topic)->state, e.where.partition, from, batch, e.where.offset + 1);
      if (batch.records() > before) {
        a.again.push_back(e);
        at = available_.erase(at);
        continue;
      }
      if (read && before > 0) break;  // the batch may be full of bytes
      if (!read && read.error() != errc::overtaken && read.error() != errc::unknown_topic) {
        a.damage = read.error();
        ++at;
        continue;
      }
      ++a.removed;
    } else if (there) {
      owner_->counted().shares.exhausted.add();
    } else {
      ++a.removed;
    }
    exhausted_.insert(available_.extract(at++));
  }
}

void share_group::take_new(acquisition& a, log::log_reader& reader, log::batch_builder& batch) {
  std::vector<std::pair<topic_slot*, std::uint32_t>> all;
  for (const auto& topic : a.member->topics) {
    for (std::uint32_t p = 0; p < topic->state.partitions(); ++p) all.emplace_back(topic.get(), p);
  }
  for (std::size_t i = 0; i < all.size() && batch.records() < a.member->records_max; ++i) {
    const auto& [topic, p] = all[(a.member->turn + i) % all.size()];
    const log::log_state& log = topic->state;
    const auto known = partitions_.find({log.id(), p});
    if (known == partitions_.end() || !known->second.next) continue;
    if (known->second.in_flight >= settings_.in_flight_max) continue;
    std::uint64_t from = *known->second.next;
    if (from >= log.end(p)) continue;
    const std::size_t before = batch.records();
    const std::size_t room = settings_.in_flight_max - known->second.in_flight;
    batch.limit_records(std::min(a.member->records_max, room > SIZE_MAX - before ? SIZE_MAX : before + room));
    auto read = reader.read_partition(log, p, from, batch);
    if (!read && read.error() == errc::overtaken) {
      const std::uint64_t begin = log.begin(p);
      a.removed += begin - from;
      from = begin;
      read = reader.read_partition(log, p, from, batch);
    }
    if (!read && read.error() != errc::unknown_topic && read.error() != errc::overtaken)
      a.damage = read.error();
    if (batch.records() == before) continue;
    a.runs.push_back({known->first, batch.records() - before});
    a.next.push_back({group_->id, log.id(), p, from, 0, {}});
  }
  if (!all.empty()) a.member->turn = (a.member->turn + 1) % all.size();
}

result<void> share_group::acquire(const core::access& access, const std::string& operation,
                                  const std::shared_ptr<acquisition>& what) {
  acquire_intent acquires{shared_from_this(), what};
  auto done = owner_->run(access, operation, acquires);
  if (done) return {};
  not_acquired(*what, done.error(), true);
  // Then the next look does without that topic.
  return done.error() == errc::unknown_topic ? result<void>{} : done;
}

void share_group::start_acquire(std::string operation, std::shared_ptr<acquisition> what) {
  owner_->submit(std::move(operation), std::make_unique<acquire_intent>(shared_from_this(), std::move(what)));
}

void share_group::acquired(acquisition& a) {
  {
    const std::lock_guard guard{mutex_};
    acquiring_ = false;
    for (const entry& e : a.exhausted) forget(e);
    for (const auto& row : a.next) partitions_.at({row.log, row.partition}).next = row.next;
    const auto until = deadline_after(owner_->time(), settings_.lock_duration);
    auto record = a.records->begin();
    const auto hand_over = [&](const entry& e) {
      if (a.member->gone) {
        give_back(e);
      } else {
        const delivery_tag tag{++group_->last_tag};
        locks_.emplace(tag, lock{e, a.member.get(), until, false});
        deadlines_.emplace(until, tag);
        delivery& d = a.member->acquired.emplace_back();
        detail::record_access::fill(d, *record, a.records, tag, e.where.deliveries > 1, e.where.deliveries);
      }
      ++record;
    };
    for (entry e : a.again) {
      ++e.where.deliveries;
      hand_over(e);
    }
    for (std::size_t i = 0; i < a.fresh.size(); ++i) {
      ++partitions_.at({a.fresh[i].log, a.fresh[i].partition}).in_flight;
      hand_over({a.positions[i], a.fresh[i]});
    }
  }
  auto& counted = owner_->counted().shares;
  counted.acquired.add(a.again.size() + a.fresh.size());
  counted.removed.add(a.removed);
  group_->members.signal();
}

void share_group::not_acquired(acquisition& a, const error& why, bool waited_for) {
  {
    const std::lock_guard guard{mutex_};
    acquiring_ = false;
    for (const entry& e : a.again) available_.emplace(e.position, e.where);
    for (const entry& e : a.exhausted) exhausted_.emplace(e.position, e.where);
    if (!waited_for && why != errc::unknown_topic && !a.member->gone) a.member->failed = why;
  }
  group_->members.signal();
}

// Settling

result<void> share_group::check_locks(const std::string& operation, const share_member& member,
                                      std::span<const delivery_tag> which) {
  expire();
  for (const delivery_tag tag : which) {
    const auto found = locks_.find(tag);
    if (found == locks_.end() || found->second.holder != &member || found->second.settling) {
      return error{errc::unknown_delivery,
                   fmt::format("{}: the record with tag {} is not acquired, or not any more: it has been "
                               "acknowledged, or its {} ms are over",
                               operation, tag.value(), settings_.lock_duration.count())};
    }
  }
  return {};
}

result<void> share_group::check(const std::string& operation, const share_member& member,
                                std::span<const delivery_tag> which) {
  const std::lock_guard guard{mutex_};
  return check_locks(operation, member, which);
}

result<share_group::settlement> share_group::begin(const std::string& operation, const share_member& member,
                                                   std::span<const delivery_tag> which,
                                                   acknowledge_type how) {
  const std::lock_guard guard{mutex_};
  if (auto known = check_locks(operation, member, which); !known) return known.error();
  settlement s;
  s.how = how;
  const auto until = deadline_after(owner_->time(), settings_.lock_duration);
  for (const delivery_tag tag : which) {
    lock& l = locks_.at(tag);
    if (l.settling) continue;  // named twice
    deadlines_.erase({l.until, tag});
    if (how == acknowledge_type::renew) {
      l.until = until;
      deadlines_.emplace(until, tag);
      owner_->counted().shares.renewed.add();
      continue;
    }
    l.settling = true;
    if (how == acknowledge_type::release && l.what.where.deliveries < settings_.delivery_limit) {
      s.released.push_back(tag);
    } else {
      s.settled.push_back(tag);
      s.positions.push_back(l.what.position);
    }
  }
  std::sort(s.positions.begin(), s.positions.end());
  ++settling_;
  return s;
}

void share_group::decided(const share_member& member, const settlement& what, bool committed) noexcept {
  {
    const std::lock_guard guard{mutex_};
    --settling_;
    const auto decide = [&](const tags& which, auto end) {
      for (const delivery_tag tag : which) {
        const auto at = locks_.find(tag);
        if (!committed && !member.gone) {
          at->second.settling = false;
          deadlines_.emplace(at->second.until, tag);
          continue;
        }
        if (committed) {
          end(at->second.what);
        } else {
          give_back(at->second.what);
        }
        locks_.erase(at);
      }
    };
    decide(what.settled, [this](const entry& e) { forget(e); });
    decide(what.released, [this](const entry& e) { give_back(e); });
  }
  if (committed) {
    auto& counted = owner_->counted().shares;
    switch (what.how) {
      case acknowledge_type::accept:
        counted.accepted.add(what.settled.size());
        break;
      case acknowledge_type::reject:
        counted.rejected.add(what.settled.size());
        break;
      case acknowledge_type::release:
        counted.released.add(what.settled.size() + what.released.size());
        counted.exhausted.add(what.settled.size());
        break;
      case acknowledge_type::renew:
        break;
    }
  }
  // Records are available again, or there is room for more in flight.
  group_->members.signal();
}

}  // namespace levada
