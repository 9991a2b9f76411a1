#include "records.hpp"

#include <variant>

#include <fmt/core.h>

#include <common/failure.hpp>

#include "csv.hpp"

namespace emergency {
namespace {

constexpr auto call_header = "call";
constexpr auto category_header = "category";
constexpr auto area_header = "area";

levada::record described(std::string key, std::string value, call_id id, category c,
                         const std::string& area) {
  levada::record r{std::move(key), std::move(value)};
  r.header(call_header, static_cast<std::int64_t>(id));
  r.header(category_header, std::string{name_of(c)});
  r.header(area_header, area);
  return r;
}

template <class T>
T header_in(const levada::record_view& r, const char* name) {
  const auto value = r.header(name);
  const T* const typed = value ? std::get_if<T>(&*value) : nullptr;
  if (!typed) {
    throw example::failure{fmt::format("'{}' partition {} offset {}: no header '{}'", r.topic(),
                                       r.partition().value(), r.offset().value(), name)};
  }
  return *typed;
}

}  // namespace

levada::record to_record(const call& c) {
  return described(c.line().key(), to_csv(c), c.id, c.category, c.area);
}

call call_in(const levada::record_view& r) {
  return parse_call(r.value(), call_id_in(r));
}

levada::record to_record(const acceptance& a) {
  auto value = join_csv_line({minute_text(a.called), second_text(a.accepted), a.by});
  return described(a.line, std::move(value), a.call, a.category, a.area);
}

acceptance acceptance_in(const levada::record_view& r) {
  const auto fields = split_csv_line(r.value());
  const auto category = category_named(header_in<std::string_view>(r, category_header));
  const auto called = parse_local_time(fields[0]);
  const auto accepted = fields.size() == 3 ? parse_local_time(fields[1]) : std::nullopt;
  if (!category || !called || !accepted) {
    throw example::failure{fmt::format("'{}' partition {} offset {}: not an acceptance", r.topic(),
                                       r.partition().value(), r.offset().value())};
  }
  return {call_id_in(r),
          *category,
          std::string{header_in<std::string_view>(r, area_header)},
          std::string{r.key()},
          *called,
          *accepted,
          fields[2]};
}

call_id call_id_in(const levada::record_view& r) {
  return static_cast<call_id>(header_in<std::int64_t>(r, call_header));
}

}  // namespace emergency
