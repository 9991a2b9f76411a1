#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include <levada/bus.hpp>
#include <levada/clock.hpp>

#include "connection.hpp"
#include "viewer.hpp"
#include "watch.hpp"

namespace live_profile {

using viewer_id = std::uint64_t;

/// Where viewers connect. It reads the table of the public profiles and the exchange's messages, and knows no
/// credentials that it could tell.
///
/// Used in its executor alone, which runs one handler at a time: a strand, or a context with one thread.
/// Executor and bus must outlive it. Destroying it disconnects everybody.
class gateway {
 public:
  /// `clock` is that of the bus. Throws `levada::exception`.
  gateway(levada::bus& bus, boost::asio::any_io_executor executor, std::shared_ptr<levada::clock> clock);
  ~gateway();
  gateway(const gateway&) = delete;
  gateway& operator=(const gateway&) = delete;

  /// Connects a viewer: he is sent a snapshot, and from then on each change.
  [[nodiscard]] levada::result<viewer_id> connect(const watch& who, std::shared_ptr<connection> to);
  /// Disconnects one who went away. One who has ended before is no error.
  [[nodiscard]] levada::result<void> disconnect(viewer_id id);
  /// Ends, with `timed_out`, those whose connections have taken nothing for `time_max`, so that what waits
  /// for them does not grow for ever. To be called once in a while. Returns how many it were.
  [[nodiscard]] levada::result<std::size_t> drop_stalled(std::chrono::milliseconds time_max);

  [[nodiscard]] std::size_t connected() const { return viewers_.size(); }
  /// How many of them have been sent everything, and wait for the next change.
  [[nodiscard]] std::size_t waiting() const;

 private:
  const surroundings surroundings_;
  std::map<viewer_id, std::shared_ptr<viewer>> viewers_;
  viewer_id last_ = 0;
};

}  // namespace live_profile
