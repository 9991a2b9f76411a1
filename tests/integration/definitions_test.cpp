#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Orders that are tried again after half a minute, as `rabbitmqctl export_definitions` of RabbitMQ 3.10
/// writes it, but for the line breaks.
constexpr const char* retry_topology = R"({
"bindings":[
{"arguments":{},"destination":"orders","destination_type":"queue","routing_key":"order.#","source":"shop","vhost":"/"},
{"arguments":{},"destination":"audit","destination_type":"exchange","routing_key":"#","source":"shop","vhost":"/"},
{"arguments":{"kind":"refund","level":3,"weight":0.5,"urgent":true,"x-match":"any"},"destination":"refunds","destination_type":"queue","routing_key":"","source":"audit","vhost":"/"},
{"arguments":{},"destination":"orders.wait","destination_type":"queue","routing_key":"","source":"retry","vhost":"/"},
{"arguments":{},"destination":"orders.dead","destination_type":"queue","routing_key":"orders","source":"dead","vhost":"/"}],
"exchanges":[
{"arguments":{"alternate-exchange":"dead"},"auto_delete":false,"durable":true,"name":"shop","type":"topic","vhost":"/"},
{"arguments":{},"auto_delete":false,"durable":true,"name":"audit","type":"headers","vhost":"/"},
{"arguments":{},"auto_delete":false,"durable":true,"name":"retry","type":"fanout","vhost":"/"},
{"arguments":{},"auto_delete":true,"durable":false,"name":"dead","type":"direct","vhost":"/"}],
"global_parameters":[{"name":"internal_cluster_id","value":"rabbitmq-cluster-id-6kVJlJNlZBJQKSWRRyyeDA"}],
"parameters":[],
"permissions":[{"configure":".*","read":".*","user":"guest","vhost":"/","write":".*"}],
"policies":[],
"queues":[
{"arguments":{"x-dead-letter-exchange":"retry","x-queue-type":"quorum","x-delivery-limit":5},"auto_delete":false,"durable":true,"name":"orders","type":"quorum","vhost":"/"},
{"arguments":{"x-dead-letter-exchange":"","x-dead-letter-routing-key":"orders","x-message-ttl":30000,"x-queue-mode":"lazy"},"auto_delete":false,"durable":true,"name":"orders.wait","type":"classic","vhost":"/"},
{"arguments":{"x-max-length":1000,"x-max-length-bytes":1048576,"x-overflow":"reject-publish-dlx","x-expires":86400000},"auto_delete":true,"durable":false,"name":"orders.dead","type":"classic","vhost":"/"},
{"arguments":{"x-max-priority":10,"x-single-active-consumer":true},"auto_delete":false,"durable":true,"name":"refunds","type":"classic","vhost":"/"}],
"rabbit_version":"3.10.8","rabbitmq_version":"3.10.8","topic_permissions":[],
"users":[{"hashing_algorithm":"rabbit_password_hashing_sha256","limits":{},"name":"guest","password_hash":"x","tags":["administrator"]}],
"vhosts":[{"limits":[],"metadata":{"description":"Default virtual host","tags":[]},"name":"/"}]})";

// Options as values that can be compared.

auto fields(const exchange_options& o) {
  return std::tuple{o.type, o.partitions,  o.durable,  o.auto_delete, o.internal,  o.alternate_exchange,
                    o.hash, o.hash_header, o.overflow, o.delayed,     o.retention, o.compression};
}
auto fields(const queue_options& o) {
  return std::tuple{o.durable,
                    o.message_ttl,
                    o.max_length,
                    o.max_length_bytes,
                    o.overflow,
                    o.dead_letter_exchange,
                    o.dead_letter_routing_key,
                    o.delivery_limit,
                    o.redelivery_delay,
                    o.auto_delete,
                    o.expires,
                    o.max_priority,
                    o.single_active_consumer};
}
auto fields(const binding_info& b) {
  std::map<std::string, header_value> arguments;
  for (const auto& a : b.arguments) arguments.emplace(a.name, a.value);
  return std::tuple{b.exchange, b.to_exchange, b.destination, b.key, std::move(arguments)};
}

/// All that there is: options by name, and bindings.
struct topology {
  explicit topology(const bus& of) {
    for (const auto& e : ok(of.exchanges())) {
      if (!e.name.empty()) exchanges.emplace(e.name, fields(e.options));
    }
    for (const auto& q : ok(of.queues())) queues.emplace(q.name, fields(q.options));
    for (const auto& b : ok(of.bindings())) bindings.push_back(fields(b));
    std::sort(bindings.begin(), bindings.end());
  }
  bool operator==(const topology&) const = default;

  std::map<std::string, decltype(fields(exchange_options{}))> exchanges;
  std::map<std::string, decltype(fields(queue_options{}))> queues;
  std::vector<decltype(fields(binding_info{}))> bindings;
};

bus bus_in_memory() {
  return ok(bus::open_in_memory({.maintenance = maintenance_mode::on_call}));
}

/// "unknown: queue 'a', argument 'b': it is not known".
std::vector<std::string> lines(const definitions_report& report) {
  std::vector<std::string> all;
  for (const auto& f : report.findings) {
    const bool unknown = f.weight == definitions_finding::importance::unknown;
    all.push_back(fmt::format("{}: {}: {}", unknown ? "unknown" : "without meaning", f.where, f.what));
  }
  return all;
}

std::string queue_with(const std::string& arguments) {
  return R"({"queues":[{"name":"q","vhost":"/","durable":true,"auto_delete":false,"arguments":{)" +
         arguments + "}}]}";
}
std::string exchange_with(const std::string& type, const std::string& arguments) {
  return R"({"exchanges":[{"name":"e","vhost":"/","type":")" + type + R"(","arguments":{)" + arguments +
         "}}]}";
}
/// Of a queue to an exchange, both of which are there.
std::string binding_with(const std::string& type, const std::string& key, const std::string& arguments) {
  return R"({"exchanges":[{"name":"e","type":")" + type +
         R"("}],"queues":[{"name":"q"}],"bindings":[{"source":"e","destination":"q","destination_type":"queue","routing_key":")" +
         key + R"(","arguments":{)" + arguments + "}}]}";
}

class Definitions : public bus_fixture {
 protected:
  definitions_report imported(std::string_view json, const definitions_import_options& options = {}) {
    return ok(import_definitions(the_bus(), json, options));
  }
  [[nodiscard]] std::string exported() { return ok(export_definitions(the_bus())); }
  [[nodiscard]] bool has_nothing() { return topology{the_bus()} == topology{bus_in_memory()}; }
  queue_options queue_options_of(const std::string& name) { return ok(the_bus().queue(name)).options; }
  exchange_options exchange_options_of(const std::string& name) {
    return ok(the_bus().exchange(name)).options;
  }
  /// What the import of a queue with these arguments finds.
  std::vector<std::string> findings_of_queue(const std::string& arguments) {
    return lines(imported(queue_with(arguments), {.dry_run = true}));
  }
};

