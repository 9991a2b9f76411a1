#include <boost/json.hpp>
#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "command_fixture.hpp"

namespace levada::test {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

/// A store in which an order was handled, which made an invoice, and was then rejected by the mail, whose
/// dead letter nobody takes. Each step takes a second.
class Trace : public command_fixture {
 protected:
  Trace() {
    const auto clock = std::make_shared<manual_clock>();
    bus_options o;
    o.clock = clock;
    o.ledger.emplace();
    auto owner = ok(bus::open(store(), o));
    ok(owner.declare_exchange("orders", {.type = exchange_type::fanout}));
    ok(owner.declare_exchange("invoices", {.type = exchange_type::fanout}));
    ok(owner.declare_exchange("dead", {.type = exchange_type::fanout}));
    ok(owner.declare_queue("billing"));
    ok(owner.declare_queue("mail", {.dead_letter_exchange = "dead"}));
    for (const char* const queue : {"billing", "mail"}) ok(owner.bind("orders", queue, ""));
    ok(owner.publish("orders", "eu;new", record{"x"}.message_id("order-1").correlation_id("case-7")));
    clock->advance(seconds{1});
    auto billing = ok(owner.consume("billing"));
    const auto order = ok(billing.receive(std::chrono::milliseconds{0}));
    clock->advance(seconds{1});
    record invoice{"y"};
    invoice.message_id("invoice-1").caused_by(order->record());
    ok(owner.publish("invoices", "", invoice));
    ok(billing.ack(*order));
    clock->advance(seconds{1});
    auto mail = ok(owner.consume("mail"));
    const auto letter = ok(mail.receive(std::chrono::milliseconds{0}));
    clock->advance(seconds{1});
    ok(mail.nack(*letter, requeue::no));
  }
};

TEST_F(Trace, PrintsATree) {
  EXPECT_EQ(print({"trace", "order-1"}),
            "message 'order-1' to exchange 'orders', routing key 'eu;new', at 2020-09-13T12:26:40.000000Z\n"
            "  correlation id 'case-7'\n"
            "  to queues 'billing', 'mail'\n"
            "  +2.000000 s acknowledged from queue 'billing', delivered +1.000000 s\n"
            "  +4.000000 s rejected from queue 'mail', delivered +3.000000 s\n"
            "    +2.000000 s on its account: message 'invoice-1' to exchange 'invoices', routing key ''\n"
            "      to no queue\n"
            "    +4.000000 s dead letter of queue 'mail' (rejected): message 'order-1' to exchange 'dead', "
            "routing key 'eu;new'\n"
            "      correlation id 'case-7'\n"
            "      to no queue\n");
  EXPECT_EQ(print({"trace", "case-7"}), print({"trace", "order-1"}));
}

TEST_F(Trace, PrintsASequenceDiagram) {
  EXPECT_EQ(print({"trace", "order-1", "--mermaid"}),
            "sequenceDiagram\n"
            "    participant p0 as publisher\n"
            "    participant e1 as exchange orders\n"
            "    participant q2 as queue billing\n"
            "    participant q3 as queue mail\n"
            "    participant c4 as consumers of billing\n"
            "    participant c5 as consumers of mail\n"
            "    participant e6 as exchange invoices\n"
            "    participant e7 as exchange dead\n"
            "    p0->>e1: +0.000000 s order-1\n"
            "    e1->>q2: +0.000000 s order-1\n"
            "    e1->>q3: +0.000000 s order-1\n"
            "    q2->>c4: +1.000000 s order-1 delivered\n"
            "    c4-->>q2: +2.000000 s order-1 acknowledged\n"
            "    p0->>e6: +2.000000 s invoice-1\n"
            "    q3->>c5: +3.000000 s order-1 delivered\n"
            "    c5-->>q3: +4.000000 s order-1 rejected\n"
            "    q3->>e7: +4.000000 s order-1, dead letter (rejected)\n");
}

TEST_F(Trace, PrintsJson) {
  std::istringstream lines{print({"trace", "order-1", "--json"})};
  std::vector<boost::json::object> all;
  for (std::string line; std::getline(lines, line);) all.push_back(boost::json::parse(line).as_object());
  ASSERT_THAT(all, SizeIs(3));
  EXPECT_EQ(all[0].at("message_id"), "order-1");
  EXPECT_EQ(all[0].at("exchange"), "orders");
  EXPECT_EQ(all[0].at("published"), "2020-09-13T12:26:40.000000Z");
  EXPECT_EQ(all[0].at("cause"), nullptr);
  EXPECT_EQ(all[0].at("queues").as_array(), (boost::json::array{"billing", "mail"}));
  const auto& step = all[0].at("steps").at(0).as_object();
  EXPECT_EQ(step.at("what"), "acknowledged");
  EXPECT_EQ(step.at("queue"), "billing");
  EXPECT_EQ(step.at("time"), "2020-09-13T12:26:42.000000Z");
  EXPECT_EQ(step.at("delivered"), "2020-09-13T12:26:41.000000Z");
  EXPECT_EQ(all[1].at("cause"), 0);
  EXPECT_EQ(all[1].at("death"), nullptr);
  EXPECT_EQ(all[2].at("death"), "rejected");
  EXPECT_EQ(all[2].at("cause_queue"), "mail");
}

TEST_F(Trace, SaysWhatItCannotTell) {
  EXPECT_THAT(levada({"trace", "none"}), fails_saying(1, "trace 'none'"));
  EXPECT_THAT(levada({"trace"}), fails_saying(2, "ID is required"));
  EXPECT_THAT(levada({"trace", "order-1", "--json", "--mermaid"}), fails_saying(2, "excludes"));
  const auto some = levada({"trace", "order-1", "--max", "2"});
  EXPECT_EQ(some.status, 1);
  EXPECT_THAT(some.out, HasSubstr("invoice-1"));
  EXPECT_THAT(some.out, Not(HasSubstr("dead letter")));
  EXPECT_THAT(some.err, HasSubstr("more than 2 messages"));
}

TEST_F(Trace, KeepsTextFromMeaningAnything) {
  const auto clock = std::make_shared<manual_clock>();
  bus_options o;
  o.clock = clock;
  o.ledger.emplace();
  {
    auto owner = ok(bus::open(store(), o));
    ok(owner.declare_queue("a;b #"));
    ok(owner.publish("", "a;b #", record{"x"}.message_id("<odd>\x1b")));
  }
  EXPECT_EQ(print({"trace", "<odd>\x1b", "--mermaid"}),
            "sequenceDiagram\n"
            "    participant p0 as publisher\n"
            "    participant e1 as default exchange\n"
            "    participant q2 as queue a#59;b #35;\n"
            "    p0->>e1: +0.000000 s #lt;odd#gt;\\x1b\n"
            "    e1->>q2: +0.000000 s #lt;odd#gt;\\x1b\n");
  EXPECT_THAT(print({"trace", "<odd>\x1b"}), HasSubstr("to queues 'a;b #'"));
}

TEST(TraceOfNoLedger, IsNoTrace) {
  const temporary_directory directory;
  const std::string store = (directory / "store").string();
  ok(bus::open(store));
  EXPECT_THAT(levada({"trace", "--dir", store, "m"}), fails_saying(1, "levada.ledger"));
}

}  // namespace
}  // namespace levada::test
