// Very large commits: through the journal, and sealed later, as they are; beside what would be needed to put
// them into a segment at once. Two prototypes of that: an LMDB file with entries as segments have them, and a
// plain file of the same bytes, which is the least that can be done. Both are flushed, named, their directory
// flushed, and then registered by a small synced commit.

#include <fcntl.h>
#include <fmt/format.h>
#include <lmdb.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/disk.hpp"
#include "support/raw_journal.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr std::uint32_t partitions = 8;
constexpr int rounds_full = 7;
constexpr int rounds_smoke = 2;
/// Each turn writes as much, in one commit or several: what makes sealing due. In groups of about 1 MiB.
constexpr std::size_t groups_per_turn_full = 64;
constexpr std::size_t groups_per_turn_smoke = 4;

/// What a group's records take up in a segment: records, and a description of the run of each row.
constexpr std::size_t run_bytes = 32;
constexpr std::size_t sealed_group_bytes =
    records_per_group * record_bytes + records_per_group / records_per_row * run_bytes;
/// Entries of segments, and what is gathered before it is handed to the file.
constexpr std::size_t entry_bytes = 65'520;
constexpr std::size_t gathered_bytes_max = std::size_t{8} << 20;

[[noreturn]] void fail(const char* operation) {
  throw std::system_error{errno, std::generic_category(), fmt::format("large commit: {}", operation)};
}

void check(int code, const char* operation) {
  if (code != 0) throw std::runtime_error{fmt::format("large commit: {}: {}", operation, mdb_strerror(code))};
}

/// What this process has handed to the file system, in bytes. What the kernel says that it caused to be
/// written would count the neighbours of changed pages, too, where the file system keeps large folios.
std::uint64_t bytes_written() {
  std::ifstream io{"/proc/self/io"};
  for (std::string name; io >> name;) {
    std::uint64_t value = 0;
    io >> value;
    if (name == "wchar:") return value;
  }
  throw std::runtime_error{"/proc/self/io has no wchar"};
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>{std::chrono::steady_clock::now() - begin}.count();
}

/// A turn: as many commits as make up its bytes.
struct turn {
  double acknowledged = 0;  // seconds until all commits were durable
  double all = 0;           // and nothing was left to do
  double written = 0;       // bytes
};

class way {
 public:
  virtual ~way() = default;
  virtual turn run(std::size_t commits) = 0;
};

/// The journal; what it holds is sealed at the end of each turn. Encoding records is not counted.
class through_journal : public way {
 public:
  through_journal(const std::filesystem::path& directory, std::size_t groups)
      : groups_{groups},
        bus_{bus::open(directory, {.maintenance = maintenance_mode::on_call, .journal_bytes_seal = 0})
                 .value()},
        topic_{bus_.declare_topic("measured", {.partitions = partitions}).value()},
        batch_{topic_.make_batch()} {}

  turn run(std::size_t commits) override {
    turn taken;
    const std::uint64_t before = bytes_written();
    for (std::size_t i = 0; i < commits; ++i) {
      add_records(batch_, groups_ * records_per_group);
      const auto begin = std::chrono::steady_clock::now();
      (void)topic_.publish(batch_).value();
      taken.acknowledged += seconds_since(begin);
    }
    const auto begin = std::chrono::steady_clock::now();
    bus_.maintain().value();
    taken.all = taken.acknowledged + seconds_since(begin);
    taken.written = static_cast<double>(bytes_written() - before);
    return taken;
  }

 private:
  std::size_t groups_;
  bus bus_;
  topic topic_;
  publish_batch batch_;
};

