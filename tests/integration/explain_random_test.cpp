#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

/// Exchanges, queues and bindings by chance.
class ExplainingRandomTopologies : public bus_fixture, public ::testing::WithParamInterface<unsigned> {
 protected:
  static constexpr std::size_t exchanges = 5;
  static constexpr std::size_t queues = 6;

  ExplainingRandomTopologies() {
    ok(the_bus().declare_queue("grave"));
    for (std::size_t i = 0; i < exchanges; ++i) declare_exchange(exchange_name(i));
    for (std::size_t i = 0; i < queues; ++i) declare_queue(queue_name(i));
    for (int i = 0; i < 18; ++i) bind();
  }
  std::size_t any(std::size_t count) {
    return std::uniform_int_distribution<std::size_t>{0, count - 1}(random_);
  }
  bool by_chance(std::size_t one_in) { return any(one_in) == 0; }
  std::string one_of(const std::vector<std::string>& texts) { return texts[any(texts.size())]; }
  static std::string exchange_name(std::size_t i) { return "e" + std::to_string(i); }
  static std::string queue_name(std::size_t i) { return "q" + std::to_string(i); }

  record some_record() {
    record r{std::string(any(4), 'v')};
    if (by_chance(2)) r.header("kind", one_of({"fire", "flood"}));
    if (by_chance(3)) r.header("level", static_cast<std::int64_t>(any(2)));
    return r;
  }
  std::string some_key() { return one_of({"a", "b", "a.b", "a.c", "b.c.d", "q0", "q3"}); }
  std::map<std::string, std::uint64_t> messages() {
    std::map<std::string, std::uint64_t> all;
    for (const auto& q : ok(the_bus().queues())) all[q.name] = q.messages;
    return all;
  }
  /// What was said of a message, against what came of it.
  void compare(const explanation& told, const std::string& to, const std::string& key, const record& r,
               const publish_options& options) {
    const auto before = messages();
    const auto counts_before = ok(the_bus().stats()).queues;
    const auto done = the_bus().publish(to, key, r, options);
    const auto after = messages();
    ASSERT_EQ(done.has_value(), !told.refused.has_value());
    if (!done) {
      EXPECT_EQ(done.error().code(), told.refused->code());
      EXPECT_EQ(after, before);
      return;
    }
    std::size_t routed = 0;
    std::size_t refused = 0;
    std::size_t graves = 0;
    auto expected = before;
    for (const auto& q : told.queues) {
      const bool enters = q.verdict == queue_verdict::enters || q.verdict == queue_verdict::drops_head;
      ++(enters ? routed : refused);
      if (q.verdict == queue_verdict::enters) ++expected[q.queue];
      const bool dies = q.verdict == queue_verdict::drops_head && q.dead_letter_exchange;
      if (dies || q.verdict == queue_verdict::dead_letters) ++graves;
    }
    expected["grave"] += graves;
    EXPECT_EQ(done->routed, routed);
    EXPECT_EQ(done->refused, refused);
    EXPECT_EQ(after, expected);
    EXPECT_EQ(ok(the_bus().stats()).queues.routed, counts_before.routed + routed + graves);
  }
  /// Steps lead from where the message is to each queue that it reaches, and nowhere else.
  static void expect_connected(const explanation& told, const std::string& from) {
    std::set<std::string> at{from};
    std::set<std::string> found;
    for (const auto& s : told.steps) {
      EXPECT_TRUE(at.contains(s.exchange)) << s.exchange;
      (s.to_exchange ? at : found).insert(s.destination);
      EXPECT_FALSE(s.why.empty());
    }
    std::vector<std::string> outcomes;
    for (const auto& q : told.queues) outcomes.push_back(q.queue);
    EXPECT_THAT(outcomes, testing::ElementsAreArray(found)) << "each once, by name";
  }

 private:
  void declare_exchange(const std::string& name) {
    exchange_options o;
    o.type = static_cast<exchange_type>(1 + any(5));
    if (by_chance(2)) o.alternate_exchange = one_of({"e0", "e1", "e2", "e3", "e4", "none"});
    if (by_chance(2)) o.overflow = overflow_scope::queue;
    o.delayed = by_chance(3);
    ok(the_bus().declare_exchange(name, o));
    types_[name] = o.type;
  }
  void declare_queue(const std::string& name) {
    queue_options o;
    if (by_chance(2)) o.max_length = any(6);
    o.overflow = static_cast<overflow>(any(3));
    if (by_chance(2)) {
      o.dead_letter_exchange = "";
      o.dead_letter_routing_key = "grave";
    }
    ok(the_bus().declare_queue(name, o));
  }
  void bind() {
    const std::string from = exchange_name(any(exchanges));
    std::string key;
    binding_arguments arguments;
    switch (types_.at(from)) {
      case exchange_type::direct:
        key = some_key();
        break;
      case exchange_type::topic:
        key = one_of({"#", "a.*", "*.c.#", "a", "*", "#.d"});
        break;
      case exchange_type::headers:
        arguments = {{"kind", one_of({"fire", "flood"})}, {"x-match", one_of({"all", "any"})}};
        if (by_chance(2)) arguments.emplace_back("level", static_cast<std::int64_t>(any(2)));
        break;
      case exchange_type::consistent_hash:
        key = one_of({"1", "3"});
        break;
      case exchange_type::fanout:
        break;
    }
    if (by_chance(3)) {
      ok(the_bus().bind_exchange(from, exchange_name(any(exchanges)), key, arguments));
    } else {
      ok(the_bus().bind(from, queue_name(any(queues)), key, arguments));
    }
  }

  std::mt19937 random_{GetParam()};
  std::map<std::string, exchange_type> types_;
};

TEST_P(ExplainingRandomTopologies, SaysWhatPublishingDoes) {
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    const std::string to = by_chance(8) ? "" : exchange_name(any(exchanges));
    const std::string key = some_key();
    const record r = some_record();
    const publish_options options{.mandatory = by_chance(4)};
    SCOPED_TRACE("message " + std::to_string(i) + " to '" + to + "' by '" + key + "'");
    const auto told = ok(the_bus().explain(to, key, r, options));
    expect_connected(told, to);
    compare(told, to, key, r, options);
  }
  expect_sound();
}

INSTANTIATE_TEST_SUITE_P(Seeds, ExplainingRandomTopologies, ::testing::Range(1U, 21U));

}  // namespace
}  // namespace levada::test
