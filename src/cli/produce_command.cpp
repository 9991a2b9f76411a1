#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
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
constexpr std::size_t run_bytes_max = std::size_t{1} << 20;
// Where there are several partitions, runs start small and double, so that small inputs spread too.
constexpr std::size_t run_bytes_first = std::size_t{16} << 10;

/// Turns lines into records of one topic. Lines without a key go to the partitions in turn, but in runs of
/// one commit each: so a reader of the whole topic, who follows the order of commits, gets them back in their
/// order.
class line_publisher {
 public:
  /// `first`: the partition of the first run.
  line_publisher(topic where, partition_id first, const produce_request& request)
      : where_{std::move(where)},
        batch_{where_.make_batch()},
        request_{request},
        current_{first},
        run_bytes_{where_.partitions() > 1 ? run_bytes_first : run_bytes_max} {}

  /// Takes a line into the batch; adds nothing on failure.
  [[nodiscard]] result<publish_batch::slot> add(std::string_view line) {
    const auto at = request_.key_separator.empty() ? line.npos : line.find(request_.key_separator);
    const bool has_key = at != line.npos;
    const auto key = has_key ? line.substr(0, at) : std::string_view{};
    const auto value = has_key ? line.substr(at + request_.key_separator.size()) : line;
    // Without a partition the key decides.
    const bool by_key = has_key && !request_.partition;
    const partition_id partition = request_.partition.value_or(current_);
    if (request_.headers.empty() && has_key == by_key) {
      return by_key ? batch_.add(key, value) : batch_.add(partition, value);
    }
    record r{std::string{value}};
    if (has_key) r.key(std::string{key});
    for (const auto& h : request_.headers) r.header(h.name, h.value);
    return by_key ? batch_.add(r) : batch_.add(partition, r);
  }
  /// Whether the batch is worth a commit.
  [[nodiscard]] bool full() const noexcept { return batch_.bytes() >= run_bytes_; }
  /// Makes durable what has been added.
  [[nodiscard]] result<void> publish() {
    const std::size_t count = batch_.size();
    if (count == 0) return {};
    if (auto published = where_.publish(batch_); !published) return published.error();
    stored_ += count;
    current_ = partition_id{(current_.value() + 1) % where_.partitions()};
    run_bytes_ = std::min(2 * run_bytes_, run_bytes_max);
    return {};
  }
  [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }

 private:
  topic where_;
  publish_batch batch_;
  const produce_request& request_;
  partition_id current_;
  std::size_t run_bytes_;
  std::uint64_t stored_ = 0;
};

/// The topic to write to. An existing one is taken as it is, unless a number of partitions was asked for.
/// That it has the partition asked for is made sure of here: an input without lines would never find out, and
/// a new topic should not be made in vain.
result<topic> find_or_declare(bus& store, const produce_request& request) {
  const auto has_partition = [&](std::uint32_t partitions) {
    return !request.partition || request.partition->value() < partitions;
  };
  if (!request.partitions) {
    auto found = store.topic(request.topic);
    if (found && !has_partition(found->partitions())) {
      return error{errc::unknown_partition,
                   fmt::format("publish to topic '{}', partition {}: the topic has {}", request.topic,
                               request.partition->value(), found->partitions())};
    }
    if (found || found.error() != errc::unknown_topic) return found;
  }
  const std::uint32_t partitions = request.partitions.value_or(1);
  if (!has_partition(partitions)) {
    return error{errc::unknown_partition,
                 fmt::format("declare topic '{}' for partition {}: it would have {} (see --partitions)",
                             request.topic, request.partition->value(), partitions)};
  }
  return store.declare_topic(request.topic, {.partitions = partitions});
}

/// The partition that has been given the fewest records, so that many small inputs spread.
result<partition_id> emptiest_partition(const bus& store, const std::string& topic) {
  const auto topics = store.topics();
  if (!topics) return topics.error();
  partition_info least{partition_id{0}, offset{0}, offset{std::numeric_limits<std::uint64_t>::max()}};
  for (const auto& info : *topics) {
    if (info.name != topic) continue;
    for (const auto& p : info.partitions) {
      if (p.end < least.end) least = p;
    }
  }
  return least.id;
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
  const auto first = emptiest_partition(*store, request.topic);
  if (!first) return first.error();
  line_reader lines{STDIN_FILENO, options.record_bytes_max};
  line_publisher publisher{std::move(*where), *first, request};
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
