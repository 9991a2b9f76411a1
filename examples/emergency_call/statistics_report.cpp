#include "statistics_report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include <fmt/core.h>

#include <common/text.hpp>

namespace emergency {
namespace {

constexpr std::size_t name_width = 19;
constexpr std::size_t bar_width = 20;
constexpr std::size_t areas_max = 12;
constexpr std::size_t chart_height = 6;

constexpr std::array lying{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
constexpr std::array standing{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

/// How many eighths of a cell a bar has, where the longest has `cells` cells.
std::size_t eighths(std::uint64_t value, std::uint64_t most, std::size_t cells) {
  if (value == 0 || most == 0) return 0;
  const auto share = static_cast<double>(value) / static_cast<double>(most);
  return std::max<std::size_t>(1,
                               static_cast<std::size_t>(std::lround(share * static_cast<double>(8 * cells))));
}

/// A bar from left to right, `width` columns long for `most`, in steps of an eighth of a column. What is not
/// zero shows at least as the thinnest bar.
std::string horizontal_bar(std::uint64_t value, std::uint64_t most, std::size_t width) {
  const auto length = eighths(value, most, width);
  std::string bar;
  for (std::size_t n = 0; n < length / 8; ++n) bar += lying.back();
  return bar + lying[length % 8];
}

/// Columns side by side, each two wide with a space before; the tallest is `height` lines high, in steps of
/// an eighth of a line. From the top line to the bottom line, without blanks at their ends.
std::vector<std::string> column_chart(std::span<const std::uint64_t> values, std::size_t height) {
  const auto most = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  std::vector<std::string> lines(height);
  for (std::size_t from_top = 0; from_top < height; ++from_top) {
    const auto below = 8 * (height - 1 - from_top);
    for (const auto value : values) {
      const auto length = eighths(value, most, height);
      const auto* const cell = standing[length > below ? std::min<std::size_t>(length - below, 8) : 0];
      lines[from_top] += std::string{" "} + cell + cell;
    }
    lines[from_top].erase(lines[from_top].find_last_not_of(' ') + 1);
  }
  return lines;
}

struct row {
  std::string name;
  statistics::tally tally;
};

std::string clock_text(std::chrono::seconds t) {
  return fmt::format("{}:{:02}", t.count() / 60, t.count() % 60);
}

std::string wait_text(const waiting_times& w, unsigned percent) {
  return w.count() == 0 ? "-" : clock_text(w.within(percent));
}

std::string table_line(const row& r, std::uint64_t all_calls, std::uint64_t most_calls) {
  const auto share =
      100.0 * static_cast<double>(r.tally.calls) / static_cast<double>(std::max<std::uint64_t>(all_calls, 1));
  return fmt::format("{:<{}.{}} {:>7} {:>5.1f} % {:>8} {:>7} {:>7} {:>7}  {}", r.name, name_width, name_width,
                     example::grouped(r.tally.calls), share, example::grouped(r.tally.waits.count()),
                     wait_text(r.tally.waits, 50), wait_text(r.tally.waits, 90),
                     wait_text(r.tally.waits, 100), horizontal_bar(r.tally.calls, most_calls, bar_width));
}

void add_table(std::vector<std::string>& lines, std::string_view title, const std::vector<row>& rows,
               std::uint64_t all_calls) {
  lines.push_back(fmt::format("{:<{}} {:>7} {:>7} {:>8} {:>7} {:>7} {:>7}", title, name_width, "calls",
                              "share", "accepted", "median", "90 %", "longest"));
  std::uint64_t most = 0;
  for (const auto& r : rows) most = std::max(most, r.tally.calls);
  for (const auto& r : rows) lines.push_back(table_line(r, all_calls, most));
}

std::vector<row> category_rows(const statistics& s) {
  std::vector<row> rows;
  for (const auto& [category, tally] : s.by_category())
    rows.push_back({std::string{name_of(category)}, tally});
  return rows;
}

/// The areas with the most calls first.
std::vector<row> area_rows(const statistics& s) {
  std::vector<row> rows;
  for (const auto& [area, tally] : s.by_area()) rows.push_back({area, tally});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const row& a, const row& b) { return a.tally.calls > b.tally.calls; });
  return rows;
}

void add_areas(std::vector<std::string>& lines, const statistics& s) {
  auto rows = area_rows(s);
  const auto areas = rows.size();
  if (areas > areas_max) rows.resize(areas_max);
  add_table(lines, "area", rows, s.total().calls);
  if (areas > areas_max)
    lines.push_back(fmt::format("and {} more areas with fewer calls", areas - areas_max));
}

void add_hours(std::vector<std::string>& lines, const statistics& s) {
  const auto& hours = s.by_hour();
  const auto most = example::grouped(*std::max_element(hours.begin(), hours.end()));
  lines.emplace_back("calls by hour of the day");
  const auto chart = column_chart(hours, chart_height);
  for (const auto& line : chart) {
    lines.push_back(fmt::format("{:>7} │{}", &line == &chart.front() ? most : "", line));
  }
  std::string axis = "      0 └";
  std::string labels = "         ";
  for (std::size_t hour = 0; hour < hours.size(); ++hour) {
    axis += "───";
    labels += fmt::format(" {:02}", hour);
  }
  lines.push_back(axis);
  lines.push_back(labels);
}

}  // namespace

std::vector<std::string> render(const statistics& s) {
  std::vector<std::string> lines;
  const auto& total = s.total();
  if (total.calls == 0) {
    lines.push_back(fmt::format("No new calls, {} acceptances.", example::grouped(total.waits.count())));
    return lines;
  }
  lines.push_back(fmt::format("{} calls from {} to {}; {} acceptances", example::grouped(total.calls),
                              minute_text(s.first()), minute_text(s.last()),
                              example::grouped(total.waits.count())));
  lines.emplace_back();
  lines.push_back(
      fmt::format("{:<{}} {:>7} {:>7} {:>8} {:>23}", "", name_width, "", "", "", "from call to acceptance"));
  add_table(lines, "category", category_rows(s), total.calls);
  lines.emplace_back();
  add_areas(lines, s);
  lines.emplace_back();
  add_hours(lines, s);
  return lines;
}

}  // namespace emergency
