#include "demo.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include <common/failure.hpp>
#include <common/run_directory.hpp>
#include <common/text.hpp>

#include "call_file.hpp"
#include "console.hpp"
#include "host_process.hpp"
#include "proof.hpp"
#include "sample.hpp"
#include "store.hpp"
#include "store_contents.hpp"
#include "witness.hpp"

namespace emergency {
namespace {

constexpr std::size_t made_up_calls = 2'000;
/// Callers that wait for an answer at a time. Their calls also have to fit into the socket to the host, so
/// that writing to it never waits while the host waits for us to read.
constexpr std::size_t waiting_callers_max = 64;
/// At full speed, callers hold back while the notifier is that far behind.
constexpr std::size_t backlog_max = 256;
/// How soon an interruption is noticed, whatever comes from the host.
constexpr std::chrono::milliseconds reading_time_max{100};
constexpr int exit_interrupted = 130;

volatile std::sig_atomic_t interrupted = 0;

/// The first signal lets the run end early and in order; a second one has its usual effect.
void listen_for_interruption() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int s : {SIGINT, SIGTERM}) ::sigaction(s, &action, nullptr);
}

std::filesystem::path events_in(const std::filesystem::path& directory) {
  return directory / "events";
}

/// An earlier run is left as it is.
void expect_unused(const std::filesystem::path& directory) {
  for (const auto& p : {store_in(directory), events_in(directory)}) {
    if (std::filesystem::exists(p)) throw example::failure{fmt::format("'{}' exists already", p.native())};
  }
}

/// After how many acknowledged calls the host is killed: spread over the run, at other moments for other
/// seeds.
std::vector<std::size_t> kill_moments(std::size_t calls, std::size_t kills, std::uint64_t seed) {
  if (kills >= calls) throw example::failure{fmt::format("{} kills are too many for {} calls", kills, calls)};
  std::mt19937_64 random{seed};
  std::uniform_real_distribution<double> spread{0.1, 0.9};
  std::set<std::size_t> moments;
  for (std::size_t n = 0; n < kills; ++n) {
    const auto share = (static_cast<double>(n) + spread(random)) / static_cast<double>(kills);
    auto moment =
        std::clamp<std::size_t>(static_cast<std::size_t>(share * static_cast<double>(calls)), 1, calls - 1);
    while (!moments.insert(moment).second) moment = moment % (calls - 1) + 1;
  }
  return {moments.begin(), moments.end()};
}

bool earlier(const call& a, const call& b) {
  return a.time < b.time;
}

/// Half of the days that the calls span, rounded up.
std::chrono::days usual_report_period(const std::vector<call>& calls) {
  const auto [first, last] = std::minmax_element(calls.begin(), calls.end(), earlier);
  return std::chrono::ceil<std::chrono::days>((last->time - first->time) / 2 + std::chrono::seconds{1});
}

/// The callers, the host's process, and everything that passes between them.
class run {
 public:
  run(const options& o, std::vector<call> calls, const std::filesystem::path& directory, console& out)
      : calls_{std::move(calls)},
        pace_{o.pace},
        kill_moments_{kill_moments(calls_.size(), o.kills, o.seed)},
        host_arguments_{"--host", "--dir", directory.native(), "--report-days",
                        std::to_string(o.report_period.value_or(usual_report_period(calls_)).count())},
        out_{out},
        events_{events_in(directory)} {}

  void to_the_end() {
    start_host();
    while (!done()) {
      send_due_calls();
      take(read_host(time_to_next_call()));
      show_progress();
      if (next_kill_ < kill_moments_.size() && seen_.count().acknowledged >= kill_moments_[next_kill_])
        kill_host();
    }
    host_->end_input();
    while (const auto lines = host_->read(std::nullopt)) take(*lines);
    host_->wait();
    if (!events_.flush()) throw example::failure{"the file of events cannot be written"};
  }

  [[nodiscard]] const witness& seen() const { return seen_; }
  [[nodiscard]] std::chrono::duration<double> elapsed() const {
    return std::chrono::steady_clock::now() - start_;
  }

 private:
  void start_host() {
    host_ = std::make_unique<host_process>(host_arguments_);
    tell(host_started{});
    for (const auto n : waiting_) send(n);
  }

  void kill_host() {
    ++next_kill_;
    host_->kill();
    while (const auto lines = host_->read(std::nullopt)) take(*lines);  // what it told before
    host_->wait();
    tell(host_killed{});
    report_.clear();
    out_.line(fmt::format(
        "kill -9: host {} is dead; {} calls acknowledged, {} callers without an answer call again",
        seen_.lives(), example::grouped(seen_.count().acknowledged), waiting_.size()));
    start_host();
  }

  [[nodiscard]] bool done() const {
    return waiting_.empty() && (next_call_ == calls_.size() || interrupted != 0);
  }

