#pragma once

/// @file
/// What replays are compared with: topics that change at random, and what is there after each change.

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "random_walk.hpp"

namespace levada::test {

/// The same numbers everywhere, whatever distributions the standard library has.
class dice {
 public:
  explicit dice(std::uint32_t seed) : random_{seed} {}
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 random_;
};

struct modelled_record {
  std::string value;
  timestamp time;
};

struct modelled_partition {
  std::uint64_t begin = 0;
  std::vector<modelled_record> records;  // from offset 0 on, also those that have been removed

  [[nodiscard]] std::uint64_t end() const { return records.size(); }
  /// The first record that is there and as late, or the end.
  [[nodiscard]] std::uint64_t find(timestamp time) const {
    std::uint64_t at = begin;
    while (at < end() && records[at].time < time) ++at;
    return at;
  }
};

/// From its declaration to its deletion: another topic may have the name later.
struct modelled_topic {
  std::string name;
  timestamp_type timestamps = timestamp_type::append_time;
  bool deleted = false;
  std::vector<modelled_partition> partitions;
};

struct record_place {
  std::size_t topic = 0;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
};

/// Random changes of a store's topics, and what is there after them. The same seed makes the same changes,
/// with a bus or without one.
class replay_world {
 public:
  explicit replay_world(std::uint32_t seed) : dice_{seed} {}

  /// From now on changes are made to the store, too.
  void open(const std::filesystem::path& store);
  void step();
  void reopen();

  [[nodiscard]] const bus& store() const { return *bus_; }
  /// All topics that there ever were; those that are there are found by name.
  [[nodiscard]] const std::vector<modelled_topic>& topics() const { return topics_; }
  [[nodiscard]] std::optional<std::size_t> find(const std::string& name) const;
  /// All records that there ever were, in the order of commits.
  [[nodiscard]] const std::vector<record_place>& commits() const { return commits_; }
  [[nodiscard]] timestamp now() const { return clock_->wall(); }
  [[nodiscard]] static std::string some_name(dice& d) { return fmt::format("topic-{}", d.below(5)); }

  void note(std::string text) { trail_.add(std::move(text)); }
  [[nodiscard]] const std::string& last() const { return trail_.last(); }
  [[nodiscard]] std::string latest_operations() const { return trail_.text(); }

 private:
  void open();
  void declare();
  void delete_topic();
  compression some_compression() { return static_cast<compression>(dice_.below(3)); }
  void set_compression();
  void delete_records();
  void seal();
  void pass_time();
  /// A record, and what it will be when it is stored.
  std::pair<record, modelled_record> some_record(timestamp_type timestamps);
  void publish();
  /// Of the records of a batch those of the first partition come first.
  void publish_batch();

  dice dice_;
  std::filesystem::path store_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  std::optional<bus> bus_;
  int openings_ = 0;
  int values_ = 0;
  std::vector<modelled_topic> topics_;
  std::map<std::string, std::size_t> names_;
  std::vector<record_place> commits_;
  operation_trail trail_;
};

}  // namespace levada::test
