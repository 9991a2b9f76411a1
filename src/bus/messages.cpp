#include "bus/messages.hpp"

#include <fmt/format.h>

#include "log/log_reader.hpp"

namespace levada {

read_messages_outcome read_messages(const core& owner, const storage::main_environment& main,
                                    const std::string& operation, std::span<const queue::reference> which,
                                    std::size_t bytes_max, log::batch_builder& into) {
  read_messages_outcome outcome;
  log::log_reader reader{main};
  const auto refuse = [&](errc code, const char* what) {
    const queue::reference& where = which[outcome.read];
    outcome.ended = error{code, fmt::format("{}: log {} partition {} offset {} {}", operation, where.log,
                                            where.partition, where.offset, what)};
    return outcome;
  };
  for (; outcome.read < which.size() && into.bytes() < bytes_max; ++outcome.read) {
    const queue::reference& where = which[outcome.read];
    const auto topic = owner.find_topic(where.log);
    if (!topic || where.partition >= topic->state.partitions())
      return refuse(errc::damaged, "is named by an entry, and does not exist");
    const std::size_t before = into.records();
    into.limit_records(before + 1);
    std::uint64_t from = where.offset;
    auto done = reader.read_partition(topic->state, where.partition, from, into, where.offset + 1);
    if (!done) {
      outcome.ended = done.error();
      return outcome;
    }
    if (into.records() == before) return refuse(errc::damaged, "is named by an entry, and not in the log");
  }
  return outcome;
}

}  // namespace levada
