#pragma once

/// @file
/// Random operations on a bus and on the model of it, whose answers must agree.

#include <fmt/format.h>

#include <chrono>
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

#include <support/temporary_directory.hpp>

#include <levada/levada.hpp>

#include "model.hpp"
#include "random_walk.hpp"

namespace levada::test {

/// A bus with topics, exchanges, queues and groups, in which whatever there is to do is done in random order.
/// The same seed does the same.
class model_walk {
 public:
  explicit model_walk(std::uint32_t seed) : random_{seed} { open(); }

  /// Throws `disagreement` where the bus answers otherwise than the model.
  void run(int steps);
  [[nodiscard]] std::string latest_operations() const { return trail_.text(); }

 private:
  static constexpr std::chrono::milliseconds at_once{0};

  struct member_handle {
    std::string group;
    std::string id;
    std::size_t records_max = 0;
    consumer reader;
  };
  struct taker_handle {
    std::string queue;
    std::uint32_t prefetch = 0;
    /// Whether it has been the queue's only consumer since it came: then it gets the queue's exact order.
    /// Several fetch ahead, so that which of them gets a message is not defined.
    bool alone = true;
    bool closed = false;  // with its queue
    std::uint64_t last_tag = 0;
    std::map<std::uint64_t, std::size_t> unsettled;  // positions by tag
    queue_consumer taker;
  };

  // Choices

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  std::string name(const char* kind, std::uint32_t many) { return fmt::format("{}{}", kind, below(many)); }
  std::string topic_name() { return one_in(12) ? name("exchange", 2) : name("topic", 3); }
  std::string exchange_name() { return one_in(12) ? name("topic", 3) : name("exchange", 2); }
  std::string queue_name();
  template <class Container>
  std::size_t below_size(const Container& c) {
    return below(static_cast<std::uint32_t>(c.size()));
  }
  std::string key_of_words(bool wildcards);
  std::string some_value();
  /// A record and what it should read as.
  std::pair<record, std::string> some_record(const std::string& routing_key);
  start_position some_start(const model_log* log, std::optional<std::uint32_t> partition);
  topic_partition some_place();

  // Opening, closing and what is not seen from outside

  [[nodiscard]] std::filesystem::path store() const { return directory_ / "store"; }
  void open();
  void close();
  void reopen();
  void seal();
  void move_time();
  /// The time that a commit now gets.
  [[nodiscard]] timestamp now() const;
  [[nodiscard]] std::uint64_t records_stored() const;

  // One operation

  void step();
  template <class... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    trail_.add(fmt::format(format, std::forward<Args>(args)...));
  }
  [[nodiscard]] const std::string& last() const { return trail_.last(); }

  // Declaring, binding and publishing

  void declare_topic();
  void declare_exchange();
  void declare_queue();
  void declare_anonymous_queue();
  void delete_queue();
  void end_queue(const std::string& queue);
  void bind();
  void unbind();
  std::optional<errc> no_route(const std::string& exchange, const std::string& queue);
  void publish();
  void publish_batch();
  void publish_to_exchange();

  // Groups

  void join();
  void leave();
  void poll();
  void commit();
  void commit_one();
  void seek();
  void ask_positions();
  void pause();
  model_member& modelled(const member_handle& m) { return model_.groups.at(m.group).members.at(m.id); }
  void check_positions(const member_handle& m);

  // Queues

  std::uint32_t takers_of(const std::string& queue);
  void consume();
  void stop_consuming();
  void receive();
  /// Returns whether something came.
  bool receive_from(taker_handle& t);
  void settle();
  void drain_queues();

  // Looking

  void check_record(const record_view& r);
  void replay_some();
  void compare_listings();
  void compare_queues();
  void compare_groups();

  std::mt19937 random_;
  temporary_directory directory_;
  std::shared_ptr<manual_clock> clock_ = std::make_shared<manual_clock>();
  std::optional<bus> bus_;
  model model_;
  timestamp opened_wall_;
  clock::steady_time opened_steady_{};
  timestamp newest_at_open_;
  timestamp sealed_at_;  // the store keeps the time of its last sealing
  std::uint64_t sealed_ = 0;
  std::vector<anonymous_queue> anonymous_;
  std::vector<member_handle> members_;
  std::vector<taker_handle> takers_;
  operation_trail trail_;
  int values_ = 0;
};

}  // namespace levada::test
