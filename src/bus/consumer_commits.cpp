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

result<std::vector<offset_entry>> consumer::impl::choose(const offset_choice& what, positions which) {
  std::vector<offset_entry> notes;
  if (!what) {
    for (auto& p : owned_) {
      // What is being handed over has had its time.
      if (!p.position || hands_over(p.where)) continue;
      if (which == positions::changed && !p.advanced()) continue;
      notes.push_back({p.where, p.topic->state.id(), *p.position});
      p.asked = p.position;
    }
    return notes;
  }
  for (const auto& one : *what) {
    auto entry = entry_for(one);
    if (!entry) return entry.error();
    notes.push_back(std::move(*entry));
  }
  for (auto& p : owned_) {
    for (const auto& note : notes) {
      if (note.where == p.where) p.asked = note.next;
    }
  }
  return notes;
}

void consumer::impl::note_committed(const std::vector<offset_entry>& notes) {
  for (const auto& note : notes) {
    const auto p = std::find_if(owned_.begin(), owned_.end(), [&](const owned_partition& owned) {
      return owned.where == note.where && owned.topic->state.id() == note.log;
    });
    if (p != owned_.end()) p->committed = note.next;
  }
  note_held();
}

result<void> consumer::impl::commit(const offset_choice& what) {
  if (auto entered = enter("commit"); !entered) return entered.error();
  auto notes = choose(what);
  if (!notes) return notes.error();
  if (notes->empty()) return {};
  offset_intent commits{group_, identity(), *notes};
  auto done = owner_->run(operation("commit"), commits);
  if (done) note_committed(*notes);
  return done;
}

/// An offset commit that nobody waits for: answered within the handler's executor, to which the member
/// belongs.
class consumer::impl::submitted_offsets final : public offset_intent {
 public:
  submitted_offsets(std::shared_ptr<impl> member, std::vector<offset_entry> notes, pending<void> answer)
      : offset_intent{member->group_, member->identity(), notes},
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
  auto notes = [&]() -> result<std::vector<offset_entry>> {
    if (auto entered = self->enter("commit"); !entered) return entered.error();
    return self->choose(what);
  }();
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
        intent_{member_->group_, member_->identity(), notes_} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return intent_.execute(scope); }
  void noted() override { member_->note_committed(notes_); }

 private:
  std::shared_ptr<impl> member_;
  std::vector<offset_entry> notes_;
  offset_intent intent_;
};

result<std::unique_ptr<transaction_part>> consumer::impl::make_part(const std::shared_ptr<impl>& self,
                                                                    const offset_choice& what) {
  if (self->closed_) {
    return error{errc::closed, fmt::format("{}: the member has left", self->operation("send offsets"))};
  }
  // What is committed now may be another offset by then, in this very transaction.
  auto notes = self->choose(what, positions::all);
  if (!notes) return notes.error();
  return std::unique_ptr<transaction_part>{std::make_unique<offset_part>(self, std::move(*notes))};
}

struct consumer::impl::unattended_commit {
  explicit unattended_commit(std::vector<offset_entry> entries) : notes{std::move(entries)} {}

  enum class state : unsigned { under_way, stored, failed };
  const std::vector<offset_entry> notes;
  std::atomic<state> now = state::under_way;
};

/// An offset commit whose outcome a later poll sees.
class consumer::impl::unattended_offsets final : public offset_intent {
 public:
  unattended_offsets(const impl& member, std::shared_ptr<unattended_commit> commit)
      : offset_intent{member.group_, member.identity(), commit->notes}, commit_{std::move(commit)} {}
  void finished(result<void> outcome) noexcept override {
    using state = unattended_commit::state;
    commit_->now = outcome ? state::stored : state::failed;
  }

 private:
  const std::shared_ptr<unattended_commit> commit_;
};

void consumer::impl::auto_commit() {
  if (!options_.auto_commit) return;
  if (unattended_ && unattended_->now != unattended_commit::state::under_way) {
    if (unattended_->now == unattended_commit::state::stored) note_committed(unattended_->notes);
    unattended_.reset();
  }
  if (unattended_ || owner_->time().steady() < next_auto_commit_) return;
  next_auto_commit_ = deadline_after(owner_->time(), *options_.auto_commit);
  auto notes = choose(std::nullopt);
  if (!notes || notes->empty()) return;
  unattended_ = std::make_shared<unattended_commit>(std::move(*notes));
  owner_->submit(operation("commit"), std::make_unique<unattended_offsets>(*this, unattended_));
}

}  // namespace levada
