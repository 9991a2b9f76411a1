@0xb4c7a1d2e3f40514;
# A queue. Its entries stand in a table of their own. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Queue {
  name @0 :Text;
  exclusive @1 :Bool;         # belongs to the process that declared it; the next owner deletes it
  created @2 :Int64;          # microseconds since 1970
}
