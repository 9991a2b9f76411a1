#include "queue/deaths.hpp"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "log/record_codec.hpp"
#include "storage/row.hpp"

namespace levada::queue {
namespace {

// Version and checksum, then the deaths up to the end, the newest first. Numbers are little-endian. A death
// is its reason (1), whether it has an original expiration (1: 0 or 1), count (8), time (8: microseconds
// since 1970), the original expiration where it has one (8: milliseconds), and queue, exchange and routing
// key, each with its length before it (1).
constexpr std::byte deaths_version{1};
constexpr std::size_t deaths_prefix = 1 + sizeof(std::uint32_t);

std::uint32_t deaths_checksum(std::span<const std::byte> deaths) noexcept {
  return static_cast<std::uint32_t>(storage::records_hash(deaths));
}

template <class T>
void put_death_number(binary& out, T value) {
  const auto bytes = std::as_bytes(std::span{&value, 1});
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_death_text(binary& out, std::string_view text) {
  assert(text.size() <= std::numeric_limits<std::uint8_t>::max());
  put_death_number(out, static_cast<std::uint8_t>(text.size()));
  const auto bytes = std::as_bytes(std::span{text.data(), text.size()});
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// Reads deaths off the front. Each read tells whether there was something to read.
class death_reader {
 public:
  explicit death_reader(std::span<const std::byte> bytes) noexcept : rest_{bytes} {}

  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }

  [[nodiscard]] bool read(death& d) {
    std::uint8_t reason = 0;
    std::uint8_t has_expiration = 0;
    std::int64_t time = 0;
    if (!number(reason) || !number(has_expiration) || !number(d.count) || !number(time)) return false;
    d.reason = static_cast<dead_letter_reason>(reason);
    d.time = timestamp{std::chrono::microseconds{time}};
    if (to_text(d.reason).empty() || has_expiration > 1 || d.count == 0) return false;
    if (has_expiration == 1) {
      std::int64_t expiration = 0;
      if (!number(expiration)) return false;
      d.original_expiration = std::chrono::milliseconds{expiration};
    }
    return text(d.queue) && text(d.exchange) && text(d.routing_key);
  }

 private:
  template <class T>
  bool number(T& value) noexcept {
    if (rest_.size() < sizeof value) return false;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return true;
  }
  bool text(std::string& value) {
    std::uint8_t size = 0;
    if (!number(size) || rest_.size() < size) return false;
    value.assign(reinterpret_cast<const char*>(rest_.data()), size);
    rest_ = rest_.subspan(size);
    return true;
  }

  std::span<const std::byte> rest_;
};

void note_death(std::vector<death>& deaths, const death_note& note, const properties_view& had) {
  const auto known = std::find_if(deaths.begin(), deaths.end(), [&note](const death& d) {
    return d.queue == note.queue && d.reason == note.reason;
  });
  if (known == deaths.end()) {
    deaths.insert(deaths.begin(),
                  death{std::string{note.queue}, note.reason, 1, note.time, std::string{note.exchange},
                        std::string{note.routing_key}, had.expiration});
    return;
  }
  if (known->count < std::numeric_limits<std::uint64_t>::max()) ++known->count;
  std::rotate(deaths.begin(), known, known + 1);
}

bool is_first_death_header(std::string_view name) noexcept {
  return name == first_death_queue_header || name == first_death_reason_header ||
         name == first_death_exchange_header;
}

}  // namespace

binary encode_deaths(std::span<const death> deaths) {
  binary out(deaths_prefix);
  for (const death& d : deaths) {
    put_death_number(out, d.reason);
    put_death_number(out, static_cast<std::uint8_t>(d.original_expiration.has_value()));
    put_death_number(out, d.count);
    put_death_number(out, std::int64_t{d.time.time_since_epoch().count()});
    if (d.original_expiration) put_death_number(out, std::int64_t{d.original_expiration->count()});
    put_death_text(out, d.queue);
    put_death_text(out, d.exchange);
    put_death_text(out, d.routing_key);
  }
  out[0] = deaths_version;
  const std::uint32_t checksum = deaths_checksum(std::span{out}.subspan(deaths_prefix));
  std::memcpy(out.data() + 1, &checksum, sizeof checksum);
  return out;
}

std::optional<std::vector<death>> decode_deaths(std::span<const std::byte> bytes) {
  if (bytes.size() < deaths_prefix || bytes[0] != deaths_version) return std::nullopt;
  std::uint32_t checksum = 0;
  std::memcpy(&checksum, bytes.data() + 1, sizeof checksum);
  const auto rest = bytes.subspan(deaths_prefix);
  if (checksum != deaths_checksum(rest)) return std::nullopt;
  std::vector<death> deaths;
  death_reader reader{rest};
  while (!reader.done()) {
    if (!reader.read(deaths.emplace_back())) return std::nullopt;
  }
  return deaths;
}

record record_after_death(const record_view& r, const death_note& note) {
  record out = r.is_tombstone() ? record::tombstone({}) : record{std::string{r.value()}};
  if (r.has_key()) out.key(std::string{r.key()});
  const properties_view had = r.properties();
  properties kept = log::copy_of(had);
  kept.expiration.reset();
  out.properties(std::move(kept));

  std::vector<death> deaths = deaths_of(r);
  const bool first = deaths.empty();
  note_death(deaths, note, had);
  for (const header_view& h : r.headers()) {
    if (h.name == death_header || (first && is_first_death_header(h.name))) continue;
    out.header(std::string{h.name}, log::copy_of(h.value));
  }
  if (first) {
    out.header(std::string{first_death_queue_header}, std::string{note.queue})
        .header(std::string{first_death_reason_header}, std::string{to_text(note.reason)})
        .header(std::string{first_death_exchange_header}, std::string{note.exchange});
  }
  out.header(std::string{death_header}, encode_deaths(deaths));
  return out;
}

bool is_cycle(const std::vector<death>& deaths, std::string_view queue, dead_letter_reason now) noexcept {
  if (now == dead_letter_reason::rejected) return false;
  for (const death& d : deaths) {
    if (d.reason == dead_letter_reason::rejected) return false;
    if (d.queue == queue) return true;
  }
  return false;
}

}  // namespace levada::queue

namespace levada {

std::string_view to_text(dead_letter_reason reason) noexcept {
  switch (reason) {
    case dead_letter_reason::rejected:
      return "rejected";
    case dead_letter_reason::expired:
      return "expired";
    case dead_letter_reason::maxlen:
      return "maxlen";
    case dead_letter_reason::delivery_limit:
      return "delivery_limit";
  }
  return {};
}

std::vector<death> deaths_of(const record_view& r) {
  const auto found = r.header(queue::death_header);
  if (!found) return {};
  const auto* const bytes = std::get_if<std::span<const std::byte>>(&*found);
  if (bytes == nullptr) return {};
  return queue::decode_deaths(*bytes).value_or(std::vector<death>{});
}

}  // namespace levada
