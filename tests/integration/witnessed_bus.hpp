#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <levada/levada.hpp>

namespace levada::test {

/// A bus, and what it has acknowledged, which is what it must hold.
class witnessed_bus {
 public:
  using configure_function = void (*)(bus_options&);

  witnessed_bus(std::filesystem::path store, configure_function configure);

  /// Opens the store, which may be a new one, and takes up where its readers were.
  [[nodiscard]] result<void> open();
  [[nodiscard]] bool is_open() const { return bus_.has_value(); }
  [[nodiscard]] bus& the_bus() { return *bus_; }
  [[nodiscard]] manual_clock& the_clock() { return *clock_; }
  [[nodiscard]] bus_options& options() { return options_; }
  [[nodiscard]] const std::filesystem::path& store() const { return store_; }
  result<void> close();
  /// Goes on with the store as the death of a process would leave it now.
  void die();

  /// Declares one of everything.
  void declare();

  result<void> publish(const std::string& topic, const std::string& key, const std::string& value);
  /// Several records as one.
  result<void> publish_batch(const std::string& topic, const std::vector<std::string>& values);
  /// A record for each partition.
  result<void> publish_to_each(const topic& to);
  /// Sends these values to "facts" by a producer that the store knows, numbered behind what it has stored:
  /// every other one with a receipt of its own, all of them answered by a flush. `stored` grows by how many
  /// of them are, the first ones; those behind must have been refused.
  result<void> produce(const std::vector<std::string>& values, std::size_t& stored);
  /// A message for the desk.
  result<void> send(const std::string& value);
  /// Settles the desk's oldest message.
  result<void> settle();
  /// Reads on in a group, and commits how far.
  result<void> read_on();
  result<void> delete_orders();

  /// Records of this topic before the offset may be gone, but need not be.
  void may_lose(const std::string& topic, std::uint64_t before) { given_up_[topic] = before; }
  /// Records of this topic may be gone that have a newer one with the same key.
  void may_compact(const std::string& topic) { compacted_.insert(topic); }
  /// Messages may be gone that have been settled.
  void may_thin_out() { thinned_ = true; }

  /// Whether everything that was acknowledged can be read, in its order, and nothing else.
  void expect_intact(const char* when);
  /// Whether the store on disk is sound, and holds no files but its own.
  void expect_sound();

 private:
  struct entry {
    std::string topic;
    std::uint32_t partition;
    std::uint64_t offset;
    std::string key;
    std::string value;
  };

  [[nodiscard]] bool may_be_gone(const entry& e) const;
  /// The producer, made where there is none.
  [[nodiscard]] result<producer*> importer();
  /// Where the next record of a partition will stand.
  [[nodiscard]] std::uint64_t end_of(const std::string& topic, std::uint32_t partition) const;
  void expect_records();
  result<void> receive();
  void expect_queue();
  void expect_offsets();

  std::filesystem::path store_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  bus_options options_;
  std::optional<bus> bus_;
  std::optional<consumer> reader_;
  std::optional<queue_consumer> desk_;
  std::optional<producer> importer_;
  std::uint64_t produced_ = 0;  // the last sequence that is stored
  std::deque<delivery> held_;

  std::vector<entry> acknowledged_;  // in this order
  std::deque<std::string> unsettled_;
  std::map<std::uint32_t, std::uint64_t> committed_;  // by partition
  std::map<std::string, std::uint64_t> given_up_;
  std::set<std::string> compacted_;
  bool thinned_ = false;
};

}  // namespace levada::test
