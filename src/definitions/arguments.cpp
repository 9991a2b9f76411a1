#include "definitions/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "bus/names.hpp"
#include "bus/policy_set.hpp"
#include "definitions/values.hpp"

namespace levada::definitions {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using importance = definitions_finding::importance;

constexpr std::size_t key_bytes_max = 255;
constexpr std::int64_t count_max = std::int64_t{1} << 62;

/// An argument: how it is told of options, nothing where these have the default, and how it is taken from a
/// value.
template <class Options>
struct argument {
  std::string_view name;
  std::optional<json::value> (*told)(const Options&);
  taken (*take)(Options&, std::string_view where, const json::value&);
};

// Kinds of arguments. Each takes what it stands for as a member of the options.

template <auto Member, std::int64_t Least>
argument<queue_options> duration(std::string_view name) {
  return {name,
          [](const queue_options& o) -> std::optional<json::value> {
            if (!(o.*Member)) return std::nullopt;
            return json::value(std::int64_t{(o.*Member)->count()});
          },
          [](queue_options& o, std::string_view where, const json::value& v) -> taken {
            const auto n = take_integer(where, v, Least, queue_time_max.count());
            if (!n) return n.error();
            o.*Member = milliseconds{*n};
            return std::nullopt;
          }};
}

template <auto Member>
argument<queue_options> count(std::string_view name) {
  return {name,
          [](const queue_options& o) -> std::optional<json::value> {
            if (!(o.*Member)) return std::nullopt;
            return json::value(static_cast<std::int64_t>(*(o.*Member)));
          },
          [](queue_options& o, std::string_view where, const json::value& v) -> taken {
            const auto n = take_integer(where, v, 0, count_max);
            if (!n) return n.error();
            o.*Member = static_cast<std::uint64_t>(*n);
            return std::nullopt;
          }};
}

/// What a text stands for.
template <class Value>
struct choice {
  std::string_view name;
  Value value;
};

template <class Value, std::size_t Size>
std::string_view name_of(const std::array<choice<Value>, Size>& choices, Value value) {
  for (const auto& c : choices) {
    if (c.value == value) return c.name;
  }
  return "unknown";
}

/// One of several values, each with a name, the first being the default.
template <class Options, auto Member, const auto& Choices>
argument<Options> chosen(std::string_view name) {
  return {name,
          [](const Options& o) -> std::optional<json::value> {
            if (o.*Member == Choices[0].value) return std::nullopt;
            return text_to_json(name_of(Choices, o.*Member));
          },
          [](Options& o, std::string_view where, const json::value& v) -> taken {
            const auto text = take_text(where, v, std::numeric_limits<std::size_t>::max());
            if (!text) return text.error();
            for (const auto& c : Choices) {
              if (c.name != *text) continue;
              o.*Member = c.value;
              return std::nullopt;
            }
            return remark{importance::unknown, fmt::format("'{}' is not known", shown_name(*text))};
          }};
}

constexpr std::array overflows{choice<overflow>{"drop-head", overflow::drop_head},
                               choice<overflow>{"reject-publish", overflow::reject_publish},
                               choice<overflow>{"reject-publish-dlx", overflow::reject_publish_dlx}};
constexpr std::array scopes{choice<overflow_scope>{"publish", overflow_scope::publish},
                            choice<overflow_scope>{"queue", overflow_scope::queue}};
constexpr std::array compressions{choice<compression>{"none", compression::none},
                                  choice<compression>{"lz4", compression::lz4},
                                  choice<compression>{"zstd", compression::zstd}};
constexpr std::array exchange_types{
    choice<exchange_type>{"direct", exchange_type::direct},
    choice<exchange_type>{"fanout", exchange_type::fanout},
    choice<exchange_type>{"topic", exchange_type::topic},
    choice<exchange_type>{"headers", exchange_type::headers},
    choice<exchange_type>{"x-consistent-hash", exchange_type::consistent_hash}};
constexpr std::string_view delayed_type = "x-delayed-message";
constexpr std::array hashed_properties{choice<hash_source>{"message_id", hash_source::message_id},
                                       choice<hash_source>{"correlation_id", hash_source::correlation_id}};

/// The name of an exchange that another refers to.
taken take_exchange_name(std::string& to, std::string_view where, const json::value& v) {
  auto name = take_text(where, v, std::numeric_limits<std::size_t>::max());
  if (!name) return name.error();
  if (auto checked = check_name(fmt::format("import definitions: {}", where), "exchange", *name); !checked) {
    return checked.error();
  }
  if (!check_not_reserved("", *name)) {
    return remark{importance::unknown, fmt::format("there is no exchange '{}' here", *name)};
  }
  to = std::move(*name);
  return std::nullopt;
}

// What is not of such a kind.

std::optional<json::value> told_dead_letter_exchange(const queue_options& o) {
  if (!o.dead_letter_exchange) return std::nullopt;
  return text_to_json(*o.dead_letter_exchange);
}
taken take_dead_letter_exchange(queue_options& o, std::string_view where, const json::value& v) {
  std::string name;
  if (const auto* const text = v.if_string(); text == nullptr || !text->empty()) {
    auto done = take_exchange_name(name, where, v);
    if (!done || *done) return done;
  }
  o.dead_letter_exchange = std::move(name);
  return std::nullopt;
}

std::optional<json::value> told_dead_letter_key(const queue_options& o) {
  if (!o.dead_letter_routing_key) return std::nullopt;
  return text_to_json(*o.dead_letter_routing_key);
}
taken take_dead_letter_key(queue_options& o, std::string_view where, const json::value& v) {
  auto key = take_text(where, v, key_bytes_max);
  if (!key) return key.error();
  o.dead_letter_routing_key = std::move(*key);
  return std::nullopt;
}

std::optional<json::value> told_delivery_limit(const queue_options& o) {
  if (!o.delivery_limit) return std::nullopt;
  return json::value(std::int64_t{*o.delivery_limit});
}
taken take_delivery_limit(queue_options& o, std::string_view where, const json::value& v) {
  constexpr std::int64_t any_number = -1;  // as of RabbitMQ 4
  const auto n = take_integer(where, v, any_number, std::numeric_limits<std::uint16_t>::max() - 1);
  if (!n) return n.error();
  if (*n != any_number) o.delivery_limit = static_cast<std::uint32_t>(*n);
  return std::nullopt;
}

std::optional<json::value> told_max_priority(const queue_options& o) {
  if (!o.max_priority) return std::nullopt;
  return json::value(std::int64_t{*o.max_priority});
}
taken take_max_priority(queue_options& o, std::string_view where, const json::value& v) {
  const auto n = take_integer(where, v, 0, 255);
  if (!n) return n.error();
  if (*n == 0) return remark{importance::without_meaning, "with 0 all messages are alike"};
  o.max_priority = static_cast<std::uint8_t>(*n);
  return std::nullopt;
}

std::optional<json::value> told_single_active_consumer(const queue_options& o) {
  if (!o.single_active_consumer) return std::nullopt;
  return json::value(true);
}
taken take_single_active_consumer(queue_options& o, std::string_view where, const json::value& v) {
  const auto truth = take_boolean(where, v);
  if (!truth) return truth.error();
  o.single_active_consumer = *truth;
  return std::nullopt;
}

/// Integers as such, which is how people write them.
json::value number_to_json(double d) {
  if (d == std::floor(d) && std::abs(d) < 1e9) return static_cast<std::int64_t>(d);
  return d;
}

/// Calls `take(name, where, value)` for each member of an object; nothing is unknown there.
template <class Take>
taken take_members(std::string_view where, const json::value& v, Take take) {
  const auto* const object = v.if_object();
  if (object == nullptr) return invalid(where, fmt::format("{} is no object", shown(v)));
  for (const auto& [name, value] : *object) {
    const std::string_view member{name.data(), name.size()};
    const std::string place = fmt::format("{}, member '{}'", where, shown_name(member));
    if (auto done = take(member, place, value); !done || *done) return done;
  }
  return std::nullopt;
}
taken no_such_member(std::string_view place) {
  return invalid(place, "there is no such member");
}

std::optional<json::value> told_redelivery(const queue_options& o) {
  if (!o.redelivery_delay) return std::nullopt;
  const redelivery_delay& d = *o.redelivery_delay;
  return json::value{{"first", std::int64_t{d.first.count()}},
                     {"factor", number_to_json(d.factor)},
                     {"most", std::int64_t{d.most.count()}},
                     {"jitter", number_to_json(d.jitter)}};
}
taken take_redelivery(queue_options& o, std::string_view where, const json::value& v) {
  redelivery_delay d;
  const auto take = [&](std::string_view member, std::string_view place, const json::value& value) -> taken {
    if (member == "first" || member == "most") {
      const auto n = take_integer(place, value, 1, queue_time_max.count());
      if (!n) return n.error();
      (member == "first" ? d.first : d.most) = milliseconds{*n};
    } else if (member == "factor") {
      const auto n = take_number(place, value, 1, 1000);
      if (!n) return n.error();
      d.factor = *n;
    } else if (member == "jitter") {
      const auto n = take_number(place, value, 0, 1);
      if (!n) return n.error();
      d.jitter = *n;
    } else {
      return no_such_member(place);
    }
    return std::nullopt;
  };
  if (auto done = take_members(where, v, take); !done) return done;
  if (d.most < d.first) return invalid(where, "'most' is less than 'first'");
  o.redelivery_delay = d;
  return std::nullopt;
}

std::optional<json::value> told_nothing(const queue_options&) {
  return std::nullopt;
}
taken take_queue_type_argument(queue_options&, std::string_view where, const json::value& v) {
  return take_queue_type(where, v);
}
taken take_placement(queue_options&, std::string_view, const json::value&) {
  return remark{importance::without_meaning, "there are no replicas here"};
}
taken take_layout(queue_options&, std::string_view, const json::value&) {
  return remark{importance::without_meaning, "there is one way to keep messages here, and it is on the disk"};
}
taken take_strategy(queue_options&, std::string_view, const json::value&) {
  return remark{importance::without_meaning, "dead letters go in the commit in which they leave the queue"};
}

const auto& queue_arguments() {
  static const std::array all{
      argument<queue_options>{"x-dead-letter-exchange", told_dead_letter_exchange, take_dead_letter_exchange},
      argument<queue_options>{"x-dead-letter-routing-key", told_dead_letter_key, take_dead_letter_key},
      argument<queue_options>{"x-delivery-limit", told_delivery_limit, take_delivery_limit},
      duration<&queue_options::expires, 1>("x-expires"),
      count<&queue_options::max_length>("x-max-length"),
      count<&queue_options::max_length_bytes>("x-max-length-bytes"),
      argument<queue_options>{"x-max-priority", told_max_priority, take_max_priority},
      duration<&queue_options::message_ttl, 0>("x-message-ttl"),
      chosen<queue_options, &queue_options::overflow, overflows>("x-overflow"),
      argument<queue_options>{"x-single-active-consumer", told_single_active_consumer,
                              take_single_active_consumer},
      argument<queue_options>{"x-levada-redelivery-delay", told_redelivery, take_redelivery},
      argument<queue_options>{"x-queue-type", told_nothing, take_queue_type_argument},
      argument<queue_options>{"x-queue-mode", told_nothing, take_layout},
      argument<queue_options>{"x-queue-version", told_nothing, take_layout},
      argument<queue_options>{"x-max-in-memory-length", told_nothing, take_layout},
      argument<queue_options>{"x-max-in-memory-bytes", told_nothing, take_layout},
      argument<queue_options>{"x-queue-master-locator", told_nothing, take_placement},
      argument<queue_options>{"queue-master-locator", told_nothing, take_placement},
      argument<queue_options>{"x-queue-leader-locator", told_nothing, take_placement},
      argument<queue_options>{"x-quorum-initial-group-size", told_nothing, take_placement},
      argument<queue_options>{"x-initial-cluster-size", told_nothing, take_placement},
      argument<queue_options>{"x-dead-letter-strategy", told_nothing, take_strategy}};
  return all;
}

std::optional<json::value> told_alternate(const exchange_options& o) {
  if (o.alternate_exchange.empty()) return std::nullopt;
  return text_to_json(o.alternate_exchange);
}
taken take_alternate(exchange_options& o, std::string_view where, const json::value& v) {
  if (const auto* const text = v.if_string(); text != nullptr && text->empty()) {
    return remark{importance::unknown, "the default exchange cannot be an alternate exchange here"};
  }
  return take_exchange_name(o.alternate_exchange, where, v);
}

error hashed_twice(std::string_view where) {
  return invalid(where, "hash-header and hash-property do not go together");
}
std::optional<json::value> told_hash_header(const exchange_options& o) {
  if (o.hash != hash_source::header) return std::nullopt;
  return text_to_json(o.hash_header);
}
taken take_hash_header(exchange_options& o, std::string_view where, const json::value& v) {
  if (o.hash != hash_source::routing_key) return hashed_twice(where);
  auto name = take_text(where, v, key_bytes_max);
  if (!name) return name.error();
  if (name->empty()) return invalid(where, "it is empty");
  o.hash = hash_source::header;
  o.hash_header = std::move(*name);
  return std::nullopt;
}
std::optional<json::value> told_hash_property(const exchange_options& o) {
  if (o.hash != hash_source::message_id && o.hash != hash_source::correlation_id) return std::nullopt;
  return text_to_json(name_of(hashed_properties, o.hash));
}
taken take_hash_property(exchange_options& o, std::string_view where, const json::value& v) {
  if (o.hash != hash_source::routing_key) return hashed_twice(where);
  const auto name = take_text(where, v, std::numeric_limits<std::size_t>::max());
  if (!name) return name.error();
  for (const auto& c : hashed_properties) {
    if (c.name == *name) o.hash = c.value;
  }
  if (o.hash == hash_source::routing_key) {
    return remark{importance::unknown, fmt::format("'{}' cannot be hashed here", shown_name(*name))};
  }
  return std::nullopt;
}

std::optional<json::value> told_delayed_type(const exchange_options& o) {
  if (!o.delayed) return std::nullopt;
  return text_to_json(name_of(exchange_types, o.type));
}
taken take_delayed_type(exchange_options& o, std::string_view where, const json::value& v) {
  if (!o.delayed) {
    return remark{importance::unknown, fmt::format("only exchanges of type '{}' have it", delayed_type)};
  }
  exchange_options as_if;
  auto done = take_type(as_if, where, v);
  if (!done || *done) return done;
  if (as_if.delayed) return invalid(where, fmt::format("it is '{}' itself", delayed_type));
  o.type = as_if.type;
  return std::nullopt;
}

std::optional<json::value> told_partitions(const exchange_options& o) {
  if (o.partitions == 1) return std::nullopt;
  return json::value(std::int64_t{o.partitions});
}
taken take_partitions(exchange_options& o, std::string_view where, const json::value& v) {
  const auto n = take_integer(where, v, 1, 4096);
  if (!n) return n.error();
  o.partitions = static_cast<std::uint32_t>(*n);
  return std::nullopt;
}

/// All of it where a part is not the default: what is absent then has no limit.
std::optional<json::value> told_retention(const exchange_options& o) {
  const retention_policy& r = o.retention;
  if (r == exchange_options{}.retention) return std::nullopt;
  json::object told;
  if (r.age) told.emplace("age", std::int64_t{r.age->count()});
  if (r.bytes) told.emplace("bytes", *r.bytes);
  if (r.records) told.emplace("records", *r.records);
  if (r.force) told.emplace("force", true);
  if (r.wait_for_readers) told.emplace("wait_for_readers", true);
  return json::value(std::move(told));
}
taken take_retention(exchange_options& o, std::string_view where, const json::value& v) {
  retention_policy r;
  const auto take = [&](std::string_view member, std::string_view place, const json::value& value) -> taken {
    constexpr std::int64_t any = std::numeric_limits<std::int64_t>::max();
    if (member == "age" || member == "bytes" || member == "records") {
      // The largest numbers do not fit into an integer of JSON's that is signed.
      const auto* const large = value.if_uint64();
      if (large != nullptr && member != "age") {
        (member == "bytes" ? r.bytes : r.records) = *large;
        return std::nullopt;
      }
      const auto n = take_integer(place, value, 1, any);
      if (!n) return n.error();
      if (member == "age") {
        r.age = milliseconds{*n};
      } else {
        (member == "bytes" ? r.bytes : r.records) = static_cast<std::uint64_t>(*n);
      }
    } else if (member == "force" || member == "wait_for_readers") {
      const auto truth = take_boolean(place, value);
      if (!truth) return truth.error();
      (member == "force" ? r.force : r.wait_for_readers) = *truth;
    } else {
      return no_such_member(place);
    }
    return std::nullopt;
  };
  if (auto done = take_members(where, v, take); !done) return done;
  o.retention = r;
  return std::nullopt;
}

const auto& exchange_arguments() {
  static const std::array all{
      argument<exchange_options>{"alternate-exchange", told_alternate, take_alternate},
      argument<exchange_options>{"hash-header", told_hash_header, take_hash_header},
      argument<exchange_options>{"hash-property", told_hash_property, take_hash_property},
      argument<exchange_options>{"x-delayed-type", told_delayed_type, take_delayed_type},
      argument<exchange_options>{"x-levada-partitions", told_partitions, take_partitions},
      chosen<exchange_options, &exchange_options::overflow, scopes>("x-levada-overflow-scope"),
      argument<exchange_options>{"x-levada-retention", told_retention, take_retention},
      chosen<exchange_options, &exchange_options::compression, compressions>("x-levada-compression")};
  return all;
}

template <class Options, std::size_t Size>
json::object told_arguments(const std::array<argument<Options>, Size>& known, const Options& options) {
  json::object told;
  for (const auto& a : known) {
    if (auto value = a.told(options)) told.emplace(a.name, std::move(*value));
  }
  return told;
}

template <class Options, std::size_t Size>
taken take_known(const std::array<argument<Options>, Size>& known, Options& to, std::string_view where,
                 std::string_view name, const json::value& value) {
  for (const auto& a : known) {
    if (a.name == name) return a.take(to, where, value);
  }
  return remark{importance::unknown, "it is not known"};
}

}  // namespace

