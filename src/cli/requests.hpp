#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <levada/options.hpp>
#include <levada/record.hpp>
#include <levada/types.hpp>

namespace levada::cli {

/// What `levada topics`, `groups`, `queues`, `exchanges` and `bindings` are asked for.
struct list_request {
  enum class subject { topics, groups, queues, exchanges, bindings };

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

/// What `levada tail` is asked for.
struct tail_request {
  std::filesystem::path directory;
  std::string topic;
  start_position from;
  std::optional<partition_id> partition;
  std::optional<std::uint64_t> count;
  bool follow = false;
  bool json = false;
  bool keys = false;
  std::string key_separator;
};

/// What `levada check` is asked for.
struct check_request {
  std::filesystem::path directory;
};

}  // namespace levada::cli
