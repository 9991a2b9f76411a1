#pragma once

/// @file
/// Examines LMDB's data file with plain reads, before LMDB maps it: a truncated or damaged file makes LMDB
/// die of SIGBUS, SIGSEGV or an assertion, because it trusts every number that it finds.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include <levada/error.hpp>
#include <levada/inspect.hpp>

namespace levada::storage {

/// What the newest meta page of a data file says.
struct main_file_shape {
  std::uint64_t page_size = 0;
  /// The file's size in whole pages.
  std::uint64_t file_pages = 0;
  /// The last page that the snapshot may use. Pages at the end that are free need not exist in the file.
  std::uint64_t last_page = 0;
  /// The transaction that wrote the snapshot.
  std::uint64_t transaction = 0;
  /// LMDB's records of the two trees: of free pages, and of the tables.
  std::array<std::array<std::byte, 48>, 2> trees{};
};

/// Reads both meta pages. Fails with `damaged` where they, or the size of the file, cannot be right, naming
/// the file.
[[nodiscard]] result<main_file_shape> check_main_file(const std::filesystem::path& data_file);

/// What a meta page that was saved elsewhere says of the file; the meta pages within the file are not
/// looked at. Fails with `damaged` where it is none, or where the file cannot hold its snapshot.
[[nodiscard]] result<main_file_shape> check_snapshot(const std::filesystem::path& data_file,
                                                     std::span<const std::byte> saved);

/// The outcome of a walk.
struct page_walk {
  /// Pages that the snapshot uses, or keeps on its list of free ones.
  std::uint64_t pages = 0;
  /// At most the first 1,000.
  std::vector<store_problem> problems;
};

/// Walks the snapshot that `shape` describes, from the roots of its trees: every page must exist once, be
/// what its parent takes it for, and have all its nodes within its bounds and in key order. What a writer
/// does meanwhile can show as problems, unless the snapshot is pinned by a reader.
///
/// It cannot see that a value's bytes changed; for that, rows and catalogue entries carry checksums.
[[nodiscard]] result<page_walk> walk_main_file(const std::filesystem::path& data_file,
                                               const main_file_shape& shape);

/// The same of a segment's file, whose values are large: they must lie on pages of their own within the file,
/// but are not read. For whoever is about to map it; a problem is an error, `damaged`.
[[nodiscard]] result<void> verify_segment_file(const std::filesystem::path& file);

/// Both checks as one answer, for whoever is about to map the file. A problem is an error, `damaged`; none is
/// reported where the file was written meanwhile: then its owner has it mapped, and has checked it before.
[[nodiscard]] result<void> verify_main_file(const std::filesystem::path& data_file);

}  // namespace levada::storage