// What RabbitMQ has written

TEST_F(Definitions, ImportsWhatRabbitMqHasWritten) {
  const auto report = imported(retry_topology);
  EXPECT_TRUE(report.applied);
  EXPECT_EQ(report.exchanges, 4U);
  EXPECT_EQ(report.queues, 4U);
  EXPECT_EQ(report.bindings, 5U);
  EXPECT_THAT(
      lines(report),
      ElementsAre("without meaning: member 'global_parameters': a store has none; 1 left out",
                  "without meaning: member 'permissions': a store has none; 1 left out",
                  "without meaning: queue 'orders.wait', argument 'x-queue-mode': there is one way to "
                  "keep messages here, and it is on the disk",
                  "without meaning: member 'users': a store has none; 1 left out",
                  "without meaning: member 'vhosts': a store has none; 1 left out"));

  auto expected = bus_in_memory();
  ok(expected.declare_exchange("shop", {.type = exchange_type::topic, .alternate_exchange = "dead"}));
  ok(expected.declare_exchange("audit", {.type = exchange_type::headers}));
  ok(expected.declare_exchange("retry", {.type = exchange_type::fanout}));
  ok(expected.declare_exchange("dead",
                               {.type = exchange_type::direct, .durable = false, .auto_delete = true}));
  ok(expected.declare_queue("orders", {.dead_letter_exchange = "retry", .delivery_limit = 5}));
  ok(expected.declare_queue("orders.wait", {.message_ttl = milliseconds{30'000},
                                            .dead_letter_exchange = "",
                                            .dead_letter_routing_key = "orders"}));
  ok(expected.declare_queue("orders.dead", {.durable = false,
                                            .max_length = 1000,
                                            .max_length_bytes = 1 << 20,
                                            .overflow = overflow::reject_publish_dlx,
                                            .auto_delete = true,
                                            .expires = hours{24}}));
  ok(expected.declare_queue("refunds", {.max_priority = 10, .single_active_consumer = true}));
  ok(expected.bind("shop", "orders", "order.#"));
  ok(expected.bind_exchange("shop", "audit", "#"));
  ok(expected.bind("audit", "refunds", "",
                   {{"kind", "refund"},
                    {"level", std::int64_t{3}},
                    {"weight", 0.5},
                    {"urgent", true},
                    {"x-match", "any"}}));
  ok(expected.bind("retry", "orders.wait", ""));
  ok(expected.bind("dead", "orders.dead", "orders"));
  EXPECT_TRUE(topology{the_bus()} == topology{expected});
}

TEST_F(Definitions, SendsMessagesRoundWhatItHasImported) {
  imported(retry_topology);
  EXPECT_EQ(ok(the_bus().publish("shop", "order.1", record{"an order"})).routed, 1U);
  auto worker = ok(the_bus().consume("orders"));
  const auto first = ok(worker.receive(at_once));
  ASSERT_TRUE(first);
  ok(worker.nack(*first, requeue::no));
  EXPECT_EQ(ok(the_bus().queue("orders.wait")).messages, 1U);
}

TEST_F(Definitions, CanBeImportedAgain) {
  imported(retry_topology);
  const topology once{the_bus()};
  const auto again = imported(retry_topology);
  EXPECT_TRUE(again.applied);
  EXPECT_EQ(again.bindings, 5U);
  EXPECT_TRUE(topology{the_bus()} == once);
}

TEST_F(Definitions, ImportsWhatIsExportedOfOneVirtualHost) {
  const auto report = imported(
      R"({"rabbit_version":"3.10.8","exchanges":[],"policies":[],"parameters":[],
          "queues":[{"name":"work","durable":true,"auto_delete":false,"arguments":{}}],"bindings":[]})",
      {.virtual_host = "shop"});
  EXPECT_TRUE(report.applied);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_TRUE(the_bus().queue("work"));
}

// Exporting

