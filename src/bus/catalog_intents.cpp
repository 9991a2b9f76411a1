#include "bus/catalog_intents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "bus/add_intent.hpp"
#include "group/offset_table.hpp"
#include "log/producer_table.hpp"

namespace levada {
namespace {

const char* kind_of(std::uint8_t exchange) noexcept {
  if (exchange == 0) return "a topic";
  switch (static_cast<exchange_type>(exchange)) {
    case exchange_type::direct:
      return "a direct exchange";
    case exchange_type::fanout:
      return "a fanout exchange";
    case exchange_type::topic:
      return "a topic exchange";
    case exchange_type::headers:
      return "a headers exchange";
    case exchange_type::consistent_hash:
      return "a consistent-hash exchange";
  }
  return "an exchange";
}

/// The first in which what exists is not what is wanted.
std::optional<std::string> difference_of(const storage::log_entry& is, const storage::log_entry& wanted) {
  if (is.exchange != wanted.exchange)
    return fmt::format("as {}, not {}", kind_of(is.exchange), kind_of(wanted.exchange));
  if (is.partitions != wanted.partitions)
    return fmt::format("with {} partitions, not {}", is.partitions, wanted.partitions);
  const auto yes_or_no = [](const char* what, bool there) {
    return fmt::format("{} {}, not {} it", there ? "with" : "without", what, there ? "without" : "with");
  };
  if (is.create_time != wanted.create_time) return yes_or_no("create times", is.create_time);
  const auto& has = is.traits;
  const auto& asked = wanted.traits;
  if (has.transient != asked.transient) return yes_or_no("durability", !has.transient);
  if (has.auto_delete != asked.auto_delete) return yes_or_no("auto_delete", has.auto_delete);
  if (has.internal != asked.internal) return yes_or_no("internal", has.internal);
  if (has.alternate != asked.alternate) {
    return fmt::format("with the alternate exchange '{}', not '{}'", has.alternate, asked.alternate);
  }
  if (has.hash != asked.hash || has.hash_header != asked.hash_header)
    return std::string{"and hashes something else"};
  if (has.overflow != asked.overflow) return std::string{"with another overflow scope"};
  if (has.delayed != asked.delayed) return yes_or_no("delayed", has.delayed);
  return std::nullopt;
}

class add_log final : public add_intent<storage::log_entry> {
 public:
  using add_intent::add_intent;

 private:
  result<void> check(core& owner) override {
    const auto found = owner.find_topic(entry_.name);
    if (!found) return {};
    exists_ = true;
    const auto different = difference_of(found->entry, entry_);
    if (!different) return {};
    return error{errc::inequivalent, fmt::format("'{}' exists {}", entry_.name, *different)};
  }
  result<void> complete(commit_scope& scope) override {
    entry_.created = scope.now();
    return {};
  }
};

/// A group; and, of a share group, the queue of what it has in flight.
class add_group final : public catalog_intent {
 public:
  add_group(std::string_view name, group_kind kind) : group_{0, std::string{name}, 0, {}} {
    if (kind == group_kind::share) in_flight_ = {0, std::string{name}, false, 0};
  }
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    exists_ = scope.owner().find_group(group_.name) != nullptr;
    if (exists_) return {};
    auto id = scope.owner().take_id(scope);
    if (!id) return id.error();
    group_.id = *id;
    auto stored = scope.written(storage::put(scope.txn(), scope.tables(), group_));
    if (!stored || !in_flight_) return stored;
    auto queue = scope.owner().take_id(scope);
    if (!queue) return queue.error();
    in_flight_->id = *queue;
    in_flight_->share_group = *id;
    in_flight_->created = scope.now();
    return scope.written(storage::put(scope.txn(), scope.tables(), *in_flight_));
  }
  void applied(commit_scope& scope) noexcept override {
    if (!exists_) scope.owner().add(group_, in_flight_ ? &*in_flight_ : nullptr);
  }

 private:
  storage::group_entry group_;
  std::optional<storage::queue_entry> in_flight_;
  bool exists_ = false;
};

class add_table final : public add_intent<storage::table_entry> {
 public:
  using add_intent::add_intent;

 private:
  result<void> check(core& owner) override {
    exists_ = owner.find_table(entry_.name) != nullptr;
    return {};
  }
};

class remove_table final : public catalog_intent {
 public:
  explicit remove_table(table_slot& table) : table_{table} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (table_.deleted) return table_is_gone(table_);
    return scope.written(storage::erase_table(scope.txn(), scope.tables(), table_.id));
  }
  void applied(commit_scope& scope) noexcept override { scope.owner().remove_table(table_.name); }

