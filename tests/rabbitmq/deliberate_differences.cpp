#include <rabbitmq/deliberate_differences.hpp>

#include <utility>
#include <variant>

#include <fmt/format.h>

namespace levada::rabbit {

namespace {

bool is_binding_of_default_exchange(const operation& op) {
  if (const auto* const b = std::get_if<bind>(&op)) return b->source.empty();
  const auto* const u = std::get_if<unbind>(&op);
  return u != nullptr && u->source.empty();
}

}  // namespace

const std::array<deliberate_differences::rule, deliberate_differences::count>&
deliberate_differences::all() noexcept {
  static constexpr std::array<rule, count> rules{{
      {difference::typed_header_values, "typed header values",
       "3.10 compares bare values, so that 1 equals 1.0; levada compares types too, as later versions do",
       "a floating-point 1.0 in headers and arguments becomes 1.5, which equals no integer"},
      {difference::mandatory_is_refused, "mandatory is refused",
       "RabbitMQ returns an unroutable mandatory message and confirms it; levada refuses it, as a "
       "confirmation would say nothing",
       "where both return the message, RabbitMQ's confirmation does not count"},
      {difference::missing_is_an_error, "missing is an error",
       "RabbitMQ says yes to deleting what does not exist, and to unbinding from or to it; levada says that "
       "it does not exist",
       "'not found' counts as RabbitMQ's yes, for these operations alone"},
      {difference::unsettled_is_in_use, "unsettled is in use",
       "RabbitMQ's if-empty counts ready messages alone, and a get needs no consumer; in levada an unsettled "
       "delivery is a message of the queue, and has a consumer, so that nothing in work is deleted unawares",
       "queues with unsettled deliveries are deleted without conditions"},
      {difference::defaults_are_equivalent, "defaults are equivalent",
       "RabbitMQ takes an argument that says the default for another than none; levada's options have no "
       "such difference",
       "overflow=drop-head is not said"},
      {difference::default_exchange_is_all_or_none, "the default exchange is all or none",
       "levada's default exchange has the overflow scope publish: a full queue's refusal is queue_full, and "
       "the message is stored nowhere, so not as a dead letter either",
       "queue_full counts as RabbitMQ's nack; messages for queues with reject-publish-dlx go through the "
       "exchange that leads to this queue alone"},
      {difference::which_error_first, "which error first",
       "where nothing can be bound, as the source is the default exchange, and what is to be bound does not "
       "exist either, RabbitMQ tells the one and levada the other",
       "either counts as the other, for bindings from the default exchange alone"},
      {difference::order_of_deaths, "order of deaths",
       "3.10 turns the older entries of x-death round with each death; later versions and levada keep the "
       "newest first",
       "all but the first entry are compared in the order of their texts (broker::perform)"},
      {difference::circles_of_three_deaths, "circles of three deaths",
       "for the same reason 3.10 may miss that a message with rejections goes round, or cut it off too early",
       "histories hold no such circles (choose_dead_letter_paths)"},
      {difference::expired_ones_that_overtake, "expired ones that overtake",
       "3.10 drops what has expired when it comes to an empty queue, or to the head by itself, so it hands "
       "out "
       "one that has overtaken others by its priority; levada hands out none that has expired",
       "messages with an expiration have no priority"},
  }};
  return rules;
}

void deliberate_differences::spread_numbers(field_table& table) {
  for (auto& [name, value] : table) {
    auto* const number = std::get_if<double>(&value);
    if (number == nullptr || *number != 1.0) continue;
    *number = 1.5;
    note(difference::typed_header_values);
  }
}

operation deliberate_differences::adapted(operation op) {
  if (auto* const p = std::get_if<publish>(&op)) {
    spread_numbers(p->headers);
    if (p->expire_at_once && p->priority) {
      p->priority.reset();
      note(difference::expired_ones_that_overtake);
    }
    if (p->exchange.empty() && refuse_into_dead_letters_.contains(p->key)) {
      p->exchange = "d" + p->key.substr(1);
      note(difference::default_exchange_is_all_or_none);
    }
  } else if (auto* const b = std::get_if<bind>(&op)) {
    spread_numbers(b->arguments);
  } else if (auto* const u = std::get_if<unbind>(&op)) {
    spread_numbers(u->arguments);
  } else if (auto* const q = std::get_if<declare_queue>(&op)) {
    if (q->arguments.when_full == overflow::drop_head) {
      q->arguments.when_full.reset();
      note(difference::defaults_are_equivalent);
    }
  } else if (auto* const d = std::get_if<delete_queue>(&op)) {
    if ((d->if_unused || d->if_empty) && unsettled_[d->name] > 0) {
      d->if_unused = d->if_empty = false;
      note(difference::unsettled_is_in_use);
    }
  }
  return op;
}

void deliberate_differences::reconcile(const operation& op, answer& rabbit, answer& levada) {
  follow(op, rabbit);
  const bool may_be_missing = std::holds_alternative<delete_queue>(op) ||
                              std::holds_alternative<delete_exchange>(op) ||
                              std::holds_alternative<unbind>(op);
  if (may_be_missing && rabbit.result == outcome::ok && rabbit.ready.value_or(0) == 0 &&
      levada.result == outcome::not_found) {
    levada = rabbit;
    note(difference::missing_is_an_error);
  }
  if (is_binding_of_default_exchange(op) && rabbit.result == outcome::refused &&
      levada.result == outcome::not_found) {
    levada = rabbit;
    note(difference::which_error_first);
  }
  if (rabbit.returned && rabbit.returned == levada.returned && rabbit.confirm == verdict::confirmed &&
      levada.confirm == verdict::none) {
    rabbit.confirm = verdict::none;
    note(difference::mandatory_is_refused);
  }
  if (rabbit.delivered && rabbit.delivered->message.deaths.size() > 2) note(difference::order_of_deaths);
}

void deliberate_differences::follow(const operation& op, const answer& a) {
  if (a.result != outcome::ok) return;
  if (const auto* const g = std::get_if<get>(&op)) {
    if (!g->auto_ack) ++unsettled_[g->queue];
  } else if (const auto* const s = std::get_if<settle>(&op)) {
    std::size_t& n = unsettled_[s->queue];
    n -= s->multiple ? s->position % n + 1 : 1;
  } else if (const auto* const d = std::get_if<delete_queue>(&op)) {
    unsettled_[d->name] = 0;
    refuse_into_dead_letters_.erase(d->name);
  } else if (const auto* const q = std::get_if<declare_queue>(&op); q != nullptr && !q->passive) {
    const queue_arguments& arguments = q->arguments;
    if (arguments.when_full == overflow::reject_publish_dlx && arguments.dead_letter_exchange)
      refuse_into_dead_letters_.insert(q->name);
  }
}

deliberate_differences& deliberate_differences::operator+=(const deliberate_differences& other) {
  for (std::size_t i = 0; i < count; ++i) applied_.at(i) += other.applied_.at(i);
  return *this;
}

std::string to_text(const deliberate_differences& rules) {
  std::string text;
  for (const auto& rule : deliberate_differences::all()) {
    text += fmt::format("{:>7} x {}: {}\n          {}\n", rules.applied(rule.which), rule.name, rule.reason,
                        rule.exclusion);
  }
  return text;
}

}  // namespace levada::rabbit
