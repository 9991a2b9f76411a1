#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

#include <levada/levada.hpp>

namespace levada::test {

/// Options of a bus that seals everything whenever it is told to maintain.
inline void seals_everything(bus_options& o) {
  o.journal_bytes_seal = 0;
}
inline void has_default_limits(bus_options&) {}

/// A bus in a fresh directory with a manual clock, and a small vocabulary over it.
class bus_fixture : public ::testing::Test {
 protected:
  static constexpr std::chrono::milliseconds at_once{0};

  /// `adjust` changes the options that the bus is opened with whenever none are given.
  explicit bus_fixture(void (*adjust)(bus_options&) = has_default_limits) : adjust_{adjust} { open(); }

  void open() { open(options()); }
  void open(const bus_options& o) { bus_.emplace(ok(bus::open(store(), o))); }
  void close() { bus_.reset(); }
  void reopen() {
    close();
    open();
  }
  [[nodiscard]] bus_options options() const {
    bus_options o;
    o.clock = clock_;
    o.maintenance = maintenance_mode::on_call;
    adjust_(o);
    return o;
  }
  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }
  [[nodiscard]] bus& the_bus() { return *bus_; }
  [[nodiscard]] manual_clock& the_clock() { return *clock_; }

  void maintain() { ok(the_bus().maintain()); }
  /// The files of segments, in the order of their numbers.
  [[nodiscard]] std::vector<std::filesystem::path> segment_files() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{store() / "segments"})
      files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
  }
  /// What a check finds wrong with a store that nobody has open.
  static void expect_sound(const std::filesystem::path& of) {
    const auto report = ok(check_store(of));
    for (const auto& p : report.problems) ADD_FAILURE() << p.where << ": " << p.what;
  }
  /// Its own, which is opened anew after it.
  void expect_sound() {
    close();
    expect_sound(store());
    open();
  }

  /// Joins from the beginning of the log.
  [[nodiscard]] consumer join(const std::string& group, const std::vector<std::string>& topics,
                              offset_reset reset = offset_reset::earliest) {
    consumer_options o;
    o.reset = reset;
    return ok(bus_->join(group, topics, o));
  }
  /// The values of everything that can be polled at once.
  static std::vector<std::string> poll_all(consumer& c) {
    std::vector<std::string> values;
    for (auto batch = ok(c.poll(at_once)); !batch.empty(); batch = ok(c.poll(at_once))) {
      for (const auto& r : batch) values.emplace_back(r.value());
    }
    return values;
  }
  static std::vector<std::string> read_all(replay r) {
    std::vector<std::string> values;
    for (auto batch = ok(r.next()); !batch.empty(); batch = ok(r.next())) {
      for (const auto& record : batch) values.emplace_back(record.value());
    }
    return values;
  }
  /// The values of all deliveries that can be had at once; they stay unsettled.
  static std::vector<std::string> receive_all(queue_consumer& c) {
    std::vector<std::string> values;
    while (auto d = ok(c.receive(at_once))) values.emplace_back(d->record().value());
    return values;
  }

 private:
  void (*const adjust_)(bus_options&);
  temporary_directory directory_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  std::optional<bus> bus_;
};

}  // namespace levada::test
