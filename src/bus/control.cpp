#include <levada/control.hpp>

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "bus/with_operation.hpp"
#include "storage/control_file.hpp"
#include "storage/control_message.hpp"
#include "storage/errors.hpp"
#include "storage/owner_lock.hpp"

#include <levada/bus.hpp>

namespace levada {
namespace {

/// How long the owner may take to answer. It waits for no more than a commit or two.
constexpr std::chrono::seconds owner_patience{30};

/// An owner may come or go between the look at the lock and that at the socket.
constexpr int attempts = 3;

/// Sends all of it. Returns what errno says, or 0.
int send_all(int fd, std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

/// Fills `bytes`. Returns what errno says, ECONNRESET where the end came before, or 0.
int receive_all(int fd, std::span<std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ECONNRESET;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

/// The bytes of the owner's answer, or why there are none.
result<storage::control_words> receive_answer(int fd, int pid) {
  const auto lost = [pid](int code) {
    const char* const how = code == EAGAIN ? "says nothing" : "is gone";
    return error{errc::outcome_unknown,
                 fmt::format("process {}, which owns the store, was asked and {}", pid, how)};
  };
  storage::control_header header;
  if (const int code = receive_all(fd, std::as_writable_bytes(std::span{&header, 1})); code != 0)
    return lost(code);
  if (auto fit = header.check(); !fit) return fit.error();
  storage::control_words message(header.size / sizeof(std::uint64_t));
  if (const int code = receive_all(fd, std::as_writable_bytes(std::span{message})); code != 0)
    return lost(code);
  return message;
}

/// What the owner says; nothing where it does not listen.
std::optional<storage::control_answer> ask_owner(const std::filesystem::path& directory,
                                                 const std::string& operation, int pid,
                                                 const storage::control_request& request) {
  const auto bytes = storage::encode(request);
  if (!bytes) return with_operation(operation, bytes.error());
  const auto connected = storage::connect_to_control(directory, owner_patience);
  if (!connected) return with_operation(operation, connected.error());
  if (!*connected) return std::nullopt;
  const int fd = (*connected)->get();
  // An owner that refuses a request says why, and need not have read all of it.
  if (const int code = send_all(fd, *bytes); code != 0 && code != EPIPE && code != ECONNRESET) {
    const auto file = directory / storage::control_file_name;
    return with_operation(operation, storage::system_error(code, "send to", file));
  }
  const auto message = receive_answer(fd, pid);
  if (!message) return with_operation(operation, message.error());
  return storage::decode_control_answer(*message);
}

/// Has it done by whoever owns the store, or by `do_it` with a bus of its own.
storage::control_answer change_store(const std::filesystem::path& directory, const std::string& operation,
                                     const bus_options& how, const storage::control_request& request,
                                     const std::function<storage::control_answer(bus&)>& do_it) {
  bus_options opening = how;
  opening.create = false;
  opening.control_socket = false;
  std::optional<error> refused;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    auto own = bus::open(directory, opening);
    if (own) {
      auto done = do_it(*own);
      // In `checkpointed` mode only this makes it durable.
      if (auto closed = own->close(); done && !closed) return with_operation(operation, closed.error());
      return done;
    }
    if (own.error() != errc::store_in_use) return with_operation(operation, own.error());
    const auto pid = storage::owner_pid(directory);
    refused = with_operation(operation, own.error());
    if (!pid) continue;
    if (auto answer = ask_owner(directory, operation, *pid, request)) return std::move(*answer);
    refused = error{errc::store_in_use,
                    fmt::format("{}: store '{}' is in use by the process with pid {}, which does not "
                                "listen at a control socket; it can with bus_options::control_socket",
                                operation, directory.string(), *pid)};
  }
  return *refused;
}

}  // namespace

result<std::vector<offset_change>> reset_offsets(const std::filesystem::path& directory,
                                                 std::string_view group, std::string_view topic,
                                                 const offset_reset_options& options,
                                                 const bus_options& how) {
  auto changes = change_store(directory, fmt::format("reset offsets of group '{}'", group), how,
                              storage::reset_request{std::string{group}, std::string{topic}, options},
                              [&](bus& own) { return own.reset_offsets(group, topic, options); });
  if (changes) {
    for (auto& change : *changes) change.where.topic = topic;
  }
  return changes;
}

result<void> delete_group(const std::filesystem::path& directory, std::string_view group,
                          const group_deletion_options& options, const bus_options& how) {
  const auto done = change_store(directory, fmt::format("delete group '{}'", group), how,
                                 storage::deletion_request{std::string{group}, options},
                                 [&](bus& own) -> storage::control_answer {
                                   if (auto deleted = own.delete_group(group, options); !deleted)
                                     return deleted.error();
                                   return std::vector<offset_change>{};
                                 });
  if (!done) return done.error();
  return {};
}

}  // namespace levada
