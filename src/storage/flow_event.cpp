#include "storage/flow_event.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>
#include <kj/io.h>

#include <algorithm>
#include <array>

#include "ledger.capnp.h"

namespace levada::storage {
namespace {

/// Room for most events, so that encoding them allocates nothing else.
constexpr std::size_t scratch_words = 128;

capnp::uint size_in(std::string_view text) noexcept {
  return static_cast<capnp::uint>(text.size());
}
/// What is borrowed need not end with a zero, which the setters of Cap'n Proto would want.
void fill(capnp::Text::Builder to, std::string_view from) noexcept {
  std::copy(from.begin(), from.end(), to.begin());
}
std::string_view view_of(capnp::Text::Reader text) noexcept {
  return {text.cStr(), text.size()};
}

}  // namespace

std::string encode(const flow_event& event) {
  std::array<capnp::word, scratch_words> scratch{};
  capnp::MallocMessageBuilder message{kj::arrayPtr(scratch.data(), scratch.size())};
  auto root = message.initRoot<schema::FlowEvent>();
  root.setWhat(event.what);
  fill(root.initExchange(size_in(event.where.exchange)), event.where.exchange);
  root.setPartition(event.where.partition);
  root.setOffset(event.where.offset);
  if (event.what == flow_event::published) {
    fill(root.initRoutingKey(size_in(event.routing_key)), event.routing_key);
    fill(root.initMessageId(size_in(event.message_id)), event.message_id);
    fill(root.initCorrelationId(size_in(event.correlation_id)), event.correlation_id);
    root.setDue(event.due);
  }
  if (event.because) {
    auto cause = root.initCause();
    fill(cause.initExchange(size_in(event.because->where.exchange)), event.because->where.exchange);
    cause.setPartition(event.because->where.partition);
    cause.setOffset(event.because->where.offset);
    fill(cause.initQueue(size_in(event.because->queue)), event.because->queue);
    cause.setDeath(event.because->death);
  }
  if (!event.queues.empty()) {
    auto queues = root.initQueues(static_cast<capnp::uint>(event.queues.size()));
    for (std::size_t i = 0; i < event.queues.size(); ++i) {
      const std::string_view name = event.queues[i];
      fill(queues.init(static_cast<capnp::uint>(i), size_in(name)), name);
    }
  }
  if (event.what >= flow_event::first_step) {
    fill(root.initQueue(size_in(event.queue)), event.queue);
    root.setDelivered(event.delivered);
  }
  std::string encoded(capnp::computeSerializedSizeInWords(message) * sizeof(capnp::word), '\0');
  kj::ArrayOutputStream out{kj::arrayPtr(reinterpret_cast<kj::byte*>(encoded.data()), encoded.size())};
  capnp::writeMessage(out, message);
  return encoded;
}

result<flow_event> decode_flow_event(std::string_view value) {
  try {
    capnp::FlatArrayMessageReader message{
        kj::arrayPtr(reinterpret_cast<const capnp::word*>(value.data()), value.size() / sizeof(capnp::word))};
    const auto root = message.getRoot<schema::FlowEvent>();
    flow_event event;
    event.what = root.getWhat();
    event.where = {view_of(root.getExchange()), root.getPartition(), root.getOffset()};
    event.routing_key = view_of(root.getRoutingKey());
    event.message_id = view_of(root.getMessageId());
    event.correlation_id = view_of(root.getCorrelationId());
    event.due = root.getDue();
    if (root.hasCause()) {
      const auto cause = root.getCause();
      event.because = {{view_of(cause.getExchange()), cause.getPartition(), cause.getOffset()},
                       view_of(cause.getQueue()),
                       cause.getDeath()};
    }
    const auto queues = root.getQueues();
    event.queues.reserve(queues.size());
    for (const capnp::Text::Reader name : queues) event.queues.push_back(view_of(name));
    event.queue = view_of(root.getQueue());
    event.delivered = root.getDelivered();
    return event;
  } catch (const kj::Exception& e) {
    return error{errc::damaged, e.getDescription().cStr()};
  }
}

}  // namespace levada::storage