/// A file a commit. What of it differs is how the file is written.
class into_files : public way {
 public:
  into_files(const std::filesystem::path& directory, std::size_t groups)
      : directory_{made(directory)},
        directory_fd_{::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)},
        content_(groups * sealed_group_bytes),
        main_{made(directory / "main")} {
    if (directory_fd_ < 0) fail("open directory");
    std::uint32_t state = 1;
    for (std::byte& b : content_) {
      state = state * 1'664'525 + 1'013'904'223;
      b = static_cast<std::byte>(state >> 24);
    }
  }
  into_files(const into_files&) = delete;
  into_files& operator=(const into_files&) = delete;
  ~into_files() override { ::close(directory_fd_); }

  turn run(std::size_t commits) override {
    turn taken;
    const std::uint64_t before = bytes_written();
    std::vector<std::filesystem::path> files;
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < commits; ++i) {
      const std::filesystem::path temporary = directory_ / "new";
      write(temporary);
      files.push_back(directory_ / fmt::format("{:08x}", ++last_));
      if (::rename(temporary.c_str(), files.back().c_str()) != 0) fail("name");
      if (::fsync(directory_fd_) != 0) fail("flush directory");
      main_.append(1, lone_row_bytes);
    }
    taken.acknowledged = taken.all = seconds_since(begin);
    taken.written = static_cast<double>(bytes_written() - before);
    for (const auto& file : files) std::filesystem::remove(file);
    return taken;
  }

 protected:
  /// Makes a file of the content and flushes it.
  virtual void write(const std::filesystem::path& file) = 0;
  [[nodiscard]] const std::vector<std::byte>& content() const noexcept { return content_; }

 private:
  static std::filesystem::path made(std::filesystem::path directory) {
    std::filesystem::create_directory(directory);
    return directory;
  }

  std::filesystem::path directory_;
  int directory_fd_;
  std::vector<std::byte> content_;
  raw_journal main_;
  std::uint32_t last_ = 0;
};

class plain_files : public into_files {
 public:
  using into_files::into_files;

 private:
  void write(const std::filesystem::path& file) override {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) fail("make");
    const struct closer {
      int fd;
      ~closer() { ::close(fd); }
    } closing{fd};
    for (std::size_t done = 0; done < content().size();) {
      const ssize_t written = ::write(fd, content().data() + done, content().size() - done);
      if (written < 0) fail("write");
      done += static_cast<std::size_t>(written);
    }
    if (::fdatasync(fd) != 0) fail("flush");
  }
};

/// As segments are written, checksums included.
class segments : public into_files {
 public:
  using into_files::into_files;

 private:
  struct closer {
    void operator()(MDB_env* env) const noexcept { mdb_env_close(env); }
    void operator()(MDB_txn* txn) const noexcept { mdb_txn_abort(txn); }
  };

  void write(const std::filesystem::path& file) override {
    MDB_env* raw_env = nullptr;
    check(mdb_env_create(&raw_env), "create environment");
    const std::unique_ptr<MDB_env, closer> env{raw_env};
    check(mdb_env_set_mapsize(env.get(), 2 * content().size() + 4 * gathered_bytes_max), "set map size");
    check(mdb_env_open(env.get(), file.c_str(),
                       MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NOSYNC | MDB_NOMETASYNC, 0600),
          "open environment");
    for (std::size_t at = 0; at < content().size();) {
      MDB_txn* raw_txn = nullptr;
      check(mdb_txn_begin(env.get(), nullptr, 0, &raw_txn), "begin");
      std::unique_ptr<MDB_txn, closer> txn{raw_txn};
      MDB_dbi table = 0;
      check(mdb_dbi_open(txn.get(), nullptr, 0, &table), "open table");
      const std::size_t end = std::min(content().size(), at + gathered_bytes_max);
      while (at < end) {
        const std::size_t size = std::min(entry_bytes, content().size() - at);
        put(txn.get(), table, at, size);
        at += size;
      }
      check(mdb_txn_commit(txn.release()), "commit");
    }
    check(mdb_env_sync(env.get(), 1), "sync");
  }