TEST_F(Definitions, ExportsAPlainTopologyAsRabbitMqDoes) {
  ok(the_bus().declare_exchange("shop"));
  ok(the_bus().declare_exchange("audit", {.type = exchange_type::consistent_hash, .durable = false}));
  ok(the_bus().declare_queue("wait", {.message_ttl = milliseconds{30'000}, .dead_letter_exchange = ""}));
  ok(the_bus().bind("shop", "wait", "order.#", {{"n", 1.5}, {"a", header_value{}}}));
  ok(the_bus().bind_exchange("shop", "audit", "#"));
  EXPECT_EQ(exported(), R"({
  "exchanges": [
    {"arguments":{},"auto_delete":false,"durable":false,"name":"audit","type":"x-consistent-hash","vhost":"/"},
    {"arguments":{},"auto_delete":false,"durable":true,"name":"shop","type":"topic","vhost":"/"}
  ],
  "queues": [
    {"arguments":{"x-dead-letter-exchange":"","x-message-ttl":30000},"auto_delete":false,"durable":true,"name":"wait","type":"classic","vhost":"/"}
  ],
  "bindings": [
    {"arguments":{"a":null,"n":1.5E0},"destination":"wait","destination_type":"queue","routing_key":"order.#","source":"shop","vhost":"/"},
    {"arguments":{},"destination":"audit","destination_type":"exchange","routing_key":"#","source":"shop","vhost":"/"}
  ]
}
)");
}

TEST_F(Definitions, ExportsAnEmptyStoreToo) {
  EXPECT_EQ(exported(), "{\n  \"exchanges\": [],\n  \"queues\": [],\n  \"bindings\": []\n}\n");
  EXPECT_TRUE(imported(exported()).applied);
  EXPECT_TRUE(has_nothing());
}

TEST_F(Definitions, SaysInArgumentsWhatRabbitMqHasNot) {
  ok(the_bus().declare_exchange("all", {.type = exchange_type::direct,
                                        .partitions = 3,
                                        .internal = true,
                                        .hash = hash_source::header,
                                        .hash_header = "id",
                                        .overflow = overflow_scope::queue,
                                        .delayed = true,
                                        .retention = {.records = 5, .wait_for_readers = true},
                                        .compression = compression::zstd}));
  ok(the_bus().declare_queue("some", {.redelivery_delay = redelivery_delay{
                                          .first = milliseconds{500}, .factor = 1.5, .jitter = 0.25}}));
  const std::string text = exported();
  EXPECT_THAT(
      text,
      HasSubstr(
          R"({"arguments":{"hash-header":"id","x-delayed-type":"direct","x-levada-compression":"zstd",)"
          R"("x-levada-overflow-scope":"queue","x-levada-partitions":3,)"
          R"("x-levada-retention":{"records":5,"wait_for_readers":true}},"auto_delete":false,"durable":true,)"
          R"("internal":true,"name":"all","type":"x-delayed-message","vhost":"/"})"));
  EXPECT_THAT(text, HasSubstr(R"("x-levada-redelivery-delay":{"factor":1.5E0,"first":500,"jitter":2.5E-1,)"
                              R"("most":86400000})"));
  auto other = bus_in_memory();
  EXPECT_TRUE(ok(import_definitions(other, text)).applied);
  EXPECT_TRUE(topology{other} == topology{the_bus()});
}

TEST_F(Definitions, SaysInObjectsWhichValuesJsonHasNot) {
  ok(the_bus().declare_exchange("e", {.type = exchange_type::headers}));
  ok(the_bus().declare_queue("q"));
  ok(the_bus().bind("e", "q", "\xff",
                    {{"bytes", binary{std::byte{0}, std::byte{0xab}}},
                     {"time", timestamp{std::chrono::microseconds{-5}}},
                     {"least", -std::numeric_limits<double>::infinity()},
                     {"text", "\xc3"}}));
  ok(the_bus().bind("e", "q", "k", {{"none", std::numeric_limits<double>::quiet_NaN()}}));
  const std::string text = exported();
  EXPECT_THAT(text, HasSubstr(R"({"bytes":{"x-levada-binary":"00ab"},"least":{"x-levada-double":"-inf"},)"
                              R"("text":{"x-levada-hex":"c3"},"time":{"x-levada-timestamp":-5}})"));
  EXPECT_THAT(text, HasSubstr(R"("routing_key":{"x-levada-hex":"ff"})"));
  auto other = bus_in_memory();
  const auto report = ok(import_definitions(other, text));
  EXPECT_THAT(lines(report), IsEmpty());
  EXPECT_EQ(report.bindings, 2U);
  EXPECT_EQ(ok(export_definitions(other)), text);
  EXPECT_EQ(fields(ok(other.bindings())[1]), fields(ok(the_bus().bindings())[1]));
}

TEST_F(Definitions, CannotExportNamesThatNoJsonHas) {
  ok(the_bus().declare_exchange("e"));
  ok(the_bus().declare_queue("q"));
  ok(the_bus().bind("e", "q", "k", {{"\xff", 1.0}}));
  EXPECT_THAT(export_definitions(the_bus()),
              fails_telling(errc::invalid_argument, "binding of queue 'q' to exchange 'e'"));
  EXPECT_THAT(export_definitions(the_bus(), "\xff"), fails_with(errc::invalid_argument));
}

TEST_F(Definitions, ExportsTheSameFromOutside) {
  imported(retry_topology);
  reopen();  // What is not durable goes.
  const std::string text = exported();
  close();
  EXPECT_EQ(ok(export_definitions(ok(attachment::open(store())))), text);
  open();
  EXPECT_EQ(exported(), text);
}

TEST_F(Definitions, LeavesExclusiveQueuesOut) {
  ok(the_bus().declare_exchange("e"));
  ok(the_bus().declare_queue("q"));
  ok(the_bus().bind("e", "q", "k"));
  const std::string without = exported();
  const auto named = ok(the_bus().declare_exclusive_queue("mine"));
  const auto anonymous = ok(the_bus().declare_anonymous_queue());
  ok(the_bus().bind("e", "mine", "k"));
  ok(the_bus().bind("e", anonymous.name(), "k"));
  EXPECT_EQ(exported(), without);
  EXPECT_THAT(import_definitions(the_bus(), R"({"queues":[{"name":"mine"}]})"),
              fails_telling(errc::resource_locked, "queue 'mine'"));
}

TEST_F(Definitions, NamesTheVirtualHostThatIsAskedFor) {
  ok(the_bus().declare_queue("q"));
  const std::string text = ok(export_definitions(the_bus(), "a \"shop\""));
  EXPECT_THAT(text, HasSubstr(R"("name":"q","type":"classic","vhost":"a \"shop\""})"));
  auto other = bus_in_memory();
  EXPECT_EQ(ok(import_definitions(other, text, {.virtual_host = "a \"shop\""})).queues, 1U);
}

// Round trips

/// Topologies of whatever can be declared.
class random_topology {
 public:
  explicit random_topology(std::uint64_t seed) : random_{seed} {}

  void declare(bus& on) {
    const std::size_t exchanges = 1 + below(6);
    const std::size_t queues = 1 + below(6);
    for (std::size_t i = 0; i < exchanges; ++i) {
      const auto options = exchange();
      types_.push_back(options.type);
      ok(on.declare_exchange(name("e", i), options));
    }
    for (std::size_t i = 0; i < queues; ++i) ok(on.declare_queue(name("q", i), queue()));
    for (std::size_t n = below(20); n > 0; --n) {
      const std::size_t source = below(exchanges);
      const std::string key =
          types_[source] == exchange_type::consistent_hash ? std::to_string(1 + below(9)) : text();
      if (below(3) == 0) {
        ok(on.bind_exchange(name("e", source), name("e", below(exchanges)), key, arguments()));
      } else {
        ok(on.bind(name("e", source), name("q", below(queues)), key, arguments()));
      }
    }
  }

 private:
  std::uint64_t below(std::uint64_t n) {
    return std::uniform_int_distribution<std::uint64_t>{0, n - 1}(random_);
  }
  bool chance() { return below(3) == 0; }
  double fraction() { return std::uniform_real_distribution<double>{0, 1}(random_); }
  template <class Value>
  std::optional<Value> perhaps(Value value) {
    return chance() ? std::optional{std::move(value)} : std::nullopt;
  }
  static std::string name(const char* kind, std::size_t i) {
    return fmt::format("{} \"{}\" \xc3\xa9\\", kind, i);
  }
  std::string text() {
    static const std::vector<std::string> some{"",         "a.b",          "#",  "*.\xe2\x82\xac",
                                               "\xff\xfe", "\"\\\n\t\x01", "{}", "undefined"};
    return some[below(some.size())];
  }
  milliseconds duration(std::int64_t least) {
    return milliseconds{least + static_cast<std::int64_t>(below(864'000'000'000))};
  }
  exchange_options exchange() {
    exchange_options o;
    o.type = static_cast<exchange_type>(1 + below(5));
    if (chance()) o.partitions = static_cast<std::uint32_t>(1 + below(4));
    o.durable = !chance();
    o.auto_delete = chance();
    o.internal = chance();
    if (chance()) o.alternate_exchange = "other";
    o.hash = static_cast<hash_source>(below(4));
    if (o.hash == hash_source::header) o.hash_header = "h\xfe";
    o.overflow = static_cast<overflow_scope>(below(2));
    o.delayed = chance();
    if (chance()) {
      o.retention = {.age = perhaps(duration(1)),
                     .bytes = perhaps<std::uint64_t>(std::numeric_limits<std::uint64_t>::max() - below(9)),
                     .records = perhaps<std::uint64_t>(1 + below(1000)),
                     .force = chance(),
                     .wait_for_readers = chance()};
    }
    o.compression = static_cast<compression>(below(3));
    return o;
  }
  queue_options queue() {
    queue_options o;
    o.durable = !chance();
    o.message_ttl = perhaps(duration(0));
    o.max_length = perhaps<std::uint64_t>(below((std::uint64_t{1} << 62) + 1));
    o.max_length_bytes = perhaps<std::uint64_t>(below(1 << 20));
    o.overflow = static_cast<overflow>(below(3));
    o.dead_letter_exchange = perhaps<std::string>(chance() ? "" : "other");
    if (o.dead_letter_exchange) o.dead_letter_routing_key = perhaps(text());
    o.delivery_limit = perhaps(static_cast<std::uint32_t>(below(65'535)));
    if (chance()) {
      o.redelivery_delay = redelivery_delay{.first = milliseconds{1 + below(1000)},
                                            .factor = chance() ? 2 : 1 + 999 * fraction(),
                                            .most = duration(1000),
                                            .jitter = chance() ? 1 : fraction()};
      o.redelivery_delay->most = std::min(o.redelivery_delay->most, queue_time_max);
    }
    o.auto_delete = chance();
    o.expires = perhaps(duration(1));
    o.max_priority = perhaps(static_cast<std::uint8_t>(1 + below(255)));
    o.single_active_consumer = chance();
    return o;
  }
  header_value value() {
    switch (below(8)) {
      case 0:
        return {};
      case 1:
        return chance();
      case 2:
        return static_cast<std::int64_t>(random_());
      case 3:
        return static_cast<double>(below(5));
      case 4: {
        // Any bits that are a number.
        const std::uint64_t bits = random_();
        double d = 0;
        std::memcpy(&d, &bits, sizeof d);
        return std::isnan(d) ? 0.1 : d;
      }
      case 5:
        return text();
      case 6:
        return binary(below(4), std::byte{0x9f});
      default:
        return timestamp{std::chrono::microseconds{static_cast<std::int64_t>(random_())}};
    }
  }
  binding_arguments arguments() {
    binding_arguments all;
    for (const char* const name : {"a", "\xc3\xbc", "x-b", "c \"d\""}) {
      if (chance()) all.emplace_back(name, value());
    }
    return all;
  }

  std::mt19937_64 random_;
  std::vector<exchange_type> types_;
};

TEST(DefinitionsRandom, WhatIsExportedIsImportedAsItWas) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    auto first = bus_in_memory();
    random_topology{seed}.declare(first);
    const std::string text = ok(export_definitions(first));
    auto second = bus_in_memory();
    const auto report = ok(import_definitions(second, text));
    ASSERT_THAT(lines(report), IsEmpty()) << text;
    ASSERT_TRUE(report.applied);
    const topology there{second};
    ASSERT_TRUE(there == topology{first}) << text;
    EXPECT_EQ(report.exchanges, there.exchanges.size());
    EXPECT_EQ(report.queues, there.queues.size());
    EXPECT_EQ(report.bindings, there.bindings.size());
    ASSERT_EQ(ok(export_definitions(second)), text);
    // What is there is equal to itself.
    ASSERT_TRUE(ok(import_definitions(first, text)).applied);
    ASSERT_EQ(ok(export_definitions(first)), text);
  }
}

// All or nothing

TEST_F(Definitions, DeclaresNothingWhereTheLastQueueIsThereWithOtherOptions) {
  ok(the_bus().declare_queue("refunds", {.max_priority = 5, .single_active_consumer = true}));
  const topology before{the_bus()};
  EXPECT_THAT(import_definitions(the_bus(), retry_topology),
              fails_telling(errc::inequivalent, "queue 'refunds': it exists with x-max-priority 5, not 10"));
  EXPECT_TRUE(topology{the_bus()} == before);
  EXPECT_THAT(import_definitions(the_bus(), retry_topology, {.skip_unknown = true}),
              fails_with(errc::inequivalent));
  EXPECT_TRUE(topology{the_bus()} == before);
}

TEST_F(Definitions, RefusesWhatExistsAsSomethingElse) {
  const auto refused = [&](const std::string& json, const char* words) {
    EXPECT_THAT(import_definitions(the_bus(), json), fails_telling(errc::inequivalent, words)) << json;
  };
  ok(the_bus().declare_exchange("e", {.type = exchange_type::direct, .alternate_exchange = "a"}));
  ok(the_bus().declare_queue("q", {.durable = false, .dead_letter_exchange = ""}));
  ok(the_bus().declare_topic("t"));
  refused(exchange_with("topic", R"("alternate-exchange":"a")"),
          R"(it exists with type "direct", not "topic")");
  refused(exchange_with("direct", ""), R"(exchange 'e': it exists with alternate-exchange "a", not none)");
  refused(queue_with(R"("x-dead-letter-exchange":"")"), "queue 'q': it exists with durable false, not true");
  refused(R"({"exchanges":[{"name":"t","type":"topic"}]})", "exchange 't': a topic has this name");
  refused(R"({"queues":[{"name":"z"},{"name":"z","durable":false}]})", "it stands there twice");
  refused(R"({"exchanges":[{"name":"z","type":"topic"},{"name":"z","type":"direct"}]})",
          "exchange 'z': it stands there twice");
}

TEST_F(Definitions, TakesEqualThingsOnce) {
  const auto report = imported(R"({"queues":[{"name":"z"},{"name":"z","durable":true}],"bindings":[
    {"source":"e","destination":"z","destination_type":"queue","routing_key":"k","arguments":{"a":1,"b":2}},
    {"source":"e","destination":"z","destination_type":"queue","routing_key":"k","arguments":{"b":2,"a":1}},
    {"source":"e","destination":"z","destination_type":"queue","routing_key":"k","arguments":{"b":2,"a":1.0}}],
    "exchanges":[{"name":"e","type":"topic"},{"name":"e","type":"topic","arguments":[]}]})");
  EXPECT_EQ(report.exchanges, 1U);
  EXPECT_EQ(report.queues, 1U);
  EXPECT_EQ(report.bindings, 2U);
  EXPECT_EQ(ok(the_bus().bindings()).size(), 2U);
}

TEST_F(Definitions, KeepsTheRetentionOfAnExchangeThatExists) {
  ok(the_bus().declare_exchange("e", {.retention = {.records = 7}, .compression = compression::lz4}));
  EXPECT_THAT(imported(exchange_with("topic", "")).findings, IsEmpty());
  const auto report =
      imported(exchange_with("topic", R"("x-levada-retention":{"records":8},"x-levada-compression":"zstd")"));
  EXPECT_TRUE(report.applied);
  EXPECT_THAT(lines(report),
              ElementsAre("without meaning: exchange 'e', argument 'x-levada-retention': the "
                          "exchange exists, and keeps what it has",
                          "without meaning: exchange 'e', argument 'x-levada-compression': the "
                          "exchange exists, and keeps what it has"));
  EXPECT_EQ(exchange_options_of("e").retention.records, 7U);
}

TEST_F(Definitions, TellsAndDoesNothingInADryRun) {
  const auto report = imported(retry_topology, {.dry_run = true});
  EXPECT_FALSE(report.applied);
  EXPECT_EQ(report.exchanges, 4U);
  EXPECT_EQ(report.queues, 4U);
  EXPECT_EQ(report.bindings, 5U);
  EXPECT_TRUE(has_nothing());
  EXPECT_THAT(import_definitions(the_bus(), queue_with(R"("x-max-length":-1)"), {.dry_run = true}),
              fails_with(errc::invalid_argument));
}

// Policies

constexpr const char* with_policies = R"({
  "policies":[
    {"vhost":"/","name":"p","pattern":"^orders","apply-to":"queues","priority":3,
     "definition":{"message-ttl":60000,"expires":70000,"max-length":5,"max-length-bytes":6,
                   "overflow":"drop-head","dead-letter-exchange":"dead","dead-letter-routing-key":"k",
                   "delivery-limit":7,"x-levada-redelivery-delay":{"first":8,"most":9}}},
    {"vhost":"/","name":"rest","pattern":".","apply-to":"exchanges","definition":{"alternate-exchange":"rest"}}],
  "parameters":[
    {"vhost":"/","component":"operator_policy","name":"o",
     "value":{"apply-to":"queues","pattern":"orders","priority":-1,"definition":{"max-length":4}}}]})";

TEST_F(Definitions, BringPoliciesOver) {
  const auto report = imported(with_policies);
  EXPECT_TRUE(report.applied);
  EXPECT_EQ(report.policies, 3U);
  EXPECT_THAT(lines(report), ElementsAre());
  const auto policies = ok(the_bus().policies());
  ASSERT_EQ(policies.size(), 2U);
  EXPECT_EQ(policies[0].name, "p");
  const policy_options p{"^orders",
                         policy_target::queues,
                         3,
                         {.message_ttl = std::chrono::seconds{60},
                          .expires = std::chrono::seconds{70},
                          .max_length = 5,
                          .max_length_bytes = 6,
                          .overflow = overflow::drop_head,
                          .dead_letter_exchange = "dead",
                          .dead_letter_routing_key = "k",
                          .delivery_limit = 7,
                          .redelivery_delay = redelivery_delay{.first = std::chrono::milliseconds{8},
                                                               .most = std::chrono::milliseconds{9}}}};
  EXPECT_EQ(policies[0].options, p);
  const policy_options rest{".", policy_target::exchanges, 0, {.alternate_exchange = "rest"}};
  EXPECT_EQ(policies[1].options, rest);
  const auto limits = ok(the_bus().operator_policies());
  ASSERT_EQ(limits.size(), 1U);
  const operator_policy_options o{"orders", -1, {.max_length = 4}};
  EXPECT_EQ(limits[0].options, o);
}

TEST_F(Definitions, ExportPoliciesAsTheyWere) {
  imported(with_policies);
  const auto text = ok(export_definitions(the_bus()));
  EXPECT_THAT(text, testing::HasSubstr(R"("policies": [)"));
  EXPECT_THAT(text, testing::HasSubstr(R"({"component":"operator_policy","name":"o","value":)"));
  ok(the_bus().delete_policy("p"));
  ok(the_bus().set_policy("rest", {"other", policy_target::all, 0, {.max_length = 1}}));
  EXPECT_TRUE(imported(text).applied);
  EXPECT_EQ(ok(export_definitions(the_bus())), text) << "a policy takes the place of the one of its name";
}

// What is not taken over

constexpr const char* with_unknown = R"({"rabbit_version":"3.10.8","future":[],
  "policies":[{"vhost":"/","name":"ha","pattern":".*","apply-to":"all","definition":{"ha-mode":"all"},"priority":0}],
  "parameters":[{"vhost":"/","component":"operator_policy","name":"limits",
                 "value":{"pattern":".*","definition":{"overflow":"drop-head"}}},
                {"vhost":"/","component":"shovel","name":"moves","value":{}}],
  "queues":[{"name":"stream","vhost":"/","type":"stream","arguments":{"x-queue-type":"stream","x-max-age":"1D"}},
            {"name":"amq.gen-1","vhost":"/"},
            {"name":"orders","vhost":"/","exclusive":false,
             "arguments":{"x-consumer-timeout":5,"x-overflow":"block","x-max-length":9,
                          "x-dead-letter-exchange":"amq.fanout","x-dead-letter-routing-key":"k"}}],
  "exchanges":[{"name":"recent","vhost":"/","type":"x-recent-history","arguments":{"x-recent-history-length":3}},
               {"name":"later","vhost":"/","type":"x-delayed-message","arguments":{"x-delayed-type":"x-random"}},
               {"name":"hashed","vhost":"/","type":"x-consistent-hash","arguments":{"hash-property":"timestamp"}},
               {"name":"shop","vhost":"/","type":"topic","arguments":{"x-delayed-type":"topic","alternate-exchange":""}}],
  "bindings":[{"source":"","vhost":"/","destination":"orders","destination_type":"queue","routing_key":"orders"},
              {"source":"","vhost":"/","destination":"orders","destination_type":"queue","routing_key":"x"},
              {"source":"amq.topic","vhost":"/","destination":"orders","destination_type":"queue","routing_key":"#"},
              {"source":"recent","vhost":"/","destination":"orders","destination_type":"queue","routing_key":""},
              {"source":"shop","vhost":"/","destination":"stream","destination_type":"queue","routing_key":""},
              {"source":"shop","vhost":"/","destination":"internal","destination_type":"exchange","routing_key":""},
              {"source":"shop","vhost":"/","destination":"orders","destination_type":"queue","routing_key":"a",
               "arguments":{"in":{"x":1},"list":[],"u":"undefined","b":"Not UTF-8, base64 is: /wE="}},
              {"source":"shop","vhost":"/","destination":"orders","destination_type":"queue","routing_key":"b","more":1}]})";

TEST_F(Definitions, FindsWhatItDoesNotKnowByName) {
  const auto report = imported(with_unknown);
  EXPECT_FALSE(report.applied);
  EXPECT_TRUE(has_nothing());
  const std::string to_shop = "unknown: binding of queue 'orders' to exchange 'shop' with key ";
  EXPECT_THAT(
      lines(report),
      testing::ElementsAreArray(std::vector<std::string>{
          "unknown: member 'future': it is not known",
          "without meaning: policy 'ha', definition 'ha-mode': there are no replicas here",
          "unknown: operator policy 'limits': an operator limits numbers of queues, and sets nothing else",
          "unknown: parameter 'moves' of 'shovel': it is not known",
          "unknown: queue 'stream': there are no queues of type 'stream' here",
          "unknown: queue 'stream', argument 'x-queue-type': there are no queues of type 'stream' here",
          "unknown: queue 'stream', argument 'x-max-age': it is not known",
          "unknown: queue 'amq.gen-1': names that begin with 'amq.' are reserved here",
          "unknown: queue 'orders', argument 'x-consumer-timeout': it is not known",
          "unknown: queue 'orders', argument 'x-overflow': 'block' is not known",
          "unknown: queue 'orders', argument 'x-dead-letter-exchange': there is no exchange 'amq.fanout' "
          "here",
          "unknown: queue 'orders', member 'exclusive': it is not known",
          "unknown: exchange 'recent': there are no exchanges of type 'x-recent-history' here",
          "unknown: exchange 'later', argument 'x-delayed-type': there are no exchanges of type 'x-random' "
          "here",
          "unknown: exchange 'hashed', argument 'hash-property': 'timestamp' cannot be hashed here",
          "unknown: exchange 'shop', argument 'x-delayed-type': only exchanges of type 'x-delayed-message' "
          "have it",
          "unknown: exchange 'shop', argument 'alternate-exchange': the default exchange cannot be an "
          "alternate "
          "exchange here",
          "unknown: binding of queue 'orders' to exchange '' with key 'x': the default exchange cannot be "
          "bound",
          "unknown: binding of queue 'orders' to exchange 'amq.topic' with key '#': there is no exchange "
          "'amq.topic'",
          "unknown: binding of queue 'orders' to exchange 'recent' with key '': exchange 'recent' is left "
          "out",
          "unknown: binding of queue 'stream' to exchange 'shop' with key '': queue 'stream' is left out",
          "unknown: binding of exchange 'internal' to exchange 'shop' with key '': there is no exchange "
          "'internal'",
          to_shop + "'a', argument 'in': it is no value of a header's",
          to_shop + "'a', argument 'list': it is no value of a header's",
          to_shop + "'a', argument 'u': RabbitMQ writes so what has no value, and this text: which it was is "
                    "not known",
          to_shop + "'a', argument 'b': RabbitMQ writes so what is not UTF-8, be it text or bytes: which it "
                    "was is not known",
          to_shop + "'b', member 'more': it is not known"}));
}

TEST_F(Definitions, ImportsTheRestWhereThatIsAskedFor) {
  const auto report = imported(with_unknown, {.skip_unknown = true});
  EXPECT_TRUE(report.applied);
  EXPECT_EQ(report.exchanges, 2U);
  EXPECT_EQ(report.queues, 1U);
  EXPECT_EQ(report.bindings, 1U);
  auto expected = bus_in_memory();
  ok(expected.declare_exchange("hashed", {.type = exchange_type::consistent_hash}));
  ok(expected.declare_exchange("shop"));
  ok(expected.declare_queue("orders", {.max_length = 9}));
  ok(expected.bind("shop", "orders", "b"));
  EXPECT_TRUE(topology{the_bus()} == topology{expected});
}

TEST_F(Definitions, FindsWhatSaysNothingHere) {
  for (const char* const argument :
       {"x-queue-mode", "x-queue-version", "x-queue-master-locator", "queue-master-locator",
        "x-queue-leader-locator", "x-quorum-initial-group-size", "x-initial-cluster-size",
        "x-max-in-memory-length", "x-max-in-memory-bytes", "x-dead-letter-strategy"}) {
    const auto found = findings_of_queue(fmt::format(R"("{}":1)", argument));
    EXPECT_THAT(found, ElementsAre(testing::StartsWith(
                           fmt::format("without meaning: queue 'q', argument '{}': ", argument))));
  }
  EXPECT_THAT(findings_of_queue(R"("x-max-priority":0)"), ElementsAre(HasSubstr("without meaning")));
  EXPECT_THAT(findings_of_queue(R"("x-queue-type":"classic","x-delivery-limit":-1)"), IsEmpty());
}

TEST_F(Definitions, LeavesOtherVirtualHostsOutAndSaysSo) {
  const std::string json = R"({"queues":[{"name":"a","vhost":"/"},{"name":"a","vhost":"shop","durable":"?"},
      {"name":"b","vhost":"shop"},{"name":"c","vhost":"other"}],
    "exchanges":[{"name":"e","vhost":"shop","type":"x-random"}],
    "bindings":[{"source":"e","vhost":"shop"}],
    "policies":[{"name":"p","vhost":"other"}]})";
  const auto report = imported(json);
  EXPECT_TRUE(report.applied);
  EXPECT_THAT(
      lines(report),
      ElementsAre("without meaning: virtual host 'other': left out: 0 exchanges, 1 queues and 0 "
                  "bindings, and 1 policies and parameters",
                  "without meaning: virtual host 'shop': left out: 1 exchanges, 2 queues and 1 bindings"));
  EXPECT_EQ(ok(the_bus().queues()).size(), 1U);
  EXPECT_THAT(
      import_definitions(the_bus(), json, {.virtual_host = "shop"}),
      fails_telling(errc::invalid_argument, "queue 'a', member 'durable': \"?\" is no true or false"));
}

