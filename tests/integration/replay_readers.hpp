#pragma once

/// @file
/// Replays at work on a store that changes, each compared with what must be there.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <levada/levada.hpp>

#include "replay_world.hpp"

namespace levada::test {

/// Opens replays and lets them go on in random order. Throws `disagreement` where one returns anything but
/// what the world says.
class replay_readers {
 public:
  replay_readers(replay_world& w, std::uint32_t seed) : world_{w}, dice_{seed} {}

  void clear() { cursors_.clear(); }

  /// Opens a replay of `source`, a bus or an attachment, or lets one go on.
  template <class Source>
  void act(const Source& source) {
    act_on([&source](const std::string* topic, const replay_options& o) {
      return topic == nullptr ? source.replay_all(o) : source.replay(*topic, o);
    });
  }
  void finish_all();

 private:
  static constexpr std::uint64_t no_end = UINT64_MAX;

  /// Opens a replay of a topic, or of all with null.
  using opener = std::function<result<replay>(const std::string* topic, const replay_options&)>;

  struct bounds {
    std::uint64_t next = 0;
    std::uint64_t until = no_end;
  };
  struct cursor {
    std::string what;
    std::optional<std::size_t> topic;  // nothing: all
    bool bounded = false;
    std::size_t bytes_max = 0;
    std::map<std::size_t, std::vector<bounds>> parts;  // by topic and partition
    std::size_t passed = 0;                            // commits that are of no interest any more
    replay pass;

    [[nodiscard]] bool ended() const {
      return bounded && std::all_of(parts.begin(), parts.end(), [](const auto& part) {
               return std::all_of(part.second.begin(), part.second.end(),
                                  [](const bounds& b) { return b.next >= b.until; });
             });
    }
  };

  void act_on(const opener& source);
  void open(const opener& source);
  timestamp some_time();
  static std::vector<bounds> place_bounds(const replay_options& o, const modelled_topic& t);
  /// What is deleted disturbs no replay of all topics; what is new belongs to those that have no end.
  void take_in_topics(cursor& c);
  /// Takes one step, and returns whether there may be more.
  bool advance(cursor& c);
  void finish(cursor& c);
  /// The unread records that a part has lost, or nothing.
  [[nodiscard]] std::optional<std::uint64_t> lost_until(std::size_t topic, std::uint32_t partition,
                                                        const bounds& b) const;
  [[nodiscard]] bool is_overtaken(const cursor& c) const;
  bool take_in_removal(cursor& c, const std::string& message);
  /// Compares what came with what is the next in the order of commits.
  void compare(cursor& c, const record_batch& batch);

  replay_world& world_;
  dice dice_;
  std::vector<cursor> cursors_;
};

}  // namespace levada::test
