#pragma once

/// @file
/// A store with something of everything in it, what can be read of it, and ways to damage it.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

namespace levada::test {

/// What a store holds for its readers.
struct store_picture {
  /// By topic and partition: value by offset.
  std::map<std::pair<std::string, std::uint32_t>, std::map<std::uint64_t, std::string>> records;
  /// By topic and partition.
  std::map<std::pair<std::string, std::uint32_t>, std::uint64_t> ends;
  /// By queue: how many messages it still has to deliver, and their values in order.
  std::map<std::string, std::vector<std::string>> messages;
  /// By group, topic and partition.
  std::map<std::string, std::uint64_t> committed;
  /// By table and key, as people see it.
  std::map<std::pair<std::string, std::string>, std::string> values;
};

/// Options that seal whatever there is when they are told to maintain, into segments of their own and shared
/// ones.
[[nodiscard]] bus_options sealing_options();

/// Makes a store with sealed and unsealed records: of topics with segments of their own and shared ones, a
/// compacted one, large records, an exchange with queues that have settled some, a group, and a host's table.
void fill_store(const std::filesystem::path& store, compression how);

/// Reads everything; all of it must be readable.
[[nodiscard]] store_picture look_at(const std::filesystem::path& store);

/// What is left of a picture without what the report says is lost.
[[nodiscard]] store_picture without(store_picture picture, const repair_report& report);

/// All bytes of a store but for LMDB's table of readers, by file.
[[nodiscard]] std::map<std::string, std::string> bytes_of(const std::filesystem::path& store);

/// The segments' files, sorted.
[[nodiscard]] std::vector<std::filesystem::path> segments_of(const std::filesystem::path& store);

/// A table of the main file.
enum class table { journal, queues, schedule, tickets, unsettled, offsets, producers, catalog, host };
/// Lets `change` alter the bytes of some values of a table where they stand in the file, behind LMDB's back.
/// `choose(number of values)` names them by their place among the keys.
void change_values(const std::filesystem::path& store, table which,
                   const std::function<std::vector<std::size_t>(std::size_t)>& choose,
                   const std::function<void(std::string& value)>& change);
/// Erases rows of the journal, by their place.
void erase_rows(const std::filesystem::path& store,
                const std::function<std::vector<std::size_t>(std::size_t)>& choose);

/// Adds to the bytes that a queue's state says its messages have. Nothing else is wrong with it then.
void change_bytes_of_queue(const std::filesystem::path& store, const std::string& queue, std::uint64_t by);

}  // namespace levada::test
