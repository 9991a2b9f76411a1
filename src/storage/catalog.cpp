#include "storage/catalog.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>

#include <chrono>
#include <limits>
#include <utility>
#include <variant>

#include "backfill.capnp.h"
#include "binding.capnp.h"
#include "epoch.capnp.h"
#include "group.capnp.h"
#include "log.capnp.h"
#include "policy.capnp.h"
#include "queue.capnp.h"
#include "segment.capnp.h"
#include "storage/chunked_value.hpp"
#include "store.capnp.h"
#include "table.capnp.h"

namespace levada::storage {
namespace {

/// The kind of an entry: the upper half of its 8-byte key; the lower half is the id.
enum class kind : std::uint32_t {
  store = 0,
  log = 1,
  group = 2,
  queue = 3,
  binding = 4,
  segment = 5,
  saved_index = 6,
  epoch = 7,
  table = 8,
  policy = 9,
  backfill = 10
};

constexpr std::uint64_t key_of(kind k, std::uint32_t id) noexcept {
  return (static_cast<std::uint64_t>(k) << 32) | id;
}

capnp::Text::Reader text(const std::string& s) noexcept {
  return {s.c_str(), s.size()};
}
std::string copy(capnp::Text::Reader t) {
  return {t.cStr(), t.size()};
}
capnp::Data::Reader as_data(std::string_view s) noexcept {
  return {reinterpret_cast<const kj::byte*>(s.data()), s.size()};
}
std::string copy(capnp::Data::Reader d) {
  return {reinterpret_cast<const char*>(d.begin()), d.size()};
}

std::int64_t or_none(const std::optional<std::uint64_t>& n) noexcept {
  return n ? static_cast<std::int64_t>(*n) : -1;
}

capnp::uint narrow(std::size_t n) noexcept {
  return static_cast<capnp::uint>(n);
}

void set_all(capnp::List<std::uint64_t>::Builder to, const std::vector<std::uint64_t>& from) {
  for (std::size_t i = 0; i < from.size(); ++i) to.set(narrow(i), from[i]);
}

/// Builds a message with `fill(root)` and stores it.
template <class Schema, class Fill>
result<void> store_message(write_transaction& txn, const main_tables& tables, std::uint64_t key, Fill fill) {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<Schema>());
  const auto words = capnp::messageToFlatArray(message);
  return put_chunked(txn, tables.catalog, key, std::as_bytes(std::span{words.begin(), words.size()}));
}

store_entry decode(schema::Store::Reader r) {
  return {r.getFormatVersion(), r.getCreated(),   r.getNextId(),      r.getEpoch(),
          r.getSealed(),        r.getTimeFloor(), r.getNextSegment(), r.getLayout()};
}

log_entry decode(std::uint32_t id, schema::Log::Reader r) {
  log_entry log{id, copy(r.getName()), r.getPartitions(), r.getCreated(),
                static_cast<std::uint8_t>(r.getExchange())};
  for (const std::uint64_t begin : r.getBegins()) log.begins.push_back(begin);
  const auto policy = r.getPolicy();
  log.policy = {policy.getRetentionMilliseconds(),
                policy.getRetentionBytes(),
                policy.getRetentionRecords(),
                policy.getForce(),
                policy.getCompact(),
                policy.getTombstoneMilliseconds(),
                policy.getDirtyMillionths(),
                policy.getCodec(),
                policy.getWaitForReaders()};
  log.create_time = r.getCreateTime();
  for (const std::uint64_t offset : r.getCompacted()) log.compacted.push_back(offset);
  log.traits = {r.getTransient(), r.getAutoDelete(),       r.getInternal(),      copy(r.getAlternate()),
                r.getHash(),      copy(r.getHashHeader()), r.getOverflowScope(), r.getDelayed()};
  log.orphan = r.getOrphan();
  return log;
}

group_entry decode(std::uint32_t id, schema::Group::Reader r) {
  group_entry g{id, copy(r.getName()), r.getGeneration(), {}};
  for (const auto member : r.getMembers()) {
    group_entry::member m{copy(member.getId()), {}};
    for (const auto p : member.getAssignment()) m.assignment.push_back({p.getLog(), p.getPartition()});
    g.members.push_back(std::move(m));
  }
  return g;
}

std::optional<std::int64_t> known(std::int64_t n) noexcept {
  return n < 0 ? std::nullopt : std::optional{n};
}

redelivery_trait decode(schema::Redelivery::Reader r) {
  return {r.getFirst(), r.getFactor(), r.getMost(), r.getJitter()};
}

void encode(const redelivery_trait& from, schema::Redelivery::Builder to) {
  to.setFirst(from.first);
  to.setFactor(from.factor);
  to.setMost(from.most);
  to.setJitter(from.jitter);
}

queue_entry decode(std::uint32_t id, schema::Queue::Reader r) {
  queue_entry q{id, copy(r.getName()), r.getExclusive(), r.getCreated(), r.getShareGroup()};
  q.traits.transient = r.getTransient();
  q.traits.message_ttl = known(r.getMessageTtl());
  q.traits.max_length = known(r.getMaxLength());
  q.traits.max_length_bytes = known(r.getMaxLengthBytes());
  q.traits.overflow = r.getOverflow();
  if (r.hasDeadLetterExchange()) q.traits.dead_letter_exchange = copy(r.getDeadLetterExchange());
  if (r.hasDeadLetterKey()) q.traits.dead_letter_key = copy(r.getDeadLetterKey());
  if (r.getDeliveryLimit() >= 0) q.traits.delivery_limit = r.getDeliveryLimit();
  if (r.hasRedelivery()) q.traits.redelivery = decode(r.getRedelivery());
  q.traits.auto_delete = r.getAutoDelete();
  q.traits.expires = known(r.getExpires());
  q.traits.single_active_consumer = r.getSingleActiveConsumer();
  if (r.getMaxPriority() >= 0) q.traits.max_priority = static_cast<std::uint8_t>(r.getMaxPriority());
  return q;
}

header_value decode(schema::Binding::Argument::Value::Reader r) {
  switch (r.which()) {
    case schema::Binding::Argument::Value::NONE:
      break;
    case schema::Binding::Argument::Value::BOOLEAN:
      return r.getBoolean();
    case schema::Binding::Argument::Value::INTEGER:
      return r.getInteger();
    case schema::Binding::Argument::Value::NUMBER:
      return r.getNumber();
    case schema::Binding::Argument::Value::TEXT:
      return copy(r.getText());
    case schema::Binding::Argument::Value::BYTES: {
      const auto from = std::as_bytes(std::span{r.getBytes().begin(), r.getBytes().size()});
      return binary{from.begin(), from.end()};
    }
    case schema::Binding::Argument::Value::TIME:
      return timestamp{std::chrono::microseconds{r.getTime()}};
  }
  return std::monostate{};
}

binding_entry decode(std::uint32_t id, schema::Binding::Reader r) {
  binding_entry b{id, r.getExchange(), r.getDestination(), copy(r.getKey()), {}};
  for (const auto a : r.getArguments()) b.arguments.emplace_back(copy(a.getName()), decode(a.getValue()));
  for (const std::uint64_t offset : r.getSince()) b.since.push_back(offset);
  return b;
}

segment_entry decode(std::uint32_t id, schema::Segment::Reader r) {
  segment_entry s{id, r.getSequenceFirst(), r.getSequenceLast(), r.getCreated(), r.getFileBytes(), {}};
  s.parts.reserve(r.getParts().size());
  for (const auto p : r.getParts()) {
    s.parts.push_back({p.getLog(), p.getPartition(), p.getBaseOffset(), p.getEndOffset(), p.getRecords(),
                       p.getBytes(), p.getSequenceFirst(), p.getSequenceLast(), p.getTimeMax(),
                       p.getSparse()});
  }
  s.generation = r.getGeneration();
  return s;
}

epoch_entry decode(std::uint32_t number, schema::Epoch::Reader r) {
  epoch_entry e{number, {}};
  for (const auto from : r.getLogs()) {
    epoch_entry::log& log = e.logs.emplace_back();
    log.id = from.getLog();
    for (const std::uint64_t end : from.getOffsets()) log.ends.push_back(end);
  }
  return e;
}

table_entry decode(std::uint32_t id, schema::Table::Reader r) {
  return {id, copy(r.getName())};
}

policy_entry decode(std::uint32_t id, schema::NamedPolicy::Reader r) {
  policy_entry p{
      id, copy(r.getName()), r.getByOperator(), copy(r.getPattern()), r.getTarget(), r.getPriority()};
  policy_traits& t = p.traits;
  t.message_ttl = known(r.getMessageTtl());
  t.expires = known(r.getExpires());
  t.max_length = known(r.getMaxLength());
  t.max_length_bytes = known(r.getMaxLengthBytes());
  if (r.getOverflow() >= 0) t.overflow = static_cast<std::uint8_t>(r.getOverflow());
  if (r.hasDeadLetterExchange()) t.dead_letter_exchange = copy(r.getDeadLetterExchange());
  if (r.hasDeadLetterKey()) t.dead_letter_key = copy(r.getDeadLetterKey());
  if (r.getDeliveryLimit() >= 0) t.delivery_limit = r.getDeliveryLimit();
  if (r.hasRedelivery()) t.redelivery = decode(r.getRedelivery());
  if (r.hasAlternate()) t.alternate = copy(r.getAlternate());
  return p;
}

backfill_entry decode(std::uint32_t id, schema::Backfill::Reader r) {
  backfill_entry b{id, r.getQueue(), r.getBinding(), r.getRoom()};
  for (const auto lane : r.getLanes()) b.lanes.push_back({lane.getBegin(), lane.getFilled()});
  for (const auto from : r.getLogs()) {
    auto& log = b.logs.emplace_back();
    log.id = from.getId();
    for (const std::uint64_t offset : from.getNext()) log.next.push_back(offset);
    for (const std::uint64_t offset : from.getEnd()) log.end.push_back(offset);
  }
  return b;
}

/// Adds one stored value to `into`. Throws kj::Exception for what is no message.
result<void> decode_into(catalog& into, const chunked_reader::entry& value) {
  const auto id = static_cast<std::uint32_t>(value.key & std::numeric_limits<std::uint32_t>::max());
  static_assert(sizeof(capnp::word) == sizeof(std::uint64_t));
  capnp::FlatArrayMessageReader message{
      kj::arrayPtr(reinterpret_cast<const capnp::word*>(value.words.data()), value.words.size())};
  switch (static_cast<kind>(value.key >> 32)) {
    case kind::store:
      into.store = decode(message.getRoot<schema::Store>());
      return {};
    case kind::log:
      into.logs.push_back(decode(id, message.getRoot<schema::Log>()));
      return {};
    case kind::group:
      into.groups.push_back(decode(id, message.getRoot<schema::Group>()));
      return {};
    case kind::queue:
      into.queues.push_back(decode(id, message.getRoot<schema::Queue>()));
      return {};
    case kind::binding:
      into.bindings.push_back(decode(id, message.getRoot<schema::Binding>()));
      return {};
    case kind::segment:
      into.segments.push_back(decode(id, message.getRoot<schema::Segment>()));
      return {};
    case kind::epoch:
      into.epochs.push_back(decode(id, message.getRoot<schema::Epoch>()));
      return {};
    case kind::table:
      into.tables.push_back(decode(id, message.getRoot<schema::Table>()));
      return {};
    case kind::policy:
      into.policies.push_back(decode(id, message.getRoot<schema::NamedPolicy>()));
      return {};
    case kind::backfill:
      into.backfills.push_back(decode(id, message.getRoot<schema::Backfill>()));
      for (const auto& log : into.backfills.back().logs) {
        if (log.next.size() != log.end.size())
          return error{errc::damaged, fmt::format("read catalogue: backfill {} has other ends", id)};
      }
      return {};
    case kind::saved_index:
      break;
  }
  return error{errc::damaged, fmt::format("read catalogue: unknown kind of entry {:#x}", value.key)};
}

}  // namespace

