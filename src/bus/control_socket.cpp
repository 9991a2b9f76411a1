#include "bus/control_socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <optional>
#include <span>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "bus/core.hpp"
#include "bus/group_tools.hpp"

namespace levada {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using local = asio::local::stream_protocol;

constexpr std::size_t connections_max = 8;

/// How long it may take to send a request, and to take an answer. Who does it properly needs no milliseconds.
constexpr std::chrono::seconds client_patience{10};

/// How long nobody is let in after there was no descriptor left, or no memory: he would be there again at
/// once.
constexpr std::chrono::seconds accept_retry{1};

storage::control_answer carry_out_request(core& owner, const storage::control_request& request) {
  if (const auto* const reset = std::get_if<storage::reset_request>(&request))
    return reset_offsets(owner, reset->group, reset->topic, reset->options);
  const auto& deletion = std::get<storage::deletion_request>(request);
  if (auto done = delete_group(owner, deletion.group, deletion.options); !done) return done.error();
  return std::vector<offset_change>{};
}

/// What it has changed; nothing where it was a dry run.
std::optional<std::string> change_made(const storage::control_request& request) {
  if (const auto* const reset = std::get_if<storage::reset_request>(&request)) {
    if (reset->options.dry_run) return std::nullopt;
    return fmt::format("reset the offsets of group '{}' in topic '{}'", reset->group, reset->topic);
  }
  const auto& deletion = std::get<storage::deletion_request>(request);
  if (deletion.options.dry_run) return std::nullopt;
  return fmt::format("deleted group '{}'", deletion.group);
}

}  // namespace

struct control_socket::connection {
  connection(const asio::any_io_executor& executor, int fd) : socket{executor, local{}, fd} {}
  ~connection() { close(); }
  /// Ends it also where a forked child has inherited it.
  void close() noexcept {
    error_code ignored;
    socket.shutdown(local::socket::shutdown_both, ignored);
    socket.close(ignored);
  }

  local::socket socket;
  storage::peer_process peer;
  storage::control_header header;
  storage::control_words message;
  std::vector<std::byte> reply;
  std::optional<courier::bell> bell;  // while it is waited for
  std::uint64_t phase = 0;            // what the bell was rung for
};

/// Runs a piece of the conversation, which ends where something is thrown.
template <class Function>
void control_socket::guarded(const connection_ptr& c, Function&& what) noexcept {
  try {
    what();
  } catch (const std::exception&) {
    if (c) drop(c);
  }
}

control_socket::control_socket(core& owner, storage::control_file file) noexcept
    : owner_{owner}, file_{std::move(file)} {}

control_socket::~control_socket() {
  stop();
}

result<std::unique_ptr<control_socket>> control_socket::listen(core& owner,
                                                               const std::filesystem::path& directory) {
  auto file = storage::control_file::listen(directory);
  if (!file) return file.error();
  auto made = std::make_unique<control_socket>(owner, std::move(*file));
  try {
    // It has a descriptor of its own, which it closes.
    storage::unique_fd own{::fcntl(made->file_.get(), F_DUPFD_CLOEXEC, 0)};
    if (!own) return error{errc::out_of_resources, "control: no descriptor is left"};
    made->listening_ = std::make_unique<asio::posix::stream_descriptor>(made->talking_.executor());
    made->listening_->assign(own.get());
    static_cast<void>(own.release());
    static_cast<void>(made->serving_.executor());  // it may as well fail now
    if (!made->talking_.post([self = made.get()] { self->await_client(); }))
      return error{errc::closed, "control: the bus is closed"};
  } catch (const std::exception& e) {
    return error{errc::out_of_resources, fmt::format("control: {}", e.what())};
  }
  return made;
}

void control_socket::stop() noexcept {
  if (stopped_.exchange(true)) return;
  file_.remove();
  if (!listening_) return;  // it was never begun
  static_cast<void>(talking_.post([this] {
    closing_ = true;
    error_code ignored;
    listening_->close(ignored);
    guarded(nullptr, [this] { dismiss(); });
  }));
  serving_.end();  // what it has served is posted to be answered
  static_cast<void>(talking_.post([this] {
    for (const auto& c : std::vector{connections_}) drop(c);
  }));
  talking_.end();
}

