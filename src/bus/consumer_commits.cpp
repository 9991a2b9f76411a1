// What a consumer commits: when it is told to, with and without waiting, and by itself.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bus/consumer_impl.hpp"
#include "bus/pending.hpp"

namespace levada {

result<offset_entry> consumer::impl::entry_for(const offset_commit& what) {
  const topic_partition& where = what.where();
  auto p = find("commit", where);
  if (!p) return p.error();
  const std::uint64_t end = (*p)->topic->state.end(where.partition.value());
  if (what.next().value() > end) {
    return error{errc::offset_out_of_range, fmt::format("{}: offset {} of topic '{}' partition {} lies "
                                                        "beyond the end, {}",
                                                        operation("commit"), what.next().value(), where.topic,
                                                        where.partition.value(), end)};
  }
  if (what.metadata().size() > offset_metadata_bytes_max) {
    return error{errc::field_too_long,
                 fmt::format("{}: the metadata for topic '{}' partition {} has {} bytes, the limit is {}",
                             operation("commit"), where.topic, where.partition.value(),
                             what.metadata().size(), offset_metadata_bytes_max)};
  }
  return offset_entry{where, (*p)->topic->state.id(), what.next().value(), what.metadata()};
}

bool consumer::impl::is_committed(const owned_partition& p) const noexcept {
  if (p.position != p.committed) return false;
  const std::uint32_t log = p.topic->state.id();
  return std::none_of(commits_.begin(), commits_.end(), [&](const auto& commit) {
    const auto& entries = commit->entries;
    return std::any_of(entries.begin(), entries.end(), [&](const offset_entry& e) {
      return e.log == log && e.where.partition == p.where.partition;
    });
  });
}

void consumer::impl::note_commits() {
  using state = offsets_under_way::state;
  if (commits_.empty()) return;
  std::erase_if(commits_, [this](const auto& commit) {
    const state now = commit->now;  // once: it may end meanwhile
    if (now == state::stored) note_commit(*commit);
    return now != state::under_way;
  });
  note_held();
}

void consumer::impl::note_commit(const offsets_under_way& commit) noexcept {
  for (const offset_entry& e : commit.entries) {
    const auto p = std::find_if(owned_.begin(), owned_.end(), [&](const owned_partition& owned) {
      return owned.where == e.where && owned.topic->state.id() == e.log;
    });
    // One that was executed earlier may end later.
    if (p == owned_.end() || commit.order < p->committed_by) continue;
    p->committed = e.next;
    p->committed_by = commit.order;
  }
}

result<std::shared_ptr<offsets_under_way>> consumer::impl::choose(const offset_choice& what,
                                                                  positions which) {
  note_commits();
  std::vector<offset_entry> entries;
  if (what) {
    for (const auto& one : *what) {
      auto entry = entry_for(one);
      if (!entry) return entry.error();
      entries.push_back(std::move(*entry));
    }
  } else {
    for (const auto& p : owned_) {
      // What is being handed over has had its time.
      if (!p.position || hands_over(p.where)) continue;
      if (which == positions::changed && is_committed(p)) continue;
      entries.push_back({p.where, p.topic->state.id(), *p.position, {}, true});
    }
  }
  if (entries.empty() && which == positions::changed) return std::shared_ptr<offsets_under_way>{};
  return std::make_shared<offsets_under_way>(std::move(entries));
}

result<void> consumer::impl::commit(const offset_choice& what) {
  if (auto entered = enter("commit"); !entered) return entered.error();
  const auto chosen = choose(what);
  if (!chosen) return chosen.error();
  if (!*chosen) return {};
  commits_.push_back(*chosen);
  offset_intent commits{group_, identity(), *chosen};
  auto done = owner_->run(operation("commit"), commits);
  (*chosen)->end(done.has_value());
  note_commits();
  return done;
}

/// An offset commit that nobody waits for, and that is answered.
class consumer::impl::submitted_offsets final : public offset_intent {
 public:
  submitted_offsets(const impl& member, std::shared_ptr<offsets_under_way> what, pending<void> answer)
      : offset_intent{member.group_, member.identity(), what},
        what_{std::move(what)},
        answer_{std::move(answer)} {}
  void finished(result<void> outcome) noexcept override {
    // The member takes note of it when it is used next: it may be polled by another thread meanwhile.
    what_->end(outcome.has_value());
    answer_.answer(std::move(outcome));
  }

 private:
  const std::shared_ptr<offsets_under_way> what_;
  pending<void> answer_;
};

void consumer::impl::start_commit(const std::shared_ptr<impl>& self, const offset_choice& what,
                                  detail::completion<void> done) {
  pending<void> answer{std::move(done), *self->owner_};
  auto chosen = [&]() -> result<std::shared_ptr<offsets_under_way>> {
    if (auto entered = self->enter("commit"); !entered) return entered.error();
    return self->choose(what);
  }();
  if (!chosen || !*chosen) {
    answer.answer(chosen ? result<void>{} : chosen.error());
    return;
  }
  self->commits_.push_back(*chosen);
  self->owner_->submit(self->operation("commit"),
                       std::make_unique<submitted_offsets>(*self, std::move(*chosen), std::move(answer)));
}

/// Offsets that a transaction commits.
class consumer::impl::offset_part final : public transaction_part {
 public:
  offset_part(std::shared_ptr<impl> member, std::shared_ptr<offsets_under_way> what)
      : member_{std::move(member)},
        what_{std::move(what)},
        intent_{member_->group_, member_->identity(), what_} {}
  [[nodiscard]] result<void> prepare() override {
    member_->commits_.push_back(what_);
    return {};
  }
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return intent_.execute(scope); }
  void decided(bool committed) noexcept override { what_->end(committed); }
  void noted() override { member_->note_commits(); }

 private:
  const std::shared_ptr<impl> member_;
  const std::shared_ptr<offsets_under_way> what_;
  offset_intent intent_;
};

result<std::unique_ptr<transaction_part>> consumer::impl::make_part(const std::shared_ptr<impl>& self,
                                                                    const offset_choice& what) {
  if (self->closed_) {
    return error{errc::closed, fmt::format("{}: the member has left", self->operation("send offsets"))};
  }
  // What is committed now may be another offset by then, in this very transaction.
  auto chosen = self->choose(what, positions::all);
  if (!chosen) return chosen.error();
  return std::unique_ptr<transaction_part>{std::make_unique<offset_part>(self, std::move(*chosen))};
}

/// An offset commit whose outcome a later poll sees.
class consumer::impl::unattended_offsets final : public offset_intent {
 public:
  unattended_offsets(const impl& member, std::shared_ptr<offsets_under_way> what)
      : offset_intent{member.group_, member.identity(), what}, what_{std::move(what)} {}
  void finished(result<void> outcome) noexcept override { what_->end(outcome.has_value()); }

 private:
  const std::shared_ptr<offsets_under_way> what_;
};

void consumer::impl::auto_commit() {
  note_commits();
  if (!options_.auto_commit) return;
  if (unattended_ && unattended_->now == offsets_under_way::state::under_way) return;
  unattended_.reset();
  if (owner_->time().steady() < next_auto_commit_) return;
  next_auto_commit_ = deadline_after(owner_->time(), *options_.auto_commit);
  auto chosen = choose(std::nullopt);
  if (!chosen || !*chosen) return;
  commits_.push_back(*chosen);
  unattended_ = *chosen;
  owner_->submit(operation("commit"), std::make_unique<unattended_offsets>(*this, std::move(*chosen)));
}

}  // namespace levada