  void put(MDB_txn* txn, MDB_dbi table, std::size_t at, std::size_t size) const {
    std::array<std::uint64_t, 2> key{0, __builtin_bswap64(at)};
    MDB_val stored_key{sizeof key, key.data()};
    MDB_val value{size, nullptr};
    check(mdb_put(txn, table, &stored_key, &value, MDB_RESERVE), "put");
    auto* const to = static_cast<std::byte*>(value.mv_data);
    std::memcpy(to, content().data() + at, size);
    const std::uint64_t checksum = XXH3_64bits(to + sizeof checksum, size - sizeof checksum);
    std::memcpy(to, &checksum, sizeof checksum);
  }
};

struct contender {
  const char* text;
  const char* name;
  std::unique_ptr<way> how;
  std::vector<turn> turns = {};

  [[nodiscard]] std::vector<double> all(double turn::*what) const {
    std::vector<double> values;
    for (const turn& one : turns) values.push_back(one.*what);
    return values;
  }
  /// Its share of what another took in the same turns.
  [[nodiscard]] std::vector<double> over(const contender& other, double turn::*what) const {
    std::vector<double> values;
    for (std::size_t i = 0; i < turns.size(); ++i) values.push_back(turns[i].*what / other.turns[i].*what);
    return values;
  }
};

void compare(const std::filesystem::path& directory, std::size_t groups, findings& found) {
  const std::size_t groups_per_turn = found.smoke() ? groups_per_turn_smoke : groups_per_turn_full;
  const std::size_t commits = groups_per_turn / groups;
  const int rounds = found.smoke() ? rounds_smoke : rounds_full;
  const std::size_t turn_bytes = groups_per_turn * sealed_group_bytes;
  require_space(directory, (static_cast<std::uint64_t>(rounds) + 6) * 2 * turn_bytes);

  std::array<contender, 3> ways{
      contender{"journal, sealed later", "journal",
                std::make_unique<through_journal>(directory / "levada", groups)},
      contender{"segment at once", "segment", std::make_unique<segments>(directory / "segments", groups)},
      contender{"plain file at once", "plain", std::make_unique<plain_files>(directory / "plain", groups)}};
  for (contender& one : ways) (void)one.how->run(commits);
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      stop_if_asked();
      contender& one = ways[(i + static_cast<std::size_t>(round)) % ways.size()];
      one.turns.push_back(one.how->run(commits));
    }
  }

  found.line(fmt::format("{} MiB a commit, {} commit{} a turn", groups, commits, commits == 1 ? "" : "s"));
  const contender& journal = ways[0];
  for (const contender& one : ways) {
    const auto acknowledged = one.over(journal, &turn::acknowledged);
    const auto all = one.over(journal, &turn::all);
    const double amplification = median(one.all(&turn::written)) / static_cast<double>(turn_bytes);
    found.line(
        fmt::format("  {:<22} {:>7.1f} ms a commit   time over the journal's: until durable {}, all {};  "
                    "written {:.2f}",
                    one.text, median(one.all(&turn::acknowledged)) / static_cast<double>(commits) * 1e3,
                    with_range(acknowledged), with_range(all), amplification));
    found.figure(fmt::format("mebibytes:{}/{}/acknowledged", groups, one.name), median(acknowledged));
    found.figure(fmt::format("mebibytes:{}/{}/all", groups, one.name), median(all));
    found.figure(fmt::format("mebibytes:{}/{}/written", groups, one.name), amplification);
  }
}

void answer(const std::filesystem::path& directory, findings& found) {
  const std::size_t most = found.smoke() ? groups_per_turn_smoke : groups_per_turn_full;
  constexpr std::size_t step = 4;
  found.line("written: bytes handed to the file system, over the bytes that the records take up in segments");
  for (std::size_t groups = 1; groups <= most; groups *= step) {
    const std::filesystem::path own = directory / fmt::format("{}", groups);
    std::filesystem::create_directory(own);
    compare(own, groups, found);
    std::filesystem::remove_all(own);
  }
}

}  // namespace

void ask_large_commits(suite& s) {
  s.ask(study{.name = "large_commits",
              .text = "large commits through the journal and sealed, beside a segment for each at once",
              .answer = answer});
}

}  // namespace levada::bench
