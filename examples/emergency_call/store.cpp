#include "store.hpp"

#include <cstdint>

namespace emergency {
namespace {

constexpr std::uint32_t partitions = 2;

}  // namespace

std::filesystem::path store_in(const std::filesystem::path& directory) {
  return directory / "store";
}

levada::bus open_store(const std::filesystem::path& directory) {
  auto bus = levada::bus::open(store_in(directory)).value();
  for (const auto* topic : {names::alerts, names::acceptances}) {
    bus.declare_topic(topic, {.partitions = partitions}).value();
  }
  return bus;
}

}  // namespace emergency
