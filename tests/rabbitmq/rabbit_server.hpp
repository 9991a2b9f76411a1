#pragma once

/// @file
/// A RabbitMQ server of the test's own.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace levada::rabbit {

/// Why there can be no server here and what to install, or nothing when there can be one.
[[nodiscard]] std::optional<std::string> reason_for_no_server();

/// A server that listens on free ports of the loopback interface, keeps everything in a directory of its own,
/// and is gone with all its processes and files on destruction. So it is when the program that made it ends
/// in any other way: the server's processes are children of a keeper process, which waits for that.
///
/// Needs no root, and no configuration of a packaged server is read. It takes seconds to start: one for each
/// test program. Not thread-safe. Failures are thrown as `std::runtime_error`, with the end of the server's
/// log.
class rabbit_server {
 public:
  /// Starts it, and returns when it accepts connections.
  rabbit_server();
  ~rabbit_server();
  rabbit_server(const rabbit_server&) = delete;
  rabbit_server& operator=(const rabbit_server&) = delete;

  /// Of AMQP 0-9-1, on 127.0.0.1; the user is "guest".
  [[nodiscard]] std::uint16_t port() const noexcept { return ports_.amqp; }
  /// All ports it was given: those of AMQP, of Erlang's distribution and of epmd.
  [[nodiscard]] std::vector<std::uint16_t> ports() const;
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  /// The process that ends the others. They are all its descendants.
  [[nodiscard]] pid_t keeper() const noexcept { return keeper_; }

  /// How often `settle` had to look again because something was still under way.
  [[nodiscard]] std::uint64_t waits() const noexcept { return waits_; }

 private:
  friend class virtual_host;
  struct port_set {
    std::uint16_t amqp = 0;
    std::uint16_t distribution = 0;
    std::uint16_t epmd = 0;
  };

  void start();
  void stop() noexcept;
  std::string ask(std::string_view command);
  /// The next line of the control program. Nothing when the server has ended.
  [[nodiscard]] std::optional<std::string> read_answer();
  [[nodiscard]] std::string log_tail() const;

  std::filesystem::path directory_;
  port_set ports_;
  pid_t keeper_ = -1;
  /// Its other end is the keeper's; closing it ends everything.
  int life_ = -1;
  int commands_ = -1;
  int answers_ = -1;
  std::string buffered_;
  std::uint64_t hosts_ = 0;
  std::uint64_t waits_ = 0;
};

/// An empty virtual host of a server, deleted on destruction. The server must outlive it.
class virtual_host {
 public:
  explicit virtual_host(rabbit_server& server);
  ~virtual_host();
  virtual_host(const virtual_host&) = delete;
  virtual_host& operator=(const virtual_host&) = delete;

  /// Not used before.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Waits until the queues here have nothing left to do, and neither has any channel of the server. What a
  /// client sent must have arrived before: send something with an answer on the same channel first. Dead
  /// letters go from queue to queue as messages between Erlang processes, and no answer of AMQP says that
  /// they have arrived; the counts of a passive declaration even overtake them. How that is known is said in
  /// `control.erl`. Throws `std::runtime_error` where they do not come to rest within 20 s.
  void settle();

 private:
  rabbit_server& server_;
  std::string name_;
};

}  // namespace levada::rabbit