TEST_F(Definitions, BindsWhatIsThereAlready) {
  ok(the_bus().declare_exchange("e", {.type = exchange_type::consistent_hash}));
  ok(the_bus().declare_queue("q"));
  const auto with_key = [](const char* key) {
    return fmt::format(
        R"({{"bindings":[{{"source":"e","destination":"q","destination_type":"queue","routing_key":"{}"}}]}})",
        key);
  };
  EXPECT_THAT(import_definitions(the_bus(), with_key("heavy")),
              fails_telling(errc::invalid_argument, "the key is no weight from 1 to 1,000,000"));
  EXPECT_EQ(imported(with_key("10")).bindings, 1U);
  EXPECT_EQ(ok(the_bus().bindings()).size(), 1U);
}

// What cannot be right

TEST_F(Definitions, RefusesValuesOutOfTheirRangeByName) {
  const auto refused = [&](const std::string& json, const char* words) {
    EXPECT_THAT(import_definitions(the_bus(), json, {.skip_unknown = true}),
                fails_telling(errc::invalid_argument, words))
        << json;
  };
  const auto queue = [&](const char* arguments, const char* words) { refused(queue_with(arguments), words); };
  queue(R"("x-message-ttl":-1)",
        "queue 'q', argument 'x-message-ttl': -1 is no integer from 0 to 864000000000");
  queue(R"("x-message-ttl":864000000001)", "from 0 to 864000000000");
  queue(R"("x-message-ttl":6E1)", "argument 'x-message-ttl': 6E1 is no integer");
  queue(R"("x-message-ttl":"60")", "\"60\" is no integer");
  queue(R"("x-expires":0)", "argument 'x-expires': 0 is no integer from 1");
  queue(R"("x-max-length":18446744073709551615)",
        "18446744073709551615 is no integer from 0 to 4611686018427387904");
  queue(R"("x-max-length-bytes":null)", "argument 'x-max-length-bytes': null is no integer");
  queue(R"("x-overflow":true)", "argument 'x-overflow': true is no text");
  queue(R"("x-dead-letter-routing-key":"k")", "x-dead-letter-routing-key goes with x-dead-letter-exchange");
  queue(R"("x-delivery-limit":65535)", "65535 is no integer from -1 to 65534");
  queue(R"("x-max-priority":256)", "256 is no integer from 0 to 255");
  queue(R"("x-single-active-consumer":1)", "1 is no true or false");
  queue(R"("x-levada-redelivery-delay":{"first":5,"most":4})", "'most' is less than 'first'");
  queue(R"("x-levada-redelivery-delay":{"factor":0.5})", "member 'factor': 5E-1 is no number from 1 to 1000");
  queue(R"("x-levada-redelivery-delay":{"last":1})", "member 'last': there is no such member");
  queue(R"("x-levada-redelivery-delay":[])", "an array is no object");
  const std::string long_key(256, 'k');
  refused(queue_with(R"("x-dead-letter-exchange":"","x-dead-letter-routing-key":")" + long_key + '"'),
          "it has 256 bytes, the limit is 255");
  refused(exchange_with("topic", R"("x-levada-partitions":4097)"), "4097 is no integer from 1 to 4096");
  refused(exchange_with("topic", R"("x-levada-retention":{"bytes":0})"),
          "member 'bytes': 0 is no integer from 1");
  refused(exchange_with("topic", R"("hash-header":"")"), "argument 'hash-header': it is empty");
  refused(exchange_with("topic", R"("hash-header":"h","hash-property":"message_id")"), "do not go together");
  refused(exchange_with("x-delayed-message", ""), "argument 'x-delayed-type' is missing");
  refused(exchange_with("x-delayed-message", R"("x-delayed-type":"x-delayed-message")"),
          "it is 'x-delayed-message' itself");
  refused(binding_with("x-consistent-hash", "0", ""), "the key is no weight from 1 to 1,000,000");
  refused(binding_with("headers", "", R"("x-match":"some")"), "argument 'x-match' is 'some'");
  refused(binding_with("topic", long_key, ""), "the key has 256 bytes, the limit is 255");
  refused(binding_with("topic", "k", R"("":1)"), "its name has 0 bytes");
  refused(binding_with("topic", "k", R"("n":9223372036854775808)"),
          "9223372036854775808 is more than the largest");
  refused(binding_with("topic", "k", R"("n":")" + std::string(65'536, 'x') + '"'),
          "the arguments have 65553 bytes");
  EXPECT_TRUE(has_nothing());
}

