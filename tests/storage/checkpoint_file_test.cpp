#include "storage/checkpoint_file.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <type_traits>

#include <support/child_process.hpp>

#include "storage/page_check.hpp"
#include "storage/row.hpp"
#include "storage_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::checkpoint;
using storage::checkpoint_file;
using storage::main_environment;
using storage::read_meta_page;
using storage::restore_meta_page;
using ::testing::HasSubstr;

static_assert(!std::is_copy_constructible_v<checkpoint_file> &&
              std::is_nothrow_move_constructible_v<checkpoint_file> &&
              std::is_nothrow_move_assignable_v<checkpoint_file>);

constexpr std::size_t header_bytes = 128;
constexpr std::size_t slot_area = 131'072;
constexpr std::size_t slot_bytes = header_bytes + 4096;

std::string content_of(const fs::path& file) {
  std::string bytes(fs::file_size(file), '\0');
  std::ifstream{file, std::ios::binary}.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

void set_content(const fs::path& file, const std::string& bytes) {
  std::ofstream out{file, std::ios::binary | std::ios::trunc};
  out << bytes;
}

/// Overwrites a part, without writing all of the file anew.
void patch(const fs::path& file, std::size_t at, std::string_view bytes) {
  std::fstream out{file, std::ios::binary | std::ios::in | std::ios::out};
  out.seekp(static_cast<std::streamoff>(at)).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

template <class T>
T number_in(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

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
    const std::string before = content_of(file());
    const auto refused = checkpoint_file::read(file());
    ASSERT_THAT(refused, fails_with(errc::damaged));
    EXPECT_THAT(refused.error().message(), HasSubstr(file().string()));
    EXPECT_THAT(checkpoint_file::open_or_create(file()), fails_with(errc::damaged));
    EXPECT_EQ(content_of(file()), before);
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
    const std::string bytes = content_of(file());
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
  const std::string bytes = content_of(file());
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
  set_content(file().string() + ".new", "the beginning");
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
    const std::string good = content_of(file());
    const std::size_t slot = (n - 1) % 2 * slot_area;
    for (std::size_t at = 0; at < slot_bytes; at += at < 200 ? 1 : 37) {
      const char wrong = static_cast<char>(good[slot + at] ^ 0x10);
      patch(file(), slot + at, {&wrong, 1});
      ASSERT_EQ(read(), numbered(n - 1)) << "byte " << at;
      patch(file(), slot + at, {&good[slot + at], 1});
    }
    ASSERT_EQ(read(), numbered(n));
  }
}

TEST_F(CheckpointFile, SurvivesAWriteThatIsCutOffAnywhere) {
  auto one = open();
  std::optional<checkpoint> last;
  for (std::uint64_t n = 1; n <= 3; ++n) {  // into a blank slot, into the second blank one, over an old one
    const std::string before = content_of(file());
    ok(one.write(numbered(n)));
    const std::string after = content_of(file());
    const std::size_t slot = (n - 1) % 2 * slot_area;
    // More and more of the beginning, then of the end.
    set_content(file(), before);
    for (std::size_t at = 0; at + 1 < slot_bytes; ++at) {
      patch(file(), slot + at, {&after[slot + at], 1});
      if (at > 200 && at % 16 != 0 && at < slot_bytes - 20) continue;
      ASSERT_EQ(read(), last) << "checkpoint " << n << ", the first " << at + 1 << " bytes";
    }
    set_content(file(), before);
    for (std::size_t at = slot_bytes - 1; at > 0; --at) {
      patch(file(), slot + at, {&after[slot + at], 1});
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
      patch(file(), slot, std::string_view{torn}.substr(slot, 9 * 512));
      ASSERT_EQ(read(), torn == after ? numbered(n) : last);
    }
    set_content(file(), after);
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
      std::string torn = content_of(file());
      torn[(n - 1) % 2 * slot_area + 500] ^= 1;
      set_content(file(), torn);
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
  std::string bytes = content_of(file());
  bytes[300] ^= 1;
  bytes[slot_area + 300] ^= 1;
  set_content(file(), bytes);
  expect_damaged();
}

TEST_F(CheckpointFile, SaysSoWhenTheFileIsForeignOrCutOffOrLonger) {
  ok(open().write(numbered(1)));
  const std::string whole = content_of(file());
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, header_bytes, slot_bytes, slot_area, 2 * slot_area - 1}) {
    set_content(file(), whole.substr(0, size));
    expect_damaged();
  }
  set_content(file(), whole + "x");
  expect_damaged();
  set_content(file(), "127.0.0.1 localhost\n");
  expect_damaged();
  std::string noise(2 * slot_area, '\0');
  std::mt19937_64 random{7};
  for (char& c : noise) c = static_cast<char>(random());
  set_content(file(), noise);
  expect_damaged();
  fs::remove(file());
  fs::create_directory(file());
  EXPECT_FALSE(checkpoint_file::read(file()));
  EXPECT_FALSE(checkpoint_file::open_or_create(file()));
}

