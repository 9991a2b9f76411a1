#include "event.hpp"

#include <vector>

#include <fmt/core.h>

#include <common/failure.hpp>
#include <common/text.hpp>

namespace emergency {
namespace {

constexpr std::string_view called = "called ";

/// Turns each event into words, the first of which names it.
struct writer {
  std::string operator()(const call_made& e) const {
    return fmt::format("{}{} {}", called, e.call.id, to_csv(e.call));
  }
  std::string operator()(const host_started&) const { return "started"; }
  std::string operator()(const host_killed&) const { return "killed"; }
  std::string operator()(const call_acknowledged& e) const {
    return fmt::format("acknowledged {} {}", e.call, e.stored_before ? "again" : "new");
  }
  std::string operator()(const subscriber_joined& e) const {
    return fmt::format("joined {} {}", e.subscriber, e.lines.binding_key());
  }
  std::string operator()(const subscriber_left& e) const { return fmt::format("left {}", e.subscriber); }
  std::string operator()(const alert_handed& e) const {
    return fmt::format("handed {} {} {} {}", e.call, e.partition.value(), e.offset.value(), e.queues);
  }
  std::string operator()(const alert_delivered& e) const {
    return fmt::format("delivered {} {}", e.subscriber, e.call);
  }
  std::string operator()(const call_accepted& e) const { return fmt::format("accepted {}", e.call); }
  std::string operator()(const offset_committed& e) const {
    return fmt::format("committed {} {}", e.partition.value(), e.offset.value());
  }
  std::string operator()(const line_printed& e) const { return fmt::format("| {}", e.text); }
  std::string operator()(const report_finished&) const { return "reported"; }
};

/// The words of a line, taken one after the other.
class words {
 public:
  explicit words(std::string_view text) : text_{text}, words_{example::split(text, ' ')} {}

  std::string_view next() {
    if (at_ == words_.size()) refuse();
    return words_[at_++];
  }
  template <class Number = std::uint64_t>
  Number number() {
    const auto n = example::parse_number<Number>(next());
    if (!n) refuse();
    return *n;
  }
  template <class Event>
  Event last(Event e) {
    if (at_ != words_.size()) refuse();
    return e;
  }
  [[noreturn]] void refuse() const { throw example::failure{fmt::format("'{}' is not an event", text_)}; }

 private:
  std::string_view text_;
  std::vector<std::string_view> words_;
  std::size_t at_ = 0;
};

call_made parse_call_made(std::string_view text) {
  const auto rest = text.substr(called.size());
  const auto space = rest.find(' ');
  const auto id = example::parse_number<call_id>(rest.substr(0, space));
  if (!id || space == std::string_view::npos)
    throw example::failure{fmt::format("'{}' is not an event", text)};
  return {parse_call(rest.substr(space + 1), *id)};
}

}  // namespace

std::string to_text(const event& e) {
  return std::visit(writer{}, e);
}

event parse_event(std::string_view text) {
  if (text.starts_with("| ")) return line_printed{std::string{text.substr(2)}};
  if (text.starts_with(called)) return parse_call_made(text);
  words w{text};
  const auto what = w.next();
  // Braces evaluate from left to right.
  if (what == "started") return w.last(host_started{});
  if (what == "killed") return w.last(host_killed{});
  if (what == "acknowledged") return w.last(call_acknowledged{w.number(), w.next() == "again"});
  if (what == "joined") return w.last(subscriber_joined{w.number(), scope::parse(w.next())});
  if (what == "left") return w.last(subscriber_left{w.number()});
  if (what == "handed") {
    return w.last(alert_handed{w.number(), levada::partition_id{w.number<std::uint32_t>()},
                               levada::offset{w.number()}, w.number()});
  }
  if (what == "delivered") return w.last(alert_delivered{w.number(), w.number()});
  if (what == "accepted") return w.last(call_accepted{w.number()});
  if (what == "committed") {
    return w.last(
        offset_committed{levada::partition_id{w.number<std::uint32_t>()}, levada::offset{w.number()}});
  }
  if (what == "reported") return w.last(report_finished{});
  w.refuse();
}

}  // namespace emergency
