// Eight threads that publish record by record, each waiting until its record is flushed, beside one that
// does: how well a flush is shared.

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <levada/bus.hpp>

#include "questions.hpp"
#include "support/crew.hpp"
#include "support/stores.hpp"
#include "support/study.hpp"
#include "support/suite.hpp"

namespace levada::bench {
namespace {

constexpr std::size_t publishers = 8;
constexpr double ratio_target = 4;

void publish_some(const topic& to, std::size_t records) {
  const record r{std::string{value_of(0)}};
  for (std::size_t i = 0; i < records; ++i) (void)to.publish(r).value();
}

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void answer(const std::filesystem::path& directory, findings& f, std::size_t rounds, std::size_t records) {
  auto b = bus::open(directory / "store", unsealed(synced{})).value();
  const auto to = b.declare_topic("measured").value();
  crew eight{publishers};
  const auto many = [&] { eight.run([&](std::size_t) { publish_some(to, records); }); };
  const auto one = [&] { publish_some(to, records); };
  many();
  one();
  std::vector<double> ratios;
  for (std::size_t i = 0; i < rounds; ++i) {
    stop_if_asked();
    const bool many_first = i % 2 == 0;
    double of_many = many_first ? seconds(many) : 0;
    const double of_one = seconds(one);
    if (!many_first) of_many = seconds(many);
    ratios.push_back(static_cast<double>(publishers) * of_one / of_many);
  }
  f.line(fmt::format("rate of eight over that of one: {}", with_range(ratios)));
  f.at_least("ratio", "eight publishers over one, synced, median of the rounds", median(ratios),
             ratio_target);
}

}  // namespace

void ask_many_publishers(suite& s) {
  const auto rounds = s.size<std::size_t>(11, 1);
  const auto records = s.size<std::size_t>(200, 2);
  s.ask(study{.name = "many_publishers",
              .text = "eight threads that publish record by record beside one, synced",
              .answer = [=](const auto& directory, findings& f) { answer(directory, f, rounds, records); }});
}

}  // namespace levada::bench
