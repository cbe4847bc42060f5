# The log batch for Cap'n Proto: the fields of shapes.proto.
@0xd1c8a3b5e7f90216;
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("bench_capnp");

struct Label { key @0 :Text; value @1 :Text; }
struct Source { file @0 :Text; line @1 :Int32; function @2 :Text; }
struct Record {
  timestampNs @0 :Int64;
  service @1 :Text;
  instance @2 :Text;
  severity @3 :Int32;
  text @4 :Text;
  labels @5 :List(Label);
  traceId @6 :Text;
  spanId @7 :Text;
  source @8 :Source;
}
struct Batch { records @0 :List(Record); }
