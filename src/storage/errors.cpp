#include "storage/errors.hpp"

#include <fmt/format.h>
#include <lmdb.h>

#include <cerrno>
#include <system_error>

namespace levada::storage {
namespace {

errc classify(int code) noexcept {
  switch (code) {
    case MDB_MAP_FULL:
      return errc::store_full;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return errc::disk_full;
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case MDB_DBS_FULL:
    case MDB_TLS_FULL:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
      return errc::out_of_resources;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_NOTFOUND:  // reported as an error only where the entry must be there
      return errc::damaged;
    case EACCES:
    case EPERM:
    case EROFS:
      return errc::permission_denied;
    case MDB_PANIC:
      return errc::failed;
    default:
      return errc::io_error;
  }
}

}  // namespace

error lmdb_error(int code, std::string_view operation) {
  return {classify(code), fmt::format("{}: {}", operation, mdb_strerror(code))};
}

error system_error(int error_number, std::string_view operation, const std::filesystem::path& path) {
  return {classify(error_number), fmt::format("{} '{}': {}", operation, path.string(),
                                              std::generic_category().message(error_number))};
}

}  // namespace levada::storage
