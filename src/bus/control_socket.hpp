#pragma once

/// @file
/// The owner's side of the socket `control`.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "bus/executor_threads.hpp"
#include "storage/control_file.hpp"
#include "storage/control_message.hpp"

#include <levada/error.hpp>

namespace levada {

class core;

/// Lets other processes of the same user reset and delete groups. One thread talks to them, to eight at a
/// time; another one does what they ask for, as that waits for commits. Each connection carries one request
/// and its answer. Who has not sent his request, or taken his answer, within 10 s is sent away; what is no
/// request is answered with an error. Whatever comes in, nothing is thrown. Safe to share.
class control_socket {
 public:
  /// Listens from now on. Fails with what the system reports.
  [[nodiscard]] static result<std::unique_ptr<control_socket>> listen(core& owner,
                                                                      const std::filesystem::path& directory);
  control_socket(core& owner, storage::control_file file) noexcept;
  control_socket(const control_socket&) = delete;
  control_socket& operator=(const control_socket&) = delete;
  ~control_socket();

  /// Takes the file away, waits for the requests that are being served, and answers them, tells all others
  /// that the bus is closed, and ends the threads. Idempotent; not to be called by several threads at once.
  /// The courier must still be there.
  void stop() noexcept;

 private:
  struct connection;
  using connection_ptr = std::shared_ptr<connection>;

  // What follows is for the thread that talks, but for `serve`.
  void dismiss();
  [[nodiscard]] error closed() const;
  void await_client();
  /// False where it is better to wait a little.
  bool accept();
  void pause();
  void take_in(int fd);
  void read_header(const connection_ptr& c);
  void read_message(const connection_ptr& c);
  void hand_over(const connection_ptr& c);
  void serve(const connection_ptr& c, const storage::control_request& request);
  void answer(const connection_ptr& c, const storage::control_answer& what);
  void begin_phase(const connection_ptr& c);
  void end_phase(connection& c);
  void drop(const connection_ptr& c) noexcept;
  template <class Function>
  void guarded(const connection_ptr& c, Function&& what) noexcept;

  core& owner_;
  storage::control_file file_;
  executor_threads talking_;
  executor_threads serving_;
  std::unique_ptr<boost::asio::posix::stream_descriptor> listening_;
  bool awaiting_ = false;
  bool closing_ = false;
  std::vector<connection_ptr> connections_;
  std::atomic<bool> stopped_{false};
};

}  // namespace levada
