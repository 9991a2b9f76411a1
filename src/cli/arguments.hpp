#pragma once

#include <string>
#include <variant>

#include "cli/requests.hpp"

#include <levada/types.hpp>

namespace levada::cli {

/// The command line asks for a text, such as `--help`.
struct text_request {
  std::string text;
};

/// The command line cannot be understood: one sentence why.
struct usage_error {
  std::string message;
};

using request = std::variant<list_request, produce_request, replay_request, check_request, copy_request,
                             repair_request, space_request, trace_request, reset_request, deletion_request,
                             export_request, import_request, text_request, usage_error>;

/// Takes the command line apart. `now` is what ages such as `--from -10m` count back from.
[[nodiscard]] request parse_arguments(int argc, const char* const* argv, timestamp now);

}  // namespace levada::cli
