#include "storage/job_file.hpp"

#include <fstream>
#include <iterator>

#include <support/child_process.hpp>
#include <support/file_bytes.hpp>
#include <support/result_testing.hpp>
#include <support/temporary_directory.hpp>

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::job_checkpoint;
using storage::job_file;

class JobFile : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path jobs() const { return directory_.path(); }
  static job_checkpoint checkpoint_of(const std::string& name) {
    return {.name = name,
            .epoch = 3,
            .time = 1'700'000'000'000'000,
            .topic = "orders",
            .logs = {{7, "orders", {17, 0, UINT64_MAX - 1}}, {9, "\xc3\xa4", {}}}};
  }
  [[nodiscard]] fs::path file_of(const char* extension) const {
    for (const auto& entry : fs::directory_iterator{jobs()}) {
      if (entry.path().extension() == extension) return entry.path();
    }
    return {};
  }

 private:
  temporary_directory directory_;
};

TEST_F(JobFile, ReadsBackWhatItWrote) {
  auto file = ok(job_file::claim(jobs(), "nightly/../report"));
  EXPECT_EQ(ok(file.read()), std::nullopt);
  EXPECT_TRUE(ok(storage::stored_jobs(jobs())).empty()) << "it has made no checkpoint";
  auto checkpoint = checkpoint_of("nightly/../report");
  ok(file.write(checkpoint));
  EXPECT_EQ(ok(file.read()), checkpoint);
  checkpoint.logs.front().next = {18, 1, 0};
  ok(file.write(checkpoint));
  EXPECT_EQ(ok(file.read()), checkpoint);
  EXPECT_EQ(std::distance(fs::directory_iterator{jobs()}, {}), 2) << "the checkpoint and the lock";
}

TEST_F(JobFile, BelongsToOneAtATime) {
  auto first = ok(job_file::claim(jobs(), "a"));
  EXPECT_THAT(job_file::claim(jobs(), "a"), fails_with(errc::job_in_use)) << "in the same process as well";
  EXPECT_THAT(job_file::claim(jobs(), "b"), succeeds());
  child_process other{
      [&](const auto&) { return job_file::claim(jobs(), "a").error() == errc::job_in_use ? 0 : 1; }};
  EXPECT_EQ(other.wait(), 0);
  { const auto ended = std::move(first); }
  EXPECT_THAT(job_file::claim(jobs(), "a"), succeeds());
}

TEST_F(JobFile, IsLetGoOfWhenItsProcessDies) {
  child_process runs{[&](const auto& say) {
    auto file = ok(job_file::claim(jobs(), "a"));
    ok(file.write(checkpoint_of("a")));
    say("runs");
    child_process::wait_for_go();
    return 0;
  }};
  ASSERT_EQ(runs.read_line(), "runs");
  EXPECT_EQ(ok(storage::stored_jobs(jobs())).at(0).pid, runs.pid());
  runs.kill(SIGKILL);
  runs.wait();
  EXPECT_EQ(ok(storage::stored_jobs(jobs())).at(0).pid, std::nullopt);
  EXPECT_EQ(ok(storage::stored_jobs(jobs())).at(0).last, checkpoint_of("a"));
  EXPECT_THAT(job_file::claim(jobs(), "a"), succeeds());
}

TEST_F(JobFile, TakesNothingDamagedForACheckpoint) {
  ok(ok(job_file::claim(jobs(), "a")).write(checkpoint_of("a")));
  const fs::path file = file_of(".job");
  const std::string whole = read_file(file);
  const auto spoilt = [&](const std::string& content) {
    write_file(file, content);
    return ok(job_file::claim(jobs(), "a")).read();
  };
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    ASSERT_THAT(spoilt(changed), fails_with(errc::damaged)) << "byte " << i;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{8}, whole.size() - 8, whole.size() - 1})
    EXPECT_THAT(spoilt(whole.substr(0, size)), fails_with(errc::damaged)) << size << " bytes";
  EXPECT_THAT(spoilt(whole + std::string(8, 0)), fails_with(errc::damaged));
  EXPECT_THAT(storage::stored_jobs(jobs()), fails_with(errc::damaged));
  EXPECT_THAT(spoilt(whole), succeeds());
}

TEST_F(JobFile, KeepsTheCheckpointBeforeWhenOneCannotBeWritten) {
  auto file = ok(job_file::claim(jobs(), "a"));
  ok(file.write(checkpoint_of("a")));
  auto obstacle = file_of(".job");
  obstacle.replace_extension(".new");
  fs::create_directory(obstacle);
  EXPECT_THAT(file.write({.name = "a", .epoch = 4, .time = 0, .topic = {}, .logs = {}}),
              fails_with(errc::io_error));
  EXPECT_EQ(ok(file.read()), checkpoint_of("a"));
}

TEST_F(JobFile, IsRemovedWithoutTraceUnlessItRuns) {
  EXPECT_THAT(storage::remove_job(jobs(), "a"), fails_with(errc::unknown_job));
  {
    auto file = ok(job_file::claim(jobs(), "a"));
    ok(file.write(checkpoint_of("a")));
    EXPECT_THAT(storage::remove_job(jobs(), "a"), fails_with(errc::job_in_use));
  }
  std::ofstream{file_of(".job"), std::ios::app} << "damage";
  ok(storage::remove_job(jobs(), "a"));
  EXPECT_TRUE(fs::is_empty(jobs()));
  EXPECT_EQ(ok(ok(job_file::claim(jobs(), "a")).read()), std::nullopt);
}

}  // namespace
}  // namespace levada::test
