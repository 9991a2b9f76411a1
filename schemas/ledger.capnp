@0xc9f1e07d5a3b8264;
# What a record of the topic levada.ledger tells of a message. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct FlowEvent {
  what @0 :UInt8;             # 0 published, 1 routed, 2 cancelled; from 16 on: 16 plus a flow_step of <levada/ledger.hpp>
  exchange @1 :Text;          # where the message stands
  partition @2 :UInt32;
  offset @3 :UInt64;

  routingKey @4 :Text;        # of what is published, as up to `cause`
  messageId @5 :Text;
  correlationId @6 :Text;
  due @7 :Int64;              # until when it waits to be routed, microseconds since 1970; 0: it does not
  cause @8 :Cause;            # absent: none that is known
  queues @9 :List(Text);      # that have got it; also of what is routed

  queue @10 :Text;            # of a step: where it happened,
  delivered @11 :Int64;       # and when the message had been handed out, microseconds since 1970; 0: it had not

  struct Cause {
    exchange @0 :Text;        # the message, or record, that was handled or died
    partition @1 :UInt32;
    offset @2 :UInt64;
    queue @3 :Text;           # from where, if that is known
    death @4 :UInt8;          # 0: it was handled; else a dead_letter_reason of <levada/dead_letter.hpp>
  }
}
