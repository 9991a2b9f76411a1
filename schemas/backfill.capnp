@0xb4c7a1d2e3f4051b;
# What of the past is being entered into a queue, and how far that has come. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Backfill {
  queue @0 :UInt32;
  binding @1 :UInt32;         # whose messages; 0: those of all bindings of the queue
  room @2 :UInt64;            # positions that are kept free for it in each lane, a multiple of 62
  lanes @3 :List(Lane);
  logs @4 :List(Log);

  struct Lane {
    begin @0 :UInt64;         # the first of these positions, counted from the lane's beginning
    filled @1 :UInt64;        # how many of them are taken
  }
  struct Log {
    id @0 :UInt32;            # of an exchange
    next @1 :List(UInt64);    # by partition: the offset that is looked at next,
    end @2 :List(UInt64);     # and the one before which the past ends
  }
}