json::object described(const exchange_options& options) {
  json::object told;
  told.emplace("arguments", told_arguments(exchange_arguments(), options));
  told.emplace("auto_delete", options.auto_delete);
  told.emplace("durable", options.durable);
  // RabbitMQ exports no internal exchanges, and has no member for it then.
  if (options.internal) told.emplace("internal", true);
  told.emplace("type", text_to_json(options.delayed ? delayed_type : name_of(exchange_types, options.type)));
  return told;
}

json::object described(const queue_options& options) {
  json::object told;
  told.emplace("arguments", told_arguments(queue_arguments(), options));
  told.emplace("auto_delete", options.auto_delete);
  told.emplace("durable", options.durable);
  told.emplace("type", "classic");
  return told;
}

taken take_type(exchange_options& to, std::string_view where, const json::value& value) {
  const auto name = take_text(where, value, std::numeric_limits<std::size_t>::max());
  if (!name) return name.error();
  if (*name == delayed_type) {
    to.delayed = true;
    return std::nullopt;
  }
  for (const auto& c : exchange_types) {
    if (c.name != *name) continue;
    to.type = c.value;
    return std::nullopt;
  }
  return remark{importance::unknown,
                fmt::format("there are no exchanges of type '{}' here", shown_name(*name)), true};
}

