#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <exception>
#include <map>
#include <random>
#include <stdexcept>

#include <support/bus_fixture.hpp>
#include <support/child_process.hpp>

namespace levada::test {
namespace {

using std::chrono::microseconds;

constexpr std::uint64_t no_end = UINT64_MAX;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error{what};
}

template <class T>
void require_outcome(const result<T>& got, std::optional<errc> expected, const std::string& what) {
  const auto said = [&] { return got ? std::string{"success"} : got.error().message(); };
  require(expected ? !got && got.error() == *expected : got.has_value(),
          fmt::format("{}: expected {}, got {}", what,
                      expected ? fmt::format("error {}", static_cast<int>(*expected)) : "success", said()));
}

/// The same numbers everywhere, whatever distributions the standard library has.
class dice {
 public:
  explicit dice(std::uint32_t seed) : random_{seed} {}
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 random_;
};

struct model_record {
  std::string value;
  timestamp time;
};

struct model_partition {
  std::uint64_t begin = 0;
  std::vector<model_record> records;  // from offset 0 on, also those that have been removed

  [[nodiscard]] std::uint64_t end() const { return records.size(); }
  /// The first record that is there and as late, or the end.
  [[nodiscard]] std::uint64_t find(timestamp time) const {
    std::uint64_t at = begin;
    while (at < end() && records[at].time < time) ++at;
    return at;
  }
};

/// From its declaration to its deletion: another topic may have the name later.
struct model_topic {
  std::string name;
  timestamp_type timestamps = timestamp_type::append_time;
  bool deleted = false;
  std::vector<model_partition> partitions;
};

struct place {
  std::size_t topic = 0;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
};

/// Random changes of a store's topics, and what is there after them. The same seed makes the same changes,
/// with a bus or without one.
class world {
 public:
  explicit world(std::uint32_t seed) : dice_{seed} {}

  /// From now on changes are made to the store, too.
  void open(const std::filesystem::path& store) {
    store_ = store;
    open();
  }
  void step() {
    switch (dice_.below(20)) {
      case 0:
      case 1:
        return declare();
      case 2:
        return dice_.one_in(2) ? delete_topic() : pass_time();
      case 3:
        return set_compression();
      case 4:
        return delete_records();
      case 5:
      case 6:
        return seal();
      case 7:
      case 8:
        return pass_time();
      case 9:
      case 10:
      case 11:
        return publish_batch();
      default:
        return publish();
    }
  }
  void reopen() {
    note("close and open again");
    if (!bus_) return;
    bus_.reset();
    const auto report = ok(check_store(store_));
    require(report.problems.empty(),
            "after closing: " + (report.problems.empty() ? "" : report.problems[0].what));
    open();
  }

  [[nodiscard]] const bus& store() const { return *bus_; }
  /// All topics that there ever were; those that are there are found by name.
  [[nodiscard]] const std::vector<model_topic>& topics() const { return topics_; }
  [[nodiscard]] std::optional<std::size_t> find(const std::string& name) const {
    const auto found = names_.find(name);
    return found == names_.end() ? std::nullopt : std::optional{found->second};
  }
  /// All records that there ever were, in the order of commits.
  [[nodiscard]] const std::vector<place>& commits() const { return commits_; }
  [[nodiscard]] timestamp now() const { return clock_->wall(); }
  [[nodiscard]] static std::string some_name(dice& d) { return fmt::format("topic-{}", d.below(5)); }

  void note(std::string text) {
    trail_.push_back(std::move(text));
    if (trail_.size() > 25) trail_.pop_front();
  }
  [[nodiscard]] const std::string& last() const { return trail_.back(); }
  [[nodiscard]] std::string trail() const {
    std::string all;
    for (const auto& line : trail_) all += "\n  " + line;
    return all;
  }

