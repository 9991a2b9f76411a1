#pragma once

/// @file
/// The main environment: everything that must be atomic, in one LMDB file.

#include <cstdint>
#include <filesystem>
#include <optional>

#include "storage/lmdb.hpp"

namespace levada::storage {

/// The tables of the main environment. docs/storage-format.md gives keys and values.
struct main_tables {
  MDB_dbi journal = 0;    ///< rows by sequence
  MDB_dbi catalog = 0;    ///< what exists: chunked Cap'n Proto values by kind and id
  MDB_dbi offsets = 0;    ///< committed offsets by group, log and partition
  MDB_dbi producers = 0;  ///< idempotent producers by log and id
  MDB_dbi queues = 0;     ///< blocks of references by queue and block number
  MDB_dbi schedule = 0;   ///< messages that wait to be routed, by when they are due
  MDB_dbi tickets = 0;    ///< what has become of messages, by their ids
  MDB_dbi unsettled = 0;  ///< which of these messages queues still have, by queue and place
  MDB_dbi host = 0;       ///< pieces of the host's values by table and key
};

/// The main environment with its tables open. Safe to share between threads.
class main_environment {
 public:
  /// Opens an existing one, after every page of it was checked (`verify_main_file`): LMDB would map a
  /// truncated or damaged file and die of it. A large file of which the newest transaction is
  /// `clean_transaction`, after which its owner has closed it in good order, is believed.
  [[nodiscard]] static result<main_environment> open(
      const std::filesystem::path& directory, const environment_options& options,
      std::optional<std::uint64_t> clean_transaction = std::nullopt);
  /// Makes the files and empty tables in an empty directory.
  [[nodiscard]] static result<main_environment> create(const std::filesystem::path& directory,
                                                       const environment_options& options);

  [[nodiscard]] const environment& env() const noexcept { return env_; }
  [[nodiscard]] environment& env() noexcept { return env_; }
  [[nodiscard]] const main_tables& tables() const noexcept { return tables_; }

 private:
  main_environment(environment env, main_tables tables) noexcept : env_{std::move(env)}, tables_{tables} {}
  environment env_;
  main_tables tables_;
};

}  // namespace levada::storage
