#include "bus/failure_notice.hpp"

#include <spdlog/logger.h>

namespace levada {

void failure_notice::failed(spdlog::logger* to, const error& why) {
  if (last_.exchange(why.code()) != why.code() && to != nullptr) to->warn("levada: {}", why.message());
}

void failure_notice::succeeded(spdlog::logger* to, std::string_view what, std::string_view name) {
  if (last_.exchange(errc{}) != errc{} && to != nullptr)
    to->info("levada: {} '{}' goes on again", what, name);
}

}  // namespace levada