  void send_due_calls() {
    while (interrupted == 0 && may_call() && time_until(next_call_) <= std::chrono::nanoseconds{0}) {
      waiting_.insert(next_call_);
      tell(call_made{calls_[next_call_]});
      send(next_call_++);
    }
  }

  [[nodiscard]] bool may_call() const {
    return next_call_ < calls_.size() && waiting_.size() < waiting_callers_max &&
           seen_.backlog() < backlog_max;
  }

  void send(std::size_t n) { host_->send(to_text(call_made{calls_[n]})); }

  [[nodiscard]] std::chrono::nanoseconds time_until(std::size_t n) const {
    return pace_.due(calls_[n].time, calls_.front().time) - (std::chrono::steady_clock::now() - start_);
  }

  [[nodiscard]] std::chrono::milliseconds time_to_next_call() const {
    if (!may_call()) return reading_time_max;
    const auto time = std::chrono::ceil<std::chrono::milliseconds>(time_until(next_call_));
    return std::clamp(time, std::chrono::milliseconds{0}, reading_time_max);
  }

  std::vector<std::string> read_host(std::chrono::milliseconds timeout) {
    if (auto lines = host_->read(timeout)) return *std::move(lines);
    host_->wait();  // throws unless it ended well
    throw example::failure{"the host has ended before its work was done"};
  }

  void take(const std::vector<std::string>& lines) {
    for (const auto& line : lines) take(parse_event(line));
  }

  void take(const event& e) {
    tell(e);
    if (const auto* const acknowledged = std::get_if<call_acknowledged>(&e)) {
      waiting_.erase(acknowledged->call - 1);
    } else if (const auto* const printed = std::get_if<line_printed>(&e)) {
      report_.push_back(printed->text);
    } else if (std::holds_alternative<report_finished>(e)) {
      out_.title(fmt::format("The analyst's report {}", ++reports_));
      for (const auto& line : report_) out_.line(line);
      out_.line("");
      report_.clear();
    }
  }

  void tell(const event& e) {
    seen_.see(e);
    events_ << to_text(e) << '\n';
  }

  void show_progress() {
    const auto& newest = calls_[next_call_ == 0 ? 0 : next_call_ - 1];
    out_.show({calls_.size(), seen_.count().acknowledged, seen_.present(), newest.time, elapsed()});
  }

  const std::vector<call> calls_;
  const pace pace_;
  const std::vector<std::size_t> kill_moments_;
  const std::vector<std::string> host_arguments_;
  console& out_;
  std::ofstream events_;
  witness seen_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::unique_ptr<host_process> host_;
  std::size_t next_call_ = 0;
  std::size_t next_kill_ = 0;
  std::set<std::size_t> waiting_;  // indexes of calls without an answer
  std::vector<std::string> report_;
  std::size_t reports_ = 0;
};

bool show_proof(const witness& seen, const std::filesystem::path& directory, console& out) {
  const auto proof = prove(seen, read_back(directory));
  out.title(fmt::format("Proof: {} events from outside against the store as read back",
                        example::grouped(seen.count().events)));
  for (const auto& line : render(proof)) out.line(line);
  return all_hold(proof);
}

}  // namespace

int run_demo(const options& o) {
  auto calls = o.input ? read_calls(*o.input, o.calls.value_or(std::numeric_limits<std::size_t>::max()))
                       : make_sample(o.calls.value_or(made_up_calls), o.seed);
  if (o.directory) expect_unused(*o.directory);
  example::run_directory directory{o.directory, "emergency-call"};
  console out;
  listen_for_interruption();
  out.line(fmt::format("{} calls, {}", example::grouped(calls.size()),
                       o.input ? fmt::format("read from {}", o.input->native())
                               : fmt::format("made up with seed {}", o.seed)));
  run r{o, std::move(calls), directory.path(), out};
  r.to_the_end();
  if (interrupted != 0) out.line("interrupted: no more calls, and what was called is finished");
  out.line(fmt::format("{} calls in {:.1f} s, {} kills", example::grouped(r.seen().calls().size()),
                       r.elapsed().count(), r.seen().count().kills));
  if (!show_proof(r.seen(), directory.path(), out)) {
    directory.keep();
    out.line(fmt::format("Store and events are kept in {}", directory.path().native()));
    return 1;
  }
  return interrupted != 0 ? exit_interrupted : 0;
}

int prove_again(const options& o) {
  const auto file = events_in(*o.directory);
  std::ifstream in{file};
  if (!in) throw example::failure{fmt::format("cannot read '{}': {}", file.native(), std::strerror(errno))};
  witness seen;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    try {
      seen.see(parse_event(line));
    } catch (const example::failure& f) {
      throw example::failure{fmt::format("{}, line {}: {}", file.native(), number, f.what())};
    }
  }
  console out;
  return show_proof(seen, *o.directory, out) ? 0 : 1;
}

}  // namespace emergency
