#include "bus/messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "log/batch_builder.hpp"
#include "log/log_reader.hpp"

namespace levada {
namespace {

/// How many of these stand one behind the other in a partition, from the first on, up to so many bytes.
std::size_t run_at_front(std::span<const queue::reference> which, std::size_t bytes_max) {
  const queue::reference& first = which.front();
  std::size_t n = 1;
  for (std::size_t bytes = first.bytes; n < which.size() && bytes < bytes_max; ++n) {
    const queue::reference& next = which[n];
    if (next.log != first.log || next.partition != first.partition || next.offset != first.offset + n) break;
    bytes += next.bytes;
  }
  return n;
}

/// Reads neighbours in runs of up to `run_max`; nothing where one of a run is missing, as it cannot be told
/// which.
std::optional<read_messages_outcome> read_in_runs(const core& owner, const storage::main_environment& main,
                                                  const std::string& operation,
                                                  std::span<const queue::reference> which,
                                                  std::size_t bytes_max, std::size_t run_max) {
  read_messages_outcome outcome;
  log::log_reader reader{main};
  log::batch_builder into{{.records = 0}};
  const auto refuse = [&](errc code, const char* what) {
    const queue::reference& where = which[outcome.read];
    outcome.ended = error{code, fmt::format("{}: log {} partition {} offset {} {}", operation, where.log,
                                            where.partition, where.offset, what)};
  };
  while (outcome.ended && outcome.read < which.size() && into.bytes() < bytes_max) {
    const queue::reference& where = which[outcome.read];
    const auto topic = owner.find_topic(where.log);
    if (!topic || where.partition >= topic->state.partitions()) {
      refuse(errc::damaged, "is named by an entry, and does not exist");
      break;
    }
    const std::size_t run =
        std::min(run_max, run_at_front(which.subspan(outcome.read), bytes_max - into.bytes()));
    const std::size_t before = into.records();
    into.limit_records(before + run);
    std::uint64_t from = where.offset;
    auto done = reader.read_partition(topic->state, where.partition, from, into, where.offset + run);
    const std::size_t got = into.records() - before;
    if (run > 1 && got < run) return std::nullopt;
    outcome.read += got;
    if (!done) {
      outcome.ended = done.error();
    } else if (got == 0) {
      refuse(errc::damaged, "is named by an entry, and not in the log");
    }
  }
  outcome.messages = into.finish();
  return outcome;
}

}  // namespace

read_messages_outcome read_messages(const core& owner, const storage::main_environment& main,
                                    const std::string& operation, std::span<const queue::reference> which,
                                    std::size_t bytes_max) {
  auto read = read_in_runs(owner, main, operation, which, bytes_max, which.size());
  if (!read) read = read_in_runs(owner, main, operation, which, bytes_max, 1);
  return std::move(*read);
}

}  // namespace levada
