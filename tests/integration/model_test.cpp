// Random operations on a bus and on a plain model of it, whose answers must agree. LEVADA_MODEL_SEEDS sets
// how many walks are made, LEVADA_MODEL_FIRST_SEED which comes first: to repeat one that failed.

#include <gtest/gtest.h>

#include <cstdint>
#include <exception>

#include "model_walk.hpp"

namespace levada::test {
namespace {

TEST(Model, AgreesWithTheBusOverRandomOperations) {
  const std::uint32_t first = number_from_environment("LEVADA_MODEL_FIRST_SEED", 1);
  const std::uint32_t seeds = number_from_environment("LEVADA_MODEL_SEEDS", 4);
  for (std::uint32_t seed = first; seed < first + seeds; ++seed) {
    model_walk one{seed};
    try {
      one.run(500);
    } catch (const std::exception& e) {
      FAIL() << "LEVADA_MODEL_FIRST_SEED=" << seed << ": " << e.what()
             << "\nThe latest operations:" << one.latest_operations();
    }
  }
}

}  // namespace
}  // namespace levada::test
