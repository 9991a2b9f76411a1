#include <filesystem>
#include <string>

#include <support/file_bytes.hpp>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

class Check : public command_fixture {};

TEST_F(Check, SaysWhatItExaminedOfASoundStore) {
  produce("t", numbered_lines(1000));
  EXPECT_THAT(print({"check"}),
              ::testing::MatchesRegex("examined [1-9][0-9]* pages, [1-9][0-9]* rows, 0 segments, 1000 "
                                      "records, 0 queue entries\nno problems found\n"));
}

TEST_F(Check, NamesWhatIsDamagedAndFails) {
  produce("t", "one of the first lines\n");
  produce("t", "the record to be damaged\n");
  produce("t", "the last one\n");
  spoil_text(main_file(), "the record to be damaged");
  const auto done = levada({"check"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.out, ::testing::HasSubstr("topic 't' partition 0 offset 1"));
  EXPECT_THAT(done.out, ::testing::Not(::testing::HasSubstr("no problems")));
  EXPECT_EQ(done.err, "levada: check store '" + store() + "': 1 problem found\n");
}

TEST_F(Check, FindsAFileThatWasCutOff) {
  produce("t", numbered_lines(10'000));
  std::filesystem::resize_file(main_file(), 16'384);
  const auto done = levada({"check"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.err, ::testing::EndsWith("1 problem found\n"));
  EXPECT_THAT(levada({"topics"}), fails_saying(1, "data.mdb"));
  EXPECT_THAT(levada({"produce", "t"}, "a\n"), fails_saying(1, "data.mdb"));
}

TEST_F(Check, LeavesTailPrintingWhatComesBeforeTheDamage) {
  produce("t", "one of the first lines\n");
  produce("t", "the record to be damaged\n");
  spoil_text(main_file(), "the record to be damaged");
  const auto done = levada({"tail", "t"});
  EXPECT_EQ(done.status, 1);
  EXPECT_EQ(done.out, "one of the first lines\n");
  EXPECT_THAT(done.err, ::testing::MatchesRegex("levada: read topic 't' partition 0 offset 1: [^\n]*\n"));
}

}  // namespace
}  // namespace levada::test
