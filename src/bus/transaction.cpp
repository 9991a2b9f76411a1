#include <levada/transaction.hpp>

#include <fmt/format.h>

#include <span>
#include <utility>

#include "bus/catalog_intents.hpp"
#include "bus/consumer_impl.hpp"
#include "bus/find.hpp"
#include "bus/pending.hpp"
#include "bus/queue_impl.hpp"
#include "bus/share_consumer_impl.hpp"
#include "bus/table_impl.hpp"
#include "bus/topic_impl.hpp"
#include "bus/transaction_impl.hpp"
#include "storage/host_table.hpp"
#include "storage/row.hpp"

namespace levada {
namespace {

std::uint64_t hash_of_value(std::string_view value) noexcept {
  return storage::records_hash(std::as_bytes(std::span{value.data(), value.size()}));
}

void note_commit(commit_scope& scope) noexcept {
  scope.owner().counted().commits.transactions.add_alone();
}

error conflict(const table_slot& table) {
  return {errc::conflict, fmt::format("what was read of table '{}' has changed since", table.name)};
}

}  // namespace

// Where a transaction stands

result<std::optional<core::access>> transaction::impl::enter(std::string_view operation) {
  if (doomed_) return *doomed_;
  if (ended_ || submitted_ || (!collects_ && scope_ == nullptr)) {
    return error{errc::invalid_argument, fmt::format("{}: the transaction has ended", operation)};
  }
  if (collects_) {
    auto entered = owner_->enter(operation);
    if (!entered) return entered.error();
    return std::optional<core::access>{std::move(*entered)};
  }
  if (owner_->time().steady() <= deadline_) return std::optional<core::access>{};
  return doom({errc::transaction_expired,
               fmt::format("{}: the transaction's function has taken longer than it may", operation)});
}

error transaction::impl::doom(error why) {
  doomed_ = why;
  return why;
}

result<void> transaction::impl::take_room(std::string_view operation, std::size_t bytes) {
  if (bytes_ + bytes > transaction_bytes_max) {
    return error{errc::batch_too_large,
                 fmt::format("{}: with this the transaction would have {} bytes, the limit is {}", operation,
                             bytes_ + bytes, transaction_bytes_max)};
  }
  bytes_ += bytes;
  return {};
}

void transaction::impl::end(bool committed, errc why) noexcept {
  if (std::exchange(ended_, true)) return;
  if (!committed && (why == errc::conflict || (doomed_ && *doomed_ == errc::conflict)))
    owner_->counted().others.conflicts.add();
  for (const auto& part : parts_) part->decided(committed);
}

transaction_receipt transaction::impl::receipt() const {
  transaction_receipt r;
  for (const auto& part : parts_) {
    if (auto published = part->receipt()) r.published.push_back(std::move(*published));
  }
  return r;
}

// Parts

result<void> transaction::impl::add(std::string_view operation,
                                    const std::function<result<std::unique_ptr<transaction_part>>()>& make) {
  auto entered = enter(operation);
  if (!entered) return entered.error();
  auto part = make();
  if (!part) return part.error();
  if (auto fits = take_room(operation, (*part)->bytes()); !fits) {
    (*part)->decided(false);
    return fits;
  }
  if (scope_ != nullptr) {
    auto done = (*part)->prepare();
    if (done) done = (*part)->execute(*scope_);
    if (!done) {
      bytes_ -= (*part)->bytes();
      (*part)->decided(false);
      return scope_->broken() ? result<void>{doom(done.error())} : done;
    }
  }
  parts_.push_back(std::move(*part));
  return {};
}

// Tables

result<storage::read_transaction> transaction::impl::snapshot(const core::access& access) {
  auto txn = storage::read_transaction::begin(access.main().env());
  if (!txn) return txn;
  if (snapshot_ && *snapshot_ != txn->id()) {
    if (auto same = check_reads(*txn, access.main().tables()); !same) return doom(same.error());
  }
  snapshot_ = txn->id();
  return txn;
}

result<void> transaction::impl::check_reads(const storage::transaction& txn,
                                            const storage::main_tables& tables) {
  for (const value_read& read : reads_) {
    auto now = storage::get_host_value(txn, tables, read.table->id, read.key);
    if (!now) return now.error();
    const auto hash = *now ? std::optional{hash_of_value(**now)} : std::nullopt;
    if (read.table->deleted || hash != read.hash) return conflict(*read.table);
  }
  for (const range_seen& seen : ranges_) {
    auto now = hash_range(txn, tables, seen.table->id, seen.range);
    if (!now) return now.error();
    if (seen.table->deleted || *now != seen.range.hash) return conflict(*seen.table);
  }
  return {};
}

result<std::optional<std::string>> transaction::impl::read_value(const core::access& access,
                                                                 const std::shared_ptr<table_slot>& table,
                                                                 const std::string& key) {
  auto txn = snapshot(access);
  if (!txn) return txn.error();
  auto value = storage::get_host_value(*txn, access.main().tables(), table->id, key);
  if (!value) return value.error();
  reads_.push_back({table, key, *value ? std::optional{hash_of_value(**value)} : std::nullopt});
  return value;
}

result<std::optional<std::string>> transaction::impl::get(const std::shared_ptr<table_slot>& table,
                                                          const table_key& key) {
  const std::string operation = table_operation("get from", *table);
  auto entered = enter(operation);
  if (!entered) return entered.error();
  if (auto fits = check_table_key(operation, key); !fits) return fits.error();
  if (table->deleted) return table_is_gone(*table);
  const std::string stored = storage::host_key(key.encoded());
  if (scope_ != nullptr) return storage::get_host_value(scope_->txn(), scope_->tables(), table->id, stored);
  if (const auto own = written_.find(table->id); own != written_.end()) {
    if (const auto found = own->second.writes.find(stored); found != own->second.writes.end())
      return found->second;
  }
  return read_value(**entered, table, stored);
}

result<void> transaction::impl::write(const std::string& operation, const std::shared_ptr<table_slot>& table,
                                      const table_key& key, std::optional<std::string_view> value) {
  if (auto fits = take_room(operation, key.encoded().size() + (value ? value->size() : 0)); !fits)
    return fits;
  auto& writes = written_.try_emplace(table->id, written_table{table, {}}).first->second.writes;
  writes[storage::host_key(key.encoded())] = value ? std::optional{std::string{*value}} : std::nullopt;
  return {};
}

result<void> transaction::impl::put(const std::shared_ptr<table_slot>& table, const table_key& key,
                                    std::string_view value) {
  const std::string operation = table_operation("put into", *table);
  auto entered = enter(operation);
  if (!entered) return entered.error();
  if (auto fits = check_table_key(operation, key); !fits) return fits;
  if (auto fits = check_table_value(operation, value); !fits) return fits;
  if (table->deleted) return table_is_gone(*table);
  if (scope_ == nullptr) return write(operation, table, key, value);
  if (auto fits = take_room(operation, key.encoded().size() + value.size()); !fits) return fits;
  auto put = scope_->written(storage::put_host_value(scope_->txn(), scope_->tables(), table->id,
                                                     storage::host_key(key.encoded()), value));
  return put ? put : result<void>{doom(put.error())};
}

result<bool> transaction::impl::erase(const std::shared_ptr<table_slot>& table, const table_key& key) {
  if (scope_ == nullptr) {
    auto there = get(table, key);
    if (!there) return there.error();
    if (auto noted = write(table_operation("erase from", *table), table, key, std::nullopt); !noted)
      return noted.error();
    return there->has_value();
  }
  const std::string operation = table_operation("erase from", *table);
  auto entered = enter(operation);
  if (!entered) return entered.error();
  if (auto fits = check_table_key(operation, key); !fits) return fits.error();
  if (table->deleted) return table_is_gone(*table);
  auto erased = scope_->written(storage::erase_host_value(scope_->txn(), scope_->tables(), table->id,
                                                          storage::host_key(key.encoded())));
  if (!erased) return doom(erased.error());
  return *erased;
}

result<std::vector<table_entry>> transaction::impl::scan(const std::shared_ptr<table_slot>& table,
                                                         const key_range& range,
                                                         const scan_options& options) {
  const std::string operation = table_operation("scan", *table);
  auto entered = enter(operation);
  if (!entered) return entered.error();
  if (auto fits = check_scan(operation, options); !fits) return fits.error();
  if (table->deleted) return table_is_gone(*table);
  if (scope_ != nullptr) {
    auto found = scan_table(scope_->txn(), scope_->tables(), *table, range, options);
    if (!found) return found.error();
    return std::move(found->entries);
  }
  const core::access& access = **entered;
  auto txn = snapshot(access);
  if (!txn) return txn.error();
  static const table_writes none;
  const auto own = written_.find(table->id);
  const table_writes& writes = own == written_.end() ? none : own->second.writes;
  auto found = scan_table(*txn, access.main().tables(), *table, range, options, writes);
  if (!found) return found.error();
  ranges_.push_back({table, std::move(found->read)});
  return std::move(found->entries);
}

// In the middle of a commit

/// Runs in the thread that waits for it, as it commits alone.
class transaction::impl::function_intent final : public intent {
 public:
  function_intent(impl& what, const std::function<result<void>(transaction&)>& function)
      : intent{1}, what_{what}, function_{function} {}  // whatever it publishes needs room
  [[nodiscard]] bool alone() const noexcept override { return true; }
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return what_.call(scope, function_); }
  void applied(commit_scope& scope) noexcept override { note_commit(scope); }

