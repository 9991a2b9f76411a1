#pragma once

/// @file
/// To which moments of a history a power cut may take a store back.

#include <cstddef>

#include <crash/history.hpp>

namespace levada::crash {

/// How many lines of the history the store must at least hold after a power cut at its end: all of them where
/// a return means that it is durable, and otherwise those before the last checkpoint that was told of.
[[nodiscard]] std::size_t lines_certain(const history& lines);

}  // namespace levada::crash
