#include <crash/disk.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <support/temporary_directory.hpp>

namespace levada::crash {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using what = operation::what;

constexpr survival every_survival[] = {survival::none, survival::all, survival::oldest, survival::some,
                                       survival::torn};
constexpr std::uint64_t root_inode = 1;
constexpr std::uint64_t file_inode = 2;

operation on_path(what kind, const char* path, const char* target = "") {
  operation o;
  o.kind = kind;
  o.path = path;
  o.target = target;
  return o;
}
operation opening_of(const char* path, std::uint64_t inode, int flags = O_CREAT | O_RDWR) {
  operation o = on_path(what::open, path);
  o.inode = inode;
  o.flags = flags;
  return o;
}
operation writing(std::uint64_t offset, std::string data, what kind = what::write) {
  operation o;
  o.kind = kind;
  o.inode = file_inode;
  o.offset = offset;
  o.data = std::move(data);
  return o;
}
operation truncation(std::uint64_t size) {
  return writing(size, {}, what::truncate);
}
operation sync_of(std::uint64_t inode) {
  operation o;
  o.kind = what::sync;
  o.inode = inode;
  return o;
}

/// A disk on which the root and a file "file" are open; the file is durable.
class SimulatedDisk : public testing::Test {
 protected:
  void with_file(const std::string& content, ignored_syncs ignored = ignored_syncs::none) {
    disk_image image;
    image.nodes["file"].content = content;
    disk_.emplace(image, ignored);
    do_all({opening_of(".", root_inode, O_RDONLY), opening_of("file", file_inode)});
  }
  void do_all(const std::vector<operation>& operations) {
    for (const operation& o : operations) disk_->apply(o);
  }

  /// What a power cut now may leave, according to `view(image)`: many are tried.
  template <class View>
  auto outcomes(View view, const operation* under_way = nullptr) {
    std::set<decltype(view(disk_image{}))> found;
    for (const survival s : every_survival) {
      for (std::uint64_t seed = 0; seed < 200; ++seed) {
        std::mt19937_64 random{seed};
        found.insert(view(disk_->cut(s, under_way, random, injected_)));
      }
    }
    return found;
  }
  std::set<std::optional<std::string>> contents(const char* path = "file",
                                                const operation* under_way = nullptr) {
    return outcomes(
        [&](const disk_image& image) {
          const auto found = image.nodes.find(path);
          return found == image.nodes.end() ? std::nullopt : std::optional{found->second.content};
        },
        under_way);
  }
  std::set<std::vector<std::string>> names() {
    return outcomes([](const disk_image& image) {
      std::vector<std::string> all;
      for (const auto& [path, n] : image.nodes) all.push_back(path.string());
      return all;
    });
  }