 private:
  void open() {
    bus_options o;
    o.clock = clock_;
    o.maintenance = maintenance_mode::on_call;
    o.journal_bytes_seal = openings_++ % 2 == 0 ? 0 : 4000;
    o.segment_bytes_min = openings_ % 3 == 0 ? 1000 : std::size_t{4} << 20;
    bus_.emplace(ok(bus::open(store_, o)));
  }

  void declare() {
    const auto name = some_name(dice_);
    const auto partitions = static_cast<std::uint32_t>(1 + dice_.below(4));
    const auto timestamps = dice_.one_in(2) ? timestamp_type::create_time : timestamp_type::append_time;
    const auto how = some_compression();
    if (find(name)) return;
    note(fmt::format("declare {} with {} partitions{}", name, partitions,
                     timestamps == timestamp_type::create_time ? " and create times" : ""));
    names_[name] = topics_.size();
    topics_.push_back({name, timestamps, false, std::vector<model_partition>(partitions)});
    if (!bus_) return;
    topic_options o;
    o.partitions = partitions;
    o.timestamps = timestamps;
    o.compression = how;
    require_outcome(bus_->declare_topic(name, o), std::nullopt, last());
  }

  void delete_topic() {
    const auto name = some_name(dice_);
    const auto found = find(name);
    if (!found) return;
    note("delete " + name);
    topics_[*found].deleted = true;
    names_.erase(name);
    if (bus_) require_outcome(bus_->delete_topic(name), std::nullopt, last());
  }

  compression some_compression() { return static_cast<compression>(dice_.below(3)); }

  void set_compression() {
    const auto name = some_name(dice_);
    const auto how = some_compression();
    if (!find(name)) return;
    note(fmt::format("compress {} by {}", name, static_cast<int>(how)));
    if (bus_) require_outcome(bus_->set_compression(name, how), std::nullopt, last());
  }

  void delete_records() {
    const auto name = some_name(dice_);
    const std::uint64_t which = dice_.below(4);
    const std::uint64_t reach = dice_.below(1000);
    const auto found = find(name);
    if (!found) return;
    auto& partitions = topics_[*found].partitions;
    const auto partition = static_cast<std::uint32_t>(which % partitions.size());
    model_partition& p = partitions[partition];
    const std::uint64_t before = reach % (p.end() + 2);
    note(fmt::format("remove the records of {} partition {} before {}", name, partition, before));
    const bool beyond = before > p.end();
    if (!beyond) p.begin = std::max(p.begin, before);
    if (!bus_) return;
    require_outcome(bus_->delete_records({name, partition_id{partition}}, offset{before}),
                    beyond ? std::optional{errc::offset_out_of_range} : std::nullopt, last());
  }

  void seal() {
    note("seal");
    if (bus_) require_outcome(bus_->maintain(), std::nullopt, last());
  }

  void pass_time() {
    const auto by = microseconds{1 + dice_.below(5'000'000)};
    note("time passes");
    clock_->advance(by);
  }

  /// A record, and what it will be when it is stored.
  std::pair<record, model_record> some_record(timestamp_type timestamps) {
    std::size_t size = dice_.below(60);
    if (dice_.one_in(40)) size = 3000 + dice_.below(3000);
    if (dice_.one_in(150)) size = 80'000;
    auto value = fmt::format("{}:{}", values_, std::string(size, static_cast<char>('a' + values_ % 7)));
    ++values_;
    record r{value};
    model_record stored{std::move(value), now()};
    if (!dice_.one_in(4)) {
      const auto given = now() + microseconds{dice_.below(20'000'000)} - microseconds{10'000'000};
      r.time(given);
      if (timestamps == timestamp_type::create_time) stored.time = given;
    }
    return {std::move(r), std::move(stored)};
  }

  void publish() {
    const auto name = some_name(dice_);
    const std::uint64_t which = dice_.below(4);
    const auto found = find(name);
    if (!found) return;
    model_topic& t = topics_[*found];
    const auto partition = static_cast<std::uint32_t>(which % t.partitions.size());
    auto [r, stored] = some_record(t.timestamps);
    auto& records = t.partitions[partition].records;
    note(fmt::format("publish to {} partition {} offset {}", name, partition, records.size()));
    if (bus_) {
      const auto receipt = ok(ok(bus_->topic(name)).publish(partition_id{partition}, r));
      require(receipt.offset.value() == records.size() && receipt.time == stored.time, last());
    }
    commits_.push_back({*found, partition, records.size()});
    records.push_back(std::move(stored));
  }

