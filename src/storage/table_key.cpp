#include <levada/table_key.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace levada {
namespace {

// FoundationDB's tuple layer: "byte string" and the integers around zero, which take as many bytes as they
// need.
constexpr unsigned char string_code = 0x01;
constexpr unsigned char zero_code = 0x14;
constexpr unsigned number_bytes_max = 8;
constexpr char string_end = '\0';
constexpr char escaped = '\xff';  // behind a zero byte that belongs to the string

/// Stands behind the last part of a stored key, before all codes.
constexpr char key_end = '\0';
constexpr char beyond_all_codes = '\xff';

unsigned bytes_of(std::uint64_t magnitude) noexcept {
  unsigned n = 0;
  for (; magnitude != 0; magnitude >>= 8) ++n;
  return n;
}

struct number_part {
  bool negative = false;
  std::uint64_t magnitude = 0;
};

/// Reads the parts of an encoding one after the other.
class part_reader {
 public:
  explicit part_reader(std::string_view encoded) noexcept : left_{encoded} {}
  [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }

  /// Passes over one part; false where there is none that is whole. What it was is known afterwards.
  bool next() {
    string_.reset();
    number_.reset();
    if (left_.empty()) return false;
    const auto code = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return code == string_code ? read_string() : read_number(code);
  }
  [[nodiscard]] const std::optional<std::string>& string() const noexcept { return string_; }
  [[nodiscard]] const std::optional<number_part>& number() const noexcept { return number_; }

 private:
  bool read_string() {
    std::string text;
    for (std::size_t i = 0; i < left_.size(); ++i) {
      if (left_[i] != string_end) {
        text += left_[i];
      } else if (i + 1 < left_.size() && left_[i + 1] == escaped) {
        text += left_[i++];
      } else {
        left_.remove_prefix(i + 1);
        string_ = std::move(text);
        return true;
      }
    }
    return false;
  }
  bool read_number(unsigned char code) {
    const bool negative = code < zero_code;
    const unsigned n = negative ? zero_code - code : code - zero_code;
    if (n > number_bytes_max || left_.size() < n) return false;
    std::uint64_t bits = 0;
    for (unsigned i = 0; i < n; ++i) bits = (bits << 8) | static_cast<unsigned char>(left_[i]);
    left_.remove_prefix(n);
    if (negative && n > 0) bits = (std::numeric_limits<std::uint64_t>::max() >> (8 * (8 - n))) - bits;
    if (bytes_of(bits) != n) return false;  // not the shortest form
    number_ = number_part{negative, bits};
    return true;
  }

  std::string_view left_;
  std::optional<std::string> string_;
  std::optional<number_part> number_;
};

std::string quoted(const std::string& string) {
  std::string all = "\"";
  for (const char c : string) {
    const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
    all += plain ? std::string{c} : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return all + '"';
}

/// The reader behind the part of that number; nothing where there are not so many.
std::optional<part_reader> find_part(const std::string& encoded, std::size_t part) {
  part_reader reader{encoded};
  for (std::size_t i = 0; i <= part; ++i) {
    if (!reader.next()) return std::nullopt;
  }
  return reader;
}

}  // namespace

void table_key::add(std::string_view part) {
  encoded_ += static_cast<char>(string_code);
  for (const char c : part) {
    encoded_ += c;
    if (c == string_end) encoded_ += escaped;
  }
  encoded_ += string_end;
}

void table_key::add_number(bool negative, std::uint64_t magnitude) {
  const unsigned n = bytes_of(magnitude);
  encoded_ += static_cast<char>(negative ? zero_code - n : zero_code + n);
  const std::uint64_t bits = negative ? ~magnitude : magnitude;
  for (unsigned i = n; i > 0; --i) encoded_ += static_cast<char>((bits >> (8 * (i - 1))) & 0xff);
}

std::size_t table_key::size() const {
  std::size_t parts = 0;
  for (part_reader reader{encoded_}; reader.next();) ++parts;
  return parts;
}

std::optional<std::string> table_key::string(std::size_t part) const {
  const auto found = find_part(encoded_, part);
  return found ? found->string() : std::nullopt;
}

std::optional<std::int64_t> table_key::number(std::size_t part) const {
  const auto found = find_part(encoded_, part);
  if (!found || !found->number()) return std::nullopt;
  const auto [negative, magnitude] = *found->number();
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (magnitude > most + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
}

std::optional<std::uint64_t> table_key::unsigned_number(std::size_t part) const {
  const auto found = find_part(encoded_, part);
  if (!found || !found->number() || found->number()->negative) return std::nullopt;
  return found->number()->magnitude;
}

std::string table_key::text() const {
  std::string all;
  std::size_t parts = 0;
  for (part_reader reader{encoded_}; reader.next(); ++parts) {
    if (parts > 0) all += ", ";
    if (const auto& string = reader.string()) {
      all += quoted(*string);
    } else if (const auto& number = reader.number()) {
      all += fmt::format("{}{}", number->negative ? "-" : "", number->magnitude);
    }
  }
  return parts == 1 ? all : "(" + all + ")";
}

std::optional<table_key> table_key::decode(std::string_view encoded) {
  part_reader reader{encoded};
  while (!reader.at_end()) {
    if (!reader.next()) return std::nullopt;
  }
  if (encoded.empty()) return std::nullopt;
  table_key key;
  key.encoded_ = encoded;
  return key;
}

key_range key_range::prefix(const table_key& key) {
  return {key.encoded(), key.encoded() + beyond_all_codes};
}

key_range key_range::between(const table_key& first, const table_key& beyond) {
  return key_range{}.from(first).before(beyond);
}

key_range key_range::from(const table_key& key) const {
  return {std::max(lower_, key.encoded() + key_end), upper_};
}

key_range key_range::after(const table_key& key) const {
  // The first that may follow goes on with the lowest code.
  return {std::max(lower_, key.encoded() + static_cast<char>(string_code)), upper_};
}

key_range key_range::before(const table_key& key) const {
  const std::string bound = key.encoded() + key_end;
  return {lower_, upper_.empty() ? bound : std::min(upper_, bound)};
}

}  // namespace levada
