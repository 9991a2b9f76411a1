#include "storage/checkpoint_file.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <type_traits>

#include <support/child_process.hpp>

#include "checkpoint_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::checkpoint;
using storage::checkpoint_file;
using ::testing::HasSubstr;

static_assert(!std::is_copy_constructible_v<checkpoint_file> &&
              std::is_nothrow_move_constructible_v<checkpoint_file> &&
              std::is_nothrow_move_assignable_v<checkpoint_file>);

constexpr std::size_t header_bytes = 128;
constexpr std::size_t slot_area = 131'072;
constexpr std::size_t slot_bytes = header_bytes + 4096;

/// A checkpoint that differs from every other one in all of its bytes.
checkpoint numbered(std::uint64_t n, std::size_t page_size = 4096) {
  checkpoint made{n, static_cast<std::int64_t>(1'700'000'000'000'000 + n), "boot-" + std::to_string(n), {}};
  std::mt19937_64 random{n};
  for (std::size_t i = 0; i < page_size; ++i) made.meta_page.push_back(static_cast<std::byte>(random()));
  return made;
}

class CheckpointFile : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path file() const { return directory_ / "checkpoint"; }
  [[nodiscard]] const fs::path& directory() const { return directory_.path(); }
  [[nodiscard]] checkpoint_file open() const { return ok(checkpoint_file::open_or_create(file())); }
  [[nodiscard]] std::optional<checkpoint> read() const { return ok(checkpoint_file::read(file())); }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator{directory_.path()}, fs::directory_iterator{}));
  }
  void expect_damaged() const {
    const std::string before = read_file(file());
    const auto refused = checkpoint_file::read(file());
    ASSERT_THAT(refused, fails_with(errc::damaged));
    EXPECT_THAT(refused.error().message(), HasSubstr(file().string()));
    EXPECT_THAT(checkpoint_file::open_or_create(file()), fails_with(errc::damaged));
    EXPECT_EQ(read_file(file()), before);
  }

 private:
  temporary_directory directory_;
};

TEST_F(CheckpointFile, GivesBackWhatWasWrittenLast) {
  auto one = open();
  for (std::uint64_t n = 1; n <= 5; ++n) {
    ok(one.write(numbered(n)));
    EXPECT_EQ(read(), numbered(n));
  }
}

