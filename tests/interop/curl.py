"""curl against our server: Connect with JSON and proto, GET, compression, errors, versions of HTTP, refusals."""
import gzip
import json
import os
import re
import tempfile
import time

import support
from support import check, has

server = support.telemetry()
url = server.url + '/telemetry.v1.Telemetry/'
GOOD = json.dumps({'records': [{'source': 'curl', 'severity': 'SEVERITY_ERROR', 'text': 'hi', 'labels': {'a': 'b'}}]})
BAD = '{"records":[{"source":"a"},{"text":"who?"}]}'
JSON = ('-H', 'content-type: application/json')


def curl(*arguments, data=None):
    """Status, head and body of the answer."""
    with tempfile.NamedTemporaryFile() as body:
        head = support.run('curl', '-sS', '-m', '20', '--noproxy', '*', '-D', '-', '-o', body.name, *arguments, data=data)
        with open(body.name, 'rb') as f:
            content = f.read()
    last = [part for part in head.replace('\r', '').split('\n\n') if part.startswith('HTTP/')][-1]
    return int(last.split()[1]), last.lower(), content


for version in ('--http1.1', '--http2-prior-knowledge'):
    before = json.loads(curl(version, *JSON, '-d', '{}', url + 'GetSummary')[2] or b'{}').get('records', '0')
    status, head, body = curl(version, *JSON, '-d', GOOD, url + 'Ingest')
    check(status == 200, f'{version}: {status} {body}')
    has(head, 'content-type: application/json', version)
    has(head, f'content-length: {len(body)}', version)
    check(json.loads(body)['records'] == str(int(before) + 1), body)

    status, head, body = curl(version, *JSON, '-d', BAD, url + 'Ingest')
    error = json.loads(body)
    check(status == 400 and error['code'] == 'invalid_argument', body)
    check(error['message'] == 'records[1].source: must not be empty', body)
    check(error['details'][0]['type'] == 'google.rpc.BadRequest' and '=' not in error['details'][0]['value'], body)

    # GET, of methods without side effects only.
    query = 'connect=v1&encoding=json&message=%7B%22source%22%3A%22curl%22%7D'
    status, head, body = curl(version, url + 'GetSummary?' + query)
    check(status == 200 and json.loads(body)['highest'] == 'SEVERITY_ERROR', body)
    has(head, 'vary: accept-encoding', version)
    status, head, body = curl(version, url + 'GetSummary?connect=v1&encoding=proto&base64=1&message=CgRjdXJs')
    check(status == 200 and body.startswith(b'\x08'), body)
    status, head, body = curl(version, url + 'Ingest?connect=v1&encoding=json&message=%7B%7D')
    check(status == 405, status)
    has(head, 'allow: post', version)
    check(curl(version, url + 'GetSummary?' + query.replace('curl', 'nobody'))[0] == 404, 'not_found')

    # An upload that is refused at once, and goes on for megabytes: the answer, and no error of the transport.
    status, head, body = curl(version, '-H', 'content-type: application/json', '-H', 'expect:', '--data-binary', '@-', url + 'Nothing', data=b' ' * (6 << 20))
    check(status == 404, f'{version}: refused upload: {status}')
    status, head, body = curl(version, *JSON, '-H', 'expect:', '--data-binary', '@-', url + 'Ingest', data=b'[' + b' ' * (6 << 20))
    check(status in (400, 429), f'{version}: refused body: {status}')

    # Compression both ways.
    large = json.dumps({'records': [{'source': 'curl', 'text': 'x' * 100}] * 100}).encode()
    status, head, body = curl(version, *JSON, '-H', 'content-encoding: gzip', '--data-binary', '@-', url + 'Ingest', data=gzip.compress(large))
    check(status == 200, body)
    status, head, body = curl(version, *JSON, '-H', 'content-encoding: rot13', '-d', GOOD, url + 'Ingest')
    check(status == 501 and json.loads(body)['code'] == 'unimplemented', body)
    status, head, body = curl(version, *JSON, '-H', 'content-encoding: gzip', '-d', GOOD, url + 'Ingest')
    check(status == 400 and json.loads(body)['code'] == 'invalid_argument', body)

    # What is not a call.
    check(curl(version, *JSON, '-d', '{}', url + 'Nothing')[0] == 404, 'unknown method')
    check(curl(version, *JSON, '-d', '{}', server.url + '/')[0] == 404, 'root')
    status, head, body = curl(version, '-H', 'content-type: text/plain', '-d', 'x', url + 'Ingest')
    check(status == 415, status)
    has(head, 'accept-post: ', version)
    status, head, body = curl(version, *JSON, '-d', '{"records":', url + 'Ingest')
    check(status == 400 and json.loads(body)['code'] == 'invalid_argument', body)
    status, head, body = curl(version, *JSON, '-H', 'connect-timeout-ms: 12345678901', '-d', '{}', url + 'GetSummary')
    check(status == 400, body)

# An upload that asks first, and would wait for long: it hears a 100, or its answer.
for version in ('--http1.1', '--http2-prior-knowledge'):
    ask = (version, *JSON, '-H', 'expect: 100-continue', '--expect100-timeout', '15')
    start = time.monotonic()
    status, head, body = curl(*ask, '-d', GOOD, url + 'Ingest')
    check(status == 200, f'{version}: {status}')
    check(curl(*ask, '-d', GOOD, url + 'Nothing')[0] == 404, f'{version}: refused')
    check(time.monotonic() - start < 10, f'{version}: nobody told it to go on')

# Many calls on one connection.
many = support.run('curl', '-sS', '-m', '20', '--noproxy', '*', '-v', *JSON, '-d', '{}', *([url + 'GetSummary'] * 5))
check(len(re.findall('Re-using existing connection', many)) == 4, many)
server.stop()

# Metadata of a proto answer, and a body of several frames.
server = support.bench()
text = os.urandom(150000).hex().encode()
request = b'\x0a' + bytes([len(text) & 0x7F | 0x80, len(text) >> 7 & 0x7F | 0x80, len(text) >> 14]) + text
for version in ('--http1.1', '--http2-prior-knowledge'):
    status, head, body = curl(version, '-H', 'content-type: application/proto', '--data-binary', '@-', server.url + '/bench.v1.Echo/Echo', data=request)
    check(status == 200 and body == request, f'{version}: {status}, {len(body)} of {len(request)} bytes')
    status, head, body = curl(version, '-H', 'content-type: application/proto', '-H', 'accept-encoding: gzip', '--data-binary', '@-',
                              server.url + '/bench.v1.Echo/Echo', data=request)
    got = gzip.decompress(body) if 'content-encoding: gzip' in head else body
    check(status == 200 and got == request, f'{version} compressed')
counters = support.as_json(server.stop())
check(counters['calls'] == 4, counters)
support.done()
