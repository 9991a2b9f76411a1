#include "full_disk_steps.hpp"

#include <fmt/format.h>

#include <chrono>
#include <ostream>
#include <string>
#include <vector>

#include <support/result_testing.hpp>

#include "full_disk_fixture.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

void no_sealing(bus_options& o) {
  o.journal_bytes_seal = 64 << 20;
}

/// So that there is something of everything, in segments and in the journal.
void fill(witnessed_bus& w, scarce_disk&) {
  w.declare();
  for (std::size_t i = 0; i < 24; ++i) {
    ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
    ok(w.publish("facts", fmt::format("{}", i % 5), value_of(i + 1)));
    ok(w.send(fmt::format("message {}", i)));
    if (i % 3 == 0) ok(w.settle());
    if (i % 8 == 7) ok(w.the_bus().maintain());
  }
  ok(w.read_on());
}

/// Leaves no free pages in the main file.
void use_up(witnessed_bus& w, scarce_disk& disk) {
  disk.leave(0);
  for (int refused = 0; refused < 3;) refused += w.publish("orders", "", "x") ? 0 : 1;
  disk.give_back();
}

result<void> maintain(witnessed_bus& w, std::size_t&) {
  return w.the_bus().maintain();
}
result<void> publish_some(witnessed_bus& w, std::size_t& progress) {
  for (; progress < 30; ++progress) {
    if (auto done = w.publish("orders", fmt::format("{}", progress % 7), value_of(progress)); !done)
      return done;
    if (auto done = w.send(fmt::format("later {}", progress)); !done) return done;
    if (progress % 10 != 9) continue;
    if (auto done = w.publish_batch("facts", {value_of(1), value_of(4), value_of(7)}); !done) return done;
  }
  return {};
}
/// Of many sizes, several in each commit; what was refused is sent again.
result<void> produce_some(witnessed_bus& w, std::size_t& progress) {
  constexpr std::size_t sent_together = 10;
  while (progress < 40) {
    std::vector<std::string> values;
    for (std::size_t i = 0; i < sent_together - progress % sent_together; ++i)
      values.push_back(value_of(progress + i));
    if (auto done = w.produce(values, progress); !done) return done;
  }
  return {};
}
void fill_and_produce(witnessed_bus& w, scarce_disk& disk) {
  fill(w, disk);
  std::size_t stored = 0;
  ok(w.produce({value_of(1), value_of(4)}, stored));
}
result<void> open_again(witnessed_bus& w, std::size_t&) {
  return w.is_open() ? result<void>{} : w.open();
}

