#include <string>

#include <support/file_bytes.hpp>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

class Repair : public command_fixture {
 protected:
  void make_damaged_store() const {
    produce("t", "one of the first lines\n");
    produce("t", "the record to be damaged\n");
    produce("t", "the last one\n");
    spoil_text(main_file(), "the record to be damaged");
  }
};

TEST_F(Repair, LeavesASoundStoreAsItIs) {
  produce("t", numbered_lines(10));
  EXPECT_EQ(print({"repair"}), "no damage found\n");
  EXPECT_EQ(print({"repair", "--dry-run"}), "no damage found\n");
  EXPECT_EQ(print({"tail", "t"}), numbered_lines(10));
}

TEST_F(Repair, OnlyTellsWhatWouldBeLostInADryRun) {
  make_damaged_store();
  const auto done = levada({"repair", "--dry-run"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.out, ::testing::MatchesRegex(
                            "topic 't' partition 0 offset 1: journal row [0-9]+: wrong checksum\n"
                            "would repair 0 segments and 1 row: 1 offset, 0 messages and 0 values lost\n"));
  EXPECT_EQ(done.err, "levada: repair store '" + store() + "': it is damaged; nothing has been changed\n");
  EXPECT_EQ(levada({"check"}).status, 1);
}

TEST_F(Repair, DropsWhatIsDamagedAndTellsWhat) {
  make_damaged_store();
  EXPECT_THAT(
      print({"repair"}),
      ::testing::MatchesRegex("topic 't' partition 0 offset 1: journal row [0-9]+: wrong checksum\n"
                              "repaired 0 segments and 1 row: 1 offset, 0 messages and 0 values lost\n"));
  EXPECT_EQ(print({"tail", "t"}), "one of the first lines\nthe last one\n");
  EXPECT_EQ(levada({"check"}).status, 0);
  EXPECT_EQ(print({"repair"}), "no damage found\n");
  produce("t", "another one\n");
  EXPECT_EQ(print({"tail", "t", "--from", "3"}), "another one\n");
}

TEST_F(Repair, RefusesAStoreThatIsInUseAndAPlaceThatIsNone) {
  EXPECT_THAT(levada({"repair"}), fails_saying(1, "there is none"));
  const auto owner = ok(bus::open(store()));
  EXPECT_THAT(levada({"repair"}), fails_saying(1, "open"));
  EXPECT_THAT(levada({"repair", "--dry-run"}), fails_saying(1, "open"));
}

TEST_F(Repair, ExplainsItself) {
  const auto done = run(levada_command({"repair", "--help"}), {});
  EXPECT_EQ(done.status, 0);
  EXPECT_THAT(done.out, ::testing::HasSubstr("Usage: levada repair --dir DIR [options]"));
  EXPECT_THAT(done.out, ::testing::HasSubstr("--dry-run"));
}

}  // namespace
}  // namespace levada::test
