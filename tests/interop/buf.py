"""buf curl, connect-go's client: gRPC, gRPC-Web and Connect against our server, unary and streams."""
import json
import os

import support
from support import SOURCE, check, has

buf = support.tool('buf', 'scripts/deps check fetches it', 'build/deps/npm/node_modules/.bin/buf')
server = support.telemetry()
url = server.url + '/telemetry.v1.Telemetry/'
schema = os.path.join(SOURCE, 'examples/telemetry/telemetry.proto')


def call(method, data, *arguments, good=True):
    return support.run(buf, 'curl', '--schema', schema, *arguments, '-d', json.dumps(data), url + method, good=good)


count = 0
for arguments in (['--protocol', 'grpc', '--http2-prior-knowledge'], ['--protocol', 'connect', '--http2-prior-knowledge'],
                  ['--protocol', 'connect'], ['--protocol', 'grpcweb', '--http2-prior-knowledge'], ['--protocol', 'grpcweb']):
    for size in (1, 500):
        batch = {'records': [{'source': 'buf', 'severity': 'SEVERITY_WARNING', 'text': f'line {i}', 'labels': {'n': str(i)}} for i in range(size)]}
        answer = support.as_json(call('Ingest', batch, *arguments))
        count += size
        check(answer['records'] == str(count), f'{arguments}: {answer}')
        check(answer['highest'] == 'SEVERITY_WARNING', answer)
    answer = support.as_json(call('GetSummary', {'source': 'buf'}, *arguments))
    check(answer['labels'] == str(count), answer)
    check(call('GetSummary', {}, *arguments) != '', 'an empty request')
    out = call('Ingest', {'records': [{'source': 'buf'}, {}]}, *arguments, good=False)
    has(out, '"invalid_argument"', arguments)
    has(out, 'records[1].source: must not be empty', arguments)
    has(out, 'google.rpc.BadRequest', arguments)
    has(call('GetSummary', {'source': 'nobody'}, *arguments, good=False), '"not_found"', arguments)
    # Verbose: the answer's headers and trailers, as the client sees them.
    out = call('GetSummary', {}, '-v', *arguments)
    kind = {'grpc': 'application/grpc', 'grpcweb': 'application/grpc-web', 'connect': 'application/'}[arguments[1]]
    has(out, kind, arguments)
    if 'grpc' in arguments:
        has(out.lower(), 'grpc-status: 0', arguments)
server.stop()

# Streams: each message of the request is a JSON object on the input.
server = support.interop()
url = server.url + '/interop.v1.Interop/'
for protocol in ('grpc', 'grpcweb', 'connect'):
    def stream(method, data, good=True):
        return support.run(buf, 'curl', '--schema', os.path.join(os.path.dirname(os.path.abspath(__file__)), 'interop.proto'), '--protocol', protocol,
                           '--http2-prior-knowledge', '-d', '@-', url + method, data=data.encode(), good=good)

    check(stream('Download', '{"text": "d", "count": 3}').count('"number"') == 3, f'{protocol}: server stream')
    check(support.as_json(stream('Upload', '{"text": "u"}' * 5))['number'] == 5, f'{protocol}: client stream')
    check(stream('Chat', '{"text": "c"}' * 4).count('"text"') == 4, f'{protocol}: bidi')
    has(stream('Download', '{"text": "as asked", "count": 2, "code": 9}', good=False), 'as asked', protocol)
server.stop()
support.done()