taken take_queue_type(std::string_view where, const json::value& value) {
  const auto name = take_text(where, value, std::numeric_limits<std::size_t>::max());
  if (!name) return name.error();
  if (*name == "classic" || *name == "quorum") return std::nullopt;
  return remark{importance::unknown, fmt::format("there are no queues of type '{}' here", shown_name(*name)),
                true};
}

taken take_argument(exchange_options& to, std::string_view where, std::string_view name,
                    const json::value& value) {
  return take_known(exchange_arguments(), to, where, name, value);
}

taken take_argument(queue_options& to, std::string_view where, std::string_view name,
                    const json::value& value) {
  return take_known(queue_arguments(), to, where, name, value);
}

namespace {

/// What a policy can set, by the arguments of queues that set the same; but for its own, without the "x-".
constexpr std::array<std::string_view, 9> settable{"x-dead-letter-exchange",
                                                   "x-dead-letter-routing-key",
                                                   "x-delivery-limit",
                                                   "x-expires",
                                                   "x-levada-redelivery-delay",
                                                   "x-max-length",
                                                   "x-max-length-bytes",
                                                   "x-message-ttl",
                                                   "x-overflow"};
/// What it sets to no effect here.
constexpr std::array<std::string_view, 7> settable_in_vain{
    "x-queue-mode",           "x-queue-version",        "x-max-in-memory-length", "x-max-in-memory-bytes",
    "x-queue-master-locator", "x-dead-letter-strategy", "x-queue-leader-locator"};
constexpr std::string_view alternate_setting = "alternate-exchange";

std::string_view setting_of(std::string_view argument_name) {
  return argument_name.starts_with("x-levada-") ? argument_name : argument_name.substr(2);
}

}  // namespace

