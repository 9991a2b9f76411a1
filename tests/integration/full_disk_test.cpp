#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>
#include <support/scarce_disk.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::uint64_t kib = 1024;
constexpr int exit_not_permitted = 77;

/// A bus, and what it has acknowledged, which is what it must hold.
class world {
 public:
  using configure_function = void (*)(bus_options&);

  world(fs::path store, configure_function configure) : store_{std::move(store)} {
    options_.clock = clock_;
    options_.maintenance = maintenance_mode::on_call;
    options_.journal_bytes_seal = 0;
    options_.segment_bytes_min = 64 << 10;
    options_.boot_id = "this boot";
    configure(options_);
  }

  /// Opens the store, which may be a new one, and takes up where its readers were.
  [[nodiscard]] result<void> open() {
    auto opened = bus::open(store_, options_);
    if (!opened) return opened.error();
    bus_.emplace(std::move(*opened));
    return {};
  }
  [[nodiscard]] bool is_open() const { return bus_.has_value(); }
  [[nodiscard]] bus& the_bus() { return *bus_; }
  [[nodiscard]] manual_clock& the_clock() { return *clock_; }
  [[nodiscard]] bus_options& options() { return options_; }
  [[nodiscard]] const fs::path& store() const { return store_; }
  result<void> close() {
    reader_.reset();
    desk_.reset();
    held_.clear();
    auto done = bus_ ? bus_->close() : result<void>{};
    bus_.reset();
    return done;
  }
  /// Goes on with the store as the death of a process would leave it now.
  void die() {
    const fs::path copy = store_.parent_path() / "copy";
    fs::copy(store_, copy, fs::copy_options::recursive);
    fs::permissions(copy, fs::perms::owner_all);
    ok(close());
    fs::remove_all(store_);
    fs::rename(copy, store_);
  }

  /// Declares one of everything.
  void declare() {
    ok(bus_->declare_topic("orders", {.partitions = 3}));
    ok(bus_->declare_topic("facts"));
    ok(bus_->declare_topic("recent"));
    ok(bus_->declare_exchange("events", {.type = exchange_type::fanout}));
    ok(bus_->declare_queue("desk"));
    ok(bus_->bind("events", "desk", ""));
  }

  result<void> publish(const std::string& topic, const std::string& key, const std::string& value) {
    auto to = bus_->topic(topic);
    if (!to) return to.error();
    auto receipt = to->publish(record{key, value});
    if (!receipt) return receipt.error();
    acknowledged_.push_back({topic, receipt->partition.value(), receipt->offset.value(), key, value});
    return {};
  }
  /// Several records as one.
  result<void> publish_batch(const std::string& topic, const std::vector<std::string>& values) {
    auto to = bus_->topic(topic);
    if (!to) return to.error();
    auto batch = to->make_batch();
    for (const auto& v : values) ok(batch.add(partition_id{0}, v));
    auto receipt = to->publish(batch);
    if (!receipt) return receipt.error();
    for (std::size_t i = 0; i < values.size(); ++i) {
      acknowledged_.push_back({topic, 0, receipt->ranges[0].base_offset.value() + i, "", values[i]});
    }
    return {};
  }
  /// A record for each partition.
  result<void> publish_to_each(const topic& to) {
    auto batch = to.make_batch();
    for (std::uint32_t p = 0; p < to.partitions(); ++p) ok(batch.add(partition_id{p}, "x"));
    auto receipt = to.publish(batch);
    if (!receipt) return receipt.error();
    for (const auto& range : receipt->ranges) {
      acknowledged_.push_back({to.name(), range.partition.value(), range.base_offset.value(), "", "x"});
    }
    return {};
  }
  /// A message for the desk.
  result<void> send(const std::string& value) {
    auto receipt = bus_->publish("events", "", record{value});
    if (!receipt) return receipt.error();
    acknowledged_.push_back({"events", receipt->partition.value(), receipt->offset.value(), "", value});
    unsettled_.push_back(value);
    return {};
  }
  /// Settles the desk's oldest message.
  result<void> settle() {
    if (auto had = receive(); !had) return had;
    if (held_.empty()) return {};
    auto done = desk_->ack(held_.front());
    if (!done) return done;
    held_.pop_front();
    unsettled_.pop_front();
    return {};
  }
  /// Reads on in a group, and commits how far.
  result<void> read_on() {
    if (!reader_) {
      consumer_options from_start;
      from_start.reset = offset_reset::earliest;
      from_start.poll_records_max = 5;
      auto joined = bus_->join("readers", {"orders"}, from_start);
      if (!joined) return joined.error();
      reader_.emplace(std::move(*joined));
    }
    if (auto batch = reader_->poll(milliseconds{0}); !batch) return batch.error();
    auto done = reader_->commit();
    if (!done) return done;
    for (const auto& where : reader_->assignment()) {
      committed_[where.partition.value()] = ok(reader_->position(where)).value().value();
    }
    return {};
  }
  result<void> delete_orders() {
    auto done = bus_->delete_topic("orders");
    if (!done) return done;
    std::erase_if(acknowledged_, [](const auto& r) { return r.topic == "orders"; });
    committed_.clear();
    reader_.reset();
    return {};
  }

