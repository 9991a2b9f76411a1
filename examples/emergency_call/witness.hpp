#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "event.hpp"

namespace emergency {

/// Who saw everything from outside of the store: takes the events in the order in which they were told, and
/// keeps what the proof needs. Throws `failure` for an event that cannot be, such as a subscriber that never
/// joined or a call that nobody made.
class witness {
 public:
  /// A life of the host, counted from 1.
  using life_number = std::uint32_t;

  struct handing {
    life_number life = 0;
    levada::partition_id partition;
    levada::offset offset;
    /// Queues that the exchange put it into.
    std::size_t queues = 0;
    /// Subscribers that were there for the line at that moment.
    std::set<subscriber_id> subscribers;
  };
  struct call_story {
    /// The line's key.
    std::string line;
    /// The call as CSV.
    std::string text;
    bool acknowledged = false;
    bool accepted = false;
    std::vector<handing> handings;
    /// Who received it, in each life.
    std::map<life_number, std::set<subscriber_id>> receivers;
  };
  struct counts {
    std::uint64_t events = 0;
    std::uint64_t kills = 0;
    std::uint64_t acknowledged = 0;
    /// Acknowledged when the caller called again.
    std::uint64_t acknowledged_again = 0;
    std::uint64_t accepted = 0;
    std::uint64_t joined = 0;
    std::uint64_t deliveries = 0;
  };
  /// Deliveries that should not have been, a sentence each.
  struct faults {
    /// To a subscriber that does not care for the line.
    std::vector<std::string> wrong_line;
    /// Twice to one subscriber.
    std::vector<std::string> repeated;
    /// A call of a line after a later call of that line, at one subscriber.
    std::vector<std::string> late;
  };

  void see(const event& e);

  [[nodiscard]] const std::map<call_id, call_story>& calls() const { return calls_; }
  [[nodiscard]] const counts& count() const { return count_; }
  [[nodiscard]] const faults& wrong() const { return wrong_; }
  /// How many lives the host has had.
  [[nodiscard]] life_number lives() const { return life_; }
  /// How many subscribers there are now.
  [[nodiscard]] std::size_t present() const { return present_.size(); }
  /// Acknowledged calls of which the notifier has not told that it is done with them.
  [[nodiscard]] std::uint64_t backlog() const;
  /// The offset that the notifier had told to be committed when that life began; 0 when none.
  [[nodiscard]] levada::offset committed_before(life_number life, levada::partition_id p) const;

 private:
  using committed_offsets = std::map<levada::partition_id, levada::offset>;

  void take(const call_made& e);
  void take(const host_started& e);
  void take(const host_killed& e);
  void take(const call_acknowledged& e);
  void take(const subscriber_joined& e);
  void take(const subscriber_left& e);
  void take(const alert_handed& e);
  void take(const alert_delivered& e);
  void take(const call_accepted& e);
  void take(const offset_committed& e);
  void take(const line_printed&) {}
  void take(const report_finished&) {}
  [[nodiscard]] call_story& story_of(call_id c);
  [[nodiscard]] const scope& scope_of(subscriber_id s) const;

  life_number life_ = 0;
  std::map<call_id, call_story> calls_;
  counts count_;
  faults wrong_;
  std::map<subscriber_id, scope> subscribers_;  // all of this life
  std::set<subscriber_id> present_;
  std::map<std::pair<subscriber_id, std::string>, call_id> newest_;  // by subscriber and line, in this life
  committed_offsets committed_;
  std::map<life_number, committed_offsets> committed_before_;
};

}  // namespace emergency
