#pragma once

/// @file
/// The commands. Each does all of its work and returns what the program is to end with, above 128 where a
/// signal is to end it, or the failure to report.

#include <levada/error.hpp>

namespace levada::cli {

/// What the program ends with where something failed.
inline constexpr int failure_status = 1;

struct check_request;
struct copy_request;
struct deletion_request;
struct export_request;
struct import_request;
struct list_request;
struct produce_request;
struct repair_request;
struct replay_request;
struct reset_request;
struct space_request;
struct trace_request;

[[nodiscard]] result<int> run(const list_request& request);
[[nodiscard]] result<int> run(const produce_request& request);
[[nodiscard]] result<int> run(const replay_request& request);
[[nodiscard]] result<int> run(const check_request& request);
[[nodiscard]] result<int> run(const copy_request& request);
[[nodiscard]] result<int> run(const repair_request& request);
[[nodiscard]] result<int> run(const space_request& request);
[[nodiscard]] result<int> run(const trace_request& request);
[[nodiscard]] result<int> run(const reset_request& request);
[[nodiscard]] result<int> run(const deletion_request& request);
[[nodiscard]] result<int> run(const export_request& request);
[[nodiscard]] result<int> run(const import_request& request);

}  // namespace levada::cli
