"""The examples as their users run them: our client against our servers."""
import os
import tempfile

import support
from support import BIN, SOURCE, has, run

server = support.telemetry()
client = os.path.join(BIN, 'telemetry-client')
out = run(client, server.url, 'lab')
has(out, 'all: 3 records, 40 bytes of text, 3 labels, highest severity 3', 'first batch')
has(out, 'lab: 3 records', 'summary of one source')
has(run(client, server.url, 'other'), 'all: 6 records', 'second batch')
out = run(client, server.url, '', good=False)
has(out, 'invalid_argument: records[0].source: must not be empty', 'a bad request names the field')
has(out, 'detail: google.rpc.BadRequest\n    records[0].source: must not be empty', 'and carries a BadRequest')
server.stop()
out = run(client, server.url, good=False)
has(out, 'unavailable: cannot connect to ' + server.address, 'no server')

with tempfile.TemporaryDirectory() as folder:
    schema = os.path.join(folder, 'echo.binpb')
    run('protoc', '-I' + os.path.join(SOURCE, 'examples/echo'), '--include_imports', '--descriptor_set_out=' + schema, 'echo.proto')
    server = support.Server('echo-server-schema', schema, '127.0.0.1:0')
    client = os.path.join(BIN, 'echo-client-unary')
    has(run(client, server.url, 'hello there'), 'hello there\n', 'echo')
    has(run(client, server.url, '', good=False), 'invalid_argument: text is empty', 'echo of nothing')
    server.stop()

    path = os.path.join(folder, 'socket')
    server = support.Server('telemetry-server', 'unix:' + path)
    has(run(os.path.join(BIN, 'telemetry-client'), 'unix:' + path), 'all: 3 records', 'over a local socket')
    server.stop()
support.done()
