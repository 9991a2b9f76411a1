#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/policy_table.hpp"
#include "cli/requests.hpp"
#include "cli/table.hpp"
#include "cli/time_text.hpp"
#include "cli/topic_table.hpp"

#include <levada/attachment.hpp>

namespace levada::cli {
namespace {

/// One row a partition; members that own none, and groups without either, have rows without a partition.
/// Share groups alone have records in flight.
table to_table(const std::vector<group_info>& groups) {
  table t{{"group", "generation", "topic", "partition", "committed", "end", "lag", "member", "in_flight"},
          {}};
  for (const auto& group : groups) {
    const auto add = [&](table::cell topic, table::cell partition, table::cell committed, table::cell end,
                         table::cell lag, table::cell member) {
      table::cell in_flight;
      if (group.in_flight) in_flight = *group.in_flight;
      t.rows.push_back({group.name, std::uint64_t{group.generation}, std::move(topic), std::move(partition),
                        std::move(committed), std::move(end), std::move(lag), std::move(member),
                        std::move(in_flight)});
    };
    for (const auto& p : group.partitions) {
      table::cell committed;
      table::cell member;
      if (p.committed) committed = p.committed->value();
      if (!p.member.empty()) member = p.member;
      add(p.where.topic, std::uint64_t{p.where.partition.value()}, committed, p.end.value(), p.lag, member);
    }
    for (const auto& member : group.members) {
      const bool owns = std::any_of(group.partitions.begin(), group.partitions.end(),
                                    [&](const group_partition_info& p) { return p.member == member; });
      if (!owns) add({}, {}, {}, {}, {}, member);
    }
    if (group.partitions.empty() && group.members.empty()) add({}, {}, {}, {}, {}, {});
  }
  return t;
}

/// What only the owning process knows, deliveries and consumers, is left out rather than shown as 0.
table to_table(const std::vector<queue_info>& queues) {
  table t{{"queue", "exclusive", "messages", "backfill", "policy", "operator_policy"}, {}};
  const auto if_any = [](const std::string& name) {
    return name.empty() ? table::cell{} : table::cell{name};
  };
  for (const auto& queue : queues) {
    t.rows.push_back({queue.name, queue.exclusive, queue.messages, queue.backfill, if_any(queue.policy),
                      if_any(queue.operator_policy)});
  }
  return t;
}

std::string name_of(exchange_type type) {
  switch (type) {
    case exchange_type::direct:
      return "direct";
    case exchange_type::fanout:
      return "fanout";
    case exchange_type::topic:
      return "topic";
    case exchange_type::headers:
      return "headers";
    case exchange_type::consistent_hash:
      return "consistent-hash";
  }
  return fmt::format("type {}", static_cast<int>(type));
}

table to_table(const std::vector<exchange_info>& exchanges) {
  table t{{"exchange", "type", "partitions", "bindings", "durable", "auto_delete", "internal", "alternate"},
          {}};
  for (const auto& e : exchanges) {
    const exchange_options& o = e.options;
    t.rows.push_back({e.name, name_of(o.type), std::uint64_t{o.partitions}, e.bindings, o.durable,
                      o.auto_delete, o.internal,
                      o.alternate_exchange.empty() ? table::cell{} : table::cell{o.alternate_exchange}});
  }
  return t;
}

/// The value of a binding's argument, for people.
struct argument_text {
  std::string operator()(std::monostate) const { return {}; }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(std::int64_t v) const { return fmt::format("{}", v); }
  std::string operator()(double v) const { return fmt::format("{}", v); }
  std::string operator()(const std::string& v) const { return fmt::format("'{}'", v); }
  std::string operator()(const binary& v) const { return fmt::format("{} bytes", v.size()); }
  std::string operator()(timestamp v) const { return to_rfc3339(v); }
};

table::cell text_of(const binding_arguments& arguments) {
  if (arguments.empty()) return {};
  std::string text;
  for (const header& a : arguments) {
    if (!text.empty()) text += ", ";
    const std::string value = std::visit(argument_text{}, a.value);
    text += value.empty() ? a.name : fmt::format("{}={}", a.name, value);
  }
  return text;
}

table to_table(const std::vector<binding_info>& bindings) {
  table t{{"exchange", "destination", "kind", "key", "arguments"}, {}};
  for (const auto& b : bindings) {
    t.rows.push_back(
        {b.exchange, b.destination, b.to_exchange ? "exchange" : "queue", b.key, text_of(b.arguments)});
  }
  return t;
}

/// One row a partition; a job that has none has a row without.
table to_table(const std::vector<job_info>& jobs) {
  table t{{"job", "process", "checkpoint", "epoch", "topic", "partition", "next", "end", "lag"}, {}};
  for (const auto& job : jobs) {
    table::cell process;
    if (job.pid) process = fmt::format("{}{}", *job.pid, job.stopped ? " stopped" : "");
    const auto add = [&](table::cell topic, table::cell partition, table::cell next, table::cell end,
                         table::cell lag) {
      t.rows.push_back({job.name, process, to_rfc3339(job.time), std::uint64_t{job.epoch}, std::move(topic),
                        std::move(partition), std::move(next), std::move(end), std::move(lag)});
    };
    for (const auto& p : job.partitions) {
      add(p.where.topic, std::uint64_t{p.where.partition.value()}, p.next.value(), p.end.value(), p.lag);
    }
    if (job.partitions.empty()) add({}, {}, {}, {}, {});
  }
  return t;
}

/// Keeps what has the name that was asked for, if one was.
template <class Info>
result<std::vector<Info>> select(result<std::vector<Info>> listed, const list_request& request,
                                 std::string_view kind, errc unknown) {
  if (!listed || !request.name) return listed;
  std::erase_if(*listed, [&](const Info& i) { return i.name != *request.name; });
  if (!listed->empty()) return listed;
  return error{unknown, fmt::format("list {} '{}' of store '{}': there is none", kind, *request.name,
                                    request.directory.string())};
}

/// Bindings have no names of their own: those of the exchange that was asked for.
result<std::vector<binding_info>> select_bindings(const attachment& store, const list_request& request) {
  const auto exchanges = select(store.exchanges(), request, "bindings of exchange", errc::unknown_exchange);
  if (!exchanges) return exchanges.error();
  auto bindings = store.bindings();
  if (bindings && request.name) {
    std::erase_if(*bindings, [&](const binding_info& b) { return b.exchange != *request.name; });
  }
  return bindings;
}

/// Of both kinds; a name may be that of two.
result<table> list_policies(const attachment& store, const list_request& request) {
  auto policies = store.policies();
  if (!policies) return policies.error();
  auto by_operator = store.operator_policies();
  if (!by_operator) return by_operator.error();
  if (request.name) {
    std::erase_if(*policies, [&](const policy_info& p) { return p.name != *request.name; });
    std::erase_if(*by_operator, [&](const operator_policy_info& p) { return p.name != *request.name; });
    if (policies->empty() && by_operator->empty()) {
      return error{errc::unknown_policy, fmt::format("list policy '{}' of store '{}': there is none",
                                                     *request.name, request.directory.string())};
    }
  }
  return policy_table(*policies, *by_operator);
}

template <class Info>
result<table> to_table(const result<std::vector<Info>>& listed) {
  if (!listed) return listed.error();
  return to_table(*listed);
}

result<table> list(const attachment& store, const list_request& request) {
  using subject = list_request::subject;
  switch (request.what) {
    case subject::topics: {
      const auto topics = select(store.topics(), request, "topic", errc::unknown_topic);
      if (!topics) return topics.error();
      return topic_table(*topics, request.json);
    }
    case subject::groups:
      return to_table(select(store.groups(), request, "group", errc::unknown_group));
    case subject::queues:
      return to_table(select(store.queues(), request, "queue", errc::unknown_queue));
    case subject::exchanges:
      return to_table(select(store.exchanges(), request, "exchange", errc::unknown_exchange));
    case subject::bindings:
      return to_table(select_bindings(store, request));
    case subject::policies:
      return list_policies(store, request);
    case subject::jobs:
      return to_table(select(store.jobs(), request, "job", errc::unknown_job));
  }
  return error{errc::invalid_argument, "list: unknown subject"};
}

}  // namespace

result<int> run(const list_request& request) {
  const auto store = attachment::open(request.directory);
  if (!store) return store.error();
  const auto listed = list(*store, request);
  if (!listed) return listed.error();
  output out;
  if (request.json) {
    write_json(out, *listed);
  } else {
    write_aligned(out, *listed);
  }
  return out.finish(0);
}

}  // namespace levada::cli
