@0xb4c7a1d2e3f40515;
# One binding of a queue, or an exchange, to an exchange. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Binding {
  exchange @0 :UInt32;        # id of the exchange's log
  destination @1 :UInt32;     # id of a queue, or of another exchange's log
  key @2 :Data;               # routing key or pattern, any bytes
  arguments @3 :List(Argument);
  since @4 :List(UInt64);     # by partition: the first offset that it is for; empty: all 0

  struct Argument {
    name @0 :Text;
    value :union {
      none @1 :Void;
      boolean @2 :Bool;
      integer @3 :Int64;
      number @4 :Float64;
      text @5 :Data;
      bytes @6 :Data;
      time @7 :Int64;         # microseconds since 1970
    }
  }
}
