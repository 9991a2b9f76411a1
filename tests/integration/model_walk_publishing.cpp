// Declaring, binding and publishing.
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <support/result_testing.hpp>

#include "model_walk.hpp"

namespace levada::test {

void model_walk::declare_topic() {
  const std::string topic = topic_name();
  const std::uint32_t partitions = one_in(15) ? 0 : 1 + below(3);
  note("declare topic {} with {} partitions", topic, partitions);
  const auto found = model_.logs.find(topic);
  std::optional<errc> expected;
  if (partitions == 0) {
    expected = errc::invalid_argument;
  } else if (found != model_.logs.end() && (found->second.exchange || found->second.size() != partitions)) {
    expected = errc::inequivalent;
  }
  const auto got = bus_->declare_topic(topic, {.partitions = partitions});
  if (!require_outcome(got, expected, last())) return;
  require_equal(got->partitions(), partitions, last());
  if (found == model_.logs.end()) model_.logs[topic].partitions.resize(partitions);
}

void model_walk::declare_exchange() {
  const std::string exchange = exchange_name();
  const auto type = static_cast<exchange_type>(one_in(3) ? 1 + below(3) : 3);
  const std::uint32_t partitions = 1 + below(2);
  note("declare exchange {} of type {} with {} partitions", exchange, static_cast<int>(type), partitions);
  const auto found = model_.logs.find(exchange);
  std::optional<errc> expected;
  if (found != model_.logs.end() && (found->second.exchange != type || found->second.size() != partitions)) {
    expected = errc::inequivalent;
  }
  const auto got = bus_->declare_exchange(exchange, {type, partitions});
  if (!require_outcome(got, expected, last()) || found != model_.logs.end()) return;
  model_.logs[exchange].exchange = type;
  model_.logs[exchange].partitions.resize(partitions);
}

void model_walk::declare_queue() {
  const std::string queue = name("queue", 3);
  note("declare queue {}", queue);
  require_outcome(bus_->declare_queue(queue), {}, last());
  model_.queues.try_emplace(queue);
}

void model_walk::declare_anonymous_queue() {
  if (anonymous_.size() > 1) {
    const auto at = below_size(anonymous_);
    note("give {} up", anonymous_[at].name());
    end_queue(anonymous_[at].name());
    anonymous_.erase(anonymous_.begin() + static_cast<std::ptrdiff_t>(at));
    return;
  }
  note("declare an anonymous queue");
  anonymous_.push_back(ok(bus_->declare_anonymous_queue()));
  const auto& made_up = anonymous_.back().name();
  require(!model_.queues.contains(made_up), made_up + " is not new");
  model_.queues[made_up].exclusive = true;
}

void model_walk::end_queue(const std::string& queue) {
  model_.erase_queue(queue);
  for (auto& t : takers_) {
    if (t.queue == queue) t.closed = true;
  }
}

void model_walk::delete_queue() {
  const std::string queue = queue_name();
  note("delete queue {}", queue);
  const auto found = model_.queues.find(queue);
  std::optional<errc> expected;
  if (found == model_.queues.end()) {
    expected = errc::unknown_queue;
  } else if (found->second.exclusive) {
    expected = errc::resource_locked;
  }
  const auto got = bus_->delete_queue(queue);
  if (require_outcome(got, expected, last())) end_queue(queue);
}

std::optional<errc> model_walk::no_route(const std::string& exchange, const std::string& queue) {
  const auto log = model_.logs.find(exchange);
  if (log == model_.logs.end() || !log->second.exchange) return errc::unknown_exchange;
  if (!model_.queues.contains(queue)) return errc::unknown_queue;
  return {};
}

void model_walk::bind() {
  const std::string exchange = exchange_name();
  const std::string queue = queue_name();
  const std::string key = key_of_words(true);
  note("bind {} to {} with '{}'", queue, exchange, key);
  const auto got = bus_->bind(exchange, queue, key);
  if (require_outcome(got, no_route(exchange, queue), last())) model_.bindings.emplace(exchange, queue, key);
}

void model_walk::unbind() {
  std::string exchange = exchange_name();
  std::string queue = queue_name();
  std::string key = key_of_words(true);
  if (!model_.bindings.empty() && !one_in(4)) {
    std::tie(exchange, queue, key) =
        *std::next(model_.bindings.begin(), static_cast<std::ptrdiff_t>(below_size(model_.bindings)));
  }
  note("unbind {} from {} with '{}'", queue, exchange, key);
  const auto got = bus_->unbind(exchange, queue, key);
  if (require_outcome(got, no_route(exchange, queue), last())) model_.bindings.erase({exchange, queue, key});
}

void model_walk::publish() {
  const std::string topic = topic_name();
  auto made = some_record({});
  const record& r = made.first;
  const std::optional<std::uint32_t> partition = one_in(3) ? std::optional{below(4)} : std::nullopt;
  note("publish to {}, partition {}: {:.60}", topic, partition ? static_cast<int>(*partition) : -1,
       made.second);
  const auto log = model_.logs.find(topic);
  if (log == model_.logs.end() || log->second.exchange) {
    require_outcome(bus_->publish(topic, r), errc::unknown_topic, last());
    return;
  }
  const auto handle = ok(bus_->topic(topic));
  const auto got = partition ? handle.publish(partition_id{*partition}, r) : handle.publish(r);
  const bool no_partition = partition && *partition >= log->second.size();
  if (!require_outcome(got, no_partition ? std::optional{errc::unknown_partition} : std::nullopt, last()))
    return note_sent(publisher, {topic, partition_id{*partition}}, made.second, {});
  require_equal(got->topic, topic, last());
  require_equal(got->routed, 0U, last());
  require_equal(got->time, now(), last());
  const std::uint32_t p = got->partition.value();
  require(p < log->second.size(), last() + ": the partition does not exist");
  if (partition) {
    require_equal(p, *partition, last());
  } else if (r.key()) {
    require_equal(got->partition, partition_for_key(*r.key(), log->second.size()), last());
  }
  require_equal(got->offset.value(), log->second.end(p), last());
  note_sent(publisher, {topic, got->partition}, made.second, got->offset.value());
  log->second.append(p, {made.second, got->time});
}

void model_walk::publish_batch() {
  const std::string topic = name("topic", 3);
  const auto log = model_.logs.find(topic);
  if (log == model_.logs.end() || log->second.exchange) return;
  const std::uint32_t count = below(40);
  note("publish a batch of {} to {}", count, topic);
  const auto handle = ok(bus_->topic(topic));
  auto batch = handle.make_batch();
  std::map<std::uint32_t, std::vector<std::string>> runs;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto made = some_record({});
    const std::string value = some_value();
    const std::uint32_t p = below(log->second.size());
    std::optional<levada::publish_batch::slot> slot;
    switch (below(4)) {
      case 0:
        slot = ok(batch.add(made.first));
        break;
      case 1:
        slot = ok(batch.add(partition_id{p}, made.first));
        require_equal(slot->partition.value(), p, last());
        break;
      case 2:
        made.second = text_of("key", value, {}, {});
        slot = ok(batch.add("key", value));
        require_equal(slot->partition, partition_for_key("key", log->second.size()), last());
        break;
      default:
        made.second = text_of({}, value, {}, {});
        slot = ok(batch.add(value));
    }
    auto& run = runs[slot->partition.value()];
    require_equal(slot->index, run.size(), last() + ": index");
    run.push_back(made.second);
  }
  require_equal(batch.size(), count, last() + ": size");
  if (one_in(8)) {  // a batch that is dropped leaves nothing
    for (const auto& run : runs) {
      for (const auto& text : run.second) note_sent(publisher, {topic, partition_id{run.first}}, text, {});
    }
    return;
  }
  const auto receipt = ok(handle.publish(batch));
  const timestamp time = now();
  require(batch.empty(), last() + ": it is not empty afterwards");
  require_equal(receipt.ranges.size(), runs.size(), last() + ": ranges");
  std::size_t i = 0;
  for (const auto& run : runs) {
    const auto& range = receipt.ranges[i++];
    require_equal(range.partition.value(), run.first, last() + ": partition");
    require_equal(range.base_offset.value(), log->second.end(run.first), last() + ": offset");
    require_equal(range.count, run.second.size(), last() + ": count");
    std::vector<kafka_history::message> sent;
    for (const auto& text : run.second) {
      sent.push_back({value_of(text), log->second.end(run.first)});
      log->second.append(run.first, {text, time});
    }
    history_.sent(publisher, {topic, range.partition}, sending::stored, std::move(sent));
  }
  if (count > 0) require_equal(receipt.time, time, last() + ": time");
}

