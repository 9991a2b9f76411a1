#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>

#include <levada/async.hpp>
#include <levada/clock.hpp>

#include "connection.hpp"
#include "public_profile.hpp"
#include "watch.hpp"

namespace live_profile {

/// What viewers have in common. What is referred to must outlive them.
struct surroundings {
  levada::bus& bus;
  levada::table profiles;
  /// Runs one handler at a time.
  boost::asio::any_io_executor executor;
  std::shared_ptr<levada::clock> clock;
};

/// One viewer who is connected: an anonymous queue, bound for the users whom he watches, and what he has been
/// sent of them. The queue goes with the viewer, and with the process, so nothing is kept for who is gone.
///
/// No gap and no stale update: the queue is bound first, and the snapshot read from the table afterwards.
/// Each change is committed together with its event. One that was committed before the binding is in the
/// snapshot; a later one is in the queue, and perhaps in the snapshot as well: of a queue's events only those
/// are sent that are newer than what was sent before.
///
/// A slow viewer holds up nobody: he is sent one update at a time, by handlers, and while his connection
/// takes none, his changes wait in his own queue on the disk.
///
/// Used in the executor alone. Its handlers share in owning it.
class viewer : public std::enable_shared_from_this<viewer> {
 public:
  /// Makes the queue and binds it: from here on nothing is missed. `on_end` is called, after
  /// `connection::ended`, when the viewer ends by itself, as by an error of the bus.
  [[nodiscard]] static levada::result<std::shared_ptr<viewer>> bind(const surroundings& s, const watch& who,
                                                                    std::shared_ptr<connection> to,
                                                                    std::function<void()> on_end);
  /// Sends the snapshot, and then the changes, as they come.
  [[nodiscard]] levada::result<void> start();
  /// Sends nothing from here on, and gives the queue up with what is in it. Idempotent.
  [[nodiscard]] levada::result<void> disconnect();
  /// The same, and tells the connection why.
  [[nodiscard]] levada::result<void> disconnect(const levada::error& why);

  /// For how long an update has been on its way; nothing where none is.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> sending_for() const;
  /// Whether everything that came is sent and settled, and it waits for the next change.
  [[nodiscard]] bool is_waiting() const { return is_waiting_; }
  /// Events that said nothing new, as the snapshot held them already.
  [[nodiscard]] std::uint64_t known_already() const { return known_already_; }

 private:
  viewer(const surroundings& s, watch who, std::shared_ptr<connection> to, std::function<void()> on_end,
         levada::exclusive_queue queue, levada::queue_consumer events);

  /// Takes note of a profile, if it is newer than what is known. Returns whether it is.
  bool note(const public_profile& p);
  void receive();
  void received(const levada::result<std::optional<levada::delivery>>& event);
  void send(const update& u);
  void sent(std::uint64_t update_number);
  void settle();
  void fail(const levada::error& why);

  const surroundings surroundings_;
  const watch who_;
  const std::shared_ptr<connection> to_;
  const std::function<void()> on_end_;
  levada::exclusive_queue queue_;
  levada::queue_consumer events_;

  std::map<user_id, std::uint64_t> versions_;  // the newest that were sent
  std::optional<levada::delivery_tag> unsettled_;
  std::optional<levada::clock::steady_time> sending_since_;
  std::uint64_t updates_ = 0;
  std::uint64_t known_already_ = 0;
  bool is_waiting_ = false;
  bool is_closed_ = false;
};

}  // namespace live_profile
