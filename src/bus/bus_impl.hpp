#pragma once

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "bus/catalog_intents.hpp"
#include "bus/core.hpp"
#include "bus/find.hpp"
#include "bus/listing.hpp"
#include "bus/topology.hpp"

#include <levada/bus.hpp>

namespace levada {

class bus::impl {
 public:
  explicit impl(std::shared_ptr<core> c) noexcept : owner{std::move(c)} {}

  [[nodiscard]] static result<bus> start(result<storage::owned_store> store, bus_options options,
                                         std::string name) {
    if (!store) return store.error();
    auto guard = storage::fork_guard::make();
    if (!guard) return guard.error();
    auto owner = core::start(std::move(*store), std::move(*guard), std::move(options), std::move(name));
    if (!owner) return owner.error();
    return bus{std::make_shared<impl>(std::move(*owner))};
  }

  /// Also under a reserved name.
  result<void> declare_exchange(std::string_view name, const exchange_options& options) const;
  /// An empty `name` makes one up.
  [[nodiscard]] result<exclusive_queue> declare_exclusive_queue(const std::string& operation,
                                                                std::string_view name,
                                                                const queue_options& options) const;
  using change_function = std::function<result<void>(core&, topic_slot&, const binding_end&, std::string_view,
                                                     const binding_arguments&)>;
  /// Binds or unbinds, with the names of both ends; `to` lacks its number.
  result<void> change_binding(const char* verb, const char* preposition, std::string_view exchange,
                              const binding_end& to, std::string_view key, const binding_arguments& arguments,
                              const change_function& change) const;

  /// Maintenance applies it.
  result<void> change_policy(topic_slot& log, std::string_view operation,
                             const std::function<void(storage::log_policy&)>& change) const {
    auto done = levada::change_policy(*owner, log, operation, change);
    if (done) owner->upkeep().wake();
    return done;
  }

  [[nodiscard]] result<std::shared_ptr<topic_slot>> log_of(std::string_view operation,
                                                           std::string_view name) const {
    if (auto entered = owner->enter(operation); !entered) return entered.error();
    return find_log(*owner, operation, name);
  }
  [[nodiscard]] result<std::shared_ptr<topic_slot>> topic_of(std::string_view operation,
                                                             std::string_view name) const {
    if (auto entered = owner->enter(operation); !entered) return entered.error();
    return find_plain_topic(*owner, operation, name);
  }
  [[nodiscard]] result<std::shared_ptr<topic_slot>> exchange_of(std::string_view operation,
                                                                std::string_view name) const {
    if (auto entered = owner->enter(operation); !entered) return entered.error();
    return find_exchange(*owner, operation, name);
  }
  [[nodiscard]] result<std::shared_ptr<queue_slot>> queue_of(std::string_view operation,
                                                             std::string_view name) const {
    if (auto entered = owner->enter(operation); !entered) return entered.error();
    if (auto found = owner->find_queue(name)) return found;
    return error{errc::unknown_queue, fmt::format("{}: there is no queue '{}'", operation, name)};
  }
  [[nodiscard]] result<std::shared_ptr<table_slot>> table_of(std::string_view operation,
                                                             std::string_view name) const {
    if (auto entered = owner->enter(operation); !entered) return entered.error();
    if (auto found = owner->find_table(name)) return found;
    return error{errc::unknown_table, fmt::format("{}: there is no table '{}'", operation, name)};
  }
  /// A queue that others than its handle may consume and delete.
  [[nodiscard]] result<std::shared_ptr<queue_slot>> shared_queue_of(std::string_view operation,
                                                                    std::string_view name) const {
    auto found = queue_of(operation, name);
    if (!found || !(*found)->state.exclusive()) return found;
    return error{errc::resource_locked,
                 fmt::format("{}: the queue '{}' is exclusive to its handle", operation, name)};
  }
  [[nodiscard]] result<listing> list() const {
    auto access = owner->enter("list");
    if (!access) return access.error();
    return listing::read(access->main(), [this](std::uint32_t log, std::uint32_t partition) {
      const auto topic = owner->find_topic(log);
      return topic ? topic->state.end(partition) : 0;
    });
  }

  std::shared_ptr<core> owner;
};

}  // namespace levada