log_entry default_exchange(std::int64_t created) {
  log_entry entry;
  entry.id = 1;
  entry.created = created;
  entry.exchange = static_cast<std::uint8_t>(schema::ExchangeType::DIRECT);
  entry.policy.retention_bytes = std::uint64_t{1} << 30;
  return entry;
}

namespace {

/// Adds the next value to `into`; false at the end.
result<bool> read_next(chunked_reader& reader, catalog& into) {
  auto value = reader.next();
  if (!value) return value.error();
  if (!*value) return false;
  try {
    if (auto decoded = decode_into(into, **value); !decoded) return decoded.error();
  } catch (const kj::Exception& e) {
    return error{errc::damaged,
                 fmt::format("read catalogue entry {:#x}: {}", (*value)->key, e.getDescription().cStr())};
  }
  // The store's own entry is the first, so a newer format is refused before anything else is understood.
  if (into.store.format > format_version) {
    return error{errc::unsupported_format, fmt::format("the store has format {}; this version reads up to {}",
                                                       into.store.format, format_version)};
  }
  if (into.store.format == 0) {
    return error{errc::damaged, "read catalogue: the store's own entry is missing"};
  }
  return true;
}

}  // namespace

result<catalog> read_catalog(const transaction& txn, const main_tables& tables) {
  auto reader = chunked_reader::open(txn, tables.catalog, key_of(kind::saved_index, 0));
  if (!reader) return reader.error();
  catalog all;
  all.store.format = 0;
  for (;;) {
    auto more = read_next(*reader, all);
    if (!more) return more.error();
    if (!*more) break;
  }
  if (all.store.format == 0) return error{errc::damaged, "read catalogue: the store's own entry is missing"};
  return all;
}