 private:
  impl& what_;
  const std::function<result<void>(transaction&)>& function_;
};

result<void> transaction::impl::call(commit_scope& scope,
                                     const std::function<result<void>(transaction&)>& function) {
  scope_ = &scope;
  result<void> outcome{};
  {
    const core::mid_commit inside{*owner_};
    transaction handle{shared_from_this()};
    try {
      outcome = function(handle);
    } catch (...) {
      thrown_ = std::current_exception();
      outcome = error{errc::operation_aborted, "the function has thrown an exception"};
    }
    if (outcome && ended_) outcome = error{errc::operation_aborted, "the function has aborted it"};
    if (outcome) {
      if (auto still = enter("transact"); !still) outcome = still.error();
    }
    // Destroying the handle must not end what is about to be committed.
    handle.impl_.reset();
  }
  scope_ = nullptr;
  if (outcome) return outcome;
  if (!scope.broken()) owner_->counted().commits.undone.add_alone();
  return scope.undo(outcome.error());
}

result<transaction_receipt> transaction::impl::run(std::shared_ptr<core> owner,
                                                   const std::function<result<void>(transaction&)>& function,
                                                   const transact_options& options) {
  if (options.time_max.count() < 1) {
    return error{errc::invalid_argument,
                 fmt::format("transact: time_max is {} ms, the least is 1", options.time_max.count())};
  }
  const auto self = std::make_shared<impl>(owner);
  self->collects_ = false;
  result<void> own_outcome{};
  const std::function<result<void>(transaction&)> timed = [&](transaction& t) {
    self->deadline_ = deadline_after(owner->time(), options.time_max);
    own_outcome = function(t);
    return own_outcome;
  };
  function_intent runs{*self, timed};
  auto done = owner->run("transact", runs);
  self->end(done.has_value());
  owner->hand_over_left();
  if (self->thrown_) std::rethrow_exception(self->thrown_);
  if (!own_outcome) return own_outcome.error();
  if (!done) return done.error();
  for (const auto& part : self->parts_) part->noted();
  return self->receipt();
}

