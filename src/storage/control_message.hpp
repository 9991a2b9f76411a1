#pragma once

/// @file
/// What another process asks the owner of a store, and what it is told, as they pass through the socket
/// `control`: a header, and a message of schemas/control.capnp.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <levada/error.hpp>
#include <levada/inspect.hpp>
#include <levada/options.hpp>

namespace levada::storage {

/// The version of requests and answers.
inline constexpr std::uint32_t control_version = 1;

/// The largest message, in bytes without its header.
inline constexpr std::size_t control_bytes_max = std::size_t{1} << 20;

/// What stands before a message. It is the same in every version.
struct control_header {
  std::array<char, 8> magic{};
  std::uint32_t version = 0;
  std::uint32_t size = 0;  // of the message, in bytes; a multiple of 8

  /// Fails with `invalid_argument` for what does not come from levada or is too large, and with
  /// `unsupported_format` for another version.
  [[nodiscard]] result<void> check() const;
};
static_assert(sizeof(control_header) == 16);

/// A call of `bus::reset_offsets`.
struct reset_request {
  std::string group;
  std::string topic;
  offset_reset_options options;
};
/// A call of `bus::delete_group`.
struct deletion_request {
  std::string group;
  group_deletion_options options;
};
using control_request = std::variant<reset_request, deletion_request>;

/// What the call has returned; no changes for one that returns none. They name no topic, which who asks
/// knows.
using control_answer = result<std::vector<offset_change>>;

/// The message of a received header: as many words as it says.
using control_words = std::vector<std::uint64_t>;

/// Header and message. A request fails with `invalid_argument` where it would be too large; of an answer, the
/// text of an error is cut off at 4 KiB.
[[nodiscard]] result<std::vector<std::byte>> encode(const control_request& request);
[[nodiscard]] std::vector<std::byte> encode(const control_answer& answer);

/// Fails with `invalid_argument` for a message that does not hold together, or asks for what this version
/// does not know.
[[nodiscard]] result<control_request> decode_control_request(std::span<const std::uint64_t> message);
/// What it was told: also fails as `decode_control_request` does.
[[nodiscard]] control_answer decode_control_answer(std::span<const std::uint64_t> message);

}  // namespace levada::storage
