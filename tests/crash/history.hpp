#pragma once

/// @file
/// What the victim writes down, a line each: before an operation what it is about to do, and after it what
/// the library has acknowledged. Whatever stands between the two is unknown after a crash.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <crash/payload.hpp>

namespace levada::crash {

/// How a bus keeps what it has acknowledged: the two modes of `bus_options::durability` that reach a disk.
enum class durability {
  synced,
  /// With checkpoints when they are asked for, and not otherwise.
  checkpointed,
};

/// What a history is about.
enum class workload {
  /// Topics, groups, an exchange and its queues; see `victim.hpp`.
  logs,
  /// Queues with limits, dead letters, delays; see `queueing_victim.hpp`.
  queues,
};

/// Stands in a line for no key, and for no queues.
inline const std::string none_named(1, '-');

/// The store is about to be opened, and made if there is none.
struct opening {
  durability mode = durability::synced;
};
/// It is open, so from now on it exists, and what was in it is durable.
struct opened {
  durability mode = durability::synced;
  std::uint32_t epoch = 0;
};
/// The bus is about to be closed.
struct closing {};
/// It was closed, which makes everything durable in either mode.
struct closed {};
/// An object is about to be declared. `object` is a description such as "topic:orders:2" (see
/// `promises.hpp`).
struct declaring {
  std::string object;
};
/// It exists.
struct declared {
  std::string object;
};
/// An object is about to go.
struct deleting {
  std::string object;
};
struct deleted {
  std::string object;
};
/// A record is about to be published; those of one batch share `batch`.
struct sending {
  serial record = 0;
  serial batch = 0;
  std::string log;
  /// The queues that its exchange's bindings select, with commas between; "-" for none.
  std::string queues;
  /// "-" for none.
  std::string key;
  bool tombstone = false;
  std::uint64_t hash = 0;
};
/// It was acknowledged: it is durable, or in the `checkpointed` mode will be with the next checkpoint.
struct stored {
  serial record = 0;
  std::string log;
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
};
/// A group is about to commit an offset.
struct committing {
  std::string group;
  std::string log;
  std::uint32_t partition = 0;
  std::uint64_t next = 0;
};
struct committed {
  std::string group;
  std::string log;
  std::uint32_t partition = 0;
  std::uint64_t next = 0;
};
/// `bus::maintain` is about to be called.
struct maintaining {};
/// It has returned.
struct maintained {};
/// `bus::sync` is about to be called.
struct flushing {};
/// It has returned, so what was acknowledged before `flushing` is durable in either mode.
struct flushed {};
/// The records of a partition before an offset are about to be removed.
struct trimming {
  std::string log;
  std::uint32_t partition = 0;
  std::uint64_t before = 0;
};
struct trimmed {
  std::string log;
  std::uint32_t partition = 0;
  std::uint64_t before = 0;
};
/// A partition was seen to begin there; beginnings never fall.
struct began {
  std::string log;
  std::uint32_t partition = 0;
  std::uint64_t at = 0;
};
/// A message was delivered.
struct received {
  /// A dead letter's place is named as by `grave_place`.
  std::string queue;
  serial record = 0;
  /// How often by now, this time included; 0 where its queue does not count.
  std::uint32_t count = 0;
};
/// It is about to be settled for good. Several such lines without another between them are one commit.
struct settling {
  std::string queue;
  serial record = 0;
};
struct settled {
  std::string queue;
  serial record = 0;
};

// Of histories of queues only.

/// The time of the bus from now on, in milliseconds since some moment. The first line of each such history.
struct clock_at {
  std::uint64_t milliseconds = 0;
};
/// What is to be known of a record beyond its `sending`. Before that, so that no history ends between them
/// with the record sent.
struct terms {
  serial record = 0;
  /// It is routed later.
  bool delayed = false;
  /// It has a time to live of its own.
  bool expires = false;
};
/// It was not published, for want of room in one of its queues, and is nowhere.
struct refused {
  serial record = 0;
};
/// It was published, but this queue of its had no room for it.
struct passed_over {
  std::string queue;
  serial record = 0;
};
/// A delayed message is about to be taken back.
struct cancelling {
  serial record = 0;
};
/// It will never be routed.
struct cancelled {
  serial record = 0;
};
/// A message is about to be rejected by a consumer of a queue with a dead-letter exchange.
struct rejecting {
  std::string queue;
  serial record = 0;
};
struct rejected {
  std::string queue;
  serial record = 0;
};
/// All that is ready in a queue is about to be removed.
struct purging {
  std::string queue;
};
struct purged {
  std::string queue;
};

using event = std::variant<opening, opened, closing, closed, declaring, declared, deleting, deleted, sending,
                           stored, committing, committed, maintaining, maintained, flushing, flushed,
                           trimming, trimmed, began, received, settling, settled, clock_at, terms, refused,
                           passed_over, cancelling, cancelled, rejecting, rejected, purging, purged>;

[[nodiscard]] const char* to_text(durability mode) noexcept;

/// Without the end of the line.
[[nodiscard]] std::string to_line(const event& e);
/// Throws `std::invalid_argument` for what `to_line` did not write.
[[nodiscard]] event from_line(std::string_view line);

/// The lines of one history, in order.
using history = std::vector<std::string>;

/// A line that was cut short at the end of the file is not part of it. Throws `std::system_error`.
[[nodiscard]] history read_history(const std::filesystem::path& file);
void write_history(const history& lines, const std::filesystem::path& file);

/// How often a history acknowledges.
struct acknowledgements {
  std::uint64_t records = 0;
  std::uint64_t commits = 0;
  std::uint64_t settlements = 0;
  /// Of records before an offset.
  std::uint64_t trims = 0;
  /// Of objects.
  std::uint64_t deletions = 0;
  std::uint64_t flushes = 0;
  /// Of messages that became dead letters.
  std::uint64_t rejections = 0;
  /// Of delayed messages.
  std::uint64_t cancellations = 0;
  /// Of queues.
  std::uint64_t purges = 0;

  acknowledgements& operator+=(const acknowledgements& other) noexcept;
};
[[nodiscard]] acknowledgements count_acknowledgements(const history& lines);
[[nodiscard]] std::string to_text(const acknowledgements& a);

}  // namespace levada::crash
