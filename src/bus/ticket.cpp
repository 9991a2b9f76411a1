#include <levada/ticket.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <type_traits>
#include <utility>

#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

#include "bus/bus_impl.hpp"
#include "bus/submitted_message.hpp"
#include "bus/waiting_call.hpp"

namespace levada {
namespace {

timestamp to_timestamp(std::int64_t microseconds) {
  return timestamp{std::chrono::microseconds{microseconds}};
}

}  // namespace

class ticket::impl {
 public:
  /// Of a message that is about to be submitted, or is stored.
  enum class message_is : bool { stored, submitted };
  impl(std::shared_ptr<core> owner, std::string message_id, message_is how)
      : owner_{std::move(owner)}, message_id_{std::move(message_id)}, how_{how} {}

  [[nodiscard]] const std::shared_ptr<core>& owner() const noexcept { return owner_; }
  [[nodiscard]] const std::string& message_id() const noexcept { return message_id_; }

  /// What became of what was submitted; from the committing thread.
  void decided(result<publish_receipt> outcome) {
    {
      const std::lock_guard guard{mutex_};
      outcome_ = std::move(outcome);
    }
    owner_->tickets().tell(message_id_);
  }
  /// Nothing where it is not known yet.
  [[nodiscard]] std::optional<result<publish_receipt>> outcome() const {
    const std::lock_guard guard{mutex_};
    return outcome_;
  }

  /// What is known, or nothing where there is something to be waited for, until then at most.
  [[nodiscard]] std::optional<result<std::optional<publish_receipt>>> look_committed(
      clock::steady_time deadline) const {
    if (how_ == message_is::stored) {
      auto row = read();
      if (!row) return row.error();
      return std::optional{receipt_of(*row)};
    }
    if (const auto known = outcome()) {
      if (!*known) return known->error();
      return std::optional{**known};
    }
    if (owner_->time().steady() >= deadline) return std::optional<publish_receipt>{};
    return std::nullopt;
  }
  [[nodiscard]] std::optional<result<ticket_status>> look_settled(clock::steady_time deadline) const {
    const bool in_time = owner_->time().steady() < deadline;
    if (how_ == message_is::submitted) {
      const auto known = outcome();
      if (known && !*known) return known->error();
      if (!known) return in_time ? std::optional<result<ticket_status>>{} : ticket_status{};
    }
    auto row = read();
    if (!row) return row.error();
    if (row->settled == 0 && in_time) return std::nullopt;
    return status_of(*row);
  }

