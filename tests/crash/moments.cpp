#include <crash/moments.hpp>

#include <variant>

namespace levada::crash {

std::size_t lines_certain(const history& lines) {
  std::size_t certain = 0;
  std::size_t flush_begun = 0;
  durability mode = durability::synced;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const event e = from_line(lines[i]);
    if (const auto* const now = std::get_if<opened>(&e)) {
      // Opening makes what it found durable, in the mode of old or as the first checkpoint.
      mode = now->mode;
      certain = i + 1;
    } else if (std::holds_alternative<closed>(e)) {
      certain = i + 1;
    } else if (std::holds_alternative<flushing>(e)) {
      flush_begun = i;
    } else if (std::holds_alternative<flushed>(e)) {
      // What others were told while it went on may be newer than the checkpoint.
      certain = flush_begun;
    }
  }
  return mode == durability::synced ? lines.size() : certain;
}

}  // namespace levada::crash