result<std::optional<std::vector<std::byte>>> read_saved_index(const transaction& txn,
                                                               const main_tables& tables) {
  auto reader = chunked_reader::open(txn, tables.catalog);
  if (!reader) return reader.error();
  auto value = reader->find(key_of(kind::saved_index, 0));
  if (!value) return value.error();
  if (!*value) return std::optional<std::vector<std::byte>>{};
  const auto saved = std::as_bytes(std::span{(*value)->words}).first((*value)->size);
  return std::optional{std::vector<std::byte>{saved.begin(), saved.end()}};
}

result<void> put_saved_index(write_transaction& txn, const main_tables& tables, bytes index) {
  return put_chunked(txn, tables.catalog, key_of(kind::saved_index, 0), index);
}

result<store_entry> read_store_entry(const transaction& txn, const main_tables& tables) {
  auto reader = chunked_reader::open(txn, tables.catalog);
  if (!reader) return reader.error();
  catalog first;
  first.store.format = 0;
  auto found = read_next(*reader, first);
  if (!found) return found.error();
  if (!*found) return error{errc::damaged, "read catalogue: the store's own entry is missing"};
  return first.store;
}

result<void> put(write_transaction& txn, const main_tables& tables, const store_entry& entry) {
  return store_message<schema::Store>(txn, tables, key_of(kind::store, 0), [&](schema::Store::Builder b) {
    b.setFormatVersion(entry.format);
    b.setCreated(entry.created);
    b.setNextId(entry.next_id);
    b.setEpoch(entry.epoch);
    b.setSealed(entry.sealed);
    b.setTimeFloor(entry.time_floor);
    b.setNextSegment(entry.next_segment);
    b.setLayout(entry.layout);
  });
}

