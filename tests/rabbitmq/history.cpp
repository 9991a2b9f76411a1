#include <rabbitmq/history.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace levada::rabbit {

namespace {

std::string flag(bool set, const char* text) {
  return set ? std::string{text} : std::string{};
}

std::string quoted(const std::optional<std::string>& value, const char* name) {
  return value ? fmt::format(" {}='{}'", name, *value) : std::string{};
}

struct operation_printer {
  std::string operator()(const declare_exchange& op) const {
    if (op.passive) return fmt::format("declare exchange {} passively", op.name);
    return fmt::format("declare exchange {} {}", op.name, to_text(op.kind)) +
           quoted(op.alternate, "alternate") + flag(op.auto_delete, " auto-delete") +
           flag(op.internal, " internal");
  }
  std::string operator()(const delete_exchange& op) const {
    return fmt::format("delete exchange {}", op.name) + flag(op.if_unused, " if unused");
  }
  std::string operator()(const declare_queue& op) const {
    if (op.passive) return fmt::format("declare queue {} passively", op.name);
    const queue_arguments& a = op.arguments;
    std::string text = fmt::format("declare queue {}", op.name);
    if (a.length_max) text += fmt::format(" max-length={}", *a.length_max);
    if (a.bytes_max) text += fmt::format(" max-length-bytes={}", *a.bytes_max);
    if (a.when_full) text += fmt::format(" overflow={}", to_text(*a.when_full));
    if (a.priority_max) text += fmt::format(" max-priority={}", *a.priority_max);
    return text + flag(a.expire_at_once, " message-ttl=0") + quoted(a.dead_letter_exchange, "dlx") +
           quoted(a.dead_letter_key, "dlx-key");
  }
  std::string operator()(const delete_queue& op) const {
    return fmt::format("delete queue {}", op.name) + flag(op.if_unused, " if unused") +
           flag(op.if_empty, " if empty");
  }
  std::string operator()(const bind& op) const { return "bind " + binding(op); }
  std::string operator()(const unbind& op) const { return "unbind " + binding(op); }
  std::string operator()(const publish& op) const {
    std::string text = fmt::format("publish '{}' to '{}' key '{}'", op.body, op.exchange, op.key);
    if (!op.headers.empty()) text += " headers " + to_text(op.headers);
    if (op.priority) text += fmt::format(" priority {}", *op.priority);
    return text + flag(op.expire_at_once, " expiration 0") + flag(op.mandatory, " mandatory");
  }
  std::string operator()(const get& op) const {
    return fmt::format("get from {}", op.queue) + flag(op.auto_ack, " auto-ack");
  }
  std::string operator()(const settle& op) const {
    constexpr std::array names{"ack", "nack", "reject"};
    return fmt::format("{} delivery {} of {}", names.at(static_cast<std::size_t>(op.how)), op.position,
                       op.queue) +
           flag(op.multiple, " and all before") + flag(op.requeue, " requeue");
  }
  std::string operator()(const purge& op) const { return fmt::format("purge {}", op.queue); }

 private:
  template <class Binding>
  static std::string binding(const Binding& op) {
    std::string text = fmt::format("'{}' -> {} {} key '{}'", op.source, op.to_exchange ? "exchange" : "queue",
                                   op.target, op.key);
    if (!op.arguments.empty()) text += " arguments " + to_text(op.arguments);
    return text;
  }
};

/// SplitMix64. The distributions of the standard library differ between platforms.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_{seed} {}

  /// From 0 to n - 1.
  std::uint32_t below(std::uint32_t n) {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    z ^= z >> 31U;
    return static_cast<std::uint32_t>(((z >> 32U) * n) >> 32U);
  }
  bool percent(std::uint32_t chance) { return below(100) < chance; }
  template <class Range>
  const auto& one_of(const Range& range) {
    return range[below(static_cast<std::uint32_t>(std::size(range)))];
  }

 private:
  std::uint64_t state_;
};

const std::vector<std::string> exchange_names{"e0", "e1", "e2", "e3", "e4"};
// The first few are used more often than the others, so that messages find bindings.
const std::vector<std::string> keys{"a", "b", "a.b", "", "b.a", "a.b.c", ".", "a.", ".b", "a..b"};
constexpr std::uint32_t usual_keys = 3;
/// In the theme `mixed`, only so many queues are bound, and each of the others takes the dead letters of one
/// of them: a copy never meets the dead letter of another.
constexpr std::uint32_t front_queues = 3;
const std::vector<std::string> patterns{"#",   "*",   "a.*", "a.#", "#.b", "a.#.b", "*.*",
                                        "#.*", "a#b", "*.b", "",    "a",   "a.b",   "b"};