 private:
  table_slot& table_;
};

error topic_is_gone(const topic_slot& topic) {
  return {errc::unknown_topic, fmt::format("topic '{}' is deleted", topic.state.name())};
}

class policy_intent final : public catalog_intent {
 public:
  policy_intent(topic_slot& log, const std::function<void(storage::log_policy&)>& change)
      : log_{log}, change_{change} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (log_.state.deleted()) return topic_is_gone(log_);
    storage::log_entry changed = log_.entry;
    change_(changed.policy);
    policy_ = changed.policy;
    return scope.written(storage::put(scope.txn(), scope.tables(), changed));
  }
  void applied(commit_scope&) noexcept override {
    log_.entry.policy = policy_;
    const std::lock_guard guard{log_.state.mutex()};
    log_.state.set_policy(policy_);
  }

 private:
  topic_slot& log_;
  const std::function<void(storage::log_policy&)>& change_;
  storage::log_policy policy_;
};

class remove_topic final : public catalog_intent {
 public:
  explicit remove_topic(topic_slot& topic) : topic_{topic} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (topic_.state.deleted()) return topic_is_gone(topic_);
    const std::uint32_t id = topic_.state.id();
    auto offsets = scope.written(group::erase_offsets_of(scope.txn(), scope.tables(), id));
    if (!offsets) return offsets;
    auto producers = scope.written(log::erase_producers_of(scope.txn(), scope.tables(), id));
    if (!producers) return producers;
    ++scope.store().layout;
    return scope.written(storage::erase_log(scope.txn(), scope.tables(), id));
  }
  void applied(commit_scope& scope) noexcept override { scope.owner().remove_topic(topic_.state.id()); }

 private:
  topic_slot& topic_;
};

}  // namespace

result<void> check_partitions(std::string_view what, std::string_view name, std::uint32_t partitions) {
  constexpr std::uint32_t partitions_max = 4096;
  if (partitions >= 1 && partitions <= partitions_max) return {};
  return error{errc::invalid_argument, fmt::format("declare {} '{}': {} partitions, allowed is 1 to {}", what,
                                                   name, partitions, partitions_max)};
}

result<std::shared_ptr<topic_slot>> declare_log(core& owner, storage::log_entry entry) {
  const std::string name = entry.name;
  const std::string operation =
      fmt::format("declare {} '{}'", entry.exchange == 0 ? "topic" : "exchange", name);
  add_log intent{std::move(entry)};
  if (auto done = owner.run(operation, intent); !done) return done.error();
  return owner.find_topic(name);
}

result<void> change_policy(core& owner, topic_slot& log, std::string_view operation,
                           const std::function<void(storage::log_policy&)>& change) {
  policy_intent intent{log, change};
  return owner.run(operation, intent);
}

result<void> delete_topic(core& owner, const core::access& access, topic_slot& topic) {
  remove_topic intent{topic};
  return owner.run(access, fmt::format("delete topic '{}'", topic.state.name()), intent);
}

result<std::shared_ptr<group_slot>> declare_group(core& owner, std::string_view name, group_kind kind) {
  for (;;) {
    if (auto found = owner.find_group(name)) return found;
    add_group intent{name, kind};
    const char* const verb = kind == group_kind::share ? "join share group" : "join group";
    if (auto done = owner.run(fmt::format("{} '{}'", verb, name), intent); !done) return done.error();
    // Another may delete it before it is found: then it is made once more.
  }
}

error table_is_gone(const table_slot& table) {
  return {errc::unknown_table, fmt::format("table '{}' is deleted", table.name)};
}

result<std::shared_ptr<table_slot>> declare_table(core& owner, std::string_view name) {
  const std::string operation = fmt::format("declare table '{}'", name);
  add_table intent{{0, std::string{name}}};
  if (auto done = owner.run(operation, intent); !done) return done.error();
  if (auto found = owner.find_table(name)) return found;
  return error{errc::unknown_table, fmt::format("{}: it was deleted at the same time", operation)};
}

result<void> delete_table(core& owner, table_slot& table) {
  const std::string operation = fmt::format("delete table '{}'", table.name);
  auto entered = owner.enter(operation);
  if (!entered) return entered.error();
  remove_table intent{table};
  if (auto done = owner.run(*entered, operation, intent); !done) return done;
  return owner.erase_table_rows(table.id);
}

}  // namespace levada
