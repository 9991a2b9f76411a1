@0xb4c7a1d2e3f40512;
# A partitioned log: of a topic, or of an exchange. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Log {
  name @0 :Text;
  partitions @1 :UInt32;
  created @2 :Int64;          # microseconds since 1970
  exchange @3 :ExchangeType;
  begins @4 :List(UInt64);    # the oldest offset that is kept, by partition; empty: all 0
  policy @5 :Policy;
  createTime @6 :Bool;        # records keep the time that their publisher gave
  compacted @7 :List(UInt64); # the offset up to which each partition has been compacted; empty: all 0

  # Of an exchange:
  transient @8 :Bool;         # goes when the store is opened anew
  autoDelete @9 :Bool;
  internal @10 :Bool;
  alternate @11 :Text;        # name of an exchange; empty: none
  hash @12 :UInt8;            # 0 routing key, 1 header, 2 message id, 3 correlation id
  hashHeader @13 :Text;
  orphan @14 :Bool;           # it has been deleted: its log waits for queues that refer to it
  overflowScope @15 :UInt8;   # 0 all queues or none, 1 those that have room
  delayed @16 :Bool;          # heeds the header x-delay
}

enum ExchangeType {
  none @0;                    # a plain topic
  direct @1;
  fanout @2;
  topic @3;
  headers @4;
  consistentHash @5;
}

# What is kept. 0: no limit.
struct Policy {
  retentionMilliseconds @0 :UInt64;
  retentionBytes @1 :UInt64;
  retentionRecords @2 :UInt64;
  force @3 :Bool;             # also what queues still refer to
  compact @4 :Bool;           # of each key the latest record is enough
  tombstoneMilliseconds @5 :UInt64;
  dirtyMillionths @6 :UInt32; # share of new bytes from which on it is worth while
  codec @7 :UInt8;            # how records are sealed: 0 plain, 1 lz4, 2 zstd
  waitForReaders @8 :Bool;    # not what a group or a job has yet to read
}