const std::vector<std::string> header_names{"h", "k", "x-h"};
const std::vector<field_value> header_values{field_value{true}, field_value{std::int64_t{1}},
                                             field_value{1.0}, field_value{std::string{"1"}},
                                             field_value{std::string{"a"}}};

/// Writes one history.
class author {
 public:
  author(std::uint64_t seed, theme what) : dice_{seed}, theme_{what} {
    choose_dead_letter_paths();
    for (const std::string& name : exchange_names) exchange_profiles_.push_back(properties_of(name));
    for (const std::string& queue : queue_names()) profiles_.emplace_back(queue, arguments_of(queue));
  }

  history write(std::size_t operations) {
    begin();
    while (written_.size() < operations) written_.push_back(any());
    written_.resize(operations);
    return std::move(written_);
  }

 private:
  [[nodiscard]] bool narrow() const { return theme_ == theme::dead_letters; }
  [[nodiscard]] bool has_dead_letters() const { return theme_ != theme::routing; }

  /// What a queue of the theme `dead_letters` may be and do.
  enum class role : std::uint8_t {
    /// Everything.
    any,
    /// Its messages wait elsewhere after each rejection. They die of nothing else.
    working,
    /// Where they wait: they expire at once, and return.
    waiting,
    /// In a circle without rejections, which are what makes a circle go on.
    circling,
  };

