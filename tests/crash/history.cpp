#include <crash/history.hpp>

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace levada::crash {
namespace {

template <class... Overloads>
struct overloaded : Overloads... {
  using Overloads::operator()...;
};
template <class... Overloads>
overloaded(Overloads...) -> overloaded<Overloads...>;

/// Takes a line apart, word by word.
class words {
 public:
  explicit words(std::string_view line) : line_{line}, in_{std::string{line}} {}

  template <class T>
  T next() {
    T value{};
    if (!(in_ >> value)) fail();
    return value;
  }
  void end() {
    std::string rest;
    if (in_ >> rest) fail();
  }
  [[noreturn]] void fail() const {
    throw std::invalid_argument{fmt::format("no line of a history: '{}'", line_)};
  }

 private:
  std::string line_;
  std::istringstream in_;
};

template <class Commit>
Commit read_commit(words& w) {
  Commit c;
  c.group = w.next<std::string>();
  c.log = w.next<std::string>();
  c.partition = w.next<std::uint32_t>();
  c.next = w.next<std::uint64_t>();
  return c;
}

template <class Place>
Place read_trim(words& w) {
  Place t;
  t.log = w.next<std::string>();
  t.partition = w.next<std::uint32_t>();
  t.before = w.next<std::uint64_t>();
  return t;
}

durability read_mode(words& w) {
  const auto mode = w.next<std::string>();
  if (mode != "synced" && mode != "checkpointed") w.fail();
  return mode == "synced" ? durability::synced : durability::checkpointed;
}

opened read_opened(words& w) {
  opened o;
  o.mode = read_mode(w);
  o.epoch = w.next<std::uint32_t>();
  return o;
}

template <class Message>
Message read_message(words& w) {
  Message m;
  m.queue = w.next<std::string>();
  m.record = w.next<serial>();
  return m;
}

received read_received(words& w) {
  auto m = read_message<received>(w);
  m.count = w.next<std::uint32_t>();
  return m;
}

terms read_terms(words& w) {
  terms t;
  t.record = w.next<serial>();
  t.delayed = w.next<bool>();
  t.expires = w.next<bool>();
  return t;
}

event read_event(words& w) {
  const auto kind = w.next<std::string>();
  if (kind == "opening") return opening{read_mode(w)};
  if (kind == "opened") return read_opened(w);
  if (kind == "closing") return closing{};
  if (kind == "closed") return closed{};
  if (kind == "declaring") return declaring{w.next<std::string>()};
  if (kind == "declared") return declared{w.next<std::string>()};
  if (kind == "deleting") return deleting{w.next<std::string>()};
  if (kind == "deleted") return deleted{w.next<std::string>()};
  if (kind == "sending") {
    sending s;
    s.record = w.next<serial>();
    s.batch = w.next<serial>();
    s.log = w.next<std::string>();
    s.queues = w.next<std::string>();
    s.key = w.next<std::string>();
    s.tombstone = w.next<bool>();
    s.hash = w.next<std::uint64_t>();
    return s;
  }
  if (kind == "stored") {
    stored s;
    s.record = w.next<serial>();
    s.log = w.next<std::string>();
    s.partition = w.next<std::uint32_t>();
    s.offset = w.next<std::uint64_t>();
    return s;
  }
  if (kind == "committing") return read_commit<committing>(w);
  if (kind == "committed") return read_commit<committed>(w);
  if (kind == "maintaining") return maintaining{};
  if (kind == "maintained") return maintained{};
  if (kind == "flushing") return flushing{};
  if (kind == "flushed") return flushed{};
  if (kind == "trimming") return read_trim<trimming>(w);
  if (kind == "trimmed") return read_trim<trimmed>(w);
  if (kind == "began") {
    began b;
    b.log = w.next<std::string>();
    b.partition = w.next<std::uint32_t>();
    b.at = w.next<std::uint64_t>();
    return b;
  }
  if (kind == "received") return read_received(w);
  if (kind == "settling") return read_message<settling>(w);
  if (kind == "settled") return read_message<settled>(w);
  if (kind == "clock_at") return clock_at{w.next<std::uint64_t>()};
  if (kind == "terms") return read_terms(w);
  if (kind == "refused") return refused{w.next<serial>()};
  if (kind == "passed_over") return read_message<passed_over>(w);
  if (kind == "cancelling") return cancelling{w.next<serial>()};
  if (kind == "cancelled") return cancelled{w.next<serial>()};
  if (kind == "rejecting") return read_message<rejecting>(w);
  if (kind == "rejected") return read_message<rejected>(w);
  if (kind == "purging") return purging{w.next<std::string>()};
  if (kind == "purged") return purged{w.next<std::string>()};
  w.fail();
}

}  // namespace

const char* to_text(durability mode) noexcept {
  return mode == durability::synced ? "synced" : "checkpointed";
}

std::string to_line(const event& e) {
  const auto commit = [](const char* kind, const auto& c) {
    return fmt::format("{} {} {} {} {}", kind, c.group, c.log, c.partition, c.next);
  };
  const auto message = [](const char* kind, const auto& m) {
    return fmt::format("{} {} {}", kind, m.queue, m.record);
  };
  const auto trim = [](const char* kind, const auto& t) {
    return fmt::format("{} {} {} {}", kind, t.log, t.partition, t.before);
  };
  return std::visit(
      overloaded{
          [](const opening& o) { return fmt::format("opening {}", to_text(o.mode)); },
          [](const opened& o) { return fmt::format("opened {} {}", to_text(o.mode), o.epoch); },
          [](const closing&) { return std::string{"closing"}; },
          [](const closed&) { return std::string{"closed"}; },
          [](const declaring& d) { return "declaring " + d.object; },
          [](const declared& d) { return "declared " + d.object; },
          [](const deleting& d) { return "deleting " + d.object; },
          [](const deleted& d) { return "deleted " + d.object; },
          [](const sending& s) {
            return fmt::format("sending {} {} {} {} {} {} {}", s.record, s.batch, s.log, s.queues, s.key,
                               s.tombstone ? 1 : 0, s.hash);
          },
          [](const stored& s) {
            return fmt::format("stored {} {} {} {}", s.record, s.log, s.partition, s.offset);
          },
          [&](const committing& c) { return commit("committing", c); },
          [&](const committed& c) { return commit("committed", c); },
          [](const maintaining&) { return std::string{"maintaining"}; },
          [](const maintained&) { return std::string{"maintained"}; },
          [](const flushing&) { return std::string{"flushing"}; },
          [](const flushed&) { return std::string{"flushed"}; },
          [&](const trimming& t) { return trim("trimming", t); },
          [&](const trimmed& t) { return trim("trimmed", t); },
          [](const began& b) { return fmt::format("began {} {} {}", b.log, b.partition, b.at); },
          [&](const received& m) { return fmt::format("{} {}", message("received", m), m.count); },
          [&](const settling& m) { return message("settling", m); },
          [&](const settled& m) { return message("settled", m); },
          [](const clock_at& c) { return fmt::format("clock_at {}", c.milliseconds); },
          [](const terms& t) {
            return fmt::format("terms {} {} {}", t.record, t.delayed ? 1 : 0, t.expires ? 1 : 0);
          },
          [](const refused& r) { return fmt::format("refused {}", r.record); },
          [&](const passed_over& m) { return message("passed_over", m); },
          [](const cancelling& c) { return fmt::format("cancelling {}", c.record); },
          [](const cancelled& c) { return fmt::format("cancelled {}", c.record); },
          [&](const rejecting& m) { return message("rejecting", m); },
          [&](const rejected& m) { return message("rejected", m); },
          [](const purging& p) { return "purging " + p.queue; },
          [](const purged& p) { return "purged " + p.queue; },
      },
      e);
}

event from_line(std::string_view line) {
  words w{line};
  event e = read_event(w);
  w.end();
  return e;
}

history read_history(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in) throw std::system_error{errno, std::generic_category(), file.string()};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  history lines;
  for (std::size_t at = 0, end = text.find('\n'); end != std::string::npos;
       at = end + 1, end = text.find('\n', at)) {
    lines.push_back(text.substr(at, end - at));
  }
  return lines;
}