/// What the library itself refuses is refused before anything is declared, and the largest is not.
TEST_F(Definitions, HasTheLimitsOfDeclaring) {
  const std::string json = queue_with(
      R"("x-message-ttl":864000000000,"x-expires":864000000000,"x-max-length":4611686018427387904,
         "x-max-length-bytes":0,"x-delivery-limit":65534,"x-max-priority":255,"x-dead-letter-exchange":"d",
         "x-levada-redelivery-delay":{"first":864000000000,"most":864000000000,"factor":1000,"jitter":1})");
  EXPECT_EQ(imported(json).queues, 1U);
  EXPECT_EQ(imported(exchange_with("topic", R"("x-levada-partitions":4096)")).exchanges, 1U);
  auto other = bus_in_memory();
  const std::string heavy = binding_with("x-consistent-hash", "1000000", "");
  EXPECT_EQ(ok(import_definitions(other, heavy)).bindings, 1U);
  const std::string full =
      binding_with("topic", std::string(255, 'k'), R"("n":")" + std::string(65'536 - 17, 'x') + '"');
  auto another = bus_in_memory();
  EXPECT_EQ(ok(import_definitions(another, full)).bindings, 1U);
}

TEST_F(Definitions, RefusesNames) {
  const auto refused = [&](const std::string& name) {
    const std::string queue = fmt::format(R"({{"queues":[{{"name":"fine"}},{{"name":"{}"}}]}})", name);
    EXPECT_THAT(import_definitions(the_bus(), queue, {.skip_unknown = true}), fails_with(errc::name_invalid))
        << name;
    const std::string alternate = exchange_with("topic", fmt::format(R"("alternate-exchange":"{}")", name));
    if (!name.empty()) {
      EXPECT_THAT(import_definitions(the_bus(), alternate, {.skip_unknown = true}),
                  fails_with(errc::name_invalid))
          << name;
    }
  };
  refused("");
  refused("a\\u0000b");
  refused("line\\n");
  refused(std::string(256, 'n'));
  EXPECT_TRUE(has_nothing());
}

