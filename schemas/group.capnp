@0xb4c7a1d2e3f40513;
# A consumer group. Members belong to the process that owns the store; the next owner drops them.
# Committed offsets stand in a table of their own. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Group {
  name @0 :Text;
  generation @1 :UInt32;
  members @2 :List(Member);

  struct Member {
    id @0 :Text;
    assignment @1 :List(Partition);
  }
  struct Partition {
    log @0 :UInt32;
    partition @1 :UInt32;
  }
}