TEST_F(CheckpointFile, HoldsNothingUntilTheFirstCheckpoint) {
  EXPECT_EQ(read(), std::nullopt) << "there is no file";
  EXPECT_EQ(files(), 0U) << "and reading makes none";
  const auto made = open();
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(CheckpointFile, GoesOnFromTheNewestSlotWhenOpenedAgain) {
  for (std::uint64_t n = 1; n <= 5; ++n) {
    ok(open().write(numbered(n)));
    const std::string bytes = read_file(file());
    const std::size_t written = (n - 1) % 2 * slot_area;
    EXPECT_EQ(number_in<std::uint64_t>(bytes, written + 24), n) << "generations count on";
    EXPECT_EQ(number_in<std::uint64_t>(bytes, slot_area - written + 24), n - 1) << "the other slot stands";
  }
}

TEST_F(CheckpointFile, TakesEveryPageSizeOfLmdbAndTheLongestBootId) {
  auto one = open();
  for (const std::size_t size : {512U, 4096U, 16'384U, 65'536U}) {
    auto what = numbered(size, size);
    what.boot_id = std::string(storage::boot_id_bytes_max, 'b');
    what.time = -1;
    what.transaction = ~std::uint64_t{0};
    ok(one.write(what));
    EXPECT_EQ(read(), what);
  }
  auto what = numbered(9);
  what.boot_id.clear();
  ok(one.write(what));
  EXPECT_EQ(read(), what);
}

TEST_F(CheckpointFile, RefusesFieldsBeyondTheirLimits) {
  auto one = open();
  ok(one.write(numbered(1)));
  auto what = numbered(2);
  what.boot_id = std::string(storage::boot_id_bytes_max + 1, 'b');
  EXPECT_THAT(one.write(what), fails_with(errc::invalid_argument));
  what.boot_id = std::string{"a\0b", 3};
  EXPECT_THAT(one.write(what), fails_with(errc::invalid_argument));
  for (const std::size_t size : {0U, 256U, 4095U, 5000U, 131'072U}) {
    EXPECT_THAT(one.write(numbered(2, size)), fails_with(errc::invalid_argument)) << size;
  }
  EXPECT_EQ(read(), numbered(1));
}

TEST_F(CheckpointFile, StoresTheDocumentedBytes) {
  ok(open().write({0x1122334455667788, -2, "b0b", std::vector<std::byte>(512, std::byte{0xEE})}));
  const std::string bytes = read_file(file());
  ASSERT_EQ(bytes.size(), 2 * slot_area);
  EXPECT_EQ(number_in<std::uint64_t>(bytes, 0),
            storage::records_hash(as_bytes(bytes).subspan(8, header_bytes + 512 - 8)));
  EXPECT_EQ(hex(as_bytes(bytes).subspan(8, header_bytes - 8)),
            "6c657663686b700a"  // levchkp, line feed
            "01000000"          // format
            "00020000"          // bytes of the meta page
            "0100000000000000"  // generation
            "8877665544332211"  // transaction
            "feffffffffffffff"  // time
            "623062" +          // boot id
                std::string(std::size_t{2} * (61 + 16), '0'));
  EXPECT_EQ(bytes.substr(header_bytes, 512), std::string(512, '\xEE'));
  EXPECT_EQ(bytes.find_first_not_of('\0', header_bytes + 512), std::string::npos);
}

TEST_F(CheckpointFile, IsAPrivateFileOfItsFinalSizeFromTheBeginning) {
  auto one = open();
  EXPECT_EQ(fs::status(file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  struct stat made {};
  ASSERT_EQ(::stat(file().c_str(), &made), 0);
  EXPECT_EQ(made.st_size, 2 * slot_area);
  EXPECT_GE(static_cast<std::size_t>(made.st_blocks) * 512, 2 * slot_area) << "the room is taken";
  ok(one.write(numbered(1)));
  ok(one.write(numbered(2)));
  EXPECT_EQ(fs::file_size(file()), 2 * slot_area);
  EXPECT_EQ(files(), 1U) << "nothing is left of making it";
}

TEST_F(CheckpointFile, IsMadeAnewOverWhatACrashLeftOfMakingIt) {
  write_file(file().string() + ".new", "the beginning");
  EXPECT_EQ(read(), std::nullopt);
  ok(open().write(numbered(1)));
  EXPECT_EQ(read(), numbered(1));
  EXPECT_EQ(files(), 1U);
}

TEST_F(CheckpointFile, FallsBackToTheOtherSlotWhateverByteOfTheNewestIsWrong) {
  auto one = open();
  ok(one.write(numbered(1)));
  for (std::uint64_t n = 2; n <= 3; ++n) {  // once with the newest in each slot
    ok(one.write(numbered(n)));
    const std::string good = read_file(file());
    const std::size_t slot = (n - 1) % 2 * slot_area;
    for (std::size_t at = 0; at < slot_bytes; at += at < 200 ? 1 : 37) {
      const char wrong = static_cast<char>(good[slot + at] ^ 0x10);
      patch_file(file(), slot + at, {&wrong, 1});
      ASSERT_EQ(read(), numbered(n - 1)) << "byte " << at;
      patch_file(file(), slot + at, {&good[slot + at], 1});
    }
    ASSERT_EQ(read(), numbered(n));
  }
}

TEST_F(CheckpointFile, SurvivesAWriteThatIsCutOffAnywhere) {
  auto one = open();
  std::optional<checkpoint> last;
  for (std::uint64_t n = 1; n <= 3; ++n) {  // into a blank slot, into the second blank one, over an old one
    const std::string before = read_file(file());
    ok(one.write(numbered(n)));
    const std::string after = read_file(file());
    const std::size_t slot = (n - 1) % 2 * slot_area;
    // More and more of the beginning, then of the end.
    write_file(file(), before);
    for (std::size_t at = 0; at + 1 < slot_bytes; ++at) {
      patch_file(file(), slot + at, {&after[slot + at], 1});
      if (at > 200 && at % 16 != 0 && at < slot_bytes - 20) continue;
      ASSERT_EQ(read(), last) << "checkpoint " << n << ", the first " << at + 1 << " bytes";
    }
    write_file(file(), before);
    for (std::size_t at = slot_bytes - 1; at > 0; --at) {
      patch_file(file(), slot + at, {&after[slot + at], 1});
      if (at > 200 && at % 16 != 0 && at < slot_bytes - 20) continue;
      ASSERT_EQ(read(), last) << "checkpoint " << n << ", without the first " << at << " bytes";
    }
    // Any sectors.
    std::mt19937_64 random{n};
    for (int round = 0; round < 100; ++round) {
      std::string torn = before;
      for (std::size_t at = 0; at < slot_bytes; at += 512) {
        if (random() % 2 == 0) torn.replace(slot + at, 512, after, slot + at, 512);
      }
      patch_file(file(), slot, std::string_view{torn}.substr(slot, 9 * 512));
      ASSERT_EQ(read(), torn == after ? numbered(n) : last);
    }
    write_file(file(), after);
    last = numbered(n);
  }
}

TEST_F(CheckpointFile, WritesNextWhereAWriteWasCutOff) {
  // Two writes in a row that are cut off must not cost both slots.
  for (std::uint64_t n = 1; n <= 4; ++n) {
    std::optional<checkpoint> last;
    if (n > 1) last = numbered(n - 1);
    for (int crash = 0; crash < 3; ++crash) {
      ok(open().write(numbered(100 + n)));
      std::string torn = read_file(file());
      torn[(n - 1) % 2 * slot_area + 500] ^= 1;
      write_file(file(), torn);
      ASSERT_EQ(read(), last) << "crash " << crash << " of checkpoint " << n;
    }
    ok(open().write(numbered(n)));
    ASSERT_EQ(read(), numbered(n));
  }
}

TEST_F(CheckpointFile, SaysSoWhenNoCrashCanHaveLeftWhatItFinds) {
  auto one = open();
  ok(one.write(numbered(1)));
  ok(one.write(numbered(2)));
  std::string bytes = read_file(file());
  bytes[300] ^= 1;
  bytes[slot_area + 300] ^= 1;
  write_file(file(), bytes);
  expect_damaged();
}

TEST_F(CheckpointFile, SaysSoWhenTheFileIsForeignOrCutOffOrLonger) {
  ok(open().write(numbered(1)));
  const std::string whole = read_file(file());
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, header_bytes, slot_bytes, slot_area, 2 * slot_area - 1}) {
    write_file(file(), whole.substr(0, size));
    expect_damaged();
  }
  write_file(file(), whole + "x");
  expect_damaged();
  write_file(file(), "127.0.0.1 localhost\n");
  expect_damaged();
  std::string noise(2 * slot_area, '\0');
  std::mt19937_64 random{7};
  for (char& c : noise) c = static_cast<char>(random());
  write_file(file(), noise);
  expect_damaged();
  fs::remove(file());
  fs::create_directory(file());
  EXPECT_FALSE(checkpoint_file::read(file()));
  EXPECT_FALSE(checkpoint_file::open_or_create(file()));
}

TEST_F(CheckpointFile, RefusesALaterFormat) {
  ok(open().write(numbered(1)));
  std::string bytes = read_file(file());
  bytes[16] = 2;
  const std::uint64_t checksum = storage::records_hash(as_bytes(bytes).subspan(8, slot_bytes - 8));
  std::memcpy(bytes.data(), &checksum, sizeof checksum);
  write_file(file(), bytes);
  EXPECT_THAT(checkpoint_file::read(file()), fails_with(errc::unsupported_format));
  EXPECT_THAT(checkpoint_file::open_or_create(file()), fails_with(errc::unsupported_format));
}

TEST_F(CheckpointFile, NamesAMissingDirectory) {
  const fs::path missing = directory() / "missing" / "checkpoint";
  const auto refused = checkpoint_file::open_or_create(missing);
  ASSERT_THAT(refused, fails_with(errc::io_error));
  EXPECT_THAT(refused.error().message(), HasSubstr("missing/checkpoint"));
  EXPECT_EQ(ok(checkpoint_file::read(missing)), std::nullopt);
  EXPECT_THAT(checkpoint_file::remove(missing), fails_with(errc::io_error));
}

TEST_F(CheckpointFile, IsRemovedWithWhatACrashLeft) {
  ok(checkpoint_file::remove(file()));
  ok(open().write(numbered(1)));
  write_file(file().string() + ".new", "the beginning");
  ok(checkpoint_file::remove(file()));
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(read(), std::nullopt);
  ok(checkpoint_file::remove(file()));
}

TEST_F(CheckpointFile, KeepsTheLastCheckpointWhenThereIsNoRoomForTheNext) {
  child_process limited{[&](const auto& say) {
    std::signal(SIGXFSZ, SIG_IGN);
    const auto limit_to = [](rlim_t bytes) {
      const struct rlimit limit { bytes, RLIM_INFINITY };
      return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
    };
    const auto fail = [&](const char* why) {
      say(why);
      return 1;
    };
    if (!limit_to(2 * slot_area - 1)) return fail("setrlimit");
    const auto refused = checkpoint_file::open_or_create(file());
    if (refused || refused.error().code() != errc::disk_full) return fail("makes a file that is too short");
    if (files() != 0) return fail("leaves something behind");
    if (!limit_to(RLIM_INFINITY)) return fail("setrlimit");
    auto one = open();
    ok(one.write(numbered(1)));
    // None of the second slot, its header, and half of its meta page.
    for (const std::size_t room : {std::size_t{0}, header_bytes, header_bytes + 2048}) {
      if (!limit_to(slot_area + room)) return fail("setrlimit");
      const auto failed = one.write(numbered(2));
      if (failed || failed.error().code() != errc::disk_full) return fail("seems to write");
      if (read() != numbered(1)) return fail("has lost the last checkpoint");
    }
    if (!limit_to(RLIM_INFINITY)) return fail("setrlimit");
    ok(one.write(numbered(2)));
    if (read() != numbered(2)) return fail("does not recover");
    ok(one.write(numbered(3)));
    if (read() != numbered(3)) return fail("does not go on");
    return 0;
  }};
  EXPECT_EQ(limited.read_line(), "");
  EXPECT_EQ(limited.wait(), 0);
}

}  // namespace
}  // namespace levada::test
