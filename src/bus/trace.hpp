#pragma once

#include <string_view>

#include <levada/error.hpp>
#include <levada/ledger.hpp>
#include <levada/replay.hpp>

namespace levada {

/// Reads a ledger to its end for the messages of that message id or correlation id, and for all that came of
/// them. A cause always stands before what it causes, so one pass is enough.
[[nodiscard]] result<message_trace> trace_in(replay& ledger, std::string_view id,
                                             const trace_options& options);

}  // namespace levada
