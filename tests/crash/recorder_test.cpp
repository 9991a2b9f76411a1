#include <crash/recorder.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <crash/disk.hpp>
#include <levada/levada.hpp>
#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using what = operation::what;

std::ptrdiff_t count(const std::vector<operation>& operations, what kind) {
  return std::count_if(operations.begin(), operations.end(),
                       [&](const operation& o) { return o.kind == kind; });
}

/// How a disk that began empty and saw `operations` differs from the real one.
std::string difference(const std::vector<operation>& operations, const fs::path& root) {
  disk replayed{disk_image{}};
  for (const operation& o : operations) replayed.apply(o);
  std::mt19937_64 unused;
  faults none;
  return disk_image::difference(replayed.cut(survival::all, nullptr, unused, none),
                                disk_image::read_from(root));
}

/// Records what is done below a fresh directory.
class Recorder : public testing::Test {
 protected:
  Recorder() { recorder::start(root_.path()); }
  ~Recorder() override { static_cast<void>(recorder::stop()); }

  [[nodiscard]] fs::path operator()(const char* name) const { return root_ / name; }
  [[nodiscard]] int open_file(const char* name, int flags = O_CREAT | O_RDWR) const {
    const int fd = ::open((*this)(name).c_str(), flags | O_CLOEXEC, 0600);
    EXPECT_GE(fd, 0) << name;
    return fd;
  }
  [[nodiscard]] const fs::path& root() const { return root_.path(); }

 private:
  test::temporary_directory root_;
};