json::object described(const policy_definition& definition) {
  const queue_options as_declared = options_of(definition);
  json::object told;
  for (const auto& a : queue_arguments()) {
    if (std::find(settable.begin(), settable.end(), a.name) == settable.end()) continue;
    if (auto value = a.told(as_declared)) told.emplace(setting_of(a.name), std::move(*value));
  }
  // Also where that is what a queue has in any case.
  if (definition.overflow) told["overflow"] = text_to_json(name_of(overflows, *definition.overflow));
  if (definition.alternate_exchange)
    told.emplace(alternate_setting, text_to_json(*definition.alternate_exchange));
  return told;
}

taken take_setting(policy_definition& to, std::string_view where, std::string_view name,
                   const json::value& value) {
  if (name == alternate_setting) {
    exchange_options as_declared;
    auto done = take_alternate(as_declared, where, value);
    if (done && !*done) to.alternate_exchange = std::move(as_declared.alternate_exchange);
    return done;
  }
  if (name.starts_with("ha-")) return remark{importance::without_meaning, "there are no replicas here"};
  const auto is_it = [name](std::string_view argument_name) { return setting_of(argument_name) == name; };
  queue_options as_declared = options_of(to);
  const auto found = std::find_if(settable.begin(), settable.end(), is_it);
  if (found == settable.end()) {
    const auto in_vain = std::find_if(settable_in_vain.begin(), settable_in_vain.end(), is_it);
    if (in_vain == settable_in_vain.end()) return remark{importance::unknown, "it is not known"};
    return take_argument(as_declared, where, *in_vain, value);
  }
  auto done = take_argument(as_declared, where, *found, value);
  if (!done || *done) return done;
  policy_definition taken_over = definition_of(as_declared);
  taken_over.overflow = name == "overflow" ? as_declared.overflow : to.overflow;
  taken_over.alternate_exchange = std::move(to.alternate_exchange);
  to = std::move(taken_over);
  return done;
}

}  // namespace levada::definitions