  /// Where there are dead letters, queue i sends them to queue `next_[i]` only, and no two queues to the
  /// same one. Then each queue receives from one sender at a time, which makes the order of arrivals defined.
  ///
  /// Circles are chosen with care, because RabbitMQ 3.10 confuses the order of three and more deaths: where
  /// some of them are rejections, two full queues may dead-letter to each other for ever.
  void choose_dead_letter_paths() {
    const auto n = static_cast<std::uint32_t>(queue_names().size());
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < n; ++i) order.push_back(i);
    for (std::uint32_t i = n - 1; i > 0; --i) std::swap(order[i], order[dice_.below(i + 1)]);
    next_.assign(n, std::nullopt);
    roles_.assign(n, role::any);
    if (!narrow()) {
      for (std::uint32_t i = 0; i < front_queues; ++i) next_[i] = i + front_queues;
      return;
    }
    // A chain of three, a pair of one kind or another, and one that may dead-letter to itself.
    next_[order[0]] = order[1];
    next_[order[1]] = order[2];
    next_[order[3]] = order[4];
    next_[order[5]] = order[5];
    const std::uint32_t kind = dice_.below(3);
    if (kind == 0) return;
    next_[order[4]] = order[3];
    roles_[order[3]] = kind == 1 ? role::working : role::circling;
    roles_[order[4]] = kind == 1 ? role::waiting : role::circling;
  }
  [[nodiscard]] static std::size_t number_of(const std::string& queue) {
    const auto here = std::find(queue_names().begin(), queue_names().end(), queue);
    return static_cast<std::size_t>(here - queue_names().begin());
  }
  [[nodiscard]] role role_of(const std::string& queue) const {
    return narrow() ? roles_[number_of(queue)] : role::any;
  }
  /// The exchange that leads to queue i and nowhere else.
  [[nodiscard]] static std::string dead_letter_exchange_to(std::uint32_t i) { return fmt::format("d{}", i); }

  queue_arguments arguments_of(const std::string& queue) {
    queue_arguments a;
    if (dice_.percent(25)) a.priority_max = static_cast<std::uint8_t>(1 + dice_.below(5));
    const role r = role_of(queue);
    if (r == role::waiting) a.expire_at_once = true;
    if (r == role::any || r == role::circling) limit(a);
    route_dead_letters(queue, a);
    return a;
  }

  void limit(queue_arguments& a) {
    if (dice_.percent(40)) a.length_max = dice_.percent(8) ? 0 : 1 + dice_.below(5);
    if (dice_.percent(20)) a.bytes_max = 10 + dice_.below(60);
    if ((a.length_max || a.bytes_max) && dice_.percent(70)) {
      // Without a dead-letter exchange reject-publish-dlx is reject-publish.
      a.when_full = dice_.one_of(
          std::array{overflow::drop_head, overflow::reject_publish, overflow::reject_publish_dlx});
    }
    a.expire_at_once = dice_.percent(8);
  }

  void route_dead_letters(const std::string& queue, queue_arguments& a) {
    if (!has_dead_letters()) return;
    const std::optional<std::uint32_t> target = next_[number_of(queue)];
    if (!target || !dice_.percent(85)) return;
    if (dice_.percent(50)) {
      a.dead_letter_exchange = std::string{};
      a.dead_letter_key = queue_names()[*target];
    } else {
      a.dead_letter_exchange = dead_letter_exchange_to(*target);
      if (dice_.percent(30)) a.dead_letter_key = key();
    }
  }

  void begin() {
    for (const declare_exchange& usual : exchange_profiles_) written_.emplace_back(usual);
    for (const auto& [name, arguments] : profiles_) {
      written_.emplace_back(declare_queue{name, arguments, false});
    }
    if (has_dead_letters()) {
      for (std::uint32_t i = 0; i < queue_names().size(); ++i) {
        written_.emplace_back(declare_dead_letter_exchange(i));
        written_.emplace_back(bind_dead_letter_exchange(i));
      }
    }
    for (int i = 0; i < 20; ++i) written_.emplace_back(binding());
  }

  operation any() {
    const std::uint32_t roll = dice_.below(1000);
    if (roll < 360) return publishing();
    if (roll < 570) return get{queue(), dice_.percent(30)};
    if (roll < 740) return settling();
    if (roll < 830) return binding();
    if (roll < 850) return unbinding();
    if (roll < 910) return declaring_queue();
    if (roll < 970) return declaring_exchange();
    if (roll < 981) return deleting_queue();
    if (roll < 992) return deleting_exchange();
    return purge{queue()};
  }

  std::string exchange() { return dice_.one_of(exchange_names); }
  std::string queue() { return dice_.one_of(queue_names()); }
  std::string bound_queue() {
    return theme_ == theme::mixed ? queue_names()[dice_.below(front_queues)] : queue();
  }
  std::string key() { return dice_.percent(65) ? keys[dice_.below(usual_keys)] : dice_.one_of(keys); }

  declare_exchange properties_of(const std::string& name) {
    declare_exchange op;
    op.name = name;
    if (narrow()) {
      // The same key never leads to two queues: see `new_binding`.
      op.kind = exchange_kind::direct;
      if (dice_.percent(30)) op.alternate = exchange();
      return op;
    }
    op.kind = usual_kind(name);
    if (dice_.percent(10)) op.kind = static_cast<exchange_kind>(dice_.below(4));
    if (dice_.percent(20)) op.alternate = exchange();
    op.auto_delete = dice_.percent(10);
    op.internal = dice_.percent(5);
    return op;
  }
  [[nodiscard]] static exchange_kind usual_kind(const std::string& name) {
    return static_cast<exchange_kind>((name.back() - '0') % 4);
  }

  static declare_exchange declare_dead_letter_exchange(std::uint32_t target) {
    declare_exchange op;
    op.name = dead_letter_exchange_to(target);
    op.kind = target % 2 == 0 ? exchange_kind::fanout : exchange_kind::topic;
    return op;
  }
  static bind bind_dead_letter_exchange(std::uint32_t target) {
    return bind{dead_letter_exchange_to(target), queue_names()[target], false, "#", {}};
  }
  std::uint32_t any_target() { return dice_.below(static_cast<std::uint32_t>(queue_names().size())); }

  operation declaring_exchange() {
    if (has_dead_letters() && dice_.percent(40)) return declare_dead_letter_exchange(any_target());
    // Mostly what the name had before, so that most declarations agree.
    declare_exchange op = dice_.one_of(exchange_profiles_);
    if (dice_.percent(12)) op = properties_of(op.name);
    op.passive = dice_.percent(15);
    return op;
  }

  operation declaring_queue() {
    const auto& [name, arguments] = dice_.one_of(profiles_);
    declare_queue op{name, arguments, dice_.percent(15)};
    if (dice_.percent(12)) op.arguments = arguments_of(name);
    return op;
  }

  operation deleting_queue() { return delete_queue{queue(), dice_.percent(25), dice_.percent(40)}; }

  operation deleting_exchange() {
    const std::string name =
        has_dead_letters() && dice_.percent(40) ? dead_letter_exchange_to(any_target()) : exchange();
    return delete_exchange{name, dice_.percent(50)};
  }

  /// Remembered, so that it can be unbound.
  bind binding() {
    bound_.push_back(new_binding());
    return bound_.back();
  }

  operation unbinding() {
    bind b = dice_.percent(80) ? dice_.one_of(bound_) : new_binding();
    return unbind{std::move(b.source), std::move(b.target), b.to_exchange, std::move(b.key),
                  std::move(b.arguments)};
  }

  bind new_binding() {
    bind op;
    if (has_dead_letters() && dice_.percent(30)) return bind_dead_letter_exchange(any_target());
    if (narrow()) {
      // Each exchange and key have one queue, chosen by both.
      const std::uint32_t from = dice_.below(static_cast<std::uint32_t>(exchange_names.size()));
      const std::uint32_t with =
          dice_.below(dice_.percent(65) ? usual_keys : static_cast<std::uint32_t>(keys.size()));
      op.source = exchange_names[from];
      op.key = keys[with];
      op.target = queue_names()[(from * 5 + with * 3) % queue_names().size()];
      return op;
    }
    op.source = dice_.percent(1) ? std::string{} : exchange();
    op.to_exchange = dice_.percent(25);
    op.target = op.to_exchange ? exchange() : bound_queue();
    const exchange_kind kind = op.source.empty() ? exchange_kind::direct : usual_kind(op.source);
    op.key = dice_.percent(kind == exchange_kind::topic ? 85 : 10) ? dice_.one_of(patterns) : key();
    if (dice_.percent(kind == exchange_kind::headers ? 85 : 5)) op.arguments = matching();
    return op;
  }

  /// Arguments of a binding to a headers exchange. Other kinds ignore them.
  field_table matching() {
    field_table table;
    if (dice_.percent(80)) {
      constexpr std::array ways{"all", "any", "all-with-x", "any-with-x"};
      table.emplace_back("x-match", std::string{dice_.percent(2) ? "some" : dice_.one_of(ways)});
    }
    for (const std::string& name : header_names) {
      if (!dice_.percent(40)) continue;
      table.emplace_back(name, dice_.percent(15) ? field_value{} : dice_.one_of(header_values));
    }
    return table;
  }

  operation publishing() {
    publish op;
    if (dice_.percent(25)) {
      op.key = queue();
    } else if (has_dead_letters() && dice_.percent(narrow() ? 20 : 5)) {
      op.exchange = dead_letter_exchange_to(any_target());
      op.key = key();
    } else {
      op.exchange = exchange();
      op.key = key();
    }
    for (const std::string& name : header_names) {
      if (dice_.percent(narrow() ? 5 : 35)) op.headers.emplace_back(name, dice_.one_of(header_values));
    }
    if (dice_.percent(30)) op.priority = static_cast<std::uint8_t>(dice_.below(8));
    op.expire_at_once = dice_.percent(12);
    op.mandatory = dice_.percent(40);
    op.body = fmt::format("m{}", written_.size()) + std::string(dice_.below(20), '.');
    return op;
  }

  operation settling() {
    settle op;
    op.queue = queue();
    op.position = dice_.percent(50) ? 0 : dice_.below(16);
    op.how =
        dice_.one_of(std::array{settlement::ack, settlement::nack, settlement::nack, settlement::reject});
    op.multiple = op.how != settlement::reject && dice_.percent(30);
    op.requeue = op.how != settlement::ack && dice_.percent(narrow() ? 25 : 50);
    if (op.how != settlement::ack && role_of(op.queue) == role::circling) op.requeue = true;
    return op;
  }

  dice dice_;
  theme theme_;
  std::vector<std::optional<std::uint32_t>> next_;
  std::vector<role> roles_;
  std::vector<declare_exchange> exchange_profiles_;
  std::vector<std::pair<std::string, queue_arguments>> profiles_;
  std::vector<bind> bound_;
  history written_;
};

}  // namespace

const char* to_text(exchange_kind kind) noexcept {
  switch (kind) {
    case exchange_kind::direct:
      return "direct";
    case exchange_kind::fanout:
      return "fanout";
    case exchange_kind::topic:
      return "topic";
    case exchange_kind::headers:
      return "headers";
  }
  return "?";
}

const char* to_text(overflow when_full) noexcept {
  switch (when_full) {
    case overflow::drop_head:
      return "drop-head";
    case overflow::reject_publish:
      return "reject-publish";
    case overflow::reject_publish_dlx:
      return "reject-publish-dlx";
  }
  return "?";
}

const char* to_text(theme what) noexcept {
  switch (what) {
    case theme::routing:
      return "routing";
    case theme::dead_letters:
      return "dead letters";
    case theme::mixed:
      return "mixed";
  }
  return "?";
}

std::string to_text(const operation& op) {
  return std::visit(operation_printer{}, op);
}

const std::vector<std::string>& queue_names() {
  static const std::vector<std::string> names{"q0", "q1", "q2", "q3", "q4", "q5"};
  return names;
}

history make_history(std::uint64_t seed, theme what, std::size_t operations) {
  return author{seed, what}.write(operations);
}

}  // namespace levada::rabbit
