#include "damaged_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include <support/file_bytes.hpp>
#include <support/result_testing.hpp>

#include "queue/queue_blocks.hpp"
#include "storage/catalog.hpp"
#include "storage/main_environment.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::size_t map_bytes = std::size_t{1} << 30;

MDB_dbi table_of(const storage::main_environment& main, table which) {
  switch (which) {
    case table::journal:
      return main.tables().journal;
    case table::queues:
      return main.tables().queues;
    case table::schedule:
      return main.tables().schedule;
    case table::tickets:
      return main.tables().tickets;
    case table::unsettled:
      return main.tables().unsettled;
    case table::offsets:
      return main.tables().offsets;
    case table::producers:
      return main.tables().producers;
    case table::catalog:
      return main.tables().catalog;
    case table::host:
      return main.tables().host;
  }
  throw std::logic_error{"no such table"};
}

}  // namespace

bus_options sealing_options() {
  bus_options o;
  o.maintenance = maintenance_mode::on_call;
  o.journal_bytes_seal = 0;
  o.segment_bytes_min = 32 << 10;
  return o;
}

void fill_store(const fs::path& store, compression how) {
  auto owner = ok(bus::open(store, sealing_options()));
  ok(owner.declare_topic("orders", {.partitions = 3, .compression = how}));
  ok(owner.declare_topic("state", {.compaction = compaction_policy{.dirty_ratio = 0}, .compression = how}));
  ok(owner.declare_topic("large", {.compression = how}));
  for (const char* name : {"few", "fewer"}) ok(owner.declare_topic(name, {.compression = how}));
  ok(owner.declare_exchange("events", {.retention = {}, .compression = how}));
  for (const char* name : {"work", "audit"}) ok(owner.declare_queue(name));
  ok(owner.bind("events", "work", "job.#"));
  ok(owner.bind("events", "audit", "#"));

  std::mt19937 random{1};
  const auto bytes = [&random](std::size_t size) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; i += 1 + random() % 8) text[i] = static_cast<char>(random());
    return text;
  };
  int n = 0;
  const auto publish = [&](int rounds) {
    for (int i = 0; i < rounds; ++i, ++n) {
      auto orders = ok(owner.topic("orders"));
      auto batch = orders.make_batch();
      for (int k = 0; k < 9; ++k) {
        ok(batch.add(record{fmt::format("key-{}", random() % 100),
                            fmt::format("order-{}-{}-{}", n, k, bytes(random() % 200))}));
      }
      ok(orders.publish(batch));
      ok(owner.publish("state",
                       record{fmt::format("k{}", random() % 20), fmt::format("state-{}-{}", n, bytes(100))}));
      if (n % 3 == 0) ok(owner.publish("few", record{fmt::format("few-{}", n)}));
      if (n % 7 == 0) ok(owner.publish("fewer", record{fmt::format("fewer-{}", n)}));
      if (n % 5 == 0)
        ok(owner.publish("large", record{fmt::format("large-{}-{}", n, bytes(3'000 + random() % 40'000))}));
      ok(owner.publish("events", n % 2 == 0 ? "job.a" : "note",
                       record{fmt::format("event-{}-{}", n, bytes(20))}));
    }
  };
  const auto settle = [&](const char* queue, int count, int step) {
    auto consumer = ok(owner.consume(queue));
    for (int i = 0; i < count; ++i) {
      auto d = ok(consumer.receive(milliseconds{0}));
      if (d && i % step == 0) ok(consumer.ack(*d));
    }
  };
  publish(60);
  settle("work", 20, 2);
  ok(owner.maintain());
  publish(40);
  settle("audit", 60, 3);
  ok(owner.maintain());
  publish(50);
  auto reader = ok(owner.join("readers", {"orders", "few"}));
  for (const auto& info : ok(owner.topics())) {
    if (info.name != "orders" && info.name != "few") continue;
    for (const auto& p : info.partitions) {
      // The assignment comes with the first poll.
      (void)ok(reader.poll(milliseconds{0}));
      ok(reader.commit({info.name, p.id}, p.end));
    }
  }
  const auto accounts = ok(owner.declare_table("accounts"));
  for (int i = 0; i < 40; ++i) ok(accounts.put(table_key{"account", i}, bytes(i % 10 == 0 ? 5000 : 50)));
  for (const char* const id : {"importer", "exporter"}) (void)ok(owner.make_producer("few", {.id = id}));
  ok(owner.close());
}

