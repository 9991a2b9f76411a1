#include "definitions/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <limits>
#include <variant>

#include "bus/names.hpp"
#include "bus/policy_set.hpp"
#include "definitions/values.hpp"
#include "routing/headers_matcher.hpp"
#include "routing/rendezvous.hpp"

namespace levada::definitions {
namespace {

namespace json = boost::json;
using importance = definitions_finding::importance;

constexpr std::size_t argument_bytes_max = 65'536;

/// As `declare_exchange` compares: these two may change.
exchange_options compared(exchange_options options) {
  options.retention = {};
  options.compression = {};
  return options;
}
const queue_options& compared(const queue_options& options) {
  return options;
}

/// Equal for bindings that are the same.
std::string identity_of(const binding_info& b) {
  std::map<std::string_view, const header_value*> arguments;
  for (const header& a : b.arguments) arguments.emplace(a.name, &a.value);
  json::array all{text_to_json(b.exchange), b.to_exchange, text_to_json(b.destination), text_to_json(b.key)};
  for (const auto& [name, value] : arguments) {
    all.push_back(text_to_json(name));
    all.push_back(to_json(*value));
  }
  return json::serialize(all);
}

}  // namespace

result<void> reader::read(const json::value& definitions) {
  const auto* const root = definitions.if_object();
  if (root == nullptr) return invalid("definitions", fmt::format("{} is no object", shown(definitions)));
  rabbitmqs_own_ = root->contains("rabbit_version") || root->contains("rabbitmq_version");
  // What bindings and findings need to know of comes first, whatever the order is.
  const auto rank = [](std::string_view name) {
    if (name == "exchanges") return 0;
    if (name == "queues") return 1;
    return name == "bindings" ? 2 : 3;
  };
  for (int turn = 0; turn <= 3; ++turn) {
    member_ = 0;
    for (const auto& member : *root) {
      const std::string_view name = view_of(member.key());
      if (rank(name) == turn) {
        if (auto done = read_member(name, member.value()); !done) return done;
      }
      ++member_;
    }
  }
  return {};
}

result<void> reader::read_member(std::string_view name, const json::value& value) {
  if (name == "exchanges") return read_all(name, value, &reader::read_exchange);
  if (name == "queues") return read_all(name, value, &reader::read_queue);
  if (name == "bindings") return read_all(name, value, &reader::read_binding);
  if (name == "policies") return read_all(name, value, &reader::read_policy);
  if (name == "parameters") return read_all(name, value, &reader::read_parameter);
  // Who has written it.
  for (const std::string_view told :
       {"rabbit_version", "rabbitmq_version", "product_name", "product_version", "rabbitmq_definition_format",
        "original_cluster_name", "original_vhost_name", "explanation"}) {
    if (name == told) return {};
  }
  for (const std::string_view kind :
       {"users", "vhosts", "permissions", "topic_permissions", "global_parameters"}) {
    if (name != kind) continue;
    const auto* const all = value.if_array();
    if (all == nullptr) {
      return invalid(fmt::format("member '{}'", name), fmt::format("{} is no array", shown(value)));
    }
    if (!all->empty()) {
      note(fmt::format("member '{}'", name),
           {importance::without_meaning, fmt::format("a store has none; {} left out", all->size())});
    }
    return {};
  }
  note(fmt::format("member '{}'", shown_name(name)), {importance::unknown, "it is not known"});
  return {};
}

result<void> reader::read_all(std::string_view kind, const json::value& value, read_function one) {
  const auto* const all = value.if_array();
  if (all == nullptr) {
    return invalid(fmt::format("member '{}'", kind), fmt::format("{} is no array", shown(value)));
  }
  std::size_t number = 0;
  for (const auto& element : *all) {
    const std::string where = fmt::format("element {} of '{}'", ++number, kind);
    const auto* const object = element.if_object();
    if (object == nullptr) return invalid(where, fmt::format("{} is no object", shown(element)));
    members of{*object, where};
    const auto elsewhere = is_elsewhere(kind, of);
    if (!elsewhere) return elsewhere.error();
    if (*elsewhere) continue;
    if (auto done = (this->*one)(of); !done) return done;
  }
  return {};
}

/// Whether something belongs to another virtual host, and has been counted there.
result<bool> reader::is_elsewhere(std::string_view kind, members& of) {
  // What is exported of one virtual host does not name it.
  if (of.find("vhost") == nullptr) return false;
  auto host = of.text("vhost");
  if (!host) return host.error();
  if (*host == options_.virtual_host) return false;
  other_host& other = others_.try_emplace(std::move(*host), other_host{member_, {}}).first->second;
  other.member = std::min(other.member, member_);
  ++other.counts[kind];
  return true;
}

void reader::note_left(const members& of) {
  of.for_each_left([&](std::string_view name) {
    note(of.place(name), {importance::unknown, "it is not known"});
  });
}

std::vector<definitions_finding> reader::findings() const {
  auto all = findings_;
  for (const auto& [name, host] : others_) {
    const auto count = [&counts = host.counts](std::string_view kind) {
      const auto found = counts.find(kind);
      return found == counts.end() ? 0 : found->second;
    };
    std::string what = fmt::format("left out: {} exchanges, {} queues and {} bindings", count("exchanges"),
                                   count("queues"), count("bindings"));
    if (const auto more = count("policies") + count("parameters"); more > 0) {
      what += fmt::format(", and {} policies and parameters", more);
    }
    all.emplace_back(host.member, definitions_finding{importance::without_meaning,
                                                      fmt::format("virtual host '{}'", shown_name(name)),
                                                      std::move(what)});
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<definitions_finding> findings;
  findings.reserve(all.size());
  for (auto& [member, finding] : all) findings.push_back(std::move(finding));
  return findings;
}

/// Whether something may have this name, be it that the answer stands among the findings.
result<bool> reader::check_own_name(const std::string& where, const char* kind, const std::string& name) {
  if (auto checked = check_name(fmt::format("{}: {}", import_operation, where), kind, name); !checked) {
    return checked.error();
  }
  if (check_not_reserved(import_operation, name)) return true;
  note(where, {importance::unknown, "names that begin with 'amq.' are reserved here"});
  return false;
}

/// Whether something is left that can be declared.
template <class Options>
result<bool> reader::read_arguments(const members& of, const json::object& arguments, Options& to) {
  bool whole = true;
  for (const auto& member : arguments) {
    const std::string_view name = view_of(member.key());
    std::string where = fmt::format("{}, argument '{}'", of.where(), shown_name(name));
    auto done = take_argument(to, where, name, member.value());
    if (!done) return done.error();
    if (!*done) continue;
    if ((*done)->whole) whole = false;
    note(std::move(where), std::move(**done));
  }
  return whole;
}

/// Adds something to the plan, unless it is there already. Fails with `inequivalent` where it exists, or
/// stands in the definitions, with other options.
template <class Options>
result<void> reader::add(std::string where, planned<Options> what, std::vector<planned<Options>>& to,
                         std::map<std::string, std::size_t, std::less<>>& names, const Options* existing) {
  const auto refuse = [&](const std::string& why) {
    return error{errc::inequivalent, fmt::format("{}: {}: {}", import_operation, where, why)};
  };
  if (existing != nullptr) {
    if (const auto d = difference(described(compared(*existing)), described(compared(what.options)))) {
      return refuse(*d);
    }
  }
  const auto [at, is_new] = names.try_emplace(what.name, to.size());
  if (is_new) {
    to.push_back(std::move(what));
  } else if (described(to[at->second].options) != described(what.options)) {
    return refuse("it stands there twice, with different options");
  }
  return {};
}

result<void> reader::read_exchange(members& of) {
  auto name = of.text("name");
  if (!name) return name.error();
  if (name->empty()) return {};  // the default exchange, which is always there
  of.rename(fmt::format("exchange '{}'", shown_name(*name)));
  exchange_options options;
  const auto* const type = of.find("type");
  if (type == nullptr) return invalid(of.where(), "member 'type' is missing");
  auto type_taken = take_type(options, of.place("type"), *type);
  if (!type_taken) return type_taken.error();
  const auto durable = of.boolean("durable", true);
  if (!durable) return durable.error();
  const auto auto_delete = of.boolean("auto_delete", false);
  if (!auto_delete) return auto_delete.error();
  const auto internal = of.boolean("internal", false);
  if (!internal) return internal.error();
  options.durable = *durable;
  options.auto_delete = *auto_delete;
  options.internal = *internal;
  const auto arguments = of.object("arguments");
  if (!arguments) return arguments.error();

  const auto may_have_name = check_own_name(of.where(), "exchange", *name);
  if (!may_have_name) return may_have_name.error();
  bool whole = *may_have_name && !*type_taken;
  if (*type_taken) {
    note(of.where(), std::move(**type_taken));
  } else {
    const auto complete = read_arguments(of, **arguments, options);
    if (!complete) return complete.error();
    whole = whole && *complete;
    if (options.delayed && !(*arguments)->contains("x-delayed-type")) {
      return invalid(of.where(), "argument 'x-delayed-type' is missing");
    }
  }
  note_left(of);
  if (!whole) {
    exchanges_left_out_.insert(std::move(*name));
    return {};
  }
  if (around_.topics.contains(*name)) {
    return error{errc::inequivalent,
                 fmt::format("{}: {}: a topic has this name", import_operation, of.where())};
  }
  const auto existing = around_.exchanges.find(*name);
  if (existing == around_.exchanges.end()) {
    return add(of.where(), {std::move(*name), std::move(options)}, plan_.exchanges, exchange_places_,
               static_cast<const exchange_options*>(nullptr));
  }
  const auto keeps = [&](const char* argument) {
    if (!(*arguments)->contains(argument)) return;
    note(fmt::format("{}, argument '{}'", of.where(), argument),
         {importance::without_meaning, "the exchange exists, and keeps what it has"});
  };
  if (options.retention != existing->second.retention) keeps("x-levada-retention");
  if (options.compression != existing->second.compression) keeps("x-levada-compression");
  return add(of.where(), {std::move(*name), std::move(options)}, plan_.exchanges, exchange_places_,
             &existing->second);
}

result<void> reader::read_queue(members& of) {
  auto name = of.text("name");
  if (!name) return name.error();
  of.rename(fmt::format("queue '{}'", shown_name(*name)));
  queue_options options;
  const auto durable = of.boolean("durable", true);
  if (!durable) return durable.error();
  const auto auto_delete = of.boolean("auto_delete", false);
  if (!auto_delete) return auto_delete.error();
  options.durable = *durable;
  options.auto_delete = *auto_delete;
  const auto may_have_name = check_own_name(of.where(), "queue", *name);
  if (!may_have_name) return may_have_name.error();
  bool whole = *may_have_name;
  if (const auto* const type = of.find("type")) {
    auto type_taken = take_queue_type(of.place("type"), *type);
    if (!type_taken) return type_taken.error();
    if (*type_taken) {
      whole = false;
      note(of.where(), std::move(**type_taken));
    }
  }
  const auto arguments = of.object("arguments");
  if (!arguments) return arguments.error();
  const auto complete = read_arguments(of, **arguments, options);
  if (!complete) return complete.error();
  whole = whole && *complete;
  note_left(of);
  if (options.dead_letter_routing_key && !options.dead_letter_exchange) {
    // Where the exchange was left out, so is the key.
    if (!(*arguments)->contains("x-dead-letter-exchange")) {
      return invalid(of.where(), "x-dead-letter-routing-key goes with x-dead-letter-exchange");
    }
    options.dead_letter_routing_key.reset();
  }
  if (!whole) {
    queues_left_out_.insert(std::move(*name));
    return {};
  }
  const auto existing = around_.queues.find(*name);
  const bool exists = existing != around_.queues.end();
  if (exists && existing->second.exclusive) {
    return error{errc::resource_locked,
                 fmt::format("{}: {}: it exists, and is exclusive", import_operation, of.where())};
  }
  return add(of.where(), {std::move(*name), std::move(options)}, plan_.queues, queue_places_,
             exists ? &existing->second.options : nullptr);
}

/// The arguments of a binding; nothing where one of them is left out, and the binding with it, as without it
/// would match something else.
result<std::optional<binding_arguments>> reader::read_binding_arguments(members& of) {
  const auto given = of.object("arguments");
  if (!given) return given.error();
  binding_arguments arguments;
  bool whole = true;
  std::size_t bytes = 0;
  for (const auto& member : **given) {
    const std::string_view name = view_of(member.key());
    const std::string where = fmt::format("{}, argument '{}'", of.where(), shown_name(name));
    if (name.empty() || name.size() > 255) {
      return invalid(where, fmt::format("its name has {} bytes, and may have 1 to 255", name.size()));
    }
    const auto leave_out = [&](const char* why) {
      whole = false;
      note(where, {importance::unknown, why});
    };
    auto value = header_value_of(member.value());
    if (!value) {
      if (member.value().is_uint64()) {
        return invalid(
            where, fmt::format("{} is more than the largest integer, 2^63 - 1", member.value().get_uint64()));
      }
      leave_out("it is no value of a header's");
      continue;
    }
    const auto* const text = std::get_if<std::string>(&*value);
    if (rabbitmqs_own_ && text != nullptr) {
      if (*text == "undefined") {
        leave_out("RabbitMQ writes so what has no value, and this text: which it was is not known");
      } else if (text->starts_with("Not UTF-8, base64 is: ")) {
        leave_out("RabbitMQ writes so what is not UTF-8, be it text or bytes: which it was is not known");
      }
    }
    bytes += name.size() + 16;
    if (text != nullptr) bytes += text->size();
    if (const auto* const data = std::get_if<binary>(&*value)) bytes += data->size();
    arguments.emplace_back(std::string{name}, std::move(*value));
  }
  if (bytes > argument_bytes_max) {
    return invalid(of.where(),
                   fmt::format("the arguments have {} bytes, the limit is {}", bytes, argument_bytes_max));
  }
  if (!whole) return std::nullopt;
  return arguments;
}

/// Why a binding cannot begin or end at this exchange, if so.
std::optional<std::string> reader::missing_exchange(std::string_view name) const {
  if (name.empty()) return "the default exchange cannot be bound";
  if (exchange_places_.contains(name) || around_.exchanges.contains(name)) return std::nullopt;
  const char* const why =
      exchanges_left_out_.contains(name) ? "exchange '{}' is left out" : "there is no exchange '{}'";
  return fmt::format(fmt::runtime(why), shown_name(name));
}

std::optional<std::string> reader::missing_queue(std::string_view name) const {
  const auto existing = around_.queues.find(name);
  if (existing != around_.queues.end() && existing->second.exclusive) {
    return fmt::format("queue '{}' is exclusive", shown_name(name));
  }
  if (queue_places_.contains(name) || existing != around_.queues.end()) return std::nullopt;
  const char* const why =
      queues_left_out_.contains(name) ? "queue '{}' is left out" : "there is no queue '{}'";
  return fmt::format(fmt::runtime(why), shown_name(name));
}

/// Of one that is not missing.
const exchange_options& reader::exchange_of(std::string_view name) const {
  const auto planned = exchange_places_.find(name);
  if (planned != exchange_places_.end()) return plan_.exchanges[planned->second].options;
  return around_.exchanges.find(name)->second;
}

result<void> reader::read_binding(members& of) {
  binding_info b;
  auto source = of.text("source");
  if (!source) return source.error();
  auto destination = of.text("destination");
  if (!destination) return destination.error();
  const auto kind = of.text("destination_type");
  if (!kind) return kind.error();
  auto key = of.text("routing_key");
  if (!key) return key.error();
  b.to_exchange = *kind == "exchange";
  if (!b.to_exchange && *kind != "queue") {
    return invalid(of.place("destination_type"),
                   fmt::format("'{}' is not queue or exchange", shown_name(*kind)));
  }
  // The default exchange binds each queue so.
  if (source->empty() && !b.to_exchange && *key == *destination) return {};
  of.rename(fmt::format("binding of {} '{}' to exchange '{}' with key '{}'", *kind, shown_name(*destination),
                        shown_name(*source), is_utf8(*key) ? shown_name(*key) : "(not UTF-8)"));
  if (key->size() > 255) {
    return invalid(of.where(), fmt::format("the key has {} bytes, the limit is 255", key->size()));
  }
  auto arguments = read_binding_arguments(of);
  if (!arguments) return arguments.error();
  note_left(of);
  auto missing = missing_exchange(*source);
  if (!missing) missing = b.to_exchange ? missing_exchange(*destination) : missing_queue(*destination);
  if (missing) {
    note(of.where(), {importance::unknown, std::move(*missing)});
    return {};
  }
  if (!*arguments) return {};
  const exchange_type type = exchange_of(*source).type;
  if (type == exchange_type::headers) {
    if (const auto flaw = routing::flaw_of(**arguments)) return invalid(of.where(), *flaw);
  }
  if (type == exchange_type::consistent_hash && !routing::weight_of(*key)) {
    return invalid(of.where(), "the key is no weight from 1 to 1,000,000");
  }
  b.exchange = std::move(*source);
  b.destination = std::move(*destination);
  b.key = std::move(*key);
  b.arguments = std::move(**arguments);
  if (binding_identities_.insert(identity_of(b)).second) plan_.bindings.push_back(std::move(b));
  return {};
}

/// What policies have in common, be they users' or operators'; nothing where one is left out.
result<std::optional<policy_options>> reader::read_policy_options(members& of) {
  policy_options options;
  auto pattern = of.text("pattern");
  if (!pattern) return pattern.error();
  options.pattern = std::move(*pattern);
  if (const auto* const priority = of.find("priority")) {
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    const auto n = take_integer(of.place("priority"), *priority, -most, most);
    if (!n) return n.error();
    options.priority = static_cast<std::int32_t>(*n);
  }
  bool known = true;
  if (of.find("apply-to") != nullptr) {
    const auto target = of.text("apply-to");
    if (!target) return target.error();
    if (*target == "queues") {
      options.apply_to = policy_target::queues;
    } else if (*target == "exchanges") {
      options.apply_to = policy_target::exchanges;
    } else if (*target != "all") {
      known = false;
      note(of.place("apply-to"),
           {importance::unknown, fmt::format("'{}' is not known", shown_name(*target))});
    }
  }
  const auto definition = of.object("definition");
  if (!definition) return definition.error();
  for (const auto& member : **definition) {
    const std::string_view name = view_of(member.key());
    std::string where = fmt::format("{}, definition '{}'", of.where(), shown_name(name));
    auto done = take_setting(options.definition, where, name, member.value());
    if (!done) return done.error();
    if (*done) note(std::move(where), std::move(**done));
  }
  note_left(of);
  // What is left may be nothing.
  if (!known || options.definition == policy_definition{}) return std::nullopt;
  return options;
}

/// Adds a policy to the plan.
template <class Info>
result<void> reader::add_policy(const std::string& where, Info what, std::vector<Info>& to) {
  if (auto checked = entry_of(what.name, what.options); !checked) {
    return error{checked.error().code(),
                 fmt::format("{}: {}: {}", import_operation, where, checked.error().message())};
  }
  const auto same = std::find_if(to.begin(), to.end(), [&](const Info& p) { return p.name == what.name; });
  if (same == to.end()) {
    to.push_back(std::move(what));
  } else if (same->options != what.options) {
    return error{errc::inequivalent,
                 fmt::format("{}: {}: it stands there twice, and differs", import_operation, where)};
  }
  return {};
}

result<void> reader::read_policy(members& of) {
  auto name = of.text("name");
  if (!name) return name.error();
  of.rename(fmt::format("policy '{}'", shown_name(*name)));
  auto options = read_policy_options(of);
  if (!options) return options.error();
  if (!*options) return {};
  return add_policy(of.where(), policy_info{std::move(*name), std::move(**options)}, plan_.policies);
}

result<void> reader::read_operator_policy(const std::string& where, std::string name, members& of) {
  auto options = read_policy_options(of);
  if (!options) return options.error();
  if (!*options) return {};
  const operator_limits limits = limits_of((*options)->definition);
  // It is for queues in any case, and for numbers.
  if ((*options)->definition != definition_of(limits)) {
    note(where, {importance::unknown, "an operator limits numbers of queues, and sets nothing else"});
    if (limits == operator_limits{}) return {};
  }
  operator_policy_info info{std::move(name), {(*options)->pattern, (*options)->priority, limits}};
  return add_policy(where, std::move(info), plan_.operator_policies);
}

result<void> reader::read_parameter(members& of) {
  auto name = of.text("name");
  if (!name) return name.error();
  const auto component = of.text("component");
  if (!component) return component.error();
  if (*component != "operator_policy") {
    note(fmt::format("parameter '{}' of '{}'", shown_name(*name), shown_name(*component)),
         {importance::unknown, "it is not known"});
    return {};
  }
  of.rename(fmt::format("operator policy '{}'", shown_name(*name)));
  const auto value = of.object("value");
  if (!value) return value.error();
  note_left(of);
  members within{**value, of.where()};
  return read_operator_policy(of.where(), std::move(*name), within);
}

}  // namespace levada::definitions
