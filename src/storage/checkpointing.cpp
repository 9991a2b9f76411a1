#include "storage/checkpointing.hpp"

#include <fmt/format.h>

#include <fstream>
#include <utility>

namespace levada::storage {

std::filesystem::path checkpoint_path(const std::filesystem::path& directory) {
  return directory / "checkpoint";
}

result<checkpointing> checkpointing::start(main_environment& main, const std::filesystem::path& directory,
                                           std::string boot_id, std::int64_t time) {
  auto file = checkpoint_file::open_or_create(checkpoint_path(directory));
  if (!file) return file.error();
  checkpointing self{std::move(*file), directory, std::move(boot_id)};
  if (auto pinned = self.pin(main, time); !pinned) return pinned.error();
  if (auto durable = self.make_durable(main); !durable) return durable.error();
  return self;
}

result<void> checkpointing::pin(const main_environment& main, std::int64_t time) {
  auto snapshot = read_transaction::begin(main.env());
  if (!snapshot) return snapshot.error();
  const std::uint64_t transaction = snapshot->id();
  if (!pins_.empty() && pins_.back().what.transaction == transaction) return {};
  auto meta = read_meta_page(directory_ / "data.mdb", transaction);
  if (!meta) return meta.error();
  if (!*meta) {
    return error{errc::io_error,
                 fmt::format("checkpoint '{}': transaction {} is not the newest one on record",
                             directory_.string(), transaction)};
  }
  pins_.push_back({std::move(*snapshot), {transaction, time, boot_id_, std::move(**meta)}});
  return {};
}

result<void> checkpointing::make_durable(main_environment& main) {
  const checkpoint& what = pins_.back().what;
  if (what.transaction == durable_transaction_ && pins_.size() == 1) return {};
  if (auto synced = main.env().sync(); !synced) {
    // Whatever the reason was, pages that were to be flushed may be lost.
    return error{errc::io_error, synced.error().message()};
  }
  if (auto written = file_.write(what); !written) return written;
  durable_transaction_ = what.transaction;
  pins_.erase(pins_.begin(), pins_.end() - 1);
  return {};
}

result<void> checkpointing::finish(main_environment& main) {
  auto ended = end_checkpoints(main, directory_);
  if (ended) pins_.clear();
  return ended;
}

result<bool> needs_restoring(const std::filesystem::path& directory, const std::string& boot_id) {
  auto last = checkpoint_file::read(checkpoint_path(directory));
  if (!last) return last.error();
  return *last && (*last)->boot_id != boot_id;
}

result<bool> restore(const std::filesystem::path& directory, const std::string& boot_id) {
  auto last = checkpoint_file::read(checkpoint_path(directory));
  if (!last) return last.error();
  if (!*last || (*last)->boot_id == boot_id) return false;
  if (auto restored = restore_meta_page(directory / "data.mdb", (*last)->meta_page); !restored)
    return restored.error();
  return true;
}

result<void> end_checkpoints(main_environment& main, const std::filesystem::path& directory) {
  if (auto synced = main.env().sync(); !synced) return synced;
  return checkpoint_file::remove(checkpoint_path(directory));
}

std::string system_boot_id() {
  std::ifstream in{"/proc/sys/kernel/random/boot_id"};
  std::string id;
  std::getline(in, id);
  return id.empty() ? "unknown" : id;
}

}  // namespace levada::storage