  /// Of the records of a batch those of the first partition come first.
  void publish_batch() {
    const auto name = some_name(dice_);
    const std::uint64_t count = 1 + dice_.below(dice_.one_in(5) ? 200 : 8);
    const bool scattered = dice_.one_in(2);
    const auto found = find(name);
    if (!found) return;
    model_topic& t = topics_[*found];
    std::optional<levada::publish_batch> batch;
    std::optional<topic> handle;
    if (bus_) {
      handle.emplace(ok(bus_->topic(name)));
      batch.emplace(handle->make_batch());
    }
    const auto alone = static_cast<std::uint32_t>(dice_.below(t.partitions.size()));
    std::vector<std::vector<model_record>> added(t.partitions.size());
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto partition = scattered ? static_cast<std::uint32_t>(dice_.below(t.partitions.size())) : alone;
      auto [r, stored] = some_record(t.timestamps);
      if (batch) ok(batch->add(partition_id{partition}, r));
      added[partition].push_back(std::move(stored));
    }
    note(fmt::format("publish a batch of {} to {}", count, name));
    if (batch) require_outcome(handle->publish(*batch), std::nullopt, last());
    for (std::uint32_t p = 0; p < t.partitions.size(); ++p) {
      auto& records = t.partitions[p].records;
      for (auto& stored : added[p]) {
        commits_.push_back({*found, p, records.size()});
        records.push_back(std::move(stored));
      }
    }
  }

  dice dice_;
  std::filesystem::path store_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  std::optional<bus> bus_;
  int openings_ = 0;
  int values_ = 0;
  std::vector<model_topic> topics_;
  std::map<std::string, std::size_t> names_;
  std::vector<place> commits_;
  std::deque<std::string> trail_;
};

/// Replays at work on a world, each compared with what the world says.
class readers {
 public:
  readers(world& w, std::uint32_t seed) : world_{w}, dice_{seed} {}

  void clear() { cursors_.clear(); }

  /// Opens a replay of `source`, a bus or an attachment, or lets one go on.
  template <class Source>
  void act(const Source& source) {
    if (cursors_.empty() || (cursors_.size() < 12 && dice_.one_in(4))) return open(source);
    const auto at = cursors_.begin() + static_cast<std::ptrdiff_t>(dice_.below(cursors_.size()));
    if (dice_.one_in(6)) {
      finish(*at);
      if (dice_.one_in(2)) cursors_.erase(at);
    } else {
      advance(*at);
    }
  }
  void finish_all() {
    for (auto& c : cursors_) finish(c);
  }

 private:
  struct bounds {
    std::uint64_t next = 0;
    std::uint64_t until = no_end;
  };
  struct cursor {
    std::string what;
    std::optional<std::size_t> topic;  // nothing: all
    bool bounded = false;
    std::size_t bytes_max = 0;
    std::map<std::size_t, std::vector<bounds>> parts;  // by topic and partition
    std::size_t passed = 0;                            // commits that are of no interest any more
    replay pass;

    [[nodiscard]] bool ended() const {
      return bounded && std::all_of(parts.begin(), parts.end(), [](const auto& part) {
               return std::all_of(part.second.begin(), part.second.end(),
                                  [](const bounds& b) { return b.next >= b.until; });
             });
    }
  };

  timestamp some_time() {
    if (!world_.commits().empty() && !dice_.one_in(3)) {
      const place& p = world_.commits()[dice_.below(world_.commits().size())];
      const auto time = world_.topics()[p.topic].partitions[p.partition].records[p.offset].time;
      return time + microseconds{dice_.below(3)} - microseconds{1};
    }
    return world_.now() + microseconds{dice_.below(40'000'000)} - microseconds{30'000'000};
  }

