#include <levada/attachment.hpp>
#include <levada/backup.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "bus/job_impl.hpp"
#include "bus/listing.hpp"
#include "bus/names.hpp"
#include "bus/replay_impl.hpp"
#include "bus/segment_set.hpp"
#include "bus/space.hpp"
#include "bus/trace.hpp"
#include "log/journal_index.hpp"
#include "storage/store_copy.hpp"
#include "storage/store_directory.hpp"

namespace levada {
namespace {

/// Segments that are kept open: who looks in from outside mostly goes through a log once.
constexpr std::size_t segments_open_in_passing = 4;

// So that no snapshot is held for more than about a millisecond:

/// Rows that are looked at in one transaction.
constexpr std::uint64_t rows_in_slice = 1024;
/// Bytes that are copied in one transaction.
constexpr std::size_t slice_bytes = std::size_t{1} << 20;

}  // namespace

/// Everything is guarded by one mutex: an attachment is for looking, not for speed among threads.
class attachment::impl {
 public:
  impl(storage::attached_store store, std::filesystem::path directory)
      : store_{std::move(store)},
        directory_{std::move(directory)},
        segments_{std::make_shared<log::segment_cache>(store_.segments, segments_open_in_passing, false)} {}

  /// Takes in what has been committed since the last time; returns the sequence after the last row.
  result<std::uint64_t> refresh() {
    const std::lock_guard guard{mutex_};
    return refresh_locked();
  }

  result<std::shared_ptr<const log::log_state>> find(std::string_view topic) {
    const std::lock_guard guard{mutex_};
    if (auto known = refresh_locked(); !known) return known.error();
    for (const auto& [id, log] : logs_) {
      if (log->name() == topic) return std::shared_ptr<const log::log_state>{log};
    }
    return error{errc::unknown_topic, fmt::format("replay topic '{}': there is no such topic", topic)};
  }
  replay_source::log_list all_logs() {
    const std::lock_guard guard{mutex_};
    replay_source::log_list all;
    for (const auto& [id, log] : logs_) all.emplace_back(log);
    return all;
  }
  std::uint64_t layout() {
    const std::lock_guard guard{mutex_};
    return seen_layout_.value_or(0);
  }

  result<listing> list() {
    const std::lock_guard guard{mutex_};
    if (auto known = refresh_locked(); !known) return known.error();
    return listing::read(store_.main, [this](std::uint32_t log, std::uint32_t partition) {
      const auto found = logs_.find(log);
      return found == logs_.end() ? 0 : found->second->end(partition);
    });
  }

  result<space_report> space() {
    replay_source::log_list logs;
    {
      const std::lock_guard guard{mutex_};
      if (auto known = refresh_locked(); !known) return known.error();
      for (const auto& [id, log] : logs_) logs.emplace_back(log);
    }
    std::vector<int> own{::getpid()};
    // What it holds is a checkpoint's, or for a moment.
    if (const auto owner = storage::owner_pid(directory_)) own.push_back(*owner);
    return measure_space({.main = store_.main,
                          .directory = store_.segments.parent_path(),
                          .now = clock::system()->wall().time_since_epoch().count(),
                          .find_log = [&logs](std::uint32_t id) -> std::shared_ptr<const log::log_state> {
                            const auto found = std::find_if(
                                logs.begin(), logs.end(), [id](const auto& log) { return log->id() == id; });
                            return found == logs.end() ? nullptr : *found;
                          },
                          .catch_up = [this]() -> result<void> {
                            if (auto known = refresh(); !known) return known.error();
                            return {};
                          },
                          .open_files = segments_.open_files(),
                          .own_processes = std::move(own)});
  }

  /// The epoch as of the last refreshing, and where logs ended when the earlier ones were over.
  [[nodiscard]] std::uint32_t epoch() {
    const std::lock_guard guard{mutex_};
    return epoch_;
  }
  [[nodiscard]] std::vector<storage::epoch_entry> epochs() {
    const std::lock_guard guard{mutex_};
    return epochs_;
  }

  [[nodiscard]] const storage::main_environment& main() const noexcept { return store_.main; }
  [[nodiscard]] const std::filesystem::path& jobs() const noexcept { return store_.jobs; }
  [[nodiscard]] storage::signal_page& signal() noexcept { return store_.signal; }
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