result<void> put(write_transaction& txn, const main_tables& tables, const log_entry& entry) {
  return store_message<schema::Log>(txn, tables, key_of(kind::log, entry.id), [&](schema::Log::Builder b) {
    b.setName(text(entry.name));
    b.setPartitions(entry.partitions);
    b.setCreated(entry.created);
    b.setExchange(static_cast<schema::ExchangeType>(entry.exchange));
    set_all(b.initBegins(narrow(entry.begins.size())), entry.begins);
    auto policy = b.initPolicy();
    policy.setRetentionMilliseconds(entry.policy.retention_milliseconds);
    policy.setRetentionBytes(entry.policy.retention_bytes);
    policy.setRetentionRecords(entry.policy.retention_records);
    policy.setForce(entry.policy.force);
    policy.setCompact(entry.policy.compact);
    policy.setTombstoneMilliseconds(entry.policy.tombstone_milliseconds);
    policy.setDirtyMillionths(entry.policy.dirty_millionths);
    policy.setCodec(entry.policy.codec);
    policy.setWaitForReaders(entry.policy.wait_for_readers);
    b.setCreateTime(entry.create_time);
    set_all(b.initCompacted(narrow(entry.compacted.size())), entry.compacted);
    b.setTransient(entry.traits.transient);
    b.setAutoDelete(entry.traits.auto_delete);
    b.setInternal(entry.traits.internal);
    if (!entry.traits.alternate.empty()) b.setAlternate(text(entry.traits.alternate));
    b.setHash(entry.traits.hash);
    if (!entry.traits.hash_header.empty()) b.setHashHeader(text(entry.traits.hash_header));
    b.setOrphan(entry.orphan);
    b.setOverflowScope(entry.traits.overflow);
    b.setDelayed(entry.traits.delayed);
  });
}

