@0xb4c7a1d2e3f40514;
# A queue. Its entries stand in a table of their own. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Queue {
  name @0 :Text;
  exclusive @1 :Bool;         # belongs to the process that declared it; the next owner deletes it
  created @2 :Int64;          # microseconds since 1970
  shareGroup @3 :UInt32;      # id of the group whose records in flight these are; 0: it is a queue
  transient @4 :Bool;         # goes when the store is opened anew
  messageTtl @5 :Int64 = -1;  # milliseconds; -1: for ever
  maxLength @6 :Int64 = -1;   # ready messages; -1: any number
  maxLengthBytes @7 :Int64 = -1;
  overflow @8 :UInt8;         # 0 drop the head, 1 refuse, 2 refuse and dead-letter
  deadLetterExchange @9 :Text;  # absent: none
  deadLetterKey @10 :Data;    # absent: the message's own
  deliveryLimit @11 :Int32 = -1;
  redelivery @12 :Redelivery; # absent: returned messages are ready at once
  autoDelete @13 :Bool;       # goes with its last consumer
  expires @14 :Int64 = -1;    # goes after so many milliseconds without use; -1: stays
  singleActiveConsumer @15 :Bool;
  maxPriority @16 :Int16 = -1; # -1: all messages are alike
}

# How long a message waits that has been returned.
struct Redelivery {
  first @0 :Int64;            # milliseconds
  factor @1 :Float64;
  most @2 :Int64;             # milliseconds
  jitter @3 :Float64;
}
