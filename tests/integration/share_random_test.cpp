// Random histories of share groups beside a model that knows of each record what may happen to it next.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::seconds;

constexpr unsigned partitions = 2;
constexpr std::uint32_t limit = 3;
constexpr std::size_t in_flight_max = 20;
constexpr seconds lock_time{10};

/// What the model knows of a record.
struct known_record {
  enum class state { new_one, available, acquired, done, removed };
  unsigned partition = 0;
  std::uint64_t where = 0;
  state now = state::new_one;
  std::uint32_t deliveries = 0;
  // While it is acquired:
  std::size_t member = 0;
  clock::steady_time until{};
  delivery_tag tag{0};
};

class ShareRandom : public bus_fixture, public ::testing::WithParamInterface<unsigned> {
 protected:
  ShareRandom() : bus_fixture{seals_everything} {
    ok(the_bus().declare_topic("jobs", {.partitions = partitions}));
  }

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random_); }

  void publish() {
    const auto p = static_cast<unsigned>(below(partitions));
    const auto receipt =
        ok(ok(the_bus().topic("jobs")).publish(partition_id{p}, record{std::to_string(records_.size())}));
    records_.push_back({p, receipt.offset.value()});
  }
  void join() {
    share_consumer_options o;
    o.reset = offset_reset::earliest;
    o.poll_records_max = 1 + below(8);
    o.lock_duration = lock_time;
    o.delivery_limit = limit;
    o.in_flight_max = in_flight_max;
    members_.emplace(next_member_++,
                     member{ok(the_bus().share_consume("workers", {"jobs"}, o)), o.poll_records_max});
  }
  void pass_time() {
    the_clock().advance(seconds{below(6)});
    const auto now = the_clock().steady();
    for (auto& r : records_) {
      if (r.now == known_record::state::acquired && r.until <= now) come_back(r);
    }
  }
  static void come_back(known_record& r) {
    r.now = r.deliveries < limit ? known_record::state::available : known_record::state::done;
  }
  void forget_members() {
    members_.clear();
    for (auto& r : records_) {
      if (r.now == known_record::state::acquired) come_back(r);
    }
  }
  void leave(std::size_t id) {
    for (auto& r : records_) {
      if (r.now == known_record::state::acquired && r.member == id) come_back(r);
    }
    members_.erase(id);
  }
  void remove_some() {
    const auto p = static_cast<unsigned>(below(partitions));
    std::vector<std::uint64_t> there;
    for (const auto& r : records_) {
      if (r.partition == p && r.now != known_record::state::removed) there.push_back(r.where);
    }
    if (there.empty()) return;
    const std::uint64_t before = there[below(there.size())];
    ok(the_bus().delete_records({"jobs", partition_id{p}}, offset{before}));
    for (auto& r : records_) {
      if (r.partition != p || r.where >= before) continue;
      // What is acquired may still be acknowledged; what is not is gone.
      if (r.now == known_record::state::acquired) {
        r.deliveries = limit;
      } else {
        r.now = known_record::state::removed;
      }
    }
  }

  void poll(std::size_t id) {
    member& m = members_.at(id);
    const auto got = ok(m.consumer.poll(at_once));
    EXPECT_LE(got.size(), m.records_max);
    bool any_new = false;
    for (const auto& d : got) {
      auto& r = records_.at(std::stoul(std::string{d.record().value()}));
      any_new |= r.now == known_record::state::new_one;
      EXPECT_TRUE(r.now == known_record::state::new_one || r.now == known_record::state::available)
          << d.record().value() << " is acquired by another, done, or gone";
      r.now = known_record::state::acquired;
      EXPECT_EQ(d.delivery_count(), ++r.deliveries);
      EXPECT_EQ(d.redelivered(), r.deliveries > 1);
      EXPECT_LE(r.deliveries, limit);
      r.member = id;
      r.until = the_clock().steady() + lock_time;
      r.tag = d.tag();
    }
    const auto available = std::count_if(records_.begin(), records_.end(), [](const known_record& r) {
      return r.now == known_record::state::available;
    });
    if (any_new || got.size() < m.records_max) {
      EXPECT_EQ(available, 0) << "what came back goes first";
    }
    for (unsigned p = 0; p < partitions; ++p) {
      const auto in_flight = std::count_if(records_.begin(), records_.end(), [p](const known_record& r) {
        return r.partition == p &&
               (r.now == known_record::state::acquired || r.now == known_record::state::available);
      });
      EXPECT_LE(static_cast<std::size_t>(in_flight), in_flight_max);
    }
  }
  void acknowledge(std::size_t id) {
    std::vector<known_record*> mine;
    for (auto& r : records_) {
      if (r.now == known_record::state::acquired && r.member == id && below(2) == 0) mine.push_back(&r);
    }
    std::vector<delivery_tag> tags;
    for (const auto* r : mine) tags.push_back(r->tag);
    const auto how = static_cast<acknowledge_type>(below(4));
    ok(members_.at(id).consumer.acknowledge(tags, how));
    for (auto* r : mine) {
      if (how == acknowledge_type::renew) {
        r->until = the_clock().steady() + lock_time;
      } else if (how == acknowledge_type::release) {
        come_back(*r);
      } else {
        r->now = known_record::state::done;
      }
    }
  }
  /// Acknowledges what is not the member's any more.
  void acknowledge_late(std::size_t id) {
    for (const auto& r : records_) {
      const bool its = r.now == known_record::state::acquired && r.member == id;
      if (r.tag == delivery_tag{0} || its || r.now == known_record::state::new_one) continue;
      EXPECT_THAT(members_.at(id).consumer.acknowledge(r.tag), fails_with(errc::unknown_delivery));
      return;
    }
  }
  std::size_t some_member() {
    auto at = members_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(below(members_.size())));
    return at->first;
  }
  void step() {
    const auto what = below(100);
    if (what < 30) return publish();
    if (what < 34 || members_.empty()) return join();
    if (what < 60) return poll(some_member());
    if (what < 78) return acknowledge(some_member());
    if (what < 81) return acknowledge_late(some_member());
    if (what < 91) return pass_time();
    if (what < 94) return leave(some_member());
    if (what < 96) return maintain();
    if (what < 98) return remove_some();
    forget_members();
    reopen();  // tags begin anew
    for (auto& r : records_) r.tag = delivery_tag{0};
  }
  /// Whoever is left accepts all there is: then every record is done, or gone.
  void finish() {
    forget_members();
    join();
    const auto last = members_.begin()->first;
    for (;;) {
      poll(last);
      std::vector<delivery_tag> tags;
      for (auto& r : records_) {
        if (r.now != known_record::state::acquired) continue;
        tags.push_back(r.tag);
        r.now = known_record::state::done;
      }
      if (tags.empty()) break;
      ok(members_.at(last).consumer.acknowledge(tags));
    }
    for (const auto& r : records_) {
      EXPECT_TRUE(r.now == known_record::state::done || r.now == known_record::state::removed);
      EXPECT_TRUE(r.now == known_record::state::removed || r.deliveries > 0) << "nobody ever got it";
    }
    EXPECT_EQ(ok(the_bus().groups()).at(0).in_flight, 0U);
    members_.clear();
    expect_sound();
  }

 private:
  struct member {
    share_consumer consumer;
    std::size_t records_max;
  };
  std::mt19937 random_{GetParam()};
  std::vector<known_record> records_;
  std::map<std::size_t, member> members_;
  std::size_t next_member_ = 0;
};

TEST_P(ShareRandom, DoesWhatTheModelDoes) {
  for (int i = 0; i < 600 && !HasFailure(); ++i) {
    SCOPED_TRACE(fmt::format("step {}", i));
    step();
  }
  if (!HasFailure()) finish();
}

INSTANTIATE_TEST_SUITE_P(Seeds, ShareRandom, ::testing::Range(1U, 21U));

}  // namespace
}  // namespace levada::test