result<void> put(write_transaction& txn, const main_tables& tables, const group_entry& entry) {
  return store_message<schema::Group>(txn, tables, key_of(kind::group, entry.id),
                                      [&](schema::Group::Builder b) {
                                        b.setName(text(entry.name));
                                        b.setGeneration(entry.generation);
                                        auto members = b.initMembers(narrow(entry.members.size()));
                                        for (std::size_t i = 0; i < entry.members.size(); ++i) {
                                          auto member = members[narrow(i)];
                                          member.setId(text(entry.members[i].id));
                                          const auto& owned = entry.members[i].assignment;
                                          auto assignment = member.initAssignment(narrow(owned.size()));
                                          for (std::size_t j = 0; j < owned.size(); ++j) {
                                            assignment[narrow(j)].setLog(owned[j].log);
                                            assignment[narrow(j)].setPartition(owned[j].partition);
                                          }
                                        }
                                      });
}

result<void> put(write_transaction& txn, const main_tables& tables, const queue_entry& entry) {
  return store_message<schema::Queue>(
      txn, tables, key_of(kind::queue, entry.id), [&](schema::Queue::Builder b) {
        b.setName(text(entry.name));
        b.setExclusive(entry.exclusive);
        b.setCreated(entry.created);
        b.setShareGroup(entry.share_group);
        const queue_traits& t = entry.traits;
        b.setTransient(t.transient);
        b.setMessageTtl(t.message_ttl.value_or(-1));
        b.setMaxLength(or_none(t.max_length));
        b.setMaxLengthBytes(or_none(t.max_length_bytes));
        b.setOverflow(t.overflow);
        if (t.dead_letter_exchange) b.setDeadLetterExchange(text(*t.dead_letter_exchange));
        if (t.dead_letter_key) b.setDeadLetterKey(as_data(*t.dead_letter_key));
        b.setDeliveryLimit(t.delivery_limit ? static_cast<std::int32_t>(*t.delivery_limit) : -1);
        if (t.redelivery) encode(*t.redelivery, b.initRedelivery());
        b.setAutoDelete(t.auto_delete);
        b.setExpires(t.expires.value_or(-1));
        b.setSingleActiveConsumer(t.single_active_consumer);
        b.setMaxPriority(t.max_priority ? static_cast<std::int16_t>(*t.max_priority) : std::int16_t{-1});
      });
}

