@0xb4c7a1d2e3f4051a;
# A policy, or what an operator limits. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
using import "queue.capnp".Redelivery;
$Cxx.namespace("levada::schema");

struct NamedPolicy {
  name @0 :Text;
  byOperator @1 :Bool;
  pattern @2 :Data;           # a regular expression
  target @3 :UInt8;           # 0 all, 1 queues, 2 exchanges
  priority @4 :Int32;
  messageTtl @5 :Int64 = -1;  # milliseconds; here and below, -1 or absent: not set
  expires @6 :Int64 = -1;     # milliseconds
  maxLength @7 :Int64 = -1;
  maxLengthBytes @8 :Int64 = -1;
  overflow @9 :Int8 = -1;     # as a queue's
  deadLetterExchange @10 :Text;
  deadLetterKey @11 :Data;
  deliveryLimit @12 :Int32 = -1;
  redelivery @13 :Redelivery;
  alternate @14 :Text;        # name of an exchange
}
