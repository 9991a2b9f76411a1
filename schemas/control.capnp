@0xb4c7a1d2e3f4051e;
# What another process asks the owner of a store at the socket `control`, and what it is told. Never stored.
# Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct ControlRequest {
  union {
    none @0 :Void;              # what a version without a later request makes of it
    reset @1 :Reset;
    deleteGroup @2 :DeleteGroup;
  }

  struct Reset {
    group @0 :Text;
    topic @1 :Text;
    partitions @2 :List(UInt32);  # none: all
    dryRun @3 :Bool;
    to :union {
      none @4 :Void;
      earliest @5 :Void;
      latest @6 :Void;
      offset @7 :UInt64;
      time @8 :Int64;           # microseconds since 1970
      back @9 :Int64;           # milliseconds
    }
  }
  struct DeleteGroup {
    group @0 :Text;
    dryRun @1 :Bool;
  }
}

struct ControlAnswer {
  failure @0 :Int32;            # an errc; 0: it has been done
  message @1 :Text;
  changes @2 :List(Change);     # of a reset, by partition

  struct Change {
    partition @0 :UInt32;
    committed @1 :Bool;         # whether there was an offset before
    from @2 :UInt64;
    to @3 :UInt64;
  }
}
