#include "bus/topology.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "bus/add_intent.hpp"
#include "bus/backfill.hpp"
#include "bus/catalog_intents.hpp"
#include "bus/needless.hpp"
#include "bus/removal.hpp"
#include "bus/schedule.hpp"

namespace levada {
namespace {

std::string text_of(const std::optional<std::uint64_t>& n) {
  return n ? fmt::format("{}", *n) : "none";
}
std::string text_of(const std::optional<std::string>& name) {
  return name ? fmt::format("'{}'", *name) : "none";
}
std::string text_of(const std::optional<storage::redelivery_trait>& d) {
  return d ? fmt::format("{} ms times {} up to {} ms less {}", d->first, d->factor, d->most, d->jitter)
           : "none";
}

/// The first in which what exists is not what is wanted.
std::optional<std::string> difference_of(const storage::queue_traits& is,
                                         const storage::queue_traits& wanted) {
  const auto differs = [](const char* what, const std::string& has, const std::string& asked) {
    return fmt::format("with {} {}, not {}", what, has, asked);
  };
  if (is.transient != wanted.transient) return is.transient ? "without durability" : "with durability";
  if (is.message_ttl != wanted.message_ttl) {
    return differs("message_ttl", text_of(std::optional<std::uint64_t>{is.message_ttl}),
                   text_of(std::optional<std::uint64_t>{wanted.message_ttl}));
  }
  if (is.max_length != wanted.max_length)
    return differs("max_length", text_of(is.max_length), text_of(wanted.max_length));
  if (is.max_length_bytes != wanted.max_length_bytes)
    return differs("max_length_bytes", text_of(is.max_length_bytes), text_of(wanted.max_length_bytes));
  if (is.overflow != wanted.overflow) return std::string{"with another overflow"};
  if (is.dead_letter_exchange != wanted.dead_letter_exchange) {
    return differs("dead_letter_exchange", text_of(is.dead_letter_exchange),
                   text_of(wanted.dead_letter_exchange));
  }
  if (is.dead_letter_key != wanted.dead_letter_key)
    return differs("dead_letter_routing_key", text_of(is.dead_letter_key), text_of(wanted.dead_letter_key));
  if (is.delivery_limit != wanted.delivery_limit) {
    return differs("delivery_limit", text_of(std::optional<std::uint64_t>{is.delivery_limit}),
                   text_of(std::optional<std::uint64_t>{wanted.delivery_limit}));
  }
  if (is.redelivery != wanted.redelivery)
    return differs("redelivery_delay", text_of(is.redelivery), text_of(wanted.redelivery));
  if (is.auto_delete != wanted.auto_delete)
    return is.auto_delete ? "with auto_delete" : "without auto_delete";
  if (is.expires != wanted.expires) {
    return differs("expires", text_of(std::optional<std::uint64_t>{is.expires}),
                   text_of(std::optional<std::uint64_t>{wanted.expires}));
  }
  if (is.max_priority != wanted.max_priority) {
    return differs("max_priority", text_of(std::optional<std::uint64_t>{is.max_priority}),
                   text_of(std::optional<std::uint64_t>{wanted.max_priority}));
  }
  if (is.single_active_consumer != wanted.single_active_consumer)
    return is.single_active_consumer ? "with single_active_consumer" : "without single_active_consumer";
  return std::nullopt;
}

class add_queue final : public add_intent<storage::queue_entry> {
 public:
  using add_intent::add_intent;

 private:
  result<void> check(core& owner) override {
    const auto found = owner.find_queue(entry_.name);
    exists_ = found != nullptr;
    if (!found) return {};
    if (entry_.exclusive || found->state.exclusive()) {
      return error{errc::resource_locked,
                   found->state.exclusive() ? "it exists, and belongs to somebody" : "it exists, for all"};
    }
    const auto different = difference_of(found->declared, entry_.traits);
    if (different) return error{errc::inequivalent, fmt::format("it exists {}", *different)};
    owner.attends().note_use(*found);
    return {};
  }
  result<void> complete(commit_scope& scope) override {
    if (entry_.name.empty()) entry_.name = fmt::format("amq.gen-{}", entry_.id);
    entry_.created = scope.now();
    return {};
  }
};

error queue_is_gone(const queue_slot& queue) {
  return {errc::unknown_queue, fmt::format("queue '{}' is deleted", queue.state.name())};
}
error exchange_is_gone(const topic_slot& exchange) {
  return {errc::unknown_exchange, fmt::format("exchange '{}' is deleted", exchange.state.name())};
}

class remove_queue final : public catalog_intent {
 public:
  remove_queue(queue_slot& queue, const queue_deletion_options& options,
               std::optional<std::int64_t> unused_since)
      : queue_{queue}, options_{options}, unused_since_{unused_since} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (queue_.state.deleted) return queue_is_gone(queue_);
    if (unused_since_ && queue_.last_use != *unused_since_) return error{errc::in_use, "it has been used"};
    const std::uint32_t consumers = queue_.state.consumers;
    if (options_.if_unused && consumers > 0)
      return error{errc::in_use, fmt::format("it has {} consumers", consumers)};
    const auto row = queue_.state.row();
    if (options_.if_empty && row.left() > 0)
      return error{errc::not_empty, fmt::format("it holds {} messages", row.left())};
    what_.emplace(scope.owner());
    what_->queue(queue_.state.id());
    return what_->erase(scope);
  }
  void applied(commit_scope& scope) noexcept override { what_->apply(scope.owner()); }