  [[nodiscard]] result<std::vector<std::string>> outstanding() const {
    const std::string operation = fmt::format("look up ticket '{}'", message_id_);
    const auto access = owner_->enter(operation);
    if (!access) return access.error();
    auto txn = storage::read_transaction::begin(access->main().env());
    if (!txn) return txn.error();
    auto row = queue::read_ticket(*txn, access->main().tables(), message_id_);
    if (!row) return row.error();
    if (!*row) return unknown(operation);
    std::vector<std::string> names;
    for (const auto& queue : owner_->all_queues()) {
      auto open = queue::is_open(*txn, access->main().tables(), queue->state.id(), (*row)->where);
      if (!open) return open.error();
      if (*open) names.push_back(queue->state.name());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  [[nodiscard]] result<queue::ticket_row> read() const {
    const std::string operation = fmt::format("look up ticket '{}'", message_id_);
    const auto access = owner_->enter(operation);
    if (!access) return access.error();
    auto txn = storage::read_transaction::begin(access->main().env());
    if (!txn) return txn.error();
    auto row = queue::read_ticket(*txn, access->main().tables(), message_id_);
    if (!row) return row.error();
    if (!*row) return unknown(operation);
    return **row;
  }

 private:
  static error unknown(const std::string& operation) {
    return {errc::unknown_ticket, fmt::format("{}: nothing is known of such a message", operation)};
  }

  [[nodiscard]] publish_receipt receipt_of(const queue::ticket_row& row) const {
    publish_receipt receipt;
    if (const auto exchange = owner_->find_topic(row.where.log)) receipt.topic = exchange->state.name();
    receipt.partition = partition_id{row.where.partition};
    receipt.offset = offset{row.where.offset};
    receipt.time = to_timestamp(row.published);
    receipt.routed = row.routed;
    receipt.refused = row.refused;
    if (row.due != 0) receipt.due = to_timestamp(row.due);
    return receipt;
  }

  static ticket_status status_of(const queue::ticket_row& row) {
    ticket_status status;
    status.committed = true;
    if (row.due != 0) status.due = to_timestamp(row.due);
    status.routed = row.routed;
    status.unsettled = row.due != 0 ? 0 : row.unsettled;
    status.acknowledged = row.acknowledged;
    status.expired = row.expired;
    status.dead_lettered = row.dead_lettered;
    status.discarded = row.discarded;
    if (row.settled != 0) status.settled = to_timestamp(row.settled);
    return status;
  }

  const std::shared_ptr<core> owner_;
  const std::string message_id_;
  const message_is how_;
  mutable std::mutex mutex_;  // guards what follows
  std::optional<result<publish_receipt>> outcome_;
};

namespace {

/// Waits until `look(deadline)` has an answer, which it must have at the deadline.
template <class Look>
auto wait_for(const std::shared_ptr<core>& owner, const std::string& message_id,
              std::chrono::milliseconds timeout, const Look& look)
    -> std::remove_reference_t<decltype(*look(clock::steady_time{}))> {
  // Where the bus is closed, or is the parent's, there is still an answer: that of `look`.
  if (auto allowed = owner->check_open("wait for a ticket"); !allowed && allowed.error() != errc::closed)
    return allowed.error();
  const auto deadline = deadline_after(owner->time(), timeout);
  const ticket_desk::watcher watching{owner, message_id};
  for (;;) {
    const std::uint64_t seen = watching.signalled()->signals();
    if (auto found = look(deadline)) return std::move(*found);
    watching.signalled()->wait(owner->time(), seen, deadline);
  }
}

template <class T, class Look>
void start_waiting_for(const std::shared_ptr<core>& owner, const std::string& message_id,
                       std::chrono::milliseconds timeout, const Look& look, detail::completion<T> done) {
  const auto deadline = deadline_after(owner->time(), timeout);
  const auto watching = std::make_shared<ticket_desk::watcher>(owner, message_id);
  waiting_call<T>::start(
      owner, watching->signalled(), deadline,
      [watching, deadline, look](clock::steady_time&) { return look(deadline); }, std::move(done));
}

}  // namespace

ticket::ticket(std::shared_ptr<const impl> self) noexcept : impl_{std::move(self)} {}

const std::string& ticket::message_id() const noexcept {
  return impl_->message_id();
}

result<std::optional<publish_receipt>> ticket::committed(std::chrono::milliseconds timeout) const {
  return wait_for(impl_->owner(), impl_->message_id(), timeout,
                  [this](clock::steady_time deadline) { return impl_->look_committed(deadline); });
}

result<ticket_status> ticket::settled(std::chrono::milliseconds timeout) const {
  return wait_for(impl_->owner(), impl_->message_id(), timeout,
                  [this](clock::steady_time deadline) { return impl_->look_settled(deadline); });
}

result<std::vector<std::string>> ticket::outstanding() const {
  return impl_->outstanding();
}

void ticket::start_committed(const std::shared_ptr<const impl>& self, std::chrono::milliseconds timeout,
                             detail::completion<std::optional<publish_receipt>> done) {
  start_waiting_for<std::optional<publish_receipt>>(
      self->owner(), self->message_id(), timeout,
      [self](clock::steady_time deadline) { return self->look_committed(deadline); }, std::move(done));
}

void ticket::start_settled(const std::shared_ptr<const impl>& self, std::chrono::milliseconds timeout,
                           detail::completion<ticket_status> done) {
  start_waiting_for<ticket_status>(
      self->owner(), self->message_id(), timeout,
      [self](clock::steady_time deadline) { return self->look_settled(deadline); }, std::move(done));
}

result<ticket> bus::publish_tracked(std::string_view exchange, std::string_view routing_key, record r,
                                    publish_options options) {
  if (r.properties().message_id.empty())
    r.message_id(boost::uuids::to_string(boost::uuids::random_generator{}()));
  options.track = true;
  const auto self = std::make_shared<ticket::impl>(impl_->owner, r.properties().message_id,
                                                   ticket::impl::message_is::submitted);
  submit_message(*impl_->owner, exchange, routing_key, r, options,
                 [self](result<publish_receipt> outcome) { self->decided(std::move(outcome)); });
  if (const auto known = self->outcome(); known && !*known) return known->error();
  return ticket{self};
}

result<ticket> bus::find_ticket(std::string_view message_id) const {
  const auto self = std::make_shared<const ticket::impl>(impl_->owner, std::string{message_id},
                                                         ticket::impl::message_is::stored);
  if (auto known = self->read(); !known) return known.error();
  return ticket{self};
}

result<bool> bus::forget_ticket(std::string_view message_id) {
  return impl_->owner->tickets().forget(std::string{message_id});
}

}  // namespace levada
