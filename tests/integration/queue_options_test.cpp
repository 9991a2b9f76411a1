#include <chrono>
#include <limits>
#include <string>

#include <support/bus_fixture.hpp>

namespace levada::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class QueueOptions : public bus_fixture {
 protected:
  void queue(const std::string& name, const queue_options& options = {}) {
    ok(the_bus().declare_queue(name, options));
  }
};

TEST_F(QueueOptions, OfAQueueThatExistsAreNamedWhereTheyDiffer) {
  const queue_options all{.redelivery_delay = redelivery_delay{.first = seconds{2}},
                          .auto_delete = true,
                          .expires = seconds{5},
                          .single_active_consumer = true};
  queue("plain");
  queue("all", all);
  reopen();
  queue("plain");
  queue("all", all);
  const auto differs = [&](const queue_options& other, const char* what) {
    EXPECT_THAT(the_bus().declare_queue("plain", other), fails_telling(errc::inequivalent, what));
  };
  differs({.redelivery_delay = redelivery_delay{}}, "redelivery_delay none, not 1000 ms");
  differs({.auto_delete = true}, "without auto_delete");
  differs({.expires = seconds{6}}, "expires none, not 6000");
  differs({.single_active_consumer = true}, "without single_active_consumer");
  const auto but = [&](void (*change)(queue_options&), const char* what) {
    auto other = all;
    change(other);
    EXPECT_THAT(the_bus().declare_queue("all", other), fails_telling(errc::inequivalent, what));
  };
  but([](queue_options& o) { o.redelivery_delay.reset(); }, "redelivery_delay");
  but([](queue_options& o) { o.redelivery_delay->first = seconds{3}; }, "redelivery_delay");
  but([](queue_options& o) { o.redelivery_delay->factor = 2; }, "redelivery_delay");
  but([](queue_options& o) { o.redelivery_delay->most = hours{1}; }, "redelivery_delay");
  but([](queue_options& o) { o.redelivery_delay->jitter = 0.1; }, "redelivery_delay");
  but([](queue_options& o) { o.auto_delete = false; }, "auto_delete");
  but([](queue_options& o) { o.expires.reset(); }, "expires 5000, not none");
  but([](queue_options& o) { o.expires = seconds{6}; }, "expires 5000, not 6000");
  but([](queue_options& o) { o.single_active_consumer = false; }, "single_active_consumer");
}

TEST_F(QueueOptions, OfARedeliveryDelayAreRefusedWhereTheyMeanNothing) {
  const auto refused = [&](const redelivery_delay& wrong, const char* what) {
    EXPECT_THAT(the_bus().declare_queue("q", {.redelivery_delay = wrong}),
                fails_telling(errc::invalid_argument, what));
  };
  for (const double factor : {std::numeric_limits<double>::quiet_NaN(), 0.5, -1.0, 1001.0})
    refused({.factor = factor}, "redelivery_delay.factor");
  for (const double jitter : {std::numeric_limits<double>::quiet_NaN(), -0.1, 1.1})
    refused({.jitter = jitter}, "redelivery_delay.jitter");
  refused({.first = milliseconds{0}}, "redelivery_delay.first");
  refused({.first = milliseconds{-1}}, "redelivery_delay.first");
  refused({.first = seconds{2}, .most = milliseconds{1'999}}, "redelivery_delay.most");
  refused({.most = queue_time_max + milliseconds{1}}, "10,000 days");
  EXPECT_TRUE(ok(the_bus().queues()).empty());
  queue("q", {.redelivery_delay = redelivery_delay{
                  .first = queue_time_max, .factor = 1'000, .most = queue_time_max, .jitter = 1}});
}

TEST_F(QueueOptions, OfExpiryAreRefusedWhereTheyMeanNothing) {
  for (const milliseconds wrong : {milliseconds{0}, milliseconds{-1}, queue_time_max + milliseconds{1}}) {
    EXPECT_THAT(the_bus().declare_queue("q", {.expires = wrong}),
                fails_telling(errc::invalid_argument, "expires"));
    EXPECT_THAT(the_bus().declare_exclusive_queue("q", {.expires = wrong}),
                fails_telling(errc::invalid_argument, "expires"));
  }
  EXPECT_TRUE(ok(the_bus().queues()).empty());
}

}  // namespace
}  // namespace levada::test