TEST_F(CheckpointFile, RefusesALaterFormat) {
  ok(open().write(numbered(1)));
  std::string bytes = content_of(file());
  bytes[16] = 2;
  const std::uint64_t checksum = storage::records_hash(as_bytes(bytes).subspan(8, slot_bytes - 8));
  std::memcpy(bytes.data(), &checksum, sizeof checksum);
  set_content(file(), bytes);
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
  set_content(file().string() + ".new", "the beginning");
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

/// A main environment without flushes and a model of it.
class CheckpointedStore : public ::testing::Test {
 protected:
  using table_content = std::map<std::uint64_t, std::string>;
  using content = std::array<table_content, 4>;

  CheckpointedStore() { fs::create_directory(work()); }

  static constexpr storage::environment_options options{.map_bytes = std::size_t{64} << 20, .no_sync = true};

  [[nodiscard]] fs::path work() const { return directory_ / "main"; }
  [[nodiscard]] fs::path file() const { return work() / "data.mdb"; }

  static std::array<MDB_dbi, 4> tables_of(const main_environment& main) {
    return {main.tables().journal, main.tables().catalog, main.tables().offsets, main.tables().queues};
  }

  /// One commit of random changes, in the store and in the model.
  static void change(main_environment& main, content& model, std::mt19937_64& random) {
    const auto tables = tables_of(main);
    auto txn = ok(storage::write_transaction::begin(main.env()));
    for (int i = 0; i < 12; ++i) {
      const std::size_t t = random() % tables.size();
      const std::uint64_t number = random() % 150;
      const std::uint64_t key = storage::big_endian(number);
      if (random() % 3 != 0) {
        std::string value(random() % 1900 + 100, static_cast<char>('a' + random() % 26));
        ok(txn.put(tables[t], bytes_of(key), as_bytes(value)));
        model[t][number] = std::move(value);
      } else {
        ok(txn.erase(tables[t], bytes_of(key)));
        model[t].erase(number);
      }
    }
    ASSERT_EQ(txn.commit(), 0);
  }

  /// Two commits that leave the store as empty as it was, with many free pages for later ones to reuse.
  static void make_free_pages(main_environment& main) {
    const std::string value(1900, 'f');
    for (const bool erase : {false, true}) {
      auto txn = ok(storage::write_transaction::begin(main.env()));
      for (std::uint64_t n = 1000; n < 1500; ++n) {
        const std::uint64_t key = storage::big_endian(n);
        if (erase) {
          ok(txn.erase(main.tables().queues, bytes_of(key)));
        } else {
          ok(txn.put(main.tables().queues, bytes_of(key), as_bytes(value)));
        }
      }
      ASSERT_EQ(txn.commit(), 0);
    }
  }

  static content content_in(const main_environment& main) {
    content found;
    const auto tables = tables_of(main);
    const auto txn = ok(storage::read_transaction::begin(main.env()));
    for (std::size_t t = 0; t < tables.size(); ++t) {
      auto c = ok(storage::cursor::open(txn, tables[t]));
      for (auto at = ok(c.move(MDB_FIRST)); at; at = ok(c.move(MDB_NEXT))) {
        std::uint64_t key = 0;
        std::memcpy(&key, at->key.data(), sizeof key);
        found[t][storage::big_endian(key)] = {reinterpret_cast<const char*>(at->value.data()),
                                              at->value.size()};
      }
    }
    return found;
  }

  /// What a power cut finds: a snapshot that was on disk, and the file as it was then and later on.
  struct history {
    std::uint64_t transaction = 0;
    std::vector<std::byte> meta_page;
    content snapshot;
    std::vector<std::string> files;
    std::size_t page_size = 0;
  };

  enum class pin { kept, dropped };

  /// Writes a history with at least `commits_before` commits, so that the snapshot's transaction is even or
  /// odd as asked for.
  [[nodiscard]] history write_history(std::mt19937_64& random, pin what, std::uint64_t parity) const {
    auto main = ok(main_environment::create(work(), options));
    content model;
    make_free_pages(main);
    for (int i = 0; i < 30 || main.env().last_transaction() % 2 != parity; ++i) change(main, model, random);

    history made;
    std::optional<storage::read_transaction> reader = ok(storage::read_transaction::begin(main.env()));
    made.transaction = reader->id();
    made.meta_page = ok(read_meta_page(file(), made.transaction)).value();
    made.snapshot = model;
    if (what == pin::dropped) reader.reset();
    ok(main.env().sync());
    made.page_size = made.meta_page.size();
    made.files.push_back(content_of(file()));
    for (int commits : {1, 1, 1, 3, 20, 60}) {
      for (; commits > 0; --commits) change(main, model, random);
      made.files.push_back(content_of(file()));
    }
    return made;
  }

  /// The file with each page as it was at any time, as it may be after a power cut: the system writes pages
  /// back in any order, some never.
  static std::string mixture(const history& from, std::mt19937_64& random, std::size_t unit) {
    std::string mixed = from.files[random() % from.files.size()];
    for (std::size_t at = 0; at < mixed.size(); at += unit) {
      const std::string& then = from.files[random() % from.files.size()];
      if (at + unit <= then.size()) mixed.replace(at, unit, then, at, unit);
    }
    return mixed;
  }

  /// Whether the store, restored after the power cut that left `found`, is what it was at the snapshot.
  [[nodiscard]] bool restores(const history& from, const std::string& found) const {
    const temporary_directory cut;
    const fs::path data = cut / "data.mdb";
    set_content(data, found);
    if (!restore_meta_page(data, from.meta_page)) return false;
    if (!storage::verify_main_file(data)) return false;
    const auto main = main_environment::open(cut.path(), options);
    return main && main->env().last_transaction() == from.transaction && content_in(*main) == from.snapshot;
  }

  /// How many of the pages that were in the file at the snapshot have changed since.
  static std::size_t pages_changed(const history& in) {
    std::size_t changed = 0;
    for (std::size_t at = 2 * in.page_size; at < in.files.front().size(); at += in.page_size) {
      if (in.files.front().compare(at, in.page_size, in.files.back(), at, in.page_size) != 0) ++changed;
    }
    return changed;
  }

 private:
  temporary_directory directory_;
};

class CheckpointedStoreOfParity : public CheckpointedStore,
                                  public ::testing::WithParamInterface<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Transaction, CheckpointedStoreOfParity, ::testing::Values(0, 1),
                         [](const auto& which) { return which.param == 0 ? "Even" : "Odd"; });

