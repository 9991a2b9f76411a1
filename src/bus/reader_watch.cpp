#include "bus/reader_watch.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "bus/core.hpp"
#include "storage/job_file.hpp"
#include "storage/process_state.hpp"

namespace levada {
namespace {

constexpr std::chrono::milliseconds look_interval{1'000};

/// Those who copy what they read are done long before.
constexpr std::chrono::milliseconds worth_telling{500};

}  // namespace

reader_watch::reader_watch(core& owner)
    : owner_{owner},
      worker_{owner.time(),
              {.name = "watch readers",
               .due =
                   [this] {
                     const std::lock_guard guard{mutex_};
                     return next_;
                   },
               .run = [this]() -> result<void> {
                 auto seen = look();
                 if (!seen) return seen.error();
                 return {};
               },
               .failed = {},
               .retry = look_interval}} {}

result<std::vector<reader_info>> reader_watch::look() {
  const std::lock_guard guard{mutex_};
  const auto now = owner_.time().steady();
  next_ = now + look_interval;
  auto access = owner_.enter("look at readers");
  if (!access) return access.error();
  std::vector<reader_info> seen;
  if (owner_.in_memory()) return seen;
  auto& env = access->main().env();
  const auto before = env.readers();
  // A dead process is seen once more, as such, before its slot is cleared.
  const int cleared = owner_.main().env().clear_dead_readers();
  const auto after = env.readers();
  std::vector<storage::stored_job> jobs;
  const int self = ::getpid();
  const auto foreign = [self](const auto& r) { return r.pid != self; };
  if (std::any_of(before.begin(), before.end(), foreign)) {
    // Names are an extra: without them, processes are told by their numbers.
    if (auto stored = storage::stored_jobs(owner_.jobs_directory())) jobs = std::move(*stored);
  }
  auto since = std::exchange(since_, {});
  auto told = std::exchange(told_, {});
  for (const auto& r : before) {
    if (!foreign(r)) continue;
    const held key{r.pid, r.transaction};
    const auto first = since.try_emplace(key, now).first->second;
    reader_info info{.pid = r.pid};
    const auto job = std::find_if(jobs.begin(), jobs.end(), [&](const auto& j) { return j.pid == r.pid; });
    if (job != jobs.end()) info.job = job->last.name;
    info.held_for = std::chrono::duration_cast<std::chrono::milliseconds>(now - first);
    const bool gone = cleared > 0 && std::find(after.begin(), after.end(), r) == after.end();
    info.state = gone                         ? reader_state::gone
                 : storage::is_stopped(r.pid) ? reader_state::stopped
                                              : reader_state::running;
    const auto known = told.find(key);
    bool tell = info.state != reader_state::running || info.held_for >= worth_telling;
    if (known != told.end() && known->second == info.state) tell = false;
    if (tell) {
      tell_of(info);
      told.insert_or_assign(key, info.state);
    }
    if (!gone) {
      since_.emplace(key, first);
      if (const auto told_of = told.find(key); told_of != told.end()) told_.insert(*told_of);
    }
    seen.push_back(std::move(info));
  }
  return seen;
}

void reader_watch::tell_of(const reader_info& reader) const {
  if (owner_.logger() == nullptr) return;
  const std::string who = reader.job.empty() ? fmt::format("process {}", reader.pid)
                                             : fmt::format("process {} (job '{}')", reader.pid, reader.job);
  switch (reader.state) {
    case reader_state::gone:
      owner_.logger()->warn("levada: {} died while it held a snapshot of '{}'; it has been let go of", who,
                            owner_.store_name());
      return;
    case reader_state::stopped:
      owner_.logger()->warn(
          "levada: {} is stopped while it holds a snapshot of '{}'; what is freed meanwhile cannot be used "
          "again",
          who, owner_.store_name());
      return;
    case reader_state::running:
      owner_.logger()->warn(
          "levada: {} holds a snapshot of '{}' for {} ms by now; what is freed meanwhile cannot be used "
          "again",
          who, owner_.store_name(), reader.held_for.count());
      return;
  }
}

}  // namespace levada
