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

checkpointer::checkpointer(core& owner, storage::checkpointing& store, checkpointed mode)
    : owner_{owner},
      store_{store},
      mode_{mode},
      worker_{owner.time(),
              {.name = "checkpoint",
               .due = [this] { return due(); },
               .run = [this] { return run(); },
               .failed =
                   [this](const error& why) {
                     if (why != errc::closed && why != errc::failed) failures_.failed(owner_.logger(), why);
                   },
               .retry = mode.interval}} {}

clock::steady_time checkpointer::due() const noexcept {
  if (bytes_.load() >= bytes_due) return clock::steady_time::min();
  const std::int64_t first = first_unsafe_.load();
  return first == none ? clock::steady_time::max() : clock::steady_time{first} + mode_.interval;
}

result<void> checkpointer::run() {
  const std::lock_guard guard{running_};
  const auto begun = owner_.time().steady();
  auto access = owner_.enter("checkpoint");
  if (!access) return access.error();
  // What is committed after these have been taken belongs to the next one, or is counted twice.
  const std::uint64_t bytes = bytes_.load();
  saving_ = first_unsafe_.exchange(none);
  pin_intent pinning{store_};
  if (auto pinned = owner_.run(*access, "checkpoint", pinning); !pinned) {
    not_saved();
    return pinned;
  }
  dropped_.insert(dropped_.end(), pinning.dropped().begin(), pinning.dropped().end());
  if (auto durable = store_.make_durable(owner_.main()); !durable) {
    // Without room nothing is lost but time: the last checkpoint stands, and the next one may find some.
    if (durable.error() != errc::disk_full) owner_.fail(durable.error());
    not_saved();
    return durable;
  }
  owner_.counted().others.checkpoints.add_alone();
  owner_.counted().others.checkpoint_duration.add_alone(owner_.time().steady() - begun);
  failures_.succeeded(owner_.logger(), "making checkpoints of", owner_.store_name());
  saving_ = none;
  last_time_ = pinning.time();
  bytes_ -= bytes;
  for (const auto& file : std::exchange(dropped_, {})) {
    // One that cannot be deleted now is removed by the next opening.
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }
  return {};
}

/// What was to be saved still is, since as long ago.
void checkpointer::not_saved() noexcept {
  if (const std::int64_t first = saving_.load(); first != none) first_unsafe_ = first;
  saving_ = none;
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
    worker_.start();
    worker_.wake();
  }
}

bool checkpointer::full() const noexcept {
  return bytes_.load() >= bytes_full;
}

result<void> checkpointer::wait_for_room() {
  while (full()) {
    if (auto ran = worker_.wait_for_run([this] { return !full(); }); !ran) return ran;
  }
  return {};
}

}  // namespace levada
