#pragma once

#include <filesystem>

#include <levada/bus.hpp>

namespace emergency {

namespace names {

/// Topic of the emergency calls, as they came in.
inline constexpr auto alerts = "an-alert";
/// Topic of the acceptances: who took care of which call, and when.
inline constexpr auto acceptances = "an-accept";
/// Exchange that hands alerts to the subscribers of the caller's line.
inline constexpr auto exchange = "calls";
/// Group of the notifier.
inline constexpr auto notifier_group = "1";
/// Group of the analyst.
inline constexpr auto analyst_group = "analyst";

}  // namespace names

/// Where the host keeps its store below the directory that the user names.
[[nodiscard]] std::filesystem::path store_in(const std::filesystem::path& directory);

/// Opens that store, made first where there is none, with the two topics. Throws `levada::exception`.
[[nodiscard]] levada::bus open_store(const std::filesystem::path& directory);

}  // namespace emergency