void model_walk::publish_to_exchange() {
  const std::string exchange = exchange_name();
  const std::string key = key_of_words(one_in(6));
  const auto made = some_record(key);
  note("publish to {} with '{}': {:.60}", exchange, key, made.second);
  const auto got = bus_->publish(exchange, key, made.first);
  const auto log = model_.logs.find(exchange);
  const bool unknown = log == model_.logs.end() || !log->second.exchange;
  if (!require_outcome(got, unknown ? std::optional{errc::unknown_exchange} : std::nullopt, last())) return;
  const std::uint32_t p = partition_for_key(key, log->second.size()).value();
  const auto queues = model_.routes(exchange, key);
  require_equal(got->topic, exchange, last());
  require_equal(got->partition.value(), p, last() + ": partition");
  require_equal(got->offset.value(), log->second.end(p), last() + ": offset");
  require_equal(got->time, now(), last() + ": time");
  require_equal(got->routed, queues.size(), last() + ": routed");
  for (const auto& queue : queues) {
    model_.queues.at(queue).entries.push_back(
        {exchange, p, log->second.end(p), model_entry::state::ready, false, false});
  }
  note_sent(publisher, {exchange, got->partition}, made.second, got->offset.value());
  log->second.append(p, {made.second, got->time});
}

}  // namespace levada::test
