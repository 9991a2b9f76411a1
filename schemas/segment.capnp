@0xb4c7a1d2e3f40516;
# A sealed segment: a file of records that the journal no longer holds. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Segment {
  sequenceFirst @0 :UInt64;   # journal rows whose records it took over
  sequenceLast @1 :UInt64;
  created @2 :Int64;          # microseconds since 1970
  fileBytes @3 :UInt64;
  parts @4 :List(Part);       # sorted by log, partition and offset
  generation @5 :UInt32;      # how often its records have been written anew to be merged

  struct Part {
    log @0 :UInt32;
    partition @1 :UInt32;
    baseOffset @2 :UInt64;    # of the first record
    endOffset @3 :UInt64;     # one beyond the last
    records @4 :UInt64;
    bytes @5 :UInt64;         # of the batches, as stored
    sequenceFirst @6 :UInt64; # journal rows of the first and the last record
    sequenceLast @7 :UInt64;
    timeMax @8 :Int64;        # largest time of a record
    sparse @9 :Bool;          # some of the offsets have been given up: the others stay as they are
  }
}
