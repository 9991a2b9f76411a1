#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <levada/bus.hpp>
#include <levada/clock.hpp>

#include "gateway.hpp"
#include "screen.hpp"
#include "user_service.hpp"

namespace live_profile {

/// What there is of queues.
struct queue_figures {
  std::size_t queues = 0;
  std::size_t bindings = 0;
  std::uint64_t messages = 0;

  friend bool operator==(const queue_figures&, const queue_figures&) = default;
};

/// The host of both services: one process, one bus, one thread that runs the gateway's handlers when told to.
/// Under a manual clock, so that each run is the same. Members throw `levada::exception`.
class host {
 public:
  explicit host(const std::filesystem::path& store);

  [[nodiscard]] levada::bus& bus() { return bus_; }
  [[nodiscard]] user_service& users() { return users_; }
  [[nodiscard]] gateway& viewers() { return gateway_; }
  [[nodiscard]] levada::manual_clock& clock() { return *clock_; }

  [[nodiscard]] std::vector<public_profile> profiles() const;
  /// The user as he stands in the table; there must be one.
  [[nodiscard]] public_profile profile(user_id id) const;
  /// Records in the exchange's log.
  [[nodiscard]] std::uint64_t events() const;
  [[nodiscard]] queue_figures figures() const;

  /// Runs handlers until `done`. Throws `example::failure` when nothing happens any more.
  void run_until(const std::function<bool()>& done);
  void close() { bus_.close().value(); }

 private:
  boost::asio::io_context context_;  // outlives the bus
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::shared_ptr<levada::manual_clock> clock_;
  levada::bus bus_;
  user_service users_;
  gateway gateway_;
};

}  // namespace live_profile
