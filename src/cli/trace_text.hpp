#pragma once

/// @file
/// What a flow ledger tells, put into words.

#include <string_view>

#include <levada/ledger.hpp>

namespace levada::cli {

class output;

/// What has happened, as people and programs see it: "acknowledged".
[[nodiscard]] std::string_view name_of(flow_step what) noexcept;

/// Writes the messages as trees: below each what has happened to it, and what was published on its account.
/// Times count from the publishing of the tree's first message.
void write_tree(output& out, const message_trace& trace);

/// Writes them as a sequence diagram in Mermaid's language.
void write_mermaid(output& out, const message_trace& trace);

}  // namespace levada::cli
