#include "storage/catalog.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>

#include <limits>
#include <utility>

#include "binding.capnp.h"
#include "epoch.capnp.h"
#include "group.capnp.h"
#include "log.capnp.h"
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
  table = 8
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

capnp::uint narrow(std::size_t n) noexcept {
  return static_cast<capnp::uint>(n);
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

queue_entry decode(std::uint32_t id, schema::Queue::Reader r) {
  return {id, copy(r.getName()), r.getExclusive(), r.getCreated()};
}

binding_entry decode(std::uint32_t id, schema::Binding::Reader r) {
  const auto key = r.getKey();
  return {id, r.getExchange(), r.getQueue(), {reinterpret_cast<const char*>(key.begin()), key.size()}};
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
    case kind::saved_index:
      break;
  }
  return error{errc::damaged, fmt::format("read catalogue: unknown kind of entry {:#x}", value.key)};
}

}  // namespace

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
    auto begins = b.initBegins(narrow(entry.begins.size()));
    for (std::size_t i = 0; i < entry.begins.size(); ++i) begins.set(narrow(i), entry.begins[i]);
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
    auto compacted = b.initCompacted(narrow(entry.compacted.size()));
    for (std::size_t i = 0; i < entry.compacted.size(); ++i) compacted.set(narrow(i), entry.compacted[i]);
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
  return store_message<schema::Queue>(txn, tables, key_of(kind::queue, entry.id),
                                      [&](schema::Queue::Builder b) {
                                        b.setName(text(entry.name));
                                        b.setExclusive(entry.exclusive);
                                        b.setCreated(entry.created);
                                      });
}

result<void> put(write_transaction& txn, const main_tables& tables, const binding_entry& entry) {
  return store_message<schema::Binding>(
      txn, tables, key_of(kind::binding, entry.id), [&](schema::Binding::Builder b) {
        b.setExchange(entry.exchange);
        b.setQueue(entry.queue);
        b.setKey({reinterpret_cast<const kj::byte*>(entry.key.data()), entry.key.size()});
      });
}

result<void> put(write_transaction& txn, const main_tables& tables, const table_entry& entry) {
  return store_message<schema::Table>(txn, tables, key_of(kind::table, entry.id),
                                      [&](schema::Table::Builder b) { b.setName(text(entry.name)); });
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
                                          auto offsets = to.initOffsets(narrow(from.ends.size()));
                                          for (std::size_t p = 0; p < from.ends.size(); ++p)
                                            offsets.set(narrow(p), from.ends[p]);
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

}  // namespace levada::storage
