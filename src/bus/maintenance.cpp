#include "bus/maintenance.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "bus/core.hpp"
#include "bus/retention.hpp"
#include "bus/rewriting.hpp"
#include "bus/segment_place.hpp"
#include "bus/simple_intent.hpp"
#include "bus/topology.hpp"
#include "log/sealer.hpp"
#include "storage/free_page_order.hpp"

namespace levada {
namespace {

/// What is erased in one commit, so that others wait no longer than a few milliseconds, and no more pages are
/// freed than LMDB's record of them holds without taking a run of pages itself, which it may have to look
/// for.
constexpr std::size_t prune_rows = 8'000;
constexpr std::size_t prune_bytes = std::size_t{3} << 19;

/// How often retention by age is looked at.
constexpr std::uint64_t looks_in_an_age = 8;
constexpr std::chrono::milliseconds look_min{1'000};
constexpr std::chrono::milliseconds look_max{60'000};

/// For how many times as long as a file's removal took others are left in peace.
constexpr int pause_factor = 9;

/// Puts new segments in the place of the journal's rows.
class seal_intent final : public intent {
 public:
  seal_intent(log::sealed_prefix sealed, std::vector<std::shared_ptr<const storage::segment_file>> files)
      : sealed_{std::move(sealed)}, files_{std::move(files)} {}

  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    for (const auto& segment : sealed_.segments) {
      if (auto stored = scope.written(storage::put(scope.txn(), scope.tables(), segment)); !stored)
        return stored;
      scope.store().next_segment = std::max(scope.store().next_segment, segment.id + 1);
    }
    scope.store().sealed = sealed_.sequence_last;
    scope.store().time_floor = scope.now();
    ++scope.store().layout;
    return {};
  }
  void applied(commit_scope& scope) noexcept override { scope.owner().add_sealed(sealed_, files_); }
  [[nodiscard]] bool alone() const noexcept override { return true; }

 private:
  log::sealed_prefix sealed_;
  std::vector<std::shared_ptr<const storage::segment_file>> files_;
};

/// Erases rows that are sealed, a few at a time.
class prune_intent final : public intent {
 public:
  [[nodiscard]] result<void> execute(commit_scope& scope) override {
    auto at = scope.written(storage::cursor::open(scope.txn(), scope.tables().journal));
    if (!at) return at.error();
    auto row = scope.written(at->move(MDB_FIRST));
    std::size_t bytes = 0;
    for (std::size_t rows = 0; row && *row && rows < prune_rows && bytes < prune_bytes; ++rows) {
      next_ = storage::sequence_of((*row)->key);
      if (next_ > scope.owner().sealed()) break;
      bytes += (*row)->value.size();
      if (auto done = scope.written(at->erase()); !done) return done;
      ++next_;
      row = scope.written(at->move(MDB_FIRST));
    }
    if (!row) return row.error();
    if (!*row) next_ = scope.owner().next_sequence();
    return {};
  }
  void applied(commit_scope& scope) noexcept override { scope.owner().set_first_row(next_); }
  [[nodiscard]] bool alone() const noexcept override { return true; }

 private:
  std::uint64_t next_ = 0;
};

}  // namespace

maintenance::maintenance(core& owner)
    : owner_{owner},
      rewriting_{std::make_unique<rewriting>(owner)},
      looked_{owner.time().steady()},
      worker_{owner.time(),
              {.name = "maintain",
               .due = [this] { return next_look(); },
               .run = [this] { return work(); },
               .failed = [this](const error& why) { note_failure(why); },
               .retry = look_min}} {}
maintenance::~maintenance() = default;

bool maintenance::in_background() const {
  return owner_.options().maintenance == maintenance_mode::background;
}

bool maintenance::sealing_is_due() const {
  return owner_.journal_bytes() > 0 && owner_.journal_bytes() >= owner_.options().journal_bytes_seal;
}

/// Seals what the journal holds, if that is due; whether it was.
result<bool> maintenance::seal() {
  auto access = owner_.enter("maintain");
  if (!access) return access.error();
  if (!sealing_is_due()) return false;
  const auto begun = owner_.time().steady();
  auto place = segment_place::open(owner_);
  if (!place) return place.error();
  log::seal_request request;
  request.target = place->target();
  request.target.sequence_first = owner_.sealed() + 1;
  request.target.sequence_last = owner_.next_sequence() - 1;
  request.own_segment_bytes = owner_.options().segment_bytes_min;
  request.begin_of = [this](std::uint32_t log, std::uint32_t partition) {
    return owner_.begin_of(log, partition);
  };
  request.codec_of = [this](std::uint32_t log) { return owner_.codec_of(log); };
  auto sealed = log::seal(access->main(), request);
  if (!sealed) return sealed.error();
  auto files = place->kept_open(sealed->segments);
  if (!files) return files.error();
  seal_intent registering{*sealed, std::move(*files)};
  auto done = place->hand_over(*access, "seal journal", sealed->segments, registering);
  if (!done) return done.error();
  owner_.counted().others.upkeep_runs.add_alone();
  owner_.counted().others.upkeep_duration.add_alone(owner_.time().steady() - begun);
  if (owner_.logger() != nullptr) {
    std::uint64_t bytes = 0;
    for (const auto& segment : sealed->segments) bytes += segment.file_bytes;
    owner_.logger()->debug("levada: sealed rows {} to {} of '{}' into {} segments of {} bytes",
                           request.target.sequence_first, sealed->sequence_last, owner_.store_name(),
                           sealed->segments.size(), bytes);
  }
  return true;
}

result<void> maintenance::prune() {
  const bool any = owner_.first_row() <= owner_.sealed();
  while (owner_.first_row() <= owner_.sealed()) {
    auto access = owner_.enter("maintain");
    if (!access) return access.error();
    prune_intent erasing;
    if (auto done = owner_.run(*access, "prune journal", erasing); !done) return done;
    access->main().env().pages().written(prune_bytes);
  }
  if (!any) return {};
  auto access = owner_.enter("maintain");
  if (!access) return access.error();
  const auto order = [&](commit_scope& scope) {
    return scope.written(
        storage::order_free_pages(access->main().env(), scope.txn(), scope.tables().journal));
  };
  simple_intent ordering{order, nothing_to_apply};
  auto ordered = owner_.run(*access, "order free pages", ordering);
  // Where there is no room for it now, it is done after the next sealing.
  if (!ordered && ordered.error() != errc::disk_full && ordered.error() != errc::out_of_resources)
    return ordered;
  return {};
}

result<void> maintenance::retain() {
  auto access = owner_.enter("maintain");
  if (!access) return access.error();
  if (auto erased = erase_orphans(owner_, *access); !erased) return erased.error();
  auto held_back = apply_retention(owner_, *access, told_of_jobs_);
  remove_dropped();
  if (!held_back) return held_back.error();
  held_back_ = std::move(*held_back);
  return {};
}

/// Removes the files of dropped segments. While publishers keep the journal full, only what has been dropped
/// since the last time, up to about as many bytes as are to be sealed next, so that retention keeps up; and
/// one at least. The others, of a topic that was deleted, wait for the next run.
void maintenance::remove_dropped() {
  if (owner_.has_checkpoints()) return;  // its checkpoint may still name them
  std::uint64_t added = 0;
  for (auto& file : owner_.take_dropped()) {
    if (owner_.in_memory()) continue;
    std::error_code absent;
    const std::uintmax_t size = std::filesystem::file_size(file, absent);
    dropped_.push_back({std::move(file), absent ? 0 : size});
    added += dropped_.back().bytes;
  }
  std::uint64_t removed = 0;
  while (!dropped_.empty()) {
    const bool in_peace = in_background() && !worker_.stopping();
    if (in_peace && sealing_is_due() && removed > 0 && removed >= std::min(added, owner_.journal_bytes())) {
      wake();
      return;
    }
    const auto begun = std::chrono::steady_clock::now();
    // One that cannot be deleted now is removed by the next opening.
    std::error_code ignored;
    std::filesystem::remove(dropped_.front().path, ignored);
    removed += dropped_.front().bytes;
    dropped_.pop_front();
    // While a large file's blocks are given back, flushes wait for the file system's own journal: one after
    // the other would stop publishers for as long as all of them take.
    if (in_peace)
      worker_.pause(pause_factor * (std::chrono::steady_clock::now() - begun),
                    [this] { return sealing_is_due(); });
  }
}

/// Writes segments anew until nothing is left to do, or something else is more urgent.
result<void> maintenance::rewrite() {
  for (;;) {
    auto access = owner_.enter("maintain");
    if (!access) return access.error();
    auto did = rewriting_->run_some(*access, held_back_, [this] { return worker_.stopping(); });
    if (!did) return did.error();
    if (!*did) return {};
    // What it replaces goes before the next is written, so that no more room is taken than for one.
    remove_dropped();
    if (worker_.stopping() || (in_background() && sealing_is_due())) {
      wake();
      return {};
    }
  }
}

result<void> maintenance::run() {
  auto done = work();
  if (!done) note_failure(done.error());
  return done;
}

void maintenance::note_failure(const error& why) {
  if (why == errc::closed) return;
  owner_.counted().others.upkeep_failures.add();
  failures_.failed(owner_.logger(), why);
}

result<void> maintenance::work() {
  const std::lock_guard guard{working_};
  // Also where the rest cannot be done: it is tried again when it is due again.
  looked_ = owner_.time().steady();
  // First, as sealing needs room on the disk; and again, of what it has sealed.
  auto retained = retain();
  const auto sealed = seal();
  // Rows that are sealed take room in the main file until they are erased.
  const auto pruned = prune();
  if (!sealed) return sealed.error();
  if (!pruned) return pruned;
  // There is room now; the rest, which may take its time, is not what publishers wait for.
  worker_.tell_waiters();
  if (*sealed && retained) retained = retain();
  if (!retained) return retained;
  auto rewritten = rewrite();
  if (rewritten) failures_.succeeded(owner_.logger(), "upkeep of", owner_.store_name());
  return rewritten;
}

/// When retention by age is to be looked at again.
clock::steady_time maintenance::next_look() const {
  std::uint64_t shortest = 0;
  for (const auto& topic : owner_.all_topics()) {
    const std::shared_lock guard{topic->state.mutex()};
    const std::uint64_t age = topic->state.policy().retention_milliseconds;
    if (age > 0 && (shortest == 0 || age < shortest)) shortest = age;
  }
  if (shortest == 0) return clock::steady_time::max();
  return looked_.load() +
         std::clamp(std::chrono::milliseconds{shortest / looks_in_an_age}, look_min, look_max);
}

void maintenance::wake() noexcept {
  worker_.ask();
  watch();
}

void maintenance::watch() noexcept {
  if (in_background()) worker_.start();
}

result<void> maintenance::wait_for_room() {
  const auto room = [this] { return owner_.journal_bytes() < owner_.options().journal_bytes_max; };
  while (!room()) {
    if (!in_background()) {
      // What fails behind sealing is no matter here.
      if (auto done = run(); !done && !room()) return done;
      continue;
    }
    if (auto ran = worker_.wait_for_run(room); !ran && !room()) return ran;
  }
  return {};
}

}  // namespace levada
