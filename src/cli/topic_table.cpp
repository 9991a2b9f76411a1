#include "cli/topic_table.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cli/text.hpp"
#include "cli/time_text.hpp"

namespace levada::cli {
namespace {

std::string name_of(timestamp_type type) {
  return type == timestamp_type::create_time ? "create_time" : "append_time";
}

std::string name_of(compression how) {
  switch (how) {
    case compression::none:
      return "none";
    case compression::lz4:
      return "lz4";
    case compression::zstd:
      return "zstd";
  }
  return fmt::format("compression {}", static_cast<int>(how));
}

/// "all", "7d, 1GiB, compacted, zstd": what is the default goes without saying.
std::string what_is_kept(const topic_info& topic) {
  std::string words;
  const auto add = [&words](std::string_view word) {
    if (!words.empty()) words += ", ";
    words += word;
  };
  const auto& limits = topic.retention;
  if (limits.age) add(to_age(*limits.age));
  if (limits.bytes) add(to_size(*limits.bytes));
  if (limits.records) add(fmt::format("{} record{}", *limits.records, *limits.records == 1 ? "" : "s"));
  if (words.empty()) {
    add("all");
  } else {
    if (limits.force) add("forced");
    if (limits.wait_for_readers) add("waits for readers");
  }
  if (topic.compaction) add("compacted");
  if (topic.timestamps == timestamp_type::create_time) add("create time");
  if (topic.compression != compression::none) add(name_of(topic.compression));
  return words;
}

std::vector<table::cell> settings_of(const topic_info& topic) {
  const auto& limits = topic.retention;
  table::cell age;
  table::cell bytes;
  table::cell records;
  table::cell tombstone_age;
  table::cell dirty_ratio;
  if (limits.age) age = static_cast<std::uint64_t>(limits.age->count());
  if (limits.bytes) bytes = *limits.bytes;
  if (limits.records) records = *limits.records;
  if (topic.compaction) {
    tombstone_age = static_cast<std::uint64_t>(topic.compaction->tombstone_age.count());
    dirty_ratio = topic.compaction->dirty_ratio;
  }
  return {name_of(topic.timestamps),
          age,
          bytes,
          records,
          limits.force,
          limits.wait_for_readers,
          topic.compaction.has_value(),
          tombstone_age,
          dirty_ratio,
          name_of(topic.compression)};
}

}  // namespace

table topic_table(const std::vector<topic_info>& topics, bool for_programs) {
  table t{{"topic", "kind", "partition", "begin", "end", "records"}, {}};
  if (for_programs) {
    t.columns.insert(t.columns.end(),
                     {"timestamps", "retention_ms", "retention_bytes", "retention_records", "retention_force",
                      "retention_waits", "compacted", "tombstone_age_ms", "dirty_ratio", "compression"});
  } else {
    t.columns.emplace_back("keeps");
  }
  for (const auto& topic : topics) {
    const auto settings = for_programs ? settings_of(topic) : std::vector<table::cell>{what_is_kept(topic)};
    for (const auto& p : topic.partitions) {
      auto& row = t.rows.emplace_back();
      row = {topic.name,
             std::string{topic.is_exchange ? "exchange" : "topic"},
             std::uint64_t{p.id.value()},
             p.begin.value(),
             p.end.value(),
             p.end - p.begin};
      row.insert(row.end(), settings.begin(), settings.end());
    }
  }
  return t;
}

}  // namespace levada::cli
