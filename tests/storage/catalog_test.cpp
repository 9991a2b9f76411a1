#include "storage/catalog.hpp"

#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
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
using storage::table_entry;

/// Values that compare, so that whole catalogues can.
auto plain(const store_entry& e) {
  return std::tuple{e.format, e.created,    e.next_id,      e.epoch,
                    e.sealed, e.time_floor, e.next_segment, e.layout};
}
auto plain(const segment_entry::part& e) {
  return std::tuple{e.log,   e.partition,      e.base_offset,   e.end_offset, e.records,
                    e.bytes, e.sequence_first, e.sequence_last, e.time_max,   e.sparse};
}
auto plain(const storage::log_policy& p) {
  return std::tuple{p.retention_milliseconds,
                    p.retention_bytes,
                    p.retention_records,
                    p.force,
                    p.compact,
                    p.tombstone_milliseconds,
                    p.dirty_millionths,
                    p.codec,
                    p.wait_for_readers};
}
auto plain(const storage::exchange_traits& t) {
  return std::tuple{t.transient, t.auto_delete, t.internal, t.alternate,
                    t.hash,      t.hash_header, t.overflow, t.delayed};
}
auto plain(const storage::queue_traits& t) {
  const auto redelivery = t.redelivery ? std::optional{std::tuple{t.redelivery->first, t.redelivery->factor,
                                                                  t.redelivery->most, t.redelivery->jitter}}
                                       : std::nullopt;
  return std::tuple{t.transient,   t.message_ttl,          t.max_length,      t.max_length_bytes,
                    t.overflow,    t.dead_letter_exchange, t.dead_letter_key, t.delivery_limit,
                    redelivery,    t.auto_delete,          t.expires,         t.single_active_consumer,
                    t.max_priority};
}
auto plain(const log_entry& e) {
  return std::tuple{e.id,        e.name,          e.partitions,    e.created,
                    e.exchange,  e.begins,        plain(e.policy), e.create_time,
                    e.compacted, plain(e.traits), e.orphan};
}
auto plain(const queue_entry& e) {
  return std::tuple{e.id, e.name, e.exclusive, e.created, e.share_group, plain(e.traits)};
}
auto plain(const binding_entry& e) {
  return std::tuple{e.id, e.exchange, e.destination, e.key, e.arguments, e.since};
}
auto plain(const table_entry& e) {
  return std::tuple{e.id, e.name};
}
auto plain(const storage::policy_entry& e) {
  const storage::policy_traits& t = e.traits;
  const auto redelivery = t.redelivery.value_or(storage::redelivery_trait{});
  return std::tuple{std::tuple{e.id, e.name, e.by_operator, e.pattern, e.target, e.priority},
                    std::tuple{t.message_ttl, t.expires, t.max_length, t.max_length_bytes, t.overflow},
                    std::tuple{t.dead_letter_exchange, t.dead_letter_key, t.delivery_limit, t.alternate},
                    std::tuple{redelivery.first, redelivery.factor, redelivery.most, redelivery.jitter}};
}
auto plain(const segment_entry& e) {
  std::vector<decltype(plain(e.parts[0]))> parts;
  for (const auto& p : e.parts) parts.push_back(plain(p));
  return std::tuple{e.id, e.sequence_first, e.sequence_last, e.created, e.file_bytes, parts, e.generation};
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
const log_entry some_exchange{.id = 2,
                              .name = "events",
                              .partitions = 1,
                              .created = 1'700'000'000'000'003,
                              .exchange = 5,
                              .create_time = true,
                              .compacted = {6},
                              .traits = {.transient = true,
                                         .auto_delete = true,
                                         .internal = true,
                                         .alternate = "others",
                                         .hash = 1,
                                         .hash_header = "who",
                                         .overflow = 1,
                                         .delayed = true},
                              .orphan = true};
const group_entry some_group{
    .id = 3, .name = "billing", .generation = 9, .members = {{"m-1", {{1, 0}, {1, 7}}}, {"m-2", {}}}};
const queue_entry some_queue{
    .id = 4,
    .name = "desk",
    .exclusive = true,
    .created = 1'700'000'000'000'004,
    .share_group = 3,
    .traits = {.transient = true,
               .message_ttl = 60'000,
               .max_length = 1'000,
               .max_length_bytes = 1'000'000,
               .overflow = 2,
               .dead_letter_exchange = "dead",
               .dead_letter_key = "call.lost",
               .delivery_limit = 20,
               .redelivery = {{.first = 1'000, .factor = 1.5, .most = 60'000, .jitter = 0.25}},
               .auto_delete = true,
               .expires = 3'600'000,
               .single_active_consumer = true,
               .max_priority = 10}};
/// With an argument of every kind.
const binding_entry some_binding{
    .id = 5,
    .exchange = 2,
    .destination = 4,
    .key = "call.*.fire",
    .arguments = {{"binary", binary{std::byte{0}, std::byte{0xff}, std::byte{1}}},
                  {"bool", true},
                  {"double", 0.5},
                  {"integer", std::int64_t{-2}},
                  {"none", std::monostate{}},
                  {"text", std::string{"t\xff\0t", 4}},
                  {"time", timestamp{std::chrono::microseconds{1'700'000'000'000'006}}}},
    .since = {12, 13}};
const table_entry some_table{.id = 7, .name = "accounts"};

const segment_entry some_segment{.id = 6,
                                 .sequence_first = 1'000,
                                 .sequence_last = 1'234,
                                 .created = 1'700'000'000'000'005,
                                 .file_bytes = 81'920,
                                 .parts = {{1, 0, 400, 900, 450, 50'000, 1'001, 1'233, 1'700'000'000'000'004},
                                           {1, 2, 17, 18, 1, 100, 1'234, 1'234, -1}}};

const storage::epoch_entry some_epoch{.number = 3, .logs = {{1, {17, 4}}, {2, {}}}};

const storage::policy_entry some_policy{.id = 8,
                                        .name = "short",
                                        .by_operator = true,
                                        .pattern = "^orders",
                                        .target = 1,
                                        .priority = -3,
                                        .traits = {.message_ttl = 1'001,
                                                   .expires = 1'002,
                                                   .max_length = 1'003,
                                                   .max_length_bytes = 1'004,
                                                   .overflow = 2,
                                                   .dead_letter_exchange = "dead",
                                                   .dead_letter_key = "key",
                                                   .delivery_limit = 5,
                                                   .redelivery = {{6, 1.5, 7, 0.25}},
                                                   .alternate = "rest"}};

const storage::backfill_entry some_backfill{.id = 9,
                                            .queue = 4,
                                            .binding = 5,
                                            .room = 124,
                                            .lanes = {{62, 7}, {186, 0}},
                                            .logs = {{1, {8, 9}, {10, 11}}, {2, {}, {}}}};

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
    put(some_table);
    put(some_policy);
    put(some_backfill);
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
  EXPECT_EQ(plain(all.tables), plain(std::vector{some_table}));
  EXPECT_EQ(plain(all.policies), plain(std::vector{some_policy}));
  EXPECT_EQ(all.backfills, std::vector{some_backfill});
  EXPECT_EQ(all.backfills[0].left(), 4U);
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
       "a000000000000000"  // size
       "f2712b0180e202df"  // checksum
       "0000000013000000"  // segments of the message: one, its words
       "0000000003000600030000000000000002401e18240a06000000000000000000"
       "150000003a000000150000001d0000001c000000050000002d00000005000000"
       "000000000000000000000000000000006f726465727300009001000000000000"
       "0000000000000000110000000000000060ea0000000000000000004000000000"
       "40420f000000000001000000000000000000000000000000"},
      // an exchange
      {"00000001000000020000000000000000",
       "a000000000000000"  // size
       "2227e82b6995c28a"  // checksum
       "0000000013000000"  // segments of the message: one, its words
       "00000000030006000100000005003f0103401e18240a06000100000000000000"
       "150000003a00000015000000050000001000000005000000210000000d000000"
       "210000003a00000021000000220000006576656e747300000000000000000000"
       "0000000000000000000000000000000000000000000000000000000000000000"
       "06000000000000006f7468657273000077686f0000000000"},
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
       "a800000000000000"  // size
       "4ef05f2de7c55391"  // checksum
       "0000000014000000"  // segments of the message: one, its words
       "00000000070004000f02f5ff0300000004401e18240a06009f15ffffffffffff"
       "17fcffffffffffffbfbdf0ffffffffffebffffff000000007f11c9ffffffffff"
       "0d0000002a0000000d0000002a0000000d0000004a0000001000000004000000"
       "6465736b00000000646561640000000063616c6c2e6c6f737400000000000000"
       "e803000000000000000000000000f83f60ea000000000000000000000000d03f"},
      // a binding
      {"00000004000000050000000000000000",
       "8001000000000000"  // size
       "4fea0f555a903838"  // checksum
       "000000002f000000"  // segments of the message: one, its words
       "00000000010003000200000004000000090000005a00000015000000e7000000"
       "090000001500000063616c6c2e2a2e6669726500000000000c00000000000000"
       "0d000000000000001c0000000200020005000000000000000000000000000000"
       "650000003a000000650000001a00000001000100000000000000000000000000"
       "5d0000002a00000000000000000000000300000000000000000000000000e03f"
       "510000003a00000000000000000000000200000000000000feffffffffffffff"
       "4500000042000000000000000000000000000000000000000000000000000000"
       "390000002a000000000000000000000004000000000000000000000000000000"
       "2d0000002a0000002d00000022000000060000000000000006401e18240a0600"
       "250000002a000000000000000000000062696e617279000000ff010000000000"
       "626f6f6c00000000646f75626c650000696e7465676572006e6f6e6500000000"
       "746578740000000074ff00740000000074696d6500000000"},
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
      // a table of the host
      {"00000008000000070000000000000000",
       "2800000000000000"  // size
       "1dc123da5f2a7c13"  // checksum
       "0000000004000000"  // segments of the message: one, its words
       "0000000000000100010000004a0000006163636f756e74730000000000000000"},
      // a policy
      {"00000009000000080000000000000000",
       "b800000000000000"  // size
       "cf0d0967af337652"  // checksum
       "0000000016000000"  // segments of the message: one, its words
       "00000000060006000101fd00fdffffff16fcffffffffffff15fcffffffffffff"
       "14fcffffffffffff13fcfffffffffffffaffffff000000001500000032000000"
       "150000003a000000150000002a000000150000001a0000001400000004000000"
       "210000002a00000073686f72740000005e6f7264657273006465616400000000"
       "6b657900000000000600000000000000000000000000f83f0700000000000000"
       "000000000000d03f7265737400000000"},
      // what of the past is being entered into a queue
      {"0000000a000000090000000000000000",
       "b000000000000000"  // size
       "c244a060a9128653"  // checksum
       "0000000015000000"  // segments of the message: one, its words
       "000000000200020004000000050000007c000000000000000500000027000000"
       "150000003700000008000000020000003e000000000000000700000000000000"
       "ba00000000000000000000000000000008000000010002000100000000000000"
       "1100000015000000150000001500000002000000000000001500000005000000"
       "1100000005000000080000000000000009000000000000000a00000000000000"
       "0b00000000000000"},
  };
  const auto found = entries();
  ASSERT_EQ(found.size(), std::size(golden));
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(hex(found[i].key), golden[i].first);
    EXPECT_EQ(hex(found[i].value), golden[i].second) << "under key " << golden[i].first;
  }
}

