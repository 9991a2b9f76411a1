#pragma once

#include <chrono>

#include <crash/victim.hpp>

namespace levada::crash {

/// The moment from which `clock_at` counts.
inline constexpr std::chrono::seconds clock_base{1'600'000'000};

/// The other work of the victim, see `run_victim`: publishes through exchanges of several kinds to queues of
/// all kinds (see `queueing_world.hpp`), one by one, in batches and several at a time, some with a delay, a
/// priority or a time to live; receives, acks, returns and rejects; takes delayed messages back; purges a
/// queue, deletes one and makes it anew; seals, syncs, closes and opens; and moves the clock. One thread, and
/// those of the bus, which make dead letters and route what was delayed when the clock says so.
void run_queueing_victim(const victim_options& options, const line_sink& line);

}  // namespace levada::crash
