@0xb4c7a1d2e3f40511;
# The store itself: one value. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Store {
  formatVersion @0 :UInt32;   # a newer one than the reader knows is refused
  created @1 :Int64;          # microseconds since 1970
  nextId @2 :UInt32;          # the next id for a log, group, queue or binding; ids are never used twice
  epoch @3 :UInt32;           # grows when the store is restored to an earlier state
}
