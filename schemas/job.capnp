@0xb4c7a1d2e3f40518;
# How far an attached job has come: one file below jobs/, written by the job alone. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Job {
  name @0 :Text;
  epoch @1 :UInt32;           # of the store when it read
  time @2 :Int64;             # of the checkpoint, in microseconds since 1970
  logs @3 :List(Log);
  topic @4 :Text;             # that it reads; empty: all

  struct Log {
    id @0 :UInt32;
    topic @1 :Text;
    next @2 :List(UInt64);    # the offset that is read next, by partition
  }
}