namespace {

/// Sets the value of an argument.
struct argument_setter {
  schema::Binding::Argument::Value::Builder to;

  void operator()(std::monostate) { to.setNone(); }
  void operator()(bool v) { to.setBoolean(v); }
  void operator()(std::int64_t v) { to.setInteger(v); }
  void operator()(double v) { to.setNumber(v); }
  void operator()(const std::string& v) { to.setText(as_data(v)); }
  void operator()(const binary& v) { to.setBytes({reinterpret_cast<const kj::byte*>(v.data()), v.size()}); }
  void operator()(timestamp v) { to.setTime(v.time_since_epoch().count()); }
};

}  // namespace

result<void> put(write_transaction& txn, const main_tables& tables, const binding_entry& entry) {
  return store_message<schema::Binding>(
      txn, tables, key_of(kind::binding, entry.id), [&](schema::Binding::Builder b) {
        b.setExchange(entry.exchange);
        b.setDestination(entry.destination);
        b.setKey(as_data(entry.key));
        if (!entry.since.empty()) set_all(b.initSince(narrow(entry.since.size())), entry.since);
        if (entry.arguments.empty()) return;
        auto arguments = b.initArguments(narrow(entry.arguments.size()));
        for (std::size_t i = 0; i < entry.arguments.size(); ++i) {
          arguments[narrow(i)].setName(text(entry.arguments[i].name));
          std::visit(argument_setter{arguments[narrow(i)].getValue()}, entry.arguments[i].value);
        }
      });
}

result<void> put(write_transaction& txn, const main_tables& tables, const table_entry& entry) {
  return store_message<schema::Table>(txn, tables, key_of(kind::table, entry.id),
                                      [&](schema::Table::Builder b) { b.setName(text(entry.name)); });
}

result<void> put(write_transaction& txn, const main_tables& tables, const policy_entry& entry) {
  return store_message<schema::NamedPolicy>(
      txn, tables, key_of(kind::policy, entry.id), [&](schema::NamedPolicy::Builder b) {
        b.setName(text(entry.name));
        b.setByOperator(entry.by_operator);
        b.setPattern(as_data(entry.pattern));
        b.setTarget(entry.target);
        b.setPriority(entry.priority);
        const policy_traits& t = entry.traits;
        b.setMessageTtl(t.message_ttl.value_or(-1));
        b.setExpires(t.expires.value_or(-1));
        b.setMaxLength(or_none(t.max_length));
        b.setMaxLengthBytes(or_none(t.max_length_bytes));
        b.setOverflow(t.overflow ? static_cast<std::int8_t>(*t.overflow) : std::int8_t{-1});
        if (t.dead_letter_exchange) b.setDeadLetterExchange(text(*t.dead_letter_exchange));
        if (t.dead_letter_key) b.setDeadLetterKey(as_data(*t.dead_letter_key));
        b.setDeliveryLimit(t.delivery_limit ? static_cast<std::int32_t>(*t.delivery_limit) : -1);
        if (t.redelivery) encode(*t.redelivery, b.initRedelivery());
        if (t.alternate) b.setAlternate(text(*t.alternate));
      });
}

result<void> put(write_transaction& txn, const main_tables& tables, const backfill_entry& entry) {
  return store_message<schema::Backfill>(txn, tables, key_of(kind::backfill, entry.id),
                                         [&](schema::Backfill::Builder b) {
                                           b.setQueue(entry.queue);
                                           b.setBinding(entry.binding);
                                           b.setRoom(entry.room);
                                           auto lanes = b.initLanes(narrow(entry.lanes.size()));
                                           for (std::size_t i = 0; i < entry.lanes.size(); ++i) {
                                             lanes[narrow(i)].setBegin(entry.lanes[i].begin);
                                             lanes[narrow(i)].setFilled(entry.lanes[i].filled);
                                           }
                                           auto logs = b.initLogs(narrow(entry.logs.size()));
                                           for (std::size_t i = 0; i < entry.logs.size(); ++i) {
                                             const auto& from = entry.logs[i];
                                             auto to = logs[narrow(i)];
                                             to.setId(from.id);
                                             set_all(to.initNext(narrow(from.next.size())), from.next);
                                             set_all(to.initEnd(narrow(from.end.size())), from.end);
                                           }
                                         });
}

