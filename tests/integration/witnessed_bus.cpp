#include "witnessed_bus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <utility>

#include <levada/async.hpp>

#include <support/result_testing.hpp>

namespace levada::test {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

witnessed_bus::witnessed_bus(fs::path store, configure_function configure) : store_{std::move(store)} {
  options_.clock = clock_;
  options_.maintenance = maintenance_mode::on_call;
  options_.journal_bytes_seal = 0;
  options_.segment_bytes_min = 64 << 10;
  options_.boot_id = "this boot";
  configure(options_);
}

result<void> witnessed_bus::open() {
  auto opened = bus::open(store_, options_);
  if (!opened) return opened.error();
  bus_.emplace(std::move(*opened));
  return {};
}

result<void> witnessed_bus::close() {
  reader_.reset();
  desk_.reset();
  importer_.reset();
  held_.clear();
  auto done = bus_ ? bus_->close() : result<void>{};
  bus_.reset();
  return done;
}

void witnessed_bus::die() {
  const fs::path copy = store_.parent_path() / "copy";
  fs::copy(store_, copy, fs::copy_options::recursive);
  fs::permissions(copy, fs::perms::owner_all);
  ok(close());
  fs::remove_all(store_);
  fs::rename(copy, store_);
}

void witnessed_bus::declare() {
  ok(bus_->declare_topic("orders", {.partitions = 3}));
  ok(bus_->declare_topic("facts"));
  ok(bus_->declare_topic("recent"));
  ok(bus_->declare_exchange("events", {.type = exchange_type::fanout}));
  ok(bus_->declare_queue("desk"));
  ok(bus_->bind("events", "desk", ""));
}

result<void> witnessed_bus::publish(const std::string& topic, const std::string& key,
                                    const std::string& value) {
  auto to = bus_->topic(topic);
  if (!to) return to.error();
  auto receipt = to->publish(record{key, value});
  if (!receipt) return receipt.error();
  acknowledged_.push_back({topic, receipt->partition.value(), receipt->offset.value(), key, value});
  return {};
}

result<void> witnessed_bus::publish_batch(const std::string& topic, const std::vector<std::string>& values) {
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

result<void> witnessed_bus::publish_to_each(const topic& to) {
  auto batch = to.make_batch();
  for (std::uint32_t p = 0; p < to.partitions(); ++p) ok(batch.add(partition_id{p}, "x"));
  auto receipt = to.publish(batch);
  if (!receipt) return receipt.error();
  for (const auto& range : receipt->ranges) {
    acknowledged_.push_back({to.name(), range.partition.value(), range.base_offset.value(), "", "x"});
  }
  return {};
}

result<producer*> witnessed_bus::importer() {
  if (!importer_) {
    auto made = bus_->make_producer("facts", {.id = "importer", .batch_bytes = 8'000});
    if (!made) return made.error();
    importer_.emplace(std::move(*made));
    EXPECT_EQ(importer_->last_sequence().value(), produced_) << "of a producer made anew";
  }
  return &*importer_;
}

std::uint64_t witnessed_bus::end_of(const std::string& topic, std::uint32_t partition) const {
  return static_cast<std::uint64_t>(
      std::count_if(acknowledged_.begin(), acknowledged_.end(),
                    [&](const entry& e) { return e.topic == topic && e.partition == partition; }));
}

result<void> witnessed_bus::produce(const std::vector<std::string>& values, std::size_t& stored) {
  auto by = importer();
  if (!by) return by.error();
  auto to = bus_->topic("facts");
  if (!to) return to.error();
  producer& sender = **by;
  // Keys that occur once, so that compaction leaves them alone.
  const auto key = [](std::uint64_t sequence) { return fmt::format("produced {}", sequence); };
  std::vector<std::future<result<publish_receipt>>> receipts(values.size());
  std::vector<std::optional<error>> refused(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const producer_sequence sequence{produced_ + 1 + i};
    const record r{key(sequence.value()), values[i]};
    if (i % 2 == 0) {
      // Not `use_future`, which answers in threads of Asio's own: a forked child has none that were there.
      std::promise<result<publish_receipt>> answer;
      receipts[i] = answer.get_future();
      sender.async_send(sequence, r, [answer = std::move(answer)](result<publish_receipt> given) mutable {
        answer.set_value(std::move(given));
      });
    } else if (auto sent = sender.send(sequence, r); !sent) {
      refused[i] = sent.error();
    }
  }
  const auto flushed = sender.flush();
  const std::uint64_t before = std::exchange(produced_, sender.last_sequence().value());
  const std::size_t done = produced_ - before;
  std::optional<error> why;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string its_key = key(before + 1 + i);
    const std::uint32_t partition = partition_for_key(its_key, to->partitions()).value();
    const std::uint64_t offset = end_of("facts", partition);
    if (receipts[i].valid()) {
      const auto receipt = receipts[i].get();
      EXPECT_EQ(receipt.has_value(), i < done) << "record " << i << ", of which " << done << " are stored";
      if (receipt) {
        EXPECT_EQ(receipt->partition.value(), partition);
        EXPECT_EQ(receipt->offset.value(), offset);
      } else {
        refused[i] = receipt.error();
      }
    }
    if (i < done) {
      EXPECT_FALSE(refused[i]);
      acknowledged_.push_back({"facts", partition, offset, its_key, values[i]});
      continue;
    }
    if (!why) why = refused[i] ? *refused[i] : flushed.error();
    if (i > done && refused[i]) {
      EXPECT_THAT(result<void>{*refused[i]},
                  ::testing::AnyOf(fails_with(errc::out_of_order_sequence), fails_with(errc::disk_full)));
    }
  }
  stored += done;
  if (!why) return flushed;
  return *why;
}

result<void> witnessed_bus::send(const std::string& value) {
  auto receipt = bus_->publish("events", "", record{value});
  if (!receipt) return receipt.error();
  acknowledged_.push_back({"events", receipt->partition.value(), receipt->offset.value(), "", value});
  unsettled_.push_back(value);
  return {};
}

result<void> witnessed_bus::settle() {
  if (auto had = receive(); !had) return had;
  if (held_.empty()) return {};
  auto done = desk_->ack(held_.front());
  if (!done) return done;
  held_.pop_front();
  unsettled_.pop_front();
  return {};
}

result<void> witnessed_bus::read_on() {
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

result<void> witnessed_bus::delete_orders() {
  auto done = bus_->delete_topic("orders");
  if (!done) return done;
  std::erase_if(acknowledged_, [](const auto& r) { return r.topic == "orders"; });
  committed_.clear();
  reader_.reset();
  return {};
}

void witnessed_bus::expect_intact(const char* when) {
  SCOPED_TRACE(when);
  expect_records();
  expect_queue();
  expect_offsets();
}

void witnessed_bus::expect_sound() {
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

bool witnessed_bus::may_be_gone(const entry& e) const {
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

void witnessed_bus::expect_records() {
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

result<void> witnessed_bus::receive() {
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

void witnessed_bus::expect_queue() {
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

void witnessed_bus::expect_offsets() {
  if (committed_.empty()) return;
  std::map<std::uint32_t, std::uint64_t> found;
  for (const auto& group : ok(bus_->groups())) {
    for (const auto& p : group.partitions) {
      if (group.name == "readers" && p.committed) found[p.where.partition.value()] = p.committed->value();
    }
  }
  EXPECT_EQ(found, committed_);
}

}  // namespace levada::test