TEST_P(CheckpointedStoreOfParity, GoesBackToAPinnedSnapshotWhateverPagesAPowerCutKept) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message{} << "seed " << seed);
  std::mt19937_64 random{seed};
  const history written = write_history(random, pin::kept, GetParam());
  ASSERT_EQ(written.transaction % 2, GetParam());
  ASSERT_GT(pages_changed(written), 50U) << "commits have reused pages that the snapshot does not need";
  for (const auto& whole : written.files) EXPECT_TRUE(restores(written, whole));
  for (int round = 0; round < 30; ++round) {
    ASSERT_TRUE(restores(written, mixture(written, random, written.page_size))) << "pages, " << round;
    ASSERT_TRUE(restores(written, mixture(written, random, 512))) << "sectors, " << round;
  }
  // Meta pages that were cut off while being written.
  for (const char fill : {'\0', 'x'}) {
    std::string broken = written.files.back();
    broken.replace(0, 2 * written.page_size, 2 * written.page_size, fill);
    EXPECT_TRUE(restores(written, broken));
  }
}

TEST_P(CheckpointedStoreOfParity, CannotGoBackToASnapshotThatNobodyPinned) {
  // The counterpart of the test above: shows that it can fail, and why the reader is needed.
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message{} << "seed " << seed);
  std::mt19937_64 random{seed};
  const history written = write_history(random, pin::dropped, GetParam());
  EXPECT_TRUE(restores(written, written.files[0]));
  EXPECT_TRUE(restores(written, written.files[1])) << "the first commit reuses nothing of it";
  EXPECT_TRUE(restores(written, written.files[2])) << "nor does the second";
  EXPECT_FALSE(restores(written, written.files.back()));
  int lost = 0;
  for (int round = 0; round < 20; ++round) {
    if (!restores(written, mixture(written, random, written.page_size))) ++lost;
  }
  EXPECT_GT(lost, 10);
}