TEST_F(Definitions, RefusesWhatHasAnotherShape) {
  const auto refused = [&](const char* json, const char* words) {
    EXPECT_THAT(import_definitions(the_bus(), json), fails_telling(errc::invalid_argument, words)) << json;
  };
  refused("5", "definitions: 5 is no object");
  refused("[]", "definitions: an array is no object");
  refused(R"({"queues":{}})", "member 'queues': an object is no array");
  refused(R"({"users":1})", "member 'users': 1 is no array");
  refused(R"({"queues":[{"name":"a"},7]})", "element 2 of 'queues': 7 is no object");
  refused(R"({"queues":[{}]})", "element 1 of 'queues': member 'name' is missing");
  refused(R"({"queues":[{"name":1}]})", "element 1 of 'queues', member 'name': 1 is no text");
  refused(R"({"queues":[{"name":"a","vhost":1}]})", "element 1 of 'queues', member 'vhost': 1 is no text");
  refused(R"({"queues":[{"name":"a","durable":0}]})", "queue 'a', member 'durable': 0 is no true or false");
  refused(R"({"queues":[{"name":"a","arguments":[1]}]})",
          "queue 'a', member 'arguments': an array is no object");
  refused(R"({"exchanges":[{"name":"a"}]})", "exchange 'a': member 'type' is missing");
  refused(R"({"bindings":[{"source":"a","destination":"b","routing_key":""}]})",
          "member 'destination_type' is missing");
  refused(R"({"bindings":[{"source":"a","destination":"b","routing_key":"","destination_type":"topic"}]})",
          "member 'destination_type': 'topic' is not queue or exchange");
  refused(R"({"policies":[{}]})", "element 1 of 'policies': member 'name' is missing");
  refused(R"({"policies":[{"name":"p","definition":{"max-length":1}}]})",
          "policy 'p': member 'pattern' is missing");
  refused(R"({"policies":[{"name":"p","pattern":"(","definition":{"max-length":1}}]})", "policy 'p': ");
  refused(R"({"policies":[{"name":"p","pattern":"a","definition":{"max-length":-1}}]})",
          "policy 'p', definition 'max-length'");
  refused(R"({"policies":[{"name":"p","pattern":"a","priority":3000000000,"definition":{"max-length":1}}]})",
          "policy 'p', member 'priority'");
  refused(R"({"parameters":[{"name":"a"}]})", "member 'component' is missing");
}

TEST_F(Definitions, RefusesWhatIsNoJsonAndSaysWhere) {
  const auto refused = [&](const std::string& json, const char* words) {
    EXPECT_THAT(import_definitions(the_bus(), json), fails_telling(errc::invalid_argument, words))
        << json.substr(0, 100);
  };
  refused("", "read definitions: line 1, column 1: ");
  refused("{\n  \"queues\": [\n    {\"name\": x}]}", "line 3, column 14: ");
  refused("{\"queues\":[]", "line 1, column 13: ");
  refused("{} {}", "something stands behind the end");
  refused("{\"a\":1,\n\"a\":2}", "line 2, column 3: member 'a' comes twice");
  refused(R"({"queues":[{"name":"q","arguments":{"\u0061":1,"a":2}}]})", "member 'a' comes twice");
  refused("{\"a\":\"\xff\"}", "line 1, column 7: ");
  refused("{\"a\":\"\\ud800\"}", "line 1, column ");
  refused("{\"a\":1e999}", "the number 1e999 is out of range");
  refused("{\"a\":-99999999999999999999}", "the number -99999999999999999999 is out of range");
  refused("{\"a\":01}", "line 1, column 7: ");
  refused("{\"a\":NaN}", "line 1, column 6: ");
  refused("{\"a\":1,}", "line 1, column 8: ");
  refused("// nothing\n{}", "line 1, column 1: ");
  refused(std::string(100'000, '['), "line 1, column 33: it is more than 32 levels deep");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  refused(deep, "it is more than 32 levels deep");
  refused(std::string((std::size_t{64} << 20) + 1, ' '), "they have 67108865 bytes, the limit is 67108864");
  EXPECT_TRUE(imported("\n {} \n").applied);
}

TEST_F(Definitions, FailsOnceTheBusIsClosed) {
  ok(the_bus().close());
  EXPECT_THAT(export_definitions(the_bus()), fails_with(errc::closed));
  EXPECT_THAT(import_definitions(the_bus(), "{}"), fails_with(errc::closed));
}

/// Whatever the text, it is taken, or refused with a reason, and a dry run declares nothing.
TEST_F(Definitions, SurvivesWhateverTheTextIs) {
  std::mt19937 random{20'240};
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>{0, n - 1}(random);
  };
  static const std::vector<std::string> pieces{"{",         "}",          "[",         "]",
                                               "\"",        ",",          ":",         "null",
                                               "true",      "-1",         "1e300",     "18446744073709551616",
                                               "\\u",       "\\",         "\xff",      "\xc3",
                                               "0",         "0.5",        "\"\"",      "\"x\"",
                                               "{}",        "[]",         "\n",        "9223372036854775808",
                                               " ",         "/",          "amq.",      "stream",
                                               "-",         "\"vhost\":", "\"name\":", "\"arguments\":",
                                               "\"type\":", "x-"};
  const std::vector<std::string> sources{retry_topology, with_unknown};
  std::size_t read = 0;
  for (int n = 0; n < 3000; ++n) {
    std::string json = sources[below(2)];
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      const std::size_t at = below(json.size());
      switch (below(4)) {
        case 0:
          json.erase(at, 1 + below(20));
          break;
        case 1:
          json.insert(at, pieces[below(pieces.size())]);
          break;
        case 2:
          json[at] = static_cast<char>(below(256));
          break;
        default: {
          // A value in the place of another.
          const std::size_t colon = json.find(':', at);
          const std::size_t end = colon == std::string::npos ? colon : json.find_first_of(",}]", colon);
          if (end != std::string::npos)
            json.replace(colon + 1, end - colon - 1, pieces[below(pieces.size())]);
        }
      }
    }
    const auto report = import_definitions(the_bus(), json, {.skip_unknown = true, .dry_run = true});
    if (report) {
      ++read;
      EXPECT_FALSE(report->applied);
    } else {
      const errc code = report.error().code();
      EXPECT_TRUE(code == errc::invalid_argument || code == errc::name_invalid || code == errc::inequivalent)
          << report.error().message();
      EXPECT_FALSE(report.error().message().empty());
    }
  }
  EXPECT_GT(read, 100U);
  EXPECT_TRUE(has_nothing());
}

/// What a changed text says is declared as it was told, or refused beforehand.
TEST_F(Definitions, NeverStopsHalfWay) {
  std::mt19937 random{7};
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>{0, n - 1}(random);
  };
  static const std::vector<std::string> values{"null",
                                               "true",
                                               "0",
                                               "-1",
                                               "1",
                                               "100",
                                               "101",
                                               "65535",
                                               "0.5",
                                               "\"\"",
                                               "\"x\"",
                                               "\"headers\"",
                                               "\"amq.x\"",
                                               "{}",
                                               "[]",
                                               "\"exchange\"",
                                               "\"x-consistent-hash\"",
                                               "\"retry\"",
                                               "864000000001"};
  const std::string source{retry_topology};
  std::size_t applied = 0;
  for (int n = 0; n < 200; ++n) {
    std::string json = source;
    const std::size_t colon = json.find(':', below(json.size() - 400));
    const std::size_t end = json.find_first_of(",}]", colon);
    json.replace(colon + 1, end - colon - 1, values[below(values.size())]);
    const auto told = import_definitions(the_bus(), json, {.skip_unknown = true, .dry_run = true});
    if (!told) continue;
    auto other = bus_in_memory();
    const auto done = import_definitions(other, json, {.skip_unknown = true});
    ASSERT_TRUE(done) << done.error().message() << '\n' << json;
    const topology there{other};
    EXPECT_EQ(there.exchanges.size(), told->exchanges);
    EXPECT_EQ(there.queues.size(), told->queues);
    EXPECT_EQ(there.bindings.size(), told->bindings);
    ++applied;
  }
  EXPECT_GT(applied, 25U);
}

}  // namespace
}  // namespace levada::test
