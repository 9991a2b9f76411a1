#pragma once

/// @file
/// What memory the process takes.

namespace levada::bench {

/// Anonymous memory of this process now (RssAnon), in bytes. Throws std::runtime_error.
[[nodiscard]] double anonymous_bytes();

}  // namespace levada::bench
