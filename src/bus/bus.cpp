#include <levada/bus.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "bus/bus_impl.hpp"
#include "bus/catalog_intents.hpp"
#include "bus/consumer_impl.hpp"
#include "bus/core.hpp"
#include "bus/find.hpp"
#include "bus/group_tools.hpp"
#include "bus/listing.hpp"
#include "bus/log_policies.hpp"
#include "bus/names.hpp"
#include "bus/producer_impl.hpp"
#include "bus/queue_tools.hpp"
#include "bus/replay_impl.hpp"
#include "bus/retention.hpp"
#include "bus/share_consumer_impl.hpp"
#include "bus/space.hpp"
#include "bus/subscription_impl.hpp"
#include "bus/table_impl.hpp"
#include "bus/topic_impl.hpp"
#include "bus/transaction_impl.hpp"
#include "storage/job_file.hpp"
#include "storage/store_copy.hpp"

namespace levada {
namespace {

constexpr std::size_t map_bytes_min = std::size_t{1} << 20;
constexpr std::size_t record_bytes_limit = (std::size_t{1} << 30) - 1;

result<void> check_options(const bus_options& options) {
  if (options.journal_bytes_max < options.journal_bytes_seal) {
    return error{errc::invalid_argument,
                 fmt::format("open store: journal_bytes_max is {}, less than journal_bytes_seal, {}",
                             options.journal_bytes_max, options.journal_bytes_seal)};
  }
  if (const auto* const mode = std::get_if<checkpointed>(&options.durability);
      mode != nullptr && mode->interval.count() < 1) {
    return error{
        errc::invalid_argument,
        fmt::format("open store: a checkpoint interval of {} ms, the least is 1", mode->interval.count())};
  }
  if (options.ticket_history.count() < 0 || options.ticket_history > queue_time_max) {
    return error{errc::invalid_argument,
                 fmt::format("open store: a ticket_history of {} ms, allowed is 0 to 10,000 days",
                             options.ticket_history.count())};
  }
  if (options.boot_id.size() > storage::boot_id_bytes_max ||
      options.boot_id.find('\0') != std::string::npos) {
    return error{errc::invalid_argument, fmt::format("open store: boot_id has {} bytes, the limit is {}",
                                                     options.boot_id.size(), storage::boot_id_bytes_max)};
  }
  if (options.map_bytes_max < map_bytes_min) {
    return error{errc::invalid_argument, fmt::format("open store: map_bytes_max is {}, the least is {}",
                                                     options.map_bytes_max, map_bytes_min)};
  }
  if (options.record_bytes_max == 0 || options.record_bytes_max > record_bytes_limit) {
    return error{errc::invalid_argument, fmt::format("open store: record_bytes_max is {}, allowed is 1 to {}",
                                                     options.record_bytes_max, record_bytes_limit)};
  }
  return {};
}

/// Replays one topic, or all where none is given.
class bus_replay_source final : public replay_source {
 public:
  bus_replay_source(std::shared_ptr<core> owner, std::shared_ptr<topic_slot> topic)
      : owner_{std::move(owner)}, topic_{std::move(topic)} {
    readers().add(waiter_);
  }
  ~bus_replay_source() override { readers().remove(waiter_); }

  result<std::uint64_t> refresh() override {
    signals_ = waiter_->signals();
    return owner_->next_sequence();
  }
  [[nodiscard]] std::uint64_t logs_version() const override { return topic_ ? 0 : owner_->topics_version(); }
  [[nodiscard]] log_list logs() const override {
    log_list all;
    if (topic_) {
      all.emplace_back(topic_, &topic_->state);
    } else {
      for (const auto& topic : owner_->all_topics()) all.emplace_back(topic, &topic->state);
    }
    return all;
  }
  result<void> read(const read_function& function) override {
    auto access = owner_->enter("replay");
    if (!access) return access.error();
    log::log_reader reader{access->main()};
    return function(reader);
  }
  result<void> wait(std::uint64_t, clock::steady_time deadline) override {
    waiter_->wait(owner_->time(), signals_, deadline);
    return {};
  }
  clock& time() noexcept override { return owner_->time(); }
  [[nodiscard]] waking wakes() const override { return {owner_, waiter_}; }

 private:
  [[nodiscard]] wake_list& readers() noexcept { return topic_ ? topic_->readers : owner_->readers(); }