result<void> put(write_transaction& txn, const main_tables& tables, const segment_entry& entry) {
  return store_message<schema::Segment>(txn, tables, key_of(kind::segment, entry.id),
                                        [&](schema::Segment::Builder b) {
                                          b.setSequenceFirst(entry.sequence_first);
                                          b.setSequenceLast(entry.sequence_last);
                                          b.setCreated(entry.created);
                                          b.setFileBytes(entry.file_bytes);
                                          b.setGeneration(entry.generation);
                                          auto parts = b.initParts(narrow(entry.parts.size()));
                                          for (std::size_t i = 0; i < entry.parts.size(); ++i) {
                                            const auto& from = entry.parts[i];
                                            auto to = parts[narrow(i)];
                                            to.setLog(from.log);
                                            to.setPartition(from.partition);
                                            to.setBaseOffset(from.base_offset);
                                            to.setEndOffset(from.end_offset);
                                            to.setRecords(from.records);
                                            to.setBytes(from.bytes);
                                            to.setSequenceFirst(from.sequence_first);
                                            to.setSequenceLast(from.sequence_last);
                                            to.setTimeMax(from.time_max);
                                            to.setSparse(from.sparse);
                                          }
                                        });
}

result<void> put(write_transaction& txn, const main_tables& tables, const epoch_entry& entry) {
  return store_message<schema::Epoch>(txn, tables, key_of(kind::epoch, entry.number),
                                      [&](schema::Epoch::Builder b) {
                                        auto logs = b.initLogs(narrow(entry.logs.size()));
                                        for (std::size_t i = 0; i < entry.logs.size(); ++i) {
                                          const auto& from = entry.logs[i];
                                          auto to = logs[narrow(i)];
                                          to.setLog(from.id);
                                          set_all(to.initOffsets(narrow(from.ends.size())), from.ends);
                                        }
                                      });
}

result<void> erase_log(write_transaction& txn, const main_tables& tables, std::uint32_t id) {
  return erase_chunked(txn, tables.catalog, key_of(kind::log, id));
}

result<void> erase_segment(write_transaction& txn, const main_tables& tables, std::uint32_t id) {
  return erase_chunked(txn, tables.catalog, key_of(kind::segment, id));
}

result<void> erase_group(write_transaction& txn, const main_tables& tables, std::uint32_t id) {
  return erase_chunked(txn, tables.catalog, key_of(kind::group, id));
}

result<void> erase_queue(write_transaction& txn, const main_tables& tables, std::uint32_t id) {
  return erase_chunked(txn, tables.catalog, key_of(kind::queue, id));
}

result<void> erase_binding(write_transaction& txn, const main_tables& tables, std::uint32_t id) {
  return erase_chunked(txn, tables.catalog, key_of(kind::binding, id));
}

result<void> erase_table(write_transaction& txn, const main_tables& tables, std::uint32_t id) {
  return erase_chunked(txn, tables.catalog, key_of(kind::table, id));
}

result<void> erase_policy(write_transaction& txn, const main_tables& tables, std::uint32_t id) {
  return erase_chunked(txn, tables.catalog, key_of(kind::policy, id));
}

result<void> erase_backfill(write_transaction& txn, const main_tables& tables, std::uint32_t id) {
  return erase_chunked(txn, tables.catalog, key_of(kind::backfill, id));
}

}  // namespace levada::storage
