#include "log/record_codec.hpp"

#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <type_traits>

#include <levada/publishing.hpp>

namespace levada::log {
namespace {

// Extras are a run of fields: a tag of one byte, then what the tag says. Texts carry their length in one
// byte, header values of type text or binary in four.
enum class tag : std::uint8_t {
  content_type = 1,
  message_id = 2,
  correlation_id = 3,
  reply_to = 4,
  type = 5,
  expiration = 6,  // 8 bytes: milliseconds
  priority = 7,    // 1 byte
  routing_key = 8,
  header = 9,  // name, type of value (1 byte: the index in header_value), value
};

constexpr std::size_t text_max = 255;

void put_raw(std::string& out, const void* data, std::size_t size) {
  out.append(static_cast<const char*>(data), size);
}
template <class T>
void put_number(std::string& out, T value) {
  put_raw(out, &value, sizeof value);
}
void put_text(std::string& out, std::string_view text) {
  out.push_back(static_cast<char>(text.size()));
  out.append(text);
}

result<void> put_field(std::string& out, tag t, const char* name, std::string_view text) {
  if (text.empty()) return {};
  if (text.size() > text_max) {
    return error{errc::field_too_long,
                 fmt::format("encode record: {} has {} bytes, the limit is {}", name, text.size(), text_max)};
  }
  put_number(out, t);
  put_text(out, text);
  return {};
}

void put_value(std::string& out, const header_value& value) {
  put_number(out, static_cast<std::uint8_t>(value.index()));
  std::visit(
      [&](const auto& v) {
        using type = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<type, std::string> || std::is_same_v<type, binary>) {
          put_number(out, static_cast<std::uint32_t>(v.size()));
          put_raw(out, v.data(), v.size());
        } else if constexpr (std::is_same_v<type, timestamp>) {
          put_number(out, std::int64_t{v.time_since_epoch().count()});
        } else if constexpr (std::is_same_v<type, bool>) {
          put_number(out, static_cast<std::uint8_t>(v));
        } else if constexpr (!std::is_same_v<type, std::monostate>) {
          put_number(out, v);
        }
      },
      value);
}

/// Reads fields off the front; after a read beyond the end everything reads as empty.
class field_reader {
 public:
  explicit field_reader(std::string_view bytes) noexcept : rest_{bytes} {}

  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }

  std::string_view raw(std::size_t size) noexcept {
    if (size > rest_.size()) {
      rest_ = {};
      return {};
    }
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  template <class T>
  T number() noexcept {
    T value{};
    const auto taken = raw(sizeof value);
    if (taken.size() == sizeof value) std::memcpy(&value, taken.data(), sizeof value);
    return value;
  }
  std::string_view text() noexcept { return raw(number<std::uint8_t>()); }

  header_value_view value() noexcept {
    switch (number<std::uint8_t>()) {
      case 1:
        return number<std::uint8_t>() != 0;
      case 2:
        return number<std::int64_t>();
      case 3:
        return number<double>();
      case 4:
        return raw(number<std::uint32_t>());
      case 5: {
        const auto taken = raw(number<std::uint32_t>());
        return std::as_bytes(std::span{taken.data(), taken.size()});
      }
      case 6:
        return timestamp{std::chrono::microseconds{number<std::int64_t>()}};
      default:
        return std::monostate{};
    }
  }

 private:
  std::string_view rest_;
};

/// Calls `each(tag, reader)` per field; `each` consumes the field's content and returns false to stop.
template <class Each>
void for_each_field(std::string_view extras, Each each) {
  field_reader reader{extras};
  while (!reader.done()) {
    if (!each(static_cast<tag>(reader.number<std::uint8_t>()), reader)) return;
  }
}

/// Consumes a field that the caller is not interested in.
bool skip(tag t, field_reader& reader) noexcept {
  switch (t) {
    case tag::expiration:
      reader.number<std::int64_t>();
      return true;
    case tag::priority:
      reader.number<std::uint8_t>();
      return true;
    case tag::header:
      reader.text();
      reader.value();
      return true;
    case tag::content_type:
    case tag::message_id:
    case tag::correlation_id:
    case tag::reply_to:
    case tag::type:
    case tag::routing_key:
      reader.text();
      return true;
  }
  return false;  // an unknown field has an unknown length: nothing behind it can be read
}

}  // namespace

