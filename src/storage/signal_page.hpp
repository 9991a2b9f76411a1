#pragma once

/// @file
/// The page `signal`: how attached processes learn of commits without asking again and again.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <utility>

#include <levada/error.hpp>

namespace levada::storage {

/// A shared, preallocated page with a futex counter that the owner raises after each commit. Its content need
/// not survive anything: a wrong value costs a wake-up too many or a wait up to its time-out. Move-only; safe
/// to share between threads.
class signal_page {
 public:
  /// Makes the file, filled, so that touching the mapping can never fail for lack of disk space.
  [[nodiscard]] static result<void> create(const std::filesystem::path& file);
  [[nodiscard]] static result<signal_page> open(const std::filesystem::path& file);

  signal_page(signal_page&& other) noexcept : page_{std::exchange(other.page_, nullptr)} {}
  signal_page& operator=(signal_page&& other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~signal_page();

  /// The number of commits announced, modulo 2^32.
  [[nodiscard]] std::uint32_t commits() const noexcept;
  /// Owner: announces a commit and wakes who waits for one. A few nanoseconds when nobody does.
  void announce() noexcept;
  /// Waits until `commits()` differs from `seen` or `timeout` has passed; may return early.
  void wait(std::uint32_t seen, std::chrono::milliseconds timeout) noexcept;

 private:
  struct layout;
  explicit signal_page(layout* page) noexcept : page_{page} {}
  layout* page_ = nullptr;
};

}  // namespace levada::storage
