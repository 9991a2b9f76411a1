#pragma once

#include <string>
#include <string_view>

namespace emergency {

/// A caller's line, as the three words of a routing key: `linden-park.mill-road-12.4b`.
struct line {
  std::string area;
  std::string building;
  /// The apartment, or `main` where the address names none.
  std::string unit;

  /// `area.building.unit`: the key of the line's records and the routing key of its alerts.
  [[nodiscard]] std::string key() const;

  friend bool operator==(const line&, const line&) = default;
};

/// The line of a call from there. "MILL ROAD 12 APT 4B" is building and apartment.
[[nodiscard]] line line_at(std::string_view area, std::string_view address);
/// Takes a key apart. Throws `failure` when it is not three words.
[[nodiscard]] line parse_line_key(std::string_view key);

/// Which lines a subscriber cares for: a whole area, one building in it, or one line.
class scope {
 public:
  [[nodiscard]] static scope of_area(const line& any_in_it);
  [[nodiscard]] static scope of_building(const line& any_in_it);
  [[nodiscard]] static scope of_line(const line& one);
  /// Reads a binding key. Throws `failure`.
  [[nodiscard]] static scope parse(std::string_view binding_key);

  /// The pattern to bind with: `area.#`, `area.building.*` or `area.building.unit`.
  [[nodiscard]] std::string binding_key() const;
  /// Whether the line is among them. Compares words by itself, so that it can judge what the exchange does.
  [[nodiscard]] bool covers(const line& l) const;
  [[nodiscard]] bool is_area() const { return building_.empty(); }

  friend bool operator==(const scope&, const scope&) = default;

 private:
  scope(std::string area, std::string building, std::string unit);

  std::string area_;
  std::string building_;  // empty: all of the area
  std::string unit_;      // empty: all of the building
};

}  // namespace emergency
