#pragma once

namespace levada {
struct definitions_report;
struct traced_message;
class record_view;
}  // namespace levada

namespace levada::cli {

class output;
struct table;

// Bytes that are not UTF-8 cannot stand in JSON: they come as base64, and "_base64" is added to the field's
// name.

/// Writes each row as one JSON object a line.
void write_json(output& out, const table& t);

/// Writes a record as one line of JSON: topic, partition, offset, timestamp, routing_key, key (null without
/// one), value (null for a tombstone), headers and properties. Headers are an array, since names may repeat;
/// points in time among them stand under "time" instead of "value".
void write_json(output& out, const record_view& r);

/// Writes what an import has done as one line of JSON: applied, exchanges, queues, bindings, and findings, an
/// array of objects with importance, where and what.
void write_json(output& out, const definitions_report& report);

/// Writes what is known of a message as one line of JSON: exchange, partition, offset, routing_key,
/// message_id, correlation_id, published, due, cancelled, cause, cause_queue, death, queues, and steps, an
/// array of objects with what, queue, time and delivered. Null stands for what is not so.
void write_json(output& out, const traced_message& message);

}  // namespace levada::cli
