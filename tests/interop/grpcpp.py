"""gRPC C++ as a client of our servers; what it checks lies in grpcpp_client.cc."""
import os

import support

client = os.path.join(support.BIN, 'interop-grpcpp-client')
if not os.path.exists(client):
    support.fail('the gRPC C++ client was not built: libgrpc++-dev and protobuf-compiler-grpc are needed (scripts/deps bench)')
bench, telemetry, interop = support.bench(), support.telemetry(), support.interop()
out = support.run(client, bench.address, telemetry.address, interop.address)
print(out, end='')
support.has(out, 'all passed', 'client')
counters = support.as_json(bench.stop())
support.check(counters['calls'] >= 200, counters)
telemetry.stop()
interop.stop()
support.done()
