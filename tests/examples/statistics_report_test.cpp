#include <emergency_call/statistics_report.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <emergency_call/sample.hpp>

namespace emergency {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

call call_at(const std::string& title, const std::string& time, const std::string& area) {
  return parse_call("40,-75," + title + "," + time + "," + area + ",MILL ROAD 1", 1);
}

acceptance accepted_after(const call& c, std::chrono::seconds wait) {
  auto a = accept(c, "desk 1");
  a.accepted = c.time + wait;
  return a;
}

TEST(StatisticsReport, CountsByCategoryAreaAndHourAndTellsTheTimesToAcceptance) {
  statistics s;
  for (int n = 1; n <= 10; ++n) {
    const auto c = call_at("EMS: FALL VICTIM", "2024-03-01 07:59", "OLD TOWN");
    s.add(c);
    s.add(accepted_after(c, std::chrono::seconds{10 * n}));
  }
  s.add(call_at("Fire: FIRE ALARM", "2024-03-02 23:00", "ASHFORD"));
  const auto lines = render(s);
  EXPECT_EQ(lines.at(0), "11 calls from 2024-03-01 07:59 to 2024-03-02 23:00; 10 acceptances");
  EXPECT_THAT(lines, Contains("EMS                      10  90.9 %       10    0:50    1:30    1:40  "
                              "████████████████████"));
  EXPECT_THAT(lines, Contains("Fire                      1   9.1 %        0       -       -       -  ██"));
  EXPECT_THAT(lines, Contains("OLD TOWN                 10  90.9 %       10    0:50    1:30    1:40  "
                              "████████████████████"));
  EXPECT_THAT(lines, Contains("ASHFORD                   1   9.1 %        0       -       -       -  ██"));
  // Hours 7 and 23, the bottom line of the chart.
  std::string bottom = "        │";
  for (int hour = 0; hour < 24; ++hour) bottom += hour == 7 ? " ██" : hour == 23 ? " ▅▅" : "   ";
  EXPECT_THAT(lines, Contains(bottom));
}

TEST(StatisticsReport, SaysThatNothingIsNew) {
  EXPECT_THAT(render(statistics{}), ElementsAre("No new calls, 0 acceptances."));
}

TEST(StatisticsReport, FitsInto95Columns) {
  statistics s;
  for (const auto& c : make_sample(2'000, 1)) {
    s.add(c);
    s.add(accept(c, "desk 1"));
  }
  for (const auto& line : render(s)) {
    const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; });
    EXPECT_LE(columns, 95) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

}  // namespace
}  // namespace emergency