  std::shared_ptr<core> owner_;
  std::shared_ptr<topic_slot> topic_;
  std::shared_ptr<waiter> waiter_ = std::make_shared<waiter>();
  std::uint64_t signals_ = 0;
};

}  // namespace

bus::bus(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
bus::bus(bus&&) noexcept = default;
bus& bus::operator=(bus&& other) noexcept {
  if (this != &other) {
    if (impl_) static_cast<void>(impl_->owner->close(core::leftovers::abort));
    impl_ = std::move(other.impl_);
  }
  return *this;
}
bus::~bus() {
  if (impl_) static_cast<void>(impl_->owner->close(core::leftovers::abort));
}

result<bus> bus::open(const std::filesystem::path& directory, const bus_options& options) {
  if (auto checked = check_options(options); !checked) return checked.error();
  bus_options effective = options;
  if (!effective.clock) effective.clock = clock::system();
  const std::int64_t now = effective.clock->wall().time_since_epoch().count();
  storage::store_options how{options.create, options.map_bytes_max, now};
  how.checkpointed = std::holds_alternative<checkpointed>(options.durability);
  if (!options.boot_id.empty()) how.boot_id = options.boot_id;
  return impl::start(storage::open_store(directory, how), std::move(effective), directory.string());
}

result<bus> bus::open_in_memory(const bus_options& options) {
  if (auto checked = check_options(options); !checked) return checked.error();
  if (options.control_socket) {
    return error{errc::invalid_argument, "open store: a bus in memory has no directory for a control_socket"};
  }
  bus_options effective = options;
  if (!effective.clock) effective.clock = clock::system();
  const std::int64_t now = effective.clock->wall().time_since_epoch().count();
  return impl::start(storage::open_memory_store(options.memory_directory, {true, options.map_bytes_max, now}),
                     std::move(effective), "memory");
}

result<void> bus::close() {
  if (impl_->owner->inside_own_thread())
    return error{errc::would_deadlock,
                 "close: called by a handler in the bus's own thread, for which it would wait"};
  if (host_call::any(*impl_->owner))
    return error{errc::would_deadlock, "close: called by a handler, for which it would wait"};
  return impl_->owner->close(core::leftovers::commit);
}

boost::asio::any_io_executor bus::get_executor() const {
  return impl_->owner->executor();
}

// Topics

result<topic> bus::declare_topic(std::string_view name, const topic_options& options) {
  if (auto checked = check_name("declare topic", "topic", name); !checked) return checked.error();
  if (auto checked = check_partitions("topic", name, options.partitions); !checked) return checked.error();
  storage::log_entry entry;
  entry.name = name;
  entry.partitions = options.partitions;
  entry.create_time = options.timestamps == timestamp_type::create_time;
  constexpr const char* operation = "declare topic";
  if (auto set = store_retention(operation, name, options.retention, entry.policy); !set) return set.error();
  if (auto set = store_compaction(operation, name, options.compaction, entry.policy); !set)
    return set.error();
  if (auto set = store_compression(operation, name, options.compression, entry.policy); !set)
    return set.error();
  auto slot = declare_log(*impl_->owner, std::move(entry));
  if (!slot) return slot.error();
  if (options.retention.age) impl_->owner->upkeep().wake();
  return levada::topic{std::make_shared<topic::impl>(topic::impl{impl_->owner, std::move(*slot)})};
}

result<topic> bus::topic(std::string_view name) const {
  const std::string operation = fmt::format("look up topic '{}'", name);
  auto slot = impl_->topic_of(operation, name);
  if (!slot) return slot.error();
  return levada::topic{std::make_shared<topic::impl>(topic::impl{impl_->owner, std::move(*slot)})};
}

result<void> bus::delete_topic(std::string_view name) {
  const std::string operation = fmt::format("delete topic '{}'", name);
  auto access = impl_->owner->enter(operation);
  if (!access) return access.error();
  auto slot = find_plain_topic(*impl_->owner, operation, name);
  if (!slot) return slot.error();
  if (*slot == impl_->owner->ledger().topic())
    return error{errc::access_refused, fmt::format("{}: the bus keeps its ledger in it", operation)};
  auto done = levada::delete_topic(*impl_->owner, *access, **slot);
  if (done) impl_->owner->upkeep().wake();
  return done;
}

result<void> bus::set_retention(std::string_view name, const retention_policy& policy) {
  const std::string operation = fmt::format("set retention of topic '{}'", name);
  auto slot = impl_->log_of(operation, name);
  if (!slot) return slot.error();
  storage::log_policy wanted;
  if (auto set = store_retention("set retention of topic", name, policy, wanted); !set) return set;
  return impl_->change_policy(**slot, operation, [&](storage::log_policy& stored) {
    stored.retention_milliseconds = wanted.retention_milliseconds;
    stored.retention_bytes = wanted.retention_bytes;
    stored.retention_records = wanted.retention_records;
    stored.force = wanted.force;
    stored.wait_for_readers = wanted.wait_for_readers;
  });
}

result<void> bus::set_compaction(std::string_view name, const std::optional<compaction_policy>& policy) {
  const std::string operation = fmt::format("set compaction of topic '{}'", name);
  auto slot = impl_->topic_of(operation, name);
  if (!slot) return slot.error();
  storage::log_policy wanted;
  if (auto set = store_compaction("set compaction of topic", name, policy, wanted); !set) return set;
  return impl_->change_policy(**slot, operation, [&](storage::log_policy& stored) {
    stored.compact = wanted.compact;
    stored.tombstone_milliseconds = wanted.tombstone_milliseconds;
    stored.dirty_millionths = wanted.dirty_millionths;
  });
}

result<void> bus::set_compression(std::string_view name, compression how) {
  const std::string operation = fmt::format("set compression of topic '{}'", name);
  auto slot = impl_->log_of(operation, name);
  if (!slot) return slot.error();
  storage::log_policy wanted;
  if (auto set = store_compression("set compression of topic", name, how, wanted); !set) return set;
  return impl_->change_policy(**slot, operation,
                              [&](storage::log_policy& stored) { stored.codec = wanted.codec; });
}

result<void> bus::delete_records(const topic_partition& where, offset before) {
  const std::string operation =
      fmt::format("delete records of topic '{}' partition {}", where.topic, where.partition.value());
  auto slot = impl_->topic_of(operation, where.topic);
  if (!slot) return slot.error();
  auto done = levada::delete_records(*impl_->owner, **slot, where.partition.value(), before.value());
  if (done) impl_->owner->upkeep().wake();
  return done;
}

result<publish_receipt> bus::publish(std::string_view topic_name, const record& r) {
  auto found = topic(topic_name);
  if (!found) return found.error();
  return found->publish(r);
}

result<producer> bus::make_producer(std::string_view topic_name, const producer_options& options) {
  auto slot = impl_->topic_of(fmt::format("make producer to topic '{}'", topic_name), topic_name);
  if (!slot) return slot.error();
  auto made = producer::impl::make(impl_->owner, std::move(*slot), options);
  if (!made) return made.error();
  return producer{std::move(*made)};
}

// Consumer groups

result<consumer> bus::join(std::string_view group, const std::vector<std::string>& topics,
                           const consumer_options& options) {
  auto member = consumer::impl::join(impl_->owner, group, topics, options);
  if (!member) return member.error();
  return consumer{std::move(*member)};
}

result<consumer> bus::join(std::string_view group, const topic_pattern& topics,
                           const consumer_options& options) {
  auto member = consumer::impl::join(impl_->owner, group, topics, options);
  if (!member) return member.error();
  return consumer{std::move(*member)};
}

result<consumer> bus::assign(std::string_view group, const std::vector<topic_partition>& partitions,
                             const consumer_options& options) {
  auto reader = consumer::impl::assign(impl_->owner, group, partitions, options);
  if (!reader) return reader.error();
  return consumer{std::move(*reader)};
}

result<void> bus::delete_group(std::string_view name, const group_deletion_options& options) {
  return levada::delete_group(*impl_->owner, name, options);
}

result<std::vector<offset_change>> bus::reset_offsets(std::string_view group, std::string_view topic,
                                                      const offset_reset_options& options) {
  return levada::reset_offsets(*impl_->owner, group, topic, options);
}

result<share_consumer> bus::share_consume(std::string_view group, const std::vector<std::string>& topics,
                                          const share_consumer_options& options) {
  auto joined = share_consumer::impl::join(impl_->owner, group, topics, options);
  if (!joined) return joined.error();
  return share_consumer{std::move(*joined)};
}

result<replay> bus::replay(std::string_view topic_name, const replay_options& options) const {
  auto slot = impl_->log_of(fmt::format("replay topic '{}'", topic_name), topic_name);
  if (!slot) return slot.error();
  auto made = replay::impl::make(std::make_shared<bus_replay_source>(impl_->owner, *slot),
                                 std::string{topic_name}, options);
  if (!made) return made.error();
  return levada::replay{std::move(*made)};
}

result<replay> bus::replay_all(const replay_options& options) const {
  if (auto entered = impl_->owner->enter("replay all topics"); !entered) return entered.error();
  auto made =
      replay::impl::make(std::make_shared<bus_replay_source>(impl_->owner, nullptr), std::nullopt, options);
  if (!made) return made.error();
  return levada::replay{std::move(*made)};
}

// Tables and transactions

result<table> bus::declare_table(std::string_view name) {
  if (auto checked = check_name("declare table", "table", name); !checked) return checked.error();
  auto slot = levada::declare_table(*impl_->owner, name);
  if (!slot) return slot.error();
  return levada::table{std::make_shared<table::impl>(table::impl{impl_->owner, std::move(*slot)})};
}

result<table> bus::table(std::string_view name) const {
  const std::string operation = fmt::format("look up table '{}'", name);
  auto slot = impl_->table_of(operation, name);
  if (!slot) return slot.error();
  return levada::table{std::make_shared<table::impl>(table::impl{impl_->owner, std::move(*slot)})};
}

result<void> bus::delete_table(std::string_view name) {
  auto slot = impl_->table_of(fmt::format("delete table '{}'", name), name);
  if (!slot) return slot.error();
  return levada::delete_table(*impl_->owner, **slot);
}

result<std::vector<std::string>> bus::tables() const {
  if (auto entered = impl_->owner->enter("list"); !entered) return entered.error();
  std::vector<std::string> names;
  for (const auto& table : impl_->owner->all_tables()) names.push_back(table->name);
  return names;
}

result<transaction_receipt> bus::transact(const std::function<result<void>(transaction&)>& function,
                                          const transact_options& options) {
  return transaction::impl::run(impl_->owner, function, options);
}

result<transaction> bus::begin() const {
  if (auto entered = impl_->owner->enter("begin transaction"); !entered) return entered.error();
  return transaction{std::make_shared<transaction::impl>(impl_->owner)};
}

// Upkeep

result<backup_report> bus::backup(const std::filesystem::path& to, const backup_options& options) const {
  auto access = impl_->owner->enter("back up");
  if (!access) return access.error();
  if (impl_->owner->in_memory()) {
    return error{errc::invalid_argument, "back up: an in-memory bus has no segments that could be copied"};
  }
  return storage::copy_store(access->main(), impl_->owner->segments_directory(), to, options);
}

result<void> bus::sync() {
  return impl_->owner->sync();
}

bus_health bus::health() const {
  return impl_->owner->health();
}

result<bus_stats> bus::stats() const {
  return impl_->owner->stats();
}

result<void> bus::maintain() {
  if (auto entered = impl_->owner->enter("maintain"); !entered) return entered.error();
  return impl_->owner->upkeep().run();
}

// Listings

result<std::vector<topic_info>> bus::topics() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->topics();
}

result<std::vector<group_info>> bus::groups() const {
  auto all = impl_->list();
  if (!all) return all.error();
  auto infos = all->groups(true);
  for (auto& info : infos) {
    const auto group = impl_->owner->find_group(info.name);
    if (!group) continue;
    const std::lock_guard guard{group->mutex};
    info.possible_duplicates = group->state.possible_duplicates();
  }
  return infos;
}

result<std::vector<exchange_info>> bus::exchanges() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->exchanges();
}

