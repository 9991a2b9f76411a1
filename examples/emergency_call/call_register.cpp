#include "call_register.hpp"

#include <algorithm>

#include "records.hpp"
#include "store.hpp"

namespace emergency {
namespace {

template <class Visitor>
void for_each_record(const levada::bus& bus, const char* topic, Visitor visit) {
  auto replay = bus.replay(topic).value();
  for (auto batch = replay.next().value(); !batch.empty(); batch = replay.next().value()) {
    for (const auto& r : batch) visit(r);
  }
}

}  // namespace

call_register::call_register(const levada::bus& bus) {
  for_each_record(bus, names::alerts, [this](const levada::record_view& r) {
    const auto c = call_in(r);
    stored_.insert(c.id);
    if (!stored_span_) stored_span_ = {c.time, c.time};
    stored_span_ = {std::min(stored_span_->first, c.time), std::max(stored_span_->last, c.time)};
  });
  for_each_record(bus, names::acceptances,
                  [this](const levada::record_view& r) { accepted_.insert(call_id_in(r)); });
}

bool call_register::claim(call_id call) {
  const std::lock_guard lock{mutex_};
  return accepted_.insert(call).second;
}

}  // namespace emergency