TEST_P(CheckpointedStoreOfParity, GoesOnFromTheSnapshotAsIfNothingHadFollowedIt) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message{} << "seed " << seed);
  std::mt19937_64 random{seed};
  const history written = write_history(random, pin::kept, GetParam());
  const temporary_directory cut;
  const fs::path data = cut / "data.mdb";
  set_content(data, mixture(written, random, written.page_size));
  ok(restore_meta_page(data, written.meta_page));
  content model = written.snapshot;
  for (std::uint64_t opening = 0; opening < 3; ++opening) {
    auto main = ok(main_environment::open(cut.path(), options));
    for (std::uint64_t n = 1; n <= 15; ++n) {
      change(main, model, random);
      ASSERT_EQ(main.env().last_transaction(), written.transaction + opening * 15 + n);
      ASSERT_THAT(storage::verify_main_file(data), succeeds());
      ASSERT_EQ(content_in(main), model) << "commit " << n << " of opening " << opening;
    }
  }
}

TEST_P(CheckpointedStoreOfParity, TakesCheckpointsAgainBehindARestoration) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message{} << "seed " << seed);
  std::mt19937_64 random{seed};
  const history written = write_history(random, pin::kept, GetParam());
  const temporary_directory cut;
  const fs::path data = cut / "data.mdb";
  set_content(data, written.files.back());
  ok(restore_meta_page(data, written.meta_page));
  auto main = ok(main_environment::open(cut.path(), options));
  content model = written.snapshot;
  const auto meta_of_newest = [&] { return ok(read_meta_page(data, main.env().last_transaction())); };
  EXPECT_TRUE(meta_of_newest()) << "both meta pages carry the same transaction";
  for (int n = 0; n < 4; ++n) {
    change(main, model, random);
    EXPECT_TRUE(meta_of_newest()) << n;
  }
  // The power goes again, with the first checkpoint of the new life on disk.
  history second;
  const auto reader = ok(storage::read_transaction::begin(main.env()));
  second.transaction = reader.id();
  second.page_size = written.page_size;
  second.meta_page = meta_of_newest().value();
  second.snapshot = model;
  for (int files = 0; files < 4; ++files) {
    second.files.push_back(content_of(data));
    for (int n = 0; n < 10; ++n) change(main, model, random);
  }
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(restores(second, mixture(second, random, second.page_size)));
  }
}

