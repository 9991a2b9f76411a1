#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <support/child_process.hpp>

#include "queue_world.hpp"

namespace levada::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Random lives of tracked messages. What tickets tell is compared with what has been done to the messages,
/// and by `check_store` with what the queues hold.
class RandomTickets : public queue_world, public testing::WithParamInterface<std::uint32_t> {
 protected:
  struct counted {
    std::size_t acknowledged = 0;
    std::size_t rejected_for_good = 0;
    std::size_t rejected_to_death = 0;
  };

  std::size_t below(std::size_t n) { return random_() % n; }
  const std::string& any_queue() { return queues_[below(queues_.size())]; }

  void declare(const std::string& name) {
    queue_options o;
    if (name == "short") o.max_length = 3;
    if (name == "dying") o.dead_letter_exchange = "dead";
    if (name == "brief") o.message_ttl = seconds{30};
    if (name == "limited") o.delivery_limit = 1;
    if (name == "ranked") o.max_priority = 3;
    queue(name, o);
    ok(the_bus().bind("e", name, ""));
  }

  void publish() {
    const std::string id = std::to_string(expected_.size());
    expected_[id];
    publish_options how{.track = true};
    if (below(4) == 0) how.delay = seconds{1 + static_cast<int>(below(20))};
    record r{id};
    r.message_id(id).priority(static_cast<std::uint8_t>(below(4)));
    if (below(3) == 0) r.expiration(milliseconds{below(40'000)});
    const auto receipt = ok(the_bus().publish("e", "", r, how));
    if (receipt.due && below(3) == 0) ok(the_bus().cancel(receipt));
  }

  void settle_some() {
    const std::string& name = any_queue();
    auto c = consume(name, {.prefetch = 10});
    for (std::size_t i = below(6); i > 0; --i) {
      const auto d = ok(c.receive(at_once));
      if (!d) return;
      counted& of = expected_.at(std::string{d->record().properties().message_id});
      switch (below(4)) {
        case 0:
        case 1:
          ok(c.ack(*d));
          ++of.acknowledged;
          break;
        case 2:
          ok(c.nack(*d, requeue::no));
          ++(name == "dying" ? of.rejected_to_death : of.rejected_for_good);
          break;
        default:
          ok(c.nack(*d));
      }
    }
  }

  void walk(int steps) {
    for (int i = 0; i < steps; ++i) {
      switch (below(20)) {
        case 0:
          ok(the_bus().purge_queue(any_queue()));
          break;
        case 1: {
          const std::string name = any_queue();
          ok(the_bus().delete_queue(name));
          declare(name);
          break;
        }
        case 2:
          the_clock().advance(seconds{below(15)});
          break;
        case 3:
          expect_sound();
          break;
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
        case 9:
        case 10:
          publish();
          break;
        default:
          settle_some();
      }
    }
  }

  /// What a ticket tells, and how many queues it names, at one moment: what is due leaves by itself.
  std::pair<ticket_status, std::size_t> ask(const std::string& id) {
    const ticket t = ok(the_bus().find_ticket(id));
    for (;;) {
      const auto before = ok(t.settled(at_once));
      const std::size_t queues = ok(t.outstanding()).size();
      if (ok(t.settled(at_once)) == before) return {before, queues};
    }
  }

  void compare() {
    for (const auto& entry : expected_) {
      const std::string& id = entry.first;
      const counted& did = entry.second;
      const auto [told, outstanding] = ask(id);
      EXPECT_EQ(told.routed,
                told.unsettled + told.acknowledged + told.expired + told.dead_lettered + told.discarded)
          << id;
      EXPECT_EQ(told.acknowledged, did.acknowledged) << id;
      EXPECT_GE(told.dead_lettered, did.rejected_to_death) << id;
      EXPECT_GE(told.discarded, did.rejected_for_good) << id;
      EXPECT_EQ(told.is_settled(), told.unsettled == 0 && !told.due) << id;
      EXPECT_EQ(outstanding, told.unsettled) << id;
    }
  }

  std::mt19937 random_{GetParam()};
  const std::vector<std::string> queues_{"plain", "short", "dying", "brief", "limited", "ranked"};
  std::map<std::string, counted> expected_;
};

TEST_P(RandomTickets, TellWhatHasBeenDone) {
  ok(the_bus().declare_exchange("e", {.type = exchange_type::fanout}));
  ok(the_bus().declare_exchange("dead", {.type = exchange_type::fanout}));
  for (const auto& name : queues_) declare(name);
  walk(250);
  compare();
  expect_sound();
  compare();
  for (const auto& name : queues_) ok(the_bus().delete_queue(name));
  the_clock().advance(seconds{60});
  expect_sound();
  for (const auto& [id, did] : expected_) {
    EXPECT_TRUE(ok(ok(the_bus().find_ticket(id)).settled(in_a_while)).is_settled()) << id;
  }
  EXPECT_EQ(ok(the_bus().stats()).queues.tracked, 0U);
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomTickets, testing::Range(1U, 13U));

/// Killed while it publishes and settles.
class KilledTickets : public queue_world, public testing::WithParamInterface<int> {};

TEST_P(KilledTickets, TellWhatTheQueuesHold) {
  ok(the_bus().declare_exchange("e", {.type = exchange_type::fanout}));
  for (const char* const name : {"a", "b"}) {
    queue(name);
    ok(the_bus().bind("e", name, ""));
  }
  close();
  child_process child{[this](const std::function<void(const std::string&)>& say) {
    open();
    auto a = consume("a");
    auto own = ok(the_bus().declare_exclusive_queue("own"));
    ok(the_bus().bind("e", "own", ""));
    for (int i = 0;; ++i) {
      const std::string id = std::to_string(i);
      ok(the_bus().publish("e", "", record{id}.message_id(id), {.track = true}));
      if (i % 3 == 0) continue;
      ok(a.ack(*ok(a.receive(in_a_while))));
      say(id);
    }
    return 0;
  }};
  std::string last;
  for (int i = 0; i < GetParam(); ++i) last = child.read_line();
  child.kill(SIGKILL);
  child.wait();
  expect_sound(store());
  open();
  expect_sound();
  const auto told = ok(ok(the_bus().find_ticket("0")).settled(at_once));
  EXPECT_EQ(told.acknowledged, 1U);
  EXPECT_EQ(told.unsettled, 1U) << "'b' has it";
  EXPECT_EQ(told.discarded, 1U) << "the exclusive queue went with its process";
}
INSTANTIATE_TEST_SUITE_P(Moments, KilledTickets, testing::Values(1, 7, 40));

}  // namespace
}  // namespace levada::test
