#pragma once

#include <cstdint>
#include <string_view>

namespace levada::log {

/// MurmurHash2 of 32 bits (Austin Appleby, public domain) with the seed that Kafka's clients use for keys.
[[nodiscard]] std::uint32_t murmur2(std::string_view bytes) noexcept;

}  // namespace levada::log
