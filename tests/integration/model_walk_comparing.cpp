// Whatever can be looked at, compared with the model.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <support/result_testing.hpp>

#include "model_walk.hpp"

namespace levada::test {

void model_walk::check_record(const record_view& r) {
  const auto* const expected = model_.find({std::string{r.topic()}, r.partition()}, r.offset().value());
  require(expected != nullptr, last() + ": a record that was never published");
  require_equal(text_of(r), expected->text, last());
  require_equal(r.time(), expected->time, last() + ": time");
}

void model_walk::replay_some() {
  const topic_partition where = some_place();
  const auto log = model_.logs.find(where.topic);
  replay_options o;
  if (one_in(2)) o.partition = where.partition;
  o.from = some_start(log == model_.logs.end() ? nullptr : &log->second,
                      o.partition ? o.partition->value() : std::uint32_t{0});
  if (one_in(2)) o.bytes_max = 1 + below(5000);
  note("replay {} partition {}, kind {}", where.topic,
       o.partition ? static_cast<int>(o.partition->value()) : -1, o.from.index());
  const auto* const at = std::get_if<offset>(&o.from);
  std::optional<errc> expected;
  if (log == model_.logs.end()) {
    expected = errc::unknown_topic;
  } else if (o.partition && o.partition->value() >= log->second.size()) {
    expected = errc::unknown_partition;
  } else if (at != nullptr && !o.partition && log->second.size() > 1) {
    expected = errc::invalid_argument;
  } else if (at != nullptr && at->value() > log->second.end(o.partition.value_or(partition_id{0}).value())) {
    expected = errc::offset_out_of_range;
  }
  auto got = bus_->replay(where.topic, o);
  if (!require_outcome(got, expected, last())) return;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> wanted;
  for (const auto& place : log->second.committed_order) {
    if (o.partition && o.partition->value() != place.first) continue;
    if (at != nullptr && place.second < at->value()) continue;
    if (std::holds_alternative<from_latest>(o.from)) continue;
    const auto* const time = std::get_if<timestamp>(&o.from);
    if (time != nullptr && log->second.partitions[place.first][place.second].time < *time) continue;
    wanted.push_back(place);
  }
  std::vector<std::pair<std::uint32_t, std::uint64_t>> seen;
  const auto process = ++processes_;
  for (auto batch = ok(got->next()); !batch.empty(); batch = ok(got->next())) {
    history_.polled(process, batch, [this](const record_view& r) { return value_of(text_of(r)); });
    for (const auto& r : batch) {
      check_record(r);
      seen.emplace_back(r.partition().value(), r.offset().value());
    }
  }
  require_equal(seen, wanted, last());
}

void model_walk::read_everything() {
  const auto process = ++processes_;
  for (const auto& log : model_.logs) {
    auto all = ok(bus_->replay(log.first, {.until = until_latest{}}));
    for (auto batch = ok(all.next()); !batch.empty(); batch = ok(all.next())) {
      history_.polled(process, batch, [this](const record_view& r) { return value_of(text_of(r)); });
    }
    for (std::uint32_t p = 0; p < log.second.size(); ++p) history_.read_to_end({log.first, partition_id{p}});
  }
}

void model_walk::compare_tables() {
  const auto names = ok(bus_->tables());
  require_equal(names.size(), model_.tables.size(), "number of tables");
  for (const auto& t : model_.tables) {
    std::map<std::string, std::string> stored;
    for (const auto& entry : ok(ok(bus_->table(t.first)).scan({}))) {
      stored.emplace(entry.key.string(0).value_or("no string"), entry.value);
    }
    require_equal(stored, t.second, "content of table " + t.first);
  }
}

void model_walk::compare_listings() {
  note("compare listings");
  const auto topics = ok(bus_->topics());
  require_equal(topics.size(), model_.logs.size(), "number of topics");
  std::size_t i = 0;
  std::vector<exchange_info> expected_exchanges;
  for (const auto& log : model_.logs) {
    const auto& info = topics[i++];
    require_equal(info.name, log.first, "topic");
    require_equal(info.is_exchange, log.second.exchange.has_value(), log.first + " is an exchange");
    require_equal(info.partitions.size(), log.second.size(), "partitions of " + log.first);
    for (const auto& p : info.partitions) {
      require_equal(p.begin.value(), 0U, "begin");
      require_equal(p.end.value(), log.second.end(p.id.value()), "end of a partition of " + log.first);
    }
    if (!log.second.exchange) continue;
    const auto bindings = std::count_if(model_.bindings.begin(), model_.bindings.end(),
                                        [&](const auto& b) { return std::get<0>(b) == log.first; });
    expected_exchanges.push_back({log.first,
                                  {.type = *log.second.exchange, .partitions = log.second.size()},
                                  static_cast<std::uint64_t>(bindings)});
  }
  auto exchanges = ok(bus_->exchanges());
  std::erase_if(exchanges, [](const exchange_info& e) { return e.name.empty(); });
  require_equal(exchanges.size(), expected_exchanges.size(), "number of exchanges");
  for (i = 0; i < exchanges.size(); ++i) {
    require_equal(exchanges[i].name, expected_exchanges[i].name, "exchange");
    require(exchanges[i].options.type == expected_exchanges[i].options.type, "type of " + exchanges[i].name);
    require_equal(exchanges[i].options.partitions, expected_exchanges[i].options.partitions,
                  "partitions of " + exchanges[i].name);
    require_equal(exchanges[i].bindings, expected_exchanges[i].bindings, "bindings of " + exchanges[i].name);
  }
  std::vector<std::tuple<std::string, std::string, std::string>> bindings;
  for (const auto& b : ok(bus_->bindings())) bindings.emplace_back(b.exchange, b.destination, b.key);
  require(std::equal(bindings.begin(), bindings.end(), model_.bindings.begin(), model_.bindings.end()),
          "bindings");
  compare_queues();
  compare_groups();
  compare_tables();
}

void model_walk::compare_queues() {
  const auto queues = ok(bus_->queues());
  require_equal(queues.size(), model_.queues.size(), "number of queues");
  std::size_t i = 0;
  for (const auto& q : model_.queues) {
    const auto& info = queues[i++];
    require_equal(info.name, q.first, "queue");
    require_equal(info.exclusive, q.second.exclusive, q.first + " is exclusive");
    require_equal(info.messages, q.second.entries.size() - q.second.count(model_entry::state::settled),
                  "messages of " + q.first);
    require_equal(info.consumers, takers_of(q.first), "consumers of " + q.first);
    // What consumers have fetched ahead counts too.
    require(info.unacked >= q.second.count(model_entry::state::delivered) && info.unacked <= info.messages,
            "unacked messages of " + q.first);
  }
}

void model_walk::compare_groups() {
  const auto groups = ok(bus_->groups());
  require_equal(groups.size(), model_.groups.size(), "number of groups");
  std::size_t i = 0;
  for (const auto& g : model_.groups) {
    const auto& info = groups[i++];
    require_equal(info.name, g.first, "group");
    std::vector<std::string> members;
    std::map<topic_partition, std::string> owners;
    for (const auto& c : g.second.committed) owners.emplace(c.first, "");
    for (const auto& m : g.second.members) {
      members.push_back(m.first);
      for (const auto& p : m.second.owned) owners[p.first] = m.first;
      for (const auto& where : m.second.granted) owners[where] = m.first;
    }
    require_equal(info.members, members, "members of " + g.first);
    require_equal(info.partitions.size(), owners.size(), "partitions of " + g.first);
    for (const auto& p : info.partitions) {
      const auto owner = owners.find(p.where);
      require(owner != owners.end(), "a partition that nobody owns or has committed");
      require_equal(p.member, owner->second, "owner of a partition of " + p.where.topic);
      const auto committed = g.second.committed.find(p.where);
      const bool has = committed != g.second.committed.end();
      require(p.committed == (has ? std::optional{offset{committed->second}} : std::nullopt),
              "committed offset of " + g.first);
      const std::uint64_t end = model_.logs.at(p.where.topic).end(p.where.partition.value());
      require_equal(p.end.value(), end, "end for " + g.first);
      require_equal(p.lag, end - (has ? committed->second : 0), "lag of " + g.first);
    }
  }
}

}  // namespace levada::test
