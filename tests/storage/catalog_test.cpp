#include "storage/catalog.hpp"

#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "storage/chunked_value.hpp"
#include "storage_testing.hpp"

namespace levada::test {
namespace {

using storage::binding_entry;
using storage::group_entry;
using storage::log_entry;
using storage::queue_entry;
using storage::segment_entry;
using storage::store_entry;

/// Values that compare, so that whole catalogues can.
auto plain(const store_entry& e) {
  return std::tuple{e.format, e.created,    e.next_id,      e.epoch,
                    e.sealed, e.time_floor, e.next_segment, e.layout};
}
auto plain(const segment_entry::part& e) {
  return std::tuple{e.log,   e.partition,      e.base_offset,   e.end_offset, e.records,
                    e.bytes, e.sequence_first, e.sequence_last, e.time_max};
}
auto plain(const log_entry& e) {
  return std::tuple{e.id,
                    e.name,
                    e.partitions,
                    e.created,
                    e.exchange,
                    e.begins,
                    e.policy.retention_milliseconds,
                    e.policy.retention_bytes,
                    e.policy.retention_records,
                    e.policy.force,
                    e.policy.compact,
                    e.policy.codec,
                    e.policy.wait_for_readers};
}
auto plain(const queue_entry& e) {
  return std::tuple{e.id, e.name, e.exclusive, e.created};
}
auto plain(const binding_entry& e) {
  return std::tuple{e.id, e.exchange, e.queue, e.key};
}
auto plain(const segment_entry& e) {
  std::vector<decltype(plain(e.parts[0]))> parts;
  for (const auto& p : e.parts) parts.push_back(plain(p));
  return std::tuple{e.id, e.sequence_first, e.sequence_last, e.created, e.file_bytes, parts};
}
auto plain(const group_entry& e) {
  std::vector<std::tuple<std::string, std::vector<std::pair<std::uint32_t, std::uint32_t>>>> members;
  for (const auto& m : e.members) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> assignment;
    for (const auto& p : m.assignment) assignment.emplace_back(p.log, p.partition);
    members.emplace_back(m.id, assignment);
  }
  return std::tuple{e.id, e.name, e.generation, members};
}
template <class Entry>
auto plain(const std::vector<Entry>& entries) {
  std::vector<decltype(plain(entries[0]))> all;
  all.reserve(entries.size());
  for (const auto& e : entries) all.push_back(plain(e));
  return all;
}

const store_entry some_store{.format = 1,
                             .created = 1'700'000'000'000'001,
                             .next_id = 6,
                             .epoch = 2,
                             .sealed = 1'234,
                             .time_floor = 1'700'000'000'000'005,
                             .next_segment = 7,
                             .layout = 11};
const log_entry some_log{.id = 1,
                         .name = "orders",
                         .partitions = 3,
                         .created = 1'700'000'000'000'002,
                         .exchange = 0,
                         .begins = {400, 0, 17},
                         .policy = {60'000, std::uint64_t{1} << 30, 1'000'000, true}};
const log_entry some_exchange{
    .id = 2, .name = "events", .partitions = 1, .created = 1'700'000'000'000'003, .exchange = 3};
const group_entry some_group{
    .id = 3, .name = "billing", .generation = 9, .members = {{"m-1", {{1, 0}, {1, 7}}}, {"m-2", {}}}};
const queue_entry some_queue{.id = 4, .name = "desk", .exclusive = true, .created = 1'700'000'000'000'004};
const binding_entry some_binding{.id = 5, .exchange = 2, .queue = 4, .key = "call.*.fire"};

const segment_entry some_segment{.id = 6,
                                 .sequence_first = 1'000,
                                 .sequence_last = 1'234,
                                 .created = 1'700'000'000'000'005,
                                 .file_bytes = 81'920,
                                 .parts = {{1, 0, 400, 900, 450, 50'000, 1'001, 1'233, 1'700'000'000'000'004},
                                           {1, 2, 17, 18, 1, 100, 1'234, 1'234, -1}}};

const storage::epoch_entry some_epoch{.number = 3, .logs = {{1, {17, 4}}, {2, {}}}};

class Catalog : public main_fixture {
 protected:
  Catalog() : txn_{write()} {}

  template <class Entry>
  void put(const Entry& e) {
    ok(storage::put(txn_, tables(), e));
  }
  void put_all() {
    put(some_store);
    put(some_log);
    put(some_exchange);
    put(some_group);
    put(some_queue);
    put(some_binding);
    put(some_segment);
    put(some_epoch);
  }
  void put_raw(std::uint64_t key, storage::bytes value) {
    ok(storage::put_chunked(txn_, tables().catalog, key, value));
  }
  result<storage::catalog> stored() { return storage::read_catalog(txn_, tables()); }
  std::vector<entry> entries() { return all_of(txn_, tables().catalog); }
  /// The stored messages by key.
  std::map<std::uint64_t, std::vector<std::byte>> messages() {
    std::map<std::uint64_t, std::vector<std::byte>> all;
    auto reader = ok(storage::chunked_reader::open(txn_, tables().catalog));
    while (const auto value = ok(reader.next())) {
      all[value->key] = copy_of(std::as_bytes(std::span{value->words}).first(value->size));
    }
    return all;
  }
  storage::write_transaction& txn() { return txn_; }

 private:
  storage::write_transaction txn_;
};

TEST_F(Catalog, ComesBackWithAllKindsOfEntries) {
  put_all();
  const auto all = ok(stored());
  EXPECT_EQ(plain(all.store), plain(some_store));
  EXPECT_EQ(plain(all.logs), plain(std::vector{some_log, some_exchange}));
  EXPECT_EQ(plain(all.groups), plain(std::vector{some_group}));
  EXPECT_EQ(plain(all.queues), plain(std::vector{some_queue}));
  EXPECT_EQ(plain(all.bindings), plain(std::vector{some_binding}));
  EXPECT_EQ(plain(all.segments), plain(std::vector{some_segment}));
  ASSERT_EQ(all.epochs.size(), 1U);
  EXPECT_EQ(all.epochs[0].number, some_epoch.number);
  ASSERT_EQ(all.epochs[0].logs.size(), 2U);
  EXPECT_EQ(all.epochs[0].logs[0].id, 1U);
  EXPECT_EQ(all.epochs[0].logs[0].ends, some_epoch.logs[0].ends);
  EXPECT_TRUE(all.epochs[0].logs[1].ends.empty());
}

// Keys are kind and id, then the number of the chunk; values are size, checksum and a Cap'n Proto message.
// They were written down once: a difference means that stores which exist can no longer be read.
TEST_F(Catalog, IsStoredByteForByteAsPinned) {
  put_all();
  const std::pair<const char*, const char*> golden[] = {
      // the store
      {"00000000000000000000000000000000",
       "4000000000000000"  // size
       "4741bedf7b015415"  // checksum
       "0000000007000000"  // segments of the message: one, its words
       "0000000006000000010000000600000001401e18240a06000200000007000000"
       "d20400000000000005401e18240a06000b00000000000000"},
      // a topic
      {"00000001000000010000000000000000",
       "8800000000000000"  // size
       "b56d995c481115b9"  // checksum
       "0000000010000000"  // segments of the message: one, its words
       "0000000002000400030000000000000002401e18240a06000d0000003a000000"
       "0d0000001d000000140000000500000025000000050000006f72646572730000"
       "90010000000000000000000000000000110000000000000060ea000000000000"
       "000000400000000040420f000000000001000000000000000000000000000000"},
      // an exchange
      {"00000001000000020000000000000000",
       "7000000000000000"  // size
       "e73c90a51d5e3a50"  // checksum
       "000000000d000000"  // segments of the message: one, its words
       "0000000002000400010000000300000003401e18240a06000d0000003a000000"
       "0d00000005000000080000000500000019000000050000006576656e74730000"
       "0000000000000000000000000000000000000000000000000000000000000000"
       "0000000000000000"},
      // a group
      {"00000002000000030000000000000000",
       "8800000000000000"  // size
       "ea8a339f6f090b78"  // checksum
       "0000000010000000"  // segments of the message: one, its words
       "0000000001000200090000000000000005000000420000000500000027000000"
       "62696c6c696e670008000000000002000d000000220000000d00000017000000"
       "150000002200000015000000070000006d2d3100000000000800000001000000"
       "010000000000000001000000070000006d2d3200000000000000000001000000"},
      // a queue
      {"00000003000000040000000000000000",
       "3000000000000000"  // size
       "becf65bb33f47bcc"  // checksum
       "0000000005000000"  // segments of the message: one, its words
       "0000000002000100010000000000000004401e18240a0600010000002a000000"
       "6465736b00000000"},
      // a binding
      {"00000004000000050000000000000000",
       "3000000000000000"  // size
       "a582ee02136de8dd"  // checksum
       "0000000005000000"  // segments of the message: one, its words
       "00000000010001000200000004000000010000005a00000063616c6c2e2a2e66"
       "6972650000000000"},
      // a segment
      {"00000005000000060000000000000000",
       "d800000000000000"  // size
       "c90bf306e6fc083b"  // checksum
       "000000001a000000"  // segments of the message: one, its words
       "0000000005000100e803000000000000d20400000000000005401e18240a0600"
       "0040010000000000000000000000000001000000970000000800000009000000"
       "010000000000000090010000000000008403000000000000c201000000000000"
       "50c3000000000000e903000000000000d10400000000000004401e18240a0600"
       "0000000000000000010000000200000011000000000000001200000000000000"
       "01000000000000006400000000000000d204000000000000d204000000000000"
       "ffffffffffffffff0000000000000000"},
      // where logs ended when an epoch began
      {"00000007000000030000000000000000",
       "5000000000000000"  // size
       "3fcc291fe66c3b6e"  // checksum
       "0000000009000000"  // segments of the message: one, its words
       "0000000000000100010000002700000008000000010001000100000000000000"
       "0900000015000000020000000000000009000000050000001100000000000000"
       "0400000000000000"},
  };
  const auto found = entries();
  ASSERT_EQ(found.size(), std::size(golden));
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(hex(found[i].key), golden[i].first);
    EXPECT_EQ(hex(found[i].value), golden[i].second) << "under key " << golden[i].first;
  }
}

TEST_F(Catalog, StoresThatALogWaitsForReadersWhereNothingStoodBefore) {
  log_entry waits = some_log;
  waits.policy.wait_for_readers = true;
  put(some_store);
  put(waits);
  EXPECT_EQ(plain(ok(stored()).logs), plain(std::vector{waits}));
  const auto found = entries();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(hex(found[1].value),
            "8800000000000000"  // size
            "a33390358143f686"  // checksum
            "0000000010000000"  // segments of the message: one, its words
            "0000000002000400030000000000000002401e18240a06000d0000003a000000"
            "0d0000001d000000140000000500000025000000050000006f72646572730000"
            "90010000000000000000000000000000110000000000000060ea000000000000"
            "000000400000000040420f000000000005000000000000000000000000000000");
}

TEST_F(Catalog, KeepsExtremeNumbersAndAnyBytesOfKeysAndNames) {
  constexpr auto most32 = std::numeric_limits<std::uint32_t>::max();
  const store_entry store{1, std::numeric_limits<std::int64_t>::min(), most32, most32};
  const log_entry log{most32, std::string(255, 'n'), most32, std::numeric_limits<std::int64_t>::max(), 1};
  const log_entry other{1, "\xf0\x9f\x94\xa5 l\xc3\xb6schen", 1, -1, 2};
  const queue_entry queue{7, "", false, 0};
  std::string any_bytes;
  for (int c = 0; c < 256; ++c) any_bytes.push_back(static_cast<char>(c));
  const binding_entry binding{8, most32, 0, any_bytes};
  const binding_entry keyless{9, 1, 7, ""};
  put(store);
  put(log);
  put(other);
  put(queue);
  put(binding);
  put(keyless);
  const auto all = ok(stored());
  EXPECT_EQ(plain(all.store), plain(store));
  EXPECT_EQ(plain(all.logs), plain(std::vector{other, log})) << "ascending by id";
  EXPECT_EQ(plain(all.queues), plain(std::vector{queue}));
  EXPECT_EQ(plain(all.bindings), plain(std::vector{binding, keyless}));
}

TEST_F(Catalog, KeepsAGroupThatIsLargerThanARow) {
  group_entry group{.id = 3, .name = "crowd", .generation = 1, .members = {}};
  for (std::uint32_t m = 0; m < 300; ++m) {
    group.members.push_back({"member-" + std::to_string(m), {}});
    for (std::uint32_t p = 0; p < m % 20; ++p) group.members.back().assignment.push_back({m, p});
  }
  put(some_store);
  put(group);
  EXPECT_GT(entries().size(), 5U);
  EXPECT_EQ(plain(ok(stored()).groups), plain(std::vector{group}));
  group.members.resize(1);
  put(group);
  EXPECT_EQ(entries().size(), 2U);
  EXPECT_EQ(plain(ok(stored()).groups), plain(std::vector{group}));
}

TEST_F(Catalog, ReplacesAnEntryOfTheSameKindAndId) {
  put_all();
  auto store = some_store;
  store.next_id = 100;
  put(store);
  auto group = some_group;
  group.members.clear();
  put(group);
  const auto all = ok(stored());
  EXPECT_EQ(plain(all.store), plain(store));
  EXPECT_EQ(plain(all.groups), plain(std::vector{group}));
  EXPECT_EQ(all.logs.size(), 2U);
}

TEST_F(Catalog, KeepsKindsOfTheSameIdApart) {
  put(some_store);
  put(log_entry{.id = 1, .name = "log"});
  put(group_entry{.id = 1, .name = "group", .generation = 0, .members = {}});
  put(queue_entry{.id = 1, .name = "queue"});
  put(binding_entry{.id = 1, .exchange = 0, .queue = 0, .key = "binding"});
  ok(storage::erase_queue(txn(), tables(), 1));
  auto all = ok(stored());
  EXPECT_TRUE(all.queues.empty());
  EXPECT_EQ(all.logs.size(), 1U);
  EXPECT_EQ(all.groups.size(), 1U);
  EXPECT_EQ(all.bindings.size(), 1U);
  ok(storage::erase_binding(txn(), tables(), 1));
  all = ok(stored());
  EXPECT_TRUE(all.bindings.empty());
  EXPECT_EQ(all.logs.size(), 1U);
  EXPECT_EQ(all.groups.size(), 1U);
}

TEST_F(Catalog, IsDamagedWithoutTheStoresOwnEntry) {
  EXPECT_THAT(stored(), fails_with(errc::damaged)) << "empty";
  put(some_log);
  EXPECT_THAT(stored(), fails_with(errc::damaged));
}

TEST_F(Catalog, RefusesANewerFormatBeforeItUnderstandsAnythingElse) {
  auto newer = some_store;
  newer.format = storage::format_version + 1;
  put(newer);
  put_raw(std::uint64_t{77} << 32, as_bytes("an entry of times to come"));
  const auto refused = stored();
  ASSERT_THAT(refused, fails_with(errc::unsupported_format));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr(std::to_string(storage::format_version + 1)));
}

TEST_F(Catalog, IsDamagedByAnEntryOfAnUnknownKind) {
  put_all();
  const auto store = messages().at(0);
  for (const std::uint32_t kind : {9U, 10U, 0x8000'0000U, 0xffff'ffffU}) {
    const std::uint64_t key = (std::uint64_t{kind} << 32) | 1;
    put_raw(key, store);
    EXPECT_THAT(stored(), fails_with(errc::damaged)) << kind;
    ok(storage::erase_chunked(txn(), tables().catalog, key));
  }
  EXPECT_THAT(stored(), succeeds());
}

// Such bytes have been stored whole and with a right checksum.
TEST_F(Catalog, IsDamagedByWhatIsNoMessage) {
  const std::string bad_messages[] = {"",
                                      "x",
                                      "not a message at all: just text",
                                      std::string(4096, '\xff'),
                                      std::string(3, '\0'),
                                      std::string(2000, '\x01')};
  for (const std::uint64_t kind : {1U, 2U, 3U, 4U}) {
    for (const auto& bad : bad_messages) {
      put_all();
      put_raw((kind << 32) | 9, as_bytes(bad));
      EXPECT_THAT(stored(), fails_with(errc::damaged)) << "kind " << kind << ", " << bad.size() << " bytes";
      ok(storage::erase_chunked(txn(), tables().catalog, (kind << 32) | 9));
    }
  }
}

TEST_F(Catalog, IsDamagedByAMessageThatWasCutShort) {
  put_all();
  for (const auto& [key, whole] : messages()) {
    for (std::size_t size = 0; size < whole.size(); size += 8) {
      put_raw(key, storage::bytes{whole}.first(size));
      EXPECT_THAT(stored(), fails_with(errc::damaged)) << std::hex << key << std::dec << " cut to " << size;
    }
    put_raw(key, whole);
  }
  EXPECT_THAT(stored(), succeeds());
}

TEST_F(Catalog, NeverFailsWorseThanTypedHoweverAMessageIsWrong) {
  put_all();
  std::size_t noticed = 0;
  for (const auto& [key, whole] : messages()) {
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      auto flipped = whole;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      put_raw(key, flipped);
      const auto read = stored();
      if (read) continue;  // another number or another letter
      ++noticed;
      EXPECT_THAT(read.error().code(), ::testing::AnyOf(errc::damaged, errc::unsupported_format))
          << std::hex << key << std::dec << ", bit " << bit;
    }
    put_raw(key, whole);
  }
  EXPECT_GT(noticed, 100U);
}

}  // namespace
}  // namespace levada::test
