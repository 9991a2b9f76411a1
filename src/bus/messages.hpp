#pragma once

/// @file
/// The messages that entries of queues name.

#include <cstddef>
#include <span>
#include <string>

#include "bus/core.hpp"
#include "queue/queue_blocks.hpp"

#include <levada/record_batch.hpp>

namespace levada {

struct read_messages_outcome {
  std::size_t read = 0;
  record_batch messages;
  /// Why the one after these could not be read.
  result<void> ended{};
};
/// Whether a message that cannot be read for this reason never will be.
[[nodiscard]] constexpr bool is_lost(errc why) noexcept {
  return why == errc::damaged || why == errc::overtaken || why == errc::unknown_topic;
}
/// Reads messages, in the order given, until all are read or there are `bytes_max` bytes or more of them.
[[nodiscard]] read_messages_outcome read_messages(const core& owner, const storage::main_environment& main,
                                                  const std::string& operation,
                                                  std::span<const queue::reference> which,
                                                  std::size_t bytes_max);

}  // namespace levada
