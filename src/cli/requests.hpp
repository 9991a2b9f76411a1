#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <levada/definitions.hpp>
#include <levada/ledger.hpp>
#include <levada/options.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada::cli {

/// What `levada topics`, `groups`, `queues`, `exchanges`, `bindings` and `jobs` are asked for.
struct list_request {
  enum class subject { topics, groups, queues, exchanges, bindings, policies, jobs };

  subject what = subject::topics;
  std::filesystem::path directory;
  /// The one object to show; for bindings, the exchange whose to show.
  std::optional<std::string> name;
  bool json = false;
};

/// What `levada produce` is asked for.
struct produce_request {
  std::filesystem::path directory;
  std::string topic;
  /// As given; without it a missing topic gets one partition.
  std::optional<std::uint32_t> partitions;
  std::optional<partition_id> partition;
  /// Parts key and value; empty for lines that are values only.
  std::string key_separator;
  std::vector<header> headers;
};

/// How records are printed: byte for byte, each followed by a newline, or as JSON.
struct record_format {
  bool json = false;
  /// Whether the topic's name and a tab stand before a value.
  bool topics = false;
  /// Whether the key and the separator stand before a value that has a key.
  bool keys = false;
  std::string key_separator;
};

/// What `levada tail` and `levada replay` are asked for.
struct replay_request {
  std::filesystem::path directory;
  /// Nothing: all of them.
  std::optional<std::string> topic;
  replay_options options;
  std::optional<std::uint64_t> count;
  record_format format;
};

/// What `levada backup` and `levada restore` are asked for.
struct copy_request {
  std::filesystem::path directory;
  /// The backup.
  std::filesystem::path other;
  bool restore = false;
  bool hard_links = true;
};

/// What `levada groups reset` is asked for.
struct reset_request {
  std::filesystem::path directory;
  std::string group;
  std::string topic;
  offset_reset_options options;
  bool json = false;
};

/// What `levada groups delete` is asked for.
struct deletion_request {
  std::filesystem::path directory;
  std::string group;
  group_deletion_options options;
};

/// What `levada definitions export` is asked for.
struct export_request {
  std::filesystem::path directory;
  std::string virtual_host = "/";
};

/// What `levada definitions import` is asked for.
struct import_request {
  std::filesystem::path directory;
  /// "-" is standard input.
  std::string file;
  definitions_import_options options;
  bool json = false;
};

/// What `levada trace` is asked for.
struct trace_request {
  enum class form_type { tree, mermaid, json };

  std::filesystem::path directory;
  /// A message id, or a correlation id.
  std::string id;
  form_type form = form_type::tree;
  std::size_t messages_max = trace_options{}.messages_max;
};

/// What `levada why-space` is asked for.
struct space_request {
  std::filesystem::path directory;
  bool json = false;
};

/// What `levada check` is asked for.
struct check_request {
  std::filesystem::path directory;
};

/// What `levada repair` is asked for.
struct repair_request {
  std::filesystem::path directory;
  bool dry_run = false;
};

}  // namespace levada::cli
