#include "bus/segment_place.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

#include "log/sealed_segment.hpp"

namespace levada {

result<segment_place> segment_place::open(core& owner) {
  segment_place place{owner};
  if (owner.in_memory()) {
    auto made = storage::scratch_directory::make(place.directory_ / "levada-memory-");
    if (!made) return made.error();
    place.directory_ = place.scratch_.emplace(std::move(*made)).path();
  }
  return place;
}

log::new_segments::options segment_place::target() const {
  return {.directory = directory_,
          .next_id = owner_.next_segment(),
          .now = owner_.time().wall().time_since_epoch().count(),
          .sync = !scratch_};
}

result<segment_place::files> segment_place::kept_open(
    const std::vector<storage::segment_entry>& written) const {
  files opened;
  if (!scratch_) return opened;
  for (const auto& entry : written) {
    auto file = storage::segment_file::open(log::segment_path(directory_, entry.id), entry.id);
    if (!file) return file.error();
    opened.push_back(std::move(*file));
  }
  return opened;
}

result<void> segment_place::hand_over(const core::access& access, std::string_view operation,
                                      const std::vector<storage::segment_entry>& written, intent& naming) {
  auto done = owner_.run(access, operation, naming);
  // Whoever does not know whether the catalogue names them must leave them.
  if (done || done.error() == errc::outcome_unknown) return done;
  for (const auto& entry : written) {
    std::error_code ignored;
    std::filesystem::remove(log::segment_path(directory_, entry.id), ignored);
  }
  return done;
}

}  // namespace levada
