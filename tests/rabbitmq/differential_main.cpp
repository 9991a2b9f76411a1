/// @file
/// The comparison with RabbitMQ for as long as wanted:
/// `levada_rabbitmq_campaign [--operations N] [--seed S] [--length L] [--theme T] [--shrink]`.
/// Histories of L operations, seed after seed from S on and theme after theme, until N operations have been
/// compared. Ends with 1 at the first difference, which `--shrink` reduces to the operations that it needs.

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <rabbitmq/differential.hpp>
#include <rabbitmq/history.hpp>
#include <rabbitmq/rabbit_server.hpp>

namespace {

using namespace levada::rabbit;

struct wishes {
  std::uint64_t operations = 100'000;
  std::uint64_t seed = 1;
  std::uint64_t length = 1'000;
  bool shrink = false;
  std::vector<theme> themes{theme::routing, theme::dead_letters, theme::mixed};
};

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<theme> theme_of(std::string_view text) {
  for (const theme t : {theme::routing, theme::dead_letters, theme::mixed}) {
    if (text == to_text(t)) return t;
  }
  return std::nullopt;
}

std::optional<wishes> wishes_of(int count, char** words) {
  wishes w;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = words[i];
    if (name == "--shrink") {
      w.shrink = true;
      continue;
    }
    if (++i == count) return std::nullopt;
    if (name == "--theme") {
      const auto t = theme_of(words[i]);
      if (!t) return std::nullopt;
      w.themes.assign(1, *t);
      continue;
    }
    const auto n = number_of(words[i]);
    if (!n) return std::nullopt;
    if (name == "--operations") {
      w.operations = *n;
    } else if (name == "--seed") {
      w.seed = *n;
    } else if (name == "--length" && *n > 0) {
      w.length = *n;
    } else {
      return std::nullopt;
    }
  }
  return w;
}

int campaign(const wishes& w) {
  rabbit_server server;
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t operations = 0;
  deliberate_differences rules;
  for (std::uint64_t seed = w.seed; operations < w.operations; ++seed) {
    for (const theme what : w.themes) {
      const history h = make_history(seed, what, w.length);
      const comparison c = compare(server, h);
      operations += c.operations;
      rules += c.rules;
      if (!c.difference) continue;
      fmt::print("seed {} of '{}', {} operations: left is RabbitMQ, right is levada\n{}", seed, to_text(what),
                 w.length, *c.difference);
      if (w.shrink) {
        const history least = shrunk(server, h);
        fmt::print("\n{} operations do:\n{}", least.size(),
                   compare(server, least, least.size() + 100).difference.value_or("not any more\n"));
      }
      return 1;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  fmt::print("{} operations, {:.0f} a second, no unexplained difference\n{}", operations,
             static_cast<double>(operations) / took.count(), to_text(rules));
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const auto w = wishes_of(count, words);
  if (!w) {
    fmt::print(stderr, "usage: {} [--operations N] [--seed S] [--length L] [--theme T] [--shrink]\n",
               words[0]);
    return 2;
  }
  if (const auto reason = reason_for_no_server()) {
    fmt::print(stderr, "{}\n", *reason);
    return 2;
  }
  try {
    return campaign(*w);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 2;
  }
}
