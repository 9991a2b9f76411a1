// The consume, transform, produce loop.

#include <algorithm>
#include <map>

#include <levada/bus.hpp>

namespace levada {
namespace {

/// Goes back to before a batch, so that the next poll returns it again.
void rewind(consumer& from, const record_batch& batch) {
  std::map<topic_partition, offset> begins;
  for (const auto& slice : batch.slices()) {
    const topic_partition where{std::string{slice.topic}, slice.partition};
    const auto begin = begins.try_emplace(where, slice.base_offset).first;
    begin->second = std::min(begin->second, slice.base_offset);
  }
  // What it does not own any more is the next owner's, from the committed offset on.
  for (const auto& [where, begin] : begins) static_cast<void>(from.seek(where, begin));
}

}  // namespace

result<process_report> bus::process(
    consumer& from, const std::function<result<void>(transaction&, const record_batch&)>& handler,
    const process_options& options) {
  process_report report;
  const std::stop_callback wakes{options.stop, [&from] { from.wakeup(); }};
  while (!options.stop.stop_requested()) {
    auto batch = from.poll(options.idle_max.value_or(std::chrono::milliseconds::max()));
    if (!batch) return batch.error();
    if (batch->empty()) {
      if (options.idle_max) break;
      continue;
    }
    struct rewinding {
      consumer& from;
      const record_batch& batch;
      bool needed = true;
      ~rewinding() {
        if (needed) rewind(from, batch);
      }
    };
    rewinding unless_done{from, *batch};
    auto done = transact(
        [&](transaction& t) -> result<void> {
          if (auto handled = handler(t, *batch); !handled) return handled;
          return t.send_offsets(from);
        },
        {options.time_max});
    if (!done) return done.error();
    unless_done.needed = false;
    ++report.batches;
    report.records += batch->size();
  }
  return report;
}

}  // namespace levada