  template <class Source>
  void open(const Source& source) {
    const bool all = dice_.one_in(3);
    const auto name = world::some_name(dice_);
    const auto topic = all ? std::nullopt : world_.find(name);
    const model_topic* const t = topic ? &world_.topics()[*topic] : nullptr;
    replay_options o;
    if (dice_.one_in(all ? 20 : 2)) {
      o.partition = partition_id{static_cast<std::uint32_t>(
          t != nullptr && !dice_.one_in(15) ? dice_.below(t->partitions.size()) : dice_.below(6))};
    }
    std::uint64_t end = 10;
    if (t != nullptr)
      end = t->partitions[o.partition ? o.partition->value() % t->partitions.size() : 0].end();
    const auto some_offset = [&] { return offset{dice_.below(end + 3)}; };
    const bool offsets_fit = o.partition || (t != nullptr && t->partitions.size() == 1);
    const std::uint64_t kinds = offsets_fit || dice_.one_in(15) ? 4 : 3;
    switch (dice_.below(kinds)) {
      case 0:
        break;
      case 1:
        o.from = from_latest{};
        break;
      case 2:
        o.from = some_time();
        break;
      default:
        o.from = some_offset();
    }
    switch (dice_.below(kinds)) {
      case 0:
        break;
      case 1:
        o.until = until_latest{};
        break;
      case 2:
        o.until = some_time();
        break;
      default:
        o.until = some_offset();
    }
    if (dice_.one_in(2)) o.bytes_max = 1 + dice_.below(dice_.one_in(2) ? 300 : 10'000);
    o.verify = !dice_.one_in(4);
    world_.note(fmt::format("replay {} partition {}, from {} until {}, at most {} bytes",
                            all ? std::string{"all"} : name,
                            o.partition ? fmt::to_string(o.partition->value()) : "all", show(o.from),
                            show(o.until), o.bytes_max));
    const auto expected = refusal(o, all, t);
    auto got = all ? source.replay_all(o) : source.replay(name, o);
    require_outcome(got, expected, world_.last());
    if (expected) return;
    cursor c{world_.last(),  topic, !std::holds_alternative<until_closed>(o.until), o.bytes_max, {}, 0,
             std::move(*got)};
    if (t != nullptr && t->partitions.size() == 1) o.partition = partition_id{0};
    for (std::size_t i = 0; i < world_.topics().size(); ++i) {
      if (world_.topics()[i].deleted || (topic && *topic != i)) continue;
      c.parts[i] = place_bounds(o, world_.topics()[i]);
    }
    require(c.pass.ended() == c.ended(), world_.last() + ": whether it has ended at once");
    cursors_.push_back(std::move(c));
  }

  template <class Position>
  static std::string show(const Position& p) {
    if (const auto* const o = std::get_if<offset>(&p)) return fmt::format("offset {}", o->value());
    if (const auto* const t = std::get_if<timestamp>(&p)) {
      return fmt::format("time {}", t->time_since_epoch().count());
    }
    return p.index() == 0 ? "the outermost" : "latest";
  }

  static std::optional<errc> refusal(const replay_options& o, bool all, const model_topic* t) {
    const auto* const from = std::get_if<offset>(&o.from);
    const bool with_offset = from != nullptr || std::holds_alternative<offset>(o.until);
    if (all) return with_offset || o.partition ? std::optional{errc::invalid_argument} : std::nullopt;
    if (t == nullptr) return errc::unknown_topic;
    if (o.partition && o.partition->value() >= t->partitions.size()) return errc::unknown_partition;
    if (with_offset && !o.partition && t->partitions.size() > 1) return errc::invalid_argument;
    if (from == nullptr) return std::nullopt;
    const model_partition& p = t->partitions[o.partition ? o.partition->value() : 0];
    if (from->value() > p.end()) return errc::offset_out_of_range;
    if (from->value() < p.begin) return errc::overtaken;
    return std::nullopt;
  }

  static std::vector<bounds> place_bounds(const replay_options& o, const model_topic& t) {
    std::vector<bounds> all;
    for (std::uint32_t i = 0; i < t.partitions.size(); ++i) {
      const model_partition& p = t.partitions[i];
      bounds b{p.begin, no_end};
      if (std::holds_alternative<from_latest>(o.from)) b.next = p.end();
      if (const auto* const time = std::get_if<timestamp>(&o.from)) b.next = p.find(*time);
      if (const auto* const from = std::get_if<offset>(&o.from)) b.next = from->value();
      if (std::holds_alternative<until_latest>(o.until)) b.until = p.end();
      if (const auto* const time = std::get_if<timestamp>(&o.until)) b.until = p.find(*time);
      if (const auto* const until = std::get_if<offset>(&o.until)) b.until = until->value();
      if (o.partition && o.partition->value() != i) b = {0, 0};
      all.push_back(b);
    }
    return all;
  }

  /// What is deleted disturbs no replay of all topics; what is new belongs to those that have no end.
  void take_in_topics(cursor& c) {
    if (c.topic) return;
    std::erase_if(c.parts, [&](const auto& part) { return world_.topics()[part.first].deleted; });
    for (std::size_t i = 0; i < world_.topics().size(); ++i) {
      if (world_.topics()[i].deleted || c.parts.contains(i)) continue;
      c.parts[i].assign(world_.topics()[i].partitions.size(), bounds{0, c.bounded ? 0 : no_end});
    }
  }

  /// Takes one step, and returns whether there may be more.
  bool advance(cursor& c) {
    world_.note("go on with: " + c.what);
    const bool ended = c.ended();
    const auto got = c.pass.next();
    if (c.topic && world_.topics()[*c.topic].deleted) {
      if (!ended || !got) require_outcome(got, errc::unknown_topic, c.what);
      return false;
    }
    take_in_topics(c);
    if (is_overtaken(c)) {
      require_outcome(got, errc::overtaken, c.what);
      return take_in_removal(c, got.error().message());
    }
    require_outcome(got, std::nullopt, c.what);
    compare(c, *got);
    require(c.pass.ended() == c.ended(), c.what + (c.ended() ? ": has not ended" : ": has ended early"));
    return !got->empty();
  }
  void finish(cursor& c) {
    while (advance(c)) {
    }
  }

  /// The unread records that a part has lost, or nothing.
  [[nodiscard]] std::optional<std::uint64_t> lost_until(std::size_t topic, std::uint32_t partition,
                                                        const bounds& b) const {
    const std::uint64_t begin = std::min(world_.topics()[topic].partitions[partition].begin, b.until);
    return b.next < begin ? std::optional{begin} : std::nullopt;
  }
  [[nodiscard]] bool is_overtaken(const cursor& c) const {
    for (const auto& [topic, partitions] : c.parts) {
      for (std::uint32_t p = 0; p < partitions.size(); ++p) {
        if (lost_until(topic, p, partitions[p])) return true;
      }
    }
    return false;
  }
  bool take_in_removal(cursor& c, const std::string& message) {
    for (auto& [topic, partitions] : c.parts) {
      for (std::uint32_t p = 0; p < partitions.size(); ++p) {
        const auto lost = lost_until(topic, p, partitions[p]);
        if (!lost) continue;
        const auto told = fmt::format("'{}' partition {}: offsets {} to {} ", world_.topics()[topic].name, p,
                                      partitions[p].next, *lost - 1);
        if (message.find(told) == std::string::npos) continue;
        partitions[p].next = *lost;
        return true;
      }
    }
    throw std::runtime_error{c.what + ": nothing of what is gone is meant by: " + message};
  }

  /// Compares what came with what is the next in the order of commits.
  void compare(cursor& c, const record_batch& batch) {
    std::size_t bytes = 0;
    std::size_t at = c.passed;
    auto record = batch.begin();
    for (; at < world_.commits().size(); ++at) {
      const place& p = world_.commits()[at];
      const auto part = c.parts.find(p.topic);
      if (part == c.parts.end()) continue;
      bounds& b = part->second[p.partition];
      if (p.offset < b.next || p.offset >= b.until) continue;
      if (record == batch.end()) {
        require(!batch.empty(),
                c.what + fmt::format(": nothing came, though {} partition {} offset {} is there",
                                     world_.topics()[p.topic].name, p.partition, p.offset));
        break;
      }
      const model_topic& t = world_.topics()[p.topic];
      const model_record& stored = t.partitions[p.partition].records[p.offset];
      const auto where = [&] {
        return fmt::format("{}: expected {} partition {} offset {}, got {} partition {} offset {}", c.what,
                           t.name, p.partition, p.offset, record->topic(), record->partition().value(),
                           record->offset().value());
      };
      require(record->topic() == t.name && record->partition().value() == p.partition &&
                  record->offset().value() == p.offset,
              where());
      require(record->value() == stored.value, where() + ": other bytes");
      require(record->time() == stored.time, where() + ": another time");
      bytes += stored.value.size();
      b.next = p.offset + 1;
      ++record;
    }
    c.passed = at;
    require(record == batch.end(), c.what + ": more came than there is");
    require(batch.size() <= 1 || bytes <= c.bytes_max, c.what + ": more bytes than asked for");
  }

  world& world_;
  dice dice_;
  std::vector<cursor> cursors_;
};

std::uint32_t number_from_environment(const char* name, std::uint32_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

class RandomReplay : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  static constexpr int steps = 600;
  /// Changes between two openings of the store.
  static constexpr int steps_open = 80;

  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }
  [[nodiscard]] static std::uint32_t seed() {
    return number_from_environment("LEVADA_REPLAY_FIRST_SEED", 0) + GetParam();
  }