result<std::vector<queue_info>> bus::queues() const {
  auto all = impl_->list();
  if (!all) return all.error();
  auto infos = all->queues();
  for (auto& info : infos) {
    if (const auto queue = impl_->owner->find_queue(info.name)) add_owners_view(*queue, info);
  }
  return infos;
}

result<std::vector<binding_info>> bus::bindings() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->bindings();
}

result<std::vector<policy_info>> bus::policies() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->policies();
}

result<std::vector<operator_policy_info>> bus::operator_policies() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->operator_policies();
}

result<std::vector<job_info>> bus::jobs() const {
  auto all = impl_->list();
  if (!all) return all.error();
  if (impl_->owner->in_memory()) return std::vector<job_info>{};
  auto stored = storage::stored_jobs(impl_->owner->jobs_directory());
  if (!stored) return stored.error();
  return all->jobs(*stored);
}

result<std::vector<reader_info>> bus::readers() const {
  return impl_->owner->watch().look();
}

result<space_report> bus::space() const {
  core& owner = *impl_->owner;
  // Lets go of what dead processes hold.
  if (auto seen = owner.watch().look(); !seen) return seen.error();
  auto access = owner.enter("measure space");
  if (!access) return access.error();
  return measure_space(
      {.main = access->main(),
       .directory = owner.in_memory() ? std::filesystem::path{} : owner.segments_directory().parent_path(),
       .now = owner.bus_time(),
       .find_log = [&owner](std::uint32_t id) -> std::shared_ptr<const log::log_state> {
         auto topic = owner.find_topic(id);
         if (!topic) return nullptr;
         return {topic, &topic->state};
       },
       .open_files = owner.segments().open_files(),
       .own_processes = {::getpid()},
       .nameless_bytes = owner.nameless_bytes()});
}

result<void> bus::remove_job(std::string_view name) {
  if (auto entered = impl_->owner->enter("remove job"); !entered) return entered.error();
  if (impl_->owner->in_memory())
    return error{errc::unknown_job, fmt::format("remove job '{}': a bus in memory has none", name)};
  return storage::remove_job(impl_->owner->jobs_directory(), name);
}

}  // namespace levada