 private:
  /// What is known must never be older than a snapshot that it is used with: rows that the snapshot does not
  /// hold any more are then known to be in segments.
  result<std::uint64_t> refresh_locked() {
    if (seen_transaction_ == store_.main.env().last_transaction()) return next_sequence_;
    for (bool more = true; more;) {
      auto slice = refresh_some();
      if (!slice) return slice.error();
      more = *slice;
    }
    return next_sequence_;
  }
  /// Takes in some more; false when nothing is left.
  result<bool> refresh_some() {
    auto journal = log::journal_reader::open(store_.main);
    if (!journal) return journal.error();
    auto entry = storage::read_store_entry(journal->snapshot(), store_.main.tables());
    if (!entry) return entry.error();
    epoch_ = entry->epoch;
    if (seen_layout_ != entry->layout) {
      if (auto known = learn_layout(journal->snapshot()); !known) return known.error();
      seen_layout_ = entry->layout;
    }
    auto extent = log::index_journal(
        *journal, std::max(next_sequence_, entry->sealed + 1),
        [&](std::uint32_t id) -> std::optional<log::log_state*> {
          const auto found = logs_.find(id);
          if (found != logs_.end()) return found->second.get();
          return id < entry->next_id ? std::optional<log::log_state*>{nullptr} : std::nullopt;
        },
        rows_in_slice);
    if (!extent) {
      return error{extent.error().code(),
                   fmt::format("read store '{}': {}", directory_.string(), extent.error().message())};
    }
    next_sequence_ = extent->next_sequence;
    auto last = journal->last_sequence();
    if (!last) return last.error();
    if (next_sequence_ <= *last) return true;
    seen_transaction_ = journal->snapshot().id();
    return false;
  }

  /// Takes in which logs and segments there are.
  result<void> learn_layout(const storage::transaction& snapshot) {
    auto catalog = storage::read_catalog(snapshot, store_.main.tables());
    if (!catalog) return catalog.error();
    std::vector<log::log_state*> logs;
    std::erase_if(logs_, [&](const auto& known) {
      const bool deleted = std::none_of(catalog->logs.begin(), catalog->logs.end(),
                                        [&](const auto& entry) { return entry.id == known.first; });
      if (deleted) known.second->set_deleted();
      return deleted;
    });
    for (const auto& entry : catalog->logs) {
      auto& log = logs_[entry.id];
      if (!log) {
        log = std::make_shared<log::log_state>(entry);
      }
      logs.push_back(log.get());
    }
    // Which rows' bytes these were is not known, but sealing takes nearly all there are.
    if (seen_sealed_ != catalog->store.sealed) {
      for (auto* const log : logs) log->drop_journal_bytes(log->journal_bytes());
    }
    seen_sealed_ = catalog->store.sealed;
    segments_.load(catalog->segments, catalog->store.sealed, logs);
    for (const auto& entry : catalog->logs) {
      log::log_state& log = *logs_.at(entry.id);
      const std::lock_guard guard{log.mutex()};
      log.set_begins(entry.begins);
    }
    epochs_ = std::move(catalog->epochs);
    return {};
  }

  std::mutex mutex_;
  storage::attached_store store_;
  std::filesystem::path directory_;
  std::map<std::uint32_t, std::shared_ptr<log::log_state>> logs_;
  std::uint64_t next_sequence_ = 1;
  std::optional<std::uint64_t> seen_transaction_;
  std::optional<std::uint64_t> seen_layout_;
  std::uint64_t seen_sealed_ = 0;
  std::uint32_t epoch_ = 0;
  std::vector<storage::epoch_entry> epochs_;
  segment_set segments_;
};

namespace {

template <class Attachment>
class attached_replay_source final : public replay_source {
 public:
  /// Replays one log, or all where none is given.
  attached_replay_source(std::shared_ptr<Attachment> store, std::shared_ptr<const log::log_state> log)
      : store_{std::move(store)}, log_{std::move(log)} {}

  result<std::uint64_t> refresh() override {
    commits_ = store_->signal().commits();
    return store_->refresh();
  }
  [[nodiscard]] std::uint64_t logs_version() const override { return log_ ? 0 : store_->layout(); }
  [[nodiscard]] log_list logs() const override { return log_ ? log_list{log_} : store_->all_logs(); }
  result<void> read(const read_function& function) override {
    log::log_reader reader{store_->main(), [this]() -> result<void> {
                             if (auto known = store_->refresh(); !known) return known.error();
                             return {};
                           }};
    // The snapshot first, then what is known: see there.
    if (auto journal = reader.journal(); !journal) return journal.error();
    if (auto known = store_->refresh(); !known) return known.error();
    return function(reader);
  }
  result<void> wait(std::uint64_t, clock::steady_time deadline) override {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_->steady());
    // A signal that is interrupted returns early, so that a program's own signal handlers are heard.
    if (left.count() > 0)
      store_->signal().wait(commits_, std::min(left, std::chrono::milliseconds{std::chrono::hours{1}}));
    return {};
  }
  clock& time() noexcept override { return *clock_; }
  [[nodiscard]] std::size_t slice_bytes_max() const noexcept override { return slice_bytes; }

