#include <rabbitmq/message.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace levada::rabbit {

namespace {

struct value_printer {
  std::string operator()(std::monostate) const { return "void"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
  // With a point, so that 1.0 does not look like 1.
  std::string operator()(double value) const { return fmt::format("{:#g}", value); }
  std::string operator()(const std::string& value) const { return fmt::format("\"{}\"", value); }
};

}  // namespace

std::string to_text(const field_value& value) {
  return std::visit(value_printer{}, value);
}

std::string to_text(const field_table& table) {
  std::string text = "{";
  for (const auto& [name, value] : table) {
    if (text.size() > 1) text += ", ";
    text += name + "=" + to_text(value);
  }
  return text + "}";
}

std::string to_text(const death& d) {
  std::string text = fmt::format("{} in {} x{} from '{}' keys [{}]", d.reason, d.queue, d.count, d.exchange,
                                 fmt::join(d.routing_keys, ","));
  if (d.original_expiration) text += " ttl was " + *d.original_expiration;
  return text;
}

std::string to_text(const message& m) {
  std::string text = fmt::format("'{}' via '{}' key '{}'", m.body, m.exchange, m.key);
  if (!m.headers.empty()) text += " headers " + to_text(m.headers);
  if (m.priority) text += fmt::format(" priority {}", *m.priority);
  if (m.expiration) text += " expiration " + *m.expiration;
  for (const death& d : m.deaths) text += "; " + to_text(d);
  if (m.first) {
    text += fmt::format("; first {} in {} from '{}'", m.first->reason, m.first->queue, m.first->exchange);
  }
  return text;
}

}  // namespace levada::rabbit