TEST_P(CheckpointedStoreOfParity, IsRestoredAgainWhenRestoringWasCutOff) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message{} << "seed " << seed);
  std::mt19937_64 random{seed};
  const history written = write_history(random, pin::kept, GetParam());
  const temporary_directory cut;
  const fs::path data = cut / "data.mdb";
  const std::string before = mixture(written, random, written.page_size);
  set_content(data, before);
  ok(restore_meta_page(data, written.meta_page));
  const std::string after = content_of(data);
  const std::size_t metas = 2 * written.page_size;
  ASSERT_EQ(after.size(), before.size());
  EXPECT_TRUE(after.compare(metas, std::string::npos, before, metas) == 0) << "only meta pages are written";
  for (std::uint64_t n = 0; n < 2; ++n) {
    const std::size_t at = n * written.page_size;
    EXPECT_EQ(number_in<std::uint64_t>(after, at), n) << "each with its own number";
    EXPECT_EQ(
        after.substr(at + 8, written.page_size - 8),
        (std::string{reinterpret_cast<const char*>(written.meta_page.data()), written.page_size}.substr(8)));
  }
  for (std::size_t at = 0; at <= metas; at += at % written.page_size < 512 ? 64 : 512) {
    EXPECT_TRUE(restores(written, after.substr(0, at) + before.substr(at))) << "the first " << at;
    EXPECT_TRUE(restores(written, before.substr(0, at) + after.substr(at))) << "without the first " << at;
  }
}

class MetaPage : public CheckpointedStore {
 protected:
  MetaPage() : main_{ok(main_environment::create(work(), options))} {
    for (int i = 0; i < 10; ++i) change();
  }
  void change() { CheckpointedStore::change(main_, model_, random_); }
  [[nodiscard]] std::uint64_t newest() const { return main_.env().last_transaction(); }
  [[nodiscard]] std::vector<std::byte> newest_page() const {
    return ok(read_meta_page(file(), newest())).value();
  }

 private:
  main_environment main_;
  content model_;
  std::mt19937_64 random_{1};
};

TEST_F(MetaPage, IsReadWhileItsTransactionIsTheNewest) {
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t now = newest();
    const auto page = ok(read_meta_page(file(), now));
    ASSERT_TRUE(page);
    const std::string bytes = content_of(file());
    EXPECT_EQ(hex(*page), hex(as_bytes(bytes).subspan(now % 2 * page->size(), page->size())));
    EXPECT_EQ(ok(storage::check_snapshot(file(), *page)).transaction, now);
    EXPECT_FALSE(ok(read_meta_page(file(), now - 1))) << "the one before";
    EXPECT_FALSE(ok(read_meta_page(file(), now - 2))) << "an overwritten one";
    EXPECT_FALSE(ok(read_meta_page(file(), now + 1))) << "one that is not there yet";
    EXPECT_FALSE(ok(read_meta_page(file(), now + 2)));
    change();
    EXPECT_FALSE(ok(read_meta_page(file(), now)));
  }
}

TEST_F(MetaPage, IsNeverAMixtureOfTwoThatAreWrittenMeanwhile) {
  // Stands in for a commit: what it writes at once, without the first 16 bytes, filled with its number.
  const std::string whole = content_of(file());
  const fs::path other = work() / "other";
  set_content(other, whole);
  std::atomic<std::uint64_t> done = newest();
  std::atomic<bool> end = false;
  const std::size_t page_size = newest_page().size();
  std::thread writer{[&] {
    std::fstream out{other, std::ios::binary | std::ios::in | std::ios::out};
    for (std::uint64_t n = done + 1; !end; ++n) {
      std::array<std::uint64_t, 15> body{};
      body.fill(n);
      body[1] = number_in<std::uint64_t>(whole, 16 + 24);  // the page size stays
      out.seekp(static_cast<std::streamoff>(n % 2 * page_size + 32));
      out.write(reinterpret_cast<const char*>(body.data()), sizeof body);
      out.flush();
      done = n;
    }
  }};
  int found = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t now = done;
    const auto page = ok(read_meta_page(other, now));
    if (!page) continue;
    ++found;
    for (std::size_t word = 0; word < 15; ++word) {
      if (word == 1) continue;
      std::uint64_t value = 0;
      std::memcpy(&value, page->data() + 32 + 8 * word, sizeof value);
      if (value != now && now > newest())
        ADD_FAILURE() << "word " << word << " is of " << value << " in " << now;
    }
  }
  end = true;
  writer.join();
  EXPECT_GT(found, 0);
}