 private:
  std::shared_ptr<Attachment> store_;
  std::shared_ptr<const log::log_state> log_;
  std::shared_ptr<clock> clock_ = clock::system();
  std::uint32_t commits_ = 0;
};

}  // namespace

attachment::attachment(std::shared_ptr<impl> self) noexcept : impl_{std::move(self)} {}
attachment::attachment(attachment&&) noexcept = default;
attachment& attachment::operator=(attachment&&) noexcept = default;
attachment::~attachment() = default;

result<attachment> attachment::open(const std::filesystem::path& directory, const attach_options& options) {
  auto store = storage::attach_store(directory, {options.map_bytes_max, options.boot_id});
  if (!store) return store.error();
  auto self = std::make_shared<impl>(std::move(*store), directory);
  if (auto known = self->refresh(); !known) return known.error();
  return attachment{std::move(self)};
}

result<std::vector<topic_info>> attachment::topics() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->topics();
}

result<std::vector<group_info>> attachment::groups() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->groups(owner_pid().has_value());
}

result<std::vector<exchange_info>> attachment::exchanges() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->exchanges();
}

result<std::vector<queue_info>> attachment::queues() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->queues();
}

result<std::vector<binding_info>> attachment::bindings() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->bindings();
}

result<std::vector<policy_info>> attachment::policies() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->policies();
}

result<std::vector<operator_policy_info>> attachment::operator_policies() const {
  auto all = impl_->list();
  if (!all) return all.error();
  return all->operator_policies();
}

result<replay> attachment::replay(std::string_view topic, const replay_options& options) const {
  auto log = impl_->find(topic);
  if (!log) return log.error();
  auto made = replay::impl::make(std::make_shared<attached_replay_source<impl>>(impl_, std::move(*log)),
                                 std::string{topic}, options);
  if (!made) return made.error();
  return levada::replay{std::move(*made)};
}

result<replay> attachment::replay_all(const replay_options& options) const {
  auto made = replay::impl::make(std::make_shared<attached_replay_source<impl>>(impl_, nullptr), std::nullopt,
                                 options);
  if (!made) return made.error();
  return levada::replay{std::move(*made)};
}

result<job> attachment::open_job_of(std::string_view name, const std::string* topic,
                                    const job_options& options) const {
  if (auto fit = check_name("open job", "job", name); !fit) return fit.error();
  std::shared_ptr<const log::log_state> log;
  if (topic != nullptr) {
    auto found = impl_->find(*topic);
    if (!found) return found.error();
    log = std::move(*found);
  } else if (auto known = impl_->refresh(); !known) {
    return known.error();
  }
  auto file = storage::job_file::claim(impl_->jobs(), name);
  if (!file) return file.error();
  auto made = job::impl::make({std::make_shared<attached_replay_source<impl>>(impl_, std::move(log)),
                               [store = impl_] { return store->epoch(); }, impl_->epochs()},
                              std::move(*file), std::string{name},
                              topic != nullptr ? std::optional{*topic} : std::nullopt, options);
  if (!made) return made.error();
  return job{std::move(*made)};
}

result<job> attachment::open_job(std::string_view name, std::string_view topic,
                                 const job_options& options) const {
  const std::string of{topic};
  return open_job_of(name, &of, options);
}

result<job> attachment::open_job_all(std::string_view name, const job_options& options) const {
  return open_job_of(name, nullptr, options);
}

result<std::vector<job_info>> attachment::jobs() const {
  auto all = impl_->list();
  if (!all) return all.error();
  auto stored = storage::stored_jobs(impl_->jobs());
  if (!stored) return stored.error();
  return all->jobs(*stored);
}

result<void> attachment::remove_job(std::string_view name) const {
  return storage::remove_job(impl_->jobs(), name);
}

result<message_trace> attachment::trace(std::string_view id, const trace_options& options) const {
  replay_options to_the_end;
  to_the_end.until = until_latest{};
  auto ledger = replay(ledger_topic, to_the_end);
  if (!ledger) return ledger.error();
  return trace_in(*ledger, id, options);
}

result<space_report> attachment::space() const {
  return impl_->space();
}

std::optional<int> attachment::owner_pid() const {
  return storage::owner_pid(impl_->directory());
}

result<backup_report> backup_store(const std::filesystem::path& from, const std::filesystem::path& to,
                                   const backup_options& options) {
  const attach_options how{.boot_id = options.boot_id};
  auto store = storage::attach_store(from, {how.map_bytes_max, how.boot_id});
  if (!store) return store.error();
  return storage::copy_store(store->main, store->segments, to, options);
}

}  // namespace levada