  /// Records of this topic before the offset may be gone, but need not be.
  void may_lose(const std::string& topic, std::uint64_t before) { given_up_[topic] = before; }
  /// Records of this topic may be gone that have a newer one with the same key.
  void may_compact(const std::string& topic) { compacted_.insert(topic); }
  /// Messages may be gone that have been settled.
  void may_thin_out() { thinned_ = true; }

  [[nodiscard]] std::uint64_t count(const std::string& topic) const {
    return static_cast<std::uint64_t>(std::count_if(acknowledged_.begin(), acknowledged_.end(),
                                                    [&](const auto& r) { return r.topic == topic; }));
  }

  /// Whether everything that was acknowledged can be read, in its order, and nothing else.
  void expect_intact(const char* when) {
    SCOPED_TRACE(when);
    expect_records();
    expect_queue();
    expect_offsets();
  }
  /// Whether the store on disk is sound, and holds no files but its own.
  void expect_sound() {
    const auto report = ok(check_store(store_));
    for (const auto& p : report.problems) ADD_FAILURE() << p.where << ": " << p.what;
    std::size_t files = 0;
    for (const auto& file : fs::directory_iterator{store_ / "segments"}) {
      EXPECT_EQ(file.path().extension(), ".seg") << file.path();
      ++files;
    }
    EXPECT_EQ(files, report.segments) << "stray segments";
    EXPECT_FALSE(fs::exists(store_ / "main" / "checkpoint.new"));
  }

 private:
  struct entry {
    std::string topic;
    std::uint32_t partition;
    std::uint64_t offset;
    std::string key;
    std::string value;
  };

  [[nodiscard]] bool may_be_gone(const entry& e) const {
    if (const auto given_up = given_up_.find(e.topic); given_up != given_up_.end()) {
      if (e.offset < given_up->second) return true;
    }
    if (compacted_.contains(e.topic) && !e.key.empty()) {
      return std::any_of(acknowledged_.begin(), acknowledged_.end(), [&](const auto& other) {
        return other.topic == e.topic && other.key == e.key && other.offset > e.offset;
      });
    }
    return thinned_ && e.topic == "events" &&
           std::find(unsettled_.begin(), unsettled_.end(), e.value) == unsettled_.end();
  }
  void expect_records() {
    auto pass = ok(bus_->replay_all({.until = until_latest{}}));
    auto next = acknowledged_.begin();
    std::size_t read = 0;
    while (!pass.ended()) {
      const auto batch = ok(pass.next());
      for (const auto& r : batch) {
        const auto same = [&](const entry& e) {
          return e.topic == r.topic() && e.partition == r.partition().value() &&
                 e.offset == r.offset().value() && e.key == r.key() && e.value == r.value();
        };
        while (next != acknowledged_.end() && !same(*next) && may_be_gone(*next)) ++next;
        if (next == acknowledged_.end() || !same(*next)) {
          ADD_FAILURE() << "read " << r.topic() << " " << r.partition().value() << " " << r.offset().value()
                        << " as number " << read << " instead of "
                        << (next == acknowledged_.end()
                                ? "nothing"
                                : fmt::format("{} {} {}", next->topic, next->partition, next->offset));
          return;
        }
        ++next;
        ++read;
      }
    }
    while (next != acknowledged_.end() && may_be_gone(*next)) ++next;
    if (next != acknowledged_.end()) {
      ADD_FAILURE() << next->topic << " " << next->partition << " " << next->offset << " is lost, after "
                    << read << " of " << acknowledged_.size();
    }
  }
  result<void> receive() {
    if (!desk_) {
      auto consuming = bus_->consume("desk", {.prefetch = 0});
      if (!consuming) return consuming.error();
      desk_.emplace(std::move(*consuming));
    }
    for (;;) {
      auto d = desk_->receive(milliseconds{0});
      if (!d) return d.error();
      if (!*d) return {};
      held_.push_back(**d);
    }
  }
  void expect_queue() {
    for (const auto& queue : ok(bus_->queues())) {
      if (queue.name != "desk") continue;
      EXPECT_EQ(queue.messages, unsettled_.size());
    }
    if (unsettled_.empty()) return;
    if (auto had = receive(); !had) {
      // A queue's first consumer is noted.
      EXPECT_THAT(had, fails_with(errc::disk_full));
      return;
    }
    std::vector<std::string> values;
    for (const auto& d : held_) values.emplace_back(d.record().value());
    EXPECT_EQ(values, (std::vector<std::string>{unsettled_.begin(), unsettled_.end()}));
  }
  void expect_offsets() {
    if (committed_.empty()) return;
    std::map<std::uint32_t, std::uint64_t> found;
    for (const auto& group : ok(bus_->groups())) {
      for (const auto& p : group.partitions) {
        if (group.name == "readers" && p.committed) found[p.where.partition.value()] = p.committed->value();
      }
    }
    EXPECT_EQ(found, committed_);
  }

