#include "worker.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#include <fmt/core.h>

namespace emergency {
namespace {

void run(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& e) {
    fmt::print(stderr, "emergency_call: host: {}\n", e.what());
    std::_Exit(1);
  }
}

}  // namespace

worker::worker(std::function<void()> work) : thread_{[work = std::move(work)] { run(work); }} {}

worker::~worker() {
  join();
}

void worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace emergency
