#include <levada/share_consumer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <levada/async.hpp>

#include "bus/find.hpp"
#include "bus/pending.hpp"
#include "bus/settle_intent.hpp"
#include "bus/share_consumer_impl.hpp"
#include "bus/waiting_call.hpp"

namespace levada {

result<std::shared_ptr<share_consumer::impl>> share_consumer::impl::join(
    const std::shared_ptr<core>& owner, std::string_view group, const std::vector<std::string>& topics,
    const share_consumer_options& options) {
  const std::string operation = fmt::format("join share group '{}'", group);
  if (auto entered = owner->enter(operation); !entered) return entered.error();
  if (topics.empty()) return error{errc::invalid_argument, fmt::format("{}: no topics are given", operation)};
  std::vector<std::shared_ptr<topic_slot>> slots;
  for (const auto& name : topics) {
    auto slot = find_plain_topic(*owner, operation, name);
    if (!slot) return slot.error();
    if (std::find(slots.begin(), slots.end(), *slot) == slots.end()) slots.push_back(std::move(*slot));
  }
  auto member =
      std::make_shared<share_member>(std::move(slots), options.poll_records_max, options.poll_bytes_max);
  auto entered = share_group::enter(owner, group, member, options);
  if (!entered) return entered.error();
  return std::make_shared<impl>(owner, std::move(*entered), std::move(member));
}

std::string share_consumer::impl::operation(const char* verb) const {
  return fmt::format("{} share group '{}'", verb, group());
}

result<core::access> share_consumer::impl::enter(const char* verb) const {
  if (closed_) return error{errc::closed, fmt::format("{}: the member has left", operation(verb))};
  return owner_->enter(operation(verb));
}

std::optional<result<std::vector<delivery>>> share_consumer::impl::look(clock::steady_time deadline,
                                                                        waiting may,
                                                                        clock::steady_time& next_look) {
  const auto access = enter("poll");
  if (!access) return access.error();
  for (;;) {
    auto found = group_->look(member_, *access);
    if (found.answer) return std::move(found.answer);
    if (found.under_way) return std::nullopt;
    if (found.next) {
      if (may == waiting::no) {
        group_->start_acquire(operation("poll"), std::move(found.next));
        return std::nullopt;
      }
      if (auto done = group_->acquire(*access, operation("poll"), found.next); !done) return done.error();
      continue;
    }
    if (owner_->time().steady() >= deadline || woken_.exchange(false)) return std::vector<delivery>{};
    next_look = std::min(deadline, found.comes_back);
    return std::nullopt;
  }
}

result<std::vector<delivery>> share_consumer::impl::poll(std::chrono::milliseconds timeout) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  for (;;) {
    const std::uint64_t seen = member_->wakes->signals();
    // An acquisition under way is waited for: it takes no longer than a commit.
    clock::steady_time next_look = clock::steady_time::max();
    if (auto found = look(deadline, waiting::yes, next_look)) return std::move(*found);
    member_->wakes->wait(owner_->time(), seen, next_look);
  }
}

void share_consumer::impl::start_poll(std::chrono::milliseconds timeout,
                                      detail::completion<std::vector<delivery>> done) {
  const auto deadline = deadline_after(owner_->time(), timeout);
  waiting_call<std::vector<delivery>>::start(
      owner_, member_->wakes, clock::steady_time::max(),
      [self = shared_from_this(), deadline](clock::steady_time& next_look) {
        return self->look(deadline, waiting::no, next_look);
      },
      std::move(done));
}

void share_consumer::impl::wakeup() noexcept {
  woken_ = true;
  member_->wakes->signal();
}

result<void> share_consumer::impl::acknowledge(std::span<const delivery_tag> tags, acknowledge_type how) {
  const auto access = enter("acknowledge");
  if (!access) return access.error();
  auto begun = group_->begin(operation("acknowledge"), *member_, tags, how);
  if (!begun) return begun.error();
  result<void> done;
  if (!begun->positions.empty()) {
    settle_intent settles{group_->in_flight(), begun->positions};
    done = owner_->run(*access, operation("acknowledge"), settles);
  }
  group_->decided(*member_, *begun, done.has_value());
  return done;
}

/// A settlement that nobody waits for.
class share_consumer::impl::submitted_settlement final : public settle_intent {
 public:
  submitted_settlement(std::shared_ptr<impl> consumer, share_group::settlement what, pending<void> answer)
      : settle_intent{consumer->group_->in_flight(), what.positions},
        consumer_{std::move(consumer)},
        what_{std::move(what)},
        answer_{std::move(answer)} {}
  void finished(result<void> outcome) noexcept override {
    consumer_->group_->decided(*consumer_->member_, what_, outcome.has_value());
    answer_.answer(std::move(outcome));
  }