/// Tells all who have not said yet what they want. Those who are being served still get their answer.
void control_socket::dismiss() {
  const auto goodbye = storage::encode(storage::control_answer{closed()});
  const auto tell = [&goodbye](int fd) {
    static_cast<void>(::send(fd, goodbye.data(), goodbye.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  };
  for (const auto& c : std::vector{connections_}) {
    if (!c->reply.empty() || !c->bell) continue;
    tell(c->socket.native_handle());
    drop(c);
  }
  ::shutdown(file_.get(), SHUT_RDWR);  // also where a forked child has inherited it
  for (;;) {
    const storage::unique_fd waiting{::accept4(file_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (!waiting) return;
    tell(waiting.get());
    ::shutdown(waiting.get(), SHUT_RDWR);
  }
}

error control_socket::closed() const {
  return {errc::closed, fmt::format("control: the bus of '{}' is closed", owner_.store_name())};
}

void control_socket::await_client() {
  if (awaiting_ || closing_ || connections_.size() >= connections_max) return;
  awaiting_ = true;
  listening_->async_wait(asio::posix::descriptor_base::wait_read, [this](error_code failure) {
    awaiting_ = false;
    if (failure) return;
    bool accepted = false;
    guarded(nullptr, [&] { accepted = accept(); });
    guarded(nullptr, [&] { accepted ? await_client() : pause(); });
  });
}

bool control_socket::accept() {
  const int fd = ::accept4(file_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
  take_in(fd);
  return true;
}

void control_socket::pause() {
  static_cast<void>(owner_.errands().ring(owner_.time().steady() + accept_retry, [this] {
    static_cast<void>(talking_.post([this] { guarded(nullptr, [this] { await_client(); }); }));
  }));
}

void control_socket::take_in(int fd) {
  storage::unique_fd owned{fd};
  const auto c = std::make_shared<connection>(listening_->get_executor(), owned.get());
  static_cast<void>(owned.release());
  connections_.push_back(c);
  guarded(c, [&] {
    const auto peer = storage::peer_of(fd);
    if (peer) c->peer = *peer;
    begin_phase(c);
    if (!peer || (peer->user != ::geteuid() && peer->user != 0)) {
      answer(c, error{errc::permission_denied,
                      fmt::format("control: '{}' belongs to user {}", owner_.store_name(), ::geteuid())});
    } else {
      read_header(c);
    }
  });
}

void control_socket::read_header(const connection_ptr& c) {
  asio::async_read(c->socket, asio::buffer(&c->header, sizeof c->header),
                   [this, c](error_code failure, std::size_t) {
                     guarded(c, [&] {
                       if (failure) return drop(c);
                       if (auto fit = c->header.check(); !fit) return answer(c, fit.error());
                       read_message(c);
                     });
                   });
}

void control_socket::read_message(const connection_ptr& c) {
  c->message.resize(c->header.size / sizeof(std::uint64_t));
  asio::async_read(c->socket, asio::buffer(c->message), [this, c](error_code failure, std::size_t) {
    guarded(c, [&] {
      if (failure) return drop(c);
      hand_over(c);
    });
  });
}

void control_socket::hand_over(const connection_ptr& c) {
  end_phase(*c);
  auto request = storage::decode_control_request(c->message);
  if (!request) {
    answer(c, request.error());
  } else if (!serving_.post([this, c, r = std::move(*request)] { serve(c, r); })) {
    answer(c, closed());
  }
}

void control_socket::serve(const connection_ptr& c, const storage::control_request& request) {
  storage::control_answer outcome = error{errc::out_of_resources, "control: out of memory"};
  try {
    outcome = carry_out_request(owner_, request);
    const auto change = outcome ? change_made(request) : std::nullopt;
    if (change && owner_.options().logger) {
      owner_.options().logger->info("levada: process {} of user {} has {} of '{}'", c->peer.pid, c->peer.user,
                                    *change, owner_.store_name());
    }
  } catch (const std::exception&) {
    // As it says, unless it has been done.
  }
  try {
    static_cast<void>(
        talking_.post([this, c, what = std::move(outcome)] { guarded(c, [&] { answer(c, what); }); }));
  } catch (const std::exception&) {
    // The client waits in vain, and says so.
  }
}

void control_socket::answer(const connection_ptr& c, const storage::control_answer& what) {
  c->reply = storage::encode(what);
  begin_phase(c);
  asio::async_write(c->socket, asio::buffer(c->reply), [this, c](error_code, std::size_t) { drop(c); });
}

void control_socket::begin_phase(const connection_ptr& c) {
  end_phase(*c);
  const auto too_late = [this, who = std::weak_ptr{c}, phase = c->phase] {
    static_cast<void>(talking_.post([this, who, phase] {
      const auto still = who.lock();
      if (still && still->phase == phase) drop(still);
    }));
  };
  c->bell = owner_.errands().ring(owner_.time().steady() + client_patience, too_late);
}

void control_socket::end_phase(connection& c) {
  ++c.phase;
  if (c.bell) owner_.errands().silence(*c.bell);
  c.bell.reset();
}

void control_socket::drop(const connection_ptr& c) noexcept {
  const auto known = std::find(connections_.begin(), connections_.end(), c);
  if (known == connections_.end()) return;
  const connection_ptr kept = c;
  connections_.erase(known);
  end_phase(*kept);
  kept->close();
  guarded(nullptr, [this] { await_client(); });
}

}  // namespace levada
