#include <rabbitmq/broker.hpp>

#include <algorithm>
#include <variant>

#include <fmt/format.h>

namespace levada::rabbit {

const char* to_text(outcome result) noexcept {
  switch (result) {
    case outcome::ok:
      return "ok";
    case outcome::empty:
      return "empty";
    case outcome::nothing_to_settle:
      return "nothing to settle";
    case outcome::not_found:
      return "not found";
    case outcome::refused:
      return "refused";
    case outcome::locked:
      return "locked";
    case outcome::precondition_failed:
      return "precondition failed";
  }
  return "?";
}

const char* to_text(verdict confirm) noexcept {
  switch (confirm) {
    case verdict::none:
      return "none";
    case verdict::confirmed:
      return "confirmed";
    case verdict::nacked:
      return "nacked";
  }
  return "?";
}

std::string to_text(const answer& a) {
  std::string text = to_text(a.result);
  if (a.confirm != verdict::none) text += fmt::format(", {}", to_text(a.confirm));
  if (a.returned) {
    text += fmt::format(", returned {} '{}' via '{}' key '{}'", a.returned->code, a.returned->body,
                        a.returned->exchange, a.returned->key);
  }
  if (a.delivered) {
    text += fmt::format(", from {}: {}{}, {} remain", a.delivered->queue, to_text(a.delivered->message),
                        a.delivered->redelivered ? ", redelivered" : "", a.delivered->remaining);
  }
  if (a.ready) text += fmt::format(", {} ready", *a.ready);
  return text;
}

answer broker::perform(const operation& op) {
  answer a = std::visit([this](const auto& one) { return apply(one); }, op);
  if (a.delivered && a.delivered->message.deaths.size() > 2) {
    auto& deaths = a.delivered->message.deaths;
    std::sort(deaths.begin() + 1, deaths.end(),
              [](const death& l, const death& r) { return to_text(l) < to_text(r); });
  }
  return a;
}

transcript run(broker& b, const history& h) {
  transcript all;
  all.reserve(h.size());
  for (const operation& op : h) all.push_back({op, b.perform(op)});
  for (const std::string& queue : queue_names()) {
    const operation take = get{queue, true};
    do {
      all.push_back({take, b.perform(take)});
    } while (all.back().result.result == outcome::ok);
  }
  return all;
}

std::optional<std::string> first_difference(const transcript& left, const transcript& right,
                                            std::size_t context) {
  const std::size_t shared = std::min(left.size(), right.size());
  for (std::size_t i = 0; i < shared; ++i) {
    const step& l = left[i];
    const step& r = right[i];
    const std::string left_op = to_text(l.what);
    const std::string right_op = to_text(r.what);
    if (l.result == r.result && left_op == right_op) continue;
    std::string text;
    for (std::size_t j = i - std::min(i, context); j < i; ++j) {
      text += fmt::format("{:6} {}\n         {}\n", j, to_text(left[j].what), to_text(left[j].result));
    }
    text += fmt::format("{:6} {}\n  left:  {}\n", i, left_op, to_text(l.result));
    if (left_op != right_op) text += fmt::format("       {}\n", right_op);
    return text + fmt::format("  right: {}\n", to_text(r.result));
  }
  if (left.size() != right.size()) return fmt::format("{} steps and {}\n", left.size(), right.size());
  return std::nullopt;
}

}  // namespace levada::rabbit