 private:
  queue_slot& queue_;
  const queue_deletion_options options_;
  const std::optional<std::int64_t> unused_since_;
  std::optional<removal> what_;
};

class remove_exchange final : public catalog_intent {
 public:
  remove_exchange(topic_slot& exchange, const exchange_deletion_options& options)
      : exchange_{exchange}, options_{options} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (exchange_.orphan) return exchange_is_gone(exchange_);
    const std::uint32_t id = exchange_.state.id();
    if (const std::size_t n = scope.owner().bindings().count_from(id); options_.if_unused && n > 0)
      return error{errc::in_use, fmt::format("{} bindings lead from it", n)};
    what_.emplace(scope.owner());
    what_->exchange(id);
    return what_->erase(scope);
  }
  void applied(commit_scope& scope) noexcept override { what_->apply(scope.owner()); }

 private:
  topic_slot& exchange_;
  const exchange_deletion_options options_;
  std::optional<removal> what_;
};

class add_binding final : public add_intent<storage::binding_entry> {
 public:
  add_binding(const std::string& operation, storage::binding_entry entry, topic_slot& exchange,
              const start_position& from)
      : add_intent{std::move(entry)}, operation_{operation}, exchange_{exchange}, from_{from} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    past_.reset();
    if (auto added = add_intent::execute(scope); !added || exists_) return added;
    if (std::holds_alternative<from_latest>(from_)) return {};
    auto ends = positions_of(scope.owner(), operation_, exchange_, from_latest{});
    if (!ends) return ends.error();
    storage::backfill_entry what;
    what.binding = entry_.id;
    what.logs.push_back({entry_.exchange, begins_, std::move(*ends)});
    past_.emplace(*scope.owner().queue_of_binding(entry_.destination), std::move(what));
    return past_->write(scope);
  }
  void applied(commit_scope& scope) noexcept override {
    add_intent::applied(scope);
    if (past_) past_->apply(scope.owner());
  }

 private:
  result<void> check(core& owner) override {
    if (exchange_.orphan) return exchange_is_gone(exchange_);
    if (owner.queue_of_binding(entry_.destination) == nullptr &&
        owner.exchange_of_binding(entry_.destination) == nullptr) {
      return error{errc::unknown_queue, "what was to be bound has been deleted"};
    }
    exists_ = owner.bindings().find(entry_).has_value();
    return {};
  }
  result<void> complete(commit_scope& scope) override {
    if (scope.owner().queue_of_binding(entry_.destination) == nullptr) return {};
    auto since = positions_of(scope.owner(), operation_, exchange_, from_);
    if (!since) return since.error();
    begins_ = std::move(*since);
    // Nothing stands for an exchange that has no past, as most have when they are bound.
    const bool from_nothing = std::all_of(begins_.begin(), begins_.end(), [](auto at) { return at == 0; });
    entry_.since = from_nothing ? beginnings{} : begins_;
    return {};
  }

  const std::string& operation_;
  topic_slot& exchange_;
  const start_position from_;
  beginnings begins_;
  std::optional<backfill_beginning> past_;
};

class remove_binding final : public catalog_intent {
 public:
  explicit remove_binding(storage::binding_entry wanted) : wanted_{std::move(wanted)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    what_.emplace(scope.owner());
    if (const auto id = scope.owner().bindings().find(wanted_)) what_->binding(*id);
    return what_->erase(scope);
  }
  void applied(commit_scope& scope) noexcept override { what_->apply(scope.owner()); }

 private:
  storage::binding_entry wanted_;
  std::optional<removal> what_;
};

/// The entry of a binding. Fails where no binding can be like that.
result<storage::binding_entry> entry_of(const std::string& operation, const topic_slot& exchange,
                                        const binding_end& to, std::string_view key,
                                        const binding_arguments& arguments) {
  if (exchange.state.name().empty()) {
    return error{errc::access_refused,
                 fmt::format("{}: the default exchange routes to each queue by its name", operation)};
  }
  storage::binding_entry entry{0, exchange.state.id(), to.id, std::string{key}, arguments};
  std::sort(entry.arguments.begin(), entry.arguments.end(),
            [](const header& a, const header& b) { return a.name < b.name; });
  constexpr std::size_t arguments_bytes_max = 65'536;
  std::size_t bytes = 0;
  for (const header& a : entry.arguments) {
    if (a.name.empty() || a.name.size() > 255) {
      return error{errc::invalid_argument,
                   fmt::format("{}: the name of an argument has {} bytes, and may have 1 to 255", operation,
                               a.name.size())};
    }
    bytes += a.name.size() + 16;
    if (const auto* const text = std::get_if<std::string>(&a.value)) bytes += text->size();
    if (const auto* const data = std::get_if<binary>(&a.value)) bytes += data->size();
  }
  if (bytes > arguments_bytes_max) {
    return error{errc::field_too_long, fmt::format("{}: the arguments have {} bytes, the limit is {}",
                                                   operation, bytes, arguments_bytes_max)};
  }
  return entry;
}

