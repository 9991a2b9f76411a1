#include <rabbitmq/differential.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <rabbitmq/levada_broker.hpp>
#include <rabbitmq/rabbit_broker.hpp>

namespace levada::rabbit {

namespace {

class both {
 public:
  explicit both(rabbit_server& server) : rabbit_{server} {}

  /// What both answered, or nothing where they differ.
  std::optional<outcome> perform(const operation& wanted) {
    const operation op = of_.rules.adapted(wanted);
    answer left = rabbit_.perform(op);
    answer right = levada_.perform(op);
    of_.rules.reconcile(op, left, right);
    ++of_.operations;
    count(left);
    const bool same = left == right;
    const outcome result = left.result;
    lefts_.push_back({op, std::move(left)});
    rights_.push_back({op, std::move(right)});
    return same ? std::optional{result} : std::nullopt;
  }
  comparison finish(std::size_t context) {
    of_.difference = first_difference(lefts_, rights_, context);
    if (of_.difference) {
      const answer& l = lefts_.back().result;
      const answer& r = rights_.back().result;
      of_.kind = fmt::format("{} {}/{} {}/{}", lefts_.back().what.index(), to_text(l.result),
                             to_text(r.result), to_text(l.confirm), to_text(r.confirm));
    }
    return std::move(of_);
  }

 private:
  void count(const answer& a) {
    if (a.delivered) {
      ++of_.delivered;
      of_.redelivered += a.delivered->redelivered ? 1 : 0;
      of_.dead_letters += a.delivered->message.deaths.empty() ? 0 : 1;
    }
    of_.nacked += a.confirm == verdict::nacked ? 1 : 0;
    of_.returned += a.returned ? 1 : 0;
  }

  rabbit_broker rabbit_;
  levada_broker levada_;
  comparison of_;
  transcript lefts_;
  transcript rights_;
};

}  // namespace

comparison compare(rabbit_server& server, const history& h, std::size_t context) {
  both sides{server};
  for (const operation& op : h) {
    if (!sides.perform(op)) return sides.finish(context);
  }
  for (const std::string& queue : queue_names()) {
    for (;;) {
      const auto result = sides.perform(get{queue, true});
      if (!result) return sides.finish(context);
      if (*result != outcome::ok) break;
    }
  }
  return sides.finish(context);
}

history shrunk(rabbit_server& server, history h) {
  const comparison whole = compare(server, h);
  // What comes after the difference goes first.
  if (whole.operations < h.size()) h.resize(whole.operations);
  const auto differs = [&](const history& some) { return compare(server, some).kind == whole.kind; };
  for (std::size_t piece = std::max<std::size_t>(h.size() / 2, 1);;
       piece = std::max<std::size_t>(piece / 2, 1)) {
    bool removed = false;
    // From the end, where least depends on it.
    for (std::size_t end = h.size(); end > 0;) {
      const std::size_t begin = end - std::min(end, piece);
      history without{h.begin(), h.begin() + static_cast<std::ptrdiff_t>(begin)};
      without.insert(without.end(), h.begin() + static_cast<std::ptrdiff_t>(end), h.end());
      if (differs(without)) {
        h = std::move(without);
        removed = true;
      }
      end = begin;
    }
    if (piece == 1 && !removed) return h;
  }
}

}  // namespace levada::rabbit