// Collecting

result<void> transaction::impl::execute(commit_scope& scope) {
  for (const auto& [id, to] : written_) {
    if (to.table->deleted) return table_is_gone(*to.table);
  }
  if (auto same = check_reads(scope.txn(), scope.tables()); !same) return same;
  // From here on a failure undoes what this, and so the whole group, has written; it is repeated without it.
  bool first = true;
  for (const auto& part : parts_) {
    if (auto done = part->execute(scope); !done) return first ? done : scope.undo(done.error());
    first = false;
  }
  for (const auto& [id, to] : written_) {
    for (const auto& [key, value] : to.writes) {
      if (value) {
        auto put = scope.written(storage::put_host_value(scope.txn(), scope.tables(), id, key, *value));
        if (!put) return put;
      } else {
        auto erased = scope.written(storage::erase_host_value(scope.txn(), scope.tables(), id, key));
        if (!erased) return erased.error();
      }
    }
  }
  return {};
}

class transaction::impl::collected_intent final : public intent {
 public:
  explicit collected_intent(impl& what) : intent{what.bytes_}, what_{what} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return what_.execute(scope); }
  void applied(commit_scope& scope) noexcept override { note_commit(scope); }

 private:
  impl& what_;
};

/// One that nobody waits for.
class transaction::impl::submitted_transaction final : public intent {
 public:
  submitted_transaction(std::shared_ptr<impl> what, pending<transaction_receipt> answer)
      : intent{what->bytes_}, what_{std::move(what)}, answer_{std::move(answer)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override { return what_->execute(scope); }
  void applied(commit_scope& scope) noexcept override { note_commit(scope); }
  void finished(result<void> outcome) noexcept override {
    what_->end(outcome.has_value(), outcome ? errc{} : outcome.error().code());
    auto executor = answer_.executor();
    post_to(std::move(executor),
            [what = std::move(what_), answer = std::move(answer_), outcome = std::move(outcome)]() mutable {
              if (!outcome) return answer.answer_here(outcome.error());
              for (const auto& part : what->parts_) part->noted();
              answer.answer_here(what->receipt());
            });
  }

 private:
  std::shared_ptr<impl> what_;
  pending<transaction_receipt> answer_;
};

result<void> transaction::impl::prepare() {
  for (const auto& part : parts_) {
    if (auto done = part->prepare(); !done) return done;
  }
  return {};
}

result<void> transaction::impl::may_commit(std::string_view operation) {
  if (!collects_) {
    return error{errc::invalid_argument,
                 fmt::format("{}: a transaction of `transact` commits when its function returns", operation)};
  }
  auto entered = enter(operation);
  if (entered) return {};
  end(false);
  return entered.error();
}

result<transaction_receipt> transaction::impl::commit() {
  constexpr const char* operation = "commit transaction";
  if (auto may = may_commit(operation); !may) return may.error();
  collected_intent commits{*this};
  // Held until the parts know: closing the bus notes what is unsettled only then.
  const auto entered = owner_->enter_with_room(operation, commits);
  auto done = entered ? prepare() : result<void>{entered.error()};
  if (done) done = owner_->run(*entered, operation, commits);
  end(done.has_value(), done ? errc{} : done.error().code());
  if (!done) return done.error();
  for (const auto& part : parts_) part->noted();
  return receipt();
}

void transaction::impl::start_commit(const std::shared_ptr<impl>& self,
                                     detail::completion<transaction_receipt> done) {
  pending<transaction_receipt> answer{std::move(done), *self->owner_};
  auto may = self->may_commit("commit transaction");
  if (may) may = self->prepare();
  if (!may) {
    self->end(false);
    answer.answer(may.error());
    return;
  }
  self->submitted_ = true;
  self->owner_->submit("commit transaction",
                       std::make_unique<submitted_transaction>(self, std::move(answer)));
}

// transaction

transaction::transaction(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
transaction::transaction(transaction&&) noexcept = default;
transaction& transaction::operator=(transaction&& other) noexcept {
  if (this != &other) {
    abort();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
transaction::~transaction() {
  abort();
}

result<void> transaction::publish(const topic& to, const record& r) {
  return impl_->add("publish",
                    [&] { return make_append_part(*impl_->owner(), to.impl_->slot, std::nullopt, r); });
}
result<void> transaction::publish(const topic& to, partition_id partition, const record& r) {
  return impl_->add("publish",
                    [&] { return make_append_part(*impl_->owner(), to.impl_->slot, partition, r); });
}
result<void> transaction::publish(std::string_view topic, const record& r) {
  return impl_->add("publish", [&]() -> result<std::unique_ptr<transaction_part>> {
    auto slot = find_plain_topic(*impl_->owner(), "publish", topic);
    if (!slot) return slot.error();
    return make_append_part(*impl_->owner(), std::move(*slot), std::nullopt, r);
  });
}
result<void> transaction::publish(std::string_view exchange, std::string_view routing_key, const record& r,
                                  const publish_options& options) {
  return impl_->add("publish",
                    [&] { return make_route_part(*impl_->owner(), exchange, routing_key, r, options); });
}

result<void> transaction::send_offsets(consumer& of) {
  return impl_->add("send offsets", [&] { return consumer::impl::make_part(of.impl_, std::nullopt); });
}
result<void> transaction::send_offsets(consumer& of, const topic_partition& where, offset next) {
  return impl_->add("send offsets", [&] {
    return consumer::impl::make_part(of.impl_, std::vector{offset_commit{where, next}});
  });
}

result<void> transaction::ack(queue_consumer& of, delivery_tag tag) {
  return impl_->add("ack", [&] { return of.impl_->state->make_part(settling::done, tag); });
}
result<void> transaction::reject(queue_consumer& of, delivery_tag tag) {
  return impl_->add("reject", [&] { return of.impl_->state->make_part(settling::rejected, tag); });
}
result<void> transaction::ack(share_consumer& of, delivery_tag tag) {
  return impl_->add("ack", [&] { return of.impl_->make_part(tag, acknowledge_type::accept); });
}
result<void> transaction::reject(share_consumer& of, delivery_tag tag) {
  return impl_->add("reject", [&] { return of.impl_->make_part(tag, acknowledge_type::reject); });
}

result<std::optional<std::string>> transaction::get(const table& from, const table_key& key) {
  return impl_->get(from.impl_->slot, key);
}
result<void> transaction::put(const table& into, const table_key& key, std::string_view value) {
  return impl_->put(into.impl_->slot, key, value);
}
result<bool> transaction::erase(const table& from, const table_key& key) {
  return impl_->erase(from.impl_->slot, key);
}
result<std::vector<table_entry>> transaction::scan(const table& of, const key_range& range,
                                                   const scan_options& options) {
  return impl_->scan(of.impl_->slot, range, options);
}

result<transaction_receipt> transaction::commit() {
  return impl_->commit();
}
void transaction::start_commit(const std::shared_ptr<impl>& self,
                               detail::completion<transaction_receipt> done) {
  impl::start_commit(self, std::move(done));
}
void transaction::abort() noexcept {
  if (impl_) impl_->abort();
}

}  // namespace levada
