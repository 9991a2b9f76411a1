// The consume, transform, produce loop.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <utility>

#include <boost/asio/bind_executor.hpp>

#include <levada/async.hpp>

#include "bus/bus_impl.hpp"
#include "bus/pending.hpp"

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

/// As long as it is there, what a batch has been polled for is undone at the end.
class rewinding {
 public:
  rewinding(consumer& from, const record_batch& batch) : from_{from}, batch_{batch} {}
  ~rewinding() {
    if (needed_) rewind(from_, batch_);
  }
  rewinding(const rewinding&) = delete;
  rewinding& operator=(const rewinding&) = delete;
  void call_off() noexcept { needed_ = false; }

 private:
  consumer& from_;
  const record_batch& batch_;
  bool needed_ = true;
};

using batch_handler = std::function<result<void>(transaction&, const record_batch&)>;

/// One batch, in one commit.
result<void> process_batch(bus& b, consumer& from, const record_batch& batch, const batch_handler& handler,
                           const process_options& options, process_report& report) {
  rewinding unless_done{from, batch};
  auto done = b.transact(
      [&](transaction& t) -> result<void> {
        if (auto handled = handler(t, batch); !handled) return handled;
        return t.send_offsets(from);
      },
      {options.time_max});
  if (!done) return done.error();
  unless_done.call_off();
  ++report.batches;
  report.records += batch.size();
  return {};
}

std::chrono::milliseconds patience(const process_options& options) {
  return options.idle_max.value_or(std::chrono::milliseconds::max());
}

/// The loop for whom nobody waits: polls without waiting, and has each batch processed where calls are made
/// that wait.
class processing : public std::enable_shared_from_this<processing> {
 public:
  using call_function = std::function<void(std::function<result<void>(bus&)>, detail::completion<void>)>;

  processing(consumer& from, batch_handler handler, const process_options& options, call_function call,
             pending<process_report> answer)
      : from_{from},
        handler_{std::move(handler)},
        options_{options},
        call_{std::move(call)},
        answer_{std::move(answer)},
        wakes_{options_.stop, wakes{&from}} {}

  void poll() {
    if (options_.stop.stop_requested()) return answer_.answer(report_);
    from_.async_poll(patience(options_),
                     boost::asio::bind_executor(answer_.executor(),
                                                [self = shared_from_this()](result<record_batch> batch) {
                                                  self->take(std::move(batch));
                                                }));
  }

 private:
  struct wakes {
    consumer* from;
    void operator()() const { from->wakeup(); }
  };

  void take(result<record_batch> batch) {
    if (!batch) return answer_.answer(batch.error());
    if (batch->empty()) {
      if (options_.idle_max && !options_.stop.stop_requested()) return answer_.answer(report_);
      return poll();
    }
    call_(
        [self = shared_from_this(), all = std::move(*batch)](bus& b) {
          return process_batch(b, self->from_, all, self->handler_, self->options_, self->report_);
        },
        detail::completion<void>{boost::asio::bind_executor(
            answer_.executor(), [self = shared_from_this()](const result<void>& done) {
              if (!done) return self->answer_.answer(done.error());
              self->poll();
            })});
  }

  consumer& from_;
  const batch_handler handler_;
  const process_options options_;
  const call_function call_;
  pending<process_report> answer_;
  process_report report_;
  const std::stop_callback<wakes> wakes_;
};

}  // namespace

void bus::start_process(const std::shared_ptr<impl>& self, consumer& from, batch_handler handler,
                        const process_options& options, detail::completion<process_report> done) {
  const auto call = [self](std::function<result<void>(bus&)> what, detail::completion<void> then) {
    start_call<void>(self, std::move(what), std::move(then));
  };
  std::make_shared<processing>(from, std::move(handler), options, call,
                               pending<process_report>{std::move(done), *self->owner})
      ->poll();
}

result<process_report> bus::process(
    consumer& from, const std::function<result<void>(transaction&, const record_batch&)>& handler,
    const process_options& options) {
  process_report report;
  const std::stop_callback wakes{options.stop, [&from] { from.wakeup(); }};
  while (!options.stop.stop_requested()) {
    auto batch = from.poll(patience(options));
    if (!batch) return batch.error();
    if (batch->empty()) {
      if (options.idle_max) break;
      continue;
    }
    if (auto done = process_batch(*this, from, *batch, handler, options, report); !done) return done.error();
  }
  return report;
}

}  // namespace levada