 private:
  temporary_directory directory_;
};
INSTANTIATE_TEST_SUITE_P(Seeds, RandomReplay, ::testing::Range(1U, 9U));

TEST_P(RandomReplay, OfABusAgreesWithTheModel) {
  world w{seed()};
  readers r{w, seed()};
  w.open(store());
  try {
    for (int i = 1; i <= steps; ++i) {
      w.step();
      for (int k = 0; k < 3; ++k) r.act(w.store());
      if (i % steps_open == 0) {
        r.finish_all();
        r.clear();
        w.reopen();
      }
    }
  } catch (const std::exception& e) {
    FAIL() << "seed " << seed() << ": " << e.what() << "\nThe latest operations:" << w.trail();
  }
}

TEST_P(RandomReplay, BesideARunningOwnerAgreesWithTheModel) {
  const auto change = [](world& w, int i) {
    w.step();
    if (i % steps_open == 0) w.reopen();
  };
  child_process owner{[&](const auto& say) {
    world w{seed()};
    try {
      w.open(store());
      for (int i = 1; i <= steps; ++i) {
        say("ready");
        child_process::wait_for_go();
        change(w, i);
      }
      say("ready");
      child_process::wait_for_go();
      return 0;
    } catch (const std::exception& e) {
      say(e.what());
      return 1;
    }
  }};
  world w{seed()};
  readers r{w, seed()};
  try {
    require(owner.read_line() == "ready", "the owner does not start");
    const auto look = ok(attachment::open(store()));
    for (int i = 1; i <= steps; ++i) {
      owner.go();
      change(w, i);
      const auto said = owner.read_line();
      require(said == "ready", "the owner fails: " + said);
      for (int k = 0; k < 3; ++k) r.act(look);
    }
    r.finish_all();
    owner.go();
  } catch (const std::exception& e) {
    FAIL() << "seed " << seed() << ": " << e.what() << "\nThe latest operations:" << w.trail();
  }
  EXPECT_EQ(owner.wait(), 0);
}

}  // namespace
}  // namespace levada::test
