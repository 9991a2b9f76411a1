#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/commands.hpp"
#include "cli/line_reader.hpp"
#include "cli/requests.hpp"
#include "cli/signals.hpp"
#include "cli/standard_streams.hpp"

#include <levada/bus.hpp>

namespace levada::cli {
namespace {

// Large enough that a commit's flush to the disk costs little beside the bytes themselves.
constexpr std::size_t publish_bytes = std::size_t{1} << 20;

/// Turns lines into records of one topic.
class line_publisher {
 public:
  line_publisher(topic where, const produce_request& request)
      : where_{std::move(where)}, batch_{where_.make_batch()}, request_{request} {}

  /// Takes a line into the batch; adds nothing on failure.
  [[nodiscard]] result<publish_batch::slot> add(std::string_view line) {
    const auto at = request_.key_separator.empty() ? line.npos : line.find(request_.key_separator);
    const bool has_key = at != line.npos;
    const auto key = has_key ? line.substr(0, at) : std::string_view{};
    const auto value = has_key ? line.substr(at + request_.key_separator.size()) : line;
    if (request_.headers.empty() && !(has_key && request_.partition)) {
      if (has_key) return batch_.add(key, value);
      return request_.partition ? batch_.add(*request_.partition, value) : batch_.add(value);
    }
    record r{std::string{value}};
    if (has_key) r.key(std::string{key});
    for (const auto& h : request_.headers) r.header(h.name, h.value);
    return request_.partition ? batch_.add(*request_.partition, r) : batch_.add(r);
  }
  /// Whether the batch is worth a commit.
  [[nodiscard]] bool full() const noexcept { return batch_.bytes() >= publish_bytes; }
  /// Makes durable what has been added.
  [[nodiscard]] result<void> publish() {
    const std::size_t count = batch_.size();
    if (auto published = where_.publish(batch_); !published) return published.error();
    stored_ += count;
    return {};
  }
  [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }

 private:
  topic where_;
  publish_batch batch_;
  const produce_request& request_;
  std::uint64_t stored_ = 0;
};

/// The topic to write to. An existing one is taken as it is, unless a number of partitions was asked for.
result<topic> find_or_declare(bus& store, const produce_request& request) {
  if (!request.partitions) {
    auto found = store.topic(request.topic);
    if (found || found.error() != errc::unknown_topic) return found;
  }
  return store.declare_topic(request.topic, {.partitions = request.partitions.value_or(1)});
}

enum class event { none, input, stop };

/// Waits for standard input or a signal; `timeout` as poll(2) takes it.
result<event> wait_for_event(const stop_signals& stop, int timeout) {
  std::array<pollfd, 2> watched{{{STDIN_FILENO, POLLIN, 0}, {stop.descriptor(), POLLIN, 0}}};
  if (::poll(watched.data(), watched.size(), timeout) < 0 && errno != EINTR) {
    return error{errc::io_error,
                 fmt::format("wait for standard input: {}", std::generic_category().message(errno))};
  }
  if (stop.requested()) return event::stop;
  // Also where it has ended or cannot be read: reading tells.
  return watched[0].revents != 0 ? event::input : event::none;
}

/// Publishes what has been added, then hands on why no more can be.
result<void> publish_and_fail(line_publisher& to, error why) {
  if (auto published = to.publish(); !published) return published;
  return why;
}

/// Stores lines until the input ends or a signal comes; a line that has not come whole by then is dropped.
result<void> store_lines(line_reader& from, line_publisher& to, const stop_signals& stop) {
  for (;;) {
    while (const auto line = from.take()) {
      if (auto added = to.add(*line); !added) {
        const error& why = added.error();
        return publish_and_fail(to,
                                {why.code(), fmt::format("line {}: {}", from.line_number(), why.message())});
      }
      if (!to.full()) continue;
      if (auto published = to.publish(); !published) return published;
    }
    if (from.at_end()) break;
    auto happened = wait_for_event(stop, 0);
    if (happened && *happened == event::none) {
      // Whoever writes the lines pauses: what is here becomes visible now.
      if (auto published = to.publish(); !published) return published;
      happened = wait_for_event(stop, -1);
    }
    if (!happened) return publish_and_fail(to, happened.error());
    if (*happened == event::stop) break;
    if (*happened == event::none) continue;
    if (auto got = from.read(); !got) return publish_and_fail(to, got.error());
  }
  return to.publish();
}

std::string count_of_records(std::uint64_t n) {
  return fmt::format("{} record{}", n, n == 1 ? "" : "s");
}

}  // namespace

result<int> run(const produce_request& request) {
  const stop_signals stop{stop_signals::waiting_call::restarted};
  const bus_options options;
  auto store = bus::open(request.directory, options);
  if (!store) return store.error();
  auto where = find_or_declare(*store, request);
  if (!where) return where.error();
  line_reader lines{STDIN_FILENO, options.record_bytes_max};
  line_publisher publisher{std::move(*where), request};
  if (auto done = store_lines(lines, publisher, stop); !done) {
    return error{done.error().code(), fmt::format("{}; {} stored before that", done.error().message(),
                                                  count_of_records(publisher.stored()))};
  }
  if (auto closed = store->close(); !closed) return closed.error();
  if (lines.at_end()) return 0;
  report(fmt::format("interrupted; {} stored", count_of_records(publisher.stored())));
  return stop.exit_status();
}

}  // namespace levada::cli
