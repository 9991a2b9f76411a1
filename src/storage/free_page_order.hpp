#pragma once

/// @file
/// Keeping the free pages of an environment's file in an order in which they are written quickly.

#include "storage/lmdb.hpp"

namespace levada::storage {

/// Has LMDB put its lists of free pages together, sorted by page.
///
/// LMDB keeps what each transaction freed as a list of its own and uses the oldest list first. In a table
/// that is appended to and erased from for long, each round cuts the lists a little smaller than the pages
/// that were written together, until neighbours always stand in different lists: then a commit writes every
/// page by itself, at half the speed. LMDB puts lists together only while it looks for consecutive pages. So
/// this asks for the longest runs there are, as room for values that are erased again before anything is
/// written.
///
/// To be called in a transaction that has written nothing. `table` is one whose keys are numbers of 8 bytes,
/// big-endian, the largest of them not in use. Looks at no more than the first 256 MiB of free pages, and at
/// none that a snapshot keeps from use; where they have no long runs, does nothing. The file does not grow.
/// When it fails, the transaction is void.
[[nodiscard]] result<void> order_free_pages(const environment& env, write_transaction& txn, MDB_dbi table);

}  // namespace levada::storage
