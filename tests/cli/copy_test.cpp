#include <filesystem>
#include <string>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

using ::testing::MatchesRegex;

class Copy : public command_fixture {
 protected:
  [[nodiscard]] std::string backup() const { return store() + ".backup"; }
};

TEST_F(Copy, BacksUpAndRestores) {
  produce("t", numbered_lines(1000));
  EXPECT_THAT(print({"backup", backup()}),
              MatchesRegex("backed up 0 segments: [0-9.]+ MiB copied, 0.0 MiB shared, [0-9.]+ s\n"));
  produce("t", "later\n");
  std::filesystem::remove_all(store());
  EXPECT_THAT(print({"restore", backup()}), MatchesRegex("restored 0 segments: .*\n"));
  EXPECT_EQ(print({"tail", "t"}), numbered_lines(1000));
}

TEST_F(Copy, RefusesAPlaceThatIsTaken) {
  produce("t", "line\n");
  EXPECT_THAT(levada({"backup", store()}), fails_saying(1, "there is something already"));
  EXPECT_THAT(levada({"restore", backup()}), fails_saying(1, "there is none"));
  EXPECT_EQ(print({"tail", "t"}), "line\n");
}

}  // namespace
}  // namespace levada::test