/// Fails with what the exchange can make nothing of.
result<void> check_meaning(const std::string& operation, const topic_slot& exchange,
                           const storage::binding_entry& entry) {
  if (exchange.type() == exchange_type::headers) {
    if (const auto flaw = routing::flaw_of(entry.arguments))
      return error{errc::invalid_argument, fmt::format("{}: {}", operation, *flaw)};
  }
  if (exchange.type() == exchange_type::consistent_hash && !routing::weight_of(entry.key)) {
    return error{errc::invalid_argument,
                 fmt::format("{}: the key '{}' is no weight from 1 to 1,000,000", operation, entry.key)};
  }
  return {};
}

}  // namespace

result<void> delete_exchange(core& owner, topic_slot& exchange, const exchange_deletion_options& options) {
  const std::string operation = fmt::format("delete exchange '{}'", exchange.state.name());
  if (exchange.state.name().empty())
    return error{errc::access_refused, fmt::format("{}: the default exchange stays", operation)};
  remove_exchange intent{exchange, options};
  return owner.run(operation, intent);
}

result<std::shared_ptr<queue_slot>> declare_queue(core& owner, std::string_view name,
                                                  const storage::queue_traits& traits, queue_of whom) {
  add_queue intent{{0, std::string{name}, whom == queue_of::one, 0, 0, traits}};
  if (auto done = owner.run(fmt::format("declare queue '{}'", name), intent); !done) return done.error();
  if (auto found = owner.find_queue(intent.entry().name)) {
    owner.attends().note_use(*found);
    if (found->rules().expires) owner.attends().look_soon(found);
    return found;
  }
  return error{errc::unknown_queue, fmt::format("declare queue '{}': it was deleted at the same time", name)};
}

result<void> delete_queue(core& owner, queue_slot& queue, const queue_deletion_options& options,
                          std::optional<std::int64_t> unused_since) {
  const std::string operation = fmt::format("delete queue '{}'", queue.state.name());
  auto entered = owner.enter(operation);
  if (!entered) return entered.error();
  remove_queue intent{queue, options, unused_since};
  if (auto done = owner.run(*entered, operation, intent); !done) return done;
  return owner.erase_queue_rows(queue.state.id());
}

result<void> bind(core& owner, topic_slot& exchange, const binding_end& to, std::string_view key,
                  const binding_arguments& arguments, const binding_options& options) {
  const std::string operation = fmt::format(
      "bind {} '{}' to exchange '{}'", to.is_exchange ? "exchange" : "queue", to.name, exchange.state.name());
  if (to.is_exchange && to.name.empty()) {
    return error{errc::access_refused, fmt::format("{}: the default exchange cannot be bound", operation)};
  }
  auto entry = entry_of(operation, exchange, to, key, arguments);
  if (!entry) return entry.error();
  if (auto checked = check_meaning(operation, exchange, *entry); !checked) return checked;
  if (exchange.type() == exchange_type::consistent_hash &&
      !std::holds_alternative<from_latest>(options.from)) {
    return error{errc::invalid_argument,
                 fmt::format("{}: what it would have given to another binding is not known", operation)};
  }
  add_binding intent{operation, std::move(*entry), exchange, options.from};
  return owner.run(operation, intent);
}

result<void> unbind(core& owner, topic_slot& exchange, const binding_end& to, std::string_view key,
                    const binding_arguments& arguments) {
  const std::string operation =
      fmt::format("unbind {} '{}' from exchange '{}'", to.is_exchange ? "exchange" : "queue", to.name,
                  exchange.state.name());
  auto entry = entry_of(operation, exchange, to, key, arguments);
  if (!entry) return entry.error();
  remove_binding intent{std::move(*entry)};
  return owner.run(operation, intent);
}

result<void> erase_orphans(core& owner, const core::access& access) {
  std::vector<std::shared_ptr<topic_slot>> orphans;
  for (auto& topic : owner.all_topics()) {
    if (topic->orphan) orphans.push_back(std::move(topic));
  }
  if (orphans.empty()) return {};
  for (const auto& queue : owner.all_queues()) {
    auto done = for_each_reference(access.main(), queue->state.id(), [&](const queue::reference& where) {
      std::erase_if(orphans, [&](const auto& o) { return o->state.id() == where.log; });
    });
    if (!done) return done;
    if (orphans.empty()) return {};
  }
  std::vector<std::uint32_t> ids;
  for (const auto& orphan : orphans) ids.push_back(orphan->state.id());
  // What they would have routed.
  if (auto cancelled = cancel_delayed(owner, access, ids); !cancelled) return cancelled;
  for (const auto& orphan : orphans) {
    if (auto done = delete_topic(owner, access, *orphan); !done) return done;
  }
  return {};
}

}  // namespace levada
