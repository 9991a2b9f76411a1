#include <crash/queueing_world.hpp>

#include <crash/promises.hpp>

#include <algorithm>
#include <stdexcept>
#include <variant>

namespace levada::crash {
namespace {

using std::chrono::milliseconds;

queue_options with_grave(const char* exchange = dead_exchange) {
  queue_options o;
  o.dead_letter_exchange = exchange[0] == '\0' ? std::string{} : std::string{exchange};
  o.dead_letter_routing_key = grave_name;
  return o;
}

/// Of one log, so that it is thinned out around what queues still refer to.
constexpr std::uint64_t way_log_keeps = 4;

std::vector<queue_layout> make_layouts() {
  std::vector<queue_layout> all;
  all.push_back({"plain", {}});
  all.push_back({grave_name, {}});
  queue_options bounded = with_grave();
  bounded.max_length = 8;
  all.push_back({"bounded", bounded});
  queue_options dropping;
  dropping.max_length = 6;
  all.push_back({"dropping", dropping});
  queue_options expiring = with_grave();
  expiring.message_ttl = milliseconds{400};
  all.push_back({"expiring", expiring});
  queue_options instant = with_grave("");
  instant.message_ttl = milliseconds{0};
  all.push_back({"instant", instant});
  queue_options refusing;
  refusing.max_length = 8;
  refusing.overflow = overflow::reject_publish;
  all.push_back({"refusing", refusing});
  queue_options refusing_dead = with_grave();
  refusing_dead.max_length = 6;
  refusing_dead.overflow = overflow::reject_publish_dlx;
  all.push_back({"refusing-dead", refusing_dead});
  queue_options tries = with_grave("");
  tries.delivery_limit = 1;
  redelivery_delay wait;
  wait.first = milliseconds{20};
  wait.factor = 2;
  wait.most = milliseconds{100};
  wait.jitter = 0.5;
  tries.redelivery_delay = wait;
  all.push_back({"tries", tries});
  queue_options ranks = with_grave();
  ranks.max_priority = 3;
  ranks.max_length = 12;
  ranks.delivery_limit = 2;
  all.push_back({"ranks", ranks});
  // They get much in common, which is stored once.
  all.push_back({"twin-1", {}});
  all.push_back({"twin-2", {}});
  all.push_back({"twin-3", with_grave()});
  all.push_back({"twin-4", {}});
  all.push_back({passing_name, {}});
  return all;
}

struct binding {
  const char* exchange;
  const char* queue;
  const char* key;
};
constexpr binding bindings[] = {
    {dead_exchange, grave_name, grave_name},
    {fan_exchange, "plain", ""},
    {fan_exchange, "dropping", ""},
    {fan_exchange, "refusing", ""},
    {fan_exchange, "twin-1", ""},
    {fan_exchange, "twin-2", ""},
    {fan_exchange, "twin-3", ""},
    {fan_exchange, "twin-4", ""},
    {exact_exchange, "twin-1", "twins"},
    {exact_exchange, "twin-2", "twins"},
    {exact_exchange, "twin-3", "twins"},
    {way_exchange, "plain", "#"},
    {way_exchange, "bounded", "job.*"},
    {way_exchange, "refusing-dead", "*.#"},
    {way_exchange, "expiring", "note.#"},
    {exact_exchange, "tries", "try"},
    {exact_exchange, "ranks", "rank"},
    {exact_exchange, "instant", "now"},
    {exact_exchange, "tries", "both"},
    {exact_exchange, "ranks", "both"},
    {exact_exchange, "plain", "both"},
};

}  // namespace

const std::vector<queue_layout>& queue_layouts() {
  static const std::vector<queue_layout> all = make_layouts();
  return all;
}

const queue_layout& layout_of(const std::string& queue) {
  const auto& all = queue_layouts();
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& q) { return q.name == queue; });
  if (found == all.end()) throw std::out_of_range{"no queue is named '" + queue + "'"};
  return *found;
}

std::string died_in(const record_view& r) {
  const auto deaths = deaths_of(r);
  if (!deaths.empty()) return deaths.front().queue;
  const auto by_hand = r.header(died_in_header);
  return by_hand ? std::string{std::get<std::string_view>(*by_hand)} : std::string{};
}

void declare_world(bus& b, teller& out) {
  const auto exchange = [&](const char* name, exchange_type type, std::uint32_t partitions,
                            overflow_scope scope, const log_keeps& keeps = {}) {
    exchange_options o;
    o.retention.records = keeps.newest;
    o.type = type;
    o.partitions = partitions;
    o.overflow = scope;
    declare(out, exchange_object(name, partitions, keeps), [&] { b.declare_exchange(name, o).value(); });
  };
  exchange(fan_exchange, exchange_type::fanout, 1, overflow_scope::queue);
  exchange(way_exchange, exchange_type::topic, 2, overflow_scope::queue, {.newest = way_log_keeps});
  exchange(exact_exchange, exchange_type::direct, 1, overflow_scope::publish);
  exchange(dead_exchange, exchange_type::direct, 1, overflow_scope::publish);
  for (const queue_layout& q : queue_layouts()) {
    if (q.name == std::string{passing_name}) continue;
    declare(out, queue_object(q.name), [&] { b.declare_queue(q.name, q.options).value(); });
  }
  for (const binding& i : bindings) {
    declare(out, binding_object(i.exchange, i.queue, i.key),
            [&] { b.bind(i.exchange, i.queue, i.key).value(); });
  }
}

const std::vector<way>& ways() {
  static const std::vector<way> all = {
      {fan_exchange, "any", "plain,dropping,refusing,twin-1,twin-2,twin-3,twin-4", "refusing"},
      {exact_exchange, "twins", "twin-1,twin-2,twin-3"},
      {"", "twin-4", "twin-4"},
      {way_exchange, "job.1", "plain,bounded,refusing-dead", "refusing-dead"},
      {way_exchange, "job.2", "plain,bounded,refusing-dead", "refusing-dead"},
      {way_exchange, "note.a.b", "plain,expiring,refusing-dead", "refusing-dead"},
      {exact_exchange, "try", "tries"},
      {exact_exchange, "rank", "ranks"},
      {exact_exchange, "now", "instant"},
      {exact_exchange, "both", "tries,ranks,plain"},
      {"", "plain", "plain"},
      {"", "bounded", "bounded"},
      {"", "refusing", "refusing"},
      {"", "refusing-dead", "refusing-dead"},
      {"", "expiring", "expiring"},
      {"", "tries", "tries"},
      {"", "ranks", "ranks"},
  };
  return all;
}

const way& way_to_passing() {
  static const way only{exact_exchange, passing_name, passing_name};
  return only;
}

}  // namespace levada::crash
