@0xb4c7a1d2e3f40519;
# A table of the host's own data. Its entries stand in a table of their own. Fields are only added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("levada::schema");

struct Table {
  name @0 :Text;
}