void encode_record(const record_source& source, std::int32_t time_delta, std::byte* out) noexcept {
  detail::record_header header{};
  header.size = static_cast<std::uint32_t>(source.size());
  header.key_size = static_cast<std::uint16_t>(source.key.size());
  header.flags = static_cast<std::uint16_t>((source.has_key ? detail::record_has_key : 0) |
                                            (source.is_tombstone ? detail::record_is_tombstone : 0));
  header.time_delta = time_delta;
  header.extras_size = static_cast<std::uint32_t>(source.extras.size());
  std::memcpy(out, &header, sizeof header);
  std::byte* at = out + sizeof header;
  const auto put = [&at](std::string_view part) {
    if (!part.empty()) std::memcpy(at, part.data(), part.size());
    at += part.size();
  };
  put(source.value);
  put(source.key);
  put(source.extras);
  const std::size_t padding = detail::padded(header.size) - header.size;
  std::memset(at, 0, padding);
}

std::optional<std::size_t> size_of_records(std::span<const std::byte> records, std::uint64_t count) noexcept {
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t used = detail::size_of_record(records.data() + at, records.size() - at);
    if (used == 0) return std::nullopt;
    at += used;
  }
  return at;
}

std::optional<records_prefix> records_within(std::span<const std::byte> records, std::uint64_t count,
                                             std::size_t bytes_max) noexcept {
  records_prefix within;
  while (within.count < count) {
    const std::size_t used =
        detail::size_of_record(records.data() + within.bytes, records.size() - within.bytes);
    if (used == 0) return std::nullopt;
    if (within.count > 0 && within.bytes + used > bytes_max) break;
    within.bytes += used;
    ++within.count;
  }
  return within;
}

std::optional<records_prefix> records_before(std::span<const std::byte> records, std::uint64_t count,
                                             std::int64_t time_first, std::int64_t time) noexcept {
  records_prefix before;
  while (before.count < count) {
    const std::byte* const data = records.data() + before.bytes;
    const std::size_t used = detail::size_of_record(data, records.size() - before.bytes);
    if (used == 0) return std::nullopt;
    if (time_first + detail::encoded_record{data}.time_delta() >= time) break;
    before.bytes += used;
    ++before.count;
  }
  return before;
}

result<std::string> encode_extras(std::string_view routing_key, const record& r) {
  std::string out;
  const properties& p = r.properties();
  const struct {
    tag t;
    const char* name;
    std::string_view text;
  } texts[] = {
      {tag::routing_key, "routing key", routing_key},
      {tag::content_type, "property content_type", p.content_type},
      {tag::message_id, "property message_id", p.message_id},
      {tag::correlation_id, "property correlation_id", p.correlation_id},
      {tag::reply_to, "property reply_to", p.reply_to},
      {tag::type, "property type", p.type},
  };
  for (const auto& field : texts) {
    if (auto put = put_field(out, field.t, field.name, field.text); !put) return put.error();
  }
  if (p.expiration) {
    put_number(out, tag::expiration);
    put_number(out, std::int64_t{p.expiration->count()});
  }
  if (p.priority) {
    put_number(out, tag::priority);
    put_number(out, *p.priority);
  }
  for (const auto& h : r.headers()) {
    if (h.name.empty()) return error{errc::name_invalid, "encode record: a header's name is empty"};
    if (h.name.size() > text_max) {
      return error{errc::field_too_long,
                   fmt::format("encode record: a header's name has {} bytes, the limit is {}", h.name.size(),
                               text_max)};
    }
    put_number(out, tag::header);
    put_text(out, h.name);
    put_value(out, h.value);
  }
  return out;
}

std::vector<header_view> headers_in(std::string_view extras) {
  std::vector<header_view> all;
  for_each_field(extras, [&](tag t, field_reader& reader) {
    if (t != tag::header) return skip(t, reader);
    const auto name = reader.text();
    all.push_back({name, reader.value()});
    return true;
  });
  return all;
}

