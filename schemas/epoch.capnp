@0xb4c7a1d2e3f40517;
# Where the logs ended when the store had been restored to an earlier state. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Epoch {
  logs @0 :List(End);

  struct End {
    log @0 :UInt32;
    offsets @1 :List(UInt64); # the next record's, by partition
  }
}
