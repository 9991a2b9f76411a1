#include "replay_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

#include <support/result_testing.hpp>

#include "random_walk.hpp"

namespace levada::test {

using std::chrono::microseconds;

void replay_world::open(const std::filesystem::path& store) {
  store_ = store;
  open();
}

void replay_world::open() {
  bus_options o;
  o.clock = clock_;
  o.maintenance = maintenance_mode::on_call;
  o.journal_bytes_seal = openings_++ % 2 == 0 ? 0 : 4000;
  o.segment_bytes_min = openings_ % 3 == 0 ? 1000 : std::size_t{4} << 20;
  bus_.emplace(ok(bus::open(store_, o)));
}

void replay_world::step() {
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

void replay_world::reopen() {
  note("close and open again");
  if (!bus_) return;
  bus_.reset();
  const auto report = ok(check_store(store_));
  require(report.problems.empty(),
          "after closing: " + (report.problems.empty() ? "" : report.problems[0].what));
  open();
}

std::optional<std::size_t> replay_world::find(const std::string& name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? std::nullopt : std::optional{found->second};
}

void replay_world::declare() {
  const auto name = some_name(dice_);
  const auto partitions = static_cast<std::uint32_t>(1 + dice_.below(4));
  const auto timestamps = dice_.one_in(2) ? timestamp_type::create_time : timestamp_type::append_time;
  const auto how = some_compression();
  if (find(name)) return;
  note(fmt::format("declare {} with {} partitions{}", name, partitions,
                   timestamps == timestamp_type::create_time ? " and create times" : ""));
  names_[name] = topics_.size();
  topics_.push_back({name, timestamps, false, std::vector<modelled_partition>(partitions)});
  if (!bus_) return;
  topic_options o;
  o.partitions = partitions;
  o.timestamps = timestamps;
  o.compression = how;
  require_outcome(bus_->declare_topic(name, o), std::nullopt, last());
}

void replay_world::delete_topic() {
  const auto name = some_name(dice_);
  const auto found = find(name);
  if (!found) return;
  note("delete " + name);
  topics_[*found].deleted = true;
  names_.erase(name);
  if (bus_) require_outcome(bus_->delete_topic(name), std::nullopt, last());
}

void replay_world::set_compression() {
  const auto name = some_name(dice_);
  const auto how = some_compression();
  if (!find(name)) return;
  note(fmt::format("compress {} by {}", name, static_cast<int>(how)));
  if (bus_) require_outcome(bus_->set_compression(name, how), std::nullopt, last());
}

void replay_world::delete_records() {
  const auto name = some_name(dice_);
  const std::uint64_t which = dice_.below(4);
  const std::uint64_t reach = dice_.below(1000);
  const auto found = find(name);
  if (!found) return;
  auto& partitions = topics_[*found].partitions;
  const auto partition = static_cast<std::uint32_t>(which % partitions.size());
  modelled_partition& p = partitions[partition];
  const std::uint64_t before = reach % (p.end() + 2);
  note(fmt::format("remove the records of {} partition {} before {}", name, partition, before));
  const bool beyond = before > p.end();
  if (!beyond) p.begin = std::max(p.begin, before);
  if (!bus_) return;
  require_outcome(bus_->delete_records({name, partition_id{partition}}, offset{before}),
                  beyond ? std::optional{errc::offset_out_of_range} : std::nullopt, last());
}

void replay_world::seal() {
  note("seal");
  if (bus_) require_outcome(bus_->maintain(), std::nullopt, last());
}

void replay_world::pass_time() {
  const auto by = microseconds{1 + dice_.below(5'000'000)};
  note("time passes");
  clock_->advance(by);
}

std::pair<record, modelled_record> replay_world::some_record(timestamp_type timestamps) {
  std::size_t size = dice_.below(60);
  if (dice_.one_in(40)) size = 3000 + dice_.below(3000);
  if (dice_.one_in(150)) size = 80'000;
  auto value = fmt::format("{}:{}", values_, std::string(size, static_cast<char>('a' + values_ % 7)));
  ++values_;
  record r{value};
  modelled_record stored{std::move(value), now()};
  if (!dice_.one_in(4)) {
    const auto given = now() + microseconds{dice_.below(20'000'000)} - microseconds{10'000'000};
    r.time(given);
    if (timestamps == timestamp_type::create_time) stored.time = given;
  }
  return {std::move(r), std::move(stored)};
}

void replay_world::publish() {
  const auto name = some_name(dice_);
  const std::uint64_t which = dice_.below(4);
  const auto found = find(name);
  if (!found) return;
  modelled_topic& t = topics_[*found];
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

void replay_world::publish_batch() {
  const auto name = some_name(dice_);
  const std::uint64_t count = 1 + dice_.below(dice_.one_in(5) ? 200 : 8);
  const bool scattered = dice_.one_in(2);
  const auto found = find(name);
  if (!found) return;
  modelled_topic& t = topics_[*found];
  std::optional<levada::publish_batch> batch;
  std::optional<topic> handle;
  if (bus_) {
    handle.emplace(ok(bus_->topic(name)));
    batch.emplace(handle->make_batch());
  }
  const auto alone = static_cast<std::uint32_t>(dice_.below(t.partitions.size()));
  std::vector<std::vector<modelled_record>> added(t.partitions.size());
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

}  // namespace levada::test
