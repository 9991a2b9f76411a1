#include "cli/json.hpp"

#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "cli/output.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"
#include "cli/time_text.hpp"
#include "cli/trace_text.hpp"

#include <levada/definitions.hpp>
#include <levada/ledger.hpp>
#include <levada/record.hpp>

namespace levada::cli {
namespace {

namespace json = boost::json;

void put(json::object& object, std::string_view name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    object.emplace(name, json::string_view{bytes});
  } else {
    object.emplace(std::string{name} + "_base64", to_base64(bytes));
  }
}

/// JSON has no numbers for these.
json::string_view name_of_non_finite(double d) {
  if (std::isnan(d)) return "NaN";
  return d > 0 ? "Infinity" : "-Infinity";
}

void put(json::object& object, const header_view& header) {
  put(object, "name", header.name);
  std::visit(
      [&object](const auto& value) {
        using type = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<type, std::monostate>) {
          object.emplace("value", nullptr);
        } else if constexpr (std::is_same_v<type, std::string_view>) {
          put(object, "value", value);
        } else if constexpr (std::is_same_v<type, std::span<const std::byte>>) {
          object.emplace("value_base64",
                         to_base64({reinterpret_cast<const char*>(value.data()), value.size()}));
        } else if constexpr (std::is_same_v<type, timestamp>) {
          object.emplace("time", to_rfc3339(value));
        } else if constexpr (std::is_same_v<type, double>) {
          if (std::isfinite(value)) {
            object.emplace("value", value);
          } else {
            object.emplace("value", name_of_non_finite(value));
          }
        } else {
          object.emplace("value", value);
        }
      },
      header.value);
}

void put(json::object& object, const properties_view& properties) {
  const auto put_text = [&object](std::string_view name, std::string_view text) {
    if (!text.empty()) put(object, name, text);
  };
  put_text("content_type", properties.content_type);
  put_text("message_id", properties.message_id);
  put_text("correlation_id", properties.correlation_id);
  put_text("reply_to", properties.reply_to);
  put_text("type", properties.type);
  if (properties.expiration) object.emplace("expiration_ms", properties.expiration->count());
  if (properties.priority) object.emplace("priority", *properties.priority);
}

void write_line(output& out, const json::object& object) {
  json::serializer serializer;
  serializer.reset(&object);
  std::array<char, 4096> buffer;
  while (!serializer.done()) {
    const json::string_view text = serializer.read(buffer.data(), buffer.size());
    out.write({text.data(), text.size()});
  }
  out.write('\n');
}

/// Objects of one line live on the stack unless they are large.
class line_memory {
 public:
  [[nodiscard]] json::storage_ptr get() noexcept { return &resource_; }

 private:
  std::array<unsigned char, 8192> first_;
  json::monotonic_resource resource_{first_.data(), first_.size()};
};

}  // namespace

void write_json(output& out, const table& t) {
  for (const auto& row : t.rows) {
    line_memory memory;
    json::object object{memory.get()};
    for (std::size_t c = 0; c < row.size(); ++c) {
      std::visit(
          [&](const auto& value) {
            using type = std::decay_t<decltype(value)>;
            if constexpr (std::is_same_v<type, std::monostate>) {
              object.emplace(t.columns[c], nullptr);
            } else if constexpr (std::is_same_v<type, std::string>) {
              put(object, t.columns[c], value);
            } else {
              object.emplace(t.columns[c], value);
            }
          },
          row[c]);
    }
    write_line(out, object);
  }
}

void write_json(output& out, const record_view& r) {
  line_memory memory;
  json::object object{memory.get()};
  put(object, "topic", r.topic());
  object.emplace("partition", r.partition().value());
  object.emplace("offset", r.offset().value());
  object.emplace("timestamp", to_rfc3339(r.time()));
  put(object, "routing_key", r.routing_key());
  if (r.has_key()) {
    put(object, "key", r.key());
  } else {
    object.emplace("key", nullptr);
  }
  if (r.is_tombstone()) {
    object.emplace("value", nullptr);
  } else {
    put(object, "value", r.value());
  }
  json::array& headers = object.emplace("headers", json::array_kind).first->value().as_array();
  for (const auto& header : r.headers()) put(headers.emplace_back(json::object_kind).as_object(), header);
  put(object.emplace("properties", json::object_kind).first->value().as_object(), r.properties());
  write_line(out, object);
}

void write_json(output& out, const definitions_report& report) {
  json::object object;
  object.emplace("applied", report.applied);
  object.emplace("exchanges", report.exchanges);
  object.emplace("queues", report.queues);
  object.emplace("bindings", report.bindings);
  object.emplace("policies", report.policies);
  json::array findings;
  for (const auto& f : report.findings) {
    json::object finding;
    const bool unknown = f.weight == definitions_finding::importance::unknown;
    finding.emplace("importance", unknown ? "unknown" : "without_meaning");
    put(finding, "where", f.where);
    put(finding, "what", f.what);
    findings.push_back(std::move(finding));
  }
  object.emplace("findings", std::move(findings));
  write_line(out, object);
}

namespace {

void put_time(json::object& object, std::string_view name, const std::optional<timestamp>& time) {
  if (time) {
    object.emplace(name, to_rfc3339(*time));
  } else {
    object.emplace(name, nullptr);
  }
}

}  // namespace

void write_json(output& out, const traced_message& message) {
  json::object object;
  put(object, "exchange", message.exchange);
  object.emplace("partition", message.partition.value());
  object.emplace("offset", message.offset.value());
  put(object, "routing_key", message.routing_key);
  put(object, "message_id", message.message_id);
  put(object, "correlation_id", message.correlation_id);
  put_time(object, "published", message.published);
  put_time(object, "due", message.due);
  put_time(object, "cancelled", message.cancelled);
  if (message.cause) {
    object.emplace("cause", *message.cause);
  } else {
    object.emplace("cause", nullptr);
  }
  put(object, "cause_queue", message.cause_queue);
  if (message.death) {
    put(object, "death", to_text(*message.death));
  } else {
    object.emplace("death", nullptr);
  }
  json::array queues;
  for (const auto& name : message.queues) queues.emplace_back(name);
  object.emplace("queues", std::move(queues));
  json::array steps;
  for (const traced_step& s : message.steps) {
    json::object step;
    step.emplace("what", json::string_view{name_of(s.what)});
    put(step, "queue", s.queue);
    put_time(step, "time", s.time);
    put_time(step, "delivered", s.delivered);
    steps.push_back(std::move(step));
  }
  object.emplace("steps", std::move(steps));
  write_line(out, object);
}

}  // namespace levada::cli