TEST_F(Recorder, ReplayedCallsLeaveWhatTheRealOnesLeft) {
  const int fd = open_file("file");
  EXPECT_EQ(::pwrite(fd, "0123456789", 10, 0), 10);
  EXPECT_EQ(::write(fd, "ab", 2), 2);
  char c[] = "c";
  char d[] = "de";
  const struct iovec parts[] = {{c, 1}, {d, 2}};
  EXPECT_EQ(::writev(fd, parts, 2), 3);
  EXPECT_EQ(::pwritev(fd, parts, 2, 20), 3);
  EXPECT_EQ(::ftruncate(fd, 22), 0);
  EXPECT_EQ(::fallocate(fd, 0, 0, 30), 0);
  EXPECT_EQ(::fallocate(fd, 0, 4, 8), 0);
  ::close(fd);
  const int end = open_file("file", O_WRONLY | O_APPEND);
  EXPECT_EQ(::write(end, "end", 3), 3);
  ::close(end);

  EXPECT_EQ(::mkdir((*this)("made").c_str(), 0700), 0);
  const int made = open_file("made", O_RDONLY | O_DIRECTORY);
  const int inner = ::openat(made, "inner", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  EXPECT_EQ(::write(inner, "inner", 5), 5);
  ::close(inner);
  EXPECT_EQ(::renameat(made, "inner", made, "renamed"), 0);
  ::close(made);
  std::string pattern = (*this)("scratch-XXXXXX").string();
  EXPECT_NE(::mkdtemp(pattern.data()), nullptr);

  fs::create_directories((*this)("tree") / "branch");
  ::close(open_file("tree/branch/leaf"));
  fs::rename((*this)("tree"), (*this)("moved"));
  ::close(open_file("passing"));
  EXPECT_EQ(::unlink((*this)("passing").c_str()), 0);
  fs::create_directories((*this)("doomed") / "branch");
  ::close(open_file("doomed/branch/leaf"));
  fs::remove_all((*this)("doomed"));

  const auto operations = recorder::stop();
  EXPECT_EQ(difference(operations, root()), "");
  EXPECT_EQ(count(operations, what::rename), 2);
}

TEST_F(Recorder, FailedCallsAreNotRecorded) {
  EXPECT_NE(::rename((*this)("missing").c_str(), (*this)("x").c_str()), 0);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_NE(::unlink((*this)("missing").c_str()), 0);
  EXPECT_LT(::open((*this)("missing").c_str(), O_RDONLY | O_CLOEXEC), 0);
  EXPECT_TRUE(recorder::stop().empty());
}

TEST_F(Recorder, CallsElsewhereAreNotRecorded) {
  const test::temporary_directory elsewhere;
  const int fd = ::open((elsewhere / "file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  EXPECT_EQ(::write(fd, "1", 1), 1);
  EXPECT_EQ(::fsync(fd), 0);
  ::close(fd);
  EXPECT_TRUE(recorder::stop().empty());
}

TEST_F(Recorder, SyncsNameWhatTheySync) {
  const int fd = open_file("file");
  EXPECT_EQ(::fdatasync(fd), 0);
  ::close(fd);
  const int directory = ::open(root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  EXPECT_EQ(::fsync(directory), 0);
  ::close(directory);
  const auto operations = recorder::stop();
  ASSERT_EQ(operations.size(), 4U);
  EXPECT_EQ(operations[0].path, "file");
  EXPECT_EQ(operations[1].kind, what::sync);
  EXPECT_EQ(operations[1].inode, operations[0].inode);
  EXPECT_EQ(operations[2].path, ".");
  EXPECT_EQ(operations[3].kind, what::sync);
  EXPECT_EQ(operations[3].inode, operations[2].inode);
}

TEST_F(Recorder, WritesThroughSyncingDescriptorsAreDurable) {
  const int fd = open_file("file", O_CREAT | O_WRONLY | O_DSYNC);
  EXPECT_EQ(::write(fd, "1", 1), 1);
  ::close(fd);
  EXPECT_EQ(count(recorder::stop(), what::durable_write), 1);
}

TEST_F(Recorder, SeesTheCallsThatLiblmdbMakesForABus) {
  {
    bus b = bus::open((*this)("store")).value();
    static_cast<void>(b.declare_topic("orders").value());
  }
  const auto operations = recorder::stop();
  EXPECT_EQ(difference(operations, root()), "");
  EXPECT_GT(count(operations, what::sync), 0);
  EXPECT_GT(count(operations, what::durable_write), 0);
  EXPECT_EQ(count(operations, what::rename), 1);
}

TEST_F(Recorder, SeesTheCallsOfASealing) {
  {
    bus_options settings;
    settings.maintenance = maintenance_mode::on_call;
    settings.journal_bytes_seal = 0;
    bus b = bus::open((*this)("store"), settings).value();
    const topic orders = b.declare_topic("orders").value();
    static_cast<void>(orders.publish(record{"value"}).value());
    // What a crash might have left at the next segment's name.
    ::close(open_file("store/segments/00000001.new"));
    b.maintain().value();
  }
  const auto operations = recorder::stop();
  EXPECT_EQ(difference(operations, root()), "");

  // Its calls, in order and by their names.
  std::map<std::uint64_t, std::string> names;
  std::vector<std::string> calls;
  const auto note = [&](const char* call, const std::string& name) {
    if (name.find("/segments") == std::string::npos) return;
    const std::string text = std::string{call} + " " + name;
    if (calls.empty() || calls.back() != text) calls.push_back(text);
  };
  for (const operation& o : operations) {
    if (o.kind == what::open) names[o.inode] = o.path.string();
    if (o.kind == what::open && (o.flags & O_CREAT) != 0) note("open", o.path.string());
    if (o.kind == what::remove) note("remove", o.path.string());
    if (o.kind == what::write) note("write", names[o.inode]);
    if (o.kind == what::sync) note("sync", names[o.inode]);
    if (o.kind == what::rename) note("rename", o.path.string());
    if (o.kind == what::rename) note("to", o.target.string());
  }
  const std::string file = "store/segments/00000001.new";
  EXPECT_THAT(calls, ElementsAre(HasSubstr("sync .store.levada-new-"), "open " + file, "remove " + file,
                                 "open " + file, "write " + file, "sync " + file, "rename " + file,
                                 "to store/segments/00000001.seg", "sync store/segments"));
}

TEST_F(Recorder, WriteThroughAMappingShowsAsADifference) {
  const int fd = open_file("file");
  EXPECT_EQ(::ftruncate(fd, 4096), 0);
  void* const mapped = ::mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, fd, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  *static_cast<char*>(mapped) = 'x';
  ::munmap(mapped, 4096);
  ::close(fd);
  EXPECT_EQ(difference(recorder::stop(), root()), "'file' differs: 4096 and 4096 bytes");
}

TEST_F(Recorder, CallsThatCannotBeReplayedAreUnknown) {
  const int fd = open_file("file");
  EXPECT_EQ(::write(fd, "1", 1), 1);
  EXPECT_EQ(::posix_fallocate(fd, 0, 10), 0);
  ::close(fd);
  EXPECT_EQ(::link((*this)("file").c_str(), (*this)("second").c_str()), 0);
  // Within the kernel, by sendfile or copy_file_range.
  fs::copy_file((*this)("file"), (*this)("copy"));
  const auto operations = recorder::stop();
  EXPECT_GE(count(operations, what::unknown), 3);
  EXPECT_THROW(static_cast<void>(difference(operations, root())), std::logic_error);
}

}  // namespace
}  // namespace levada::crash
