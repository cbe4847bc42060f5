"""h2spec, strict, case by case: what it asks of an HTTP/2 server in clear text. The cases that are known not to pass stand here,
each with its reason (docs/decisions/0178); another one that does not pass fails the test, and so does one of these that does."""
import os
import subprocess
import tempfile
import xml.etree.ElementTree

import support
from support import check, fail

CASES = 146
IGNORED = 'streams that have closed are forgotten at once, and frames of theirs ignored: remembering them would cost each connection 30 KB'
KNOWN = {
    ('http2/3.5', 'Sends invalid connection preface'):
        'the port speaks HTTP/1.1 too: what is no preface is answered as a broken request line, with 400 and a close, which h2spec takes for a broken frame',
    ('http2/5.1', 'closed: Sends a DATA frame after sending RST_STREAM frame'): IGNORED,
    ('http2/5.1', 'closed: Sends a HEADERS frame after sending RST_STREAM frame'): IGNORED,
    ('http2/5.1', 'closed: Sends a DATA frame'): IGNORED,
    ('http2/5.1', 'closed: Sends a HEADERS frame'): IGNORED,
    ('http2/5.1.1', 'Sends stream identifier that is numerically smaller than previous'):
        'nghttp2 takes HEADERS of a stream that it does not know for trailers that crossed a reset',
}

# They send a request whole, then one frame more: before the answer that is an error of the stream, after it the stream has closed
# and been forgotten (IGNORED). Which of the two it is, is a race of the two processes.
EITHER = {
    ('http2/5.1', 'half closed (remote): Sends a DATA frame'),
    ('http2/5.1', 'half closed (remote): Sends a HEADERS frame'),
    ('http2/6.1', 'Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state'),
}

h2spec = support.tool('h2spec', 'scripts/deps interop fetches it', 'build/deps/bin/h2spec')
server = support.bench()
# A GET that has an answer, with a body long enough for the cases about windows.
path = '/bench.v1.Echo/Echo?connect=v1&encoding=json&message=%7B%22text%22%3A%22hello%22%7D'
with tempfile.TemporaryDirectory() as folder:
    report = os.path.join(folder, 'report.xml')
    command = [h2spec, '--strict', '--host', '127.0.0.1', '--port', server.address.rpartition(':')[2], '--path', path, '--junit-report', report,
               '--timeout', '4', 'generic', 'http2', 'hpack']
    # Its status is 1 if any case failed.
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100, check=False)
    if not os.path.exists(report):
        fail(f'h2spec: status {done.returncode}\n{done.stdout}')
    cases = list(xml.etree.ElementTree.parse(report).iter('testcase'))

check(len(cases) == CASES, f'h2spec has {len(cases)} cases; {CASES} they were')
wrong, met = [], set()
for case in cases:
    name = (case.get('package'), case.get('classname'))
    bad = next((child for child in case if child.tag in ('error', 'failure', 'skipped')), None)
    if bad is None:
        continue
    if name in EITHER and bad.tag != 'skipped':
        continue
    met.add(name)
    if name not in KNOWN or bad.tag == 'skipped':
        wrong.append(f'{name[0]}, {name[1]}: {bad.tag}\n{bad.text or ""}')
for name in KNOWN:
    if name not in met:
        wrong.append(f'{name[0]}, {name[1]}: passes now; it leaves the list of {os.path.basename(__file__)}, and docs/decisions/0178')
support.checks += len(cases)
check(not wrong, '\n'.join(wrong))
server.stop()
support.done()