// Messages as they were pinned before their objects had more to tell.
TEST_F(Catalog, ReadsWhatWasStoredBeforeThereWereTraitsAndArguments) {
  put(some_store);
  const auto put_hex = [this](std::uint64_t key, std::string_view hex) {
    std::vector<std::byte> message;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      message.push_back(static_cast<std::byte>(std::stoi(std::string{hex.substr(i, 2)}, nullptr, 16)));
    put_raw(key, message);
  };
  put_hex((std::uint64_t{1} << 32) | 1,
          "00000000100000000000000002000400030000000000000002401e18240a0600"
          "0d0000003a0000000d0000001d00000014000000050000002500000005000000"
          "6f72646572730000900100000000000000000000000000001100000000000000"
          "60ea000000000000000000400000000040420f00000000000100000000000000"
          "0000000000000000");
  put_hex((std::uint64_t{1} << 32) | 2,
          "000000000d0000000000000002000400010000000300000003401e18240a0600"
          "0d0000003a0000000d0000000500000008000000050000001900000005000000"
          "6576656e74730000000000000000000000000000000000000000000000000000"
          "00000000000000000000000000000000");
  put_hex((std::uint64_t{3} << 32) | 4,
          "00000000050000000000000002000100010000000000000004401e18240a0600"
          "010000002a0000006465736b00000000");
  put_hex((std::uint64_t{4} << 32) | 5,
          "000000000500000000000000010001000200000004000000010000005a000000"
          "63616c6c2e2a2e666972650000000000");
  const auto all = ok(stored());
  const log_entry exchange{
      .id = 2, .name = "events", .partitions = 1, .created = 1'700'000'000'000'003, .exchange = 3};
  EXPECT_EQ(plain(all.logs), plain(std::vector{some_log, exchange}));
  const queue_entry queue{.id = 4, .name = "desk", .exclusive = true, .created = 1'700'000'000'000'004};
  EXPECT_EQ(plain(all.queues), plain(std::vector{queue}));
  const binding_entry binding{.id = 5, .exchange = 2, .destination = 4, .key = "call.*.fire"};
  EXPECT_EQ(plain(all.bindings), plain(std::vector{binding}));
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
            "a000000000000000"  // size
            "e2745d24f8bcdb38"  // checksum
            "0000000013000000"  // segments of the message: one, its words
            "0000000003000600030000000000000002401e18240a06000000000000000000"
            "150000003a000000150000001d0000001c000000050000002d00000005000000"
            "000000000000000000000000000000006f726465727300009001000000000000"
            "0000000000000000110000000000000060ea0000000000000000004000000000"
            "40420f000000000005000000000000000000000000000000");
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
  queue_entry limited{10, "limited", false, 0};
  limited.traits.message_ttl = std::numeric_limits<std::int64_t>::max();
  limited.traits.max_length = std::uint64_t{1} << 62;
  limited.traits.max_length_bytes = std::uint64_t{1} << 62;
  limited.traits.overflow = std::numeric_limits<std::uint8_t>::max();
  limited.traits.dead_letter_exchange = std::string(255, 'd');
  limited.traits.dead_letter_key = any_bytes;
  log_entry exchange{11, "\xc3\xbc", 1, 0, 5};
  exchange.traits = {.alternate = std::string(255, 'a'),
                     .hash = std::numeric_limits<std::uint8_t>::max(),
                     .hash_header = "h\xc3\xb6he",
                     .overflow = std::numeric_limits<std::uint8_t>::max()};
  put(store);
  put(log);
  put(other);
  put(exchange);
  put(queue);
  put(limited);
  put(binding);
  put(keyless);
  const auto all = ok(stored());
  EXPECT_EQ(plain(all.store), plain(store));
  EXPECT_EQ(plain(all.logs), plain(std::vector{other, exchange, log})) << "ascending by id";
  EXPECT_EQ(plain(all.queues), plain(std::vector{queue, limited}));
  EXPECT_EQ(plain(all.bindings), plain(std::vector{binding, keyless}));
}

TEST_F(Catalog, TellsWhatIsAbsentFromZeroAndFromWhatIsEmpty) {
  const queue_entry none{.id = 1, .name = "none"};
  std::vector<queue_entry> queues{none};
  const auto with = [&](auto change) {
    queue_entry& q = queues.emplace_back(none);
    q.id = static_cast<std::uint32_t>(queues.size());
    change(q.traits);
  };
  with([](storage::queue_traits& t) { t.message_ttl = 0; });
  with([](storage::queue_traits& t) { t.max_length = 0; });
  with([](storage::queue_traits& t) { t.max_length_bytes = 0; });
  with([](storage::queue_traits& t) { t.dead_letter_exchange = ""; });
  with([](storage::queue_traits& t) { t.dead_letter_key = ""; });
  with([](storage::queue_traits& t) { t.delivery_limit = 0; });
  with([](storage::queue_traits& t) { t.redelivery = {.first = 0, .factor = 0, .most = 0, .jitter = 0}; });
  with([](storage::queue_traits& t) { t.expires = 0; });
  with([](storage::queue_traits& t) {
    t = {.message_ttl = 0,
         .max_length = 0,
         .max_length_bytes = 0,
         .dead_letter_exchange = "",
         .dead_letter_key = ""};
  });
  put(some_store);
  for (const auto& q : queues) put(q);
  EXPECT_EQ(plain(ok(stored()).queues), plain(queues));
}

TEST_F(Catalog, KeepsArgumentsOfEveryKindInTheirOrder) {
  constexpr auto most64 = std::numeric_limits<std::int64_t>::max();
  constexpr auto least64 = std::numeric_limits<std::int64_t>::min();
  std::string any_bytes;
  for (int c = 0; c < 256; ++c) any_bytes.push_back(static_cast<char>(c));
  binary all_bytes;
  for (int c = 0; c < 256; ++c) all_bytes.push_back(static_cast<std::byte>(c));
  binding_entry binding{.id = 1, .exchange = 2, .destination = 3, .key = ""};
  for (const header_value& value : std::vector<header_value>{
           std::monostate{}, false, true, std::int64_t{0}, most64, least64, 0.0, -1.5,
           std::numeric_limits<double>::infinity(), std::numeric_limits<double>::denorm_min(), std::string{},
           any_bytes, std::string(5000, 'x'), binary{}, all_bytes, timestamp{},
           timestamp{std::chrono::microseconds{most64}}, timestamp{std::chrono::microseconds{least64}}}) {
    // Neither ascending nor descending.
    binding.arguments.emplace_back("n" + std::to_string(binding.arguments.size() * 7 % 18), value);
  }
  binding.arguments.emplace_back(std::string(255, 'n'), true);
  binding.arguments.emplace_back("l\xc3\xb6schen", true);
  put(some_store);
  put(binding);
  EXPECT_EQ(plain(ok(stored()).bindings), plain(std::vector{binding}));
  // A value that is empty is of its kind all the same.
  binding.arguments = {{"a", std::string{}}};
  put(binding);
  EXPECT_EQ(plain(ok(stored()).bindings), plain(std::vector{binding}));
  binding.arguments.clear();
  put(binding);
  EXPECT_EQ(plain(ok(stored()).bindings), plain(std::vector{binding}));
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
  put(binding_entry{.id = 1, .exchange = 0, .destination = 0, .key = "binding"});
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
  for (const std::uint32_t kind : {11U, 12U, 0x8000'0000U, 0xffff'ffffU}) {
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