properties_view properties_in(std::string_view extras) noexcept {
  properties_view p;
  for_each_field(extras, [&](tag t, field_reader& reader) {
    switch (t) {
      case tag::content_type:
        p.content_type = reader.text();
        return true;
      case tag::message_id:
        p.message_id = reader.text();
        return true;
      case tag::correlation_id:
        p.correlation_id = reader.text();
        return true;
      case tag::reply_to:
        p.reply_to = reader.text();
        return true;
      case tag::type:
        p.type = reader.text();
        return true;
      case tag::expiration:
        p.expiration = std::chrono::milliseconds{reader.number<std::int64_t>()};
        return true;
      case tag::priority:
        p.priority = reader.number<std::uint8_t>();
        return true;
      case tag::routing_key:
      case tag::header:
        return skip(t, reader);
    }
    return false;
  });
  return p;
}

result<record_source> source_of(const record& r, std::string_view extras) {
  record_source source;
  source.has_key = r.key().has_value();
  if (source.has_key) source.key = *r.key();
  if (source.key.size() > key_bytes_max) {
    return error{errc::field_too_long, fmt::format("encode record: the key has {} bytes, the limit is {}",
                                                   source.key.size(), key_bytes_max)};
  }
  source.is_tombstone = !r.value().has_value();
  if (!source.is_tombstone) source.value = *r.value();
  source.extras = extras;
  if (r.time()) {
    constexpr std::int64_t most = std::int64_t{1} << 60;  // some 36,000 years: sums of it do not overflow
    source.time = r.time()->time_since_epoch().count();
    if (*source.time < -most || *source.time > most) {
      return error{errc::invalid_argument,
                   fmt::format("encode record: its time is {} microseconds, the limit is {} either way",
                               *source.time, most)};
    }
  }
  return source;
}

header_value copy_of(const header_value_view& value) {
  const auto own = [](const auto& v) -> header_value {
    using type = std::decay_t<decltype(v)>;
    if constexpr (std::is_same_v<type, std::string_view>) {
      return std::string{v};
    } else if constexpr (std::is_same_v<type, std::span<const std::byte>>) {
      return binary(v.begin(), v.end());
    } else {
      return v;
    }
  };
  return std::visit(own, value);
}

properties copy_of(const properties_view& p) {
  properties copy;
  copy.content_type = p.content_type;
  copy.message_id = p.message_id;
  copy.correlation_id = p.correlation_id;
  copy.reply_to = p.reply_to;
  copy.type = p.type;
  copy.expiration = p.expiration;
  copy.priority = p.priority;
  return copy;
}

}  // namespace levada::log

namespace levada {

record record::tombstone(std::string key) {
  record r;
  r.key_ = std::move(key);
  r.value_.reset();
  return r;
}

record& record::caused_by(const record_view& cause) {
  cause_ = record_place{std::string{cause.topic()}, cause.partition(), cause.offset()};
  return *this;
}

record::record(const record_view& view) {
  if (view.has_key()) key_ = view.key();
  time_ = view.time();
  if (view.is_tombstone()) {
    value_.reset();
  } else {
    value_ = view.value();
  }
  for (const auto& h : view.headers()) headers_.push_back({std::string{h.name}, log::copy_of(h.value)});
  properties_ = log::copy_of(view.properties());
}

std::string_view record_view::routing_key() const noexcept {
  std::string_view found;
  log::for_each_field(encoded_.extras(), [&](log::tag t, log::field_reader& reader) {
    if (t != log::tag::routing_key) return log::skip(t, reader);
    found = reader.text();
    return false;
  });
  return found;
}

std::vector<header_view> record_view::headers() const {
  return log::headers_in(encoded_.extras());
}

std::optional<header_value_view> record_view::header(std::string_view name) const {
  std::optional<header_value_view> found;
  log::for_each_field(encoded_.extras(), [&](log::tag t, log::field_reader& reader) {
    if (t != log::tag::header || reader.text() != name) {
      if (t != log::tag::header) return log::skip(t, reader);
      reader.value();
      return true;
    }
    found = reader.value();
    return false;
  });
  return found;
}

properties_view record_view::properties() const noexcept {
  return log::properties_in(encoded_.extras());
}

}  // namespace levada
