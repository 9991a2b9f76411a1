#include "bus/checkpointer.hpp"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "bus/core.hpp"

namespace levada {
namespace {

/// A checkpoint is made after so many bytes at the latest, and publishers wait at the second number: pages
/// that a checkpoint still needs are not used again, so this bounds the main file.
constexpr std::uint64_t bytes_due = std::uint64_t{64} << 20;
constexpr std::uint64_t bytes_full = std::uint64_t{256} << 20;

/// Pages that a commit writes beside its rows, at most: the paths to them, and the records of free pages.
constexpr std::uint64_t commit_overhead = std::uint64_t{8} << 12;

}  // namespace

/// Takes the snapshot, between two commits.
class checkpointer::pin_intent final : public intent {
 public:
  explicit pin_intent(storage::checkpointing& store) : store_{store} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    time_ = scope.now();
    return store_.pin(scope.owner().main(), time_);
  }
  void applied(commit_scope& scope) noexcept override { dropped_ = scope.owner().take_dropped(); }
  [[nodiscard]] bool alone() const noexcept override { return true; }

  [[nodiscard]] std::int64_t time() const noexcept { return time_; }
  /// Files that the snapshot does not name any more.
  [[nodiscard]] const std::vector<std::filesystem::path>& dropped() const noexcept { return dropped_; }

 private:
  storage::checkpointing& store_;
  std::int64_t time_ = 0;
  std::vector<std::filesystem::path> dropped_;
};

checkpointer::~checkpointer() {
  if (!abandoned_) stop();
}

result<void> checkpointer::run() {
  const std::lock_guard guard{running_};
  auto access = owner_.enter("checkpoint");
  if (!access) return access.error();
  // What is committed after these have been taken belongs to the next one, or is counted twice.
  const std::uint64_t bytes = bytes_.load();
  saving_ = first_unsafe_.exchange(none);
  pin_intent pinning{store_};
  if (auto pinned = owner_.run(*access, "checkpoint", pinning); !pinned) return pinned;
  if (auto durable = store_.make_durable(owner_.main()); !durable) {
    owner_.fail(durable.error());
    return durable;
  }
  saving_ = none;
  last_time_ = pinning.time();
  bytes_ -= bytes;
  for (const auto& file : pinning.dropped()) {
    // One that cannot be deleted now is removed by the next opening.
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }
  return {};
}

result<void> checkpointer::finish() {
  // The bus is being closed: who would make a checkpoint now is refused before it touches the store.
  return store_.finish(owner_.main());
}

void checkpointer::committed(std::uint64_t bytes) noexcept {
  const std::uint64_t added = bytes + commit_overhead;
  const std::uint64_t before = bytes_.fetch_add(added);
  const bool first = first_unsafe_.load() == none;
  if (first) first_unsafe_ = owner_.time().steady().count();
  if (first || before / bytes_due != (before + added) / bytes_due) {
    start_thread();
    wanted_->signal();
  }
}

bool checkpointer::full() const noexcept {
  return bytes_.load() >= bytes_full;
}

void checkpointer::start_thread() noexcept {
  const std::lock_guard guard{mutex_};
  if (stopping_ || thread_) return;
  try {
    thread_ = std::make_unique<std::thread>([this] { serve(); });
  } catch (const std::exception& e) {
    outcome_ = error{errc::out_of_resources, fmt::format("checkpoint: no thread: {}", e.what())};
    ++runs_;
    changed_.notify_all();
  }
}

void checkpointer::serve() {
  for (;;) {
    const std::uint64_t seen = wanted_->signals();
    {
      const std::lock_guard guard{mutex_};
      if (stopping_) return;
    }
    const std::int64_t first = first_unsafe_.load();
    const auto due = first == none ? clock::steady_time::max() : clock::steady_time{first} + mode_.interval;
    if (bytes_.load() < bytes_due && owner_.time().steady() < due) {
      wanted_->wait(owner_.time(), seen, due);
      continue;
    }
    auto outcome = [this]() -> result<void> {
      try {
        return run();
      } catch (const std::bad_alloc&) {
        return error{errc::out_of_resources, "checkpoint: out of memory"};
      } catch (const std::exception& e) {
        return error{errc::io_error, fmt::format("checkpoint: {}", e.what())};
      }
    }();
    // The next one is tried an interval later, or when it is asked for again.
    const bool failed = !outcome;
    {
      const std::lock_guard guard{mutex_};
      outcome_ = std::move(outcome);
      ++runs_;
      changed_.notify_all();
    }
    if (failed) wanted_->wait(owner_.time(), seen, owner_.time().steady() + mode_.interval);
  }
}

result<void> checkpointer::wait_for_room() {
  while (full()) {
    std::uint64_t seen = 0;
    {
      const std::lock_guard guard{mutex_};
      seen = runs_;
    }
    start_thread();
    wanted_->signal();
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return runs_ != seen || stopping_ || !full(); });
    if (stopping_) return error{errc::closed, "the bus is being closed"};
    if (runs_ != seen && !outcome_) return outcome_;
  }
  return {};
}

void checkpointer::stop() {
  std::unique_ptr<std::thread> thread;
  {
    const std::lock_guard guard{mutex_};
    stopping_ = true;
    thread = std::move(thread_);
    changed_.notify_all();
  }
  wanted_->signal();
  if (thread) thread->join();
}

void checkpointer::abandon() noexcept {
  abandoned_ = true;
  // Joining or detaching a thread that is not there is undefined: given up on purpose.
  static_cast<void>(thread_.release());  // NOLINT
}

}  // namespace levada
