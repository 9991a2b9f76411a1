#include <chrono>
#include <cstdint>
#include <limits>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/requests.hpp"
#include "cli/signals.hpp"

#include <levada/attachment.hpp>

namespace levada::cli {
namespace {

// How soon, at most, a waiting program hears a signal or notices that its reader has gone.
constexpr std::chrono::milliseconds attention_interval{200};

void write_record(output& out, const record_view& r, const tail_request& request) {
  if (request.json) return write_json(out, r);
  if (request.keys && r.has_key()) {
    out.write(r.key());
    out.write(request.key_separator);
  }
  out.write(r.value());
  out.write('\n');
}

/// Writes the records of `pass` until there are no more, or the program is to end.
result<void> write_records(output& out, replay& pass, const tail_request& request) {
  const auto timeout = request.follow ? attention_interval : std::chrono::milliseconds{0};
  std::uint64_t left = request.count.value_or(std::numeric_limits<std::uint64_t>::max());
  const auto is_over = [&] { return left == 0 || out.failed() || stop_signals::requested(); };
  while (!is_over()) {
    auto batch = pass.next(timeout);
    if (!batch) return batch.error();
    if (batch->empty()) {
      if (!request.follow) return {};
      out.look_for_reader();
      continue;
    }
    for (const record_view& r : *batch) {
      if (is_over()) break;
      write_record(out, r, request);
      --left;
    }
    if (request.follow) out.flush();
  }
  return {};
}

}  // namespace

result<int> run(const tail_request& request) {
  const stop_signals stop{stop_signals::waiting_call::interrupted};
  auto store = attachment::open(request.directory);
  if (!store) return store.error();
  auto pass = store->replay(request.topic, {.from = request.from, .partition = request.partition});
  if (!pass) return pass.error();
  output out;
  const auto done = write_records(out, *pass, request);
  // What came before a failure to read is worth having too.
  auto written = out.finish(stop.requested() ? stop.exit_status() : 0);
  if (!done) return done.error();
  return written;
}

}  // namespace levada::cli
