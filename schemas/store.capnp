@0xb4c7a1d2e3f40511;
# The store itself: one value. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Store {
  formatVersion @0 :UInt32;   # a newer one than the reader knows is refused
  created @1 :Int64;          # microseconds since 1970
  nextId @2 :UInt32;          # the next id for a log, group, queue or binding; ids are never used twice
  epoch @3 :UInt32;           # grows when the store is restored to an earlier state
  sealed @4 :UInt64;          # journal rows up to this one are in segments, or given up
  timeFloor @5 :Int64;        # time of the bus at the last sealing; it never goes back
  nextSegment @6 :UInt32;     # the id of the next segment; ids are never used twice
  layout @7 :UInt64;          # grows whenever logs or segments change
}
