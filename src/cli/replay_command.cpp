#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/record_output.hpp"
#include "cli/requests.hpp"
#include "cli/signals.hpp"
#include "cli/standard_streams.hpp"

#include <levada/attachment.hpp>

namespace levada::cli {
namespace {

// How soon, at most, a waiting program hears a signal or notices that its reader has gone.
constexpr std::chrono::milliseconds attention_interval{200};

/// Writes the records of a pass, and tells of those that cannot be had.
class record_printer {
 public:
  record_printer(output& out, const replay_request& request) : out_{out}, request_{request} {}

  /// Until there are no more, or the program is to end. Fails where nothing can be read any more.
  result<void> print(replay& pass) {
    while (!is_over() && !pass.ended()) {
      auto batch = pass.next();
      if (batch && batch->empty()) {
        // Nothing is held back while waiting.
        out_.flush();
        out_.look_for_reader();
        batch = pass.next(attention_interval);
      }
      if (batch) {
        print(*batch);
      } else if (const error& e = batch.error(); e != errc::damaged && e != errc::overtaken) {
        return e;
      } else if (!tell(e)) {
        return {};
      }
    }
    return {};
  }
  /// Whether all records could be had.
  [[nodiscard]] bool complete() const noexcept { return told_.empty(); }

 private:
  [[nodiscard]] bool is_over() const noexcept {
    return printed_ == request_.count.value_or(std::numeric_limits<std::uint64_t>::max()) || out_.failed() ||
           stop_signals::requested();
  }
  void print(const record_batch& batch) {
    for (const record_view& r : batch) {
      if (is_over()) return;
      write_record(out_, r, request_.format);
      ++printed_;
    }
  }
  /// Reports what cannot be read. False where that is what it was before: the pass does not go on behind it.
  bool tell(const error& e) {
    if (e.message() == told_) return false;
    told_ = e.message();
    out_.flush();
    report(told_);
    return true;
  }

  output& out_;
  const replay_request& request_;
  std::uint64_t printed_ = 0;
  std::string told_;  // what was reported last
};

}  // namespace

result<int> run(const replay_request& request) {
  const stop_signals stop{stop_signals::waiting_call::interrupted};
  auto store = attachment::open(request.directory);
  if (!store) return store.error();
  auto pass =
      request.topic ? store->replay(*request.topic, request.options) : store->replay_all(request.options);
  if (!pass) return pass.error();
  output out;
  record_printer printer{out, request};
  const auto done = printer.print(*pass);
  // What came before a failure to read is worth having too.
  auto written = out.finish(stop.requested() ? stop.exit_status() : printer.complete() ? 0 : failure_status);
  if (!done) return done.error();
  return written;
}

}  // namespace levada::cli