  fs::path store_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  bus_options options_;
  std::optional<bus> bus_;
  std::optional<consumer> reader_;
  std::optional<queue_consumer> desk_;
  std::deque<delivery> held_;

  std::vector<entry> acknowledged_;  // in this order
  std::deque<std::string> unsettled_;
  std::map<std::uint32_t, std::uint64_t> committed_;  // by partition
  std::map<std::string, std::uint64_t> given_up_;
  std::set<std::string> compacted_;
  bool thinned_ = false;
};

/// Values of many sizes: within a row, a row's, and of several rows.
std::string value_of(std::size_t i) {
  static constexpr std::size_t sizes[] = {20, 700, 60, 1'900, 5'000, 300, 2'100, 9'000};
  std::string value = fmt::format("{} ", i);
  value.resize(sizes[i % std::size(sizes)], static_cast<char>('a' + i % 26));
  return value;
}

/// So that there is something of everything, in segments and in the journal.
void fill(world& w, scarce_disk&) {
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
void use_up(world& w, scarce_disk& disk) {
  disk.leave(0);
  for (int refused = 0; refused < 3;) refused += w.publish("orders", "", "x") ? 0 : 1;
  disk.give_back();
}

/// What is done while there is no room, in words that name the test.
struct step {
  const char* name;
  /// By how much the room differs from one try to the next.
  std::uint64_t stride;
  world::configure_function configure;
  void (*prepare)(world&, scarce_disk&);
  /// Can be done again after it has been refused.
  std::function<result<void>(world&, std::size_t& progress)> act;
  /// The same where files are limited; as for a disk where it is 0.
  std::uint64_t limited_stride = 0;
  /// Whether it can be done without any more room, as it gives back some.
  bool gives_back = false;
};

void PrintTo(const step& s, std::ostream* out) {
  *out << s.name;
}

constexpr auto as_ever = [](bus_options&) {};
constexpr auto no_sealing = [](bus_options& o) { o.journal_bytes_seal = 64 << 20; };
constexpr auto with_checkpoints = [](bus_options& o) { o.durability = checkpointed{hours{1}}; };

result<void> maintain(world& w, std::size_t&) {
  return w.the_bus().maintain();
}
result<void> publish_some(world& w, std::size_t& progress) {
  for (; progress < 30; ++progress) {
    if (auto done = w.publish("orders", fmt::format("{}", progress % 7), value_of(progress)); !done)
      return done;
    if (auto done = w.send(fmt::format("later {}", progress)); !done) return done;
    if (progress % 10 != 9) continue;
    if (auto done = w.publish_batch("facts", {value_of(1), value_of(4), value_of(7)}); !done) return done;
  }
  return {};
}
result<void> open_again(world& w, std::size_t&) {
  return w.is_open() ? result<void>{} : w.open();
}

const step steps[] = {
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
    {"Bookkeeping", 4 * kib, no_sealing,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       use_up(w, disk);
     },
     [](world& w, std::size_t&) -> result<void> {
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
     }},
    {"Sealing", 8 * kib, as_ever,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       for (std::size_t i = 0; i < 40; ++i) ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
     },
     maintain},
    {"SealingCompressed", 4 * kib, as_ever,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       ok(w.the_bus().set_compression("orders", compression::zstd));
       for (std::size_t i = 0; i < 60; ++i) ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
     },
     maintain},
    {"SealingBehindCheckpoints", 8 * kib, with_checkpoints,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       for (std::size_t i = 0; i < 40; ++i) ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
     },
     [](world& w, std::size_t&) -> result<void> {
       if (auto done = w.the_bus().maintain(); !done) return done;
       return w.the_bus().sync();
     },
     32 * kib},
    {"Retention", 4 * kib, as_ever,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       for (std::size_t i = 0; i < 30; ++i) {
         ok(w.publish("recent", "", value_of(i)));
         if (i % 10 == 9) ok(w.the_bus().maintain());
       }
       use_up(w, disk);
     },
     [](world& w, std::size_t&) -> result<void> {
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
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       for (std::size_t i = 0; i < 60; ++i) {
         ok(w.publish("facts", fmt::format("{}", i % 7), value_of(i)));
         if (i % 30 == 29) ok(w.the_bus().maintain());
       }
     },
     [](world& w, std::size_t&) -> result<void> {
       w.may_compact("facts");
       const compaction_policy at_once{.dirty_ratio = 0};
       if (auto done = w.the_bus().set_compaction("facts", at_once); !done) return done;
       return w.the_bus().maintain();
     }},
    {"Merging", 8 * kib, as_ever,
     [](world& w, scarce_disk&) {
       w.declare();
       for (std::size_t i = 0; i < 32; ++i) {
         ok(w.publish("orders", fmt::format("{}", i % 7), value_of(i)));
         ok(w.publish("facts", fmt::format("{}", i), value_of(i)));
         if (i % 4 == 3 && i < 31) ok(w.the_bus().maintain());
       }
     },
     maintain},
    {"ThinningOut", 4 * kib, as_ever,
     [](world& w, scarce_disk&) {
       w.declare();
       for (std::size_t i = 0; i < 60; ++i) ok(w.send(fmt::format("{} {}", i, value_of(i))));
       ok(w.the_bus().maintain());
       for (std::size_t i = 0; i < 40; ++i) ok(w.settle());
       ok(w.publish("orders", "", "a beginning"));
       ok(w.the_bus().maintain());
     },
     [](world& w, std::size_t& progress) -> result<void> {
       w.may_thin_out();
       if (progress++ == 0) w.the_clock().advance(hours{25});
       return w.the_bus().maintain();
     }},
    {"GivingBackDeadRecords", 32 * kib, as_ever,
     [](world& w, scarce_disk&) {
       w.declare();
       for (std::size_t i = 0; i < 500; ++i) {
         ok(w.publish("facts", "", std::string(4'000, static_cast<char>('a' + i % 26))));
       }
       ok(w.the_bus().maintain());
     },
     [](world& w, std::size_t&) -> result<void> {
       w.may_lose("facts", 300);
       if (auto done = w.the_bus().delete_records({"facts", partition_id{0}}, offset{300}); !done)
         return done;
       return w.the_bus().maintain();
     },
     96 * kib},
    {"Deleting", 4 * kib, as_ever,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       use_up(w, disk);
     },
     [](world& w, std::size_t& progress) -> result<void> {
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
     [](world& w, std::size_t&) -> result<void> {
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
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       // Enough for the index to be worth saving.
       for (std::size_t i = 0; i < 150; ++i) ok(w.publish("facts", "", std::string(9'000, 'x')));
       // An entry of the index for each.
       auto wide = ok(w.the_bus().declare_topic("wide", {.partitions = 1'024}));
       ok(w.publish_to_each(wide));
       use_up(w, disk);
     },
     [](world& w, std::size_t&) -> result<void> { return w.close(); }, 160 * kib},
    {"Opening", 4 * kib, as_ever,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       ok(w.publish("orders", "", "in the journal"));
       const auto kept = ok(w.the_bus().declare_anonymous_queue());
       for (int i = 0; i < 200; ++i) ok(w.the_bus().bind("events", kept.name(), fmt::format("{}", i)));
       use_up(w, disk);
       w.die();
     },
     open_again},
    {"OpeningForCheckpoints", 12 * kib, as_ever,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       ok(w.close());
       with_checkpoints(w.options());
     },
     open_again},
    {"OpeningACopy", 4 * kib, as_ever,
     [](world& w, scarce_disk& disk) {
       fill(w, disk);
       const fs::path to = w.store().parent_path() / "backup";
       ok(w.the_bus().backup(to));
       ok(w.close());
       fs::remove_all(w.store());
       fs::rename(to, w.store());
     },
     open_again},
    {"Creating", 4 * kib, as_ever,
     [](world& w, scarce_disk&) {
       ok(w.close());
       fs::remove_all(w.store());
     },
     [](world& w, std::size_t&) -> result<void> {
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

/// What can be done at any time: each is done, or refused.
void do_small_things(world& w) {
  const auto done_or_refused = [](const result<void>& r) {
    if (!r) {
      EXPECT_THAT(r, fails_with(errc::disk_full));
    }
  };
  if (w.the_bus().topic("orders")) {
    done_or_refused(w.publish("orders", "small", "thing"));
    done_or_refused(w.read_on());
  }
  if (!ok(w.the_bus().exchanges()).empty()) {
    done_or_refused(w.send("a small thing"));
    done_or_refused(w.settle());
  }
  done_or_refused(w.the_bus().maintain());
  done_or_refused(w.the_bus().sync());
}

void do_small_things_for_sure(world& w) {
  if (w.the_bus().topic("orders")) {
    ok(w.publish("orders", "small", "thing"));
    ok(w.read_on());
  }
  if (!ok(w.the_bus().exchanges()).empty()) {
    ok(w.send("a small thing"));
    ok(w.settle());
  }
  ok(w.the_bus().maintain());
  ok(w.the_bus().sync());
}

/// Does a step with so much room, and goes on when there is more; whether it was refused.
bool try_step(const step& s, scarce_disk& disk, std::uint64_t room) {
  world w{disk.path() / "store", s.configure};
  ok(w.open());
  s.prepare(w, disk);
  std::size_t progress = 0;
  disk.leave(room);
  const auto first = s.act(w, progress);
  if (!first) {
    EXPECT_THAT(first, fails_with(errc::disk_full));
  }
  if (w.is_open()) {
    w.expect_intact("as long as there is no room");
    do_small_things(w);
    w.expect_intact("after small things without room");
    EXPECT_TRUE(w.the_bus().health().writable) << w.the_bus().health().reason;
  }
  disk.give_back();
  if (!first && w.is_open()) ok(s.act(w, progress));
  if (!w.is_open()) ok(w.open());
  w.expect_intact("when there is room again");
  do_small_things_for_sure(w);
  w.expect_intact("after small things");
  ok(w.close());
  w.expect_sound();
  ok(w.open());
  w.expect_intact("after opening again");
  ok(w.close());
  fs::remove_all(disk.path() / "store");
  return !first;
}

/// Does a step with ever more room, until it is enough.
int try_all(const step& s, std::uint64_t stride, scarce_disk& disk) {
  int refused = 0;
  for (std::uint64_t room = 0, done = 0;; room += stride) {
    SCOPED_TRACE(fmt::format("with room for {} bytes", room));
    try {
      if (try_step(s, disk, room)) {
        ++refused;
      } else if (!s.gives_back || ++done == 8) {
        break;
      }
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
    if (::testing::Test::HasFailure()) return 1;
  }
  EXPECT_GE(refused, s.gives_back ? 0 : 1) << "it never was refused";
  return ::testing::Test::HasFailure() ? 1 : 0;
}

constexpr std::uint64_t disk_bytes = std::uint64_t{48} << 20;

class OnADisk : public ::testing::Test {
 protected:
  /// `body(disk)` in a child, on a disk of its own; its result is the exit code.
  void on_a_disk(const std::function<int(scarce_disk&)>& body) {
    child_process child{[&](const auto&) {
      const auto disk = scarce_disk::mount(directory_.path(), disk_bytes);
      return disk ? body(*disk) : exit_not_permitted;
    }};
    const int code = child.wait();
    if (code == exit_not_permitted) GTEST_SKIP() << "the system permits no file system of one's own";
    EXPECT_EQ(code, 0);
  }
  void under_a_limit(const std::function<int(scarce_disk&)>& body) {
    child_process child{[&](const auto&) { return body(*scarce_disk::limit_files(directory_.path())); }};
    EXPECT_EQ(child.wait(), 0);
  }

 private:
  temporary_directory directory_;
};

class FullDisk : public OnADisk, public ::testing::WithParamInterface<step> {};

TEST_P(FullDisk, RefusesCleanlyAndGoesOnWhenThereIsRoom) {
  on_a_disk([](scarce_disk& disk) { return try_all(GetParam(), GetParam().stride, disk); });
}

TEST_P(FullDisk, RefusesCleanlyAtALimitOfFileSizesAndGoesOnWithoutIt) {
  under_a_limit([](scarce_disk& disk) {
    const step& s = GetParam();
    return try_all(s, s.limited_stride != 0 ? s.limited_stride : s.stride, disk);
  });
}

INSTANTIATE_TEST_SUITE_P(Steps, FullDisk, ::testing::ValuesIn(steps),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST_F(OnADisk, RetentionMakesRoomForSealing) {
  on_a_disk([](scarce_disk& disk) {
    world w{disk.path() / "store", as_ever};
    ok(w.open());
    w.declare();
    for (std::size_t i = 0; i < 100; ++i) {
      ok(w.publish("recent", "", std::string(4'000, 'x')));
      if (i % 50 == 49) ok(w.the_bus().maintain());
    }
    w.may_lose("recent", 99);
    ok(w.the_bus().set_retention("recent", {.records = 1}));
    for (std::size_t i = 0; i < 40; ++i) ok(w.publish("orders", "", std::string(3'000, 'x')));
    disk.leave(40 * kib);
    EXPECT_THAT(w.the_bus().maintain(), succeeds());
    EXPECT_EQ(ok(w.the_bus().stats()).journal_bytes, 0U);
    w.expect_intact("after retention");
    ok(w.close());
    w.expect_sound();
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

TEST_F(OnADisk, ACheckpointThatFindsNoRoomIsMadeLater) {
  under_a_limit([](scarce_disk& disk) {
    world w{disk.path() / "store", with_checkpoints};
    ok(w.open());
    w.declare();
    for (int i = 0; i < 3; ++i) {
      ok(w.publish("recent", "", "gone soon"));
      ok(w.the_bus().maintain());
    }
    ok(w.the_bus().sync());
    w.may_lose("recent", 3);
    ok(w.the_bus().delete_records({"recent", partition_id{0}}, offset{3}));
    ok(w.the_bus().maintain());
    const fs::path segments = w.store() / "segments";
    EXPECT_FALSE(fs::is_empty(segments)) << "the last checkpoint names them";
    disk.leave(4 * kib);
    for (int i = 0; i < 3; ++i) {
      w.the_clock().advance(std::chrono::seconds{1});
      EXPECT_THAT(w.the_bus().sync(), fails_with(errc::disk_full));
      EXPECT_EQ(ok(w.the_bus().stats()).loss_window, std::chrono::seconds{i + 1});
    }
    EXPECT_FALSE(fs::is_empty(segments));
    EXPECT_TRUE(w.the_bus().health().writable);
    disk.give_back();
    EXPECT_THAT(w.the_bus().sync(), succeeds());
    EXPECT_EQ(ok(w.the_bus().stats()).loss_window, milliseconds{0});
    EXPECT_TRUE(fs::is_empty(segments));
    w.expect_intact("behind a checkpoint");
    ok(w.close());
    w.expect_sound();
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

TEST_F(OnADisk, ABusInMemoryIsRefusedCleanlyAndGoesOnWhenThereIsRoom) {
  on_a_disk([](scarce_disk& disk) {
    bus_options o;
    o.memory_directory = disk.path();
    o.maintenance = maintenance_mode::on_call;
    o.journal_bytes_seal = 0;
    int never_opened = 0;
    int refused = 0;
    for (std::uint64_t room = 0; room < 400 * kib; room += 12 * kib) {
      SCOPED_TRACE(fmt::format("with room for {} bytes", room));
      disk.leave(room);
      auto opened = bus::open_in_memory(o);
      EXPECT_TRUE(fs::is_empty(disk.path()));
      if (!opened) {
        EXPECT_THAT(opened, fails_with(errc::disk_full));
        ++never_opened;
        continue;
      }
      std::vector<std::string> stored;
      result<void> sealed{};
      if (auto orders = opened->declare_topic("orders"); orders) {
        for (std::size_t i = 0; i < 40; ++i) {
          const auto done = orders->publish(record{value_of(i)});
          if (!done) {
            EXPECT_THAT(done, fails_with(errc::disk_full));
            break;
          }
          stored.push_back(value_of(i));
        }
        sealed = opened->maintain();
      } else {
        EXPECT_THAT(orders, fails_with(errc::disk_full));
      }
      if (!sealed) {
        EXPECT_THAT(sealed, fails_with(errc::disk_full));
        ++refused;
      }
      disk.give_back();
      EXPECT_TRUE(fs::is_empty(disk.path()));
      ok(ok(opened->declare_topic("orders")).publish(record{"more"}));
      stored.emplace_back("more");
      ok(opened->maintain());
      std::vector<std::string> read;
      auto pass = ok(opened->replay("orders"));
      for (auto batch = ok(pass.next()); !batch.empty(); batch = ok(pass.next())) {
        for (const auto& r : batch) read.emplace_back(r.value());
      }
      EXPECT_EQ(read, stored);
    }
    EXPECT_GT(never_opened, 0);
    EXPECT_GT(refused, 0);
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

/// A bus that lives long on a disk that is full again and again.
class LongLifeOnADisk : public OnADisk, public ::testing::WithParamInterface<unsigned> {};

INSTANTIATE_TEST_SUITE_P(Seeds, LongLifeOnADisk, ::testing::Range(1U, 5U));

TEST_P(LongLifeOnADisk, LosesNothingAndGivesBackRoom) {
  on_a_disk([](scarce_disk& disk) {
    std::mt19937 random{GetParam()};
    const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
    world w{disk.path() / "store", GetParam() % 2 == 0 ? with_checkpoints : as_ever};
    ok(w.open());
    w.declare();
    w.may_compact("facts");
    ok(w.the_bus().set_compaction("facts", compaction_policy{.dirty_ratio = 0.3}));
    std::size_t refused = 0;
    const auto done_or_refused = [&](const result<void>& done) {
      if (done) return;
      ++refused;
      EXPECT_THAT(done, fails_with(errc::disk_full));
    };
    for (std::size_t round = 0; round < 400 && !::testing::Test::HasFailure(); ++round) {
      SCOPED_TRACE(fmt::format("round {}", round));
      switch (below(12)) {
        case 0:
          disk.leave(below(300) * kib);
          break;
        case 1:
          disk.give_back();
          break;
        case 2:
        case 3:
          done_or_refused(w.the_bus().maintain());
          break;
        case 4:
          done_or_refused(w.the_bus().sync());
          break;
        case 5:
          done_or_refused(w.settle());
          break;
        case 6:
          done_or_refused(w.read_on());
          break;
        case 7:
          done_or_refused(w.send(value_of(round)));
          break;
        case 8:
          done_or_refused(w.publish_batch("facts", {value_of(round), value_of(round + 1)}));
          break;
        case 9:
          if (below(4) != 0) break;
          done_or_refused(w.close());
          if (auto opened = w.open(); !opened) {
            EXPECT_THAT(opened, fails_with(errc::disk_full));
            disk.give_back();
            ok(w.open());
          }
          break;
        default:
          for (std::size_t i = below(12); i > 0; --i) {
            done_or_refused(w.publish(below(2) == 0 ? "orders" : "facts", fmt::format("{}", below(9)),
                                      value_of(round + i)));
          }
      }
      if (round % 16 == 0) w.expect_intact("meanwhile");
      EXPECT_TRUE(w.the_bus().health().writable) << w.the_bus().health().reason;
    }
    EXPECT_GT(refused, 10U);
    disk.give_back();
    do_small_things_for_sure(w);
    w.expect_intact("at last");
    ok(w.close());
    w.expect_sound();
    ok(w.open());
    w.expect_intact("after opening again");
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
}

}  // namespace
}  // namespace levada::test
