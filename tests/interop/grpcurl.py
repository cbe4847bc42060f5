"""grpcurl against our server, with the .proto file: unary calls, streams of each kind, metadata, errors with details."""
import os

import support
from support import check, has

grpcurl = support.tool('grpcurl', 'scripts/deps interop fetches it', 'build/deps/bin/grpcurl')
here = os.path.dirname(os.path.abspath(__file__))
server = support.interop()


def call(method, data, *flags, good=True):
    return support.run(grpcurl, '-plaintext', '-max-time', '20', '-import-path', here, '-proto', 'interop.proto',
                       '-import-path', os.path.join(support.SOURCE, 'proto'), '-proto', 'google/rpc/error_details.proto', *flags, '-d', '@',
                       server.address, 'interop.v1.Interop/' + method, data=data.encode(), good=good)


answer = support.as_json(call('Unary', '{"text": "hi", "size": 6}'))
check(answer == {'text': 'hi', 'number': 1, 'payload': 'ZmZmZmZm'}, answer)
out = call('Unary', '{}', '-v', '-H', 'x-interop: there', '-H', 'x-interop-bin: AP8=')
has(out, 'x-interop: there', 'response headers')
has(out, 'x-interop-bin: AP8', 'response trailers')
out = call('Unary', '{"text": "as asked", "code": 9}', good=False)
has(out, 'Code: FailedPrecondition', 'an error')
has(out, 'Message: as asked', 'its text')
has(out, '"reason": "ASKED_FOR"', 'its detail')
check(call('Download', '{"text": "d", "count": 3}').count('"number"') == 3, 'server stream')
has(call('Upload', '{"text": "u"}' * 5), '"number": 5', 'client stream')
check(call('Chat', '{"text": "c"}' * 4).count('"text": "c"') == 4, 'bidi')
has(call('Unary', '{"hold": true}', '-max-time', '0.3', good=False), 'DeadlineExceeded', 'deadline')
server.stop()
support.done()