store_picture look_at(const fs::path& store) {
  store_picture picture;
  auto owner = ok(bus::open(store, sealing_options()));
  for (const auto& topic : ok(owner.topics())) {
    for (const auto& p : topic.partitions) {
      picture.ends[{topic.name, p.id.value()}] = p.end.value();
      picture.records[{topic.name, p.id.value()}];
    }
  }
  auto all = ok(owner.replay_all());
  for (auto batch = ok(all.next()); !batch.empty(); batch = ok(all.next())) {
    for (const auto& r : batch) {
      const bool added = picture.records[{std::string{r.topic()}, r.partition().value()}]
                             .emplace(r.offset().value(), r.value())
                             .second;
      EXPECT_TRUE(added);
    }
  }
  for (const auto& queue : ok(owner.queues())) {
    auto& messages = picture.messages[queue.name];
    auto consumer = ok(owner.consume(queue.name, {.prefetch = 0}));
    while (auto d = ok(consumer.receive(milliseconds{0}))) messages.emplace_back(d->record().value());
    EXPECT_EQ(messages.size(), queue.messages);
  }
  for (const auto& group : ok(owner.groups())) {
    for (const auto& p : group.partitions) {
      if (p.committed)
        picture.committed[fmt::format("{} {} {}", group.name, p.where.topic, p.where.partition.value())] =
            p.committed->value();
    }
  }
  for (const auto& name : ok(owner.tables())) {
    for (auto& entry : ok(ok(owner.table(name)).scan({})))
      picture.values[{name, entry.key.text()}] = std::move(entry.value);
  }
  ok(owner.close());
  return picture;
}

store_picture without(store_picture picture, const repair_report& report) {
  std::vector<std::string> gone;
  for (const auto& lost : report.records) {
    auto& records = picture.records[{lost.where.topic, lost.where.partition.value()}];
    const auto first = records.lower_bound(lost.first.value());
    const auto end = records.lower_bound(lost.end.value());
    for (auto i = first; i != end; ++i) gone.push_back(i->second);
    records.erase(first, end);
  }
  for (const auto& lost : report.values) {
    if (lost.key) picture.values.erase({lost.table, lost.key->text()});
  }
  for (auto& [queue, messages] : picture.messages) {
    std::erase_if(messages, [&gone](const std::string& m) {
      return std::find(gone.begin(), gone.end(), m) != gone.end();
    });
  }
  return picture;
}

std::map<std::string, std::string> bytes_of(const fs::path& store) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator{store}) {
    if (entry.is_regular_file() && entry.path().filename() != "lock.mdb")
      all[entry.path().string()] = read_file(entry.path());
  }
  return all;
}

std::vector<fs::path> segments_of(const fs::path& store) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator{store / "segments"}) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

void change_values(const fs::path& store, table which,
                   const std::function<std::vector<std::size_t>(std::size_t)>& choose,
                   const std::function<void(std::string& value)>& change) {
  std::vector<std::string> values;
  {
    const auto main =
        ok(storage::main_environment::open(store / "main", {.map_bytes = map_bytes, .read_only = true}));
    const auto txn = ok(storage::read_transaction::begin(main.env()));
    auto c = ok(storage::cursor::open(txn, table_of(main, which)));
    for (auto at = ok(c.move(MDB_FIRST)); at; at = ok(c.move(MDB_NEXT))) {
      values.emplace_back(reinterpret_cast<const char*>(at->value.data()), at->value.size());
    }
  }
  std::string bytes = read_file(store / "main" / "data.mdb");
  for (const std::size_t i : choose(values.size())) {
    std::string changed = values.at(i);
    change(changed);
    ASSERT_EQ(changed.size(), values[i].size());
    std::size_t count = 0;
    // Pages that are not in use may hold older copies.
    for (auto at = bytes.find(values[i]); at != std::string::npos;
         at = bytes.find(values[i], at + 1), ++count) {
      bytes.replace(at, changed.size(), changed);
    }
    ASSERT_GT(count, 0U);
  }
  write_file(store / "main" / "data.mdb", bytes);
}

void erase_rows(const fs::path& store, const std::function<std::vector<std::size_t>(std::size_t)>& choose) {
  const auto main = ok(storage::main_environment::open(store / "main", {.map_bytes = map_bytes}));
  auto txn = ok(storage::write_transaction::begin(main.env()));
  std::vector<std::vector<std::byte>> keys;
  {
    auto c = ok(storage::cursor::open(txn, main.tables().journal));
    for (auto at = ok(c.move(MDB_FIRST)); at; at = ok(c.move(MDB_NEXT)))
      keys.emplace_back(at->key.begin(), at->key.end());
  }
  for (const std::size_t i : choose(keys.size())) (void)ok(txn.erase(main.tables().journal, keys.at(i)));
  ASSERT_EQ(txn.commit(), 0);
}

void change_bytes_of_queue(const fs::path& store, const std::string& queue, std::uint64_t by) {
  const auto main = ok(storage::main_environment::open(store / "main", {.map_bytes = map_bytes}));
  auto txn = ok(storage::write_transaction::begin(main.env()));
  const auto catalog = ok(storage::read_catalog(txn, main.tables()));
  const auto entry = std::find_if(catalog.queues.begin(), catalog.queues.end(),
                                  [&](const auto& q) { return q.name == queue; });
  ASSERT_NE(entry, catalog.queues.end());
  auto row = ok(levada::queue::read_row(txn, main.tables(), entry->id)).value();
  row.bytes += by;
  ok(levada::queue::write_row(txn, main.tables(), entry->id, row));
  ASSERT_EQ(txn.commit(), 0);
}

}  // namespace levada::test