void write_history(const history& lines, const std::filesystem::path& file) {
  std::ofstream out{file, std::ios::binary | std::ios::trunc};
  for (const std::string& line : lines) out << line << '\n';
  if (!out.flush()) throw std::system_error{errno, std::generic_category(), file.string()};
}

acknowledgements& acknowledgements::operator+=(const acknowledgements& other) noexcept {
  records += other.records;
  commits += other.commits;
  settlements += other.settlements;
  trims += other.trims;
  deletions += other.deletions;
  flushes += other.flushes;
  rejections += other.rejections;
  cancellations += other.cancellations;
  purges += other.purges;
  return *this;
}

acknowledgements count_acknowledgements(const history& lines) {
  acknowledgements found;
  // By their first words only, since this is asked of long histories again and again.
  for (const std::string& line : lines) {
    const std::string_view kind = std::string_view{line}.substr(0, line.find(' '));
    found.records += kind == "stored" ? 1 : 0;
    found.commits += kind == "committed" ? 1 : 0;
    found.settlements += kind == "settled" ? 1 : 0;
    found.trims += kind == "trimmed" ? 1 : 0;
    found.deletions += kind == "deleted" ? 1 : 0;
    found.flushes += kind == "flushed" ? 1 : 0;
    found.rejections += kind == "rejected" ? 1 : 0;
    found.cancellations += kind == "cancelled" ? 1 : 0;
    found.purges += kind == "purged" ? 1 : 0;
  }
  return found;
}

std::string to_text(const acknowledgements& a) {
  std::string text = fmt::format(
      "{} acknowledged records, {} committed offsets, {} settled messages, {} removals of records, {} "
      "deletions, "
      "{} syncs",
      a.records, a.commits, a.settlements, a.trims, a.deletions, a.flushes);
  if (a.rejections + a.cancellations + a.purges > 0) {
    text += fmt::format(", {} rejected messages, {} cancelled, {} purges", a.rejections, a.cancellations,
                        a.purges);
  }
  return text;
}

}  // namespace levada::crash
