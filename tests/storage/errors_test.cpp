#include "storage/errors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <lmdb.h>

#include <cerrno>

namespace levada::test {
namespace {

using ::testing::HasSubstr;

TEST(StorageErrors, AreClassifiedByWhatTheUserCanDoAboutThem) {
  const struct {
    int code;
    errc expected;
  } table[] = {
      {MDB_MAP_FULL, errc::store_full},
      {ENOSPC, errc::disk_full},
      {EDQUOT, errc::disk_full},
      {EFBIG, errc::disk_full},
      {MDB_READERS_FULL, errc::out_of_resources},
      {MDB_TXN_FULL, errc::out_of_resources},
      {MDB_DBS_FULL, errc::out_of_resources},
      {ENOMEM, errc::out_of_resources},
      {EMFILE, errc::out_of_resources},
      {ENFILE, errc::out_of_resources},
      {EAGAIN, errc::out_of_resources},
      {MDB_CORRUPTED, errc::damaged},
      {MDB_PAGE_NOTFOUND, errc::damaged},
      {MDB_INVALID, errc::damaged},
      {MDB_VERSION_MISMATCH, errc::damaged},
      {MDB_NOTFOUND, errc::damaged},
      {EACCES, errc::permission_denied},
      {EPERM, errc::permission_denied},
      {EROFS, errc::permission_denied},
      {MDB_PANIC, errc::failed},
      {EIO, errc::io_error},
      {ENOENT, errc::io_error},
  };
  for (const auto& [code, expected] : table) {
    EXPECT_EQ(storage::lmdb_error(code, "try").code(), expected) << mdb_strerror(code);
    if (code > 0) {
      EXPECT_EQ(storage::system_error(code, "try", "x").code(), expected) << mdb_strerror(code);
    }
  }
}

TEST(StorageErrors, NameOperationObjectAndReason) {
  const auto full = storage::lmdb_error(MDB_MAP_FULL, "open main environment of '/srv/bus'");
  EXPECT_THAT(full.message(), HasSubstr("open main environment of '/srv/bus': "));
  EXPECT_THAT(full.message(), HasSubstr("MDB_MAP_FULL"));
  EXPECT_EQ(storage::system_error(ENOENT, "open", "/srv/bus/LOCK").message(),
            "open '/srv/bus/LOCK': No such file or directory");
}

}  // namespace
}  // namespace levada::test
