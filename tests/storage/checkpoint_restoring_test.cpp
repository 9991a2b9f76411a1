// The main file taken back to a checkpoint after a power cut.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include "checkpoint_testing.hpp"

namespace levada::test {
namespace {

namespace fs = std::filesystem;
using storage::main_environment;
using storage::read_meta_page;
using storage::restore_meta_page;

class CheckpointedStoreOfParity : public checkpointed_store_fixture,
                                  public ::testing::WithParamInterface<std::uint64_t> {
 private:
  const std::uint64_t seed_ = std::random_device{}();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, testing::Message{} << "seed " << seed_};

 protected:
  std::mt19937_64 random_{seed_};
};
INSTANTIATE_TEST_SUITE_P(Transaction, CheckpointedStoreOfParity, ::testing::Values(0, 1),
                         [](const auto& which) { return which.param == 0 ? "Even" : "Odd"; });

TEST_P(CheckpointedStoreOfParity, GoesBackToAPinnedSnapshotWhateverPagesAPowerCutKept) {
  const history written = write_history(random_, pin::kept, GetParam());
  ASSERT_EQ(written.transaction % 2, GetParam());
  ASSERT_GT(pages_changed(written), 50U) << "commits have reused pages that the snapshot does not need";
  for (const auto& whole : written.files) EXPECT_TRUE(restores(written, whole));
  for (int round = 0; round < 30; ++round) {
    ASSERT_TRUE(restores(written, mixture(written, random_, written.page_size))) << "pages, " << round;
    ASSERT_TRUE(restores(written, mixture(written, random_, 512))) << "sectors, " << round;
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
  const history written = write_history(random_, pin::dropped, GetParam());
  EXPECT_TRUE(restores(written, written.files[0]));
  EXPECT_TRUE(restores(written, written.files[1])) << "the first commit reuses nothing of it";
  EXPECT_TRUE(restores(written, written.files[2])) << "nor does the second";
  EXPECT_FALSE(restores(written, written.files.back()));
  int lost = 0;
  for (int round = 0; round < 20; ++round) {
    if (!restores(written, mixture(written, random_, written.page_size))) ++lost;
  }
  EXPECT_GT(lost, 10);
}

TEST_P(CheckpointedStoreOfParity, GoesOnFromTheSnapshotAsIfNothingHadFollowedIt) {
  const history written = write_history(random_, pin::kept, GetParam());
  const temporary_directory cut;
  const fs::path data = cut / "data.mdb";
  write_file(data, mixture(written, random_, written.page_size));
  ok(restore_meta_page(data, written.meta_page));
  content model = written.snapshot;
  for (std::uint64_t opening = 0; opening < 3; ++opening) {
    auto main = ok(main_environment::open(cut.path(), options));
    for (std::uint64_t n = 1; n <= 15; ++n) {
      change(main, model, random_);
      ASSERT_EQ(main.env().last_transaction(), written.transaction + opening * 15 + n);
      ASSERT_THAT(storage::verify_main_file(data), succeeds());
      ASSERT_EQ(content_in(main), model) << "commit " << n << " of opening " << opening;
    }
  }
}

TEST_P(CheckpointedStoreOfParity, TakesCheckpointsAgainBehindARestoration) {
  const history written = write_history(random_, pin::kept, GetParam());
  const temporary_directory cut;
  const fs::path data = cut / "data.mdb";
  write_file(data, written.files.back());
  ok(restore_meta_page(data, written.meta_page));
  auto main = ok(main_environment::open(cut.path(), options));
  content model = written.snapshot;
  const auto meta_of_newest = [&] { return ok(read_meta_page(data, main.env().last_transaction())); };
  EXPECT_TRUE(meta_of_newest()) << "both meta pages carry the same transaction";
  for (int n = 0; n < 4; ++n) {
    change(main, model, random_);
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
    second.files.push_back(read_file(data));
    for (int n = 0; n < 10; ++n) change(main, model, random_);
  }
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(restores(second, mixture(second, random_, second.page_size)));
  }
}

TEST_P(CheckpointedStoreOfParity, IsRestoredAgainWhenRestoringWasCutOff) {
  const history written = write_history(random_, pin::kept, GetParam());
  const temporary_directory cut;
  const fs::path data = cut / "data.mdb";
  const std::string before = mixture(written, random_, written.page_size);
  write_file(data, before);
  ok(restore_meta_page(data, written.meta_page));
  const std::string after = read_file(data);
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

}  // namespace
}  // namespace levada::test
