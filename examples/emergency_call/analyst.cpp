#include "analyst.hpp"

#include "records.hpp"
#include "statistics.hpp"
#include "statistics_report.hpp"
#include "store.hpp"

namespace emergency {
namespace {

constexpr std::chrono::milliseconds only_what_is_there{0};

}  // namespace

analyst::analyst(levada::bus& bus, const call_register& calls, std::chrono::days period, reporter& out)
    : bus_{bus}, period_{period}, out_{out}, worker_{[this] { serve(); }} {
  if (const auto& stored = calls.stored_span()) {
    schedule(stored->first);
    schedule(stored->last);
  }
}

analyst::~analyst() {
  close(false);
}

void analyst::clock_is(local_time t) {
  if (!schedule(t)) return;
  const std::lock_guard lock{mutex_};
  due_ = true;
  changed_.notify_one();
}

bool analyst::schedule(local_time now) {
  if (period_ == std::chrono::days{0}) return false;
  if (!origin_) {
    origin_ = std::chrono::floor<std::chrono::days>(now);
    next_run_ = *origin_ + period_;
  }
  if (now < next_run_) return false;
  next_run_ = *origin_ + ((now - *origin_) / period_ + 1) * period_;
  return true;
}

void analyst::finish() {
  close(period_ != std::chrono::days{0});
}

void analyst::close(bool one_more_run) {
  {
    const std::lock_guard lock{mutex_};
    due_ = due_ || one_more_run;
    closing_ = true;
    changed_.notify_one();
  }
  worker_.join();
}

void analyst::serve() {
  for (;;) {
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [&] { return due_ || closing_; });
      if (!due_) return;
      due_ = false;
    }
    run();
  }
}

void analyst::run() {
  auto input = bus_.join(names::analyst_group, {names::alerts, names::acceptances},
                         {.reset = levada::offset_reset::earliest})
                   .value();
  statistics numbers;
  for (auto batch = input.poll(only_what_is_there).value(); !batch.empty();
       batch = input.poll(only_what_is_there).value()) {
    for (const auto& r : batch) {
      if (r.topic() == names::alerts) {
        numbers.add(call_in(r));
      } else {
        numbers.add(acceptance_in(r));
      }
    }
  }
  for (const auto& line : render(numbers)) out_.tell(line_printed{line});
  out_.tell(report_finished{});
  input.commit().value();
}

}  // namespace emergency
