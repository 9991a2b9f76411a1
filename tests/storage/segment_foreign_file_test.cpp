#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <support/file_bytes.hpp>

#include "segment_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::segment_file;
using ::testing::HasSubstr;

/// Files of LMDB's that are no segments.
class ForeignFile : public segment_fixture {
 protected:
  void write_entry(std::string_view key, std::string_view value) const {
    auto env = ok(storage::environment::open(
        file(), {.map_bytes = std::size_t{1} << 20, .no_sync = true, .single_file = true}));
    auto txn = ok(storage::write_transaction::begin(env));
    MDB_dbi table = 0;
    ASSERT_EQ(mdb_dbi_open(txn.get(), nullptr, 0, &table), 0);
    if (!key.empty()) ok(txn.put(table, as_bytes(key), as_bytes(value)));
    ASSERT_EQ(txn.commit(), 0);
  }
  static std::string identity(std::string magic, std::uint32_t format) {
    magic.append(reinterpret_cast<const char*>(&format), sizeof format);
    magic.append(reinterpret_cast<const char*>(&id), sizeof id);
    return magic + std::string(16, '\0');
  }
  const std::string zeros_ = std::string(16, '\0');
};

TEST_F(ForeignFile, IsRefusedWithoutAnIdentity) {
  write_entry("another key", "a value");
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(ForeignFile, IsRefusedWithoutAnyEntry) {
  write_entry("", "");
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(ForeignFile, IsRefusedWithTheWrongMagic) {
  write_entry(zeros_, identity("levsegn\n", 1));
  const auto opened = segment_file::open(file(), id);
  ASSERT_THAT(opened, fails_with(errc::damaged));
  EXPECT_THAT(opened.error().message(), HasSubstr("it is no segment"));
}

TEST_F(ForeignFile, IsRefusedWithAnIdentityOfTheWrongSize) {
  write_entry(zeros_, identity("levsegm\n", 1) + "x");
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(ForeignFile, IsRefusedInAnUnknownFormat) {
  write_entry(zeros_, identity("levsegm\n", 2));
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::unsupported_format));
}

TEST_F(ForeignFile, IsAcceptedWithNothingButAnIdentity) {
  write_entry(zeros_, identity("levsegm\n", 1));
  EXPECT_THAT(segment_file::open(file(), id), succeeds());
}

TEST_F(ForeignFile, IsRefusedAsTheMainFileOfAStore) {
  const auto main = directory_ / "main";
  fs::create_directory(main);
  ok(storage::main_environment::create(main, {.map_bytes = std::size_t{1} << 20, .no_sync = true}));
  fs::copy_file(main / "data.mdb", file());
  EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged));
}

TEST_F(ForeignFile, IsRefusedWhereItIsEmptyOrNothingThatLmdbWrote) {
  for (const std::size_t size : {0U, 1U, 100U, 4096U, 8192U, 100'000U}) {
    write_file(file(), std::string(size, '\0'));
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << size;
    write_file(file(), std::string(size, 'x'));
    EXPECT_THAT(segment_file::open(file(), id), fails_with(errc::damaged)) << size;
  }
}

TEST_F(ForeignFile, IsRefusedWhereItIsADirectory) {
  fs::create_directory(file());
  EXPECT_FALSE(segment_file::open(file(), id).has_value());
}

TEST_F(ForeignFile, WithAKeyOfTheWrongSizeIsReadWithoutHarm) {
  write_entry(zeros_, identity("levsegm\n", 1));
  write_entry("short", "a value that is no batch");
  auto r = reader();
  EXPECT_THAT(r.first(), fails_with(errc::damaged));
  const auto found = r.find({0x73686f72, 0, 0});
  EXPECT_TRUE(!found.has_value() || !found->has_value());
}

}  // namespace
}  // namespace levada::test
