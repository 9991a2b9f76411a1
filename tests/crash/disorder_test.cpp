#include <crash/disorder.hpp>

#include <fcntl.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <crash/history.hpp>

namespace levada::crash {
namespace {

using testing::ElementsAre;
using what = operation::what;

operation opens(const std::string& path, std::uint64_t inode) {
  operation o;
  o.kind = what::open;
  o.path = path;
  o.inode = inode;
  return o;
}
operation on(what kind, std::uint64_t inode) {
  operation o;
  o.kind = kind;
  o.inode = inode;
  return o;
}
operation removes(const std::string& path) {
  operation o;
  o.kind = what::remove;
  o.path = path;
  return o;
}
operation tells(const event& e) {
  operation o;
  o.kind = what::line;
  o.data = to_line(e);
  return o;
}
std::vector<what> kinds(const std::vector<operation>& of) {
  std::vector<what> found;
  found.reserve(of.size());
  for (const operation& o : of) found.push_back(o.kind);
  return found;
}

TEST(Disorder, RemovalsComeBeforeTheCommitThatDropsTheirSegments) {
  const std::vector<operation> right = {opens("segments", 1), on(what::durable_write, 2), on(what::write, 2),
                                        on(what::durable_write, 2), removes("segments/0001.seg")};
  const auto wrong = reorder(right, disorder::removals_before_commits);
  EXPECT_THAT(kinds(wrong), ElementsAre(what::open, what::durable_write, what::remove, what::sync,
                                        what::write, what::durable_write));
}

TEST(Disorder, RemovalsComeBeforeTheCheckpoint) {
  const std::vector<operation> right = {opens("segments", 1), tells(maintained{}),          tells(flushing{}),
                                        on(what::sync, 2),    removes("segments/0001.seg"), tells(flushed{})};
  const auto wrong = reorder(right, disorder::removals_before_checkpoints);
  EXPECT_THAT(kinds(wrong), ElementsAre(what::open, what::line, what::remove, what::sync, what::line,
                                        what::sync, what::line));
}

TEST(Disorder, RemovalsDoNotComeBeforeTheirSegmentHasItsName) {
  operation names;
  names.kind = what::rename;
  names.target = "segments/0001.seg";
  const std::vector<operation> right = {opens("segments", 1), tells(maintained{}), names,
                                        removes("segments/0001.seg")};
  EXPECT_EQ(kinds(reorder(right, disorder::removals_before_checkpoints)), kinds(right));
}

TEST(Disorder, CheckpointsComeBeforeTheDataIsSynced) {
  const std::vector<operation> right = {opens("main/data.mdb", 1), opens("main/checkpoint", 2),
                                        on(what::sync, 1),         on(what::write, 2),
                                        on(what::sync, 2),         tells(flushed{})};
  const auto wrong = reorder(right, disorder::checkpoints_before_data);
  ASSERT_EQ(wrong.size(), right.size());
  EXPECT_THAT(kinds(wrong),
              ElementsAre(what::open, what::open, what::write, what::sync, what::sync, what::line));
  EXPECT_EQ(wrong[3].inode, 2U);
  EXPECT_EQ(wrong[4].inode, 1U);
}

}  // namespace
}  // namespace levada::crash
