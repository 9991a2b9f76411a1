#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <support/bus_fixture.hpp>
#include <support/sanitizers.hpp>

namespace levada::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds in_a_while{20'000};

/// Random histories of bindings from the past, beside what a list of all messages says.
class BackfillModel : public bus_fixture, public testing::WithParamInterface<std::uint64_t> {
 protected:
  BackfillModel() : bus_fixture{seals_everything} {
    ok(the_bus().declare_exchange("e", {.type = exchange_type::topic}));
    for (auto& [name, queue] : queues_) ok(the_bus().declare_queue(name));
  }

  /// What is expected of a queue.
  struct model_queue {
    std::map<std::string, std::size_t> bindings;  // patterns, and the first message that each is for
    std::deque<std::size_t> messages;

    [[nodiscard]] bool brings(const std::string& key, std::size_t message) const {
      for (const auto& [pattern, since] : bindings) {
        if (message >= since && matches(pattern, key)) return true;
      }
      return false;
    }
  };
  static bool matches(const std::string& pattern, const std::string& key) {
    return pattern == "#" || pattern == "*" || pattern == key;
  }

  [[nodiscard]] std::size_t roll(std::size_t sides) { return random_() % sides; }
  template <class Container>
  [[nodiscard]] const auto& any_of(const Container& all) {
    return *std::next(all.begin(), static_cast<std::ptrdiff_t>(roll(all.size())));
  }

  void publish() {
    const std::string& key = any_of(keys_);
    for (std::size_t count = 1 + roll(40); count > 0; --count) {
      const std::size_t number = published_.size();
      for (auto& [name, queue] : queues_) {
        if (queue.brings(key, number)) queue.messages.push_back(number);
      }
      published_.push_back(key);
      ok(the_bus().publish("e", key, record{std::to_string(number)}));
    }
  }
  void bind() {
    auto& [name, queue] = any_queue();
    const std::string& pattern = any_of(patterns_);
    if (queue.bindings.contains(pattern)) return;
    const std::size_t from = roll(3) == 0 ? published_.size() : roll(published_.size() + 1);
    for (std::size_t number = from; number < published_.size(); ++number) {
      const std::string& key = published_[number];
      if (matches(pattern, key) && !queue.brings(key, number)) queue.messages.push_back(number);
    }
    queue.bindings.emplace(pattern, from);
    ok(the_bus().bind("e", name, pattern, {}, {.from = offset{from}}));
  }
  void unbind() {
    auto& [name, queue] = any_queue();
    if (queue.bindings.empty()) return;
    // What has yet to come would not.
    while (ok(the_bus().queue(name)).backfill > 0) std::this_thread::yield();
    const std::string pattern = any_of(queue.bindings).first;
    queue.bindings.erase(pattern);
    ok(the_bus().unbind("e", name, pattern));
  }
  void replay() {
    auto& [name, queue] = any_queue();
    for (std::size_t number = 0; number < published_.size(); ++number) {
      if (queue.brings(published_[number], number)) queue.messages.push_back(number);
    }
    ok(the_bus().replay_into(name, from_earliest{}));
  }
  void take() {
    auto& [name, queue] = any_queue();
    take(name, queue, roll(60));
  }
  void take(const std::string& name, model_queue& queue, std::size_t most) {
    auto consumer = ok(the_bus().consume(name, {.prefetch = 10}));
    for (; most > 0 && !queue.messages.empty(); --most) {
      const auto d = ok(consumer.receive(in_a_while));
      ASSERT_TRUE(d.has_value()) << name << ": " << queue.messages.front() << " has not come";
      ASSERT_EQ(d->record().value(), std::to_string(queue.messages.front())) << name;
      queue.messages.pop_front();
      ok(consumer.ack(*d));
    }
  }
  void purge() {
    auto& [name, queue] = any_queue();
    ok(the_bus().purge_queue(name));
    queue.messages.clear();
  }
  std::pair<const std::string, model_queue>& any_queue() {
    return *std::next(queues_.begin(), static_cast<std::ptrdiff_t>(roll(queues_.size())));
  }

  std::map<std::string, model_queue> queues_{{"p", {}}, {"q", {}}};
  const std::vector<std::string> keys_{"a", "b", "c"};
  const std::vector<std::string> patterns_{"a", "b", "c", "*", "#"};
  std::vector<std::string> published_;  // the routing key of each
  std::mt19937_64 random_{GetParam()};
};

TEST_P(BackfillModel, SaysWhatComesAndInWhichOrder) {
  for (int i = 0; i < 150 && !HasFatalFailure(); ++i) {
    const std::size_t what = roll(100);
    if (what < 35) publish();
    if (what >= 35 && what < 60) bind();
    if (what >= 60 && what < 65) unbind();
    if (what >= 65 && what < 67) replay();
    if (what >= 67 && what < 87) take();
    if (what >= 87 && what < 89) purge();
    if (what >= 89 && what < 94) maintain();
    if (what >= 94) expect_sound();
  }
  for (auto& [name, queue] : queues_) {
    take(name, queue, queue.messages.size());
    EXPECT_EQ(ok(the_bus().queue(name)).messages, 0U) << name;
  }
  expect_sound();
}

INSTANTIATE_TEST_SUITE_P(Seeds, BackfillModel, testing::Range<std::uint64_t>(1, under_sanitizer ? 4 : 17));

}  // namespace
}  // namespace levada::test