 private:
  const std::shared_ptr<impl> consumer_;
  const share_group::settlement what_;
  pending<void> answer_;
};

void share_consumer::impl::start_acknowledge(std::span<const delivery_tag> tags, acknowledge_type how,
                                             detail::completion<void> done) {
  pending<void> answer{std::move(done), *owner_};
  auto begun = [&]() -> result<share_group::settlement> {
    const auto access = enter("acknowledge");
    if (!access) return access.error();
    return group_->begin(operation("acknowledge"), *member_, tags, how);
  }();
  if (!begun) {
    answer.answer(begun.error());
  } else if (begun->positions.empty()) {
    group_->decided(*member_, *begun, true);
    answer.answer({});
  } else {
    owner_->submit(operation("acknowledge"), std::make_unique<submitted_settlement>(
                                                 shared_from_this(), std::move(*begun), std::move(answer)));
  }
}

/// Taken only when the transaction commits: until then it stays acquired, and its time runs.
class share_consumer::impl::settle_part final : public transaction_part {
 public:
  settle_part(std::shared_ptr<impl> consumer, delivery_tag tag, acknowledge_type how)
      : consumer_{std::move(consumer)}, tag_{tag}, how_{how} {}
  [[nodiscard]] result<void> prepare() override {
    auto begun = consumer_->group_->begin(consumer_->operation("acknowledge"), *consumer_->member_,
                                          std::span{&tag_, 1}, how_);
    if (!begun) return begun.error();
    begun_ = std::move(*begun);
    intent_.emplace(consumer_->group_->in_flight(), begun_->positions);
    return {};
  }
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return intent_->execute(scope); }
  void decided(bool committed) noexcept override {
    if (begun_) consumer_->group_->decided(*consumer_->member_, *begun_, committed);
    begun_.reset();
  }

 private:
  const std::shared_ptr<impl> consumer_;
  const delivery_tag tag_;
  const acknowledge_type how_;
  std::optional<share_group::settlement> begun_;
  std::optional<settle_intent> intent_;
};

result<std::unique_ptr<transaction_part>> share_consumer::impl::make_part(delivery_tag tag,
                                                                          acknowledge_type how) {
  if (closed_) return error{errc::closed, fmt::format("{}: the member has left", operation("acknowledge"))};
  auto known = group_->check(operation("acknowledge"), *member_, std::span{&tag, 1});
  if (!known) return known.error();
  return std::unique_ptr<transaction_part>{std::make_unique<settle_part>(shared_from_this(), tag, how)};
}

void share_consumer::impl::close() noexcept {
  if (closed_.exchange(true)) return;
  // In a forked child nobody may ever give up the lock.
  const auto open = owner_->check_open("close");
  if (open || open.error() != errc::forked) group_->leave(*member_);
}

// share_consumer

share_consumer::share_consumer(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
share_consumer::share_consumer(share_consumer&&) noexcept = default;
share_consumer& share_consumer::operator=(share_consumer&& other) noexcept {
  if (this != &other) {
    close();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
// Asynchronous calls may hold what is inside.
share_consumer::~share_consumer() {
  close();
}

result<std::vector<delivery>> share_consumer::poll(std::chrono::milliseconds timeout) {
  return impl_->poll(timeout);
}
void share_consumer::wakeup() noexcept {
  impl_->wakeup();
}
result<void> share_consumer::acknowledge(std::span<const delivery_tag> tags, acknowledge_type how) {
  return impl_->acknowledge(tags, how);
}
result<void> share_consumer::acknowledge(std::span<const delivery> deliveries, acknowledge_type how) {
  std::vector<delivery_tag> tags;
  for (const delivery& d : deliveries) tags.push_back(d.tag());
  return impl_->acknowledge(tags, how);
}
void share_consumer::start_poll(const std::shared_ptr<impl>& self, std::chrono::milliseconds timeout,
                                detail::completion<std::vector<delivery>> done) {
  self->start_poll(timeout, std::move(done));
}
void share_consumer::start_acknowledge(const std::shared_ptr<impl>& self,
                                       const std::vector<delivery_tag>& tags, acknowledge_type how,
                                       detail::completion<void> done) {
  self->start_acknowledge(tags, how, std::move(done));
}
const std::string& share_consumer::group() const noexcept {
  return impl_->group();
}
void share_consumer::close() noexcept {
  if (impl_) impl_->close();
}

}  // namespace levada