  std::optional<disk> disk_;
  faults injected_;
};

TEST_F(SimulatedDisk, UnsyncedWriteMayBeLostAndMaySurvive) {
  with_file("old");
  do_all({writing(0, "new")});
  EXPECT_EQ(disk_->pending(), 1U);
  EXPECT_THAT(contents(), UnorderedElementsAre("old", "new"));
  EXPECT_GT(injected_.writes_lost, 0U);
}

TEST_F(SimulatedDisk, SyncedWriteIsNeverLost) {
  with_file("old");
  do_all({writing(0, std::string(20'000, 'n')), sync_of(file_inode)});
  EXPECT_EQ(disk_->pending(), 0U);
  EXPECT_THAT(contents(), ElementsAre(std::string(20'000, 'n')));
  EXPECT_EQ(injected_.total(), 0U);
}

TEST_F(SimulatedDisk, WriteAfterTheSyncIsNotSynced) {
  with_file("..");
  do_all({writing(0, "1"), sync_of(file_inode), writing(1, "2")});
  EXPECT_THAT(contents(), UnorderedElementsAre("1.", "12"));
}

TEST_F(SimulatedDisk, SyncOfOneFileDoesNothingForAnother) {
  with_file("old");
  do_all({opening_of("other", 3), writing(0, "new"), sync_of(3)});
  EXPECT_THAT(contents(), UnorderedElementsAre("old", "new"));
}

TEST_F(SimulatedDisk, UnsyncedWritesSurviveInAnyOrder) {
  with_file("..");
  do_all({writing(0, "1"), writing(1, "2")});
  EXPECT_THAT(contents(), UnorderedElementsAre("..", "1.", ".2", "12"));
}

TEST_F(SimulatedDisk, OldestKeepsWhatWasWrittenFirst) {
  with_file("...");
  do_all({writing(2, "1"), writing(0, "2"), writing(1, "3")});
  std::set<std::string> found;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random{seed};
    found.insert(disk_->cut(survival::oldest, nullptr, random, injected_).nodes["file"].content);
  }
  EXPECT_THAT(found, UnorderedElementsAre("...", "..1", "2.1", "231"));
}

TEST_F(SimulatedDisk, TornWriteLeavesWholeSectorsOfOldAndNew) {
  with_file(std::string(8'192, 'o'));
  do_all({writing(0, std::string(8'192, 'n'))});
  bool torn_within_page = false;
  for (const auto& content : contents()) {
    ASSERT_EQ(content->size(), 8'192U);
    for (std::size_t at = 0; at < 8'192; at += 512) {
      const std::string sector = content->substr(at, 512);
      ASSERT_TRUE(sector == std::string(512, 'o') || sector == std::string(512, 'n')) << "sector at " << at;
    }
    const std::string page = content->substr(0, 4'096);
    if (page.find('o') != std::string::npos && page.find('n') != std::string::npos) torn_within_page = true;
  }
  EXPECT_TRUE(torn_within_page);
  EXPECT_GT(injected_.writes_torn, 0U);
}

TEST_F(SimulatedDisk, TornWriteThatBeginsWithinASectorKeepsWhatStandsBeforeIt) {
  with_file(std::string(1'024, 'o'));
  do_all({writing(500, std::string(24, 'n'))});
  const std::string head(500, 'o');
  const std::string tail(500, 'o');
  const std::string first(12, 'n');
  const std::string second(12, 'n');
  const std::string old(12, 'o');
  EXPECT_THAT(contents(), UnorderedElementsAre(head + old + old + tail, head + first + old + tail,
                                               head + old + second + tail, head + first + second + tail));
}

TEST_F(SimulatedDisk, GrownFileMayHoldZerosWhereItsDataShouldBe) {
  with_file("");
  do_all({writing(0, "data")});
  EXPECT_THAT(contents(), UnorderedElementsAre("", std::string(4, '\0'), "data"));
  EXPECT_GT(injected_.writes_left_as_zeros, 0U);
}

TEST_F(SimulatedDisk, SyncingDescriptorMakesItsWriteDurableAndNoOther) {
  with_file("..");
  do_all({writing(0, "1"), writing(1, "2", what::durable_write)});
  EXPECT_EQ(disk_->pending(), 1U);
  EXPECT_THAT(contents(), UnorderedElementsAre(".2", "12"));
}

TEST_F(SimulatedDisk, DurableWriteUnderWayMayBeThereOrNot) {
  with_file("old");
  const operation under_way = writing(0, "new", what::durable_write);
  EXPECT_THAT(contents("file", &under_way), UnorderedElementsAre("old", "new"));
}

TEST_F(SimulatedDisk, TruncationIsPendingUntilTheSync) {
  with_file("long content");
  do_all({truncation(4)});
  EXPECT_THAT(contents(), UnorderedElementsAre("long content", "long"));
  EXPECT_GT(injected_.truncations_lost, 0U);
  do_all({sync_of(file_inode)});
  EXPECT_THAT(contents(), ElementsAre("long"));
}

TEST_F(SimulatedDisk, OpeningMayTruncate) {
  with_file("old");
  do_all({opening_of("file", file_inode, O_WRONLY | O_TRUNC), sync_of(file_inode)});
  EXPECT_THAT(contents(), ElementsAre(""));
}

TEST_F(SimulatedDisk, RenameIsPendingUntilItsDirectoryIsSynced) {
  with_file("1");
  do_all({on_path(what::rename, "file", "renamed"), sync_of(file_inode)});
  EXPECT_THAT(names(), UnorderedElementsAre(ElementsAre("file"), ElementsAre("renamed")));
  EXPECT_GT(injected_.names_lost, 0U);
  do_all({sync_of(root_inode)});
  EXPECT_THAT(names(), ElementsAre(ElementsAre("renamed")));
  EXPECT_THAT(contents("renamed"), ElementsAre("1"));
}

TEST_F(SimulatedDisk, RenameOverAFileLeavesOneOfTheTwo) {
  with_file("new");
  do_all({opening_of("target", 3), sync_of(root_inode), on_path(what::rename, "file", "target")});
  EXPECT_THAT(names(), UnorderedElementsAre(ElementsAre("file", "target"), ElementsAre("target")));
  EXPECT_THAT(contents("target"), UnorderedElementsAre("", "new"));
}

TEST_F(SimulatedDisk, RenamedDirectoryTakesItsContentAlong) {
  with_file("1");
  do_all({on_path(what::make_directory, "new"), opening_of("new/inner", 3), opening_of("new", 4, O_RDONLY),
          sync_of(4), on_path(what::rename, "new", "store"), sync_of(root_inode)});
  EXPECT_THAT(names(), ElementsAre(ElementsAre("file", "store", "store/inner")));
}

TEST_F(SimulatedDisk, SyncOfAFileDoesNothingForItsName) {
  with_file("1");
  do_all({opening_of("made", 3), sync_of(3)});
  EXPECT_THAT(names(), UnorderedElementsAre(ElementsAre("file"), ElementsAre("file", "made")));
  do_all({sync_of(root_inode)});
  EXPECT_THAT(names(), ElementsAre(ElementsAre("file", "made")));
}

TEST_F(SimulatedDisk, SyncOfADirectoryDoesNothingForTheDataOfItsFiles) {
  with_file("old");
  do_all({writing(0, "new"), sync_of(root_inode)});
  EXPECT_THAT(contents(), UnorderedElementsAre("old", "new"));
}

TEST_F(SimulatedDisk, SyncOfADirectoryDoesNothingForNamesFurtherBelow) {
  with_file("1");
  do_all({on_path(what::make_directory, "new"), opening_of("new/inner", 3), sync_of(root_inode)});
  EXPECT_THAT(names(),
              UnorderedElementsAre(ElementsAre("file", "new"), ElementsAre("file", "new", "new/inner")));
}

TEST_F(SimulatedDisk, RemovedFileMayComeBackUntilItsDirectoryIsSynced) {
  with_file("1");
  do_all({on_path(what::remove, "file")});
  EXPECT_THAT(names(), UnorderedElementsAre(IsEmpty(), ElementsAre("file")));
  do_all({sync_of(root_inode)});
  EXPECT_THAT(names(), ElementsAre(IsEmpty()));
}

TEST_F(SimulatedDisk, IgnoredSyncsOfFilesLeaveTheirWritesPending) {
  with_file("old", ignored_syncs::of_files);
  do_all({opening_of("made", 3), writing(0, "new"), sync_of(file_inode), sync_of(root_inode)});
  EXPECT_THAT(contents(), UnorderedElementsAre("old", "new"));
  EXPECT_THAT(names(), ElementsAre(ElementsAre("file", "made")));
}

TEST_F(SimulatedDisk, IgnoredSyncsOfDirectoriesLeaveNamesPending) {
  with_file("old", ignored_syncs::of_directories);
  do_all({opening_of("made", 3), writing(0, "new"), sync_of(file_inode), sync_of(root_inode)});
  EXPECT_THAT(contents(), ElementsAre("new"));
  EXPECT_THAT(names(), UnorderedElementsAre(ElementsAre("file"), ElementsAre("file", "made")));
}

/// A directory named "segments" with a file written and synced under another name, and one beside it.
std::vector<operation> sealing_calls() {
  operation elsewhere = writing(0, "new");
  elsewhere.inode = 5;
  return {on_path(what::make_directory, "segments"),
          sync_of(root_inode),
          opening_of("segments", 3, O_RDONLY),
          opening_of("segments/1.new", 4),
          [] {
            operation o = writing(0, "new");
            o.inode = 4;
            return o;
          }(),
          sync_of(4),
          on_path(what::rename, "segments/1.new", "segments/1.seg"),
          sync_of(3),
          opening_of("beside", 5),
          elsewhere,
          sync_of(5),
          sync_of(root_inode)};
}

TEST_F(SimulatedDisk, IgnoredSyncsOfSegmentsLeaveTheirWritesPending) {
  with_file("old", ignored_syncs::of_segments);
  do_all(sealing_calls());
  EXPECT_THAT(contents("segments/1.seg"), UnorderedElementsAre("", std::string(3, '\0'), "new"));
  EXPECT_THAT(contents("beside"), ElementsAre("new"));
}

TEST_F(SimulatedDisk, IgnoredSyncsOfTheNamesOfSegmentsLeaveThesePending) {
  with_file("old", ignored_syncs::of_segment_names);
  do_all(sealing_calls());
  EXPECT_THAT(contents("segments/1.seg"), UnorderedElementsAre(std::nullopt, "new"));
  EXPECT_THAT(contents("segments/1.new"), UnorderedElementsAre(std::nullopt, "new"));
  EXPECT_THAT(contents("beside"), ElementsAre("new"));
}

TEST_F(SimulatedDisk, MappedFilesHoldAnythingInTheirRightSize) {
  disk_image image;
  image.nodes["signal"].content = std::string(64, 's');
  disk_.emplace(image);
  const auto found = contents("signal");
  EXPECT_GT(found.size(), 2U);
  EXPECT_GT(injected_.mapped_files_scribbled, 0U);
  for (const auto& content : found) EXPECT_EQ(content->size(), 64U);
}

TEST_F(SimulatedDisk, CallItCannotReplayIsRefused) {
  with_file("1");
  operation o;
  o.data = "link";
  EXPECT_THROW(disk_->apply(o), std::logic_error);
  EXPECT_THROW(disk_->apply(sync_of(99)), std::logic_error);
  EXPECT_THROW(disk_->apply(opening_of("missing", 3, O_RDWR)), std::logic_error);
}

TEST(DiskImage, WhatIsWrittenIsReadAgain) {
  const test::temporary_directory root;
  disk_image image;
  image.nodes["a"].directory = true;
  image.nodes["a/file"].content = std::string("1\0002", 3);
  image.write_to(root.path());
  EXPECT_EQ(disk_image::difference(disk_image::read_from(root.path()), image), "");
}

TEST(DiskImage, DifferencesAreNamed) {
  disk_image a;
  a.nodes["file"].content = "1";
  disk_image b;
  EXPECT_EQ(disk_image::difference(a, b), "'file' is in the first only");
  EXPECT_EQ(disk_image::difference(b, a), "'file' is in the second only");
  b.nodes["file"].content = "23";
  EXPECT_EQ(disk_image::difference(a, b), "'file' differs: 1 and 2 bytes");
}

}  // namespace
}  // namespace levada::crash