const full_disk_step all[] = {
    {"Publishing", 4 * kib, no_sealing, fill, publish_some},
    {"PublishingBehindCheckpoints", 64 * kib,
     [](bus_options& o) {
       with_checkpoints(o);
       no_sealing(o);
     },
     fill, publish_some, 32 * kib},
    {"PublishingIntoAFullJournal", 8 * kib,
     [](bus_options& o) { o.journal_bytes_seal = o.journal_bytes_max = 40 << 10; }, fill, publish_some},
    {"PublishingIntoAFullJournalThatAThreadSeals", 8 * kib,
     [](bus_options& o) {
       o.journal_bytes_seal = o.journal_bytes_max = 40 << 10;
       o.maintenance = maintenance_mode::background;
     },
     fill, publish_some},
    {"Producing", 4 * kib, no_sealing, fill_and_produce, produce_some},
    {"ProducingForTheFirstTime", 4 * kib, no_sealing, fill, produce_some},
    {"ProducingBehindCheckpoints", 64 * kib,
     [](bus_options& o) {
       with_checkpoints(o);
       no_sealing(o);
     },
     fill_and_produce, produce_some, 32 * kib},
    {"ProducingIntoAFullJournal", 8 * kib,
     [](bus_options& o) { o.journal_bytes_seal = o.journal_bytes_max = 40 << 10; }, fill_and_produce,
     produce_some},
    {"ProducingIntoAFullJournalThatAThreadSeals", 16 * kib,
     [](bus_options& o) {
       o.journal_bytes_seal = o.journal_bytes_max = 40 << 10;
       o.maintenance = maintenance_mode::background;
     },
     fill_and_produce, produce_some},
    {"Bookkeeping", 4 * kib, no_sealing,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       use_up(w, disk);
     },
     [](witnessed_bus& w, std::size_t&) -> result<void> {
       for (int i = 0; i < 60; ++i) {
         const auto name = fmt::format("{}{}", i, std::string(200, 'n'));
         if (auto done = w.the_bus().declare_topic(name, {.partitions = 64}); !done) return done.error();
         if (auto done = w.the_bus().declare_queue(name); !done) return done;
         if (auto done = w.the_bus().bind("events", name, name); !done) return done;
         if (auto done = w.the_bus().declare_anonymous_queue(); !done) return done.error();
         if (auto done = w.read_on(); !done) return done;
         if (auto done = w.settle(); !done) return done;
       }
       return {};
     },
     32 * kib},
    {"Sealing", 8 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       for (std::size_t i = 0; i < 40; ++i) ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
     },
     maintain},
    {"SealingCompressed", 4 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       ok(w.the_bus().set_compression("orders", compression::zstd));
       for (std::size_t i = 0; i < 60; ++i) ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
     },
     maintain},
    {"SealingBehindCheckpoints", 8 * kib, with_checkpoints,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       for (std::size_t i = 0; i < 40; ++i) ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
     },
     [](witnessed_bus& w, std::size_t&) -> result<void> {
       if (auto done = w.the_bus().maintain(); !done) return done;
       return w.the_bus().sync();
     },
     32 * kib},
    {"Retention", 4 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       for (std::size_t i = 0; i < 30; ++i) {
         ok(w.publish("recent", "", value_of(i)));
         if (i % 10 == 9) ok(w.the_bus().maintain());
       }
       use_up(w, disk);
     },
     [](witnessed_bus& w, std::size_t&) -> result<void> {
       w.may_lose("recent", 29);
       if (auto done = w.the_bus().set_retention("recent", {.records = 1}); !done) return done;
       if (auto done = w.the_bus().maintain(); !done) return done;
       const auto topics = ok(w.the_bus().topics());
       for (const auto& t : topics) {
         if (t.name != "recent") continue;
         EXPECT_GE(t.partitions[0].begin, offset{20});
       }
       return {};
     },
     0, true},
    {"Compaction", 4 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       for (std::size_t i = 0; i < 60; ++i) {
         ok(w.publish("facts", fmt::format("{}", i % 7), value_of(i)));
         if (i % 30 == 29) ok(w.the_bus().maintain());
       }
     },
     [](witnessed_bus& w, std::size_t&) -> result<void> {
       w.may_compact("facts");
       const compaction_policy at_once{.dirty_ratio = 0};
       if (auto done = w.the_bus().set_compaction("facts", at_once); !done) return done;
       return w.the_bus().maintain();
     }},
    {"Merging", 8 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk&) {
       w.declare();
       for (std::size_t i = 0; i < 32; ++i) {
         ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
         ok(w.publish("facts", fmt::format("{}", i), value_of(i)));
         if (i % 4 == 3 && i < 31) ok(w.the_bus().maintain());
       }
     },
     maintain},
    {"ThinningOut", 4 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk&) {
       w.declare();
       for (std::size_t i = 0; i < 60; ++i) ok(w.send(fmt::format("{} {}", i, value_of(i))));
       ok(w.the_bus().maintain());
       for (std::size_t i = 0; i < 40; ++i) ok(w.settle());
       ok(w.publish("orders", "", "a beginning"));
       ok(w.the_bus().maintain());
     },
     [](witnessed_bus& w, std::size_t& progress) -> result<void> {
       w.may_thin_out();
       if (progress++ == 0) w.the_clock().advance(hours{25});
       return w.the_bus().maintain();
     }},
    {"GivingBackDeadRecords", 32 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk&) {
       w.declare();
       for (std::size_t i = 0; i < 500; ++i) {
         ok(w.publish("facts", "", std::string(4'000, static_cast<char>('a' + i % 26))));
       }
       ok(w.the_bus().maintain());
     },
     [](witnessed_bus& w, std::size_t&) -> result<void> {
       w.may_lose("facts", 300);
       if (auto done = w.the_bus().delete_records({"facts", partition_id{0}}, offset{300}); !done)
         return done;
       return w.the_bus().maintain();
     },
     384 * kib},
    {"Deleting", 4 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       use_up(w, disk);
     },
     [](witnessed_bus& w, std::size_t& progress) -> result<void> {
       if (progress == 0) {
         if (auto done = w.delete_orders(); !done) return done;
         progress = 1;
       }
       if (auto done = w.the_bus().maintain(); !done) return done;
       auto again = w.the_bus().declare_topic("orders", {.partitions = 3});
       return again ? result<void>{} : again.error();
     },
     0, true},
    {"BackingUp", 12 * kib, as_ever, fill,
     [](witnessed_bus& w, std::size_t&) -> result<void> {
       const fs::path to = w.store().parent_path() / "backup";
       auto done = w.the_bus().backup(to, {.hard_links = false});
       if (!done) {
         for (const auto& left : fs::directory_iterator{w.store().parent_path()}) {
           EXPECT_EQ(left.path(), w.store()) << "left of a backup";
         }
         return done.error();
       }
       // Looking at it needs some room, too.
       if (const auto report = check_store(to); report) {
         EXPECT_TRUE(report->problems.empty());
       } else {
         EXPECT_THAT(report, fails_with(errc::disk_full));
       }
       fs::remove_all(to);
       return {};
     }},
    {"Closing", 8 * kib, no_sealing,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       // Enough for the index to be worth saving.
       for (std::size_t i = 0; i < 150; ++i) ok(w.publish("facts", "", std::string(9'000, 'x')));
       // An entry of the index for each.
       auto wide = ok(w.the_bus().declare_topic("wide", {.partitions = 1'024}));
       ok(w.publish_to_each(wide));
       use_up(w, disk);
     },
     [](witnessed_bus& w, std::size_t&) -> result<void> { return w.close(); }, 160 * kib},
    {"Opening", 4 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       ok(w.publish("orders", "", "in the journal"));
       const auto kept = ok(w.the_bus().declare_anonymous_queue());
       for (int i = 0; i < 200; ++i) ok(w.the_bus().bind("events", kept.name(), fmt::format("{}", i)));
       use_up(w, disk);
       w.die();
     },
     open_again, 24 * kib},
    {"OpeningForCheckpoints", 12 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       ok(w.close());
       with_checkpoints(w.options());
     },
     open_again},
    {"OpeningACopy", 4 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk& disk) {
       fill(w, disk);
       const fs::path to = w.store().parent_path() / "backup";
       ok(w.the_bus().backup(to));
       ok(w.close());
       fs::remove_all(w.store());
       fs::rename(to, w.store());
     },
     open_again},
    {"Creating", 4 * kib, as_ever,
     [](witnessed_bus& w, scarce_disk&) {
       ok(w.close());
       fs::remove_all(w.store());
     },
     [](witnessed_bus& w, std::size_t&) -> result<void> {
       if (!w.is_open()) {
         if (auto done = w.open(); !done) {
           EXPECT_TRUE(fs::is_empty(w.store().parent_path())) << "something half-done is left";
           return done;
         }
       }
       for (const auto* const topic : {"orders", "facts"}) {
         if (auto done = w.the_bus().declare_topic(topic, {.partitions = 3}); !done) return done.error();
       }
       return {};
     }},
};

}  // namespace

void PrintTo(const full_disk_step& s, std::ostream* out) {
  *out << s.name;
}

std::span<const full_disk_step> full_disk_steps() {
  return all;
}

}  // namespace levada::test