TEST_F(MetaPage, IsNotReadFromWhatIsNoDataFile) {
  const fs::path other = work() / "other";
  const auto missing = read_meta_page(other, 1);
  ASSERT_THAT(missing, fails_with(errc::damaged));
  EXPECT_THAT(missing.error().message(), HasSubstr("lost"));
  const std::string whole = content_of(file());
  const std::size_t page_size = newest_page().size();
  for (const std::uint64_t transaction : {newest(), newest() + 1}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{100}, page_size, page_size + 100}) {
      set_content(other, whole.substr(0, size));
      EXPECT_THAT(read_meta_page(other, transaction), fails_with(errc::damaged)) << size;
    }
    for (const std::size_t page : {0U, 1U}) {
      for (const std::size_t field : {10U, 16U, 20U, 40U}) {  // flags, magic, version, page size
        std::string spoilt = whole;
        spoilt.replace(page * page_size + field, 2, "\x55\x55");
        set_content(other, spoilt);
        EXPECT_THAT(read_meta_page(other, transaction), fails_with(errc::damaged)) << page << ", " << field;
      }
    }
  }
}

TEST_F(MetaPage, IsNotRestoredToAFileThatDoesNotHoldItsSnapshot) {
  const auto page = newest_page();
  const std::string whole = content_of(file());
  const fs::path data = work() / "other";
  const auto expect_refused = [&](const std::string& bytes, storage::bytes meta, const char* why) {
    set_content(data, bytes);
    const auto refused = restore_meta_page(data, meta);
    ASSERT_THAT(refused, fails_with(errc::damaged)) << why;
    EXPECT_THAT(refused.error().message(), HasSubstr(data.string()));
    EXPECT_TRUE(content_of(data) == bytes) << why << ": nothing is written";
  };
  for (int i = 0; i < 30; ++i) change();
  expect_refused(content_of(file()), page, "its pages were reused");
  expect_refused(whole.substr(0, whole.size() / 2), page, "the file is cut off");
  expect_refused({}, page, "the file is empty");
  expect_refused(whole, {}, "an empty page");
  expect_refused(whole, storage::bytes{page}.first(100), "half a page");
  expect_refused(whole, storage::bytes{page}.first(page.size() / 2), "a page of another size");
  auto foreign = page;
  foreign[16] = std::byte{0};
  expect_refused(whole, foreign, "a page that is not LMDB's");
  fs::remove(data);
  EXPECT_THAT(restore_meta_page(data, page), fails_with(errc::damaged));
  EXPECT_FALSE(fs::exists(data)) << "and none is made";
  set_content(data, whole);
  ok(restore_meta_page(data, page));
}

TEST_F(MetaPage, StaysWhereItStandsWhenThereIsNoRoomToRestoreIt) {
  const fs::path data = work() / "other";
  for (int i = 0; i < 2; ++i) {  // an even and an odd transaction
    const auto meta = newest_page();
    const std::string whole = content_of(file());
    set_content(data, whole);
    child_process limited{[&](const auto&) {
      std::signal(SIGXFSZ, SIG_IGN);
      const struct rlimit limit { meta.size(), RLIM_INFINITY };
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
      const auto refused = restore_meta_page(data, meta);
      return !refused && refused.error().code() == errc::disk_full ? 0 : 1;
    }};
    EXPECT_EQ(limited.wait(), 0);
    const std::string left = content_of(data);
    const std::size_t own = newest() % 2 * meta.size();
    EXPECT_EQ(hex(as_bytes(left).subspan(own, 152)), hex(as_bytes(whole).subspan(own, 152)));
    ok(restore_meta_page(data, meta));
    change();
  }
}

}  // namespace
}  // namespace levada::test
