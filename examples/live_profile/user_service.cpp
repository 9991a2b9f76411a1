#include "user_service.hpp"

#include <utility>

#include <fmt/core.h>

#include "profile_event.hpp"
#include "profile_table.hpp"

namespace live_profile {
namespace {

constexpr auto credentials_table = "credentials";

/// One more than the largest id. Within a transaction of `bus::transact` nobody else can take it.
levada::result<user_id> next_id(levada::transaction& t, const levada::table& profiles) {
  levada::scan_options last;
  last.entries_max = 1;
  last.reverse = true;
  const auto found = t.scan(profiles, {}, last);
  if (!found) return found.error();
  return found->empty() ? user_id{1} : found->front().key.unsigned_number(0).value_or(0) + 1;
}

}  // namespace

user_service::user_service(levada::bus& bus)
    : bus_{bus},
      profiles_{bus.declare_table(profiles_table).value()},
      credentials_{bus.declare_table(credentials_table).value()} {
  bus.declare_exchange(notification_exchange).value();
}

levada::result<public_profile> user_service::sign_up(const details& d, const credentials& c) {
  if (const auto fine = check(d); !fine) return fine.error();
  if (const auto fine = check(c); !fine) return fine.error();
  public_profile entered;
  const auto done = bus_.transact([&](levada::transaction& t) -> levada::result<void> {
    const auto id = next_id(t, profiles_);
    if (!id) return id.error();
    entered = {*id, 1, d.name, d.status};
    if (const auto put = t.put(credentials_, *id, reveal_entry(c)); !put) return put;
    return write(t, entered);
  });
  if (!done) return done.error();
  return entered;
}

levada::result<std::optional<public_profile>> user_service::change(user_id id, const details& d) {
  if (const auto fine = check(d); !fine) return fine.error();
  std::optional<public_profile> changed;
  const auto done = bus_.transact([&](levada::transaction& t) -> levada::result<void> {
    const auto entry = t.get(profiles_, id);
    if (!entry) return entry.error();
    if (!*entry) return {};
    const auto before = profile_of_entry(id, **entry);
    if (!before) return before.error();
    changed = public_profile{id, before->version + 1, d.name, d.status};
    return write(t, *changed);
  });
  if (!done) return done.error();
  return changed;
}

levada::result<bool> user_service::change_credentials(user_id id, const credentials& c) {
  if (const auto fine = check(c); !fine) return fine.error();
  bool known = false;
  const auto done = bus_.transact([&](levada::transaction& t) -> levada::result<void> {
    const auto before = t.get(credentials_, id);
    if (!before) return before.error();
    known = before->has_value();
    return known ? t.put(credentials_, id, reveal_entry(c)) : levada::result<void>{};
  });
  if (!done) return done.error();
  return known;
}

levada::result<std::optional<credentials>> user_service::credentials_of(user_id id) const {
  const auto entry = credentials_.get(id);
  if (!entry) return entry.error();
  if (!*entry) return std::nullopt;
  if (auto c = parse_credentials(**entry)) return *std::move(c);
  // Without what stands there: messages get into logs.
  return levada::error{levada::errc::damaged,
                       fmt::format("table '{}', key {}: not credentials", credentials_table, id)};
}

levada::result<void> user_service::write(levada::transaction& t, const public_profile& p) const {
  if (const auto put = t.put(profiles_, p.id, to_text(p)); !put) return put;
  return t.publish(notification_exchange, routing_key_of(p.id), to_event(p));
}

}  // namespace live_profile
