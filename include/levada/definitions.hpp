#pragma once

/// @file
/// Exchanges, queues, bindings and policies as JSON, in the shape of RabbitMQ's definitions.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <levada/error.hpp>
#include <levada/export.hpp>

namespace levada {

class attachment;
class bus;

/// All exchanges, queues and bindings, but for those of the default exchange and exclusive queues, and all
/// policies, as a JSON object with the members "exchanges", "queues", "bindings", "policies" and "parameters"
/// (which are what operators limit) that RabbitMQ's `rabbitmqctl export_definitions` writes, all of one
/// virtual host; where levada knows more than RabbitMQ, as arguments that begin with "x-levada-". Imported
/// into an empty store, it makes the same again. Sorted, so that equal stores give equal text. UTF-8.
///
/// Values that JSON has not stand in objects: see "Definitions" in docs/delivery.md, also for what maps to
/// what. Fails with `invalid_argument` where an argument of a binding has a name that is not UTF-8.
[[nodiscard]] LEVADA_EXPORT result<std::string> export_definitions(const bus& of,
                                                                   std::string_view virtual_host = "/");
/// The same, beside the process that owns the store.
[[nodiscard]] LEVADA_EXPORT result<std::string> export_definitions(const attachment& of,
                                                                   std::string_view virtual_host = "/");

/// How `import_definitions` imports.
struct definitions_import_options {
  /// Of which virtual host; a bus is like one. Default: "/", as RabbitMQ's.
  std::string virtual_host = "/";
  /// Whether what can be declared is declared although the rest cannot: exchanges and queues without what is
  /// unknown of them, but for those of an unknown type; bindings as a whole or not at all. Default: nothing
  /// is then.
  bool skip_unknown = false;
  /// Whether nothing is declared in any case. Default: no.
  bool dry_run = false;
};

/// Something in definitions that is not taken over.
struct definitions_finding {
  enum class importance : std::uint8_t {
    /// It says nothing about what becomes of messages here, as where a queue's replicas are.
    without_meaning,
    /// levada has no such thing, or does not know it.
    unknown,
  };
  importance weight = importance::unknown;
  /// What it is about: "queue 'orders', argument 'x-queue-mode'".
  std::string where;
  /// Why: for people.
  std::string what;
};

/// What an import has done, or would do.
struct definitions_report {
  /// Whether it has declared what follows, or found it there.
  bool applied = false;
  std::size_t exchanges = 0;
  std::size_t queues = 0;
  std::size_t bindings = 0;
  /// Those of operators included.
  std::size_t policies = 0;
  /// In the order of the definitions.
  std::vector<definitions_finding> findings;
};

/// Declares what definitions of RabbitMQ, or of `export_definitions`, contain: policies, then exchanges,
/// queues and bindings. A policy takes the place of the one of its name. What exists already, and is equal,
/// stays as it is, so that it can be done again. All is looked at before anything is declared: where
/// something is unknown, or exists with other options, nothing is. Each is durable as it is declared; where
/// that fails half-way, for want of space, importing again goes on.
///
/// Fails with `invalid_argument` for what is no JSON (with the place), or has not the shape of definitions,
/// or holds values out of their range, or has more than 64 MiB; with `name_invalid`, with `inequivalent`, and
/// with `resource_locked` for the name of an exclusive queue. What is unknown is no failure: see the report.
[[nodiscard]] LEVADA_EXPORT result<definitions_report> import_definitions(
    bus& into, std::string_view json, const definitions_import_options& options = {});

}  // namespace levada
