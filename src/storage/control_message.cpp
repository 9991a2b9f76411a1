#include "storage/control_message.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/format.h>
#include <kj/exception.h>

#include <chrono>
#include <cstring>
#include <utility>

#include "control.capnp.h"

namespace levada::storage {
namespace {

constexpr std::array<char, 8> control_magic{'l', 'e', 'v', 'c', 't', 'r', 'l', '\n'};

constexpr std::size_t message_bytes_max = 4096;

/// What a request takes at most but for its names and partitions.
constexpr std::size_t overhead_max = 256;

capnp::Text::Reader control_text(const std::string& s) {
  return {s.c_str(), s.size()};
}
std::string copy_control_text(capnp::Text::Reader t) {
  return {t.cStr(), t.size()};
}

std::vector<std::byte> with_header(capnp::MallocMessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto body = std::as_bytes(std::span{words.begin(), words.size()});
  const control_header header{control_magic, control_version, static_cast<std::uint32_t>(body.size())};
  std::vector<std::byte> all(sizeof header + body.size());
  std::memcpy(all.data(), &header, sizeof header);
  std::memcpy(all.data() + sizeof header, body.data(), body.size());
  return all;
}

void fill(schema::ControlRequest::Reset::Builder to, const reset_request& from) {
  to.setGroup(control_text(from.group));
  to.setTopic(control_text(from.topic));
  to.setDryRun(from.options.dry_run);
  auto partitions = to.initPartitions(static_cast<capnp::uint>(from.options.partitions.size()));
  for (capnp::uint i = 0; i < partitions.size(); ++i) partitions.set(i, from.options.partitions[i].value());
  auto target = to.getTo();
  if (std::holds_alternative<from_earliest>(from.options.to)) {
    target.setEarliest();
  } else if (std::holds_alternative<from_latest>(from.options.to)) {
    target.setLatest();
  } else if (const auto* const at = std::get_if<offset>(&from.options.to)) {
    target.setOffset(at->value());
  } else if (const auto* const time = std::get_if<timestamp>(&from.options.to)) {
    target.setTime(time->time_since_epoch().count());
  } else {
    target.setBack(std::get<std::chrono::milliseconds>(from.options.to).count());
  }
}

/// What is not known is no reset to anywhere.
bool read_target(schema::ControlRequest::Reset::To::Reader from, offset_reset_options& to) {
  using which = schema::ControlRequest::Reset::To;
  switch (from.which()) {
    case which::EARLIEST:
      to.to = from_earliest{};
      return true;
    case which::LATEST:
      to.to = from_latest{};
      return true;
    case which::OFFSET:
      to.to = offset{from.getOffset()};
      return true;
    case which::TIME:
      to.to = timestamp{std::chrono::microseconds{from.getTime()}};
      return true;
    case which::BACK:
      to.to = std::chrono::milliseconds{from.getBack()};
      return true;
    case which::NONE:
      break;
  }
  return false;
}

/// Reads a message with `read(root)`, whatever its bytes are.
template <class Schema, class Read>
auto read_message(std::span<const std::uint64_t> message, Read read)
    -> decltype(read(std::declval<typename Schema::Reader>())) {
  try {
    // What points at one place again and again is not followed without end.
    capnp::ReaderOptions limits;
    limits.traversalLimitInWords = 2 * control_bytes_max / sizeof(capnp::word);
    limits.nestingLimit = 8;
    capnp::FlatArrayMessageReader reader{
        kj::arrayPtr(reinterpret_cast<const capnp::word*>(message.data()), message.size()), limits};
    return read(reader.getRoot<Schema>());
  } catch (const kj::Exception& e) {
    return error{errc::invalid_argument, fmt::format("control: a message that does not hold together: {}",
                                                     e.getDescription().cStr())};
  }
}

}  // namespace

result<void> control_header::check() const {
  if (magic != control_magic)
    return error{errc::invalid_argument, "control: what was sent does not come from levada"};
  if (version != control_version) {
    return error{errc::unsupported_format,
                 fmt::format("control: version {} of the protocol, known is {}", version, control_version)};
  }
  if (size > control_bytes_max || size == 0 || size % sizeof(capnp::word) != 0) {
    return error{errc::invalid_argument,
                 fmt::format("control: a message of {} bytes, the limit is {}", size, control_bytes_max)};
  }
  return {};
}

result<std::vector<std::byte>> encode(const control_request& request) {
  const auto* const reset = std::get_if<reset_request>(&request);
  const std::size_t size =
      reset != nullptr ? reset->group.size() + reset->topic.size() + 4 * reset->options.partitions.size()
                       : std::get<deletion_request>(request).group.size();
  if (size > control_bytes_max - overhead_max) {
    return error{errc::invalid_argument,
                 fmt::format("names and partitions of {} bytes, the limit is {}", size, control_bytes_max)};
  }
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::ControlRequest>();
  if (reset != nullptr) {
    fill(root.initReset(), *reset);
  } else {
    const auto& deletion = std::get<deletion_request>(request);
    auto to = root.initDeleteGroup();
    to.setGroup(control_text(deletion.group));
    to.setDryRun(deletion.options.dry_run);
  }
  return with_header(message);
}

std::vector<std::byte> encode(const control_answer& answer) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<schema::ControlAnswer>();
  if (!answer) {
    root.setFailure(static_cast<std::int32_t>(answer.error().code()));
    const std::string text = answer.error().message().substr(0, message_bytes_max);
    root.setMessage(control_text(text));
    return with_header(message);
  }
  auto changes = root.initChanges(static_cast<capnp::uint>(answer->size()));
  for (capnp::uint i = 0; i < changes.size(); ++i) {
    const offset_change& from = (*answer)[i];
    auto to = changes[i];
    to.setPartition(from.where.partition.value());
    to.setCommitted(from.from.has_value());
    if (from.from) to.setFrom(from.from->value());
    to.setTo(from.to.value());
  }
  return with_header(message);
}

result<control_request> decode_control_request(std::span<const std::uint64_t> message) {
  return read_message<schema::ControlRequest>(
      message, [](schema::ControlRequest::Reader root) -> result<control_request> {
        const error unknown{errc::invalid_argument, "control: a request that is not known here"};
        switch (root.which()) {
          case schema::ControlRequest::RESET: {
            const auto from = root.getReset();
            reset_request request{copy_control_text(from.getGroup()), copy_control_text(from.getTopic()), {}};
            if (!read_target(from.getTo(), request.options)) return unknown;
            for (const std::uint32_t p : from.getPartitions()) request.options.partitions.emplace_back(p);
            request.options.dry_run = from.getDryRun();
            return control_request{std::move(request)};
          }
          case schema::ControlRequest::DELETE_GROUP: {
            const auto from = root.getDeleteGroup();
            return control_request{
                deletion_request{copy_control_text(from.getGroup()), {.dry_run = from.getDryRun()}}};
          }
          case schema::ControlRequest::NONE:
            break;
        }
        return unknown;
      });
}

control_answer decode_control_answer(std::span<const std::uint64_t> message) {
  return read_message<schema::ControlAnswer>(
      message, [](schema::ControlAnswer::Reader root) -> control_answer {
        if (root.getFailure() != 0)
          return error{static_cast<errc>(root.getFailure()), copy_control_text(root.getMessage())};
        std::vector<offset_change> changes;
        for (const auto from : root.getChanges()) {
          offset_change change{{{}, partition_id{from.getPartition()}}, std::nullopt, offset{from.getTo()}};
          if (from.getCommitted()) change.from = offset{from.getFrom()};
          changes.push_back(std::move(change));
        }
        return changes;
      });
}

}  // namespace levada::storage
