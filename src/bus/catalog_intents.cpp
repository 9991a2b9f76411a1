#include "bus/catalog_intents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "group/offset_table.hpp"
#include "log/producer_table.hpp"

namespace levada {
namespace {

class catalog_intent : public intent {
 public:
  [[nodiscard]] bool alone() const noexcept override { return true; }
};

/// Stores an entry with a new id, if it is not there already.
template <class Entry>
class add_intent : public catalog_intent {
 public:
  explicit add_intent(Entry entry) : entry_{std::move(entry)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    exists_ = false;
    if (auto checked = check(scope.owner()); !checked) return checked;
    if (exists_) return {};
    auto id = scope.owner().take_id(scope);
    if (!id) return id.error();
    entry_.id = *id;
    complete(scope);
    return scope.written(storage::put(scope.txn(), scope.tables(), entry_));
  }
  void applied(commit_scope& scope) noexcept override {
    if (!exists_) scope.owner().add(entry_);
  }
  [[nodiscard]] const Entry& entry() const noexcept { return entry_; }

 protected:
  /// Looks at what exists now: sets `exists_`, or refuses.
  [[nodiscard]] virtual result<void> check(core& owner) = 0;
  /// Fills in what is known only now.
  virtual void complete(commit_scope&) {}

  Entry entry_;
  bool exists_ = false;
};

const char* kind_of(std::uint8_t exchange) noexcept {
  switch (exchange) {
    case 0:
      return "a topic";
    case static_cast<std::uint8_t>(exchange_type::direct):
      return "a direct exchange";
    case static_cast<std::uint8_t>(exchange_type::fanout):
      return "a fanout exchange";
    default:
      return "a topic exchange";
  }
}

class add_log final : public add_intent<storage::log_entry> {
 public:
  using add_intent::add_intent;

 private:
  result<void> check(core& owner) override {
    const auto found = owner.find_topic(entry_.name);
    if (!found) return {};
    exists_ = true;
    const auto& log = found->state;
    if (log.exchange() == entry_.exchange && log.partitions() == entry_.partitions &&
        log.create_time() == entry_.create_time) {
      return {};
    }
    const auto times = [](bool create) { return create ? " and create times" : ""; };
    return error{errc::inequivalent,
                 fmt::format("'{}' exists as {} with {} partitions{}, not {} with {}{}", entry_.name,
                             kind_of(log.exchange()), log.partitions(), times(log.create_time()),
                             kind_of(entry_.exchange), entry_.partitions, times(entry_.create_time))};
  }
  void complete(commit_scope& scope) override { entry_.created = scope.now(); }
};

class add_group final : public add_intent<storage::group_entry> {
 public:
  using add_intent::add_intent;

 private:
  result<void> check(core& owner) override {
    exists_ = owner.find_group(entry_.name) != nullptr;
    return {};
  }
};

class add_queue final : public add_intent<storage::queue_entry> {
 public:
  using add_intent::add_intent;

 private:
  result<void> check(core& owner) override {
    exists_ = !entry_.exclusive && owner.find_queue(entry_.name) != nullptr;
    return {};
  }
  void complete(commit_scope& scope) override {
    if (entry_.exclusive) entry_.name = fmt::format("amq.gen-{}", entry_.id);
    entry_.created = scope.now();
  }
};

std::optional<std::uint32_t> find_binding(const core& owner, const storage::binding_entry& wanted) {
  const auto& all = owner.bindings();
  const auto found = std::find_if(all.begin(), all.end(), [&](const storage::binding_entry& b) {
    return b.exchange == wanted.exchange && b.queue == wanted.queue && b.key == wanted.key;
  });
  return found == all.end() ? std::nullopt : std::optional{found->id};
}

error queue_is_gone(const queue_slot& queue) {
  return {errc::unknown_queue, fmt::format("queue '{}' is deleted", queue.state.name())};
}

class add_binding final : public add_intent<storage::binding_entry> {
 public:
  add_binding(storage::binding_entry entry, queue_slot& queue)
      : add_intent{std::move(entry)}, queue_{queue} {}

 private:
  result<void> check(core& owner) override {
    if (queue_.state.deleted) return queue_is_gone(queue_);
    exists_ = find_binding(owner, entry_).has_value();
    return {};
  }

  queue_slot& queue_;
};

class remove_binding final : public catalog_intent {
 public:
  explicit remove_binding(storage::binding_entry wanted) : wanted_{std::move(wanted)} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    id_ = find_binding(scope.owner(), wanted_);
    if (!id_) return {};
    return scope.written(storage::erase_binding(scope.txn(), scope.tables(), *id_));
  }
  void applied(commit_scope& scope) noexcept override {
    if (id_) scope.owner().remove_binding(*id_);
  }

 private:
  storage::binding_entry wanted_;
  std::optional<std::uint32_t> id_;
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

class remove_queue final : public catalog_intent {
 public:
  explicit remove_queue(queue_slot& queue) : queue_{queue} {}
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    if (queue_.state.deleted) return queue_is_gone(queue_);
    for (const auto& b : scope.owner().bindings()) {
      if (b.queue != queue_.state.id()) continue;
      auto erased = scope.written(storage::erase_binding(scope.txn(), scope.tables(), b.id));
      if (!erased) return erased;
    }
    return scope.written(storage::erase_queue(scope.txn(), scope.tables(), queue_.state.id()));
  }
  void applied(commit_scope& scope) noexcept override { scope.owner().remove_queue(queue_.state.id()); }

 private:
  queue_slot& queue_;
};

}  // namespace

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

result<void> delete_topic(core& owner, topic_slot& topic) {
  remove_topic intent{topic};
  return owner.run(fmt::format("delete topic '{}'", topic.state.name()), intent);
}

result<std::shared_ptr<group_slot>> declare_group(core& owner, std::string_view name) {
  for (;;) {
    if (auto found = owner.find_group(name)) return found;
    add_group intent{{0, std::string{name}, 0, {}}};
    if (auto done = owner.run(fmt::format("join group '{}'", name), intent); !done) return done.error();
    // Another may delete it before it is found: then it is made once more.
  }
}

result<std::shared_ptr<queue_slot>> declare_queue(core& owner, std::string_view name) {
  add_queue intent{{0, std::string{name}, name.empty(), 0}};
  if (auto done = owner.run(fmt::format("declare queue '{}'", name), intent); !done) return done.error();
  if (auto found = owner.find_queue(intent.entry().name)) return found;
  return error{errc::unknown_queue, fmt::format("declare queue '{}': it was deleted at the same time", name)};
}

result<void> delete_queue(core& owner, queue_slot& queue) {
  const std::string operation = fmt::format("delete queue '{}'", queue.state.name());
  auto entered = owner.enter(operation);
  if (!entered) return entered.error();
  remove_queue intent{queue};
  if (auto done = owner.run(*entered, operation, intent); !done) return done;
  return owner.erase_queue_rows(queue.state.id());
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

result<void> bind(core& owner, topic_slot& exchange, queue_slot& queue, std::string_view key) {
  add_binding intent{{0, exchange.state.id(), queue.state.id(), std::string{key}}, queue};
  return owner.run(fmt::format("bind queue '{}' to exchange '{}'", queue.state.name(), exchange.state.name()),
                   intent);
}

result<void> unbind(core& owner, topic_slot& exchange, queue_slot& queue, std::string_view key) {
  remove_binding intent{{0, exchange.state.id(), queue.state.id(), std::string{key}}};
  return owner.run(
      fmt::format("unbind queue '{}' from exchange '{}'", queue.state.name(), exchange.state.name()), intent);
}

}  // namespace levada
