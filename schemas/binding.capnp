@0xb4c7a1d2e3f40515;
# One binding of a queue to an exchange. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Binding {
  exchange @0 :UInt32;        # id of the exchange's log
  queue @1 :UInt32;
  key @2 :Data;               # routing key or pattern, any bytes
}
